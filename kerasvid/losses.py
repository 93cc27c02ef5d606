"""Losses as pure functions over network outputs; every term keeps its batch axis."""

import math

import numpy as np
import tensorflow as tf


def squared_error(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Squared error summed over everything but the batch: `[B, ...] -> [B]`."""
    axes = list(range(1, target.shape.rank))
    return tf.reduce_sum(tf.math.squared_difference(target, prediction), axis=axes)


def coarse_error(target: tf.Tensor, prediction: tf.Tensor, levels: int) -> tf.Tensor:
    """Squared error of frames in cells of 2, 4, ..., 2^levels pixels.

        1/L sum_(l=1..L) 4^l |P_l (x - y)|^2,   P_l: the mean of every cell of 2^l x 2^l pixels

    A thing beside its place has a gradient by the place in cells as wide as the distance, not in
    pixels.

    Args:
        target, prediction: `[B, T, H, W, C]`, H and W static multiples of 2^levels.
        levels: L, at least 1.

    Returns:
        `[B]`.
    """
    rows, frames = tf.shape(target)[0], target.shape[1]
    cells = tf.reshape(target - prediction, [-1, *target.shape[2:]])  # [B * T, H, W, C]
    total = tf.zeros([rows])
    for level in range(1, levels + 1):
        cells = tf.nn.avg_pool2d(cells, 2, 2, "VALID")
        squares = tf.reduce_sum(tf.square(cells), axis=[1, 2, 3])  # [B * T]
        total += 4.0**level * tf.reduce_sum(tf.reshape(squares, [rows, frames]), axis=1)
    return total / levels


def l2_distance(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """|v - v'|_2 of each row, in pixels of [0, 1], of pixels in [-1, 1]: `[B, ...] -> [B]`."""
    return 0.5 * tf.sqrt(squared_error(target, prediction))


def gaussian_reconstruction_loss(
    target: tf.Tensor, prediction: tf.Tensor, scale: tf.Tensor
) -> tf.Tensor:
    """-log N(target; prediction, scale^2 I) without D log(scale sqrt(2 pi)): `[B, ...] -> [B]`.

    Args:
        target, prediction: `[B, ...]` pixels in [-1, 1].
        scale: positive scalar, the standard deviation of an observed pixel.
    """
    return squared_error(target, prediction) / (2.0 * tf.square(scale))


def psnr(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio in dB of `[B, ...]` pixels in [-1, 1], over each row: `[B]`."""
    return psnr_of_error(per_row(tf.math.squared_difference(target, prediction)))


def psnr_of_error(mean_squared_error: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio in dB of mean squared errors of pixels in [-1, 1], each alone."""
    return 10.0 * tf.math.log(4.0 / tf.maximum(mean_squared_error, 1e-10)) / tf.math.log(10.0)


ADVERSARIAL_LOSSES = ("logistic", "hinge", "least_squares", "wasserstein")


def per_row(values: tf.Tensor) -> tf.Tensor:
    """The mean over everything but the batch, such as patches: `[B, ...] -> [B]`."""
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def loss_on_real(logits: tf.Tensor, kind: str = "logistic", target: float = 1.0) -> tf.Tensor:
    """A discriminator's loss on real samples: `[B, ...] -> [B]`.

    With l the logits and y the target:

    - logistic: -y log sigma(l) - (1 - y) log(1 - sigma(l)), with sigma(l) = D(x)
    - hinge: max(0, 1 - l)
    - least_squares: (l - y)^2 / 2
    - wasserstein: -l

    Args:
        logits: of real samples, one a patch.
        kind: of `ADVERSARIAL_LOSSES`.
        target: less than 1 for one-sided label smoothing; hinge and wasserstein have no target.

    Raises:
        ValueError: the kind is unknown.

    Example:
        >>> float(loss_on_real(tf.zeros([1, 4]))[0])  # log 2
        0.6931471824645996
    """
    if kind == "logistic":
        return per_row(target * tf.nn.softplus(-logits) + (1.0 - target) * tf.nn.softplus(logits))
    if kind == "least_squares":
        return per_row(0.5 * tf.square(logits - target))
    if kind == "hinge":
        return per_row(tf.nn.relu(1.0 - logits))
    return per_row(-_known_kind(kind, logits))


def loss_on_fake(logits: tf.Tensor, kind: str = "logistic") -> tf.Tensor:
    """A discriminator's loss on generated samples: `[B, ...] -> [B]`.

    logistic: -log(1 - sigma(l)); hinge: max(0, 1 + l); least_squares: l^2 / 2; wasserstein: l.
    """
    if kind == "logistic":
        return per_row(tf.nn.softplus(logits))
    if kind == "least_squares":
        return per_row(0.5 * tf.square(logits))
    if kind == "hinge":
        return per_row(tf.nn.relu(1.0 + logits))
    return per_row(_known_kind(kind, logits))


def generator_loss(logits: tf.Tensor, kind: str = "logistic") -> tf.Tensor:
    """A generator's loss on its samples: `[B, ...] -> [B]`.

    logistic, non-saturating: -log sigma(l); least_squares: (l - 1)^2 / 2; hinge and wasserstein:
    -l.
    """
    if kind == "logistic":
        return per_row(tf.nn.softplus(-logits))
    if kind == "least_squares":
        return per_row(0.5 * tf.square(logits - 1.0))
    return per_row(-_known_kind(kind, logits))


def _known_kind(kind: str, logits: tf.Tensor) -> tf.Tensor:
    if kind not in ADVERSARIAL_LOSSES:
        raise ValueError(f"The loss {kind!r} is unknown: use {', '.join(ADVERSARIAL_LOSSES)}.")
    return logits


def known_share(labels: tf.Tensor) -> tf.Tensor:
    """The share, from 0 to 1, of labels `[B]` that are known; -1 is an unknown one."""
    return tf.reduce_mean(tf.cast(labels >= 0, tf.float32))


def classification_loss(
    logits: tf.Tensor, labels: tf.Tensor, share: tf.Tensor | None = None
) -> tf.Tensor:
    """Cross-entropy of the known labels: `[B, K], [B] -> [B]`, of which the mean is over those.

    Args:
        logits: `[B, K]` float32.
        labels: `[B]`, less than K; -1 for an unknown one, whose loss is 0.
        share: `known_share` of the batch on all replicas; of these rows where `None`.
    """
    known = tf.cast(labels >= 0, logits.dtype)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    return tf.math.divide_no_nan(entropy * known, known_share(labels) if share is None else share)


def gradient_norms(
    outputs: tf.Tensor, inputs: tf.Tensor, tape: tf.GradientTape, scale: float = 1.0
) -> tf.Tensor:
    """The norm of each row's gradient: `[B]`.

    Args:
        outputs: `[B]`, of which row i depends on row i of the inputs alone.
        inputs: `[B, ...]` float32, watched by the tape.
        tape: that recorded the outputs.
        scale: that the outputs were multiplied by, which the norms are not.
    """
    gradient = tape.gradient(outputs, inputs) / scale
    squares = squared_error(gradient, tf.zeros_like(gradient))
    return tf.sqrt(squares + 1e-12)  # the root has no derivative at 0


def mixed_rows(real: tf.Tensor, fake: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """`share * real + (1 - share) * fake`, with one share in [0, 1] a row: `[B]`."""
    share = tf.reshape(share, [-1] + [1] * (real.shape.rank - 1))
    return share * real + (1.0 - share) * fake


def pyramid_loss(target: tf.Tensor, prediction: tf.Tensor, levels: int) -> tf.Tensor:
    """The Laplacian pyramid loss of images, 1 / (H W C) sum_l 2^(2l) |L^l(v) - L^l(v')|_1.

    Args:
        target, prediction: `[..., H, W, C]` float32.
        levels: of the `laplacian_pyramid`.

    Returns:
        A loss for each image, `[...]`.
    """
    difference = target - prediction
    frames = tf.reshape(difference, [-1, *difference.shape[-3:]])  # [N, H, W, C]
    totals = [
        4.0**level * tf.reduce_sum(tf.abs(band), axis=[1, 2, 3])
        for level, band in enumerate(laplacian_pyramid(frames, levels))
    ]
    size = float(math.prod(difference.shape[-3:]))
    return tf.reshape(tf.add_n(totals) / size, tf.shape(difference)[:-3])


def triplet_mask(frames: int, positive_range: int, negative_range: int) -> np.ndarray:
    """Which (anchor, positive, negative) of a clip count: bool `[T, T, T]`.

    A positive is another frame at most `positive_range` away, a negative is more than
    `negative_range` away.
    """
    gaps = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    positive, negative = (gaps > 0) & (gaps <= positive_range), gaps > negative_range
    return positive[:, :, None] & negative[:, None, :]


def triplet_loss(
    codes: tf.Tensor, margin: float, positive_range: int = 2, negative_range: int = 2
) -> tf.Tensor:
    """The mean over all triplets of max(|a - p|^2 + margin - |a - n|^2, 0): `[B, T, D] -> [B]`.

    Args:
        codes: a frame's each, `[B, T, D]`; T static.
        margin: alpha.
        positive_range, negative_range: see `triplet_mask`.

    Raises:
        ValueError: clips of that length have no triplet.
    """
    mask = triplet_mask(codes.shape[1], positive_range, negative_range)
    if not mask.any():
        raise ValueError(
            f"Clips of {codes.shape[1]} frames have no triplets with negatives more than "
            f"{negative_range} frames away. Give longer clips or a smaller range."
        )
    # |a - b|^2 by differences: the expanded square would lose the small distances.
    gaps = codes[:, :, None] - codes[:, None]  # [B, T, T, D]
    distances = tf.reduce_sum(tf.square(gaps), axis=-1)  # [B, T, T]
    violations = tf.nn.relu(distances[:, :, :, None] + margin - distances[:, :, None, :])
    counted = tf.where(mask, violations, 0.0)  # [B, T, T, T]
    return tf.reduce_sum(counted, axis=[1, 2, 3]) / float(mask.sum())


TAPS = 1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16  # of the binomial filter


def check_levels(height: int, width: int, levels: int) -> None:
    """Raises ValueError if `levels` is less than 1, or a side not a multiple of 2^levels."""
    if not isinstance(levels, int) or levels < 1:
        raise ValueError(f"levels={levels!r} of a pyramid must be 1 or more.")
    if height % 2**levels or width % 2**levels:
        raise ValueError(
            f"Frames of {height}x{width} cannot be halved {levels} times: use sizes that are "
            f"multiples of {2**levels}, or fewer levels."
        )


def laplacian_pyramid(images: tf.Tensor, levels: int) -> list[tf.Tensor]:
    """The Laplacian pyramid: what an image has at each scale beyond the next coarser one.

        G^0 = v,  G^(l+1) = reduce(G^l)               a 5-tap binomial filter, every second pixel
        L^l = G^l - expand(G^(l+1))                   l = 0..levels-1
        L^levels = G^levels                           what is left

    Burt, Adelson: "The Laplacian Pyramid as a Compact Image Code", 1983. Borders are mirrored.

    Args:
        images: `[N, H, W, C]` float32; H and W static multiples of 2^levels.
        levels: bands.

    Returns:
        `levels + 1` tensors `[N, H / 2^l, W / 2^l, C]`, finest first.

    Raises:
        ValueError: the size does not fit the levels.

    Example:
        >>> [band.shape[1] for band in laplacian_pyramid(tf.zeros([1, 64, 64, 3]), 4)]
        [64, 32, 16, 8, 4]
    """
    check_levels(images.shape[1], images.shape[2], levels)
    bands = []
    for _ in range(levels):
        rows, columns = (_binomial_filter(side) for side in images.shape[1:3])
        coarse = _filtered(images, rows[::2], columns[::2])
        bands.append(images - _filtered(coarse, 2.0 * rows[:, ::2], 2.0 * columns[:, ::2]))
        images = coarse
    return [*bands, images]


def _binomial_filter(size: int) -> np.ndarray:
    """The matrix `[size, size]` that filters a line, mirrored at its ends."""
    padded = np.pad(np.eye(size, dtype=np.float32), [(2, 2), (0, 0)], mode="reflect")
    return np.sum([tap * padded[k : k + size] for k, tap in enumerate(TAPS)], axis=0)


def _filtered(images: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Both axes of `[N, H, W, C]` by a matrix each."""
    images = tf.einsum("ph,nhwc->npwc", tf.constant(rows, tf.float32), images)
    return tf.einsum("qw,npwc->npqc", tf.constant(columns, tf.float32), images)
