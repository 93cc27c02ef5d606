"""What the networks lose, against the formulas over linear discriminators D(x) = sigma(w . x).

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
    said = [1 / (1 + np.exp(-score(discriminator, x))) for x in samples]
    return float(np.mean([-np.log(d if real else 1 - d) for d in said]))


# === Equation (1) ===


@pytest.mark.parametrize("image_prior_weight", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("with_images", [False, True])
def test_the_image_discriminator_loses_its_terms_of_equation_1(
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
    fake = sample.frames(fakes["video"], "fake_frame")
    expected = (
        on_real
        + minus_log(discriminator, fake, False)
        + image_prior_weight * (on_real + minus_log(discriminator, fakes["still"], False))
    )
    loss = sample.judged(model, batch, fakes)[IMAGE]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)


@pytest.mark.parametrize("with_images", [False, True])
def test_the_video_discriminator_loses_its_terms_of_equation_1(linear_gan, sample, with_images):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    model = linear_gan({"image_prior_weight": 0.3})
    discriminator = model.video_discriminator
    expected = minus_log(discriminator, batch["video"], True) + minus_log(
        discriminator, fakes["video"], False
    )
    batch = {**batch, "image": images} if with_images else batch
    loss = sample.judged(model, batch, fakes)[VIDEO]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)


@pytest.mark.parametrize("image_prior_weight", [1.0, 0.3, 0.0])
def test_the_generator_loses_what_both_say_of_clips_and_one_of_stills(
    linear_gan, sample, image_prior_weight
):
    fakes = sample.fakes
    model = linear_gan({"image_prior_weight": image_prior_weight})
    expected = (
        minus_log(model.image_discriminator, sample.frames(fakes["video"], "fake_frame"), True)
        + minus_log(model.video_discriminator, fakes["video"], True)
        + image_prior_weight * minus_log(model.image_discriminator, fakes["still"], True)
    )
    assert sample.convinced(model, fakes) == pytest.approx(expected, rel=0, abs=1e-5)


def test_without_a_fixed_prior_real_frames_count_once_and_one_is_drawn(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    model = linear_gan(still=False)
    fakes = {"video": fakes["video"]}
    real = sample.frames(batch["video"], "real_frames", draws=1)
    fake = sample.frames(fakes["video"], "fake_frame")
    discriminator = model.image_discriminator
    expected = minus_log(discriminator, real, True) + minus_log(discriminator, fake, False)
    loss = sample.judged(model, batch, fakes)[IMAGE]
    assert loss == pytest.approx(expected, rel=0, abs=1e-5)
    expected = minus_log(discriminator, fake, True)
    expected += minus_log(model.video_discriminator, fakes["video"], True)
    assert sample.convinced(model, fakes) == pytest.approx(expected, rel=0, abs=1e-5)


def test_the_image_discriminator_sees_as_many_frames_of_a_clip_as_asked(linear_gan, sample):
    model = linear_gan({"image_frames": 2}, still=False)
    assert model.random_input_shapes(2)["fake_frame"] == (2, 2)
    two = np.random.default_rng(5).normal(size=(4, 2, 2)).astype("float32")
    clips = {"video": sample.fakes["video"]}
    sample = sample._replace(random_inputs={**sample.random_inputs, "fake_frame": two}, fakes=clips)
    real = sample.frames(sample.batch["video"], "real_frames", draws=2)
    fake = sample.frames(clips["video"], "fake_frame", draws=2)
    assert len(real) == len(fake) == 8
    discriminator = model.image_discriminator
    expected = minus_log(discriminator, real, True) + minus_log(discriminator, fake, False)
    assert sample.judged(model)[IMAGE] == pytest.approx(expected, abs=1e-5)
    expected = minus_log(discriminator, fake, True)
    expected += minus_log(model.video_discriminator, clips["video"], True)
    assert sample.convinced(model) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["hinge", "least_squares", "wasserstein"])
def test_every_player_minimises_the_loss_that_was_chosen(linear_gan, sample, kind):
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
    convince = {**dict.fromkeys(("hinge", "wasserstein"), lambda x: -x)}.get(kind, on_real)
    batch, fakes = sample.batch, sample.fakes
    model = linear_gan({"loss": kind}, still=False)
    fakes = {"video": fakes["video"]}
    frames = sample.frames(fakes["video"], "fake_frame")
    judged = {
        IMAGE: (sample.frames(batch["video"], "real_frames", draws=1), frames),
        VIDEO: (batch["video"], fakes["video"]),
    }
    losses, total = sample.judged(model, batch, fakes), 0.0
    for network, (real, fake) in judged.items():
        discriminator = getattr(model, network)
        expected = np.mean([on_real(score(discriminator, x)) for x in real])
        expected += np.mean([on_fake(score(discriminator, x)) for x in fake])
        assert losses[network] == pytest.approx(expected, rel=0, abs=1e-5)
        total += np.mean([convince(score(discriminator, x)) for x in fake])
    assert sample.convinced(model, fakes) == pytest.approx(total, rel=0, abs=1e-5)


# === Images beside videos ===


def test_a_mixed_batch_feeds_the_video_discriminator_videos_only(linear_gan, sample):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    model = linear_gan()
    model.compile("sgd", jit_compile=False)
    asked = tensors({name: sample.random_inputs[name] for name in model.random_input_shapes(2)})
    results = []
    for shown in ({}, {"image": images}, {"image": -images}):
        mixed = tensors({**batch, **shown})
        results.append(model.discriminator(mixed, tensors(fakes), asked, tf.constant(0.0)))
    for losses, gradients in results[1:]:
        assert float(losses[VIDEO]) == float(results[0][0][VIDEO])
        np.testing.assert_array_equal(gradients[VIDEO][0], results[0][1][VIDEO][0])
        assert float(losses[IMAGE]) != float(results[0][0][IMAGE])
        assert (np.abs(gradients[IMAGE][0] - results[0][1][IMAGE][0]) > 1e-3).any()
    model.video_discriminator.seen.clear()
    sample.judged(model, {**batch, "image": images})
    real, fake = model.video_discriminator.seen
    np.testing.assert_array_equal(real, batch["video"])
    np.testing.assert_array_equal(fake, fakes["video"])


def test_a_batch_keeps_what_the_players_can_use(linear_gan):
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
    without_judge = linear_gan()
    without_judge.image_discriminator = None
    assert set(without_judge.batch_of(data)) == {"video"}
