"""MoCoGAN, which divides a clip's latent vectors into content and motion.

Tulyakov, Liu, Yang, Kautz: "MoCoGAN: Decomposing Motion and Content for Video Generation", CVPR
2018: the baseline that RJGAN and RMoCoGAN are compared to.

    z_C ~ N(0, I)                                 the content, once a video
    h_0 ~ N(0, I),  e^(t) ~ N(0, I)
    z_M^(t) = h_t = GRU(e^(t), h_(t-1))           the motion, independent of the content
    x^(t) = G_I([z_C, z_M^(t)])

With v real and v~ generated clips, S_1 a random frame and S_T the whole clip, the networks minimise

    D_I: E[-log D_I(S_1(v))] + E[-log(1 - D_I(S_1(v~)))]
    D_V: E[-log D_V(S_T(v))] + E[-log(1 - D_V(S_T(v~)))]
    G:   E[-log D_I(S_1(v~))] + E[-log D_V(S_T(v~))]

With `categories` a one-hot vector, uniformly drawn once a video, stands beside the motion, and D_V
also classifies: D_V minimises the cross-entropy of labelled real clips, G that of generated clips.
`objective.conditioning=projection` is another way, see `models/base/gan_losses.py`.

As in the released code, a step generates clips of the length that D_V takes; the paper draws longer
ones and cuts a clip out.

The preset `paper` has the sizes and the training of https://github.com/sergeytulyakov/mocogan:
every second frame of a video, 100,000 steps, and the discriminators that its `train.py` takes by
default. Its D_V (`CategoricalVideoDiscriminator`) has a fourth convolution, of 512, and one score
for the clip; the D_V of patches is `channels=(64, 128, 256)` with `score="patch"`. A step sees 32
clips, as in the command on its wiki; the default of `train.py` is 3 clips and 10 images.
Differences from it:
- The generator has leaky rectifiers, too. Convolutions have biases.
- Batch norm keeps 0.99 of its running statistics, with Keras's epsilon. There is no weight decay.
- `train.py` can add noise to the inputs of all convolutions of D_I and D_V, which it does not by
  default. `objective.instance_noise_std` adds it to the frames and clips alone.
- D_I sees frames of the clips that D_V sees; there they are of other videos and of a pass of their
  own. The losses have the same expectation, for half of the passes.
- A video of less than 31 frames is refused. There, videos of less than 32 frames are left out.

The preset `plain` has the losses of the paper alone. In `base` the discriminators do not run ahead.
The other GANs that generate from noise have the same departures, which were chosen on MoCoGAN:
- `objective.r1_weight`: the gradient at real samples is kept small (Mescheder et al., ICML 2018),
  at an eighth of them in each step;
- `discriminator_rate`: the discriminators learn half as fast (Heusel et al., NeurIPS 2017), and
  Adam has no momentum (`beta_1`);
- `batch_std`: the discriminators see how much the samples of a batch differ;
- they see pixels, not patches of them, which left grain in the pictures;
- D_I sees four frames of a clip (`objective.image_frames`), in place of one;
- averaged weights, with batch-norm statistics of their own.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.layers.discriminators import HALVING_TIME
from kerasvid.layers.frame_networks import dcgan_generator, patch_decoder
from kerasvid.layers.recurrent import NoiseGRU, repeated
from kerasvid.models.base.categories import beside, category_code
from kerasvid.models.base.gan import BALANCED, IMAGE, VIDEO, FrameGAN
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.protocols import Conditional, Recombinable
from kerasvid.models.base.train_config import TrainConfig


class ContentMotionGAN(FrameGAN, Conditional, Recombinable):
    """The part that MoCoGAN and RMoCoGAN share: all but the codes of a frame.

    Args:
        content_dim: size of z_C.
        motion_dim: size of z_M^(t) and of the noise e^(t).
        categories: K of the category code; 0 for none. Labels of real clips are less than K.
        image_discriminator, video_discriminator: arguments of D_I and D_V, `False` for none.
        **kwargs: of `FrameGAN`: `image_shape`, `frames`, `decoder` and `objective`.
    """

    first_in_codes = "content"

    def __init__(
        self,
        content_dim: int = 50,
        motion_dim: int = 10,
        categories: int = 0,
        image_discriminator: Mapping[str, Any] | bool | None = None,
        video_discriminator: Mapping[str, Any] | bool | None = None,
        **kwargs,
    ):
        discriminators: dict[str, Any] = {IMAGE: image_discriminator, VIDEO: video_discriminator}
        super().__init__(**discriminators, categories=categories, **kwargs)
        self.content_dim, self.motion_dim = content_dim, motion_dim
        self.motion = NoiseGRU(motion_dim, dtype=self.dtype_policy)

    # === Losses ===

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """D_I scores frames, D_V clips; D_V also classifies clips with labels."""
        real, fake = terms.inputs(batch, "real"), terms.inputs(fakes, "fake")
        frames, weights = terms.real_frames(real)  # S_1(v)
        d_i, d_v = self.image_discriminator, self.video_discriminator
        known = self.clip_labels(batch, fakes)
        return {
            IMAGE: terms.discriminator_loss(d_i, frames, terms.fake_frames(fake), weights),
            VIDEO: terms.discriminator_loss(d_v, real["video"], fake["video"], **known),
        }

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """E[-log D_I(S_1(v~))] + E[-log D_V(S_T(v~))], and the cross-entropy of the categories."""
        fake, labels = terms.inputs(fakes, "fake"), self.fake_labels(batch, fakes)
        loss = terms.generator_loss(self.image_discriminator, terms.fake_frames(fake))
        loss += terms.generator_loss(self.video_discriminator, fake["video"], labels)
        return {"generator_loss": loss}

    # === Generation ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        content, motion = self.content_dim, self.motion_dim
        shapes = {"content": (content,), "start": (motion,), "motion": (frames, motion)}
        return {**shapes, **self.category_shapes()}

    def motion_codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """z_M^(t), with the category beside it if there is one: `[B, T, E]`."""
        motion = self.motion(noise["motion"][:, :frames], start=noise["start"])
        return self.with_category(motion, noise)

    def with_category(self, motion: tf.Tensor, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Motion `[B, T, D]` with the category beside it if there is one: `[B, T, E]`."""
        return beside(motion, category_code(noise))

    def recombined_noise(self, content_of: Mapping, motion_of: Mapping) -> dict[str, tf.Tensor]:
        """The noise of some contents with that of other motions, which have the categories."""
        return {**motion_of, "content": content_of["content"]}


