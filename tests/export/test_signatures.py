"""Signatures as functions of tensors compute what a model's own methods do."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.export.signatures import noise_signatures, seed_signatures
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import ImagePrior, Swappable
from kerasvid.models.base.row_noise import LARGEST_SEED
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.models.registry import MODELS, model_class

SEEDS = (5, 0, 2**40 + 3)
PAIRS = {"static_by": "identity", "transient_by": "label", "identities": 3, "classes": 2,
         "conditional": True}  # fmt: skip


def make_model(name, **values):
    return model_class(name).from_preset("debug", image_shape=(16, 16, 3), frames=4, **values)


def seeded(model, frames=None):
    return seed_signatures(noise_signatures(model, frames))


# One model of each kind; the others are in the slow tests.
QUICK = ("rjvae", "mocogan", "glo", "linear_interpolation")


def all_of(protocol, quick=QUICK):
    """The names of the models of a class; those that are not quick are slow tests."""
    names = [name for name in MODELS if issubclass(model_class(name), protocol)]
    slow = pytest.mark.slow
    return [name if name in quick else pytest.param(name, marks=slow) for name in names]


def as_seeds(*values):
    return tf.constant(values, tf.int64)


@pytest.mark.parametrize("name", all_of(VideoGenerator))
def test_each_row_equals_generate_of_its_seed(name):
    model = make_model(name)
    videos = seeded(model)["generate"](seed=as_seeds(*SEEDS))["video"]
    assert videos.dtype == np.uint8 and videos.shape == (3, 4, 16, 16, 3)
    singly = seeded(model)["generate"](seed=as_seeds(SEEDS[0]))["video"]
    np.testing.assert_array_equal(singly, model.generate(1, seed=SEEDS[0]))
    for video, seed in zip(videos, SEEDS, strict=True):  # in a batch sums are rounded otherwise
        off = np.abs(video.astype(int) - model.generate(1, seed=seed)[0])
        assert off.max() <= 1 and (off > 0).mean() < 1e-3


@pytest.mark.parametrize("name", all_of(VideoGenerator))
def test_signatures_of_noise_equal_decode_and_interpolate(name):
    model = make_model(name)
    signatures, (a, b) = noise_signatures(model), (model.sample_noise(2, seed=s) for s in (1, 2))
    assert set(signatures["decode"].inputs) == set(signatures["decode"].noise) == set(a)
    expected = model.decode(model.codes(a))
    np.testing.assert_array_equal(signatures["decode"](**a)["video"], expected)
    ends = {f"{w}_{n}": v for w, end in (("from", a), ("to", b)) for n, v in end.items()}
    given = model.interpolate(a, b, steps=3)
    for step, fraction in enumerate((0.0, 0.5, 1.0)):
        way = signatures["interpolate"](**ends, fraction=tf.fill([2], fraction))["video"]
        assert np.abs(way.astype(int) - given[:, step]).max() <= 1
    assert np.abs(given[:, 0].astype(int) - given[:, 2]).max() > 1  # the ends differ


def test_interpolation_by_seeds_goes_from_one_of_them_to_the_other():
    model = make_model("mocogan")
    signatures = seeded(model)
    assert list(signatures["interpolate"].inputs) == ["seed_from", "seed_to", "fraction"]
    way = signatures["interpolate"](
        seed_from=as_seeds(3, 3), seed_to=as_seeds(8, 8), fraction=tf.constant([0.0, 1.0])
    )["video"]
    ends = np.concatenate([model.generate(1, seed=seed) for seed in (3, 8)])
    assert np.abs(way.astype(int) - ends).max() <= 1


@pytest.mark.parametrize("name", all_of(ImagePrior, ("image_gan",)))
def test_the_image_of_a_seed_is_that_of_generate_images(name):
    model = make_model(name)
    image = seeded(model)["image"](seed=as_seeds(9))["image"]
    np.testing.assert_array_equal(image, model.generate_images(1, seed=9))


@pytest.mark.parametrize("name", all_of(InBetween))
def test_between_equals_the_model_at_every_temperature(name, moving_squares):
    model, ends = make_model(name), moving_squares(2, 4)
    given = {"first": tf.constant(ends[:, 0]), "last": tf.constant(ends[:, -1])}
    signature = seeded(model)["between"]
    for temperature in (0.0, 0.7):
        for row in range(2):
            one = {key: value[row : row + 1] for key, value in given.items()}
            made = signature(seed=as_seeds(4), temperature=tf.constant([temperature]), **one)[
                "video"
            ]
            expected = model.between(**one, seed=4, temperature=temperature)
            np.testing.assert_array_equal(made, expected)
    assert set(noise_signatures(model)["decode"].inputs) >= {"first", "last"}


@pytest.mark.parametrize(
    "name", ["rjvae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dsa", "cvae"))]
)
def test_encode_reconstruct_and_swap_equal_the_model(name, moving_squares):
    model, videos = make_model(name), moving_squares(2, 4)
    signatures, clips = noise_signatures(model), tf.constant(videos)
    read, expected = signatures["encode"](video=clips), model.encode(videos)
    assert set(read) == set(expected) == set(signatures["encode"].outputs)
    for key, value in expected.items():
        np.testing.assert_array_equal(read[key], value)
        assert signatures["encode"].outputs[key].shape == value.shape[1:]
    np.testing.assert_array_equal(
        signatures["reconstruct"](video=clips)["video"], model.reconstruct(videos)
    )
    if "swap" in signatures:
        swapped = signatures["swap"](content_of=clips, motion_of=clips[::-1])["video"]
        np.testing.assert_array_equal(swapped, model.swap(videos, videos[::-1]))
    assert ("swap" in signatures) == isinstance(model, Swappable) and not signatures[
        "encode"
    ].iterative


def test_learned_codes_are_recalled_and_exchanged_by_their_rows():
    pairs, single = make_model("navsynth", **PAIRS), make_model("navsynth", videos=5)
    signatures = noise_signatures(pairs)
    rows = {"identity": as_seeds(0, 2), "action": as_seeds(1, 0), "label": as_seeds(1, 0)}
    np.testing.assert_array_equal(
        signatures["exchange"](**rows)["video"], pairs.exchange([0, 2], [1, 0], [1, 0])
    )
    recalled = signatures["recall"](identity=rows["identity"], label=rows["label"])["video"]
    np.testing.assert_array_equal(recalled, pairs.recall(identity=[0, 2], label=[1, 0]))
    assert (
        signatures["recall"].inputs["identity"].most == 2
        and signatures["recall"].inputs["label"].most == 1
    )
    signatures = noise_signatures(single, frames=3)
    np.testing.assert_array_equal(
        signatures["recall"](index=as_seeds(4))["video"], single.recall(index=[4])[:, :3]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"index .* from 0 to 4"):
        signatures["recall"].traced()(index=as_seeds(5))


@pytest.mark.slow
@pytest.mark.parametrize("values", [{"videos": 5}, PAIRS])
def test_codes_found_in_a_graph_equal_those_found_eagerly(values, moving_squares):
    model, videos = make_model("navsynth", **values), moving_squares(2, 4)
    label = {"label": as_seeds(1, 0)} if values is PAIRS else {}
    signatures, expected = noise_signatures(model), model.encode(videos, **label)
    assert signatures["encode"].iterative and signatures["swap"].iterative
    read = signatures["encode"].traced()(video=tf.constant(videos), **label)
    for key, value in expected.items():
        np.testing.assert_allclose(read[key], value, atol=1e-3)
    swapped = signatures["swap"](content_of=videos, motion_of=videos[::-1], **label)["video"]
    np.testing.assert_array_equal(swapped, model.swap(videos, videos[::-1], **label))


@pytest.mark.parametrize(
    "name",
    ["vgan", "glo", *(pytest.param(n, marks=pytest.mark.slow) for n in ("tgan", "rjvae", "cvae"))],
)
def test_clips_of_another_length(name):
    model = make_model(name)
    signatures = seeded(model, frames=3)
    signature = signatures["between" if name == "cvae" else "generate"]
    assert signature.outputs["video"].shape == (3, 16, 16, 3)
    # The length is no input, neither of noise nor of seeds.
    for make in (noise_signatures, seeded):
        for key, each in make(model).items():
            assert set(make(model, frames=3)[key].inputs) == set(each.inputs)
    if name == "cvae":
        return
    np.testing.assert_array_equal(
        signature(seed=as_seeds(2))["video"], model.generate(1, frames=3, seed=2)
    )


@pytest.mark.parametrize(("name", "frames"), [("vgan", 5), ("glo", 5), ("cgan", 1)])
def test_lengths_that_a_model_cannot_make_are_refused(name, frames):
    with pytest.raises(ValueError, match=f"frames={frames}") as error:
        noise_signatures(make_model(name), frames=frames)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1])
@pytest.mark.parametrize("name", ["glo", "linear_interpolation"])
def test_seeds_out_of_range_are_refused_in_the_graph(name, seed):
    signatures = seeded(make_model(name))
    signature = next(iter(signatures.values())).traced()
    frame = tf.zeros([1, 16, 16, 3], tf.uint8)
    ends = {"first": frame, "last": frame, "temperature": tf.constant([1.0])}
    given = ends if name == "linear_interpolation" else {}
    signature(seed=as_seeds(LARGEST_SEED), **given)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"from 0 to 2\^62 - 1"):
        signature(seed=as_seeds(seed), **given)


# === Classes ===

CLASSES = {"rjvae": {}, "mocogan": {}, "vgan": {}, "navsynth": PAIRS, "cvae": {}}


def make_conditional(name):
    values = CLASSES[name]
    model = make_model(name, **(values or {"categories": 3}))
    if name in ("rjvae", "cvae"):
        prior = model.summary_prior if name == "rjvae" else model.video_prior
        prior.class_means.assign(tf.random.stateless_normal(prior.class_means.shape, [3, 3]))
    return model


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "cvae"])
def test_a_label_beside_a_seed_asks_for_a_class(name):
    model = make_conditional(name)
    signature = seeded(model)["generate"]
    assert list(signature.inputs) == ["seed", "label"]
    label = signature.inputs["label"]
    assert (label.least, label.most) == (-1, 1 if name == "navsynth" else 2)
    for asked in (0, 1):
        video = signature(seed=as_seeds(5), label=as_seeds(asked))["video"]
        np.testing.assert_array_equal(video, model.generate(1, seed=5, label=asked))
    drawn = signature(seed=as_seeds(5), label=as_seeds(-1))["video"]
    np.testing.assert_array_equal(drawn, model.generate(1, seed=5))
    for wrong in (-2, 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="label: give whole numbers"):
            signature.traced()(seed=as_seeds(5), label=as_seeds(wrong))


def test_a_video_between_two_frames_keeps_its_class_at_every_temperature(moving_squares):
    model, ends = make_conditional("cvae"), moving_squares(1, 4)
    given = {"first": tf.constant(ends[:, 0]), "last": tf.constant(ends[:, -1])}
    signature = seeded(model)["between"]
    for temperature in (0.0, 0.7):
        for asked in (0, 2):
            made = signature(
                seed=as_seeds(4), temperature=tf.constant([temperature]), **given,
                label=as_seeds(asked),
            )["video"]  # fmt: skip
            expected = model.between(**given, seed=4, temperature=temperature, label=asked)
            np.testing.assert_array_equal(made, expected)


def test_interpolation_between_seeds_takes_a_class_at_each_end():
    model = make_conditional("rjvae")
    signature = seeded(model)["interpolate"]
    expected = ["seed_from", "seed_to", "fraction", "label_from", "label_to"]
    assert list(signature.inputs) == expected
    ends = signature(
        seed_from=as_seeds(3, 3), seed_to=as_seeds(8, 8), fraction=tf.constant([0.0, 1.0]),
        label_from=as_seeds(1, 1), label_to=as_seeds(2, 2),
    )["video"]  # fmt: skip
    videos = [model.generate(1, seed=3, label=1), model.generate(1, seed=8, label=2)]
    assert np.abs(ends.astype(int) - np.concatenate(videos)).max() <= 1


def test_a_file_of_noise_takes_the_class_as_noise():
    model = make_conditional("vgan")
    decode = noise_signatures(model)["decode"]
    noise = {**model.sample_noise(2, seed=1), "category": tf.one_hot([2, 0], 3)}
    assert set(decode.noise) == {"latent", "category"}
    shown = np.round((decode(**noise)["video"].numpy() + 1.0) * 127.5)
    made = model.generate(2, seed=1, label=[2, 0])
    assert np.abs(shown - made).max() <= 1
