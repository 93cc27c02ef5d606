"""Options of the objective: label smoothing, instance noise, augmentation and categories."""

import statistics

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.augmentation import augmented
from kerasvid.models.base.gan_losses import divergence

IMAGE, VIDEO = "image_discriminator", "video_discriminator"


def output_of(discriminator, samples):
    """D(x) = sigma(w . x) of every sample, in float64."""
    w = discriminator.w.numpy()[:, 0].astype("float64")
    return 1 / (1 + np.exp([-w @ np.ravel(x) for x in samples]))


# === Label smoothing ===


def test_only_the_loss_on_real_samples_is_smoothed(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    plain, smooth = (
        linear_gan(image_prior=False),
        linear_gan({"real_target": 0.8}, image_prior=False),
    )
    fakes = {"video": fakes["video"]}
    before, after = (sample.discriminator_losses(m, batch, fakes) for m in (plain, smooth))
    real = {
        IMAGE: sample.frames(batch["video"], "real_frames", draws=1),
        VIDEO: batch["video"],
    }
    for network, samples in real.items():
        discriminator = getattr(plain, network)
        # -0.8 log D - 0.2 log(1 - D) in place of -log D
        d = output_of(discriminator, samples)
        difference = np.mean(0.2 * (np.log(d) - np.log(1 - d)))
        assert after[network] - before[network] == pytest.approx(difference, rel=0, abs=1e-5)
    assert sample.generator_loss(plain, fakes) == sample.generator_loss(smooth, fakes)


# === Instance noise ===


@pytest.mark.parametrize(("step", "std"), [(0, 0.5), (50, 0.3), (100, 0.1), (1e4, 0.1)])
def test_discriminators_see_noise_whose_std_follows_the_ramp(linear_gan, sample, step, std):
    batch, fakes, random_inputs = sample.batch, sample.fakes, sample.random_inputs
    objective = {"instance_noise_std": (0.5, 0.1), "instance_noise_steps": 100}
    model = linear_gan(objective)
    discriminators = model.image_discriminator, model.video_discriminator
    real = batch["video"] + std * random_inputs["real_video_noise"]
    fake = fakes["video"] + std * random_inputs["fake_video_noise"]
    image = fakes["image"] + std * random_inputs["fake_image_noise"]
    for discriminator in discriminators:
        discriminator.seen.clear()
    sample.discriminator_losses(model, batch, fakes, step=step)
    sample.generator_loss(model, fakes, step=step)
    fake_frames = sample.frames(fake, "fake_frames")
    expected = (
        [sample.frames(real, "real_frames"), fake_frames, image, fake_frames, image],
        [real, fake, fake],
    )
    for discriminator, inputs in zip(discriminators, expected, strict=True):
        assert len(discriminator.seen) == len(inputs)
        for seen, value in zip(discriminator.seen, inputs, strict=True):
            np.testing.assert_allclose(seen, value, atol=1e-6)


def test_without_instance_noise_inputs_are_seen_to_the_bit(linear_gan, sample):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    ended = {"instance_noise_std": (0.5, 0.0), "instance_noise_steps": 10}
    for objective, step in ((None, 0.0), (ended, 10.0)):
        model = linear_gan(objective)
        model.video_discriminator.seen.clear()
        model.image_discriminator.seen.clear()
        sample.discriminator_losses(model, {**batch, "image": images}, step=step)
        real, fake = model.video_discriminator.seen
        np.testing.assert_array_equal(real, batch["video"])
        np.testing.assert_array_equal(fake, fakes["video"])
        np.testing.assert_array_equal(model.image_discriminator.seen[2], fakes["image"])
    assert "real_video_noise" not in linear_gan().random_input_shapes(2)


# === Augmentation ===

AUGMENTED = {"augmentation": ["color"]}


def recoloured(samples, gaussians, probability=1.0):
    return augmented(tf.constant(samples), tf.constant(gaussians), ["color"], probability).numpy()


def test_discriminators_see_real_and_generated_clips_changed_by_their_own_numbers(
    linear_gan, sample
):
    random_inputs = sample.random_inputs
    model = linear_gan(AUGMENTED)
    sample.discriminator_losses(model, {**sample.batch, "image": sample.images})
    sample.generator_loss(model)
    real, fake, image = (
        recoloured(samples, random_inputs[f"{name}_change"])
        for name, samples in (
            ("real_video", sample.batch["video"]),
            ("fake_video", sample.fakes["video"]),
            ("fake_image", sample.fakes["image"]),
        )
    )
    assert np.abs(real - sample.batch["video"]).max() > 0.1
    for seen, value in zip(model.video_discriminator.seen[-3:], (real, fake, fake), strict=True):
        np.testing.assert_allclose(seen, value, atol=1e-6)
    images = recoloured(sample.images, random_inputs["real_image_change"])
    frames = [*sample.frames(real, "real_frames"), *images]
    seen = model.image_discriminator.seen[-5:]
    np.testing.assert_allclose(seen[0], frames, atol=1e-6)
    np.testing.assert_allclose(seen[1], sample.frames(fake, "fake_frames"), atol=1e-6)
    np.testing.assert_allclose(seen[2], image, atol=1e-6)


def test_evaluation_sees_clips_as_they_are(linear_gan, sample):
    model = linear_gan(AUGMENTED)
    sample.discriminator_losses(model, training=False)
    np.testing.assert_array_equal(model.video_discriminator.seen[-2], sample.batch["video"])


@pytest.mark.parametrize(("scale", "end"), [(10.0, 4 * 8 / 100), (-10.0, 0.0)])
def test_an_adapted_probability_follows_the_signs_of_real_scores(linear_gan, scale, end):
    clips = np.random.default_rng(0).uniform(0.5, 1, [32, 2, 1, 2, 1]).astype("float32")
    adapted = {**AUGMENTED, "augmentation_target": 0.6, "augmentation_ramp": 100}
    model = linear_gan(adapted)
    for discriminator in (model.image_discriminator, model.video_discriminator):
        discriminator.w.assign(scale * tf.ones_like(discriminator.w))
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(clips, batch_size=8, verbose=0).history
    assert float(model.augmentation_probability.numpy()) == pytest.approx(end)
    assert history["augmentation_probability"] == pytest.approx([2.5 * 8 / 100 if end else 0.0])


# === Scores ===


def test_mean_scores_of_real_and_generated_samples_are_reported(linear_gan):
    clips = np.random.default_rng(0).uniform(-1, 1, [4, 2, 1, 2, 1]).astype("float32")
    model = linear_gan(image_prior=False)
    model.compile("sgd")
    found = model.evaluate(clips, batch_size=4, verbose=0, return_dict=True)
    w = model.video_discriminator.w.numpy()[:, 0]
    assert found[f"{VIDEO}_real"] == pytest.approx(np.mean(clips.reshape(4, -1) @ w), abs=1e-5)
    assert {f"{IMAGE}_real", f"{IMAGE}_fake", f"{VIDEO}_fake"} <= set(found)


def test_the_divergence_is_the_share_of_the_way_from_training_to_generated_clips(linear_gan):
    training = {f"{VIDEO}_real": 3.0, f"{IMAGE}_real": 1.0}
    held_out = {f"{VIDEO}_real": 1.0, f"{VIDEO}_fake": -1.0}
    held_out |= {f"{IMAGE}_real": 1.0, f"{IMAGE}_fake": 0.0}
    found = linear_gan().divergences(training, held_out)
    assert found == {f"{VIDEO}_divergence": 0.5, f"{IMAGE}_divergence": 0.0}


def test_a_discriminator_that_tells_nothing_apart_does_not_diverge():
    assert divergence(real=1.0, held_out=0.0, fake=1.0) == 0.0


# === Categories ===


def test_clips_are_classified_by_their_labels_and_fakes_by_their_codes(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    labels, codes = np.array([2, -1, 0, -1]), np.array([1, 0, 2, 2])
    plain = linear_gan({"category_weight": 0.0}, categories=3)
    weighted = linear_gan({"category_weight": 0.7}, categories=3)
    classes = weighted.video_discriminator.w.numpy()[:, 1:].astype("float64")

    def entropy(clip, label):
        logits = np.ravel(clip) @ classes
        return np.log(np.exp(logits).sum()) - logits[label]

    batch = {**batch, "label": labels}
    fakes = {"video": fakes["video"], "category": np.eye(3, dtype="float32")[codes]}
    batch = {**batch, "known_share": np.float32(0.5)}
    before, after = (sample.discriminator_losses(m, batch, fakes) for m in (plain, weighted))
    known = [entropy(batch["video"][0], 2), entropy(batch["video"][2], 0)]
    assert after[VIDEO] - before[VIDEO] == pytest.approx(0.7 * np.mean(known), rel=1e-4)
    assert after[IMAGE] == before[IMAGE]
    before, after = (sample.generator_loss(m, fakes, batch) for m in (plain, weighted))
    expected = [entropy(clip, code) for clip, code in zip(fakes["video"], codes, strict=True)]
    assert after - before == pytest.approx(0.7 * np.mean(expected), rel=1e-4)


def test_clips_without_labels_train_a_model_with_categories(linear_gan, sample):
    losses = [
        sample.discriminator_losses(linear_gan({"category_weight": w}, categories=3))
        for w in (0.0, 5.0)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("labels", "classified"),
    [([2, 1, 0, 1], True), ([-1, -1, 0, -1], True), ([-1, -1, -1, -1], False), (None, False)],
)
def test_fakes_are_classified_only_where_a_batch_has_known_labels(
    linear_gan, sample, labels, classified
):
    batch = {"video": tf.constant(sample.batch["video"])}
    if labels:
        batch["label"] = tf.constant(labels, tf.int64)

    def generator_after_a_step(weight):
        model = linear_gan({"category_weight": weight}, categories=3)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        model.train_on_batch(batch)
        return model.gain.g.numpy()

    assert (generator_after_a_step(0.0) != generator_after_a_step(5.0)) == classified


# === Projection ===


def projected_by_hand(model, clips, labels):
    """Logits `[B, P]` of a linear D_V in float64: s_0 + s_(1+y), s_0 where unknown."""
    w = model.video_discriminator.w.numpy().astype("float64")
    scores = np.float64(clips).reshape(len(clips), -1) @ w
    patches = model.video_discriminator.patches
    of_classes = np.pad(scores[:, patches:], ((0, 0), (0, 1)))  # the last is unknown
    return scores[:, :patches] + of_classes[np.arange(len(clips)), labels][:, None]


@pytest.fixture(params=[1, 2], ids=["whole", "patches"])
def projecting(request, linear_gan):
    """A function of options to a model whose D_V projects."""

    def make(**options):
        objective = {"conditioning": "projection", "category_weight": 5.0, **options}
        return linear_gan(objective, patches=request.param, categories=3)

    return make


def labelled(sample, labels=(2, -1, 0, 1), codes=(1, 0, 2, 2)):
    """A batch with labels, generated clips with classes, and the labels of these for D_V."""
    batch = {**sample.batch, "label": np.array(labels), "known_share": np.float32(0.75)}
    fakes = {"video": sample.fakes["video"], "category": np.eye(3, dtype="float32")[list(codes)]}
    return batch, fakes, np.where(np.array(labels) < 0, -1, codes)


def test_a_projection_scores_a_clip_as_one_of_its_class(projecting, sample):
    model = projecting()
    batch, fakes, of_fakes = labelled(sample)
    real = projected_by_hand(model, batch["video"], batch["label"])
    fake = projected_by_hand(model, fakes["video"], of_fakes)
    expected = np.mean(np.log1p(np.exp(-real))) + np.mean(np.log1p(np.exp(fake)))
    found = sample.discriminator_losses(model, batch, fakes)
    assert found[VIDEO] == pytest.approx(expected, rel=1e-5)
    shown = sample.generator_loss(model, fakes, batch)
    frames = np.stack(sample.frames(fakes["video"], "fake_frames")).reshape(4, -1)
    of_frames = frames @ model.image_discriminator.w.numpy().astype("float64")
    expected = np.mean(np.log1p(np.exp(-fake))) + np.mean(np.log1p(np.exp(-of_frames)))
    assert shown == pytest.approx(expected, rel=1e-5)


def test_penalties_are_of_the_projected_logit(projecting, sample):
    batch, fakes, _ = labelled(sample)
    plain = sample.discriminator_losses(projecting(), batch, fakes)[VIDEO]
    w = projecting().video_discriminator.w.numpy().astype("float64")
    patches = projecting().video_discriminator.patches
    of_classes = np.pad(w[:, patches:], ((0, 0), (0, 1)))[:, batch["label"]]  # [pixels, B]
    norms = np.linalg.norm(w[:, :patches].mean(axis=1)[:, None] + of_classes, axis=0)
    for options, expected in (
        ({"r1_weight": 3.0}, 1.5 * np.mean(norms**2)),
        ({"gradient_penalty": 2.0}, 2.0 * np.mean((norms - 1.0) ** 2)),
    ):
        more = sample.discriminator_losses(projecting(**options), batch, fakes)[VIDEO]
        assert more - plain == pytest.approx(expected, rel=1e-4)


def test_some_samples_of_r1_keep_their_labels(projecting, sample):
    batch, fakes, _ = labelled(sample)
    plain = sample.discriminator_losses(projecting(), batch, fakes)[VIDEO]
    w = projecting().video_discriminator.w.numpy().astype("float64")
    patches = projecting().video_discriminator.patches
    of_classes = np.pad(w[:, patches:], ((0, 0), (0, 1)))[:, batch["label"]]
    norms = np.linalg.norm(w[:, :patches].mean(axis=1)[:, None] + of_classes, axis=0)
    uniform = statistics.NormalDist().cdf(float(sample.random_inputs["r1_first"][0, 0]))
    chosen = (int(uniform * 4) + np.array([0, 2])) % 4
    options = {"r1_weight": 3.0, "r1_interval": 2}
    more = sample.discriminator_losses(projecting(**options), batch, fakes)[VIDEO]
    assert more - plain == pytest.approx(1.5 * np.mean(norms[chosen] ** 2), rel=1e-4)


def test_clips_without_labels_have_the_logit_of_no_class(projecting, sample):
    model = projecting()
    _, fakes, _ = labelled(sample)
    found = sample.discriminator_losses(model, sample.batch, fakes)
    none = [-1] * 4
    real = projected_by_hand(model, sample.batch["video"], none)
    fake = projected_by_hand(model, fakes["video"], none)
    expected = np.mean(np.log1p(np.exp(-real))) + np.mean(np.log1p(np.exp(fake)))
    assert found[VIDEO] == pytest.approx(expected, rel=1e-5)
    batch, fakes, _ = labelled(sample, labels=none)
    assert sample.discriminator_losses(model, batch, fakes) == found


def test_a_projection_needs_classes(linear_gan):
    with pytest.raises(
        ValueError, match=r"the model has no classes\. Set conditional=true"
    ) as error:
        linear_gan({"conditioning": "projection"})
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="conditioning='none' must be auxiliary or projection"):
        linear_gan({"conditioning": "none"}, categories=2)
