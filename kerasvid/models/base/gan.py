"""Training of generators against discriminators.

A step: the generator makes clips; the discriminators are updated on real and generated clips; then
the generator is updated through the updated discriminators. One forward pass of the generator
serves all networks: its backward pass waits for the gradient of the updated discriminators.

What the networks minimise stands in each model's file, in `discriminator_losses` and
`generator_losses`, as sums of the terms of `AdversarialTerms`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.augmentation import AUGMENTATION_GAUSSIANS, adapted_probability
from kerasvid.layers.compilation import traced_function
from kerasvid.layers.discriminators import ImageDiscriminator, VideoDiscriminator
from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.layers.recurrent import over_frames
from kerasvid.layers.spectral_convolution import iterate_spectra
from kerasvid.models.base.categories import (
    CATEGORY,
    UNKNOWN,
    beside,
    category_code,
    category_of,
    checked_categories,
)
from kerasvid.models.base.gan_losses import (
    PROJECTION,
    AdversarialTerms,
    Objective,
    divergence,
    divided,
    images_of,
)
from kerasvid.models.base.preset_folder import HasGenerator
from kerasvid.models.base.train_config import Ramp, is_whole
from kerasvid.models.base.trainer import (
    EVALUATION_SEED,
    Trainer,
    batch_norm_layers,
    draw_noise,
    over_replicas,
    replica_key,
)
from kerasvid.models.base.video_generator import LimitedLength, VideoGenerator

# Generated clips that the statistics of averaged weights are measured on.
MEASURED_PASSES, MEASURED_CLIPS = 8, 32
# Training of the presets `base` of GANs that generate from noise, see `models/mocogan.py`: two time
# scales, and averaged weights.
BALANCED: dict[str, Any] = {
    "learning_rate": 1e-3,
    "discriminator_rate": 0.5,
    "warmup_steps": 0,
    "beta_1": 0.0,
    "beta_2": 0.99,
    "ema_momentum": 0.998,
}
CUT = "cut"  # the noise that cuts a clip out of a longer video
SCORED = ("real", "fake")  # whose mean logits are reported
GENERATOR, IMAGE, VIDEO = "generator", "image_discriminator", "video_discriminator"
INITIAL_POWER_ITERATIONS = 15  # fewer underestimate the spectral norm of a new kernel


class AdversarialModel(Trainer, HasGenerator):
    """A generator trained against an image discriminator, a video discriminator, or both.

    Without both it generates, and cannot be trained: a smaller model to share.

    A subclass, a `VideoGenerator` or an `InBetween`, defines `noise_shapes`, `fakes`,
    `discriminator_losses` and `generator_losses`. Its constructor makes the generator's layers and
    ends with `build_networks`.

    Batches are those of `Trainer` with an optional `"image"`, uint8 `[N, H, W, C]` or
    `[N, 1, H, W, C]`, for D_I: images and frames of clips then have equal weight, whatever N.

    Args:
        image_shape: `(H, W, C)`.
        frames: T, the default length of generated clips. Training may use any other length that
            the video discriminator takes.
        objective: options of the losses, see `Objective`.
        image_discriminator: arguments of `ImageDiscriminator` (D_I); `None` or `True` for its
            defaults, `False` for no such network.
        video_discriminator: arguments of `VideoDiscriminator` (D_V), likewise.
        categories: K, the number of classes of the clips; 0 for none. The generator takes the
            one-hot class of a clip, and D_V learns of it by `objective.conditioning`; D_I does not.

    Raises:
        ValueError: an argument of a discriminator or an option is unknown or out of its range, or
            `objective.conditioning` is `"projection"` without `categories`.
    """

    term_names: tuple[str, ...] = ("loss", "generator_loss")
    noise_methods = "generate(batch)"

    PARTS: ClassVar[dict[str, Any]] = {
        "image_discriminator": ImageDiscriminator,
        "video_discriminator": VideoDiscriminator,
        "objective": Objective,
    }

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        objective: Mapping[str, Any] | None = None,
        *,
        image_discriminator: Mapping[str, Any] | bool | None,
        video_discriminator: Mapping[str, Any] | bool | None,
        categories: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.categories = checked_categories(categories)
        self.objective = Objective.of(objective)
        if self.objective.conditioning == PROJECTION and not categories:
            raise ValueError(
                f"objective.conditioning={PROJECTION!r}: the model has no classes. Set "
                "conditional=true too, or leave it out."
            )
        self._instance_noise_std = Ramp(
            *self.objective.instance_noise_std, self.objective.instance_noise_steps
        )
        adaptive = self.objective.augmentation_target > 0.0
        self.augmentation_probability: Any = self.objective.augmentation_probability
        if adaptive:
            self.add_term("augmentation_probability")
            self.augmentation_probability = self.add_weight(
                (), "zeros", trainable=False, autocast=False, name="augmentation_probability"
            )
        self.network_arguments: dict[str, Any] = {}  # arguments of the constructor for networks
        for name, given in ((IMAGE, image_discriminator), (VIDEO, video_discriminator)):
            if not isinstance(given, Mapping | bool | None):
                raise ValueError(
                    f"{name}={given!r} must be a mapping of its arguments, or true or false."
                )
            own = dict(given) if isinstance(given, Mapping) else {}
            self.network_arguments[name] = False if given is False else own
        self.image_discriminator = self.video_discriminator = None
        if (own := self.network_arguments[IMAGE]) is not False:
            self.image_discriminator = ImageDiscriminator(**own, dtype=self.dtype_policy)
        if (own := self.network_arguments[VIDEO]) is not False:
            self.video_discriminator = VideoDiscriminator(
                **own, categories=categories, dtype=self.dtype_policy
            )

    # === What a model defines ===

    def conditions(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Inputs of the generator from a batch, beside its noise: `[B, ...]` by name, or none."""
        return {}

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        """The generator's outputs: `"video"` `[B, T, H, W, C]`, and what else the losses need.

        Args:
            noise: Gaussians of `noise_shapes`, and the `conditions`, by name.
            frames: T.
            training: as in Keras.
        """
        raise NotImplementedError

    def discriminator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """The loss of each discriminator by its network's name, scalars.

        Args:
            batch: of `batch_of`; with labels, their `"known_share"` on all replicas.
            fakes: outputs of `fakes`.
            terms: the terms of this step.
        """
        raise NotImplementedError

    def generator_losses(self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms) -> dict:
        """`"generator_loss"`, which is minimised, and terms of it to report, scalars.

        Arguments as in `discriminator_losses`.
        """
        raise NotImplementedError

    # === Networks ===

    def build_networks(self) -> None:
        """Makes the variables of every layer; the end of a constructor.

        Raises:
            ValueError: a discriminator suits neither the clips nor the objective.
        """
        discriminators = self.discriminators()
        video = tf.zeros([1, self.frames, *self.image_shape])
        if self.video_discriminator is not None:
            self.video_discriminator.check_length(self.frames)
        elif self.categories and discriminators:
            raise ValueError(
                f"categories={self.categories}: there is no video discriminator to learn the "
                "classes. Set video_discriminator=true, or categories=0."
            )
        self.objective.check(discriminators)
        for name, discriminator in discriminators.items():
            discriminator(video[:, 0] if name == IMAGE else video)
            iterate_spectra(discriminator, INITIAL_POWER_ITERATIONS)
            for term in ("loss", *SCORED):
                self.add_term(f"{name}_{term}")
        shapes = self.noise_shapes(self.frames)
        noise = {name: tf.zeros([1, *shape]) for name, shape in shapes.items()}
        self.fakes({**noise, **self.conditions({"video": video})}, self.frames, training=False)
        self.build()

    def check_training_length(self, frames: int) -> None:
        self.noise_shapes(frames)  # a model of fixed length refuses longer clips
        if self.video_discriminator is not None:
            self.video_discriminator.check_length(frames)

    def discriminators(self) -> dict[str, Any]:
        """The discriminators that there are, by name."""
        both = {IMAGE: self.image_discriminator, VIDEO: self.video_discriminator}
        return {name: network for name, network in both.items() if network is not None}

    def generator_part(self) -> tuple[dict[str, bool], list]:
        """As of `HasGenerator`: without discriminators."""
        inside = {id(weight) for each in self.discriminators().values() for weight in each.weights}
        arguments = {IMAGE, VIDEO} & self.get_config().keys()
        weights = [weight for weight in self.weights if id(weight) not in inside]
        return dict.fromkeys(sorted(arguments), False), weights

    def compile(self, *args, **kwargs) -> None:
        """As `Trainer.compile`.

        Raises:
            ValueError: also without discriminators.
        """
        if not self.discriminators():
            raise ValueError(
                f"{type(self).__name__} has no discriminator: it generates, and cannot be trained. "
                "Make a model with at least one discriminator."
            )
        super().compile(*args, **kwargs)

    def network_variables(self) -> dict[str, list]:
        discriminators = {
            name: network.trainable_variables for name, network in self.discriminators().items()
        }
        others = {id(variable) for own in discriminators.values() for variable in own}
        own = [variable for variable in self.trainable_variables if id(variable) not in others]
        return {GENERATOR: own, **discriminators}

    def make_compiled_functions(self, jit: bool) -> None:
        self._compiled_fakes = traced_function(self.fakes, jit)
        self._compiled_discriminator_step = traced_function(self.discriminator_step, jit)
        self._compiled_generator_step = traced_function(self.generator_step, jit)

    def call(
        self, noise: Mapping[str, tf.Tensor], frames: int | None = None, training: bool = False
    ) -> tf.Tensor:
        """The clips `[B, T, H, W, C]` of named noise and conditions."""
        return self.fakes(noise, self.frames if frames is None else frames, training)["video"]

    def measure_batch_norm(self) -> None:
        """Gives the generator's batch norm the moments of 256 clips of the weights it has now.

        Averaged weights have statistics of their own: those of training are of other weights. The
        clips are of the same noise each time; each pass of 32 is normalised by itself, as in
        training. The mean and the variance are those of all passes together.

        A generator with `conditions` needs real frames, and keeps its running statistics.
        """
        inside = {id(layer) for each in self.discriminators().values()
                  for layer in batch_norm_layers(each)}  # fmt: skip
        layers = [each for each in batch_norm_layers(self) if id(each) not in inside]
        if not layers or type(self).conditions is not AdversarialModel.conditions:
            return
        momenta = [layer.momentum for layer in layers]
        moments: list[Any] = [[] for _ in layers]
        try:
            for layer in layers:
                layer.momentum = 0.0  # the running statistics are those of the last pass
            for number in range(MEASURED_PASSES):
                key = tf.constant([EVALUATION_SEED, number])
                noise = draw_noise(self.noise_shapes(self.frames), MEASURED_CLIPS, key)
                self.fakes(noise, self.frames, training=True)
                for layer, found in zip(layers, moments, strict=True):
                    found.append((layer.moving_mean.numpy(), layer.moving_variance.numpy()))
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
        for layer, found in zip(layers, moments, strict=True):
            means, variances = np.moveaxis(np.array(found, np.float64), 1, 0)
            layer.moving_mean.assign(means.mean(axis=0))
            layer.moving_variance.assign(variances.mean(axis=0) + means.var(axis=0))

    # === Inputs of a step ===

    def random_input_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Gaussians that the losses need for one video, beside the noise of the generator."""
        count = self.objective.image_frames  # and one more real frame for a generated image
        shapes: dict[str, tuple[int, ...]] = {}
        shapes |= {"real_frames": (count + 1, frames), "fake_frames": (count, frames)}
        if self.objective.gradient_penalty:
            shapes["mixing"] = (count + 1,)
        if self.objective.r1_weight and self.objective.r1_interval > 1:
            shapes["r1_first"] = (1,)
        if any(self.objective.instance_noise_std):
            clip = (frames, *self.image_shape)
            shapes |= {"real_video_noise": clip, "fake_video_noise": clip}
            shapes["fake_image_noise"] = self.image_shape
        if self.objective.augmentation:
            names = ("real_video", "fake_video", "fake_image")
            shapes |= {f"{name}_change": (AUGMENTATION_GAUSSIANS,) for name in names}
        return shapes

    def image_random_input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Gaussians that the losses need for one of the images beside the videos."""
        noisy = any(self.objective.instance_noise_std)
        shapes: dict[str, tuple[int, ...]] = {}
        shapes |= {"real_image_noise": self.image_shape} if noisy else {}
        if self.objective.augmentation:
            shapes["real_image_change"] = (AUGMENTATION_GAUSSIANS,)
        return {**shapes, "image_mixing": ()} if self.objective.gradient_penalty else shapes

    def scaled_noise(
        self, random_inputs: Mapping[str, tf.Tensor], step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Random inputs; instance noise gets the standard deviation of this step."""
        std = self._instance_noise_std(step)
        return {
            name: std * value if name.endswith("_noise") else value
            for name, value in random_inputs.items()
        }

    def batch_of(self, data: Any) -> dict[str, tf.Tensor]:
        """As in `Trainer`, and `"image"` `[N, H, W, C]` if there are some and D_I."""
        batch = super().batch_of(data)
        data = data[0] if isinstance(data, tuple | list) else data
        if isinstance(data, Mapping) and "image" in data and self.image_discriminator is not None:
            batch["image"] = images_of(data["image"], self.image_shape)
        return batch

    # === Classes ===

    def category_shapes(self) -> dict[str, tuple[int, ...]]:
        """The noise that draws the class of a clip, if there are classes."""
        return {CATEGORY: (self.categories,)} if self.categories else {}

    def category_in_noise(self, noise: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The part of the noise that holds the class, which the losses need among the `fakes`."""
        return {CATEGORY: noise[CATEGORY]} if self.categories else {}

    def fake_labels(self, batch: Mapping, fakes: Mapping) -> tf.Tensor | None:
        """The classes of generated clips, int64 `[B]`, -1 for what D_V has not learned of.

        It has learned nothing from a batch without known labels. With `"projection"` a generated
        clip is as unknown as the real one of its row: else s_0 would be of real clips alone.
        """
        if "label" not in batch or not self.categories:
            return None
        known = batch["known_share"] > 0.0
        if self.objective.conditioning == PROJECTION:
            known = batch["label"] >= 0
        return tf.where(known, category_of(fakes), tf.constant(UNKNOWN, tf.int64))

    def clip_labels(self, batch: Mapping, fakes: Mapping) -> dict[str, tf.Tensor | None]:
        """The arguments of `AdversarialTerms.discriminator_loss` of D_V for the classes."""
        return {
            "labels": batch.get("label"),
            "known_share": batch.get("known_share"),
            "fake_labels": self.fake_labels(batch, fakes),
        }

    def _with_known_share(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if "label" not in batch:
            return batch
        known = losses.known_share(batch["label"])
        return {**batch, "known_share": over_replicas(tf.distribute.ReduceOp.MEAN, known)}

    def _draw(
        self, batch: Mapping, key: tf.Tensor, part: int, step: tf.Tensor
    ) -> tuple[dict, dict, dict]:
        """Inputs of `fakes`, random inputs of the discriminators' and of the generator's losses."""
        frames, rows = batch["video"].shape[1], tf.shape(batch["video"])[0]
        keys = [tf.random.experimental.stateless_fold_in(key, 4 * part + i) for i in range(4)]
        shapes = self.random_input_shapes(frames)
        noise = draw_noise(self.training_noise_shapes(frames), rows, keys[0])
        first, second = draw_noise(shapes, rows, keys[1]), draw_noise(shapes, rows, keys[2])
        if "image" in batch and (of_images := self.image_random_input_shapes()):
            first |= draw_noise(of_images, tf.shape(batch["image"])[0], keys[3])
        noise |= self.conditions(batch)
        return noise, self.scaled_noise(first, step), self.scaled_noise(second, step)

    # === The step ===

    def discriminator_step(self, batch, fakes, random_inputs, probability=1.0):
        """Losses, gradients and scores of the discriminators by network, in a compiled function."""
        fakes = {name: tf.stop_gradient(value) for name, value in fakes.items()}
        terms = AdversarialTerms(self.objective, random_inputs, True, probability)
        with tf.GradientTape(persistent=True) as tape:
            values, scores = self._discriminator_losses(batch, fakes, terms)
            scaled = {network: self.scaled(value, network) for network, value in values.items()}
        variables = self.network_variables()
        gradients = {name: tape.gradient(loss, variables[name]) for name, loss in scaled.items()}
        return values, gradients, scores

    def generator_step(self, batch, fakes, random_inputs, probability=1.0):
        """The generator's losses and the gradients by its outputs, in a compiled function."""
        terms = AdversarialTerms(self.objective, random_inputs, True, probability)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes)
            values = self.generator_losses(batch, fakes, terms)
            scaled = self.scaled(values["generator_loss"], GENERATOR)
        zero = tf.UnconnectedGradients.ZERO
        return values, tape.gradient(scaled, fakes, unconnected_gradients=zero)

    def train_step(self, data) -> dict:
        """The updates of the discriminators, then that of the generator, in replica context."""
        batch = self.batch_of(data)
        step = tf.convert_to_tensor(self.steps_taken)
        step, key = tf.cast(step, tf.float32), replica_key(self._noise_seed, step)
        for number, part in enumerate(divided(batch, self.objective.discriminator_steps)):
            part = self._with_known_share(part)
            noise, random_inputs, again = self._draw(part, key, number, step)
            with tf.GradientTape() as tape:
                fakes = self._compiled_fakes(noise, part["video"].shape[1], True)
            probability = tf.convert_to_tensor(self.augmentation_probability)
            values, gradients, scores = self._compiled_discriminator_step(
                part, fakes, random_inputs, probability
            )
            for network, discriminator in self.discriminators().items():
                self.update(network, gradients[network])
                iterate_spectra(discriminator)
            self._adapt_augmentation(scores, part)
        generator_values, by_fakes = self._compiled_generator_step(part, fakes, again, probability)
        gradients = tape.gradient(
            fakes,
            self.network_variables()[GENERATOR],
            output_gradients=by_fakes,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        self.update(GENERATOR, gradients)
        self.sync_batch_norm()
        self.steps_taken.assign_add(1)
        named = _named(values, scores, generator_values)
        if self.objective.augmentation_target:
            named["augmentation_probability"] = tf.convert_to_tensor(self.augmentation_probability)
        return self.tracked(named)

    def _discriminator_losses(
        self, batch: Mapping, fakes: Mapping, terms: AdversarialTerms
    ) -> tuple[dict, dict]:
        """The losses of the discriminators, and their `AdversarialTerms.scores_of`, by network."""
        values = self.discriminator_losses(batch, fakes, terms)
        networks = self.discriminators()
        scores = {name: terms.scores_of(network) for name, network in networks.items()}
        return {network: values[network] for network in networks}, scores

    def _adapt_augmentation(self, scores: Mapping[str, Mapping], batch: Mapping) -> None:
        """Moves the probability of augmentation, if it is adapted, in replica context."""
        objective = self.objective
        if not objective.augmentation_target:
            return
        sign = tf.add_n([own["sign"] for own in scores.values()]) / len(scores)
        sign = over_replicas(tf.distribute.ReduceOp.MEAN, sign)
        rows = tf.cast(tf.shape(batch["video"])[0], tf.float32)
        share = rows * self.distribute_strategy.num_replicas_in_sync / objective.augmentation_ramp
        before = tf.convert_to_tensor(self.augmentation_probability)
        after = adapted_probability(before, sign, objective.augmentation_target, share)
        self.augmentation_probability.assign(after)

    def test_step(self, data) -> dict:
        """The losses on other videos, at the end of the schedules.

        Every batch is compared to the same generated clips, so that two evaluations differ by the
        weights alone.
        """
        batch, end = self._with_known_share(self.batch_of(data)), tf.constant(float("inf"))
        key = replica_key(EVALUATION_SEED, tf.constant(0))
        noise, random_inputs, again = self._draw(batch, key, 0, end)
        fakes = self.fakes(noise, batch["video"].shape[1], training=False)
        terms = AdversarialTerms(self.objective, random_inputs, training=False)
        values, scores = self._discriminator_losses(batch, fakes, terms)
        terms = AdversarialTerms(self.objective, again, training=False)
        return self.tracked(_named(values, scores, self.generator_losses(batch, fakes, terms)))

    def divergences(self, training: Mapping, held_out: Mapping) -> dict[str, float]:
        """How much each discriminator knows its training clips, see `gan_losses.divergence`.

        Args:
            training, held_out: results of `evaluate` on clips of both kinds, with equal weights.

        Returns:
            By name, such as `"video_discriminator_divergence"`.
        """
        return {
            f"{name}_divergence": divergence(
                float(training[f"{name}_real"]),
                float(held_out[f"{name}_real"]),
                float(held_out[f"{name}_fake"]),
            )
            for name in self.discriminators()
        }


class FrameGAN(VideoGenerator, AdversarialModel):
    """A generator of clips that decodes each frame from a latent vector of its own.

    A subclass defines `noise_shapes`, `codes` and the losses.

    Args:
        decoder: arguments of `FrameDecoder` (G_I), without `image_shape`; a tanh follows it.
        lengths: lengths kappa of the videos that training generates, each equally likely. The
            discriminators see a clip cut out of each at random, as in section 4.1 of the
            residual-vector paper. `None`: a video is as long as the clip. A run takes "data" for
            the lengths of its training videos.
        **kwargs: of `AdversarialModel`.

    Raises:
        ValueError: the decoder's factors do not fit the image size, a length is not a whole number
            from 1, or as `AdversarialModel`.
    """

    PARTS: ClassVar[dict[str, Any]] = {**AdversarialModel.PARTS, "decoder": FrameDecoder}
    # Name of the noise of a clip that the code of every frame begins with, beside what else depends
    # on it, such as residuals.
    first_in_codes: ClassVar[str | None] = None

    def __init__(
        self,
        decoder: Mapping[str, Any] | None = None,
        lengths: Sequence[int] | str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(lengths, str) or not all(is_whole(each, 1) for each in lengths or ()):
            raise ValueError(f"lengths={lengths!r} must be whole numbers from 1, or None.")
        self.lengths = tuple(lengths or ())
        self.network_arguments["decoder"] = own = dict(decoder or {})
        self.decoder = FrameDecoder(self.image_shape, **own, dtype=self.dtype_policy)

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A frame's latent each, `[B, T, D]` float32, of named noise."""
        raise NotImplementedError

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return self.frames_of(codes, training=False)

    def frames_of(self, codes: tf.Tensor, training: bool) -> tf.Tensor:
        """G_I at every frame: `[B, T, D] -> [B, T, H, W, C]`."""
        return tf.tanh(over_frames(self.decoder, codes, training=training))

    def fakes(self, noise: Mapping, frames: int, training: bool) -> dict[str, tf.Tensor]:
        video = self.frames_of(self.clip_codes(noise, frames), training)
        return {"video": video, **self.category_in_noise(noise)}

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """The Gaussians of a video of the greatest length, and those that cut a clip out of it."""
        if not self.lengths:
            return self.noise_shapes(frames)
        return {**self.noise_shapes(max(frames, *self.lengths)), CUT: (2,)}

    def clip_codes(self, noise: Mapping[str, tf.Tensor], frames: int) -> tf.Tensor:
        """S_T of the codes: those of a clip `[B, frames, D]` out of a longer video, if any.

        The video has a random length kappa; a clip begins at any of its first kappa - frames + 1
        frames with equal probability.
        """
        if CUT not in noise:
            return self.codes(noise, frames)
        uniform = 0.5 * tf.math.erfc(-noise[CUT] / 2.0**0.5)  # [B, 2] in [0, 1]
        last = tf.constant([max(each - frames, 0) for each in self.lengths], tf.float32)
        chosen = tf.cast(uniform[:, 0] * len(self.lengths), tf.int32)
        starts = tf.gather(last, tf.minimum(chosen, len(self.lengths) - 1)) + 1.0
        first = tf.minimum(tf.floor(uniform[:, 1] * starts), starts - 1.0)  # [B]
        places = tf.cast(first, tf.int32)[:, None] + tf.range(frames)
        return tf.gather(self.codes(noise), places, batch_dims=1)


class FixedLength(LimitedLength):
    """Mix-in for an adversarial model that makes a whole clip of one latent vector."""

    latent_dim: int
    category_shapes: Any  # of `AdversarialModel`

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the named noise.

        Raises:
            ValueError: the clip would be longer than the native length.
        """
        self.clip_length(frames)
        return {"latent": (self.latent_dim,), **self.category_shapes()}

    def latents_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """z, with the one-hot class beside it if there are classes: `[B, D]`."""
        return beside(noise["latent"], category_code(noise))


def _named(values: Mapping, scores: Mapping, generator_values: Mapping) -> dict[str, tf.Tensor]:
    """All terms by the names of `term_names`, and the sum of the networks' losses as `"loss"`."""
    named = {f"{network}_loss": value for network, value in values.items()}
    loss = tf.add_n([*named.values(), generator_values["generator_loss"]])
    means = {f"{network}_{kind}": own[kind] for network, own in scores.items() for kind in SCORED}
    return {"loss": loss, **named, **generator_values, **means}
