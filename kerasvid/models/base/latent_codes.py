"""Models whose latent codes are weights, trained beside the networks without an encoder.

Every video, identity or action has a row of codes in a table. A training step looks up the rows of
its batch. It updates each network by a Keras optimizer, and those rows by SGD with momentum:

    m <- momentum m + dl/dz,   z <- z - rate m,   z <- z / max(1, ||z||)

Networks and codes are trained jointly, or in the two stages of Aich et al. (see `navsynth.py`): the
generator alone (section 3.1), then the codes and the recurrent network (3.2).
"""

import functools
import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.code_encoder import CodeEncoder
from kerasvid.layers.code_table import CodeTable, projected_to_ball
from kerasvid.layers.compilation import traced_function
from kerasvid.layers.fitted_priors import LARGEST, PriorFit
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.base.categories import CATEGORY
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.models.base.protocols import Encoder, LearnedCodes
from kerasvid.models.base.trainer import (
    DECODED,
    EVALUATION_SEED,
    Trainer,
    checked_count,
    choice_shapes,
    draw_noise,
    replica_key,
)
from kerasvid.models.base.video_generator import (
    LimitedLength,
    VideoGenerator,
    as_video_tensor,
    check_same_batch,
)
from kerasvid.naming import nearest_names

GENERATOR, RECURRENT = "generator", "recurrent"
GAUSSIAN = "gaussian"  # the prior of learned codes, if no other is asked for
# By which field of a record codes are looked up, and the argument that counts its values.
ROW_KEYS = {"index": "videos", "identity": "identities", "label": "classes"}
SHARED = "shared"  # the key of codes that all videos have in common: one row
FITTED_KEYS = "index", "identity"  # of the codes that a prior draws anew
TRIPLET = "triplet"
COLD_STEPS, WARM_STEPS = 300, 60  # of `encode`, from the mean and from a guess
# The networks that a stage trains, and whether it trains the codes.
STAGES = {
    "joint": ((GENERATOR, RECURRENT), True),
    "network": ((GENERATOR,), False),
    "codes": ((RECURRENT,), True),
    TRIPLET: ((RECURRENT,), True),  # follows an update of the codes
}


