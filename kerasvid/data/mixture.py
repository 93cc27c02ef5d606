"""Clips and still images side by side, for models that learn from both."""

import tensorflow as tf

from kerasvid.data.pipeline import make_pipeline
from kerasvid.data.shards import load_info


def with_images(
    clips: tf.data.Dataset,
    folder: str,
    batch_size: int,
    split: str = "train",
    seed: int = 0,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Adds still images to batches of clips.

    Args:
        clips: endless batches of `make_pipeline`.
        folder: of a data set; of each of its videos, images most often, one random frame is taken.
        batch_size: N, images a batch.
        split: of that data set.
        seed: of the images' order.
        start_step: leave out that many batches at the start, as for the clips.

    Returns:
        The batches, with an `"image"` uint8 `[N, H, W, C]` in each.

    Raises:
        DatasetError, ValueError: as `make_pipeline`.

    Example:
        >>> clips = make_pipeline("data/mixed/videos", batch_size=8, frames=16)
        >>> model.fit(with_images(clips, "data/mixed/images", batch_size=8), steps_per_epoch=100)
    """
    images = make_pipeline(
        folder, split, batch_size, pick="frame", seed=seed, start_step=start_step
    )
    pairs = tf.data.Dataset.zip(clips, images)
    return pairs.map(lambda clip, image: {**clip, "image": image["video"][:, 0]})


def check_images_fit(folder: str, frame_shape: tuple[int, int, int]) -> None:
    """Refuses images of another size than the clips, in one line.

    Raises:
        ValueError: the sizes differ.
    """
    shape = load_info(folder).frame_shape
    if shape != tuple(frame_shape):
        sizes = ["x".join(map(str, each)) for each in (shape, frame_shape)]
        raise ValueError(
            f"{folder}: its images are of {sizes[0]}, the clips of {sizes[1]}: convert one of them "
            "again."
        )
