"""Models that make videos of a class that is asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.categories import CATEGORY, category_code
from kerasvid.models.base.protocols import Conditional
from kerasvid.models.base.trainer import draw_noise, replica_key
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.models.registry import MODELS, model_class

SMALL = {"image_shape": (16, 16, 3), "frames": 4}
AGGREGATE = {"prior_momentum": 0.9, "prior_couplings": 2}
VARIANTS = {
    "rjvae": ("rjvae", {}),
    "rjvae-base": ("rjvae", AGGREGATE),
    "dsa": ("dsa", {}),
    "dsa-start": ("dsa", {**AGGREGATE, "aggregate_start": True, "posterior": "full"}),
    "cvae": ("cvae", {"mean_weight": 1.0}),
    "mocogan": ("mocogan", {}),
    "rmocogan": ("rmocogan", {}),
    "rjgan": ("rjgan", {}),
    "rjgan-projection": ("rjgan", {"objective": {"conditioning": "projection"}}),
    "tgan": ("tgan", {}),
    "vgan": ("vgan", {"objective": {"conditioning": "projection", "r1_weight": 1.0}}),
    "cgan": ("cgan", {"intermediate_weight": 0.1}),
}
VAES = [name for name in VARIANTS if issubclass(model_class(name.split("-")[0]), VariationalModel)]


def make_model(variant, categories=3, **overrides):
    name, own = VARIANTS[variant]
    options = {**SMALL, **own, "categories": categories, **overrides}
    return model_class(name).from_preset("debug", **options)


def parted(model):
    """The model with weights of its priors that tell the classes apart."""
    for prior in model._flatten_layers():
        if hasattr(prior, "class_means"):
            prior.class_means.assign(tf.random.stateless_normal(prior.class_means.shape, [3, 3]))
    return model


@pytest.fixture(params=VARIANTS, scope="module")
def model(request):
    return parted(make_model(request.param))


@pytest.fixture(params=VAES)
def variant(request):
    return request.param


def made(model, count, label=None, seed=2):
    """Videos of a class: new ones, or between black and white."""
    if isinstance(model, VideoGenerator):
        return model.generate(count, seed=seed, label=label)
    black = np.zeros([count, *model.image_shape], np.uint8)
    return model.between(black, 255 - black, seed=seed, label=label)


def near(one, other):
    """Whether videos are the same but for the rounding of sums that a batch orders otherwise."""
    difference = np.abs(one.astype(int) - other)
    return difference.max() <= 1 and (difference > 0).mean() < 0.001


def test_every_model_of_classes_is_tested_here():
    able = {name for name in MODELS if "categories" in model_class(name).hyperparameters()}
    assert able == {name for name, _ in VARIANTS.values()}
    assert all(issubclass(model_class(name), Conditional) for name in able)


def test_a_label_makes_all_videos_or_each_of_its_class(model):
    every = [made(model, 3, label) for label in range(3)]
    assert all((a != b).any() for a, b in zip(every, [*every[1:], every[0]], strict=True))
    mixed = made(model, 3, [2, 0, 1])
    for row, label in enumerate([2, 0, 1]):
        assert near(mixed[row], every[label][row])


def test_a_row_depends_on_its_seed_its_number_and_its_label_alone(model):
    many = made(model, 5, [1, 0, 2, 2, 1])
    assert near(made(model, 2, [1, 0]), many[:2])


def test_without_a_label_the_noise_draws_the_class(model):
    draw = model.sample_noise if isinstance(model, VideoGenerator) else model.between_noise
    drawn = model.category_of(draw(4, seed=2)).numpy()
    assert near(made(model, 4), made(model, 4, drawn))
    assert (made(model, 4) != made(model, 4, (drawn + 1) % 3)).any()


def test_a_label_that_does_not_exist_is_refused_in_one_line(model):
    with pytest.raises(ValueError, match="label=3: the model has 3 classes") as error:
        made(model, 2, 3)
    assert "\n" not in str(error.value)
    plain = model_class(type(model).__name__.lower()).from_preset("debug", **SMALL)
    with pytest.raises(ValueError, match="label=0: the model makes no videos of a class"):
        made(plain, 2, 0)


@pytest.mark.parametrize("categories", [-1, 1.5, True])
def test_a_number_of_classes_is_a_whole_number(variant, categories):
    with pytest.raises(ValueError, match="must be a whole number from 0"):
        make_model(variant, categories)


def losses_of(model, video, label=None):
    noise = draw_noise(model.training_noise_shapes(4), 3, replica_key(1, tf.constant(0)))
    batch = {"video": video, **({} if label is None else {"label": tf.constant(label, tf.int64)})}
    terms, _ = model.compute_losses(batch, noise, tf.constant(0.0), training=False)
    return {name: value.numpy() for name, value in terms.items()}


@pytest.fixture
def video(moving_squares):
    return tf.constant(moving_squares(3, 4) / 127.5 - 1.0, tf.float32)


def test_the_label_chooses_the_priors_of_the_bound_and_nothing_else(variant, video):
    model = parted(make_model(variant))
    one, other = losses_of(model, video, [0, 1, 2]), losses_of(model, video, [1, 2, 0])
    for name in one:
        if name.startswith("kl_"):
            assert (np.abs(one[name] - other[name]) > 1e-5).all(), name
    np.testing.assert_array_equal(one["reconstruction_loss"], other["reconstruction_loss"])
    label = tf.constant([0, 1, 2], tf.int64)
    np.testing.assert_array_equal(model(video), model({"video": video, "label": label}))


def test_videos_without_a_label_count_as_unknown(variant, video):
    model = parted(make_model(variant))
    none, unknown = losses_of(model, video), losses_of(model, video, [-1, -1, -1])
    for name, value in none.items():
        np.testing.assert_array_equal(value, unknown[name])
    rest = losses_of(model, video, [-1, 2, -1])
    np.testing.assert_allclose(rest["bound"][[0, 2]], none["bound"][[0, 2]], rtol=1e-6)
    assert abs(rest["bound"][1] - none["bound"][1]) > 1e-3


def test_classes_change_no_weight_of_the_model_without(variant):
    def weights(categories):
        found = make_model(variant, categories).weights
        of_prior = ("class_means", "mean", "covariance", "scale_tril")  # a cvae has none without
        return [w for w in found if w.path.rpartition("/")[2] not in of_prior]

    for plain, wider in zip(weights(0), weights(3), strict=True):
        assert plain.path.rpartition("/")[2] == wider.path.rpartition("/")[2]
        more = {b - a for a, b in zip(plain.shape, wider.shape, strict=True)}
        assert more <= {0, 3}


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "nearest"])
def test_a_prior_that_is_fitted_is_one_by_class(variant, kind, moving_squares):
    model = make_model(variant)
    videos, label = moving_squares(30, 4), np.arange(30) % 3
    unknown = {"video": videos[:6], "label": np.full(6, -1)}
    own = {"clusters": 3} if kind == "mixture" else {} if kind == "gaussian" else {"units": 4}
    model.fit_prior(kind, [{"video": videos, "label": label}, unknown], steps=2, **own)
    every = [made(model, 3, each) for each in range(3)]
    assert all((a != b).any() for a, b in zip(every, [*every[1:], every[0]], strict=True))
    mixed = made(model, 3, [2, 0, 1])
    for row, each in enumerate([2, 0, 1]):
        assert near(mixed[row], every[each][row])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(made(again, 3, 1), every[1])
    with pytest.raises(ValueError, match="codes of class 0: a prior by class needs two or more"):
        model.fit_prior(kind, [{"video": videos}], steps=2, **own)


def test_a_prior_of_moments_by_class_has_the_mean_of_its_codes(moving_squares):
    model = make_model("cvae")
    videos, label = moving_squares(30, 4), np.arange(30) % 3
    model.fit_prior("gaussian", [{"video": videos, "label": label}])
    codes = model.encode(videos)["video"].numpy()
    for each in range(3):
        noise = {"video": tf.zeros([1, 8]), CATEGORY: tf.one_hot([each], 3)}
        drawn = model.drawn_codes(noise)["video"].numpy()[0]
        spread = codes[label == each].std(axis=0) + 0.1
        assert (np.abs(drawn - codes[label == each].mean(axis=0)) < spread).all()


GANS = [
    pytest.param(name, marks=[] if name.startswith("rjgan") else pytest.mark.slow)
    for name in VARIANTS
    if name not in VAES
]


@pytest.fixture(params=GANS)
def gan(request):
    return request.param


def trained(model, video, label):
    """The model after a step of gradient descent on clips with labels, or without any."""
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    batch = {"video": video.numpy(), **({} if label is None else {"label": np.array(label)})}
    logs = model.train_on_batch(batch, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    assert all(
        np.isfinite(value) for value in model.test_on_batch(batch, return_dict=True).values()
    )
    return [v.numpy() for v in model.video_discriminator.trainable_variables]


def test_the_labels_of_clips_train_the_video_discriminator(gan, video):
    def after(label):
        keras.utils.set_random_seed(1)
        return trained(make_model(gan), video, label)

    one, other, none, unknown = (after(each) for each in ([0, 1, 2], [1, 2, 0], None, [-1] * 3))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    for a, b in zip(none, unknown, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_class_of_a_generated_clip_is_among_what_the_losses_see(gan):
    model = make_model(gan)
    noise = draw_noise(model.training_noise_shapes(4), 3, replica_key(1, tf.constant(0)))
    noise |= model.conditions({"video": tf.zeros([3, 4, 16, 16, 3])})
    fakes = model.fakes(noise, 4, training=False)
    np.testing.assert_array_equal(fakes[CATEGORY], noise[CATEGORY])


def test_a_generator_between_frames_learns_of_the_class_of_their_clip(video):
    model = make_model("cgan")
    conditions = model.conditions({"video": video, "label": tf.constant([2, -1, 0], tf.int64)})
    np.testing.assert_array_equal(conditions[CATEGORY], [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_the_summary_frame_of_a_class_is_that_of_its_videos():
    model = make_model("rjgan", residual_scale=0.0)
    images = [model.generate_images(2, seed=1, label=label) for label in (0, 1)]
    videos = model.generate(2, seed=1, label=1)
    assert near(videos[:, 0], images[1]) and (images[0] != images[1]).any()


def coloured(moving_squares):
    """24 clips of dark squares and of bright ones, in turn."""
    videos = moving_squares(24, 4).astype("float32")
    label = np.arange(24) % 2
    shade = np.where(label, 255.0, 60.0)[:, None, None, None, None]
    return np.where(videos > 20, shade, 20.0).astype("uint8"), label


@pytest.mark.parametrize("name", ["rjvae", "dsa"])
def test_a_model_learns_what_the_classes_look_like(name, moving_squares):
    keras.utils.set_random_seed(0)
    schedule = {"observation_scale": (0.1, 0.1)}
    model = make_model(name, 2, schedule=schedule, prior_momentum=0.9)
    model.compile(keras.optimizers.Adam(5e-3), jit_compile=False)
    videos, label = coloured(moving_squares)
    batch = {"video": videos, "label": label}
    batches = tf.data.Dataset.from_tensors(batch).repeat(150)
    model.fit(batches, verbose=0)
    model.fit_aggregate_priors([{n: tf.constant(v) for n, v in batch.items()}])
    dark, bright = (model.generate(16, seed=1, label=each).mean() for each in (0, 1))
    real = [videos[label == each].mean() for each in (0, 1)]
    assert bright - dark > 0.5 * (real[1] - real[0])
    drawn = category_code(model.sample_noise(200, seed=1)).numpy().mean(axis=0)
    assert abs(drawn[0] - 0.5) < 0.15 and CATEGORY in model.noise_shapes(4)
