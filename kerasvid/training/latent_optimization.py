"""Training of generators whose latent codes are trained beside them, without an encoder.

Every video, identity or action has a row of codes in a table. A step looks up the rows of its
batch, and updates the networks by a Keras optimizer each and those rows by SGD with momentum:

    gamma, theta (generator, recurrent network): Adam
    z <- z - rate m,  m <- momentum m + dl/dz,   z <- z / max(1, ||z||)

jointly, or in the two stages of Aich et al., "Non-Adversarial Video Synthesis with Learned
Priors", CVPR 2020: the generator alone (3.1), then the codes and the recurrent network (3.2).
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.compilation import traced_function
from kerasvid.layers.code_table import CodeTable, existing_rows
from kerasvid.naming import nearest_names
from kerasvid.training.decoded_frames import DECODED, checked_count, choice_shapes
from kerasvid.training.step import CompiledStep, draw_noise, replica_key

EVALUATION_SEED = 0x5EED
GENERATOR, RECURRENT = "generator", "recurrent"
ROW_KEYS = ("index", "identity", "label")
# What a stage trains: the players, and whether the codes.
STAGES = {
    "joint": ((GENERATOR, RECURRENT), True),
    "network": ((GENERATOR,), False),
    "codes": ((RECURRENT,), True),
}


class LatentModel(CompiledStep):
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
        chances: Mapping[str, tf.Tensor],
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """Every term of the loss, each `[B]`, and their weighted sum as `"loss"`.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].
            codes: by table, a row each.
            label: int64 `[B]`, where the model is conditional.
            chances: Gaussians by `training_noise_shapes`; an evaluation has none that choose the
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
            optimizer: as `CompiledStep.compile`.
            code_rate: learning rate of the codes, a number or a schedule by the step.
            code_momentum: in [0, 1).
            **kwargs: as `CompiledStep.compile`.

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

    def player_variables(self) -> dict[str, list]:
        recurrent = self.recurrent_variables()
        theirs = {id(variable) for variable in recurrent}
        own = [variable for variable in self.trainable_variables if id(variable) not in theirs]
        return {GENERATOR: own, **({RECURRENT: recurrent} if recurrent else {})}

    def tables(self) -> dict[str, CodeTable]:
        """The tables by name."""
        return {name: getattr(self, f"{name}_codes") for name in self.row_keys}

    def make_islands(self, jit: bool) -> None:
        def island(stage: str):
            def differentiate(*arguments):
                return self.differentiate(*arguments, stage)

            return traced_function(differentiate, jit)

        self._islands = {stage: island(stage) for stage in STAGES}

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

    def differentiate(self, video, codes, label, chances, stage: str):
        """Terms, gradients by player, and by the codes; inside a compiled island."""
        players, with_codes = STAGES[stage]
        variables = {n: v for n, v in self.player_variables().items() if n in players}
        with tf.GradientTape() as tape:
            tape.watch(codes)
            learning = GENERATOR in players  # else batch norm stays as it is, too
            terms = self.reconstruction_terms(video, codes, label, chances, training=learning)
            loss = self.scaled(tf.reduce_mean(terms["loss"]), self.scaler_of(stage))
        sources = {"players": variables, "codes": codes if with_codes else {}}
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, sources, unconnected_gradients=zero)
        means = {name: tf.reduce_mean(value) for name, value in terms.items()}
        return means, gradients["players"], gradients["codes"]

    def train_step(self, data) -> dict:
        """One update of the networks and the codes of the batch, in replica context."""
        video, rows, label = self.video_of(data), self.counted_rows(data), self.label_of(data)
        self.check_clips(video)
        iteration = tf.convert_to_tensor(self.steps_taken)
        batch = tf.shape(video)[0]
        key = replica_key(self._noise_seed, iteration)
        chances = draw_noise(self.training_noise_shapes(video.shape[1]), batch, key)
        tables = self.tables()
        codes = {name: tables[name](rows[name]) for name in tables}
        terms, by_player, by_code = self._islands[self._stage](video, codes, label, chances)
        scale = self._loss_scale(self.scaler_of(self._stage))
        for name, slopes in by_code.items():
            rate = self._code_rate(iteration) if callable(self._code_rate) else self._code_rate
            tables[name].descend(
                rows[name], slopes / scale, rate, self._code_momentum, self.rank_of(name)
            )
        for player, slopes in by_player.items():
            ratio = self._loss_scale(player) / scale
            self.update(player, [slope * ratio for slope in slopes])
        self.share_normalizations()
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
        """The player whose optimizer scales the loss of a stage: one that the stage updates.

        The scale of any other would never fall, however often the gradients overflow.
        """
        players = self.player_variables()
        return next((name for name in STAGES[stage][0] if name in players), GENERATOR)

    def _loss_scale(self, player: str) -> tf.Tensor:
        return tf.cast(getattr(self.optimizer_of(player), "dynamic_scale", 1.0), tf.float32)

    def test_step(self, data) -> dict:
        """The terms of videos whose codes are learned."""
        video, rows, label = self.video_of(data), self.rows_of(data), self.label_of(data)
        self.check_clips(video)
        shapes = self.training_noise_shapes(video.shape[1])
        shapes.pop(DECODED, None)
        chances = draw_noise(shapes, tf.shape(video)[0], tf.constant([EVALUATION_SEED, 0]))
        tables = self.tables()
        codes = {name: tables[name](rows[name]) for name in tables}
        terms = self.reconstruction_terms(video, codes, label, chances, training=False)
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
