"""Non-adversarial video synthesis with learned priors.

Aich, Gupta, Panda, Hyder, Asif, Roy-Chowdhury: "Non-Adversarial Video Synthesis with Learned
Priors", CVPR 2020. Codes are trained together with the networks, without encoder or discriminator:

    z^(s)                          static, one a video (or an identity)
    z_1..T^(t)                     transient, one sequence a video (or an action)
    r_1..T = R(z_1..T^(t))         a GRU, and a dense layer back to the size of z^(t)
    v'_i = G([z^(s), r_i])         a DCGAN generator

    l = l_rec + lambda_s l_static + lambda_t l_triplet                                   (6)

l_rec is the Laplacian pyramid loss of all frames, l_static that of one random frame, l_triplet of
the RNN's outputs: those of near frames are to be nearer to each other, by a margin alpha, than
those of distant ones. With `rank` the transient codes of a video are projected to a matrix of that
rank after every update (7), for the interpolation of frames.

Departures: G's output is linear and what is shown is clipped (a tanh saturates on black grounds);
it has leaky ReLUs where DCGAN has ReLUs, and no batch norm (`decoder.normalization` adds it);
chairs and golf scenes have a static code a video, as sections 1 and 3 say, where section 4.1 speaks
of one for the whole training set; all triplets of a clip count, where the paper draws some; frames
are interpolated between outputs of the RNN, whose rank (7) does not bound, where the paper's
section 4.3.3 does so between learned z, as `interpolate_frames` does with `space="codes"`.
Flags that are off by default and on in `base`: networks see codes times the square root of their
size (`scaled_codes`: without, the motion was still not learned after 1,200 steps), and a step
decodes some of a clip's frames (`decoded_frames`).

Published sizes and rates of `Navsynth`, and small ones.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.code_table import existing_rows
from kerasvid.layers.frame_networks import FrameDecoder, dcgan_generator
from kerasvid.layers.recurrent import NoiseGRU
from kerasvid.losses import check_levels
from kerasvid.models.base.latent_codes import LatentModel, LatentVerbs
from kerasvid.models.base.protocols import ExchangeableCodes, Swappable
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import decoded_part
from kerasvid.models.base.video_generator import as_pixels, check_same_batch
from kerasvid.naming import nearest_names

OBJECTIVE = {
    "levels": 4,  # bands of the pyramid
    "static_weight": 0.01,  # lambda_s
    "triplet_weight": 0.01,  # lambda_t
    "margin": 2.0,  # alpha
    "positive_range": 2,  # frames; a positive is at most so far from its anchor
    "negative_range": 2,  # a negative is further
}
SMALLEST = {"levels": 1, "positive_range": 1}  # of the objective; 0 elsewhere
SPACES = ("outputs", "codes")  # where frames are interpolated


@keras.saving.register_keras_serializable(package="kerasvid")
class Navsynth(LatentVerbs, LatentModel, ExchangeableCodes, Swappable):
    """Videos as one static code and a sequence of transient codes, all learned.

    Args:
        image_shape: `(H, W, C)`.
        frames: T; the codes are of that length.
        videos, identities, classes: sizes of the training split, which a run takes from the data
            set: rows of the tables looked up by `"index"`, `"identity"` and `"label"`. An epoch of
            `stages` is `videos` videos, whatever codes are looked up by.
        static_dim: size of z^(s).
        transient_dim: size of z_i^(t) and of the RNN's outputs.
        static_by: what has a static code of its own: a video (`"index"`) or an `"identity"`.
        transient_by: what has transient codes of its own: a video (`"index"`) or an action
            (`"label"`).
        conditional: also give the generator the label, one-hot, as for Weizmann.
        units: of the GRU.
        rank: rho of equation (7), or `None`.
        decoder: arguments of `FrameDecoder` (G), without `image_shape`.
        decoded_frames: frames of a clip that a training step decodes, chosen at random; all where
            `None`. Fewer make a step cheaper, and the loss keeps its expectation.
        scaled_codes: whether the networks see codes times the square root of their size, which are
            numbers of about unit variance; the paper's see the codes. The rate of the codes
            wants to be smaller then, up to D times.
        objective: `levels`, `static_weight`, `triplet_weight`, `margin`, `positive_range` and
            `negative_range`; what is left out is as in `OBJECTIVE`.
        stages: epochs of the two stages, `{"network": 5, "codes": 300}`; `None` trains all at once.

    Raises:
        ValueError: a value is out of its range or unknown, or clips are too short for triplets.

    Example:
        >>> model = Navsynth.from_preset("debug", videos=100)
        >>> model.compile("adam", code_rate=10.0)
        >>> model.fit(make_pipeline("data/turntable", pick="start"), steps_per_epoch=500)
        >>> model.recall(index=[3, 5])  # uint8 [2, T, H, W, C], training videos from their codes
    """

    term_names = ("loss", "reconstruction", "static", "triplet", "psnr")

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (64, 64, 3),
        frames: int = 16,
        videos: int = 16,
        identities: int = 0,
        classes: int = 0,
        static_dim: int = 206,
        transient_dim: int = 50,
        static_by: str = "index",
        transient_by: str = "index",
        conditional: bool = False,
        units: int = 500,
        rank: int | None = None,
        decoder: Mapping[str, Any] | None = None,
        decoded_frames: int | None = None,
        scaled_codes: bool = False,
        objective: Mapping[str, Any] | None = None,
        stages: Mapping[str, int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.videos, self.identities, self.classes = videos, identities, classes
        self.static_dim, self.transient_dim = static_dim, transient_dim
        self.static_by, self.transient_by = static_by, transient_by
        self.conditional, self.units = conditional, units
        self.rank = self._checked_rank(rank)
        self.decoder_arguments = dict(decoder or {})
        self.set_decoding(decoded_frames)
        self.scaled_codes = scaled_codes
        self.set_objective(objective)
        self.set_stages(stages)
        if conditional and classes < 1:
            raise ValueError("conditional=True needs videos with labels, classes of 1 or more.")

        # === Codes ===
        self.static_codes = self.add_table(
            "static", static_by, self.rows_by(static_by), (static_dim,)
        )
        self.transient_codes = self.add_table(
            "transient", transient_by, self.rows_by(transient_by), (frames, transient_dim)
        )

        # === Networks ===
        policy = self.dtype_policy
        self.motion = NoiseGRU(units, dtype=policy)
        self.motion_output = keras.layers.Dense(transient_dim, dtype="float32")
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.decode(self.codes(self.sample_noise(1)))
        self.build()

    def _checked_rank(self, rank: int | None) -> int | None:
        largest = min(self.frames, self.transient_dim)
        if rank is not None and not (isinstance(rank, int) and 1 <= rank <= largest):
            raise ValueError(f"rank={rank!r} must be from 1 to {largest}, or None.")
        return rank

    def set_objective(self, objective: Mapping[str, Any] | None) -> None:
        """What is minimised; see `OBJECTIVE`.

        Raises:
            ValueError: a name is unknown, a value out of its range, or clips are too short for
                triplets.
        """
        for name, value in (objective or {}).items():
            if name not in OBJECTIVE:
                known = nearest_names(name, OBJECTIVE)
                raise ValueError(f"The objective has no {name!r}: {known}.")
            whole = isinstance(OBJECTIVE[name], int)
            number = isinstance(value, int if whole else int | float)
            least = SMALLEST.get(name, 0)
            if isinstance(value, bool) or not number or not least <= value < math.inf:
                kind = f"a whole number, {least}" if whole else str(least)
                raise ValueError(f"objective.{name}={value!r} must be {kind} or more.")
        self.objective = {**OBJECTIVE, **(objective or {})}
        self.levels = self.objective["levels"]
        check_levels(*self.image_shape[:2], self.levels)
        ranges = self.objective["positive_range"], self.objective["negative_range"]
        if self.objective["triplet_weight"] and not losses.triplet_mask(self.frames, *ranges).any():
            raise ValueError(
                f"Clips of {self.frames} frames have no triplets with objective.negative_range="
                f"{ranges[1]}: give longer clips, a smaller range or objective.triplet_weight=0."
            )

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({hyperparameters["static_by"], hyperparameters["transient_by"]})

    # === Training ===

    def recurrent_variables(self) -> list:
        return [*self.motion.trainable_variables, *self.motion_output.trainable_variables]

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """What chooses the frames to decode, and among them that of the static loss."""
        return super().training_noise_shapes(frames) | {"static_frame": (frames,)}

    def label_of(self, data: Any) -> tf.Tensor | None:
        if not self.conditional:
            return None
        data = data[0] if isinstance(data, tuple | list) else data
        if "label" not in data:
            raise ValueError('The batch has no "label", which a conditional generator needs.')
        return existing_rows("label", data["label"], self.classes)

    def reconstruction_terms(self, video, codes, label, random_inputs, training):
        outputs = self.outputs(codes["transient"])  # [B, T, E]
        video, latents = decoded_part(random_inputs, self.decoded_frames, video, outputs)
        decoded = self.decoded(self.joined(codes["static"], latents, label), training)
        by_frame = losses.pyramid_loss(video, decoded, self.levels)  # [B, K]
        still = tf.argmax(random_inputs["static_frame"][:, : by_frame.shape[1]], axis=1)
        terms = {
            "reconstruction": tf.reduce_mean(by_frame, axis=1),
            "static": tf.gather(by_frame, still, batch_dims=1),
            "triplet": self._triplet(outputs),
        }
        loss = (
            terms["reconstruction"]
            + self.objective["static_weight"] * terms["static"]
            + self.objective["triplet_weight"] * terms["triplet"]
        )
        shown = tf.clip_by_value(decoded, -1.0, 1.0)
        return {"loss": loss, **terms, "psnr": losses.psnr(video, shown)}

    def _triplet(self, outputs: tf.Tensor) -> tf.Tensor:
        if not self.objective["triplet_weight"]:
            return tf.zeros_like(outputs[:, 0, 0])
        names = ("margin", "positive_range", "negative_range")
        return losses.triplet_loss(outputs, *(self.objective[name] for name in names))

    # === From codes to frames ===

    def outputs(self, transient: tf.Tensor) -> tf.Tensor:
        """r = R(z^(t)): `[B, T, transient_dim] -> [B, T, transient_dim]`."""
        return self.motion_output(self.motion(self.seen(transient)))

    def joined(
        self, static: tf.Tensor, outputs: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[z^(s), r_i], and the label where there is one: `[B, T, D]`."""
        static = self.seen(static)
        parts = [static] if label is None else [static, tf.one_hot(label, self.classes)]
        beside = tf.concat(parts, axis=-1)
        return tf.concat([tf.repeat(beside[:, None], outputs.shape[1], axis=1), outputs], axis=-1)

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        return self.joined(codes["static"], self.outputs(codes["transient"]), label)

    # === Verbs of its own ===

    def exchange(
        self, identity: Sequence[int], action: Sequence[int], label: Sequence[int] | None = None
    ) -> np.ndarray:
        """The static code of some with the transient codes of others, seen together or not.

        Args:
            identity: rows `[B]` of the static codes: identities, or videos where each has its own.
            action: rows `[B]` of the transient codes: labels, or videos.
            label: int `[B]`, of the clips whose action it is, for a conditional generator; `action`
                itself where `None` and the transient codes are by label.

        Returns:
            uint8 `[B, T, H, W, C]`.

        Raises:
            ValueError: different numbers of rows, there is no such row, or a label is missing.

        Example:
            >>> model.exchange(identity=[0, 0, 0], action=[0, 1, 2])  # one person, three actions
        """
        static = self.checked_rows(self.static_by, identity)
        transient = self.checked_rows(self.transient_by, action)
        rows = {"identity": static, "action": transient}
        if self.conditional:
            label = action if label is None and self.transient_by == "label" else label
            if label is None:
                raise ValueError("label: a conditional generator needs that of each action's clip.")
            rows["label"] = self.checked_rows("label", label)
        check_same_batch(**rows)
        codes = {"static": self.static_codes(static), "transient": self.transient_codes(transient)}
        return as_pixels(self.decode(self.latents_of(codes, rows.get("label"))))

    def interpolate_frames(
        self, first: int, last: int, count: int, *, space: str = "outputs", **rows: Sequence[int]
    ) -> np.ndarray:
        """Frames that were not in a video, on the way from one of its frames to another.

        By default G([z^(s), r_first + n / (k + 1) (r_last - r_first)]) for n = 1..k, on the way
        between the RNN's outputs. With `space="codes"` on the way between learned codes, whose rank
        `rank` bounds, as the paper does, and then through the RNN, of which it does not tell there:

            r' = R(z_1, ..., z_first, ..., z_first + n / (k + 1) (z_last - z_first), ...)

        and G of the outputs r' of the k new codes. Each is a step of the RNN, so that it comes to
        z_last earlier or later than in the video where k is not last - first - 1. (The paper
        divides by k, which makes its last frame the reference itself.)

        Args:
            first, last: numbers of the two frames, from 0.
            count: k, frames in between.
            space: `"outputs"` or `"codes"`.
            **rows: which videos, as `recall`.

        Returns:
            uint8 `[B, k, H, W, C]`.

        Raises:
            ValueError: there are no such frames or rows, or the space is unknown.

        Example:
            >>> model.interpolate_frames(1, 4, 3, index=[0])
        """
        if not 0 <= first < last < self.frames:
            raise ValueError(
                f"first={first} and last={last} must be two frames from 0 to {self.frames - 1}, "
                "in that order."
            )
        if count < 1:
            raise ValueError(f"count={count} must be at least 1.")
        if space not in SPACES:
            raise ValueError(f"space={space!r}: {nearest_names(space, SPACES)}.")
        codes, label = self.codes_at(rows)
        path = codes["transient"] if space == "codes" else self.outputs(codes["transient"])
        fractions = tf.reshape(tf.range(1.0, count + 1.0) / (count + 1.0), [1, count, 1])
        start, end = path[:, first : first + 1], path[:, last : last + 1]  # [B, 1, E]
        between = start + fractions * (end - start)  # [B, k, E]
        if space == "codes":  # the RNN comes to them from the codes before
            run = self.outputs(tf.concat([path[:, : first + 1], between], axis=1))
            between = run[:, first + 1 :]
        return as_pixels(self.decode(self.joined(codes["static"], between, label)))

    def swap(
        self,
        content_of: np.ndarray,
        motion_of: np.ndarray,
        label: Any = None,
        content_label: Any = None,
    ) -> np.ndarray:
        """The static code of some new videos with the transient codes of others.

        Args:
            content_of: `[B, S, H, W, C]`, uint8 or float in [-1, 1].
            motion_of: `[B, T, H, W, C]`.
            label: int `[B]`, of `motion_of`, for a conditional generator.
            content_label: int `[B]`, of `content_of`; as `label` where `None`.

        Returns:
            uint8 `[B, T, H, W, C]`.

        Raises:
            ValueError: different numbers of videos, or as `encode`.
        """
        check_same_batch(content_of=content_of, motion_of=motion_of)
        motion = self.encode(motion_of, label=label)
        content_label = label if content_label is None else content_label
        static = self.encode(content_of, label=content_label)["static"]
        codes = {"static": static, "transient": motion["transient"]}
        shown = self.checked_rows("label", label) if self.conditional else None
        latents = self.latents_of(codes, shown)[:, : motion["codes"].shape[1]]
        return as_pixels(self.decode(latents))

    def get_config(self) -> dict:
        names = (
            "image_shape", "frames", "videos", "identities", "classes", "static_dim",
            "transient_dim", "static_by", "transient_by", "conditional", "units", "rank",
            "decoded_frames", "scaled_codes", "objective", "stages",
        )  # fmt: skip
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "decoder": self.decoder_arguments}


