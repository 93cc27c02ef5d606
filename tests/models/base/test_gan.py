"""The losses against their formulas, over linear discriminators D(x) = sigma(w . x).

The formulas are written out in float64 with loops, softplus(-l) being -log sigma(l).
"""

import numpy as np
import pytest
import tensorflow as tf

IMAGE, VIDEO = "image_discriminator", "video_discriminator"


def tensors(values):
    return {name: tf.constant(value) for name, value in values.items()}


def score(discriminator, sample):
    """w . x in float64."""
    return float(discriminator.w.numpy()[:, 0].astype("float64") @ np.ravel(sample))


def minus_log(discriminator, samples, real):
    """The mean of -log D(x), or of -log(1 - D(x)) where `real` is false."""
    outputs = [1 / (1 + np.exp(-score(discriminator, x))) for x in samples]
    return float(np.mean([-np.log(d if real else 1 - d) for d in outputs]))


# === Equation (1) ===


@pytest.mark.parametrize("image_prior_weight", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("with_images", [False, True])
def test_the_image_discriminator_minimises_its_terms_of_equation_1(
    linear_gan, sample, image_prior_weight, with_images
):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    model = linear_gan({"image_prior_weight": image_prior_weight})
    discriminator = model.image_discriminator
    real = sample.frames(batch["video"], "real_frames")  # two independent ones a clip
    on_real = minus_log(discriminator, real, True)
    if with_images:  # eight frames of clips and five images: half for each
        batch = {**batch, "image": images}
        on_real = 0.5 * on_real + 0.5 * minus_log(discriminator, images, True)
    fake = sample.frames(fakes["video"], "fake_frames")
    expected = (
        on_real
        + minus_log(discriminator, fake, False)
        + image_prior_weight * (on_real + minus_log(discriminator, fakes["image"], False))
    )
    loss = sample.discriminator_losses(model, batch, fakes)[IMAGE]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)


@pytest.mark.parametrize("with_images", [False, True])
def test_the_video_discriminator_minimises_its_terms_of_equation_1(linear_gan, sample, with_images):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    model = linear_gan({"image_prior_weight": 0.3})
    discriminator = model.video_discriminator
    expected = minus_log(discriminator, batch["video"], True) + minus_log(
        discriminator, fakes["video"], False
    )
    batch = {**batch, "image": images} if with_images else batch
    loss = sample.discriminator_losses(model, batch, fakes)[VIDEO]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)


@pytest.mark.parametrize("image_prior_weight", [1.0, 0.3, 0.0])
def test_the_generator_minimises_both_terms_of_clips_and_one_of_images(
    linear_gan, sample, image_prior_weight
):
    fakes = sample.fakes
    model = linear_gan({"image_prior_weight": image_prior_weight})
    expected = (
        minus_log(model.image_discriminator, sample.frames(fakes["video"], "fake_frames"), True)
        + minus_log(model.video_discriminator, fakes["video"], True)
        + image_prior_weight * minus_log(model.image_discriminator, fakes["image"], True)
    )
    assert sample.generator_loss(model, fakes) == pytest.approx(expected, rel=0, abs=1e-5)


def test_without_a_fixed_prior_real_frames_count_once_and_one_is_drawn(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    model = linear_gan(image_prior=False)
    fakes = {"video": fakes["video"]}
    real = sample.frames(batch["video"], "real_frames", draws=1)
    fake = sample.frames(fakes["video"], "fake_frames")
    discriminator = model.image_discriminator
    expected = minus_log(discriminator, real, True) + minus_log(discriminator, fake, False)
    loss = sample.discriminator_losses(model, batch, fakes)[IMAGE]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)
    expected = minus_log(discriminator, fake, True)
    expected += minus_log(model.video_discriminator, fakes["video"], True)
    assert sample.generator_loss(model, fakes) == pytest.approx(expected, rel=0, abs=1e-5)


