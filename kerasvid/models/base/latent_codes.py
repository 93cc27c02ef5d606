"""Training of generators whose latent codes are trained beside them, without an encoder.

Every video, identity or action has a row of codes in a table. A step looks up the rows of its
batch, and updates the networks by a Keras optimizer each and those rows by SGD with momentum:

    gamma, theta (generator, recurrent network): Adam
    z <- z - rate m,  m <- momentum m + dl/dz,   z <- z / max(1, ||z||)

jointly, or in the two stages of Aich et al., "Non-Adversarial Video Synthesis with Learned
Priors", CVPR 2020: the generator alone (3.1), then the codes and the recurrent network (3.2).

The public verbs of models whose codes are learned, one row a video, identity or action.
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.code_table import (
    CodeTable,
    existing_rows,
    projected_to_ball,
    projected_to_rank,
)
from kerasvid.layers.compilation import traced_function
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.base.protocols import Encoder, LearnedCodes
from kerasvid.models.base.trainer import (
    DECODED,
    Trainer,
    checked_count,
    choice_shapes,
    draw_noise,
    replica_key,
)
from kerasvid.models.base.video_generator import (
    VideoGenerator,
    as_pixels,
    as_video_tensor,
    check_same_batch,
)
from kerasvid.naming import nearest_names

EVALUATION_SEED = 0x5EED
GENERATOR, RECURRENT = "generator", "recurrent"
ROW_KEYS = ("index", "identity", "label")
# What a stage trains: the networks, and whether the codes.
STAGES = {
    "joint": ((GENERATOR, RECURRENT), True),
    "network": ((GENERATOR,), False),
    "codes": ((RECURRENT,), True),
}


class LatentModel(Trainer):
    """A generator trained together with the codes of the videos that it is to show.

    A subclass, which is a `VideoGenerator` too, has a `decoder`, makes its tables by `add_table`,
    defines `reconstruction_terms` and `recurrent_variables`, and calls `set_stages`.

    Batches are dicts of the pipeline: beside the `"video"`, the int64 `[B]` of every name that a
    table's rows are looked up by: `"index"` (the video's place in its split), `"identity"` or
    `"label"`.

    Attributes:
        videos: of the training split; an epoch is so many.
        rank: of the codes of a sequence after every update, or `None`.
        decoded_frames: of a clip at a training step, chosen at random; all where `None`.
        scaled_codes: whether networks see codes times the square root of their size.
    """

    term_names = ("loss", "psnr")
    videos: int = 1
    rank: int | None = None
    decoded_frames: int | None = None
    scaled_codes: bool = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.row_keys: dict[str, str] = {}
        self._stage = "joint"
        # Stages are counted in epochs, whatever the size of a batch.
        self.videos_seen = self.add_weight(
            (), "zeros", "int64", trainable=False, autocast=False, name="videos_seen"
        )
        # The step whose codes the Gaussians of `generate` were fitted to.
        self.fitted_at = self.add_weight(
            (), "zeros", "int64", trainable=False, autocast=False, name="fitted_at"
        )

    # === What a model defines ===

    def reconstruction_terms(
        self,
        video: tf.Tensor,
        codes: Mapping[str, tf.Tensor],
        label: tf.Tensor | None,
        random_inputs: Mapping[str, tf.Tensor],
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """Every term of the loss, each `[B]`, and their weighted sum as `"loss"`.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].
            codes: by table, a row each.
            label: int64 `[B]`, where the model is conditional.
            random_inputs: Gaussians by `training_noise_shapes`; an evaluation has none that choose the
                frames to decode, and decodes all.
            training: as in Keras.
        """
        raise NotImplementedError

    def recurrent_variables(self) -> list:
        """The weights of the recurrent network, theta; by default there is none."""
        return []

    # === Set-up, called by constructors ===

    def add_table(self, name: str, key: str, rows: int, shape: tuple[int, ...]) -> CodeTable:
        """Makes a table of codes whose rows are looked up by `batch[key]`.

        Raises:
            ValueError: the key is unknown, or there are no rows.
        """
        if key not in ROW_KEYS:
            raise ValueError(f"{name}_by={key!r}: {nearest_names(key, ROW_KEYS)}.")
        self.row_keys[name] = key
        return CodeTable(rows, shape, name=f"{name}_codes")

    def set_stages(self, stages: Mapping[str, int] | None) -> None:
        """In which order networks and codes are trained.

        Args:
            stages: `None` for all at once; or epochs of the two stages, `{"network": 5,
                "codes": 300}`, which take turns; an epoch is `videos` videos.

        Raises:
            ValueError: a stage is unknown, missing, or of less than one epoch, or the number of
                videos is not known.
        """
        self.stages = dict(stages) if stages else None
        for name, epochs in (self.stages or {}).items():
            if name not in ("network", "codes"):
                known = nearest_names(name, ("network", "codes"))
                raise ValueError(f"There is no stage {name!r}: {known}.")
            if not isinstance(epochs, int) or epochs < 1:
                raise ValueError(f"stages.{name}={epochs!r} must be 1 epoch or more.")
        if self.stages and len(self.stages) < 2:
            raise ValueError("stages: give the epochs of both, network and codes, or neither.")
        known = isinstance(self.videos, numbers.Integral) and self.videos >= 1
        if self.stages and not known:
            raise ValueError(
                f"videos={self.videos!r}: the epochs of stages are counted by the training videos; "
                "give their number, or stages=None."
            )

    def stage_of(self, epoch: int) -> str:
        """What an epoch, counted from 0, trains: `"joint"`, `"network"` or `"codes"`."""
        if self.stages is None:
            return "joint"
        first = self.stages["network"]
        return "network" if epoch % (first + self.stages["codes"]) < first else "codes"

    def set_decoding(self, decoded_frames: int | None) -> None:
        """How many frames of a clip a training step decodes.

        Raises:
            ValueError: it is not a whole number from 1 on, or `None`.
        """
        self.decoded_frames = checked_count(decoded_frames)

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """What chooses the frames to decode."""
        return choice_shapes(self.decoded_frames, frames)

    def seen(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes `[..., D]` as the networks see them; see `scaled_codes`.

        In the unit ball a number is about 1 / sqrt(D), which layers made for unit variance hardly
        tell from another. A step of the same code rate moves what is seen D times as far.
        """
        return codes * codes.shape[-1] ** 0.5 if self.scaled_codes else codes

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | Mapping[str, Any] = "adam",
        code_rate: float | keras.optimizers.schedules.LearningRateSchedule = 12.5,
        code_momentum: float = 0.9,
        **kwargs,
    ) -> None:
        """Sets the optimizers of the networks and the descent of the codes.

        Args:
            optimizer: as `Trainer.compile`.
            code_rate: learning rate of the codes, a number or a schedule by the step.
            code_momentum: in [0, 1).
            **kwargs: as `Trainer.compile`.

        Raises:
            ValueError: as there, the rate is not positive or the momentum out of range, or there
                are stages and more than one step is executed at once.
        """
        code_rate = checked_rate(code_rate)
        if not 0 <= code_momentum < 1:
            raise ValueError(f"code_momentum={code_momentum} must be at least 0 and less than 1.")
        at_once = kwargs.get("steps_per_execution", 1)
        if self.stages is not None and at_once != 1:
            raise ValueError(
                f"steps_per_execution={at_once!r}: stages are chosen before every step; use 1, or "
                "stages=None."
            )
        super().compile(optimizer, **kwargs)
        self._code_rate, self._code_momentum = code_rate, code_momentum
        if isinstance(code_rate, keras.optimizers.schedules.LearningRateSchedule):
            code_rate = keras.saving.serialize_keras_object(code_rate)
        self._compile_arguments |= {"code_rate": code_rate, "code_momentum": code_momentum}

    # === Players ===

    def network_variables(self) -> dict[str, list]:
        recurrent = self.recurrent_variables()
        theirs = {id(variable) for variable in recurrent}
        own = [variable for variable in self.trainable_variables if id(variable) not in theirs]
        return {GENERATOR: own, **({RECURRENT: recurrent} if recurrent else {})}

    def tables(self) -> dict[str, CodeTable]:
        """The tables by name."""
        return {name: getattr(self, f"{name}_codes") for name in self.row_keys}

    def make_compiled_functions(self, jit: bool) -> None:
        def compiled(stage: str):
            def differentiate(*arguments):
                return self.differentiate(*arguments, stage)

            return traced_function(differentiate, jit)

        self._compiled = {stage: compiled(stage) for stage in STAGES}

    def make_train_function(self, force: bool = False) -> None:
        """As in Keras; where there are stages, a function for each, chosen before every step."""
        if self.stages is None:
            return super().make_train_function(force)
        if self.train_function is not None and not force:
            return None
        functions = {}
        for stage in self.stages:
            super().make_train_function(force=True)
            functions[stage] = self.train_function

        def train(iterator):
            self._stage = self.stage_of(int(self.videos_seen.numpy()) // self.videos)
            return functions[self._stage](iterator)

        self.train_function = train
        return None

    # === The step ===

    def rows_of(self, data: Any) -> dict[str, tf.Tensor]:
        """The rows of every table that a batch names: int64 `[B]` by table.

        Raises:
            ValueError: the batch lacks one of them.
            InvalidArgumentError: there is no such row.
        """
        data = data[0] if isinstance(data, tuple | list) else data
        for name, key in self.row_keys.items():
            if not isinstance(data, Mapping) or key not in data:
                raise ValueError(
                    f'The batch has no "{key}", by which the {name} codes are looked up: give the '
                    "batches of make_pipeline, or dicts with it."
                )
        tables = self.tables()
        return {
            name: existing_rows(key, data[key], tables[name].rows)
            for name, key in self.row_keys.items()
        }

    def counted_rows(self, data: Any) -> dict[str, tf.Tensor]:
        """As `rows_of`, if the videos are among those that the stages are counted by.

        Raises:
            InvalidArgumentError: the batch numbers its videos, and one of them is beyond `videos`.
        """
        rows = self.rows_of(data)
        data = data[0] if isinstance(data, tuple | list) else data
        if self.stages is None or "index" in self.row_keys.values() or "index" not in data:
            return rows
        message = (
            f"The stages are counted by videos={self.videos}, but the batch has a later index: "
            "make the model with the number of training videos."
        )
        index = tf.convert_to_tensor(data["index"])
        there = tf.reduce_all(index < self.videos)
        with tf.control_dependencies([tf.debugging.Assert(there, [message, index], summarize=8)]):
            return {name: tf.identity(value) for name, value in rows.items()}

    def label_of(self, data: Any) -> tf.Tensor | None:
        """The label int64 `[B]` of a batch where the model is conditional; `None` elsewhere."""
        return None

    def differentiate(self, video, codes, label, random_inputs, stage: str):
        """Terms, gradients by network, and by the codes; inside a compiled compiled function."""
        networks, with_codes = STAGES[stage]
        variables = {n: v for n, v in self.network_variables().items() if n in networks}
        with tf.GradientTape() as tape:
            tape.watch(codes)
            learning = GENERATOR in networks  # else batch norm stays as it is, too
            terms = self.reconstruction_terms(video, codes, label, random_inputs, training=learning)
            loss = self.scaled(tf.reduce_mean(terms["loss"]), self.scaler_of(stage))
        sources = {"networks": variables, "codes": codes if with_codes else {}}
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, sources, unconnected_gradients=zero)
        means = {name: tf.reduce_mean(value) for name, value in terms.items()}
        return means, gradients["networks"], gradients["codes"]

    def train_step(self, data) -> dict:
        """One update of the networks and the codes of the batch, in replica context."""
        video, rows, label = self.video_of(data), self.counted_rows(data), self.label_of(data)
        self.check_clips(video)
        step = tf.convert_to_tensor(self.steps_taken)
        batch = tf.shape(video)[0]
        key = replica_key(self._noise_seed, step)
        random_inputs = draw_noise(self.training_noise_shapes(video.shape[1]), batch, key)
        tables = self.tables()
        codes = {name: tables[name](rows[name]) for name in tables}
        terms, by_network, by_code = self._compiled[self._stage](video, codes, label, random_inputs)
        scale = self._loss_scale(self.scaler_of(self._stage))
        for name, slopes in by_code.items():
            rate = self._code_rate(step) if callable(self._code_rate) else self._code_rate
            tables[name].descend(
                rows[name], slopes / scale, rate, self._code_momentum, self.rank_of(name)
            )
        for network, slopes in by_network.items():
            ratio = self._loss_scale(network) / scale
            self.update(network, [slope * ratio for slope in slopes])
        self.sync_batch_norm()
        self.steps_taken.assign_add(1)
        replicas = self.distribute_strategy.num_replicas_in_sync
        self.videos_seen.assign_add(tf.cast(batch, tf.int64) * replicas)
        return self.tracked(terms)

    def rank_of(self, table: str) -> int | None:
        """The rank that a table's sequences are projected to, or `None`."""
        return self.rank if len(self.tables()[table].shape) > 1 else None

    def check_clips(self, video: tf.Tensor) -> None:
        """Refuses clips `[B, T, H, W, C]` that there are no codes for.

        Raises:
            ValueError: another length or frame size than the model's.
        """
        frames, shape = video.shape[1], video.shape[2:]
        # A grey batch would train a colour model by broadcasting.
        if not shape.is_compatible_with(self.image_shape):
            raise ValueError(
                f"The frames are of {tuple(shape)}, the model's of {self.image_shape}: resize them."
            )
        self.check_training_length(frames)

    def check_training_length(self, frames: int) -> None:
        if frames != self.frames:
            raise ValueError(
                f"Clips of {frames} frames, but the codes are of {self.frames}: train on clips of "
                f"that length, or make the model with frames={frames}."
            )

    def scaler_of(self, stage: str) -> str:
        """The network whose optimizer scales the loss of a stage: one that the stage updates.

        The scale of any other would never fall, however often the gradients overflow.
        """
        networks = self.network_variables()
        return next((name for name in STAGES[stage][0] if name in networks), GENERATOR)

    def _loss_scale(self, network: str) -> tf.Tensor:
        return tf.cast(getattr(self.optimizer_of(network), "dynamic_scale", 1.0), tf.float32)

    def test_step(self, data) -> dict:
        """The terms of videos whose codes are learned."""
        video, rows, label = self.video_of(data), self.rows_of(data), self.label_of(data)
        self.check_clips(video)
        shapes = self.training_noise_shapes(video.shape[1])
        shapes.pop(DECODED, None)
        random_inputs = draw_noise(shapes, tf.shape(video)[0], tf.constant([EVALUATION_SEED, 0]))
        tables = self.tables()
        codes = {name: tables[name](rows[name]) for name in tables}
        terms = self.reconstruction_terms(video, codes, label, random_inputs, training=False)
        return self.tracked({name: tf.reduce_mean(value) for name, value in terms.items()})


