"""Penalties of discriminators' gradients against known gradients, and when one is required."""

import statistics

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import DiscriminatorOutput, ImageDiscriminator
from kerasvid.models.base.gan_losses import AdversarialTerms, Objective, score_gradient_norms
from kerasvid.models.rjgan import RJGAN

IMAGE, VIDEO = "image_discriminator", "video_discriminator"


def penalties(linear_gan, sample, objective, change=lambda model: None, **kwargs):
    """By how much the options raise the loss of each discriminator."""
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    batch = {**batch, "image": images}
    losses = []
    for options in ({}, objective):
        model = linear_gan({"loss": "wasserstein", **options}, **kwargs)
        change(model)
        losses.append(sample.discriminator_losses(model, batch, fakes))
    return {network: losses[1][network] - losses[0][network] for network in losses[0]}, model


@pytest.mark.parametrize("patches", [1, 2])
def test_penalties_of_linear_discriminators_are_those_of_their_known_gradients(
    linear_gan, sample, patches
):
    def steepen(model):
        for discriminator in (model.image_discriminator, model.video_discriminator):
            discriminator.w.assign(3.0 * discriminator.w)

    # D(x) = w . x has the gradient w everywhere; a score is the mean of its patches.
    for objective, by_hand in (
        ({"gradient_penalty": 10.0}, lambda norm: 10.0 * (norm - 1.0) ** 2),
        ({"r1_weight": 3.0}, lambda norm: 3.0 / 2.0 * norm**2),
    ):
        added, model = penalties(linear_gan, sample, objective, steepen, patches=patches)
        for network, penalty in added.items():
            norm = np.linalg.norm(getattr(model, network).w.numpy().astype("float64").mean(axis=1))
            assert abs(norm - 1.0) > 0.5
            assert penalty == pytest.approx(by_hand(norm), rel=1e-4)


def test_a_gradient_of_norm_one_has_no_penalty(linear_gan, sample):
    def normalize(model):
        for discriminator in (model.image_discriminator, model.video_discriminator):
            discriminator.w.assign(discriminator.w / tf.norm(discriminator.w))

    added, _ = penalties(linear_gan, sample, {"gradient_penalty": 10.0}, normalize)
    assert added == pytest.approx({IMAGE: 0.0, VIDEO: 0.0}, abs=1e-5)


def norms_of(discriminator, samples):
    """The gradient norms of a discriminator's scores."""
    return score_gradient_norms(lambda x: discriminator(x, training=True).logits, samples)


class QuadraticDiscriminator(tf.Module):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    trainable_variables, normalization, spectral = (), "none", True

    def __call__(self, inputs, training=False):
        squares = tf.square(tf.reshape(inputs, [tf.shape(inputs)[0], -1]))
        return DiscriminatorOutput(0.5 * tf.reduce_sum(squares, axis=1, keepdims=True))


def test_penalties_are_taken_between_real_and_fake_and_at_real_samples(linear_gan, sample):
    batch, fakes, random_inputs = sample.batch, sample.fakes, sample.random_inputs

    def replace(model):
        model.video_discriminator = QuadraticDiscriminator()

    norm = lambda x: np.linalg.norm(np.float64(x).ravel())  # noqa: E731
    shares = [statistics.NormalDist().cdf(float(value)) for value in random_inputs["mixing"][:, 0]]
    between = [
        share * real + (1 - share) * fake
        for share, real, fake in zip(shares, batch["video"], fakes["video"], strict=True)
    ]
    added, _ = penalties(linear_gan, sample, {"gradient_penalty": 2.0}, replace)
    expected = 2.0 * np.mean([(norm(x) - 1.0) ** 2 for x in between])
    assert added[VIDEO] == pytest.approx(expected, rel=1e-4)
    added, _ = penalties(linear_gan, sample, {"r1_weight": 2.0}, replace)
    assert added[VIDEO] == pytest.approx(np.mean([norm(x) ** 2 for x in batch["video"]]), rel=1e-4)


def test_at_an_interval_r1_is_the_weighted_mean_over_every_so_many_th_sample(linear_gan, sample):
    def replace(model):
        model.image_discriminator = model.video_discriminator = QuadraticDiscriminator()

    options = {"r1_weight": 2.0, "r1_interval": 3}
    squares = lambda samples: [np.sum(np.square(np.float64(x))) for x in samples]  # noqa: E731
    clips = squares(sample.batch["video"])
    frames = squares(sample.frames(sample.batch["video"], "real_frames", draws=1))
    all_images = [*frames, *squares(sample.images)]
    weights = [9 / 8] * 4 + [9 / 10] * 5  # of four frames and five images
    for share in (0.01, 0.3, 0.6, 0.99):  # of the way through the samples
        sample.random_inputs["r1_first"][0, 0] = statistics.NormalDist().inv_cdf(share)
        added, _ = penalties(linear_gan, sample, options, replace, image_prior=False)
        places = [(int(share * 4) + k) % 4 for k in (0, 3)]
        assert added[VIDEO] == pytest.approx(np.mean([clips[k] for k in places]), rel=1e-4)
        places = [(int(share * 9) + k) % 9 for k in (0, 3, 6)]
        mean = np.average([all_images[k] for k in places], weights=[weights[k] for k in places])
        assert added[IMAGE] == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("image_prior", [True, False])
