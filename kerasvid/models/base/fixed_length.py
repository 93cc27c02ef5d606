"""What the adversarial models share that make a whole clip of one latent vector."""

from collections.abc import Mapping

import tensorflow as tf


class FixedLength:
    """Mix-in for an adversarial model that makes a whole clip of one latent vector.

    Its clips have `frames` frames, the native length; a shorter one is the start of such a clip,
    and a longer one is refused. The subclass has the attributes `frames` and `latent_dim`.
    """

    fixed_length = True

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the named noise; of `"length"`, for shorter clips, the shape alone counts.

        Raises:
            ValueError: the clip would be longer than the native length.
        """
        self.check_length(frames)
        latent = {"latent": (self.latent_dim,)}
        return latent if frames == self.frames else {**latent, "length": (frames,)}

    def check_length(self, frames: int) -> None:
        """Refuses clips that are longer than the native length."""
        if frames > self.frames:
            raise ValueError(
                f"frames={frames}: this model makes clips of at most {self.frames} frames; ask for "
                f"{self.frames} or fewer, or make and train one with frames={frames}."
            )

    def length_of(self, noise: Mapping[str, tf.Tensor]) -> int:
        """T of the clips that named noise makes."""
        return noise["length"].shape[1] if "length" in noise else self.frames
