"""What players see of a batch: frames of its clips, its still images, a part of its rows."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from kerasvid.pixels import as_floats


def frames_at(clips: tf.Tensor, chances: tf.Tensor) -> tf.Tensor:
    """S_1: random frames of every clip, each equally likely.

    Args:
        clips: `[B, T, H, W, C]`.
        chances: Gaussians `[B, K, T]`; the largest tells each frame.

    Returns:
        `[K * B, H, W, C]`: the first frames of all clips, then the second ones.
    """
    chosen = tf.gather(clips, tf.argmax(chances, axis=-1), batch_dims=1)  # [B, K, H, W, C]
    return tf.reshape(tf.transpose(chosen, [1, 0, 2, 3, 4]), [-1, *clips.shape[2:]])


def joined(sources: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples of several sources as one batch, in which every source counts alike.

    Args:
        sources: each `[N_i, ...]`, however many samples it has.

    Returns:
        All samples `[N, ...]` in order, and a weight for each, `[N]`: a weighted mean over the
        samples is the mean over the sources of the mean over each.
    """
    rows = [tf.shape(source)[0] for source in sources]
    even = tf.cast(tf.add_n(rows), tf.float32) / len(sources)
    weights = [tf.fill([count], even / tf.cast(count, tf.float32)) for count in rows]
    return tf.concat(sources, axis=0), tf.concat(weights, axis=0)


def divided(batch: Mapping[str, tf.Tensor], count: int) -> list[dict[str, tf.Tensor]]:
    """The batch in `count` equal parts.

    Raises:
        ValueError: its rows cannot be divided so.
    """
    if count == 1:
        return [dict(batch)]
    for name, value in batch.items():
        if value.shape[0] is not None and value.shape[0] % count:
            raise ValueError(
                f"objective.discriminator_steps={count}: each update sees a part of the batch, and "
                f"{value.shape[0]} ({name}) cannot be divided; use a multiple of {count}."
            )
    parts = {name: tf.split(value, count) for name, value in batch.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(count)]


def stills_of(images: tf.Tensor) -> tf.Tensor:
    """float32 `[N, H, W, C]` in [-1, 1] of uint8 or float images, with a time axis of 1 or none.

    Raises:
        ValueError: the images have other axes.
    """
    if images.shape.rank == 5 and images.shape[1] == 1:
        images = images[:, 0]
    if images.shape.rank != 4:
        raise ValueError(f'"image" needs the axes [N, H, W, C], not the shape {images.shape}.')
    return as_floats(images)