def test_images_and_frames_of_clips_are_half_of_the_penalties_each(linear_gan, sample, image_prior):
    def replace(model):
        model.image_discriminator = QuadraticDiscriminator()

    fakes = dict(sample.fakes) if image_prior else {"video": sample.fakes["video"]}
    sample = sample._replace(fakes=fakes)
    added, _ = penalties(
        linear_gan, sample, {"gradient_penalty": 2.0}, replace, image_prior=image_prior
    )
    draws = 2 if image_prior else 1
    real = sample.frames(sample.batch["video"], "real_frames", draws)
    fake = [*sample.frames(fakes["video"], "fake_frames"), *fakes.get("image", ())]
    assert len(real) == len(fake) == 4 * draws

    def mean_penalty(real, fake, random_inputs):
        shares = [statistics.NormalDist().cdf(float(v)) for v in random_inputs]
        between = [s * r + (1 - s) * f for s, r, f in zip(shares, real, fake, strict=True)]
        norms = [np.linalg.norm(np.float64(x).ravel()) for x in between]
        return np.mean((np.array(norms) - 1.0) ** 2)

    of_clips = mean_penalty(real, fake, sample.random_inputs["mixing"].T.ravel()[: 4 * draws])
    images = sample.images  # five, paired with the generated ones from the first on
    of_images = mean_penalty(images, [*fake, *fake][:5], sample.random_inputs["image_mixing"])
    assert abs(of_clips - of_images) > 0.01
    assert added[IMAGE] == pytest.approx(2.0 * (0.5 * of_clips + 0.5 * of_images), rel=1e-4)

    added, _ = penalties(linear_gan, sample, {"r1_weight": 2.0}, replace, image_prior=image_prior)
    squares = [np.mean(np.sum(np.square(np.float64(x)), axis=(1, 2, 3))) for x in (real, images)]
    assert abs(squares[0] - squares[1]) > 0.01
    assert added[IMAGE] == pytest.approx(np.mean(squares), rel=1e-4)


def test_small_gradients_and_their_penalties_are_the_same_in_float16():
    """Entries of about 1e-6, of which float16 by itself would keep hardly a digit."""
    generator, results = np.random.default_rng(0), []
    frames = tf.constant(generator.normal(size=[2, 32, 32, 3]), tf.float32)
    terms = AdversarialTerms(Objective(gradient_penalty=10.0), {"mixing": tf.zeros([2, 1])})
    for dtype in ("float32", "mixed_float16"):
        discriminator = ImageDiscriminator((4, 4, 4), (1, 1, 1), dtype=dtype)
        discriminator(frames)
        if not results:
            weights = [0.02 * generator.normal(size=w.shape) for w in discriminator.get_weights()]
        discriminator.set_weights(weights)
        kernels = [
            layer.kernel for layer in (*discriminator.convolutions, discriminator.output_layer)
        ]
        with tf.GradientTape() as tape:
            penalty = terms.penalties(discriminator, frames, frames)
            scaled = 2.0**15 * penalty  # as the first steps of mixed_float16 are
        way = np.concatenate([np.ravel(g) for g in tape.gradient(scaled, kernels)])
        results.append((norms_of(discriminator, frames).numpy(), way))
    (full, way), (half, other) = results
    entries = full / np.sqrt(32 * 32 * 3)
    assert entries.min() > 1e-7 and entries.max() < 2e-6
    np.testing.assert_allclose(half, full, rtol=0.01)
    assert np.linalg.norm(other - way) < 0.02 * np.linalg.norm(way)


@pytest.mark.parametrize("network", [IMAGE, VIDEO])
def test_a_wasserstein_discriminator_of_unbounded_gradient_is_refused(network):
    preset = RJGAN.PRESETS["debug"]
    networks = {name: {**preset[name], "spectral": name != network} for name in (IMAGE, VIDEO)}

    def make(**objective):
        objective = {"loss": "wasserstein", **objective}
        return RJGAN.from_preset("debug", image_shape=(8, 8, 3), **networks, objective=objective)

    with pytest.raises(
        ValueError, match=f"gradient_penalty=10 or {network}.spectral=true"
    ) as error:
        make()
    assert "\n" not in str(error.value)
    make(gradient_penalty=10.0)


def test_gradient_norms_are_of_each_row_by_itself():
    points = np.random.default_rng(0).normal(size=[3, 2, 2, 1]).astype("float32")
    expected = [np.linalg.norm(row.astype("float64")) for row in points]
    np.testing.assert_allclose(
        norms_of(QuadraticDiscriminator(), tf.constant(points)),
        expected,
        rtol=1e-5,
    )


def test_evaluation_leaves_penalties_out(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    plain, penalized = linear_gan(), linear_gan({"gradient_penalty": 10.0, "r1_weight": 5.0})
    one = sample.discriminator_losses(plain, batch, fakes)
    assert sample.discriminator_losses(penalized, batch, fakes, training=False) == one
    assert sample.discriminator_losses(penalized, batch, fakes) != one


@pytest.mark.parametrize("network", [IMAGE, VIDEO])
@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1_weight"])
def test_batch_norm_under_a_penalty_is_refused(network, penalty):
    networks = {network: {**RJGAN.PRESETS["debug"][network], "normalization": "batch"}}
    with pytest.raises(ValueError, match="normalization='batch' mixes rows") as error:
        RJGAN.from_preset("debug", image_shape=(8, 8, 3), **networks, objective={penalty: 1.0})
    assert "\n" not in str(error.value)
