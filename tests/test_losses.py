import numpy as np
import pytest
import tensorflow as tf

from kerasvid import losses
from kerasvid.losses import laplacian_pyramid


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    target, prediction = generator.uniform(-1, 1, size=[2, 3, 2, 4, 4, 3]).astype("float32")
    return target, prediction


def test_squared_error_sums_everything_but_the_batch(pair):
    target, prediction = pair
    expected = [np.sum((t.astype("float64") - p) ** 2) for t, p in zip(*pair, strict=True)]
    error = losses.squared_error(tf.constant(target), tf.constant(prediction))
    assert error.shape == (3,)
    np.testing.assert_allclose(error, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
def test_the_gaussian_loss_is_the_negative_log_density_without_its_constant(pair, scale):
    target, prediction = pair
    size = target[0].size
    deviation = target.astype("float64") - prediction
    log_density = -0.5 * (deviation / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi))
    expected = -log_density.reshape(3, -1).sum(axis=1) - size * np.log(scale * np.sqrt(2 * np.pi))
    loss = losses.gaussian_reconstruction_loss(tf.constant(target), tf.constant(prediction), scale)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_a_perfect_reconstruction_has_no_loss(pair):
    target = tf.constant(pair[0])
    np.testing.assert_array_equal(
        losses.gaussian_reconstruction_loss(target, target, 0.1), np.zeros(3)
    )


def test_psnr_of_a_uniform_error_is_twenty_log_of_the_range_over_it():
    target = tf.zeros([2, 1, 4, 4, 1])
    off = tf.concat([target[:1] + 0.2, target[1:] + 0.02], axis=0)
    # The range of pixels in [-1, 1] is 2: errors of a tenth and a hundredth of it.
    np.testing.assert_allclose(losses.psnr(target, off), [20.0, 40.0], rtol=1e-4)


def test_psnr_agrees_with_the_definition_over_255_levels(pair):
    levels = [np.round((video + 1.0) * 127.5) for video in pair]
    error = ((levels[0] - levels[1]) ** 2).reshape(3, -1).mean(axis=1)
    pixels = [tf.constant(video / 127.5 - 1.0, tf.float32) for video in levels]
    np.testing.assert_allclose(losses.psnr(*pixels), 10 * np.log10(255.0**2 / error), rtol=1e-4)


def test_psnr_of_equal_videos_is_finite():
    assert np.isfinite(losses.psnr(tf.zeros([1, 2]), tf.zeros([1, 2])).numpy()).all()


# === Adversarial losses ===

# Two rows of two patches, by hand: log(1 + e^-2) = 0.126928, log(1 + e^2) = 2.126928,
# log 2 = 0.693147, log(1 + e^-1) = 0.313262, log(1 + e) = 1.313262.
LOGITS = [[2.0, 0.0], [-1.0, 1.0]]
BY_HAND = {
    # kind: (on real, on fake, generator)
    "logistic": (
        [(0.126928 + 0.693147) / 2, (1.313262 + 0.313262) / 2],
        [(2.126928 + 0.693147) / 2, (0.313262 + 1.313262) / 2],
        [(0.126928 + 0.693147) / 2, (1.313262 + 0.313262) / 2],
    ),
    "hinge": ([(0.0 + 1.0) / 2, (2.0 + 0.0) / 2], [(3.0 + 1.0) / 2, (0.0 + 2.0) / 2], [-1.0, 0.0]),
    "least_squares": (
        [(0.5 + 0.5) / 2, (2.0 + 0.0) / 2],
        [(2.0 + 0.0) / 2, (0.5 + 0.5) / 2],
        [(0.5 + 0.5) / 2, (2.0 + 0.0) / 2],
    ),
    "wasserstein": ([-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]),
}


@pytest.mark.parametrize("kind", losses.ADVERSARIAL_LOSSES)
def test_adversarial_losses_are_those_worked_out_by_hand(kind):
    logits = tf.constant(LOGITS)
    on_real, on_fake, generator = BY_HAND[kind]
    np.testing.assert_allclose(losses.loss_on_real(logits, kind), on_real, atol=2e-6)
    np.testing.assert_allclose(losses.loss_on_fake(logits, kind), on_fake, atol=2e-6)
    np.testing.assert_allclose(losses.generator_loss(logits, kind), generator, atol=2e-6)


