"""Frames put together from two given ones: moved, blended, and drawn over."""

import tensorflow as tf

# Beside the colours that are drawn: two displacements, a visibility of each end, and a cover.
EXTRA_CHANNELS = 2 + 2 + 2 + 1
# What outputs of a fresh decoder, about 1, stand for; all three learn at similar rates then.
REACH = 0.125  # a displacement, as a share of a side
UNCOVERED = -1.0  # the raw cover: a quarter of a pixel is drawn
LEAST_SEEN = 1e-3  # visibility, so that one end is always seen


def warped(images: tf.Tensor, displacement: tf.Tensor) -> tf.Tensor:
    """Images of which pixel (y, x) shows what lies at (y + dy, x + dx).

    Between pixels it is bilinear; beyond the border lies the border itself.

    Args:
        images: `[B, H, W, C]` float32.
        displacement: `[B, T, H, W, 2]` float32, (dy, dx) in pixels; each image is moved T times.

    Returns:
        `[B, T, H, W, C]`.

    Example:
        >>> right = tf.broadcast_to([0.0, -3.0], [1, 1, 8, 8, 2])  # shows what lay 3 pixels left
        >>> warped(images, right)[:, 0, :, 3:]  # images[:, :, :-3]
    """
    height, width, channels = images.shape[1:]
    frames = displacement.shape[1]
    rows, columns = tf.meshgrid(
        tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij"
    )
    down, right = tf.unstack(displacement, axis=-1)  # [B, T, H, W]
    y = tf.clip_by_value(rows + down, 0.0, height - 1.0)
    x = tf.clip_by_value(columns + right, 0.0, width - 1.0)
    top, left = tf.stop_gradient(tf.floor(y)), tf.stop_gradient(tf.floor(x))
    down, right = (y - top)[..., None], (x - left)[..., None]  # in [0, 1)

    # A pixel with its three neighbours, so that one look-up finds all four. Beyond the border they
    # never count, but the slope of a displacement is their difference.
    padded = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]], mode="SYMMETRIC")
    quads = tf.concat(
        [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]], axis=-1
    )
    places = tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)
    found = tf.gather(
        tf.reshape(quads, [-1, height * width, 4 * channels]),
        tf.reshape(places, [-1, frames * height * width]),
        batch_dims=1,
    )
    found = tf.reshape(found, [-1, frames, height, width, 4 * channels])
    here, beside, below, across = tf.split(found, 4, axis=-1)
    upper = (1.0 - right) * here + right * beside
    lower = (1.0 - right) * below + right * across
    return (1.0 - down) * upper + down * lower


def coherent(displacement: tf.Tensor, cell: int) -> tf.Tensor:
    """Displacements that change smoothly from cell to cell, so that things move as a whole.

    The mean of each cell stands at its centre; between centres it is bilinear. Where every pixel
    moves by itself, each finds some place of the right colour, and things dissolve on their way.

    Args:
        displacement: `[B, T, H, W, 2]`.
        cell: side in pixels, a divisor of H and of W; 1 leaves them as they are.

    Returns:
        The same shape.
    """
    if cell == 1:
        return displacement
    frames, height, width = displacement.shape[1:4]
    cells = tf.nn.avg_pool2d(tf.reshape(displacement, [-1, height, width, 2]), cell, cell, "VALID")
    smooth = tf.image.resize(cells, [height, width], "bilinear")
    return tf.reshape(smooth, [-1, frames, height, width, 2])


def composed(
    raw: tf.Tensor, first: tf.Tensor, last: tf.Tensor, place: tf.Tensor, cell: int = 1
) -> tf.Tensor:
    """Frames from what a decoder says of them and the two ends of their clip.

        x = c d + (1 - c) [(1 - s) v_1 W(x_1, s f_1) + s v_T W(x_T, (1 - s) f_T)] / norm
        norm = (1 - s) v_1 + s v_T

    with colours d that are drawn, a cover c, displacements f of the ends (W moves them; no end
    moves in its own place) and their visibilities v in (0.001, 1), all pixel by pixel, as in Jiang
    et al., "Super SloMo", CVPR 2018; the cover is this library's. An output of zero is the linear
    interpolation of the ends, a quarter of it covered by grey. The ends are given: no gradient
    flows back into them.

    Args:
        raw: `[B, T, H, W, C + 7]` float32: d, (dy, dx) of f_1 and of f_T in eighths of a side, and
            the logits of v_1, v_T and, less 1, of c.
        first, last: `[B, H, W, C]` in [-1, 1].
        place: s of each frame, `[B, T]` in [0, 1].
        cell: of the displacements, see `coherent`.

    Returns:
        `[B, T, H, W, C]`.
    """
    colors = first.shape[-1]
    drawn, from_first, from_last, seen, cover = tf.split(raw, [colors, 2, 2, 2, 1], axis=-1)
    from_first, from_last = coherent(from_first, cell), coherent(from_last, cell)
    size = REACH * tf.constant([float(raw.shape[2]), float(raw.shape[3])])
    s = place[:, :, None, None, None]  # [B, T, 1, 1, 1]
    seen = LEAST_SEEN + (1.0 - LEAST_SEEN) * tf.sigmoid(seen)
    first, last = tf.stop_gradient(first), tf.stop_gradient(last)
    seen_first, seen_last = tf.split(seen, 2, axis=-1)
    weight_first, weight_last = (1.0 - s) * seen_first, s * seen_last
    moved = weight_first * warped(first, s * size * from_first)
    moved += weight_last * warped(last, (1.0 - s) * size * from_last)
    moved /= weight_first + weight_last
    cover = tf.sigmoid(cover + UNCOVERED)
    return cover * drawn + (1.0 - cover) * moved
