"""Options of the objective: label smoothing, instance noise, penalties and categories."""

import statistics

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import Verdict
from kerasvid.models.rjgan import RJGAN
from kerasvid.training.adversarial import score_slopes

IMAGE, VIDEO = "image_discriminator", "video_discriminator"


def said(judge, samples):
    """D(x) = sigma(w . x) of every sample, in float64."""
    w = judge.w.numpy()[:, 0].astype("float64")
    return 1 / (1 + np.exp([-w @ np.ravel(x) for x in samples]))


# === Label smoothing ===


def test_only_the_loss_on_real_samples_is_smoothed(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    plain, smooth = linear_gan(still=False), linear_gan({"real_target": 0.8}, still=False)
    fakes = {"video": fakes["video"]}
    before, after = (sample.judged(m, batch, fakes) for m in (plain, smooth))
    real = {
        IMAGE: sample.frames(batch["video"], "real_frames", draws=1),
        VIDEO: batch["video"],
    }
    for player, samples in real.items():
        judge = getattr(plain, player)
        # -0.8 log D - 0.2 log(1 - D) in place of -log D
        d = said(judge, samples)
        difference = np.mean(0.2 * (np.log(d) - np.log(1 - d)))
        assert after[player] - before[player] == pytest.approx(difference, rel=0, abs=1e-5)
    assert sample.convinced(plain, fakes) == sample.convinced(smooth, fakes)


# === Instance noise ===


@pytest.mark.parametrize(("iteration", "deviation"), [(0, 0.5), (50, 0.3), (100, 0.1), (1e4, 0.1)])
def test_discriminators_see_noise_whose_deviation_follows_the_ramp(
    linear_gan, sample, iteration, deviation
):
    batch, fakes, chances = sample.batch, sample.fakes, sample.chances
    objective = {"instance_noise": (0.5, 0.1), "instance_noise_steps": 100}
    model, clock = linear_gan(objective), tf.constant(float(iteration))
    judges = model.image_discriminator, model.video_discriminator
    real = batch["video"] + deviation * chances["on_real"]
    fake = fakes["video"] + deviation * chances["on_fake"]
    still = fakes["still"] + deviation * chances["on_still"]
    for judge in judges:
        judge.seen.clear()
    sample.judged(model, batch, fakes, clock=clock)
    sample.convinced(model, fakes, clock=clock)
    fake_frames = sample.frames(fake, "fake_frame")
    expected = (
        [sample.frames(real, "real_frames"), fake_frames, still, fake_frames, still],
        [real, fake, fake],
    )
    for judge, inputs in zip(judges, expected, strict=True):
        assert len(judge.seen) == len(inputs)
        for seen, value in zip(judge.seen, inputs, strict=True):
            np.testing.assert_allclose(seen, value, atol=1e-6)


def test_without_instance_noise_inputs_are_seen_to_the_bit(linear_gan, sample):
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    ended = {"instance_noise": (0.5, 0.0), "instance_noise_steps": 10}
    for objective, clock in ((None, 0.0), (ended, 10.0)):
        model = linear_gan(objective)
        model.video_discriminator.seen.clear()
        model.image_discriminator.seen.clear()
        clock = tf.constant(clock)
        sample.judged(model, {**batch, "image": images}, clock=clock)
        real, fake = model.video_discriminator.seen
        np.testing.assert_array_equal(real, batch["video"])
        np.testing.assert_array_equal(fake, fakes["video"])
        np.testing.assert_array_equal(model.image_discriminator.seen[2], fakes["still"])
    assert "on_real" not in linear_gan().chance_shapes(2)


# === Penalties of gradients ===


def penalties(linear_gan, sample, objective, change=lambda model: None, **kwargs):
    """By how much the options raise the loss of each discriminator."""
    batch, images, fakes = sample.batch, sample.images, sample.fakes
    batch = {**batch, "image": images}
    losses = []
    for options in ({}, objective):
        model = linear_gan({"loss": "wasserstein", **options}, **kwargs)
        change(model)
        losses.append(sample.judged(model, batch, fakes))
    return {player: losses[1][player] - losses[0][player] for player in losses[0]}, model


@pytest.mark.parametrize("patches", [1, 2])
def test_penalties_of_linear_critics_are_those_of_their_known_slopes(linear_gan, sample, patches):
    def steepen(model):
        for judge in (model.image_discriminator, model.video_discriminator):
            judge.w.assign(3.0 * judge.w)

    # D(x) = w . x has the gradient w everywhere; a score is the mean of its patches.
    for objective, by_hand in (
        ({"gradient_penalty": 10.0}, lambda slope: 10.0 * (slope - 1.0) ** 2),
        ({"r1_weight": 3.0}, lambda slope: 3.0 / 2.0 * slope**2),
    ):
        added, model = penalties(linear_gan, sample, objective, steepen, patches=patches)
        for player, penalty in added.items():
            slope = np.linalg.norm(getattr(model, player).w.numpy().astype("float64").mean(axis=1))
            assert abs(slope - 1.0) > 0.5
            assert penalty == pytest.approx(by_hand(slope), rel=1e-4)


def test_a_critic_with_slope_one_pays_no_gradient_penalty(linear_gan, sample):
    def normalize(model):
        for judge in (model.image_discriminator, model.video_discriminator):
            judge.w.assign(judge.w / tf.norm(judge.w))

    added, _ = penalties(linear_gan, sample, {"gradient_penalty": 10.0}, normalize)
    assert added == pytest.approx({IMAGE: 0.0, VIDEO: 0.0}, abs=1e-5)


class QuadraticJudge(tf.Module):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    trainable_variables = ()

    def __call__(self, inputs, training=False):
        squares = tf.square(tf.reshape(inputs, [tf.shape(inputs)[0], -1]))
        return Verdict(0.5 * tf.reduce_sum(squares, axis=1, keepdims=True))


def test_penalties_of_a_quadratic_critic_tell_where_slopes_are_taken(linear_gan, sample):
    batch, fakes, chances = sample.batch, sample.fakes, sample.chances

    def replace(model):
        model.video_discriminator = QuadraticJudge()

    norm = lambda x: np.linalg.norm(np.float64(x).ravel())  # noqa: E731
    shares = [statistics.NormalDist().cdf(float(value)) for value in chances["share"][:, 0]]
    between = [
        share * real + (1 - share) * fake
        for share, real, fake in zip(shares, batch["video"], fakes["video"], strict=True)
    ]
    added, _ = penalties(linear_gan, sample, {"gradient_penalty": 2.0}, replace)
    expected = 2.0 * np.mean([(norm(x) - 1.0) ** 2 for x in between])
    assert added[VIDEO] == pytest.approx(expected, rel=1e-4)
    added, _ = penalties(linear_gan, sample, {"r1_weight": 2.0}, replace)
    assert added[VIDEO] == pytest.approx(np.mean([norm(x) ** 2 for x in batch["video"]]), rel=1e-4)


@pytest.mark.parametrize("still", [True, False])
def test_frames_and_stills_pay_the_gradient_penalty_and_extra_images_do_not(
    linear_gan, sample, still
):
    def replace(model):
        model.image_discriminator = QuadraticJudge()

    fakes = dict(sample.fakes) if still else {"video": sample.fakes["video"]}
    sample = sample._replace(fakes=fakes)
    added, _ = penalties(linear_gan, sample, {"gradient_penalty": 2.0}, replace, still=still)
    draws = 2 if still else 1
    real = sample.frames(sample.batch["video"], "real_frames", draws)
    fake = [*sample.frames(fakes["video"], "fake_frame"), *fakes.get("still", ())]
    shares = [statistics.NormalDist().cdf(float(v)) for v in sample.chances["share"].T.ravel()]
    assert len(real) == len(fake) == 4 * draws
    between = [s * r + (1 - s) * f for s, r, f in zip(shares[: 4 * draws], real, fake, strict=True)]
    norms = [np.linalg.norm(np.float64(x).ravel()) for x in between]
    assert added[IMAGE] == pytest.approx(2.0 * np.mean((np.array(norms) - 1.0) ** 2), rel=1e-4)


@pytest.mark.parametrize("player", [IMAGE, VIDEO])
def test_a_wasserstein_critic_of_unbounded_slope_is_refused(player):
    preset = RJGAN.PRESETS["debug"]
    networks = {name: {**preset[name], "spectral": name != player} for name in (IMAGE, VIDEO)}

    def make(**objective):
        objective = {"loss": "wasserstein", **objective}
        return RJGAN.from_preset("debug", image_shape=(8, 8, 3), **networks, objective=objective)

    with pytest.raises(ValueError, match=f"gradient_penalty=10 or {player}.spectral=true") as error:
        make()
    assert "\n" not in str(error.value)
    make(gradient_penalty=10.0)


def test_slopes_are_of_each_row_by_itself():
    points = np.random.default_rng(0).normal(size=[3, 2, 2, 1]).astype("float32")
    expected = [np.linalg.norm(row.astype("float64")) for row in points]
    np.testing.assert_allclose(
        score_slopes(QuadraticJudge(), tf.constant(points)), expected, rtol=1e-5
    )


def test_evaluation_leaves_penalties_out(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    plain, penalized = linear_gan(), linear_gan({"gradient_penalty": 10.0, "r1_weight": 5.0})
    one = sample.judged(plain, batch, fakes)
    assert sample.judged(penalized, batch, fakes, training=False) == one
    assert sample.judged(penalized, batch, fakes) != one


@pytest.mark.parametrize("player", [IMAGE, VIDEO])
@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1_weight"])
def test_batch_norm_under_a_penalty_is_refused(player, penalty):
    networks = {player: {**RJGAN.PRESETS["debug"][player], "normalization": "batch"}}
    with pytest.raises(ValueError, match="set the discriminators' normalization") as error:
        RJGAN.from_preset("debug", image_shape=(8, 8, 3), **networks, objective={penalty: 1.0})
    assert "\n" not in str(error.value)


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
    category = tf.constant(codes)
    before, after = (sample.judged(m, batch, fakes, category) for m in (plain, weighted))
    known = [entropy(batch["video"][0], 2), entropy(batch["video"][2], 0)]
    assert after[VIDEO] - before[VIDEO] == pytest.approx(0.7 * np.mean(known), rel=1e-4)
    assert after[IMAGE] == before[IMAGE]
    before, after = (sample.convinced(m, fakes, category) for m in (plain, weighted))
    told = [entropy(clip, code) for clip, code in zip(fakes["video"], codes, strict=True)]
    assert after - before == pytest.approx(0.7 * np.mean(told), rel=1e-4)


def test_clips_without_labels_train_a_model_with_categories(linear_gan, sample):
    batch, fakes = sample.batch, sample.fakes
    category = tf.constant([0, 1, 2, 0])
    losses = [
        sample.judged(linear_gan({"category_weight": w}, categories=3), batch, fakes, category)
        for w in (0.0, 5.0)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("labelled", [True, False])
def test_fakes_are_told_by_their_codes_only_where_labels_teach_to_tell(
    linear_gan, sample, labelled
):
    def generator_after_a_step(weight):
        model = linear_gan({"category_weight": weight}, categories=3)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        labels = {"label": tf.constant([2, 1, 0, 1], tf.int64)} if labelled else {}
        model.train_on_batch({"video": tf.constant(sample.batch["video"]), **labels})
        return model.gain.g.numpy()

    assert (generator_after_a_step(0.0) != generator_after_a_step(5.0)) == labelled
