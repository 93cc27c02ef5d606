"""The public verbs of models whose codes are learned, one row a video, identity or action."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasvid import losses
from kerasvid.layers.code_table import existing_rows, projected_to_ball, projected_to_rank
from kerasvid.layers.recurrent import over_frames
from kerasvid.models.video_generator import (
    VideoGenerator,
    as_pixels,
    as_video_tensor,
    check_same_batch,
)

# The length sorts last, as noise is drawn by the place of its name: shorter clips begin as longer.
CATEGORY, LENGTH = "category", "until"


class LatentVerbs(VideoGenerator):
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

    def codes(self, noise: Mapping[str, tf.Tensor]) -> tf.Tensor:
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

    def render(self, noise: dict) -> np.ndarray:
        """As `VideoGenerator.render`, by Gaussians fitted to the codes as they are now."""
        self.refresh_gaussians()
        return super().render(noise)

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

        def descend(clock, codes, first, second):
            moved = self._descend(video, label, codes, first, second, clock, rate)
            return clock + 1.0, *moved

        zeros = {name: tf.zeros_like(value) for name, value in codes.items()}
        start = (tf.constant(1.0), codes, zeros, dict(zeros))
        last = tf.cast(steps, tf.float32)
        return tf.while_loop(lambda clock, *_: clock <= last, descend, start)[1]

    def _descend(self, video, label, codes, first, second, clock, rate):
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
            mean = first[name] / (1.0 - tf.pow(0.9, clock))
            size = tf.sqrt(second[name] / (1.0 - tf.pow(0.999, clock)))
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