DCGAN = dcgan_generator(64)
PRESETS: dict[str, dict[str, Any]] = {
    # Seconds: for tests and for trying a data set out.
    "debug": {
        "frames": 8,
        "static_dim": 8,
        "transient_dim": 4,
        "units": 16,
        "decoder": {
            "dense_units": (),
            "seed_channels": 16,
            "channels": (16, 8),
            "upsampling": (2, 2),
            "patch": 2,
        },
        "objective": {"levels": 2},
    },
    # Good reconstructions on two CPU cores in minutes.
    "base": {
        "static_dim": 64,
        "transient_dim": 32,
        "units": 256,
        "decoded_frames": 4,
        "scaled_codes": True,
        "decoder": dcgan_generator(32),
    },
    # Table 2 of the supplement, with a DCGAN generator: Chair-CAD here, the others below.
    "paper": {"decoder": DCGAN, "stages": {"network": 5, "codes": 300}},
    "weizmann": {
        "static_dim": 56,
        "transient_dim": 200,
        "static_by": "identity",
        "transient_by": "label",
        "conditional": True,
        "videos": 80,
        "identities": 9,
        "classes": 10,
        "decoder": DCGAN,
        "objective": {"levels": 3, "triplet_weight": 0.1},
        "stages": {"network": 5, "codes": 700},
    },
    "golf": {
        "static_dim": 56,
        "transient_dim": 200,
        "decoder": DCGAN,
        "stages": {"network": 10, "codes": 1000},
    },
}
# Where there are stages a training ends with the last of them, before a further one begins. The
# optimizers are the supplement's, which tells no batch size.
TRAINING: dict[str, TrainConfig] = {
    "debug": TrainConfig(
        steps=60, batch_size=8, pick="start", warmup_steps=10, ema_momentum=0.0, code_rate=1.0
    ),
    "base": TrainConfig(
        steps=4_000, batch_size=16, pick="start", decay_steps=4_000, ema_momentum=0.0, code_rate=2.0
    ),
    # 305 epochs of 1,476 videos: 820 chairs from 2 elevations, less a tenth.
    "paper": TrainConfig(
        steps=28_136, batch_size=16, pick="start", learning_rate=6.25e-5, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
    # 705 epochs of 80 videos: 9 persons in 10 actions, less a person of each.
    "weizmann": TrainConfig(
        steps=3_525, batch_size=16, learning_rate=6.25e-5, discriminator_rate=100.0, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
    # 1,010 epochs of 500 videos.
    "golf": TrainConfig(
        steps=31_562, batch_size=16, pick="start", learning_rate=0.1, warmup_steps=0,
        beta_2=0.999, epsilon=1e-8, ema_momentum=0.0, code_rate=12.5,
    ),
}  # fmt: skip

Navsynth.PRESETS, Navsynth.TRAINING = PRESETS, TRAINING
