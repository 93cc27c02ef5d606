"""Verbs as functions of tensors do what a model's own verbs do."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.signatures import noise_verbs, seed_verbs
from kerasvid.models.base.row_noise import LARGEST_SEED
from kerasvid.models.registry import MODELS, model_class

SEEDS = (5, 0, 2**40 + 3)
PAIRS = {"static_by": "identity", "transient_by": "label", "identities": 3, "classes": 2,
         "conditional": True}  # fmt: skip


def make_model(name, **values):
    return model_class(name).from_preset("debug", image_shape=(16, 16, 3), frames=4, **values)


# One model of each kind; the others are in the slow tests.
QUICK = ("rjvae", "mocogan", "glo", "linear_interpolation")


def having(verb, quick=QUICK):
    names = [name for name in MODELS if hasattr(model_class(name), verb)]
    slow = pytest.mark.slow
    return [name if name in quick else pytest.param(name, marks=slow) for name in names]


def as_seeds(*values):
    return tf.constant(values, tf.int64)


@pytest.mark.parametrize("name", having("generate"))
def test_a_seed_a_row_makes_what_generate_makes_of_each(name):
    model = make_model(name)
    videos = seed_verbs(model)["generate"](seed=as_seeds(*SEEDS))["video"]
    assert videos.dtype == np.uint8 and videos.shape == (3, 4, 16, 16, 3)
    singly = seed_verbs(model)["generate"](seed=as_seeds(SEEDS[0]))["video"]
    np.testing.assert_array_equal(singly, model.generate(1, seed=SEEDS[0]))
    for video, seed in zip(videos, SEEDS, strict=True):  # in a batch sums are rounded otherwise
        off = np.abs(video.astype(int) - model.generate(1, seed=seed)[0])
        assert off.max() <= 1 and (off > 0).mean() < 1e-3


@pytest.mark.parametrize("name", having("generate"))
def test_named_noise_makes_what_decode_and_interpolate_make_of_it(name):
    model = make_model(name)
    verbs, (a, b) = noise_verbs(model), (model.sample_noise(2, seed=s) for s in (1, 2))
    assert set(verbs["decode"].inputs) == set(verbs["decode"].noise) == set(a)
    expected = model.decode(model.codes(a))
    np.testing.assert_array_equal(verbs["decode"](**a)["video"], expected)
    ends = {f"{w}_{n}": v for w, end in (("from", a), ("to", b)) for n, v in end.items()}
    given = model.interpolate(a, b, steps=3)
    for step, fraction in enumerate((0.0, 0.5, 1.0)):
        way = verbs["interpolate"](**ends, fraction=tf.fill([2], fraction))["video"]
        assert np.abs(way.astype(int) - given[:, step]).max() <= 1
    assert np.abs(given[:, 0].astype(int) - given[:, 2]).max() > 1  # the ends differ


def test_interpolation_by_seeds_goes_from_one_of_them_to_the_other():
    model = make_model("mocogan")
    verbs = seed_verbs(model)
    assert list(verbs["interpolate"].inputs) == ["seed_from", "seed_to", "fraction"]
    way = verbs["interpolate"](
        seed_from=as_seeds(3, 3), seed_to=as_seeds(8, 8), fraction=tf.constant([0.0, 1.0])
    )["video"]
    ends = np.concatenate([model.generate(1, seed=seed) for seed in (3, 8)])
    assert np.abs(way.astype(int) - ends).max() <= 1


@pytest.mark.parametrize("name", having("generate_images", ("image_gan",)))
def test_the_image_of_a_seed_is_that_of_generate_images(name):
    model = make_model(name)
    image = seed_verbs(model)["image"](seed=as_seeds(9))["image"]
    np.testing.assert_array_equal(image, model.generate_images(1, seed=9))


@pytest.mark.parametrize("name", having("between"))
def test_between_is_that_of_the_model_at_every_temperature(name, moving_squares):
    model, ends = make_model(name), moving_squares(2, 4)
    given = {"first": tf.constant(ends[:, 0]), "last": tf.constant(ends[:, -1])}
    verb = seed_verbs(model)["between"]
    for temperature in (0.0, 0.7):
        for row in range(2):
            one = {key: value[row : row + 1] for key, value in given.items()}
            made = verb(seed=as_seeds(4), temperature=tf.constant([temperature]), **one)["video"]
            expected = model.between(**one, seed=4, temperature=temperature)
            np.testing.assert_array_equal(made, expected)
    assert set(noise_verbs(model)["decode"].inputs) >= {"first", "last"}


@pytest.mark.parametrize(
    "name", ["rjvae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dsa", "cvae"))]
)
def test_videos_are_read_as_the_model_reads_them(name, moving_squares):
    model, videos = make_model(name), moving_squares(2, 4)
    verbs, clips = noise_verbs(model), tf.constant(videos)
    read, expected = verbs["encode"](video=clips), model.encode(videos)
    assert set(read) == set(expected) == set(verbs["encode"].outputs)
    for key, value in expected.items():
        np.testing.assert_array_equal(read[key], value)
        assert verbs["encode"].outputs[key].shape == value.shape[1:]
    np.testing.assert_array_equal(
        verbs["reconstruct"](video=clips)["video"], model.reconstruct(videos)
    )
    if "swap" in verbs:
        swapped = verbs["swap"](content_of=clips, motion_of=clips[::-1])["video"]
        np.testing.assert_array_equal(swapped, model.swap(videos, videos[::-1]))
    assert ("swap" in verbs) == hasattr(model, "swap") and not verbs["encode"].iterative


def test_learned_codes_are_recalled_and_exchanged_by_their_rows():
    pairs, single = make_model("navsynth", **PAIRS), make_model("navsynth", videos=5)
    verbs = noise_verbs(pairs)
    rows = {"identity": as_seeds(0, 2), "action": as_seeds(1, 0), "label": as_seeds(1, 0)}
    np.testing.assert_array_equal(
        verbs["exchange"](**rows)["video"], pairs.exchange([0, 2], [1, 0], [1, 0])
    )
    recalled = verbs["recall"](identity=rows["identity"], label=rows["label"])["video"]
    np.testing.assert_array_equal(recalled, pairs.recall(identity=[0, 2], label=[1, 0]))
    assert (
        verbs["recall"].inputs["identity"].most == 2 and verbs["recall"].inputs["label"].most == 1
    )
    verbs = noise_verbs(single, frames=3)
    np.testing.assert_array_equal(
        verbs["recall"](index=as_seeds(4))["video"], single.recall(index=[4])[:, :3]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 to 4, the rows"):
        verbs["recall"].traced()(index=as_seeds(5))


@pytest.mark.slow
@pytest.mark.parametrize("values", [{"videos": 5}, PAIRS])
def test_codes_found_by_descent_in_a_graph_are_those_found_without(values, moving_squares):
    model, videos = make_model("navsynth", **values), moving_squares(2, 4)
    label = {"label": as_seeds(1, 0)} if values is PAIRS else {}
    verbs, expected = noise_verbs(model), model.encode(videos, **label)
    assert verbs["encode"].iterative and verbs["swap"].iterative
    read = verbs["encode"].traced()(video=tf.constant(videos), **label)
    for key, value in expected.items():
        np.testing.assert_allclose(read[key], value, atol=1e-3)
    swapped = verbs["swap"](content_of=videos, motion_of=videos[::-1], **label)["video"]
    np.testing.assert_array_equal(swapped, model.swap(videos, videos[::-1], **label))


@pytest.mark.parametrize(
    "name", ["vgan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rjvae", "cvae"))]
)
def test_clips_of_another_length(name):
    model = make_model(name)
    verbs = seed_verbs(model, frames=3)
    verb = verbs["between" if name == "cvae" else "generate"]
    assert verb.outputs["video"].shape == (3, 16, 16, 3)
    if name == "cvae":
        return
    np.testing.assert_array_equal(
        verb(seed=as_seeds(2))["video"], model.generate(1, frames=3, seed=2)
    )


@pytest.mark.parametrize(("name", "frames"), [("vgan", 5), ("glo", 5), ("cgan", 1)])
def test_lengths_that_a_model_cannot_make_are_refused(name, frames):
    with pytest.raises(ValueError, match=f"frames={frames}") as error:
        noise_verbs(make_model(name), frames=frames)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1])
@pytest.mark.parametrize("name", ["glo", "linear_interpolation"])
def test_seeds_out_of_range_are_refused_in_the_graph(name, seed):
    verbs = seed_verbs(make_model(name))
    verb = next(iter(verbs.values())).traced()
    frame = tf.zeros([1, 16, 16, 3], tf.uint8)
    ends = {"first": frame, "last": frame, "temperature": tf.constant([1.0])}
    given = ends if name == "linear_interpolation" else {}
    verb(seed=as_seeds(LARGEST_SEED), **given)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"from 0 to 2\^62 - 1"):
        verb(seed=as_seeds(seed), **given)