class LatentCodeModel(LimitedLength, VideoGenerator, CodePriors, Trainer, LearnedCodes, Encoder):
    """A generator that is trained together with the codes of its training videos.

    A subclass makes its networks, one of them named `decoder`, and defines `compute_losses`,
    `latents_of` and, if it has a recurrent network, `recurrent_variables`. Batches are the
    pipeline's dicts: `"video"`, and int64 `[B]` for every key of a table: `"index"` (of the video
    in its split), `"identity"` or `"label"`.

    New videos come from a prior fitted to the codes, by default a Gaussian: one of all codes of a
    video, one of those of an identity. Codes by label are the rows of a random category. Where no
    code was learned, new ones are drawn as the first ones were.

    Args:
        frames: T of the training clips and of the longest generated ones.
        tables: for each table, the key of its rows and the shape of a row.
        levels: bands of the Laplacian pyramid loss, which `encode` minimises.
        conditional: whether the generator also takes the label.
        rank: of the codes of a sequence after every update, or `None`.
        image_shape: `(H, W, C)`.
        videos, identities, classes: numbers of videos, identities and labels in the training split.
            A run takes them from the data set.
        decoded_frames: number of frames that a training step decodes, chosen at random; `None` for
            all. The loss keeps its expectation.
        scaled_codes: whether networks take codes times the square root of their size D, which have
            about unit variance. The rate of the codes should then be up to D times smaller.
        stages: epochs of the two stages, which alternate: `{"network": 5, "codes": 300}`; `None`
            trains all at once. An epoch is `videos` videos.

    Raises:
        ValueError: a value is out of its range, or a name is unknown.
    """

    term_names: tuple[str, ...] = ("loss", "psnr")
    code_encoders: dict[str, CodeEncoder]  # one, or none
    encoder_config: dict[str, Any] | None = None
    draws_unlearned = False
    noise_methods = "generate(batch), recall(index=...) or reconstruct(videos)"
    train_function: Any  # of Keras

    def __init__(
        self,
        frames: int,
        *,
        tables: Mapping[str, tuple[str, tuple[int, ...]]],
        levels: int,
        conditional: bool,
        rank: int | None,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        videos: int = 16,
        identities: int = 0,
        classes: int = 0,
        decoded_frames: int | None = None,
        scaled_codes: bool = False,
        stages: Mapping[str, int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        losses.check_levels(*image_shape[:2], levels)
        self.image_shape, self.frames, self.levels = tuple(image_shape), frames, levels
        self.videos, self.identities, self.classes = videos, identities, classes
        self.conditional, self.rank, self.scaled_codes = conditional, rank, scaled_codes
        self.decoded_frames = checked_count(decoded_frames)
        self.stages = dict(stages) if stages else None
        epochs = self.stages or {"network": 1, "codes": 1}
        if set(epochs) != {"network", "codes"} or not all(map(_is_positive, epochs.values())):
            raise ValueError(
                f"stages={epochs} must give the epochs of both network and codes, each 1 or more; "
                "or use stages=None."
            )
        self.row_keys = {name: key for name, (key, _) in tables.items()}
        self.row_counts = self._checked_counts()
        self._stage = "joint"
        counter: dict[str, Any] = {"dtype": "int64", "trainable": False, "autocast": False}
        # Stages are counted in videos, so that they do not depend on the size of a batch.
        self.videos_seen = self.add_weight((), "zeros", name="videos_seen", **counter)
        # The step whose codes the priors of `generate` were fitted to.
        self.fitted_at = self.add_weight((), "zeros", name="fitted_at", **counter)
        for name, (key, shape) in tables.items():
            of_table = rank if len(shape) > 1 else None
            table = CodeTable(self.count_of(key), shape, of_table, name=f"{name}_codes")
            setattr(self, f"{name}_codes", table)
        self.priors, self.code_encoders = {}, {}

    def _checked_counts(self) -> dict[str, int]:
        """The number of rows by key, for the tables and for a conditional generator."""
        for name, key in self.row_keys.items():
            if key not in (known := {**ROW_KEYS, SHARED: 1}):
                raise ValueError(f"{name}_by={key!r}: {nearest_names(key, known)}.")
        keys = [*self.row_keys.values(), *(["label"] if self.conditional else [])]
        counted = [key for key in keys if key != SHARED]
        if not counted:
            raise ValueError(
                f"All codes are {SHARED}: all videos would be the same. Use 'index' once."
            )
        for key in [*counted, *(["index"] if self.stages else [])]:
            count = getattr(self, ROW_KEYS[key])
            if not _is_positive(count):
                raise ValueError(
                    f"{ROW_KEYS[key]}={count!r} must be 1 or more: use a data set whose videos "
                    f"have a known {key}."
                )
        return {key: getattr(self, ROW_KEYS[key]) for key in counted}

    # === What a model defines ===

    def compute_losses(self, batch, noise, step, training) -> tuple[dict, dict]:
        """As `Trainer.compute_losses`, without running statistics.

        Args:
            batch: `"video"`; `"codes"`, rows `[B, ...]` of each table by name; `"label"`, int64
                `[B]`, or `None` where the generator is not conditional.
            noise: an evaluation has no `"decoded_frames"` and decodes all frames.
            step, training: as there.
        """
        raise NotImplementedError

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        """The latent vector of each frame, `[B, T, D]`, from a row `[B, ...]` of each table."""
        raise NotImplementedError

    def has_triplet_step(self) -> bool:
        """Whether a loss of the recurrent network has an update of its own, the stage `TRIPLET`."""
        return False

    def minimised(self, terms: Mapping[str, tf.Tensor], stage: str) -> tf.Tensor:
        """What a stage minimises, `[B]`, of the terms of `compute_losses`."""
        return terms["loss"]

    def recurrent_variables(self) -> list:
        """The weights of the recurrent network, if there is one."""
        return []

    # === Training ===

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | Mapping[str, Any] = "adam",
        *args,
        code_rate: float | keras.optimizers.schedules.LearningRateSchedule = 12.5,
        code_momentum: float = 0.9,
        **kwargs,
    ) -> None:
        """Sets the optimizers of the networks and the learning rate of the codes.

        Args:
            code_rate: learning rate of the codes, a number or a schedule by the step; 0 leaves
                them as they were drawn.
            code_momentum: in [0, 1).
            optimizer, *args, **kwargs: as `Trainer.compile`.

        Raises:
            ValueError: a value is out of its range, or there are stages and several steps per
                execution.
        """
        schedule = isinstance(code_rate, keras.optimizers.schedules.LearningRateSchedule)
        number = isinstance(code_rate, numbers.Real) and code_rate is not True
        if not schedule and not (number and 0 <= code_rate < math.inf):
            raise ValueError(f"code_rate={code_rate!r} must be a number, 0 or more, or a schedule.")
        if not 0 <= code_momentum < 1:
            raise ValueError(f"code_momentum={code_momentum} must be at least 0 and less than 1.")
        executed = kwargs.get("steps_per_execution", 1)
        if self.stages is not None and executed != 1:
            raise ValueError(f"steps_per_execution={executed!r} must be 1 for a model with stages.")
        super().compile(optimizer, *args, **kwargs)
        self._code_rate, self._code_momentum = code_rate, code_momentum
        saved = keras.saving.serialize_keras_object(code_rate) if schedule else code_rate
        self._compile_arguments |= {"code_rate": saved, "code_momentum": code_momentum}

    def compile_from_config(self, config: dict) -> None:
        rate = config["code_rate"]
        if isinstance(rate, Mapping):
            rate = keras.saving.deserialize_keras_object(rate)
        super().compile_from_config({**config, "code_rate": rate})

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """The noise whose order chooses the frames to decode."""
        return choice_shapes(self.decoded_frames, frames)

    def network_variables(self) -> dict[str, list]:
        recurrent = self.recurrent_variables()
        others = {id(variable) for variable in recurrent}
        own = [variable for variable in self.trainable_variables if id(variable) not in others]
        return {GENERATOR: own, **({RECURRENT: recurrent} if recurrent else {})}

    def tables(self) -> dict[str, CodeTable]:
        """The tables by name."""
        return {name: getattr(self, f"{name}_codes") for name in self.row_keys}

    def make_compiled_functions(self, jit: bool) -> None:
        self._compiled = {
            stage: traced_function(functools.partial(self.gradients_of_stage, stage=stage), jit)
            for stage in STAGES
        }

    def make_train_function(self, force: bool = False) -> None:
        """As in Keras; with stages, a function for each, chosen before every step."""
        if self.stages is None:
            return super().make_train_function(force)
        if self.train_function is not None and not force:
            return
        functions = {}
        for stage in self.stages:
            super().make_train_function(force=True)
            functions[stage] = self.train_function

        def train(iterator):
            epoch = int(self.videos_seen.numpy()) // self.videos
            of_network = epoch % sum(self.stages.values()) < self.stages["network"]
            self._stage = "network" if of_network else "codes"
            return functions[self._stage](iterator)

        self.train_function = train

    def count_of(self, key: str) -> int:
        """The rows of the tables by a key: videos, identities, labels, or 1 that all share."""
        return 1 if key == SHARED else self.row_counts[key]

    def batch_and_rows(self, data: Any, training: bool) -> tuple[dict, dict[str, tf.Tensor]]:
        """The batch of `compute_losses`, and the int64 rows `[B]` of each table.

        Raises:
            ValueError: the batch lacks a key, or its clips have another length or frame size.
            InvalidArgumentError: a table has no such row, or the batch has an index beyond the
                `videos` that stages are counted by.
        """
        self.check_batch(data)
        video = self.video_of(data)
        data = data[0] if isinstance(data, tuple | list) else data
        counts = dict(self.row_counts)
        if training and self.stages is not None and "index" in data:
            counts["index"] = self.videos
        rows = existing_rows({key: data[key] for key in counts}, counts)
        rows[SHARED] = tf.zeros(tf.shape(video)[:1], tf.int64)
        by_table = {name: rows[key] for name, key in self.row_keys.items()}
        codes = self._codes_of(by_table)
        label = rows["label"] if self.conditional else None
        return {"video": video, "codes": codes, "label": label}, by_table

    def check_batch(self, data: Any) -> None:
        super().check_batch(data)
        data = data[0] if isinstance(data, tuple | list) else data
        for key in self.row_counts:
            if not isinstance(data, Mapping) or key not in data:
                raise ValueError(
                    f'The batch has no "{key}", by which codes are looked up. Use the batches of '
                    "make_pipeline, or dicts with it."
                )

    def check_training_length(self, frames: int) -> None:
        if frames != self.frames:
            raise ValueError(
                f"Clips of {frames} frames, but the codes have {self.frames}. Train on clips of "
                f"that length, or make the model with frames={frames}."
            )

    def gradients_of_stage(self, batch, noise, step, stage: str):
        """Means of the terms, gradients by network and by table; inside a compiled function."""
        networks, with_codes = STAGES[stage]
        variables = {n: v for n, v in self.network_variables().items() if n in networks}
        with tf.GradientTape() as tape:
            tape.watch(batch["codes"])
            # Batch norm keeps its statistics where the generator is not trained.
            terms, _ = self.compute_losses(batch, noise, step, training=GENERATOR in networks)
            minimised = tf.reduce_mean(self.minimised(terms, stage))
            loss = self.scaled(minimised, self._scaler_of(stage))
        sources = {"networks": variables, "codes": batch["codes"] if with_codes else {}}
        gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
        # Terms of the second step are not reported: without them no frame is decoded.
        shown = terms if stage != TRIPLET else {}
        means = {name: tf.reduce_mean(value) for name, value in shown.items()}
        return means, gradients["networks"], gradients["codes"]

    def train_step(self, data) -> dict:
        """One update of the networks and of the codes of the batch, in replica context."""
        batch, rows = self.batch_and_rows(data, training=True)
        step, size = tf.convert_to_tensor(self.steps_taken), tf.shape(batch["video"])[0]
        key = replica_key(self._noise_seed, step)
        noise = draw_noise(self.training_noise_shapes(self.frames), size, key)
        terms = self._update(self._stage, batch, rows, noise, step)
        if self.has_triplet_step() and STAGES[self._stage][1]:
            batch = {**batch, "codes": self._codes_of(rows)}
            self._update(TRIPLET, batch, rows, noise, step)
        self.sync_batch_norm()
        self.steps_taken.assign_add(1)
        replicas = self.distribute_strategy.num_replicas_in_sync
        self.videos_seen.assign_add(tf.cast(size, tf.int64) * replicas)
        return self.tracked(terms)

    def _update(self, stage: str, batch: dict, rows: dict, noise: dict, step: tf.Tensor) -> dict:
        """One update of what a stage trains; returns the mean terms."""
        terms, by_network, by_table = self._compiled[stage](batch, noise, tf.cast(step, tf.float32))
        scale = self._loss_scale(self._scaler_of(stage))
        rate = self._code_rate(step) if callable(self._code_rate) else self._code_rate
        for name, gradient in by_table.items() if self._code_rate else ():
            self.tables()[name].descend(rows[name], gradient / scale, rate, self._code_momentum)
        for network, gradients in by_network.items():
            ratio = self._loss_scale(network) / scale
            self.update(network, [gradient * ratio for gradient in gradients])
        return terms

    def _codes_of(self, rows: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: table(rows[name]) for name, table in self.tables().items()}

    def _scaler_of(self, stage: str) -> str:
        """The network whose optimizer scales the loss of a stage."""
        # One that the stage updates: the scale of another would not fall when gradients overflow.
        networks = self.network_variables()
        return next((name for name in STAGES[stage][0] if name in networks), GENERATOR)

    def _loss_scale(self, network: str) -> tf.Tensor:
        return tf.cast(getattr(self.optimizer_of(network), "dynamic_scale", 1.0), tf.float32)

    def test_step(self, data) -> dict:
        """The terms of videos whose codes are learned; all frames are decoded."""
        batch, _ = self.batch_and_rows(data, training=False)
        shapes = self.training_noise_shapes(self.frames)
        shapes.pop(DECODED, None)
        key = tf.constant([EVALUATION_SEED, 0])
        noise = draw_noise(shapes, tf.shape(batch["video"])[0], key)
        step = tf.cast(self.steps_taken, tf.float32)
        terms, _ = self.compute_losses(batch, noise, step, training=False)
        return self.tracked({name: tf.reduce_mean(value) for name, value in terms.items()})

    def fit(self, *args, **kwargs):
        """As in Keras; then fits the Gaussians that `generate` draws codes from."""
        if self._code_rate:
            # Before training: workers make a variable together, but the chief alone shows samples.
            self.draws_unlearned = False
            self._set_gaussian()
        history = super().fit(*args, **kwargs)
        self.refresh_priors()
        return history

    # === From codes to frames ===

    def scaled_for_networks(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes `[..., D]` as the networks take them; see `scaled_codes`."""
        return codes * codes.shape[-1] ** 0.5 if self.scaled_codes else codes

    def decoded(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` as the generator makes them, unclipped, from `[B, T, D]`."""
        return over_frames(self.decoder, latents, training=training)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] from latent vectors `[B, T, D]`."""
        return tf.clip_by_value(self.decoded(codes), -1.0, 1.0)

    # === New videos ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the named noise of one video; refuses clips that are longer than the codes.

        They are those of the prior, which is fitted first if codes were trained since.
        """
        self.clip_length(frames)
        if tf.executing_eagerly():
            self.refresh_priors()
        shapes: dict[str, tuple[int, ...]] = {
            key: (self.priors[key].noise_size if self.priors else size,)
            for key, (size, _) in self.code_sizes().items()
        }
        return {**shapes, CATEGORY: (self.classes,)} if "label" in self.row_counts else shapes

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """The latent vector of each frame, `[B, T, D]`, from named noise by the fitted priors.

        T is `frames`, or the model's own length where `None`.
        """
        frames = self.clip_length(frames)
        label = tf.argmax(noise[CATEGORY], axis=-1) if CATEGORY in noise else None
        drawn: dict[str, tf.Tensor] = {}
        for key, tables in self._tables_by_key().items():
            if key not in FITTED_KEYS:
                any_noise = next(iter(noise.values()))
                rows = label if key == "label" else tf.zeros(tf.shape(any_noise)[:1], tf.int64)
                drawn |= {name: table(rows) for name, table in tables.items()}
                continue
            flat = self.priors[key](noise[key]) if self.priors else noise[key]
            parts = tf.split(flat, [table.size for table in tables.values()], axis=1)
            for (name, table), part in zip(tables.items(), parts, strict=True):
                codes = tf.reshape(part, [-1, *table.shape])
                codes = codes if self.priors else codes * table.shape[-1] ** -0.5
                drawn[name] = projected_to_ball(codes)
        return self.latents_of(drawn, label if self.conditional else None)[:, :frames]

    def call(
        self, noise: Mapping[str, tf.Tensor], frames: int | None = None, training: bool = False
    ) -> tf.Tensor:
        """The clips of named noise, `[B, T, H, W, C]` in [-1, 1]; T is `frames` by default."""
        return self.decode(self.codes(noise, frames))

    def render(self, noise: dict, frames: int | None = None) -> np.ndarray:
        """As `VideoGenerator.render`, after fitting Gaussians to codes that were trained since."""
        self.refresh_priors()
        return super().render(noise, frames)

    # === Priors ===

    def _tables_by_key(self) -> dict[str, dict[str, CodeTable]]:
        by_key: dict[str, dict[str, CodeTable]] = {}
        for name, table in self.tables().items():
            by_key.setdefault(self.row_keys[name], {})[name] = table
        return by_key

    def code_sizes(self) -> dict[str, tuple[int, int]]:
        sizes = {}
        for key, tables in self._tables_by_key().items():
            if key in FITTED_KEYS:
                size = sum(table.size for table in tables.values())
                sizes[key] = size, min(size, self.row_counts[key], LARGEST)
        return sizes

    def fit_prior(  # type: ignore[override]  # the codes are here
        self, kind: str, *, steps: int = 4_000, seed: int = 0, **arguments: Any
    ) -> dict[str, PriorFit | None]:
        """Fits a prior to the learned codes of each video or identity, over all their tables.

        New videos are drawn from it from then on. After further training, Gaussians take its place.

        Args:
            kind: `"gaussian"`, `"mixture"`, `"flow"`, `"nearest"` or `"flow_matching"`; see
                `layers/fitted_priors.py`.
            steps: updates of a network.
            seed: of their draws.
            **arguments: of the kind, such as `units`.

        Returns:
            How well it fits, by key of the codes: `"index"` or `"identity"`.

        Raises:
            ValueError: the kind or an argument is unknown, or the codes are not finite.
            RuntimeError: scikit-learn is missing, which `"mixture"` needs.

        Example:
            >>> model.fit(batches, steps_per_epoch=4000)
            >>> model.fit_prior("nearest")
        """
        self.check_prior(kind, arguments)
        fits = self.fit_groups(kind, self._flat_codes(), steps, seed, arguments)
        self.draws_unlearned = False
        self.fitted_at.assign(self.steps_taken)
        return fits

    def _has_learned(self) -> bool:
        """Whether any code was ever updated."""
        return any(table.learned.numpy().any() for table in self.tables().values())

    def _flat_codes(self) -> dict[str, np.ndarray]:
        """The learned codes by key, of all tables as one vector each: `[N, S]`."""
        codes = {}
        for key, tables in self._tables_by_key().items():
            if key in FITTED_KEYS:
                rows = tf.constant(next(iter(tables.values())).learned_rows(), tf.int64)
                parts = [tf.reshape(table(rows), [-1, table.size]) for table in tables.values()]
                codes[key] = tf.concat(parts, axis=1).numpy()
        return codes

    def refresh_priors(self) -> None:
        """Fits Gaussians if codes were trained since the last fit."""
        fitted = int(self.steps_taken.numpy()) == int(self.fitted_at.numpy())
        if self.draws_unlearned or not self._has_learned() or (fitted and self.priors):
            return
        self._set_gaussian()
        for key, codes in self._flat_codes().items():
            self.priors[key].fit(codes)
        self.fitted_at.assign(self.steps_taken)

    def _set_gaussian(self) -> None:
        """Gives the model Gaussians, which are to be fitted, if it has none."""
        if self.prior_config != {"kind": GAUSSIAN}:
            with self.distribute_strategy.scope():
                self.set_prior(GAUSSIAN)
            self.fitted_at.assign(-1)

    def draw_unlearned(self) -> None:
        """Takes the prior away: new codes are drawn as the first ones were, until `fit`.

        Codes by label, and those that all videos share, stay the learned ones.
        """
        self.set_prior(None)
        self.draws_unlearned = True

    # === Learned codes ===

    def learned_codes(self) -> dict[str, np.ndarray]:
        """The tables by name, float32 `[rows, ...]`; see also `CodeTable.learned_rows`.

        Example:
            >>> model.learned_codes()["static"].shape
            (820, 206)
        """
        return {name: table.codes.numpy() for name, table in self.tables().items()}

    def recall(self, **rows: Any) -> np.ndarray:
        """Training videos from their codes: uint8 `[B, T, H, W, C]`.

        Args:
            **rows: as `codes_at`.

        Example:
            >>> model.recall(index=[0, 5])
        """
        return self.pixels(self.latents_of(*self.codes_at(rows)))

    def codes_at(self, rows: Mapping[str, Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """The codes of some rows by table, and the labels for a conditional generator.

        Args:
            rows: the keys of the tables, `index`, `identity` or `label`, int `[B]` each; others
                are ignored.

        Raises:
            ValueError: a key is missing, or there is no such row.
        """
        missing = sorted(key for key in self.row_counts if rows.get(key) is None)
        if missing:
            raise ValueError(f"Give {' and '.join(missing)}, by which the codes are looked up.")
        chosen = {key: self.checked_rows(key, rows[key]) for key in self.row_counts}
        chosen[SHARED] = tf.zeros_like(next(iter(chosen.values())))
        codes = {name: table(chosen[self.row_keys[name]]) for name, table in self.tables().items()}
        return codes, chosen["label"] if self.conditional else None

    def checked_rows(self, key: str, rows: Any) -> tf.Tensor:
        """Rows of the tables by `key`, as int64 `[B]`; a ValueError where one does not exist."""
        count = self.count_of(key)
        if tf.is_tensor(rows) and not tf.executing_eagerly():
            return existing_rows({key: rows}, {key: count})[key]
        values = np.asarray(rows)
        integers = values.ndim == 1 and values.size and values.dtype.kind in "iu"
        if not integers or values.min() < 0 or values.max() >= count:
            raise ValueError(f"{key}={values.tolist()} must be integers from 0 to {count - 1}.")
        return tf.constant(values, tf.int64)

    def generate_learned(self, batch: int, seed: int = 0) -> np.ndarray:
        """Videos of randomly combined learned codes: uint8 `[B, T, H, W, C]`.

        Every table gives a row of its own, so that most combinations were never trained on. Video
        i depends on (seed, i) alone.
        """
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1.")
        codes, label, tables = {}, None, sorted(self.tables().items())
        for position, (name, table) in enumerate(tables):
            learned = tf.constant(table.learned_rows(), tf.int64)
            rows = tf.gather(learned, _random_rows(len(learned), batch, seed, position))
            codes[name] = table(rows)
            label = rows if self.row_keys[name] == "label" else label
        if self.conditional and label is None:
            label = _random_rows(self.classes, batch, seed, len(tables))
        latents = self.latents_of(codes, label if self.conditional else None)
        return self.pixels(latents)

    # === Codes of other videos ===

    def fit_encoder(self, batches: Iterable, *, steps: int = 2_000, **sizes: Any) -> float:
        """Trains an encoder on the learned codes. From then on `encode` starts from its guess.

        A guess and a few steps of descent find codes about as good as many steps from the mean.
        Further training of the codes does not change the encoder: fit it again.

        Args:
            batches: of training videos as `fit` takes them; gone through as often as needed.
            steps: updates of the encoder, one batch each; at least 1.
            **sizes: `channels` and `units` of `CodeEncoder`.

        Returns:
            The loss of the last batches (`CodeEncoder.loss`); codes that are all 0 have about 1
            for each table.

        Raises:
            ValueError: `steps` is less than 1, there is no batch, or as `batch_and_rows`.

        Example:
            >>> model.fit_encoder(make_pipeline("data/turntable", pick="start"))
            >>> codes = model.encode(videos)
        """
        if steps < 1:
            raise ValueError(f"steps={steps} must be 1 or more.")
        shapes = {name: table.shape for name, table in self.tables().items()}
        encoder = CodeEncoder(self.image_shape, shapes, **sizes)  # under no strategy
        rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.02)
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build(encoder.trainable_variables)

        @tf.function(reduce_retracing=True)
        def update(video, codes):
            with tf.GradientTape() as tape:
                loss = encoder.loss(video, codes)
            gradients = tape.gradient(loss, encoder.trainable_variables)
            optimizer.apply(gradients, encoder.trainable_variables)
            return loss

        found: list[float] = []
        while len(found) < steps:
            before = len(found)
            for data in batches:
                batch, _ = self.batch_and_rows(data, training=False)
                found.append(float(update(batch["video"], batch["codes"])))
                if len(found) == steps:
                    break
            if len(found) == before:
                raise ValueError("There are no batches. Give some of the training videos.")
        with self.distribute_strategy.scope():
            self.set_encoder(**sizes)
        self.code_encoders["codes"].set_weights(encoder.get_weights())
        return float(np.mean(found[-10:]))

    def descent_steps(self) -> int:
        """Steps of `encode` by default."""
        return WARM_STEPS if self.code_encoders else COLD_STEPS

    def set_encoder(self, **sizes: Any) -> None:
        """Gives the model an encoder that is not trained yet; see `fit_encoder`."""
        shapes = {name: table.shape for name, table in self.tables().items()}
        encoder = CodeEncoder(self.image_shape, shapes, name="code_encoder", **sizes)
        encoder.seal()
        self.replace_layers("code_encoders", {"codes": encoder})
        self.encoder_config = {"channels": [*encoder.channels], "units": encoder.units}

    def added(self) -> dict[str, dict[str, Any] | None]:
        return {**super().added(), "code_encoder": self.encoder_config}

    def add(self, configs: Mapping[str, Any]) -> None:
        super().add(configs)
        saved = configs.get("code_encoder")
        if saved and saved != self.encoder_config:
            self.set_encoder(**saved)
        elif not saved and self.encoder_config:
            self.replace_layers("code_encoders", {})
            self.encoder_config = None

    def encode(
        self,
        videos: np.ndarray | tf.Tensor,
        steps: int | None = None,
        rate: float = 0.05,
        label: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Codes of new videos, found by Adam while the networks do not change.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1]; T at most that of the codes.
            steps, rate: of Adam, which starts from the mean of the learned codes, or from the guess
                of the encoder of `fit_encoder`. By default 300 steps, or 60 from a guess.
            label: int `[B]`, for a conditional generator.

        Returns:
            float32 tensors: the codes by table `[B, ...]`, and `"codes"` `[B, T, D]`.

        Raises:
            ValueError: the videos have other axes, another frame size or too many frames; or labels
                are missing or unknown.

        Example:
            >>> codes = model.encode(videos, steps=500)["codes"]
            >>> again = model.decode(codes)  # float32 [B, T, H, W, C]
        """
        video = as_video_tensor(videos, self.image_shape)
        self.clip_length(video.shape[1])
        if not self.conditional:
            label = None
        elif label is None:
            raise ValueError(
                "label is missing. The generator is conditional: give a label for each video."
            )
        else:
            label = self.checked_rows("label", label)
            check_same_batch(videos=video, label=label)
        guess = self.code_encoders["codes"](video) if self.code_encoders else {}
        start = {}
        for name, table in self.tables().items():
            mean = tf.repeat(table.learned_mean()[None], tf.shape(video)[0], axis=0)
            code = guess.get(name, mean)
            if len(table.shape) > 1:  # a short clip does not show all frames
                code = tf.concat([code, mean[:, code.shape[1] :]], axis=1)
            start[name] = table.project(code)
        steps = self.descent_steps() if steps is None else steps
        codes = self._fitted(video, label, start, tf.constant(float(steps)), tf.constant(rate))
        latents = self.latents_of(codes, label)[:, : video.shape[1]]
        return {**codes, "codes": latents}

    @tf.function(autograph=False)
    def _fitted(self, video, label, codes, steps, rate):
        """Codes `[B, ...]` by table after so many steps of Adam, each with the projections."""
        tables = self.tables()

        def update(step, codes, first, second):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(codes)
                shown = self.decoded(self.latents_of(codes, label)[:, : video.shape[1]])
                by_frame = losses.pyramid_loss(video, shown, self.levels)  # [B, T]
                loss = tf.reduce_sum(tf.reduce_mean(by_frame, axis=1))
            gradients = tape.gradient(loss, codes, unconnected_gradients="zero")
            first = {n: 0.9 * first[n] + 0.1 * g for n, g in gradients.items()}
            second = {n: 0.999 * second[n] + 0.001 * tf.square(g) for n, g in gradients.items()}
            moved = {}
            for name, code in codes.items():
                mean = first[name] / (1.0 - tf.pow(0.9, step))
                root = tf.sqrt(second[name] / (1.0 - tf.pow(0.999, step)))
                moved[name] = tables[name].project(code - rate * mean / (root + 1e-8))
            return step + 1.0, moved, first, second

        zeros = {name: tf.zeros_like(value) for name, value in codes.items()}
        start = (tf.constant(1.0), codes, zeros, dict(zeros))
        return tf.while_loop(lambda step, *_: step <= steps, update, start)[1]

    def reconstruct(self, videos: np.ndarray | tf.Tensor, label: Any = None) -> np.ndarray:
        """Videos decoded from the codes that `encode` finds: uint8 `[B, T, H, W, C]`."""
        return self.pixels(self.encode(videos, label=label)["codes"])


def existing_rows(rows: Mapping[str, tf.Tensor], counts: Mapping[str, int]) -> dict[str, tf.Tensor]:
    """Rows of a batch, int64 `[B]` by key; an InvalidArgumentError where one does not exist."""
    # Without this check a GPU would read zeros.
    rows = {key: tf.cast(values, tf.int64) for key, values in rows.items()}
    checks = []
    for key, values in rows.items():
        message = (
            f"{key} of the batch must be from 0 to {counts[key] - 1} (-1 is unknown): make the "
            f"model with the {ROW_KEYS.get(key, 'codes')} of the training split."
        )
        inside = tf.reduce_all((values >= 0) & (values < counts[key]))
        checks.append(tf.debugging.Assert(inside, [message, values], summarize=8))
    with tf.control_dependencies(checks):
        return {key: tf.identity(values) for key, values in rows.items()}


def _is_positive(value: Any) -> bool:
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return integer and value >= 1


def _random_rows(count: int, batch: int, seed: int, position: int) -> tf.Tensor:
    """Random integers below `count`, int64 `[batch]`, of a stream for each seed and position."""
    generator = np.random.default_rng([seed % 2**63, position])
    return tf.constant(generator.integers(count, size=batch))