def test_the_image_discriminator_sees_as_many_frames_of_a_clip_as_asked(linear_gan, sample):
    model = linear_gan({"image_frames": 2}, image_prior=False)
    assert model.random_input_shapes(2)["fake_frames"] == (2, 2)
    two = np.random.default_rng(5).normal(size=(4, 2, 2)).astype("float32")
    clips = {"video": sample.fakes["video"]}
    sample = sample._replace(
        random_inputs={**sample.random_inputs, "fake_frames": two}, fakes=clips
    )
    real = sample.frames(sample.batch["video"], "real_frames", draws=2)
    fake = sample.frames(clips["video"], "fake_frames", draws=2)
    assert len(real) == len(fake) == 8
    discriminator = model.image_discriminator
    expected = minus_log(discriminator, real, True) + minus_log(discriminator, fake, False)
    assert sample.discriminator_losses(model)[IMAGE] == pytest.approx(expected, abs=1e-5)
    expected = minus_log(discriminator, fake, True)
    expected += minus_log(model.video_discriminator, clips["video"], True)
    assert sample.generator_loss(model) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["hinge", "least_squares", "wasserstein"])
def test_every_network_minimises_the_chosen_loss(linear_gan, sample, kind):
    on_real = {
        "hinge": lambda x: max(0.0, 1 - x),
        "least_squares": lambda x: (x - 1) ** 2 / 2,
        "wasserstein": lambda x: -x,
    }[kind]
    on_fake = {
        "hinge": lambda x: max(0.0, 1 + x),
        "least_squares": lambda x: x**2 / 2,
        "wasserstein": lambda x: x,
    }[kind]
    of_generator = {**dict.fromkeys(("hinge", "wasserstein"), lambda x: -x)}.get(kind, on_real)
    batch, fakes = sample.batch, sample.fakes
    model = linear_gan({"loss": kind}, image_prior=False)
    fakes = {"video": fakes["video"]}
    frames = sample.frames(fakes["video"], "fake_frames")
    samples = {
        IMAGE: (sample.frames(batch["video"], "real_frames", draws=1), frames),
        VIDEO: (batch["video"], fakes["video"]),
    }
    losses, total = sample.discriminator_losses(model, batch, fakes), 0.0
    for network, (real, fake) in samples.items():
        discriminator = getattr(model, network)
        expected = np.mean([on_real(score(discriminator, x)) for x in real])
        expected += np.mean([on_fake(score(discriminator, x)) for x in fake])
        assert losses[network] == pytest.approx(expected, rel=0, abs=1e-5)
        total += np.mean([of_generator(score(discriminator, x)) for x in fake])
    assert sample.generator_loss(model, fakes) == pytest.approx(total, rel=0, abs=1e-5)


# === Images beside videos ===


def test_a_mixed_batch_feeds_the_video_discriminator_videos_only(linear_gan, sample):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    model = linear_gan()
    model.compile("sgd", jit_compile=False)
    random_inputs, results = sample.needed_random_inputs(model), []
    for shown in ({}, {"image": images}, {"image": -images}):
        mixed = tensors({**batch, **shown})
        results.append(model.discriminator_step(mixed, tensors(fakes), random_inputs))
    for losses, gradients, _ in results[1:]:
        assert float(losses[VIDEO]) == float(results[0][0][VIDEO])
        np.testing.assert_array_equal(gradients[VIDEO][0], results[0][1][VIDEO][0])
        assert float(losses[IMAGE]) != float(results[0][0][IMAGE])
        assert (np.abs(gradients[IMAGE][0] - results[0][1][IMAGE][0]) > 1e-3).any()
    model.video_discriminator.seen.clear()
    sample.discriminator_losses(model, {**batch, "image": images})
    real, fake = model.video_discriminator.seen
    np.testing.assert_array_equal(real, batch["video"])
    np.testing.assert_array_equal(fake, fakes["video"])


def test_a_batch_keeps_what_the_networks_can_use(linear_gan):
    data = {
        "video": np.zeros([2, 2, 1, 2, 1], np.uint8),
        "image": np.full([3, 1, 2, 1], 255, np.uint8),
        "label": np.array([1, -1]),
        "index": np.arange(2),
    }
    data = tensors(data)
    batch = linear_gan(categories=2).batch_of(data)
    assert set(batch) == {"video", "image", "label"}
    np.testing.assert_array_equal(batch["video"], np.full([2, 2, 1, 2, 1], -1.0))
    np.testing.assert_array_equal(batch["image"], np.full([3, 1, 2, 1], 1.0))
    assert set(linear_gan().batch_of(data)) == {"video", "image"}
    assert set(linear_gan().batch_of(data["video"])) == {"video"}
    model = linear_gan()
    model.image_discriminator = None
    assert set(model.batch_of(data)) == {"video"}
