"""Linear interpolation between a first and a last frame: the baseline of the in-between models.

Penington, Teo, Wang: "Generating Video from Images" (poster, Stanford CS230):

    x^(t) = (1 - s) x^(1) + s x^(T),  s = (t - 1) / (T - 1)
"""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.endpoints import check_endpoints, frame_times, straight
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import Trainer


@keras.saving.register_keras_serializable(package="kerasvid")
class LinearInterpolation(InBetween, Trainer):
    """Every pixel goes straight from the first frame to the last; there is nothing to learn.

    Evaluate it by a run of one step:
    `kerasvid train --model=linear_interpolation --dataset=shapes --steps=1`. Its loss is the mean
    L2 distance to the true clips, pixels in [0, 1].

    Args:
        image_shape: `(H, W, C)`.
        frames: T of `between` by default.

    Raises:
        ValueError: `frames` is less than 2.

    Example:
        >>> model = LinearInterpolation.from_preset("base")
        >>> model.between(videos[:, 0], videos[:, -1], frames=30)  # uint8 [B, 30, H, W, C]
    """

    term_names = ("loss", "psnr")
    evaluation_names = ()  # the loss is the L2 distance

    def __init__(self, image_shape: tuple[int, int, int] = (64, 64, 3), frames: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        check_endpoints(frames)
        self.build()

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {}

    def infill(
        self, first: tf.Tensor, last: tf.Tensor, noise: Mapping[str, tf.Tensor], frames: int
    ) -> tf.Tensor:
        return straight(first, last, frame_times(tf.shape(first)[0], frames))

    def call(self, video: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The interpolation of the endpoints of a batch as `fit` takes it, `[B, T, H, W, C]`."""
        video = self.video_of(video)
        return self.infill(video[:, 0], video[:, -1], {}, video.shape[1])

    def compute_losses(self, batch, noise, step, training: bool):
        shown = self(batch["video"])
        distance = losses.l2_distance(batch["video"], shown)
        return {"loss": distance, "psnr": losses.psnr(batch["video"], shown)}, {}

    def update(self, network: str, gradients: Sequence[tf.Tensor]) -> None:
        """Counts the step: there are no weights to update."""
        self.optimizer.iterations.assign_add(1)

    def test_step(self, data) -> dict:
        """The terms of `compute_losses`; there is nothing to decode from noise."""
        terms, _ = self.compute_losses({"video": self.video_of(data)}, None, None, training=False)
        return self.tracked({name: tf.reduce_mean(value) for name, value in terms.items()})


LinearInterpolation.PRESETS = {"debug": {}, "base": {}, "paper": {"frames": 30}}
LinearInterpolation.TRAINING = {
    "debug": TrainConfig(steps=1, batch_size=16, ema_momentum=0.0, warmup_steps=0),
    "base": TrainConfig(steps=1, batch_size=16, ema_momentum=0.0, warmup_steps=0),
    "paper": TrainConfig(steps=1, batch_size=16, ema_momentum=0.0, warmup_steps=0),
}
