"""Public networks of ImageNet by Keras: their weights, and Inception V3 as features of images."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.evaluation.metrics.clip_batches import random_frames
from kerasvid.evaluation.metrics.fvd import TOGETHER, ClipFeatures, resized
from kerasvid.evaluation.metrics.i3d_weights import weights_digest
from kerasvid.training.devices import over_devices

INCEPTION_SIZE = 299


def imagenet_network(
    make: Callable[..., keras.Model],
    weights: str | os.PathLike | None,
    file: str,
    **options: Any,
) -> keras.Model:
    """A network of `keras.applications` without its top.

    It is in float32 and channels last under any global settings.

    Args:
        make: Its function, such as `keras.applications.VGG16`.
        weights: `"imagenet"`, which Keras downloads and checks, or the path of its `.h5` file
            without the top, or `None` for random ones.
        file: Name of that file, for the error.
        **options: Further arguments of the function.

    Raises:
        ValueError: The weights cannot be downloaded or read.
    """
    policy, data_format = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    try:
        return make(include_top=False, weights=weights and os.fspath(weights), **options)
    except Exception as error:  # downloads and HDF5 have no narrower common class
        raise ValueError(
            f"weights={str(weights)!r}: no weights of {make.__name__} "
            f"({str(error).splitlines()[0]}). Use the path of {file}."
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(data_format)


class InceptionFeatures(ClipFeatures):
    """The 2,048 pooled features of one random frame of each clip by the Inception V3 of Keras.

    FID has another network, a port of TensorFlow 1's: values do not compare with those of FID.

    Args:
        weights: As in `imagenet_network`; random ones have no meaning.

    Raises:
        ValueError: The weights cannot be downloaded or read; in a call, clips of other channels.

    Example:
        >>> InceptionFeatures("imagenet")(clips).shape  # float32 [B, T, H, W, 3] in [-1, 1]
        (16, 2048)
    """

    slow = True

    def __init__(self, weights: str | os.PathLike | None = "imagenet"):
        self.network = imagenet_network(
            keras.applications.InceptionV3,
            weights,
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            input_shape=(INCEPTION_SIZE, INCEPTION_SIZE, 3),
            pooling="avg",
        )
        values = self.network.weights
        self._digest = weights_digest({f"{place:04d}": each for place, each in enumerate(values)})
        self._features = over_devices(
            lambda clips: self.network(resized(clips, INCEPTION_SIZE)[:, 0], training=False),
            reduce_retracing=True,
        )

    def protocol(self, frames: int) -> dict[str, Any]:
        return {
            "features": "Inception V3 of ImageNet by Keras, mean over positions",
            "weights": self._digest,
            "resize": f"bilinear to {INCEPTION_SIZE}x{INCEPTION_SIZE}, no anti-aliasing, no crop",
            "size": int(self.network.output.shape[-1]),
            "seen_frames": 1,
            "of": f"a random one of {frames} frames",
            "range": "[-1, 1]",
        }

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, 2048]` of clips `[B, T, H, W, C]` in [-1, 1], C 1 or 3."""
        if clips.shape[-1] not in (1, 3):
            raise ValueError(f"Clips of {clips.shape[-1]} channels: use grey or RGB clips.")
        frames = random_frames(clips)
        parts = [frames[i : i + TOGETHER] for i in range(0, len(frames), TOGETHER)]
        return np.concatenate([self._features(tf.constant(part)).numpy() for part in parts])