@keras.saving.register_keras_serializable(package="kerasvid")
class MoCoGAN(ContentMotionGAN):
    """Videos as one content vector and a sequence of motion vectors, trained adversarially.

    Args:
        **kwargs: of `ContentMotionGAN`.

    Example:
        >>> model = MoCoGAN.from_preset("debug", categories=4)
        >>> model.compile("adam")
        >>> model.fit(batches)
        >>> videos = model.generate(4, frames=16)  # uint8 [4, 16, H, W, C]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.build_networks()

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """[z_C, z_M^(t)], `[B, T, D]`."""
        motion = self.motion_codes(noise, frames)
        return tf.concat([repeated(noise["content"], motion.shape[1]), motion], axis=-1)


# Sized for two CPU cores: half the released widths of MoCoGAN, and a stride in time.
_TWO_CORES: dict[str, Any] = {
    "content_dim": 50,
    "motion_dim": 10,
    "decoder": dcgan_generator(32, normalization="batch"),
    "image_discriminator": {"channels": (64, 128, 256), "patch": 2},
    "video_discriminator": {"channels": (32, 96, 192), "patch": 2, **HALVING_TIME},
}
MoCoGAN.PRESETS = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "content_dim": 8,
        "motion_dim": 4,
        "decoder": {**patch_decoder((), 16, (16, 8), (1, 2)), "normalization": "batch"},
        "image_discriminator": {"channels": (8, 16), "patch": 2},
        "video_discriminator": {"channels": (8,), "patch": 2, "temporal_kernel": 2},
    },
    # The losses of the paper alone.
    "plain": _TWO_CORES,
    # Balanced discriminators, see above.
    "base": {
        "content_dim": 50,
        "motion_dim": 10,
        "decoder": dcgan_generator(32, normalization="batch"),
        "image_discriminator": {"channels": (32, 64, 128, 256), "batch_std": True},
        "video_discriminator": {"channels": (24, 48, 96, 192), "batch_std": True, **HALVING_TIME},
        "objective": {"image_frames": 4, "r1_weight": 20.0, "r1_interval": 8},
    },
    # The released sizes: DCGAN networks of width 64 with batch norm.
    "paper": {
        "content_dim": 50,
        "motion_dim": 10,
        "decoder": dcgan_generator(64, normalization="batch"),
        "image_discriminator": {"channels": (64, 128, 256), "normalization": "batch"},
        "video_discriminator": {
            "channels": (64, 128, 256, 512),
            "score": "full",
            "normalization": "batch",
        },
    },
}
_ADAM: dict[str, Any] = {"learning_rate": 2e-4, "warmup_steps": 0, "beta_1": 0.5, "beta_2": 0.999}
MoCoGAN.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, beta_1=0.5, ema_momentum=0.9),
    "plain": TrainConfig(steps=2_000, batch_size=8, ema_momentum=0.0, **_ADAM),
    "base": TrainConfig(steps=4_000, batch_size=16, **BALANCED),
    "paper": TrainConfig(
        steps=100_000, batch_size=32, stride=2, ema_momentum=0.0, epsilon=1e-8, **_ADAM
    ),
}