def checked_rate(code_rate: Any) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate of codes; a schedule may be given as a saved model has it, as a mapping.

    Raises:
        ValueError: neither a positive, finite number nor a schedule.
    """
    rate = code_rate
    if isinstance(rate, Mapping):  # of a file
        try:
            rate = keras.saving.deserialize_keras_object(rate)
        except (TypeError, ValueError):
            rate = None
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate
    number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not (number and 0 < rate < math.inf):
        raise ValueError(
            f"code_rate={code_rate!r} must be positive: a finite number, or a schedule."
        )
    return rate


# The length sorts last, as noise is drawn by the place of its name: shorter clips begin as longer.
CATEGORY, LENGTH = "category", "until"


class LatentVerbs(VideoGenerator, LearnedCodes, Encoder):
    """Mix-in for a `LatentModel`: videos from learned codes, from new ones, and codes of videos.

    A subclass defines `latents_of` and, where codes of a video depend on its length, `shortened`.

    New videos come from a Gaussian fitted to the codes of each table, where a row is a video or an
    identity, and from the row of a category drawn at random, where it is an action. Codes are of
    the length that they were trained with: shorter clips are the start of such ones.
    """

    fixed_length = True
    conditional = False

    # === What a model defines ===

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        """A frame's latent each, `[B, T, D]`, of a row of each table, `[B, ...]`."""
        raise NotImplementedError

    # === From noise ===

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the named noise; of `"until"`, for shorter clips, the shape alone counts.

        Raises:
            ValueError: the clip would be longer than the codes.
        """
        if frames > self.frames:
            raise ValueError(
                f"frames={frames}: this model makes clips of at most {self.frames} frames; ask for "
                f"{self.frames} or fewer, or make and train one with frames={frames}."
            )
        shapes = {
            name: (table.factor.shape[0],)
            for name, table in self.tables().items()
            if self.row_keys[name] != "label"
        }
        if "label" in self.row_keys.values() or self.conditional:
            shapes[CATEGORY] = (self.classes,)
        return shapes if frames == self.frames else {**shapes, LENGTH: (frames,)}

    def codes(self, noise: Mapping[str, tf.Tensor], frames: int | None = None) -> tf.Tensor:
        """A frame's latent each, `[B, T, D]`, of named noise by the fitted Gaussians."""
        label = tf.argmax(noise[CATEGORY], axis=-1) if CATEGORY in noise else None
        drawn = {
            name: table(label) if self.row_keys[name] == "label" else table.sample(noise[name])
            for name, table in self.tables().items()
        }
        length = noise[LENGTH].shape[1] if LENGTH in noise else self.frames
        return self.latents_of(drawn, self.condition(label))[:, :length]

    def decoded(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` as the generator makes them, unclipped, of `[B, T, D]`."""
        return over_frames(self.decoder, latents, training=training)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Frames `[B, T, H, W, C]` in [-1, 1] of latent vectors `[B, T, D]`."""
        return tf.clip_by_value(self.decoded(codes), -1.0, 1.0)

    def call(self, noise: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The clips of named noise, `[B, T, H, W, C]`."""
        return self.decode(self.codes(noise))

    def condition(self, label: tf.Tensor | None) -> tf.Tensor | None:
        """The label, where the generator is given it."""
        return label if self.conditional else None

    def render(self, noise: dict, frames: int | None = None) -> np.ndarray:
        """As `VideoGenerator.render`, by Gaussians fitted to the codes as they are now."""
        self.refresh_gaussians()
        return super().render(noise, frames)

    def refresh_gaussians(self) -> None:
        """Fits the Gaussians of `generate` again, if codes were trained since."""
        step = int(self.steps_taken.numpy())
        if step == int(self.fitted_at.numpy()):
            return
        for name, table in self.tables().items():
            if self.row_keys[name] != "label":
                table.fit_gaussian()
        self.fitted_at.assign(step)

    def fit(self, *args, **kwargs):
        """As in Keras; ends by fitting the Gaussians that `generate` draws codes from."""
        history = super().fit(*args, **kwargs)
        self.refresh_gaussians()
        return history

    # === From learned codes ===

    def rows_by(self, key: str) -> int:
        """Rows of a table that is looked up by a key of the batch."""
        name = {"index": "videos", "identity": "identities", "label": "classes"}.get(key)
        if name is None:
            return 1  # `add_table` refuses the key
        rows = getattr(self, name)
        if rows is None or rows < 1:
            raise ValueError(f"Codes by {key} need videos with a known {key}: {name}={rows}.")
        return rows

    def learned_codes(self) -> dict[str, np.ndarray]:
        """The tables by name, float32 `[rows, ...]`: the data set in a compact form.

        Rows of what occurs in no training video are noise; `tables()[name].learned_rows()` tells
        the others.

        Example:
            >>> model.learned_codes()["static"].shape
            (820, 206)
        """
        return {name: table.codes.numpy() for name, table in self.tables().items()}

    def recall(self, **rows: Any) -> np.ndarray:
        """Training videos from their codes: uint8 `[B, T, H, W, C]`.

        Args:
            **rows: `index`, `identity` and `label` `[B]`, those that the tables are looked up by
                (others are not looked at).

        Raises:
            ValueError: one is missing, or there is no such row.

        Example:
            >>> model.recall(index=[0, 5])
        """
        return as_pixels(self.decode(self.latents_of(*self.codes_at(rows))))

    def codes_at(self, rows: Mapping[str, Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """The rows of the tables, by table, and the label of a conditional generator.

        Raises:
            ValueError: a key is missing, or there is no such row.
        """
        keys = {*self.row_keys.values(), *(("label",) if self.conditional else ())}
        missing = sorted(key for key in keys if rows.get(key) is None)
        if missing:
            raise ValueError(f"Give {' and '.join(missing)}, by which the codes are looked up.")
        chosen = {key: self.checked_rows(key, rows[key]) for key in keys}
        codes = {name: table(chosen[self.row_keys[name]]) for name, table in self.tables().items()}
        return codes, self.condition(chosen.get("label"))

    def checked_rows(self, key: str, rows: Any) -> tf.Tensor:
        """Rows as int64 `[B]`.

        Raises:
            ValueError: they are no list of whole numbers, or there is no such row.
        """
        if tf.is_tensor(rows) and not tf.executing_eagerly():
            return existing_rows(key, rows, self.rows_by(key))
        values, count = np.asarray(rows), self.rows_by(key)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(f"{key}: give a list of whole numbers.")
        if values.size == 0 or values.min() < 0 or values.max() >= count:
            raise ValueError(f"{key}={values.tolist()}: there are the rows 0 to {count - 1}.")
        return tf.constant(values, tf.int64)

    def generate_learned(self, batch: int, seed: int = 0) -> np.ndarray:
        """Videos of learned codes put together at random: uint8 `[B, T, H, W, C]`.

        Of every table a learned row of its own, so that most pairs were never seen.

        Args:
            batch: how many.
            seed: any integer; video i depends on (seed, i) alone.

        Raises:
            ValueError: `batch` is less than 1.
        """
        if batch < 1:
            raise ValueError(f"batch={batch} must be at least 1.")
        codes, label, tables = {}, None, sorted(self.tables().items())
        for position, (name, table) in enumerate(tables):
            learned = tf.constant(table.learned_rows(), tf.int64)
            rows = tf.gather(learned, _drawn_rows(len(learned), batch, seed, position))
            codes[name] = table(rows)
            label = rows if self.row_keys[name] == "label" else label
        if self.conditional and label is None:
            label = _drawn_rows(self.classes, batch, seed, len(tables))
        return as_pixels(self.decode(self.latents_of(codes, self.condition(label))))

    # === Codes of new videos ===

    def encode(
        self,
        videos: np.ndarray | tf.Tensor,
        steps: int = 300,
        rate: float = 0.05,
        label: Any = None,
    ) -> dict[str, tf.Tensor]:
        """Codes that show new videos, found by descent (Adam) with the networks as they are.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1]; T at most that of the codes.
            steps: of descent, from the mean of the learned codes.
            rate: of Adam.
            label: int `[B]`, for a conditional generator.

        Returns:
            float32 tensors: the codes by table `[B, ...]`, and `"codes"` `[B, T, D]`.

        Raises:
            ValueError: other axes, another frame size, clips that are too long, or no label, too
                few or unknown ones.

        Example:
            >>> codes = model.encode(videos, steps=500)["codes"]
            >>> again = model.decode(codes)  # float32 [B, T, H, W, C]
        """
        video = as_video_tensor(videos, self.image_shape)
        self.noise_shapes(video.shape[1])  # refuses what is too long
        if self.conditional and label is None:
            raise ValueError("label: a conditional generator needs the label of each video.")
        if self.conditional:
            label = self.checked_rows("label", label)
            check_same_batch(videos=video, label=label)
        label = self.condition(label)
        codes = self._start(tf.shape(video)[0])
        codes = self._descended(video, label, codes, tf.constant(steps), tf.constant(rate))
        latents = self.latents_of(codes, label)[:, : video.shape[1]]
        return {**codes, "codes": latents}

    def _start(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """Where a descent begins: the mean of what every table learned, `batch` times."""
        return {
            name: tf.repeat(self._projected(name, table.learned_mean()[None]), batch, axis=0)
            for name, table in self.tables().items()
        }

    def _projected(self, name: str, codes: tf.Tensor) -> tf.Tensor:
        """Codes of a table `[B, ...]`, to where training keeps them."""
        rank = self.rank_of(name)
        return projected_to_ball(codes if rank is None else projected_to_rank(codes, rank))

    @tf.function(autograph=False)
    def _descended(self, video, label, codes, steps, rate):
        """So many steps of Adam on codes, `[B, ...]` by table."""

        def descend(step, codes, first, second):
            moved = self._descend(video, label, codes, first, second, step, rate)
            return step + 1.0, *moved

        zeros = {name: tf.zeros_like(value) for name, value in codes.items()}
        start = (tf.constant(1.0), codes, zeros, dict(zeros))
        last = tf.cast(steps, tf.float32)
        return tf.while_loop(lambda step, *_: step <= last, descend, start)[1]

    def _descend(self, video, label, codes, first, second, step, rate):
        """One step of Adam on codes, `[B, ...]` by table, and their projection to the ball."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(codes)
            shown = self.decoded(self.latents_of(codes, label)[:, : video.shape[1]])
            by_frame = losses.pyramid_loss(video, shown, self.levels)  # [B, T]
            loss = tf.reduce_sum(tf.reduce_mean(by_frame, axis=1))
        slopes = tape.gradient(loss, codes, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        first = {n: 0.9 * first[n] + 0.1 * slope for n, slope in slopes.items()}
        second = {n: 0.999 * second[n] + 0.001 * tf.square(slope) for n, slope in slopes.items()}
        moved = {}
        for name, code in codes.items():
            mean = first[name] / (1.0 - tf.pow(0.9, step))
            size = tf.sqrt(second[name] / (1.0 - tf.pow(0.999, step)))
            moved[name] = self._projected(name, code - rate * mean / (size + 1e-8))
        return moved, first, second

    def reconstruct(self, videos: np.ndarray | tf.Tensor, label: Any = None) -> np.ndarray:
        """New videos through the codes that `encode` finds: uint8 `[B, T, H, W, C]`.

        Args:
            videos: `[B, T, H, W, C]`, uint8 or float in [-1, 1].
            label: int `[B]`, for a conditional generator.
        """
        return as_pixels(self.decode(self.encode(videos, label=label)["codes"]))


def _drawn_rows(count: int, batch: int, seed: int, position: int) -> tf.Tensor:
    """Numbers below `count` at random, int64 `[batch]`: of a stream for each seed and position."""
    generator = np.random.default_rng([seed % 2**63, position])
    return tf.constant(generator.integers(count, size=batch))
