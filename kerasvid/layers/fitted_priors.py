"""Priors that are fitted to codes after training, for models with learned codes or an encoder.

A decoder makes good frames of codes that are like those of its training videos. What was trained
beside it as a prior, or no prior at all, puts many codes elsewhere. The priors here are fitted to
the codes themselves, once the networks do not change any more:

    gaussian        mean + L e
    mixture         of Gaussians, by expectation maximisation (scikit-learn)
    flow            affine couplings: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real
                    NVP", ICLR 2017
    nearest         a network that maps noise to codes, trained by implicit maximum likelihood (Li,
                    Malik, 2018), as in Hoshen, Li, Malik, "Non-Adversarial Image Synthesis with
                    Generative Latent Nearest Neighbors" (GLANN), CVPR 2019
    flow_matching   the ODE of a velocity network: Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow
                    Matching for Generative Modeling", ICLR 2023, with noise and codes of a batch
                    paired as in Tong et al., "Improving and generalizing flow-based generative
                    models with minibatch optimal transport", TMLR 2024

The first three have a density that is nowhere zero between separate clusters of codes. The last two
can leave the space between them nearly empty.

All of them work on the principal components of the codes, scaled to unit variance, and turn
standard Gaussian noise into codes by dense layers alone, so that they export like the networks.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf

from kerasvid.layers.aggregate_prior import CouplingFlow
from kerasvid.naming import KeepsArguments, nearest_names

LARGEST = 128  # principal components of a prior
HELD_OUT = 10  # one code in so many measures a fit
MEASURED = 1_024  # codes, and as many samples, that measure a fit
BATCH = 256
FITTED_COVARIANCE = 20_000  # codes, evenly spaced, that the principal components are of


class PriorFit(NamedTuple):
    """Energy distance of samples from held-out codes: of the Gaussian, and of the fitted prior.

    It is 2 E|x - y| - E|x - x'| - E|y - y'| on the scaled principal components, 0 for two equal
    distributions. With few codes the fitted ones are measured, not held-out ones.
    """

    gaussian: float
    fitted: float


class FittedPrior(KeepsArguments, keras.layers.Layer):
    """A distribution of codes, fitted to samples of them.

    Noise of the last axis's last entry chooses the component of a mixture; the other kinds leave
    it out.

    Args:
        size: S, of a code as one vector.
        components: K, principal components of the codes, at most S. The rest of their variance is
            left out.

    Raises:
        ValueError: `components` is not between 1 and `size`.

    Example:
        >>> prior = make_prior("flow_matching", size=288, components=128)
        >>> prior.fit(codes)  # float [N, 288]
        >>> prior(tf.random.normal([4, prior.noise_size])).shape
        TensorShape([4, 288])
    """

    kind: ClassVar[str]

    def __init__(self, size: int, components: int, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        if not 1 <= components <= size:
            raise ValueError(f"components={components} of a prior must be from 1 to {size}.")
        self.size, self.components = size, components
        self.mean = self.add_weight((size,), "zeros", name="mean", trainable=False)
        # Rows are orthogonal: the directions times their standard deviations.
        spread = keras.initializers.RandomNormal(stddev=(size * components) ** -0.5)
        self.basis = self.add_weight((components, size), spread, name="basis", trainable=False)
        self.make_networks()
        self.built = True

    @property
    def noise_size(self) -> int:
        """Standard Gaussians that make one code: K + 1."""
        return self.components + 1

    def call(self, noise: tf.Tensor) -> tf.Tensor:
        """Codes from standard Gaussian noise: `[B, K + 1] -> [B, S]` float32."""
        scaled = self.transform(noise)
        return tf.convert_to_tensor(self.mean) + tf.matmul(scaled, self.basis)

    # === What a kind defines ===

    def make_networks(self) -> None:
        """Makes the kind's own layers and weights."""

    def transform(self, noise: tf.Tensor) -> tf.Tensor:
        """Scaled components from noise: `[B, K + 1] -> [B, K]`."""
        return noise[:, : self.components]

    def learn(self, draw: "Draws", steps: int, seed: int) -> None:
        """Learns the scaled components of the codes, in place."""

    # === Fitting ===

    def fit(
        self, means: np.ndarray, stds: np.ndarray | None = None, steps: int = 4_000, seed: int = 0
    ) -> PriorFit:
        """Fits the prior to codes, or to Gaussians of which codes are drawn.

        Args:
            means: `[N, S]`: the codes, or the means of their posteriors.
            stds: `[N, S]`: standard deviations of the posteriors.
            steps: updates of a network, with batches of 256.
            seed: of the draws and of the initial weights.

        Raises:
            ValueError: there are fewer than 2 codes, of another size, or they are not finite.
        """
        means = np.asarray(means, np.float32)
        stds = np.zeros_like(means) if stds is None else np.asarray(stds, np.float32)
        if means.ndim != 2 or means.shape[1] != self.size or len(means) < 2:
            raise ValueError(
                f"Codes of shape {means.shape} cannot be fitted: give at least 2 of size "
                f"{self.size}."
            )
        if not (np.isfinite(means).all() and np.isfinite(stds).all()):
            raise ValueError("The codes are not finite. Train the model again, with a lower rate.")
        held_out = np.arange(len(means)) % HELD_OUT == HELD_OUT - 1
        if held_out.sum() < 2:
            held_out[:] = False
        learned = ~held_out
        self._set_components(means[learned], stds[learned])
        with keras.device("cpu:0") if False else _no_context():
            self.learn(Draws(self._scaled(means[learned], stds[learned]), seed), steps, seed)
        measured = held_out if held_out.any() else learned
        return self._measured(self._scaled(means[measured], stds[measured]), seed)
