"""Training of generators against discriminators.

A step: the generator makes clips once; the discriminators are updated on real and generated ones;
then the generator is updated through the discriminators as they are now. One pass of the generator
serves all networks: its backward pass waits until the updated discriminators tell the gradient of
its clips.

With v real and v~ generated clips, S_1 a random frame and S_T the whole clip, the networks minimise

    D_I: E[-log D_I(S_1(v))] + E[-log(1 - D_I(S_1(v~)))]
    D_V: E[-log D_V(S_T(v))] + E[-log(1 - D_V(S_T(v~)))]
    G:   E[-log D_I(S_1(v~))] + E[-log D_V(S_T(v~))]

and, where the model makes still images from a fixed prior (RJGAN), the terms of equation (1) of the
residual-vector paper that feed them to D_I. Where there are still images beside the videos, D_I's
expectation over real frames is half over frames of clips and half over images.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.compilation import traced_function
from kerasvid.layers.spectral_convolution import iterate_spectra
from kerasvid.models.base.gan_losses import (
    check_bounded_gradients,
    divided,
    frames_at,
    image_loss,
    images_of,
    resolve_objective,
    video_loss,
)
from kerasvid.models.base.train_config import Ramp
from kerasvid.models.base.trainer import Trainer, draw_noise, replica_key

EVALUATION_SEED = 0x5EED
GENERATOR, IMAGE, VIDEO = "generator", "image_discriminator", "video_discriminator"
WARM_UP = 15  # power iterations of fresh kernels, without which their norms are underestimated


class Turn(NamedTuple):
    """What a turn of the discriminators leaves to the generator's update.

    Args:
        fakes: what the generator made for it.
        tape: that recorded how.
        category: what the fakes should be told by, see `AdversarialModel.asked_category`.
        random_inputs: Gaussians for the generator's own turn.
        judged: what the discriminators lost, by network.
    """

    fakes: dict[str, tf.Tensor]
    tape: tf.GradientTape
    category: tf.Tensor | None
    random_inputs: dict[str, tf.Tensor]
    judged: dict[str, tf.Tensor]


class AdversarialModel(Trainer):
    """A generator trained against an image discriminator, a video discriminator, or both.

    A subclass, a `VideoGenerator` or, with `conditions`, an `InBetween`, defines `noise_shapes` and
    `fakes`; its constructor makes the generator's layers, sets `image_discriminator` and
    `video_discriminator` (or leaves them `None`), and calls `set_objective` before and
    `build_networks` after.

    Batches are those of `Trainer`; beside the `"video"`, an `"image"` of uint8
    `[N, H, W, C]` or `[N, 1, H, W, C]` is shown to D_I alone, whose real frames are then half
    images and half frames of clips, by weight, whatever N; and a `"label"` of int64 `[B]` says what
    a clip shows, -1 where unknown. Where no clip of a batch has one, nothing asks generated clips
    for their category.

    Attributes:
        categories: K of the category code, 0 for none.
    """

    image_discriminator = None
    video_discriminator = None
    categories = 0

    # === What a model defines ===

    def conditions(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the generator is told of a batch, beside the noise that it gets; by default nothing.

        Args:
            batch: of `batch_of`, or the part of it that a turn of the discriminators sees.

        Returns:
            Tensors `[B, ...]` by names that no noise has; `fakes` gets them among its noise.
        """
        return {}

    def fakes(self, noise: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        """What the generator makes of noise, and of `conditions` where the model has any.

        Returns:
            `"video"` `[B, T, H, W, C]`; where the model has a fixed image prior, `"still"`
            `[B, H, W, C]`; and whatever `generator_terms` needs. All float32.
        """
        raise NotImplementedError

    def generator_terms(self, fakes: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Further terms of the generator's loss by name, weighted, each `[B]`; by default none."""
        return {}

    def category_of(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The category int64 `[B]` of generated clips, where there are categories."""
        return tf.argmax(noise["category"], axis=-1)

    def asked_category(self, batch: Mapping, noise: Mapping) -> tf.Tensor | None:
        """What generated clips should be told by, where labels teach D_V to tell categories.

        Args:
            batch: with the share of its labels that are known, if it has any labels.
            noise: of the generated clips.

        Returns:
            int64 `[B]`, -1 where no clip of the batch has a label: D_V's answer would be chance.
        """
        if not self.categories or "label" not in batch:
            return None
        category = self.category_of(noise)
        return tf.where(batch["known"] > 0.0, category, tf.constant(-1, category.dtype))

    # === Set-up, called by constructors ===

    def set_objective(self, objective: Mapping[str, Any] | None) -> None:
        """What the networks minimise, see `resolve_objective`."""
        self.objective = resolve_objective(objective)
        steps = self.objective["instance_noise_steps"]
        self._deviation = Ramp(*self.objective["instance_noise"], steps)

    def build_networks(self) -> None:
        """Makes the variables of every layer.

        Raises:
            ValueError: there is no discriminator, one does not take clips of the model's length,
                or its batch norm would spoil a penalty.
        """
        if not self._discriminators():
            raise ValueError("Without a discriminator nobody tells the generator what is real: "
                             "leave one of those that were set to false.")  # fmt: skip
        shape = [1, self.frames, *self.image_shape]
        if self.image_discriminator is not None:
            self.image_discriminator(tf.zeros([1, *self.image_shape]))
            self.add_term("image_discriminator_loss")
        if self.video_discriminator is not None:
            self.video_discriminator.check_length(self.frames)
            self.video_discriminator(tf.zeros(shape))
            self.add_term("video_discriminator_loss")
        check_bounded_gradients(self.objective, self._discriminators())
        for discriminator in self._discriminators().values():
            iterate_spectra(discriminator, WARM_UP)
        shapes = self.noise_shapes(self.frames)
        noise = {name: tf.zeros([1, *own]) for name, own in shapes.items()}
        noise |= self.conditions({"video": tf.zeros(shape)})
        for name in self.generator_terms(self.fakes(noise, training=False)):
            self.add_term(name)
        self.build()

    def check_training_length(self, frames: int) -> None:
        self.noise_shapes(frames)  # which a model of fixed length refuses
        if self.video_discriminator is not None:
            self.video_discriminator.check_length(frames)

    def _discriminators(self) -> dict[str, Any]:
        discriminators = {IMAGE: self.image_discriminator, VIDEO: self.video_discriminator}
        return {
            name: discriminator
            for name, discriminator in discriminators.items()
            if discriminator is not None
        }

    # === Players ===

    def network_variables(self) -> dict[str, list]:
        discriminators = {
            name: discriminator.trainable_variables
            for name, discriminator in self._discriminators().items()
        }
        judged = {id(variable) for variables in discriminators.values() for variable in variables}
        own = [variable for variable in self.trainable_variables if id(variable) not in judged]
        return {GENERATOR: own, **discriminators}

    def make_compiled_functions(self, jit: bool) -> None:
        self._generate = traced_function(lambda noise: self.fakes(noise, True), jit)
        self._judge = traced_function(self.discriminator, jit)
        self._convince = traced_function(self.convince, jit)

    def call(self, noise: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The clips `[B, T, H, W, C]` of named noise, with the conditions if there are any."""
        return self.fakes(noise, training)["video"]

    # === Chance ===

    def random_input_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Gaussians that a judgement draws for one video, beside those of generation."""
        count = self.objective["image_frames"]  # and a further real one for each still
        shapes = {"real_frames": (count + 1, frames), "fake_frame": (count, frames)}
        if self.objective["gradient_penalty"]:
            shapes["share"] = (count + 1,)
        if any(self.objective["instance_noise"]):
            frame = self.image_shape
            shapes |= {"on_real": (frames, *frame), "on_fake": (frames, *frame), "on_still": frame}
        return shapes

    def image_random_input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Gaussians that a judgement draws for one still image beside the videos."""
        shapes = {"image_share": ()} if self.objective["gradient_penalty"] else {}
        noisy = any(self.objective["instance_noise"])
        return {**shapes, "on_image": self.image_shape} if noisy else shapes

    def batch_of(self, data: Any) -> dict[str, tf.Tensor]:
        """`"video"`, and `"image"` `[N, H, W, C]` and `"label"` where they are needed and there."""
        batch = {"video": self.video_of(data)}
        self.check_training_length(batch["video"].shape[1])
        data = data[0] if isinstance(data, tuple | list) else data
        if isinstance(data, Mapping):
            if "image" in data and self.image_discriminator is not None:
                batch["image"] = images_of(data["image"])
            if "label" in data and self.categories:
                batch["label"] = data["label"]
        return batch

    def _with_known(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The batch with the `"known"` share of its labels on all replicas, if it has any."""
        if "label" not in batch:
            return batch
        context, known = tf.distribute.get_replica_context(), losses.known_share(batch["label"])
        return {**batch, "known": context.all_reduce(tf.distribute.ReduceOp.MEAN, known)}

    def _seen(
        self, clips: tf.Tensor, random_inputs: Mapping, name: str, step: tf.Tensor
    ) -> tf.Tensor:
        """What discriminators see of clips or stills: with instance noise, if there is any."""
        return (
            clips + self._deviation(step) * random_inputs[name] if name in random_inputs else clips
        )

    # === Losses ===

    def discriminator_losses(
        self,
        batch: Mapping[str, tf.Tensor],
        fakes: Mapping[str, tf.Tensor],
        random_inputs: Mapping[str, tf.Tensor],
        step: tf.Tensor,
        training: bool = True,
    ) -> dict[str, tf.Tensor]:
        """What each discriminator loses, a scalar by network.

        Args:
            batch: of `batch_of`; a `"known"` share of labels is that of all replicas.
            fakes: of `fakes`.
            random_inputs: Gaussians by `random_input_shapes`, and for images by `image_random_input_shapes`.
            step: float32 scalar, the step.
            training: as in Keras; penalties are left out without it.
        """
        real = self._seen(batch["video"], random_inputs, "on_real", step)
        fake = self._seen(fakes["video"], random_inputs, "on_fake", step)
        result, common = {}, {"random_inputs": random_inputs, "training": training}
        if self.image_discriminator is not None:
            still = fakes.get("still")
            count = self.objective["image_frames"] + (still is not None)
            sources = [frames_at(real, random_inputs["real_frames"][:, :count])]
            if "image" in batch:
                sources.append(self._seen(batch["image"], random_inputs, "on_image", step))
            fake_frames = frames_at(fake, random_inputs["fake_frame"])
            if still is not None:
                still = self._seen(still, random_inputs, "on_still", step)
            discriminator = self.image_discriminator
            result[IMAGE] = image_loss(
                discriminator, self.objective, sources, fake_frames, still, **common
            )
        if self.video_discriminator is not None:
            discriminator, labels = (
                self.video_discriminator,
                (batch.get("label"), batch.get("known")),
            )
            result[VIDEO] = video_loss(discriminator, self.objective, real, fake, *labels, **common)
        return result

    def generator_losses(
        self,
        fakes: Mapping[str, tf.Tensor],
        category: tf.Tensor | None,
        random_inputs: Mapping[str, tf.Tensor],
        step: tf.Tensor,
        training: bool = True,
    ) -> dict[str, tf.Tensor]:
        """`"generator_loss"`, a scalar, and the model's own terms in it.

        Arguments as above; `category` is that of `asked_category`.
        """
        kind, terms = self.objective["loss"], []
        fake = self._seen(fakes["video"], random_inputs, "on_fake", step)
        discriminator = self.image_discriminator
        if discriminator is not None:
            frames = frames_at(fake, random_inputs["fake_frame"])
            terms.append(
                losses.generator_loss(discriminator(frames, training=training).logits, kind)
            )
            if "still" in fakes:
                still = self._seen(fakes["still"], random_inputs, "on_still", step)
                on_still = losses.generator_loss(
                    discriminator(still, training=training).logits, kind
                )
                terms.append(self.objective["image_prior_weight"] * on_still)
        discriminator = self.video_discriminator
        if discriminator is not None:
            verdict = discriminator(fake, training=training)
            terms.append(losses.generator_loss(verdict.logits, kind))
            if verdict.categories is not None and category is not None:
                classified = losses.classification_loss(verdict.categories, category)
                terms.append(self.objective["category_weight"] * classified)
        own = self.generator_terms(fakes)
        total = tf.add_n([tf.reduce_mean(term) for term in [*terms, *own.values()]])
        return {"generator_loss": total, **{k: tf.reduce_mean(v) for k, v in own.items()}}

    # === The step ===

    def discriminator(self, batch, fakes, random_inputs, step):
        """Losses and gradients of the discriminators, by network; inside a compiled compiled function."""
        fakes = {name: tf.stop_gradient(value) for name, value in fakes.items()}
        with tf.GradientTape(persistent=True) as tape:
            values = self.discriminator_losses(batch, fakes, random_inputs, step)
            scaled = {network: self.scaled(value, network) for network, value in values.items()}
        variables = self.network_variables()
        gradients = {
            network: tape.gradient(loss, variables[network]) for network, loss in scaled.items()
        }
        return values, gradients

    def convince(self, fakes, category, random_inputs, step):
        """Loss of the generator and its gradient by what it made; inside a compiled compiled function."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fakes)
            terms = self.generator_losses(fakes, category, random_inputs, step)
            scaled = self.scaled(terms["generator_loss"], GENERATOR)
        zero = tf.UnconnectedGradients.ZERO
        return terms, tape.gradient(scaled, fakes, unconnected_gradients=zero)

    def train_step(self, data) -> dict:
        """The discriminators' updates, then the generator's, in replica context."""
        batch = self.batch_of(data)
        step = tf.convert_to_tensor(self.steps_taken)
        step, key = tf.cast(step, tf.float32), replica_key(self._noise_seed, step)
        parts = divided(batch, self.objective["discriminator_steps"])
        turn = [self._turn(part, key, number, step) for number, part in enumerate(parts)][-1]
        terms, slopes = self._convince(turn.fakes, turn.category, turn.random_inputs, step)
        gradients = turn.tape.gradient(
            turn.fakes,
            self.network_variables()[GENERATOR],
            output_gradients=slopes,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        self.update(GENERATOR, gradients)
        self.sync_batch_norm()
        self.steps_taken.assign_add(1)
        return self.tracked(self._named(turn.judged, terms))

    def _turn(self, part: Mapping, key: tf.Tensor, number: int, step: tf.Tensor) -> Turn:
        """One update of the discriminators, on a part of the batch and as many generated clips."""
        part = self._with_known(part)
        noise, random_inputs, again = self._draw(part, key, number)
        with tf.GradientTape() as tape:
            fakes = self._generate(noise)
        judged, gradients = self._judge(part, fakes, random_inputs, step)
        for network, gradient in gradients.items():
            self.update(network, gradient)
        for discriminator in self._discriminators().values():
            iterate_spectra(discriminator)
        return Turn(fakes, tape, self.asked_category(part, noise), again, judged)

    def _draw(self, batch: Mapping, key: tf.Tensor, number: int) -> tuple[dict, dict, dict]:
        """What `fakes` takes, and the random_inputs of the discriminators' and the generator's turn."""
        frames, rows = batch["video"].shape[1], tf.shape(batch["video"])[0]
        keys = [tf.random.experimental.stateless_fold_in(key, 4 * number + i) for i in range(4)]
        shapes = self.random_input_shapes(frames)
        noise = draw_noise(self.training_noise_shapes(frames), rows, keys[0])
        random_inputs, again = draw_noise(shapes, rows, keys[1]), draw_noise(shapes, rows, keys[2])
        if "image" in batch and (of_images := self.image_random_input_shapes()):
            random_inputs |= draw_noise(of_images, tf.shape(batch["image"])[0], keys[3])
        return {**noise, **self.conditions(batch)}, random_inputs, again

    def _named(self, judged: Mapping, terms: Mapping) -> dict[str, tf.Tensor]:
        """All terms by the names of `term_names`, and their sum as `"loss"`."""
        named = {f"{network}_loss": value for network, value in judged.items()}
        loss = tf.add_n([*named.values(), terms["generator_loss"]])
        return {"loss": loss, **named, **terms}

    def test_step(self, data) -> dict:
        """What the networks lose on other videos, at the end of the schedules.

        Every batch meets the same generated clips, so that two evaluations differ by the weights.
        """
        batch, step = self._with_known(self.batch_of(data)), tf.constant(float("inf"))
        key = replica_key(EVALUATION_SEED, tf.constant(0))
        noise, random_inputs, again = self._draw(batch, key, 0)
        fakes = self.fakes(noise, training=False)
        category = self.asked_category(batch, noise)
        judged = self.discriminator_losses(batch, fakes, random_inputs, step, training=False)
        terms = self.generator_losses(fakes, category, again, step, training=False)
        return self.tracked(self._named(judged, terms))