def test_the_logistic_losses_are_logarithms_of_probabilities():
    logits = np.random.default_rng(0).normal(size=[5]) * 3
    said = 1 / (1 + np.exp(-logits))  # D(x)
    rows = tf.constant(logits[:, None], tf.float32)
    np.testing.assert_allclose(losses.loss_on_real(rows), -np.log(said), rtol=1e-5)
    np.testing.assert_allclose(losses.loss_on_fake(rows), -np.log(1 - said), rtol=1e-5)
    np.testing.assert_allclose(losses.generator_loss(rows), -np.log(said), rtol=1e-5)
    smooth = -0.9 * np.log(said) - 0.1 * np.log(1 - said)
    np.testing.assert_allclose(losses.loss_on_real(rows, target=0.9), smooth, rtol=1e-5)


def test_smoothed_least_squares_pull_real_logits_to_the_target():
    rows = tf.constant([[0.9], [1.9], [0.0]])
    on_real = losses.loss_on_real(rows, "least_squares", target=0.9)
    np.testing.assert_allclose(on_real, [0.0, 0.5, 0.405], atol=1e-6)


@pytest.mark.parametrize("kind", ["logistic", "wasserstein"])
def test_large_logits_give_finite_losses(kind):
    rows = tf.constant([[1e4], [-1e4]])
    for loss in (losses.loss_on_real, losses.loss_on_fake, losses.generator_loss):
        assert np.isfinite(loss(rows, kind)).all()


@pytest.mark.parametrize("loss", [losses.loss_on_real, losses.loss_on_fake, losses.generator_loss])
def test_an_unknown_kind_of_loss_is_refused_with_the_known_ones(loss):
    with pytest.raises(ValueError, match="'hing' is unknown: use logistic, hinge, ") as error:
        loss(tf.zeros([1, 1]), "hing")
    assert "\n" not in str(error.value)


def test_patches_of_any_shape_are_averaged_by_row():
    values = np.random.default_rng(0).normal(size=[3, 2, 4, 5]).astype("float32")
    expected = [row.astype("float64").mean() for row in values]
    np.testing.assert_allclose(losses.per_row(tf.constant(values)), expected, rtol=1e-5)


# === Classification ===


def test_classification_is_the_cross_entropy_of_the_known_labels():
    logits = np.random.default_rng(0).normal(size=[4, 3])
    labels = np.array([2, -1, 0, -1])
    entropy = np.log(np.exp(logits).sum(axis=1)) - logits[range(4), labels]
    loss = losses.classification_loss(tf.constant(logits, tf.float32), tf.constant(labels))
    # Two of four rows are known: each counts twice, so that the mean is theirs.
    np.testing.assert_allclose(loss, [2 * entropy[0], 0.0, 2 * entropy[2], 0.0], rtol=1e-5)
    assert float(tf.reduce_mean(loss)) == pytest.approx((entropy[0] + entropy[2]) / 2, rel=1e-5)


