"""Non-adversarial video synthesis with learned priors.

Aich, Gupta, Panda, Hyder, Asif, Roy-Chowdhury: "Non-Adversarial Video Synthesis with Learned
Priors", CVPR 2020. Codes are trained together with the networks, without encoder or discriminator:

    z^(s)                          static, one for each video (or identity)
    z_1..T^(t)                     transient, one sequence for each video (or action)
    r_1..T = R(z_1..T^(t))         a GRU, and a dense layer back to the size of z^(t)
    v'_i = G([z^(s), r_i])         a DCGAN generator

    l = l_rec + lambda_s l_static + lambda_t l_triplet                                   (6)

l_rec is the Laplacian pyramid loss of all frames, and l_static that of one random frame. l_triplet
keeps the RNN's outputs of near frames nearer to each other, by a margin alpha, than those of
distant frames. With `rank`, the transient codes of a video are projected to a matrix of that rank
after every update (7), which helps to interpolate frames.

Departures from the paper:
- The output of G is linear, and what is shown is clipped: a tanh saturates on black backgrounds.
- G has leaky ReLUs where DCGAN has ReLUs, and no batch norm (`decoder.normalization` adds it).
- Chairs and golf scenes have a static code per video, as in sections 1 and 3; section 4.1 has one
  for the whole training set (`static_by="shared"`).
- All triplets of a clip count; the paper draws some.
- By default `interpolate_frames` moves between outputs of the RNN; with a `rank`, between codes, as
  section 4.3.3 does.

The released code (https://github.com/abhishekaich27/Navsynth) does not train as section 3 says. It
has no stages, but 5 passes over the videos with 300 updates in succession on each, of networks and
codes together. Its rates, 0.001 * 16 / 256 and 200 * 16 / 256, count the 16 frames of one video.
The triplet loss has an update of its own. The presets `paper`, `weizmann` and `golf` do so
(`training.batch_repeats`, `triplet_step`); `stages={"network": 5, "codes": 300}` with
`training.batch_repeats=1` is what section 3 says. What else the release does, and we do not: a
batch norm behind the RNN; [z^(s), r_i] divided by its largest entry; distances of triplets that are
not squared, with one semi-hard negative for each positive, more than 5 frames away; a GRU that
starts anew at every frame, so that nothing recurs; codes without momentum and without the unit
ball; an Adam that starts anew with every video; one static code for all videos; a second update
from the outputs of before the first one, in which Adam moves G, too.

The preset `plain` is equation (6), at sizes for two CPU cores. It trains networks and codes
together. Options that `base` turns on: networks take codes times the square root of their size
(`scaled_codes`; without it the motion was not learned after 1,200 steps), and a step decodes some
frames of a clip (`decoded_frames`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.frame_networks import FrameDecoder
from kerasvid.layers.recurrent import NoiseGRU
from kerasvid.models.base.latent_codes import RECURRENT, SHARED, TRIPLET, LatentCodeModel
from kerasvid.models.base.protocols import ExchangeableCodes, Swappable
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.trainer import decoded_part
from kerasvid.models.base.video_generator import check_same_batch
from kerasvid.naming import nearest_names

OBJECTIVE = {
    "levels": 4,  # bands of the pyramid
    "static_weight": 0.01,  # lambda_s
    "triplet_weight": 0.01,  # lambda_t
    "margin": 2.0,  # alpha
    "positive_range": 2,  # frames; the largest distance of a positive from its anchor
    "negative_range": 2,  # a negative is further away
}
MINIMA = {"levels": 1, "positive_range": 1}  # of the objective; 0 for the others


@keras.saving.register_keras_serializable(package="kerasvid")
class Navsynth(LatentCodeModel, ExchangeableCodes, Swappable):
    """Videos from a static code and a sequence of transient codes, all of them weights.

    Args:
        frames: T, the length of the transient codes.
        static_dim: size of z^(s).
        transient_dim: size of z_i^(t) and of the RNN's outputs.
        static_by: what has a static code: a video (`"index"`), an `"identity"`, or all videos
            together (`"shared"`).
        transient_by: what has transient codes: a video (`"index"`) or an action (`"label"`).
        conditional: whether the generator also takes the label, one-hot, as for Weizmann.
        units: of the GRU.
        rank: rho of equation (7), or `None`.
        triplet_step: whether the triplet loss has an update of its own, of the RNN and the
            transient codes, after that of the other losses.
        decoder: arguments of `FrameDecoder` (G), without `image_shape`.
        objective: values that differ from `OBJECTIVE`.
        **kwargs: further arguments of `LatentCodeModel`.

    Raises:
        ValueError: a value is out of its range, a name is unknown, or clips are too short for
            triplets.

    Example:
        >>> model = Navsynth.from_preset("debug", videos=100)
        >>> model.compile("adam", code_rate=10.0)
        >>> batches = make_pipeline("data/turntable", pick="start", repeat=True)
        >>> model.fit(batches, steps_per_epoch=500)
        >>> model.recall(index=[3, 5])  # uint8 [2, T, H, W, C], training videos from their codes
    """

    term_names = ("loss", "reconstruction_loss", "static_loss", "triplet_loss", "psnr")

    PARTS: ClassVar = {"decoder": FrameDecoder, "objective": tuple(OBJECTIVE)}

    def __init__(
        self,
        frames: int = 16,
        static_dim: int = 206,
        transient_dim: int = 50,
        static_by: str = "index",
        transient_by: str = "index",
        conditional: bool = False,
        units: int = 500,
        rank: int | None = None,
        triplet_step: bool = False,
        decoder: Mapping[str, Any] | None = None,
        objective: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        objective = checked_objective(objective, frames)
        tables = {
            "static": (static_by, (static_dim,)),
            "transient": (transient_by, (frames, transient_dim)),
        }
        learned = {"levels": objective["levels"], "conditional": conditional, "rank": rank}
        super().__init__(frames, tables=tables, **learned, **kwargs)
        self.static_dim, self.transient_dim = static_dim, transient_dim
        self.static_by, self.transient_by = static_by, transient_by
        self.units, self.objective, self.triplet_step = units, objective, triplet_step
        self.decoder_arguments = dict(decoder or {})
        policy = self.dtype_policy
        self.motion = NoiseGRU(units, dtype=policy)
        self.motion_output = keras.layers.Dense(transient_dim, dtype="float32")
        self.decoder = FrameDecoder(self.image_shape, **self.decoder_arguments, dtype=policy)
        self.decode(self.codes(self.sample_noise(1)))
        self.build()

    @classmethod
    def code_keys(cls, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({hyperparameters["static_by"], hyperparameters["transient_by"]} - {SHARED})

    # === Training ===

    def recurrent_variables(self) -> list:
        return [*self.motion.trainable_variables, *self.motion_output.trainable_variables]

    def has_triplet_step(self) -> bool:
        return self.triplet_step and self.objective["triplet_weight"] > 0

    def updates_per_step(self) -> dict[str, int]:
        return {RECURRENT: 2} if self.has_triplet_step() else {}

    def minimised(self, terms: Mapping[str, tf.Tensor], stage: str) -> tf.Tensor:
        if not self.has_triplet_step():
            return terms["loss"]
        if stage == TRIPLET:
            return self.objective["triplet_weight"] * terms["triplet_loss"]
        return terms["reconstruction_loss"] + self.objective["static_weight"] * terms["static_loss"]

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """As the base class, and the noise that chooses the frame of the static loss."""
        return super().training_noise_shapes(frames) | {"static_frame": (frames,)}

    def compute_losses(self, batch, noise, step, training):
        objective, codes = self.objective, batch["codes"]
        outputs = self.outputs(codes["transient"])  # [B, T, E]
        video, chosen = decoded_part(noise, self.decoded_frames, batch["video"], outputs)
        decoded = self.decoded(self.joined(codes["static"], chosen, batch["label"]), training)
        by_frame = losses.pyramid_loss(video, decoded, self.levels)  # [B, K]
        frame = tf.argmax(noise["static_frame"][:, : by_frame.shape[1]], axis=1)
        ranges = objective["positive_range"], objective["negative_range"]

        reconstruction = tf.reduce_mean(by_frame, axis=1)
        static = tf.gather(by_frame, frame, batch_dims=1)
        triplet = tf.zeros_like(static)
        if objective["triplet_weight"]:
            triplet = losses.triplet_loss(outputs, objective["margin"], *ranges)
        regularizers = objective["static_weight"] * static + objective["triplet_weight"] * triplet
        terms = {
            "loss": reconstruction + regularizers,  # equation (6)
            "reconstruction_loss": reconstruction,
            "static_loss": static,
            "triplet_loss": triplet,
            "psnr": losses.psnr(video, tf.clip_by_value(decoded, -1.0, 1.0)),
        }
        return terms, {}

    # === From codes to frames ===

    def outputs(self, transient: tf.Tensor) -> tf.Tensor:
        """r = R(z^(t)): `[B, T, transient_dim] -> [B, T, transient_dim]`."""
        return self.motion_output(self.motion(self.scaled_for_networks(transient)))

    def joined(
        self, static: tf.Tensor, outputs: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """[z^(s), r_i], and the label where there is one: `[B, T, D]`."""
        static = self.scaled_for_networks(static)
        parts = [static] if label is None else [static, tf.one_hot(label, self.classes)]
        constant = tf.repeat(tf.concat(parts, axis=-1)[:, None], outputs.shape[1], axis=1)
        return tf.concat([constant, outputs], axis=-1)

    def latents_of(self, codes: Mapping[str, tf.Tensor], label: tf.Tensor | None) -> tf.Tensor:
        return self.joined(codes["static"], self.outputs(codes["transient"]), label)

    # === Combinations of codes ===

    def exchange(
        self, identity: Sequence[int], action: Sequence[int], label: Sequence[int] | None = None
    ) -> np.ndarray:
        """Static codes combined with the transient codes of other rows.

        Args:
            identity: rows `[B]` of the static codes: identities or videos, by `static_by`.
            action: rows `[B]` of the transient codes: labels or videos, by `transient_by`.
            label: int `[B]`, for a conditional generator; `action` by default if that is labels.

        Returns:
            uint8 `[B, T, H, W, C]`.

        Raises:
            ValueError: the numbers of rows differ, a row does not exist, or a label is missing.

        Example:
            >>> model.exchange(identity=[0, 0, 0], action=[0, 1, 2])  # one person, three actions
        """
        static = self.checked_rows(self.static_by, identity)
        transient = self.checked_rows(self.transient_by, action)
        rows = {"identity": static, "action": transient}
        if self.conditional:
            label = action if label is None and self.transient_by == "label" else label
            if label is None:
                raise ValueError(
                    "label is missing. The generator is conditional: give a label for each action."
                )
            rows["label"] = self.checked_rows("label", label)
        check_same_batch(**rows)
        codes = {"static": self.static_codes(static), "transient": self.transient_codes(transient)}
        return self.pixels(self.latents_of(codes, rows.get("label")))

    def interpolate_frames(
        self,
        first: int,
        last: int,
        count: int,
        *,
        space: str | None = None,
        **rows: Sequence[int],
    ) -> np.ndarray:
        """Intermediate frames between two frames of training videos.

        Between outputs of the RNN: G([z^(s), r_first + n / (k + 1) (r_last - r_first)]), n = 1..k.
        Or between learned codes, as in the paper, where (7) bounds their rank; the k new codes
        follow z_first through the RNN, one step each:

            r' = R(z_1, ..., z_first, ..., z_first + n / (k + 1) (z_last - z_first), ...)

        (The paper divides by k, so that its last frame is z_last itself.)

        Args:
            first, last, count: numbers of the two frames, from 0; k.
            space: `"outputs"` or `"codes"`; by default codes where `rank` bounds them.
            **rows: the videos, as in `recall`.

        Returns:
            uint8 `[B, k, H, W, C]`.

        Raises:
            ValueError: a frame, a row or the space does not exist.

        Example:
            >>> model.interpolate_frames(1, 4, 3, index=[0])
        """
        if not 0 <= first < last < self.frames:
            raise ValueError(
                f"first={first} and last={last} must be frames from 0 to {self.frames - 1}, first "
                "before last."
            )
        if count < 1:
            raise ValueError(f"count={count} must be at least 1.")
        space = space or ("codes" if self.rank else "outputs")
        if space not in ("outputs", "codes"):
            raise ValueError(f"space={space!r} must be 'outputs' or 'codes'.")
        codes, label = self.codes_at(rows)
        path = codes["transient"] if space == "codes" else self.outputs(codes["transient"])
        fractions = tf.reshape(tf.range(1.0, count + 1.0) / (count + 1.0), [1, count, 1])
        start, end = path[:, first : first + 1], path[:, last : last + 1]  # [B, 1, E]
        between = start + fractions * (end - start)  # [B, k, E]
        if space == "codes":
            outputs = self.outputs(tf.concat([path[:, : first + 1], between], axis=1))
            between = outputs[:, first + 1 :]
        return self.pixels(self.joined(codes["static"], between, label))

    def swap(
        self,
        content_of: np.ndarray,
        motion_of: np.ndarray,
        label: Any = None,
        content_label: Any = None,
    ) -> np.ndarray:
        """The static codes of some new videos combined with the transient codes of others.

        Args:
            content_of: `[B, S, H, W, C]`, uint8 or float in [-1, 1].
            motion_of: `[B, T, H, W, C]`.
            label: int `[B]`, of `motion_of`, for a conditional generator.
            content_label: int `[B]`, of `content_of`; as `label` where `None`.

        Returns:
            uint8 `[B, T, H, W, C]`.

        Raises:
            ValueError: the numbers of videos differ, or as `encode`.
        """
        check_same_batch(content_of=content_of, motion_of=motion_of)
        motion = self.encode(motion_of, label=label)
        content_label = label if content_label is None else content_label
        static = self.encode(content_of, label=content_label)["static"]
        codes = {"static": static, "transient": motion["transient"]}
        shown = self.checked_rows("label", label) if self.conditional else None
        latents = self.latents_of(codes, shown)[:, : motion["codes"].shape[1]]
        return self.pixels(latents)


def checked_objective(objective: Mapping[str, Any] | None, frames: int) -> dict[str, Any]:
    """`OBJECTIVE` with some values replaced, if they are in range and clips have triplets."""
    for name, value in (objective or {}).items():
        if name not in OBJECTIVE:
            raise ValueError(f"objective has no {name!r}: {nearest_names(name, OBJECTIVE)}.")
        integer, least = isinstance(OBJECTIVE[name], int), MINIMA.get(name, 0)
        number = isinstance(value, int if integer else int | float) and value is not True
        if not (number and least <= value < math.inf):
            kind = "an integer" if integer else "a number"
            raise ValueError(f"objective.{name}={value!r} must be {kind}, {least} or more.")
    full = {**OBJECTIVE, **(objective or {})}
    near, far = full["positive_range"], full["negative_range"]
    if full["triplet_weight"] and not losses.triplet_mask(frames, near, far).any():
        raise ValueError(
            f"Clips of {frames} frames have no triplets with objective.negative_range={far}: "
            "use longer clips, a smaller range or objective.triplet_weight=0."
        )
    return full


DCGAN = {  # G at 64x64
    "dense_units": (),
    "seed_channels": 512,
    "channels": (256, 128, 64),
    "upsampling": (2, 2, 2),
    "kernel_size": 4,
    "transposed": True,
    "patch": 2,
    "normalization": "none",
}
TINY = {"seed_channels": 16, "channels": (16, 8), "upsampling": (2, 2)}
TWO_CORES: dict[str, Any] = {
    "frames": 16,
    "static_dim": 64,
    "transient_dim": 32,
    "units": 256,
    "decoder": {**DCGAN, "seed_channels": 256, "channels": (128, 64, 32)},
}
DEPARTURES: dict[str, Any] = {"decoded_frames": 4, "scaled_codes": True}
Navsynth.PRESETS = {
    # Seconds: for tests.
    "debug": {
        "frames": 8,
        "static_dim": 8,
        "transient_dim": 4,
        "units": 16,
        "decoder": {**DCGAN, **TINY, "kernel_size": 3, "transposed": False},
        "objective": {"levels": 2},
    },
    # The paper's loss alone.
    "plain": TWO_CORES,
    # Good reconstructions on two CPU cores in minutes.
    "base": {**TWO_CORES, **DEPARTURES},
    # As `base` with half of its parameters: the weights that come with the package.
    "small": {
        **TWO_CORES,
        **DEPARTURES,
        "transient_dim": 16,
        "units": 128,
        "decoder": {**DCGAN, "seed_channels": 160, "channels": (96, 48, 24)},
    },
    # Table 2 of the supplement, with a DCGAN generator: Chair-CAD here, the others below.
    "paper": {
        "frames": 16,
        "static_dim": 206,
        "transient_dim": 50,
        "units": 500,
        "decoder": DCGAN,
        "triplet_step": True,
    },
    "weizmann": {
        "frames": 16,
        "static_dim": 56,
        "transient_dim": 200,
        "static_by": "identity",
        "transient_by": "label",
        "conditional": True,
        "videos": 80,
        "identities": 9,
        "classes": 10,
        "units": 500,
        "decoder": DCGAN,
        "objective": {"levels": 3, "triplet_weight": 0.1},
        "triplet_step": True,
    },
    "golf": {
        "frames": 16,
        "static_dim": 56,
        "transient_dim": 200,
        "units": 500,
        "decoder": DCGAN,
        "triplet_step": True,
    },
}
# The optimizers of the supplement. It gives no batch size: the rates are those of the released code
# for one video a step.
ADAM: dict[str, Any] = {"warmup_steps": 0, "beta_2": 0.999, "epsilon": 1e-8}
SUPPLEMENT: dict[str, Any] = {**ADAM, "ema_momentum": 0.0, "code_rate": 12.5}
COMMON: dict[str, Any] = {"pick": "start", "ema_momentum": 0.0}
Navsynth.TRAINING = {
    "debug": TrainConfig(steps=60, batch_size=8, warmup_steps=10, code_rate=1.0, **COMMON),
    # The released rates, 0.001 and 200, at 256 frames a step.
    "plain": TrainConfig(steps=4_000, batch_size=16, decay_steps=4_000, code_rate=200.0, **COMMON),
    "base": TrainConfig(steps=4_000, batch_size=16, decay_steps=4_000, code_rate=2.0, **COMMON),
    "small": TrainConfig(steps=6_000, batch_size=16, decay_steps=6_000, code_rate=2.0, **COMMON),
    # 5 passes of 300 updates of each of 1,476 videos: 820 chairs at 2 elevations, less a tenth.
    "paper": TrainConfig(
        steps=2_214_000,
        batch_size=1,
        batch_repeats=300,
        pick="start",
        learning_rate=6.25e-5,
        **SUPPLEMENT,
    ),
    # 5 passes of 700 updates of each of 80 videos: 9 persons in 10 actions, less a person of each.
    "weizmann": TrainConfig(
        steps=280_000,
        batch_size=1,
        batch_repeats=700,
        learning_rate=6.25e-5,
        discriminator_rate=100.0,
        **SUPPLEMENT,
    ),
    # 10 passes of 1,000 updates of each of 500 videos.
    "golf": TrainConfig(
        steps=5_000_000,
        batch_size=1,
        batch_repeats=1_000,
        pick="start",
        learning_rate=0.1,
        **SUPPLEMENT,
    ),
}
