"""The prior of a vector that is drawn once a video: an invertible image of N(0, I)."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasvid import distributions
from kerasvid.naming import KeepsArguments

JITTER = 1e-5  # added to the covariance's diagonal
FIXED_DRAWS = 16  # that estimate the divergence where no draw is given
FIXED = {"dtype": "float32", "trainable": False, "autocast": False}  # weights for no optimizer


@keras.saving.register_keras_serializable(package="kerasvid")
class AggregatePrior(KeepsArguments, keras.layers.Layer):
    """A prior `mean + L f(e)`, `e ~ N(0, I)`, that follows the aggregate posterior.

    By default it is the fixed N(0, scale^2 I), of which samples fall where the decoder was not
    trained. With a `momentum`, the mean and the covariance `L L^T` are running moments of the
    posterior over the data,

        mean = E[m(x)],  L L^T = Cov[m(x)] + E[diag(s(x)^2)],

    which of all Gaussians minimise the mean KL(q(.|x) || p). With `couplings`, f is a
    `CouplingFlow` trained with the bound, which can leave out what lies between the modes of the
    data.

    With `categories` K, it is a prior by class y, with a learned mean M_y for each:

        M_y + mean + L f(e; y)

    M is trained with the bound, and the running moments are those of what M leaves, m(x) - M_y(x).
    Layers of the flow take the one-hot class as a further input. An unknown class is all zeros: it
    has no shift.

    Args:
        latent_dim: D.
        scale: standard deviation of the fixed prior, and of the other before its first update.
        momentum: of the running moments, in (0, 1), or `None`.
        couplings: of the flow; 0 for none, f(e) = e.
        units: hidden width of a coupling.
        categories: K, the number of classes; 0 for one prior of all.

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
        categories: int = 0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if scale <= 0:
            raise ValueError(f"scale={scale} of a prior must be positive.")
        if momentum is not None and not 0 < momentum < 1:
            raise ValueError(f"momentum={momentum} of a prior must be between 0 and 1, or None.")
        self.latent_dim, self.scale, self.momentum = latent_dim, scale, momentum
        self.couplings, self.units, self.categories = couplings, units, categories
        self.flow = None
        if couplings:
            self.flow = CouplingFlow(latent_dim, couplings, units, condition_dim=categories)
        add_moments(self, latent_dim, scale**2)
        # L is kept, so that generation needs no decomposition in its graph.
        shape, identity = (latent_dim, latent_dim), keras.initializers.Identity(scale)
        self.scale_tril = self.add_weight(shape, identity, name="scale_tril", **FIXED)
        if categories:
            learned = {"dtype": "float32", "autocast": False, "name": "class_means"}
            self.class_means = self.add_weight((categories, latent_dim), "zeros", **learned)
        self.built = True

    def sample(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        """`mean + L f(e)` of standard Gaussian noise: `[B, D] -> [B, D]`.

        Args:
            noise: `[B, D]`.
            category: one-hot classes `[B, K]`, zeros where unknown; `None` without classes.
        """
        shaped = noise if self.flow is None else self.flow.forward(noise, category)
        mean = tf.convert_to_tensor(self.mean)
        drawn = mean + tf.matmul(shaped, tf.convert_to_tensor(self.scale_tril), transpose_b=True)
        return drawn + self.shift(category)

    def shift(self, category: tf.Tensor | None) -> tf.Tensor | float:
        """M_y of one-hot classes `[B, K]`, 0 where unknown: `[B, D]`; 0 without classes."""
        if not self.categories:
            return 0.0
        return tf.matmul(category, tf.convert_to_tensor(self.class_means))

    def _shifted(self, posterior, category: tf.Tensor | None):
        """A posterior about its M_y."""
        if not self.categories:
            return posterior
        return distributions.shifted(posterior, -self.shift(category))

    def divergence(
        self, posterior, draw: tf.Tensor | None = None, category: tf.Tensor | None = None
    ) -> tf.Tensor:
        """KL(posterior || prior) in nats.

        Analytic without a flow. With one, `draw` estimates the cross-entropy without bias.

        Args:
            posterior: diagonal Gaussians with batch shape `[B]`.
            draw: `[B, D]`, a sample of each; where `None`, a few fixed ones are taken.
            category: as in `sample`.

        Returns:
            `[B]` float32; an estimate may be negative.
        """
        tril = tf.convert_to_tensor(self.scale_tril)
        mean = tf.convert_to_tensor(self.mean)
        posterior = self._shifted(posterior, category)
        if self.flow is None:
            return distributions.kl_to_gaussian(posterior, mean, tril)
        if draw is None:
            shape = [FIXED_DRAWS, self.latent_dim]
            noise = tf.random.stateless_normal(shape, [0, 0])[:, None]  # [K, 1, D]
            draws = posterior.mean() + posterior.stddev() * noise  # [K, B, D]
        else:
            draws = (draw - self.shift(category))[None]  # [1, B, D]
        whitening = tf.linalg.triangular_solve(tril, tf.eye(self.latent_dim))
        white = tf.einsum("kbd,ed->kbe", draws - mean, whitening)
        if category is not None:
            shape = tf.stack([tf.shape(white)[0], *tf.unstack(tf.shape(category))])
            category = tf.broadcast_to(category, shape)  # [K, B, categories]
        noise, log_determinant = self.flow.inverse(white, category)
        log_volume = tf.reduce_sum(tf.math.log(tf.linalg.diag_part(tril)))
        log_prior = log_determinant - log_volume - 0.5 * tf.reduce_sum(tf.square(noise), axis=-1)
        # The normalising constants of the two Gaussians cancel, but for the 1/2 of the entropy.
        log_stds = tf.reduce_sum(tf.math.log(posterior.stddev()), axis=-1)
        return -log_stds - 0.5 * self.latent_dim - tf.reduce_mean(log_prior, axis=0)

    def moments(self, posterior, category: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Moments of a batch's posterior for `update_moments`; none for the fixed prior."""
        if self.momentum is None or not self.trainable:
            return {}
        posterior = self._shifted(posterior, category)
        means = tf.stop_gradient(posterior.mean())  # [B, D]
        variances = tf.square(tf.stop_gradient(posterior.stddev()))
        moments = batch_moments(self, means)
        moments["covariance"] += tf.linalg.diag(tf.reduce_mean(variances, axis=0))
        return moments

    def update_moments(self, moments: Mapping[str, tf.Tensor]) -> None:
        """Moves the running moments towards those of a batch, if there are any and finite."""
        if moments:
            self.set_moments(*moved_moments(self, moments))

    def set_moments(self, mean: tf.Tensor, covariance: tf.Tensor) -> None:
        """Makes a mean `[D]` and a covariance `[D, D]` the prior's own."""
        covariance = tf.cast(covariance, tf.float32)
        self.mean.assign(tf.cast(mean, tf.float32))
        self.covariance.assign(covariance)
        jitter = JITTER * tf.eye(self.latent_dim)
        self.scale_tril.assign(tf.linalg.cholesky(covariance + jitter))

    call = sample


def add_moments(layer: keras.layers.Layer, size: int, variance: float = 1.0) -> None:
    """Gives a layer the weights `mean` `[size]`, 0, and `covariance`, the variance times I."""
    layer.mean = layer.add_weight((size,), "zeros", name="mean", **FIXED)
    identity = keras.initializers.Identity(variance)
    layer.covariance = layer.add_weight((size, size), identity, name="covariance", **FIXED)


def batch_moments(layer: keras.layers.Layer, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    """The mean of `[B, D]`, and their covariance about the layer's running mean."""
    centred, size = rows - layer.mean, tf.cast(tf.shape(rows)[0], tf.float32)
    covariance = tf.matmul(centred, centred, transpose_a=True) / size
    return {"mean": tf.reduce_mean(rows, axis=0), "covariance": covariance}


def moved_moments(layer: keras.layers.Layer, moments: Mapping) -> list[tf.Tensor]:
    """The running `mean` and `covariance` of a layer, moved towards those of a batch if finite.

    Loss scaling skips a step that overflowed; its moments must not stay.
    """
    finite = [tf.reduce_all(tf.math.is_finite(moments[name])) for name in ("mean", "covariance")]
    moved = []
    for running, name in ((layer.mean, "mean"), (layer.covariance, "covariance")):
        towards = running + (1.0 - layer.momentum) * (moments[name] - running)
        moved.append(tf.where(finite[0] & finite[1], towards, running))
    return moved


@keras.saving.register_keras_serializable(package="kerasvid")
class CouplingFlow(KeepsArguments, keras.layers.Layer):
    """A chain of affine couplings, each after a fixed shuffle of the axes: a learned density.

    Dinh, Sohl-Dickstein, Bengio: "Density estimation using Real NVP", ICLR 2017. A coupling scales
    and shifts one half of the axes by functions of the other half: both directions cost one pass
    through small dense layers. Untrained, the map is a shuffle of axes.

    Args:
        size: D, even.
        couplings: how many; each changes half of the axes.
        units: width of the two hidden layers of a coupling.
        seed: of the initial weights; `None` for Keras's own.
        condition_dim: E, of a condition that the scales and shifts depend on; 0 for none.

    Raises:
        ValueError: `size` is odd.

    Example:
        >>> flow = CouplingFlow(size=4, couplings=2, units=8)
        >>> noise, log_determinant = flow.inverse(flow.forward(noise))
    """

    def __init__(
        self,
        size: int,
        couplings: int = 8,
        units: int = 128,
        seed: int | None = None,
        condition_dim: int = 0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if size % 2:
            raise ValueError(
                f"The flow splits a vector of size {size} into two halves. Use an even size."
            )
        self.size, self.couplings, self.units, self.seed = size, couplings, units, seed
        self.condition_dim = condition_dim

        def dense(number: int) -> keras.layers.Dense:
            own = None if seed is None else seed + number
            kernel = keras.initializers.GlorotUniform(own)
            return keras.layers.Dense(units, kernel_initializer=kernel, dtype="float32")

        self.hidden_1 = [dense(2 * index) for index in range(couplings)]
        self.hidden_2 = [dense(2 * index + 1) for index in range(couplings)]
        self.heads = [
            keras.layers.Dense(size, kernel_initializer="zeros", dtype="float32")
            for _ in range(couplings)
        ]
        for hidden_1, hidden_2, head in zip(self.hidden_1, self.hidden_2, self.heads, strict=True):
            hidden_1.build([None, size // 2 + condition_dim])
            hidden_2.build([None, units])
            head.build([None, units])
        self.built = True
        orders = [np.random.RandomState(index).permutation(size) for index in range(couplings)]
        self._orders, self._restored = orders, [np.argsort(order) for order in orders]

    def _coupling(
        self, index: int, fixed: tf.Tensor, condition: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Log scale, within (-2, 2), and shift of one half, from the other and the condition."""
        given = tf.concat([fixed, condition], axis=-1) if self.condition_dim else fixed
        x = tf.nn.leaky_relu(self.hidden_1[index](given))
        x = tf.nn.leaky_relu(self.hidden_2[index](x))
        log_scale, shift = tf.split(self.heads[index](x), 2, axis=-1)
        return 2.0 * tf.tanh(0.5 * log_scale), shift

    def forward(self, noise: tf.Tensor, condition: tf.Tensor | None = None) -> tf.Tensor:
        """Noise to samples: `[B, D] -> [B, D]`, with the condition `[B, E]` if there is one."""
        x = noise
        for index in reversed(range(self.couplings)):
            fixed, moved = tf.split(x, 2, axis=-1)
            log_scale, shift = self._coupling(index, fixed, condition)
            joined = tf.concat([fixed, moved * tf.exp(log_scale) + shift], axis=-1)
            x = tf.gather(joined, self._restored[index], axis=-1)
        return x

    def inverse(
        self, samples: tf.Tensor, condition: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Samples to noise, and log |det d noise / d samples|: `[B, D] -> [B, D], [B]`."""
        x, log_determinant = samples, tf.zeros(tf.shape(samples)[:-1])
        for index in range(self.couplings):
            fixed, moved = tf.split(tf.gather(x, self._orders[index], axis=-1), 2, axis=-1)
            log_scale, shift = self._coupling(index, fixed, condition)
            x = tf.concat([fixed, (moved - shift) * tf.exp(-log_scale)], axis=-1)
            log_determinant -= tf.reduce_sum(log_scale, axis=-1)
        return x, log_determinant

    call = forward