def test_parts_of_a_batch_are_classified_as_the_whole_of_it():
    logits = tf.constant(np.random.default_rng(0).normal(size=[6, 3]), tf.float32)
    labels = tf.constant([2, -1, 0, -1, -1, 1])
    whole, share = losses.classification_loss(logits, labels), losses.known_share(labels)
    assert float(share) == 0.5
    parts = [
        losses.classification_loss(logits[rows], labels[rows], share)
        for rows in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_allclose(tf.concat(parts, axis=0), whole, rtol=1e-6)


def test_without_any_label_nothing_is_classified():
    logits = tf.Variable(tf.ones([2, 3]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses.classification_loss(logits, tf.constant([-1, -1])))
    assert float(loss) == 0.0
    np.testing.assert_array_equal(tape.gradient(loss, logits), np.zeros([2, 3]))


# === Penalties ===


def test_gradient_norms_are_those_of_each_row():
    points = np.random.default_rng(0).normal(size=[3, 2, 4]).astype("float32")
    inputs = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.reduce_sum(inputs**3, axis=[1, 2])
    expected = [np.linalg.norm(3 * row.astype("float64") ** 2) for row in points]
    np.testing.assert_allclose(losses.gradient_norms(outputs, inputs, tape), expected, rtol=1e-5)


def test_the_scale_of_outputs_is_none_of_their_gradients():
    inputs = tf.constant([[3.0, 4.0], [0.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = 8.0 * 0.5 * tf.reduce_sum(inputs**2, axis=1)
    norms = losses.gradient_norms(outputs, inputs, tape, scale=8.0)
    np.testing.assert_allclose(norms, [5.0, 2.0], rtol=1e-6)


def test_a_gradient_norm_of_zero_can_be_differentiated():
    slope, inputs = tf.Variable(0.0), tf.ones([1, 2])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = slope * tf.reduce_sum(inputs, axis=1)
        norms = losses.gradient_norms(outputs, inputs, tape)
    assert float(norms[0]) == pytest.approx(0.0, abs=1e-5)
    assert np.isfinite(outer.gradient(norms, slope))


def test_mixed_rows_lie_between_by_the_share_of_their_row():
    real, fake = np.random.default_rng(0).normal(size=[2, 3, 2, 4, 1]).astype("float32")
    share = [0.0, 1.0, 0.25]
    mixed = losses.mixed_rows(tf.constant(real), tf.constant(fake), tf.constant(share))
    expected = [fake[0], real[1], 0.25 * real[2] + 0.75 * fake[2]]
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


# === Learned codes ===


def test_the_pyramid_loss_is_the_weighted_sum_of_its_bands():
    generator = np.random.default_rng(0)
    target, shown = generator.normal(size=[2, 2, 3, 8, 8, 1]).astype("float32")
    losses_of = losses.pyramid_loss(tf.constant(target), tf.constant(shown), 2)
    expected = np.zeros([2, 3])
    for row in range(2):
        for frame in range(3):
            one, other = (laplacian_pyramid(v[row, frame][None], 2) for v in (target, shown))
            for level in range(3):
                total = np.abs(one[level].numpy() - other[level].numpy()).sum()
                expected[row, frame] += 4.0**level * total / 64.0
    np.testing.assert_allclose(losses_of, expected, rtol=1e-5)


def test_the_triplet_loss_is_that_of_a_triple_loop():
    codes = np.random.default_rng(0).normal(size=[2, 7, 3]).astype("float32")
    for margin, near, far in ((0.5, 2, 2), (3.0, 1, 4)):
        expected = []
        for clip in codes.astype(float):
            found = []
            for a in range(7):
                for p in range(7):
                    for n in range(7):
                        if 0 < abs(a - p) <= near and abs(a - n) > far:
                            near_gap = np.sum((clip[a] - clip[p]) ** 2)
                            far_gap = np.sum((clip[a] - clip[n]) ** 2)
                            found.append(max(near_gap + margin - far_gap, 0.0))
            expected.append(np.mean(found))
        loss = losses.triplet_loss(tf.constant(codes), margin, near, far)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_clips_without_triplets_are_refused():
    with pytest.raises(ValueError, match=r"Clips of 3 frames have no triplets") as error:
        losses.triplet_loss(tf.zeros([1, 3, 2]), 1.0, 2, 2)
    assert "\n" not in str(error.value)


def test_a_displaced_object_has_a_gradient_in_cells_alone():
    frame = np.zeros([1, 1, 16, 16, 1], np.float32)
    near, far = frame.copy(), frame.copy()
    frame[0, 0, 0:2, 0:2] = near[0, 0, 0:2, 4:6] = far[0, 0, 0:2, 12:14] = 1.0
    frame, near, far = map(tf.constant, (frame, near, far))
    pixels = [float(losses.squared_error(frame, other)[0]) for other in (near, far)]
    assert pixels[0] == pixels[1] == 8.0
    cells = [float(losses.coarse_error(frame, other, 4)[0]) for other in (near, far)]
    # Of 4 pixels each: in cells of 2 and 4 pixels 4 (1 + 1) and 16 (1/16 + 1/16); those of 8 hold
    # both where they are near, and 64 (1/256 + 1/256) where they are far.
    assert cells == pytest.approx([(8.0 + 2.0) / 4, (8.0 + 2.0 + 0.5) / 4], rel=1e-6)
