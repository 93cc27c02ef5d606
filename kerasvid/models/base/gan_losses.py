"""Losses of adversarial models: their options, and the terms that they add up."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasvid import losses
from kerasvid.data.pixels import as_float_frames
from kerasvid.layers.augmentation import AUGMENTATIONS, augmented
from kerasvid.layers.discriminators import DiscriminatorOutput
from kerasvid.models.base.train_config import is_number, is_pair, is_whole
from kerasvid.naming import nearest_names

AUXILIARY, PROJECTION = "auxiliary", "projection"
WHOLE_NUMBERS = ("discriminator_steps", "image_frames", "r1_interval", "augmentation_ramp")


@dataclasses.dataclass(frozen=True)
class Objective:
    """Options of adversarial losses.

    Args:
        loss: `"logistic"` (non-saturating), `"hinge"`, `"least_squares"` or `"wasserstein"`. The
            last one needs a gradient penalty or spectral normalisation.
        real_target: target of logistic and least-squares discriminators for real samples; less
            than 1 for one-sided label smoothing.
        gradient_penalty: weight of (|dD/dx| - 1)^2 between real and generated samples (10 in
            Gulrajani et al., NeurIPS 2017).
        r1_weight: gamma of gamma / 2 |dD/dx|^2 at real samples (Mescheder et al., ICML 2018).
        r1_interval: each step computes it at every so-many-th real sample. The lazy regularisation
            of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020,
            takes all samples of every so-many-th step: the same expectation and cost, but steps of
            two lengths. A discriminator's `batch_std` is then that of these samples.
        instance_noise_std: (start, end) of the standard deviation of the Gaussian noise on all
            inputs of the discriminators.
        instance_noise_steps: number of steps from the start to the end; 0 for the end at once.
        augmentation: kinds of `layers.augmentation.AUGMENTATIONS` that real and generated clips are
            changed by before a discriminator sees them; empty for none.
        augmentation_probability: of each kind for a clip.
        augmentation_target: with more than 0 the probability begins at 0 and is adapted until real
            training clips have this mean sign of their scores (0.6 in Karras et al., NeurIPS 2020).
        augmentation_ramp: number of clips in which an adapted probability goes from 0 to 1.
        discriminator_steps: updates of the discriminators for one of the generator. Each sees its
            part of the batch. The generator and the reported losses see the last part.
        image_frames: random frames of a clip that the image discriminator sees; 1 as published,
            more for a less noisy estimate of the same mean.
        image_prior_weight: weight of the terms for images of a model's image prior.
        conditioning: how D_V learns of the classes of a model with `categories`, from further
            channels s_1 to s_K of its last convolution. `"auxiliary"`: they are the logits of a
            classifier of clips, which D_V trains on real clips and the generator on its own.
            `"projection"`: the logit of a patch of a clip of class y is s_0 + s_(1+y), as in
            Miyato, Koyama: "cGANs with Projection Discriminator", ICLR 2018, with the biases of
            the convolution; penalties are of this logit, too. A clip of an unknown class has s_0
            alone, as the generated clip beside it, so that both are as often unknown.
        category_weight: weight of the classification of clips, for `"auxiliary"`.

    Raises:
        ValueError: a value is out of its range.
    """

    loss: str = "logistic"
    real_target: float = 1.0
    gradient_penalty: float = 0.0
    r1_weight: float = 0.0
    r1_interval: int = 1
    instance_noise_std: tuple[float, float] = (0.0, 0.0)
    instance_noise_steps: int = 0
    augmentation: tuple[str, ...] = ()
    augmentation_probability: float = 1.0
    augmentation_target: float = 0.0
    augmentation_ramp: int = 50_000
    discriminator_steps: int = 1
    image_frames: int = 1
    image_prior_weight: float = 1.0
    conditioning: str = AUXILIARY
    category_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "loss":
                good = value in losses.ADVERSARIAL_LOSSES
                what = " or ".join(losses.ADVERSARIAL_LOSSES)
            elif name == "conditioning":
                good, what = value in (AUXILIARY, PROJECTION), f"{AUXILIARY} or {PROJECTION}"
            elif name == "instance_noise_std":
                good = is_pair(value) and min(value) >= 0.0
                what = "a pair [start, end] of numbers from 0"
            elif name == "augmentation":
                known = AUGMENTATIONS
                good = isinstance(value, Sequence) and not isinstance(value, str)
                good = good and len({*value}) == len(value) and {*value} <= {*known}
                what = f"a list of {', '.join(known)}, each once"
            elif name in ("augmentation_probability", "augmentation_target"):
                good, what = is_number(value) and 0.0 <= value <= 1.0, "from 0 to 1"
            elif name in WHOLE_NUMBERS:
                good, what = is_whole(value, 1), "a whole number from 1"
            elif name == "instance_noise_steps":
                good, what = is_whole(value, 0), "a whole number from 0"
            elif name == "real_target":
                good, what = is_number(value) and 0.5 < value <= 1.0, "more than 0.5 and at most 1"
            else:
                good, what = is_number(value) and value >= 0.0, "0 or more"
            if not good:
                raise ValueError(f"objective.{name}={value!r} must be {what}.")
        if self.real_target != 1.0 and self.loss not in ("logistic", "least_squares"):
            raise ValueError(
                f"objective.real_target={self.real_target}: the loss {self.loss!r} has no target. "
                "Use the loss logistic or least_squares."
            )

        if self.augmentation_target and not self.augmentation:
            raise ValueError(
                f"objective.augmentation_target={self.augmentation_target}: there is no "
                "augmentation. Set objective.augmentation too."
            )
        if self.augmentation_target and self.loss not in ("logistic", "hinge"):
            raise ValueError(
                f"objective.augmentation_target={self.augmentation_target}: the loss {self.loss!r} "
                "does not part real from generated scores at 0. Use the loss logistic or hinge."
            )

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> "Objective":
        """The objective of a model's argument `objective`; refuses unknown options."""
        options = dict(given or {})
        known = [field.name for field in dataclasses.fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise ValueError(f"objective has no {name!r}: {nearest_names(name, known)}.")
            if isinstance(value, list):  # of JSON
                options[name] = tuple(value)
        return cls(**options)

    def check(self, discriminators: Mapping[str, Any]) -> None:
        """Raises ValueError for discriminators that do not suit the penalties or the loss."""
        for name, discriminator in discriminators.items():
            if discriminator.normalization == "batch" and (self.gradient_penalty or self.r1_weight):
                raise ValueError(
                    f"{name}.normalization='batch' mixes rows, but gradient_penalty and r1_weight "
                    "need the gradient of each row. Use none or group."
                )
            bounded = self.gradient_penalty or discriminator.spectral
            if self.loss == "wasserstein" and not bounded:
                raise ValueError(
                    "objective.loss='wasserstein' needs discriminators with bounded gradients. Set "
                    f"objective.gradient_penalty=10 or {name}.spectral=true."
                )


@dataclasses.dataclass(frozen=True)
class AdversarialTerms:
    """The terms that a model's `discriminator_losses` and `generator_losses` add up, as scalars.

    The terms of a discriminator that is `None` are 0.

    Args:
        objective: loss function, weights and options.
        random_inputs: Gaussians by name, see `AdversarialModel.random_input_shapes`.
        training: as in Keras; there are no penalties and no augmentation without it.
        augmentation_probability: of this step.
        scores: the mean logit and the mean sign of real samples, and the mean logit of generated
            ones, which the terms leave here: lists by (id of the discriminator, name).
    """

    objective: Objective
    random_inputs: Mapping[str, tf.Tensor]
    training: bool = True
    augmentation_probability: tf.Tensor | float = 1.0
    scores: dict[tuple[int, str], list] = dataclasses.field(default_factory=dict)

    def inputs(self, samples: Mapping[str, tf.Tensor], kind: str) -> dict[str, tf.Tensor]:
        """The samples of one kind, `"real"` or `"fake"`, augmented and with instance noise."""
        return {name: self._input(value, f"{kind}_{name}") for name, value in samples.items()}

    def _input(self, samples: tf.Tensor, name: str) -> tf.Tensor:
        kinds, gaussians = self.objective.augmentation, self.random_inputs.get(f"{name}_change")
        if self.training and kinds and gaussians is not None:
            samples = augmented(samples, gaussians, kinds, self.augmentation_probability)
        noise = self.random_inputs.get(f"{name}_noise")
        return samples if noise is None else samples + noise

    def _note(self, discriminator, **values: tf.Tensor) -> None:
        for name, value in values.items():
            self.scores.setdefault((id(discriminator), name), []).append(value)

    def scores_of(self, discriminator) -> dict[str, tf.Tensor]:
        """`"real"`, `"sign"` and `"fake"` of a discriminator, each the mean over its terms."""
        own = {name: each for (owner, name), each in self.scores.items()
               if owner == id(discriminator)}  # fmt: skip
        return {name: tf.add_n(each) / len(each) for name, each in own.items()}

    def real_frames(
        self, real: Mapping[str, tf.Tensor], count: int | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """S_1(v): random frames of real clips, and the images beside them, of equal weight.

        Args:
            real: `"video"` `[B, T, H, W, C]` and perhaps `"image"` `[N, H, W, C]`.
            count: frames of a clip; `None` for `objective.image_frames`.

        Returns:
            Frames `[count * B + N, H, W, C]` and the weight of each, of mean 1.
        """
        count = self.objective.image_frames if count is None else count
        sources = [frames_at(real["video"], self.random_inputs["real_frames"][:, :count])]
        return joined([*sources, real["image"]] if "image" in real else sources)

    def fake_frames(self, fake: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """S_1(v~): random frames of generated clips, `[K * B, H, W, C]`."""
        return frames_at(fake["video"], self.random_inputs["fake_frames"])

    def _logits(self, output: DiscriminatorOutput, labels: tf.Tensor | None) -> tf.Tensor:
        """Real against generated, `[B, P]`, of samples of these labels."""
        projects = self.objective.conditioning == PROJECTION
        return output.projected(labels) if projects else output.logits

    def real_loss(
        self,
        discriminator,
        real: tf.Tensor,
        weights: tf.Tensor | float = 1.0,
        labels: tf.Tensor | None = None,
        known_share: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """E[-log D(x)] of real samples, and with `"auxiliary"` the cross-entropy of their labels.

        Args:
            discriminator: D.
            real: `[N, ...]`.
            weights: of each sample, of mean 1.
            labels: int64 `[N]`, -1 where unknown.
            known_share: share of the labels that are known on all replicas.
        """
        if discriminator is None:
            return tf.zeros([])
        output, objective = discriminator(real, training=self.training), self.objective
        logits = self._logits(output, labels)
        self._note(discriminator, real=tf.reduce_mean(logits), sign=tf.reduce_mean(tf.sign(logits)))
        rows = losses.loss_on_real(logits, objective.loss, objective.real_target)
        loss = tf.reduce_mean(weights * rows)
        return loss + self._category_loss(output.categories, labels, known_share)

    def fake_loss(
        self, discriminator, fake: tf.Tensor, labels: tf.Tensor | None = None
    ) -> tf.Tensor:
        """E[-log(1 - D(x~))] of generated samples of these labels."""
        if discriminator is None:
            return tf.zeros([])
        logits = self._logits(discriminator(fake, training=self.training), labels)
        self._note(discriminator, fake=tf.reduce_mean(logits))
        return tf.reduce_mean(losses.loss_on_fake(logits, self.objective.loss))

    def generator_loss(
        self, discriminator, fake: tf.Tensor, labels: tf.Tensor | None = None
    ) -> tf.Tensor:
        """E[-log D(x~)] of generated samples, and as in `real_loss` that of their labels."""
        if discriminator is None:
            return tf.zeros([])
        output = discriminator(fake, training=self.training)
        logits = self._logits(output, labels)
        loss = tf.reduce_mean(losses.generator_loss(logits, self.objective.loss))
        return loss + self._category_loss(output.categories, labels)

    def discriminator_loss(
        self,
        discriminator,
        real: tf.Tensor,
        fake: tf.Tensor,
        weights: tf.Tensor | float = 1.0,
        labels: tf.Tensor | None = None,
        known_share: tf.Tensor | None = None,
        fake_labels: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """`real_loss` plus `fake_loss` plus `penalties`, with their arguments."""
        loss = self.real_loss(discriminator, real, weights, labels, known_share)
        loss += self.fake_loss(discriminator, fake, fake_labels)
        return loss + self.penalties(discriminator, real, fake, weights, labels)

    def penalties(
        self,
        discriminator,
        real: tf.Tensor,
        fake: tf.Tensor,
        weights: tf.Tensor | float = 1.0,
        labels: tf.Tensor | None = None,
    ) -> tf.Tensor | float:
        """Gradient penalty and R1, weighted; a sample's score is the mean of its patches.

        Args:
            discriminator: D.
            real: `[N, ...]`. The first M are paired with the generated samples, further ones with
                the same again from the first on.
            fake: `[M, ...]`.
            weights: of each real sample in both penalties, of mean 1.
            labels: of the real samples; one between a real and a generated sample has the former's.
        """
        objective, penalty = self.objective, tf.zeros([])
        if discriminator is None or not self.training:
            return penalty
        if objective.gradient_penalty:
            rows, count = tf.shape(real)[0], tf.shape(fake)[0]
            drawn = [tf.reshape(tf.transpose(self.random_inputs["mixing"]), [-1])[:count]]
            if "image_mixing" in self.random_inputs:
                drawn.append(self.random_inputs["image_mixing"])
            share = 0.5 * tf.math.erfc(-tf.concat(drawn, axis=0)[:rows] / 2.0**0.5)  # in [0, 1]
            paired = tf.gather(fake, tf.range(rows) % count)
            mixed = losses.mixed_rows(real, paired, share)
            norms = self._gradient_norms(discriminator, mixed, labels)
            excess = weights * tf.square(norms - 1.0)
            penalty += objective.gradient_penalty * tf.reduce_mean(excess)
        if objective.r1_weight:
            chosen, shares = real, tf.broadcast_to(weights, tf.shape(real)[:1])
            of_chosen = labels
            if objective.r1_interval > 1:  # from a random sample on: sources lie one after another
                count = tf.shape(real)[0]
                uniform = 0.5 * tf.math.erfc(-self.random_inputs["r1_first"][0, 0] / 2.0**0.5)
                first = tf.cast(uniform * tf.cast(count, tf.float32), tf.int32)
                places = (first + tf.range(0, count, objective.r1_interval)) % count
                chosen, shares = tf.gather(real, places), tf.gather(shares, places)
                of_chosen = None if labels is None else tf.gather(labels, places)
            norms = self._gradient_norms(discriminator, chosen, of_chosen)
            squares = shares * tf.square(norms)
            penalty += 0.5 * objective.r1_weight * tf.reduce_sum(squares) / tf.reduce_sum(shares)
        return penalty

    def _gradient_norms(self, discriminator, samples, labels) -> tf.Tensor:
        def scores_of(samples):
            return self._logits(discriminator(samples, training=True), labels)

        return score_gradient_norms(scores_of, samples)

    def _category_loss(
        self,
        logits: tf.Tensor | None,
        labels: tf.Tensor | None,
        known_share: tf.Tensor | None = None,
    ) -> tf.Tensor:
        if logits is None or labels is None or self.objective.conditioning == PROJECTION:
            return tf.zeros([])
        entropy = losses.classification_loss(logits, labels, known_share)
        return self.objective.category_weight * tf.reduce_mean(entropy)


def score_gradient_norms(logits_of: Callable, samples: tf.Tensor) -> tf.Tensor:
    """|d D / d x| at each of the samples `[B, ...]`: `[B]`, in any precision.

    D is the mean of the patches of `logits_of(samples)`, `[B, P]`.

    The loss scale of mixed_float16 does not reach a gradient that is part of the loss. So the
    scores are scaled by about the root of the number of pixels: a gradient of norm 1 has entries
    of about 1.
    """
    scale = 2.0 ** round(0.5 * math.log2(math.prod(samples.shape[1:])))  # exact in any format
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        scores = scale * losses.per_row(logits_of(samples))
    return losses.gradient_norms(scores, samples, tape, scale)


def frames_at(clips: tf.Tensor, random_inputs: tf.Tensor) -> tf.Tensor:
    """S_1: random frames of every clip, each equally likely.

    Args:
        clips: `[B, T, H, W, C]`.
        random_inputs: Gaussians `[B, K, T]`; the largest of the T chooses each frame.

    Returns:
        `[K * B, H, W, C]`: the first frames of all clips, then the second ones.
    """
    chosen = tf.gather(clips, tf.argmax(random_inputs, axis=-1), batch_dims=1)  # [B, K, H, W, C]
    return tf.reshape(tf.transpose(chosen, [1, 0, 2, 3, 4]), [-1, *clips.shape[2:]])


def joined(sources: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples `[N, ...]` of sources `[N_i, ...]` in order, and the weight of each, `[N]`.

    A weighted mean over the samples is the mean over the sources of the mean over each.
    """
    rows = [tf.shape(source)[0] for source in sources]
    even = tf.cast(tf.add_n(rows), tf.float32) / len(sources)
    weights = [tf.fill([count], even / tf.cast(count, tf.float32)) for count in rows]
    return tf.concat(sources, axis=0), tf.concat(weights, axis=0)


def divergence(real: float, held_out: float, fake: float) -> float:
    """How much a discriminator knows its training clips: r_v of Karras et al., NeurIPS 2020.

        r_v = (E[D(training)] - E[D(held out)]) / (E[D(training)] - E[D(generated)])

    0 where it scores held-out clips as it does those of training, 1 where as generated ones.

    Args:
        real, held_out, fake: mean logits of training, held-out and generated clips.

    Example:
        >>> divergence(real=2.0, held_out=1.0, fake=-2.0)
        0.25
    """
    apart = real - fake
    return (real - held_out) / apart if apart > 1e-6 else 0.0


def divided(batch: Mapping[str, tf.Tensor], count: int) -> list[dict[str, tf.Tensor]]:
    """The batch in `count` equal parts; refuses a number of rows that is no multiple of it."""
    for name, value in batch.items():
        if value.shape[0] is not None and value.shape[0] % count:
            raise ValueError(
                f"objective.discriminator_steps={count}: the batch has {value.shape[0]} rows of "
                f"{name!r}. Use a multiple of {count}."
            )
    parts = {name: tf.split(value, count) for name, value in batch.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(count)]


def images_of(images: tf.Tensor, image_shape: Sequence[int] | None = None) -> tf.Tensor:
    """float32 `[N, H, W, C]` in [-1, 1] of images with a time axis of 1 or none.

    Raises:
        ValueError: as `as_float_frames`.
    """
    if len(images.shape) == 5 and images.shape[1] == 1:
        images = images[:, 0]
    return as_float_frames(images, "N, H, W, C", image_shape, "image")
