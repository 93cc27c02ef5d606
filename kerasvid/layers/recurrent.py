"""Recurrent networks unrolled over a static T: no `while` loop, TensorList or cuDNN op in a graph.

So they compile under XLA and convert to TFLite without Flex.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasvid import distributions
from kerasvid.naming import KeepsArguments


def bidirectional_lstm(units: int, return_sequences: bool = False, dtype: Any = None):
    """Keras's bidirectional LSTM, unrolled: `[B, T, D] -> [B, 2 units]`, or `[B, T, 2 units]`.

    Without `return_sequences` the forward state after the last frame stands beside the backward
    state after the first. `units` is the width of each direction.
    """
    arguments = {"unroll": True, "use_cudnn": False, "name": "lstm"}
    lstm = keras.layers.LSTM(units, return_sequences=return_sequences, dtype=dtype, **arguments)
    return keras.layers.Bidirectional(lstm, dtype=dtype)


@keras.saving.register_keras_serializable(package="kerasvid")
class RecurrentPrior(KeepsArguments, keras.layers.Layer):
    """A learned prior over a sequence of latent vectors, p(z_t | z_<t, condition), by an LSTM.

    At step t the cell receives z_(t-1), zero at the first step, beside the condition; a dense layer
    makes a diagonal Gaussian of its output.

    Args:
        latent_dim: D, the size of one latent vector.
        units: width of the LSTM.
        scale: the standard deviation of an untrained prior.

    Example:
        >>> prior = RecurrentPrior(latent_dim=4, units=8)
        >>> prior.rollout(tf.zeros([2, 3, 4])).shape  # from noise alone
        TensorShape([2, 3, 4])
    """

    def __init__(self, latent_dim: int, units: int, scale: float = 1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)  # latents stay float32
        self.latent_dim, self.units, self.scale = latent_dim, units, scale
        self.cell = keras.layers.LSTMCell(units, dtype=self.dtype_policy)
        self.head = keras.layers.Dense(2 * latent_dim, dtype="float32")

    def build(self, latents_shape, condition_shape=None) -> None:
        """Makes the weights; called explicitly, as the methods below are no `call`."""
        condition = 0 if condition_shape is None else condition_shape[-1]
        self.cell.build([None, self.latent_dim + condition])
        self.head.build([None, self.units])
        self.built = True

    def step(self, previous: tf.Tensor, states: list, condition: tf.Tensor | None = None):
        """One step: `[B, D]` of the step before -> (parameters `[B, 2D]`, new states)."""
        parts = [previous] if condition is None else [previous, condition]
        joined = tf.cast(tf.concat(parts, axis=-1), self.compute_dtype)
        output, states = self.cell(joined, states)
        return self.head(output), states

    def teacher_forced(self, latents: tf.Tensor, condition: tf.Tensor | None = None):
        """The prior at every step, given *these* earlier latents.

        The evidence lower bound scores posterior samples so: KL = sum_t KL(q_t || p(. | z_<t)).
        Well-known implementations score an independent rollout, which bounds another model.

        Args:
            latents: `[B, T, D]` float32, samples of the posterior.
            condition: `[B, E]` float32 or `None`, the same at every step.

        Returns:
            A diagonal Gaussian with batch shape `[B, T]` and event shape `[D]`.
        """
        frames = tf.unstack(latents, axis=1)
        parameters, previous = [], tf.zeros_like(frames[0])
        states = self.cell.get_initial_state(batch_size=tf.shape(latents)[0])
        for frame in frames:
            output, states = self.step(previous, states, condition)
            parameters.append(output)
            previous = frame
        return distributions.diagonal_normal(tf.stack(parameters, axis=1), self.scale)

    def rollout(
        self,
        noise: tf.Tensor,
        condition: tf.Tensor | None = None,
        beginning: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Latents drawn from the prior, each step fed the sample before it.

        Args:
            noise: `[B, T, D]` float32, standard Gaussian; zeros give the path of the means.
            condition: `[B, E]` float32 or `None`.
            beginning: `[B, P, D]` float32, the first latents where something else draws them.

        Returns:
            `[B, T, D]` float32.
        """
        states = self.cell.get_initial_state(batch_size=tf.shape(noise)[0])
        drawn = [] if beginning is None else tf.unstack(beginning, axis=1)
        latents: list[tf.Tensor] = []
        previous = tf.zeros_like(noise[:, 0])
        for frame_noise in tf.unstack(noise, axis=1):
            output, states = self.step(previous, states, condition)
            step_prior = distributions.diagonal_normal(output, self.scale)
            previous = distributions.reparameterize(step_prior, frame_noise)
            if len(latents) < len(drawn):
                previous = drawn[len(latents)]
            latents.append(previous)
        return tf.stack(latents, axis=1)  # [B, T, D]

    def call(self, latents: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """The means of `teacher_forced`, `[B, T, D]`."""
        return self.teacher_forced(latents, condition).mean()


@keras.saving.register_keras_serializable(package="kerasvid")
class NoiseGRU(KeepsArguments, keras.layers.Layer):
    """R_M of MoCoGAN: h_t = GRU([noise_t, condition], h_(t-1)), with the states as its outputs.

    Args:
        units: E, the size of an output.

    Example:
        >>> NoiseGRU(units=4)(tf.zeros([2, 3, 5]), start=tf.zeros([2, 4])).shape
        TensorShape([2, 3, 4])
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(autocast=False, **kwargs)  # latents stay float32
        self.units = units
        self.cell = keras.layers.GRUCell(units, dtype=self.dtype_policy)

    def call(
        self,
        noise: tf.Tensor,
        start: tf.Tensor | None = None,
        condition: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The states `[B, T, units]` float32.

        Args:
            noise: `[B, T, D]` float32, standard Gaussian; T must be static.
            start: h_0, `[B, units]` float32; zeros where `None`.
            condition: `[B, C]` float32 or `None`, the same at every step.
        """
        states = self.cell.get_initial_state(batch_size=tf.shape(noise)[0])
        if start is not None:
            states = [tf.cast(start, self.compute_dtype)]
        outputs = []
        for step_noise in tf.unstack(noise, axis=1):
            parts = [step_noise] if condition is None else [step_noise, condition]
            joined = tf.cast(tf.concat(parts, axis=-1), self.compute_dtype)
            output, states = self.cell(joined, states)
            outputs.append(tf.cast(output, tf.float32))
        return tf.stack(outputs, axis=1)  # [B, T, units]


def over_frames(layer: Callable[..., tf.Tensor], sequence: tf.Tensor, **kwargs) -> tf.Tensor:
    """Applies a layer for single frames to `[B, T, ...]` in one call over B * T rows."""
    frames = sequence.shape[1]
    flat = tf.reshape(sequence, tf.concat([[-1], tf.shape(sequence)[2:]], axis=0))
    flat = tf.ensure_shape(flat, [None, *sequence.shape[2:]])
    output = layer(flat, **kwargs)
    return tf.reshape(output, [-1, frames, *output.shape[1:]])


def repeated(vectors: tf.Tensor, frames: int) -> tf.Tensor:
    """The same vector at every frame: `[B, D] -> [B, T, D]`."""
    return tf.repeat(vectors[:, None], frames, axis=1)
