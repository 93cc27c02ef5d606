"""The prior of a vector that is drawn once a video: an invertible image of N(0, I)."""

import keras
import tensorflow as tf

from kerasvid import distributions
from kerasvid.layers.coupling_flow import CouplingFlow

JITTER = 1e-5  # added to the covariance's diagonal
UNSEEN_DRAWS = 16  # that estimate the divergence where no draw is given


@keras.saving.register_keras_serializable(package="kerasvid")
class AggregatePrior(keras.layers.Layer):
    """A prior `mean + L f(e)`, `e ~ N(0, I)`, that follows the aggregate posterior.

    By default it is the fixed N(0, scale^2 I). Two things bring it to where the posteriors are:

    With a `momentum`, the mean and the covariance `L L^T` are running moments of the posterior
    over the data,

        mean = E[m(x)],  L L^T = Cov[m(x)] + E[diag(s(x)^2)],

    which of all Gaussians minimise the mean KL(q(.|x) || p): the exact update of the prior in the
    evidence lower bound, in place of the slow one by gradients through the encoder.

    With `couplings`, f is a `CouplingFlow` trained with the bound, which can leave out what lies
    between the modes of the data.

    Why: networks leave the aggregate posterior off-centre, of low rank, correlated and clustered.
    The bound pays for each, and samples of N(0, I) fall where the decoder never was. What is drawn
    stays standard Gaussian noise, and the map to it is invertible.

    Args:
        latent_dim: D.
        scale: deviation of the fixed prior, and of the other one before its first update.
        momentum: of the running moments, in (0, 1), or `None`.
        couplings: of the flow; 0 for none, f(e) = e.
        units: hidden width of a coupling.

    Raises:
        ValueError: `scale` is not positive, `momentum` outside (0, 1), or D odd with a flow.

    Example:
        >>> prior = AggregatePrior(4, momentum=0.99)
        >>> prior.sample(tf.random.normal([2, 4])).shape
        TensorShape([2, 4])
    """

    def __init__(
        self,
        latent_dim: int,
        scale: float = 1.0,
        momentum: float | None = None,
        couplings: int = 0,
        units: int = 128,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if scale <= 0:
            raise ValueError(f"scale={scale} of a prior must be positive.")
        if momentum is not None and not 0 < momentum < 1:
            raise ValueError(f"momentum={momentum} of a prior must be between 0 and 1, or None.")
        self.latent_dim, self.scale, self.momentum = latent_dim, scale, momentum
        self.couplings, self.units = couplings, units
        self.flow = CouplingFlow(latent_dim, couplings, units) if couplings else None
        self.build()

    def build(self, input_shape=None) -> None:
        if self.built:
            return
        if self.flow is not None:
            self.flow.build()
        size = self.latent_dim
        self.mean = self.add_weight(
            (size,), "zeros", "float32", trainable=False, autocast=False, name="mean"
        )
        self.covariance = self._matrix("covariance", self.scale**2)
        # L is kept, so that generation needs no decomposition in its graph.
        self.scale_tril = self._matrix("scale_tril", self.scale)
        self.built = True

    def _matrix(self, name: str, diagonal: float):
        return self.add_weight(
            (self.latent_dim, self.latent_dim),
            lambda shape, dtype=None: diagonal * tf.eye(shape[0]),
            "float32",
            trainable=False,
            autocast=False,
            name=name,
        )

    def sample(self, noise: tf.Tensor) -> tf.Tensor:
        """`mean + L f(e)` of standard Gaussian noise: `[B, D] -> [B, D]`."""
        shaped = noise if self.flow is None else self.flow.forward(noise)
        mean = tf.convert_to_tensor(self.mean)
        return mean + tf.matmul(shaped, tf.convert_to_tensor(self.scale_tril), transpose_b=True)

    def divergence(self, posterior, draw: tf.Tensor | None = None) -> tf.Tensor:
        """KL(posterior || prior) in nats.

        Analytic without a flow. With one, the posterior's entropy is analytic and the
        cross-entropy is estimated without bias by `draw`.

        Args:
            posterior: diagonal Gaussians with batch shape `[B]`.
            draw: `[B, D]`, a sample of each; where `None`, a few fixed ones are taken.

        Returns:
            `[B]` float32; an estimate may be negative.
        """
        tril = tf.convert_to_tensor(self.scale_tril)
        mean = tf.convert_to_tensor(self.mean)
        if self.flow is None:
            return distributions.kl_to_gaussian(posterior, mean, tril)
        if draw is None:
            shape = [UNSEEN_DRAWS, self.latent_dim]
            noise = tf.random.stateless_normal(shape, [0, 0])[:, None]  # [K, 1, D]
            draws = posterior.mean() + posterior.stddev() * noise  # [K, B, D]
        else:
            draws = draw[None]  # [1, B, D]
        whitening = tf.linalg.triangular_solve(tril, tf.eye(self.latent_dim))
        white = tf.einsum("kbd,ed->kbe", draws - mean, whitening)
        noise, log_determinant = self.flow.inverse(white)
        log_volume = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(tril)))
        log_prior = log_determinant - log_volume - 0.5 * tf.reduce_sum(tf.square(noise), axis=-1)
        # The normalising constants of the two Gaussians cancel, but for the 1/2 of the entropy.
        log_deviations = tf.reduce_sum(tf.math.log(posterior.stddev()), axis=-1)
        return -log_deviations - 0.5 * self.latent_dim - tf.reduce_mean(log_prior, axis=0)

    def moments(self, posterior) -> dict[str, tf.Tensor]:
        """What `follow` needs of a batch's posterior: means over the batch, hence over replicas.

        Nothing for the fixed prior.
        """
        if self.momentum is None:
            return {}
        means = tf.stop_gradient(posterior.mean())  # [B, D]
        variances = tf.square(tf.stop_gradient(posterior.stddev()))
        centred = means - self.mean
        size = tf.cast(tf.shape(means)[0], tf.float32)
        covariance = tf.matmul(centred, centred, transpose_a=True) / size
        covariance += tf.linalg.diag(tf.reduce_mean(variances, axis=0))
        return {"mean": tf.reduce_mean(means, axis=0), "covariance": covariance}

    def follow(self, moments: dict[str, tf.Tensor]) -> None:
        """Moves the running moments towards those of a batch, unless they are not finite.

        Loss scaling skips a step that overflowed; its moments must not stay.
        """
        if not moments:
            return
        mean, covariance = moments["mean"], moments["covariance"]
        finite = tf.reduce_all(tf.math.is_finite(covariance)) & tf.reduce_all(
            tf.math.is_finite(mean)
        )
        rate = 1.0 - self.momentum
        mean = tf.where(finite, self.mean + rate * (mean - self.mean), self.mean)
        moved = self.covariance + rate * (covariance - self.covariance)
        self.set_moments(mean, tf.where(finite, moved, self.covariance))

    def set_moments(self, mean: tf.Tensor, covariance: tf.Tensor) -> None:
        """Makes a mean `[D]` and a covariance `[D, D]` the prior's own."""
        covariance = tf.cast(covariance, tf.float32)
        self.mean.assign(tf.cast(mean, tf.float32))
        self.covariance.assign(covariance)
        jitter = JITTER * tf.eye(self.latent_dim)
        self.scale_tril.assign(tf.linalg.cholesky(covariance + jitter))

    def call(self, noise: tf.Tensor) -> tf.Tensor:
        return self.sample(noise)

    def get_config(self) -> dict:
        own = {
            "latent_dim": self.latent_dim,
            "scale": self.scale,
            "momentum": self.momentum,
            "couplings": self.couplings,
            "units": self.units,
        }
        return {**super().get_config(), **own}
