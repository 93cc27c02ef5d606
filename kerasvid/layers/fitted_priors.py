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

One Gaussian fills the space between separate clusters of codes, and a flow bridges it. A mixture
leaves it empty where it has a Gaussian for each cluster, flow matching where it learns for long
enough.

All of them work on the principal components of the codes, scaled to unit variance, and turn
standard Gaussian noise into codes by dense layers alone, so that they export like the networks.

For a model with classes a prior is one by class. Principal components are of the codes of all
classes. A Gaussian and the Gaussians of a mixture are of each class, and networks take the one-hot
class beside their input. What pairs noise with codes, in `nearest` and `flow_matching`, pairs codes
of a class with noise of that class: else the noise of a class would not be a Gaussian.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import scipy.optimize
import scipy.special
import tensorflow as tf

from kerasvid.layers.aggregate_prior import CouplingFlow
from kerasvid.naming import KeepsArguments, constructor_arguments, nearest_names

LARGEST = 128  # principal components of a prior
HELD_OUT, FEWEST = 10, 1_000  # one code in so many measures a fit, if there are as many
MEASURED = 1_024  # codes, and as many samples, that measure a fit
BATCH = 256
FITTED_COVARIANCE = 2_048  # codes, evenly spaced, that the principal components are of
SMALLEST = 1e-4  # standard deviation of a component, as a share of the largest
MATCHED, BLOCK = 25, 1_024  # batches between matchings; codes at a time
FREQUENCIES = 4  # of the time of an ODE
NEVER = 40.0  # standard deviations that no Gaussian noise reaches
RATE = 1e-3


class PriorFit(NamedTuple):
    """How a fitted prior's samples lie among codes that it was not fitted to, the held-out ones.

    Both are quotients of mean distances. About 1 is good: samples lie as codes do.

    Args:
        precision_distance: from samples to the nearest fitted code, by that of held-out codes.
            Less than 1: copies of codes; more: samples between or beyond the codes.
        coverage_distance: from held-out codes to the nearest of 1,024 samples, by that to the
            nearest of as many fitted codes. More than 1: some codes have no sample near.
    """

    precision_distance: float
    coverage_distance: float


class Sealable(keras.layers.Layer):
    """A layer that a finished model gets, and that the model's optimizers must not train."""

    def seal(self) -> None:
        """Keeps its weights from a model's optimizers, whatever `trainable` the model gets."""
        self.trainable = False
        self._sealed = True

    @property
    def trainable(self) -> bool:
        """As in Keras; `False` for good once it is sealed."""
        return super().trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value and not getattr(self, "_sealed", False))


class FittedPrior(KeepsArguments, Sealable):
    """A distribution of codes, fitted to samples of them.

    Args:
        size: S, of a code as one vector.
        components: K, principal components of the codes, at most S. The rest of their variance is
            left out.
        categories: number of classes of the codes; 0 for one distribution of all.

    Raises:
        ValueError: `components` is not between 1 and `size`.

    Example:
        >>> prior = make_prior("flow_matching", size=288, components=128)
        >>> prior.fit(codes)  # float [N, 288]
        >>> prior(tf.random.normal([4, prior.noise_size])).shape
        TensorShape([4, 288])
    """

    kind: ClassVar[str]
    further_noise = 0  # beside one entry for each component
    holds_out = True  # some codes, which measure a fit

    def __init__(self, size: int, components: int, *, categories: int = 0, **kwargs):
        super().__init__(autocast=False, **{"dtype": "float32", **kwargs})
        if not 1 <= components <= size:
            raise ValueError(f"components={components} of a prior must be from 1 to {size}.")
        self.size, self.components, self.categories = size, components, categories
        self.mean = self.add_weight((size,), "zeros", name="mean", trainable=False)
        # Rows are orthogonal: the directions times their standard deviations.
        spread = keras.initializers.RandomNormal(stddev=(size * components) ** -0.5)
        self.basis = self.add_weight((components, size), spread, name="basis", trainable=False)
        self.make_networks()
        self.built = True

    @property
    def noise_size(self) -> int:
        """Standard Gaussians that make one code."""
        return self.components + self.further_noise

    def call(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        """Codes from standard Gaussian noise: `[B, noise_size] -> [B, S]` float32.

        Args:
            noise: `[B, noise_size]`.
            category: one-hot classes float32 `[B, categories]`; `None` without classes.
        """
        scaled = self.transform(noise, *([category] if self.categories else []))
        return tf.convert_to_tensor(self.mean) + tf.matmul(scaled, self.basis)

    # === What a kind defines ===

    def make_networks(self) -> None:
        """Makes the kind's own layers and weights."""

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        """Scaled components from noise: `[B, noise_size] -> [B, K]`."""
        return noise

    def given(self, inputs: tf.Tensor, category: tf.Tensor | None) -> tf.Tensor:
        """The input of a network with the one-hot class beside it, if there are classes."""
        return tf.concat([inputs, category], axis=-1) if self.categories else inputs

    def learn(self, draws: "Draws", steps: int) -> None:
        """Learns the scaled components of the codes, in place."""

    # === Fitting ===

    def fit(
        self,
        codes: np.ndarray,
        steps: int = 4_000,
        seed: int = 0,
        draws: int = 1,
        labels: np.ndarray | None = None,
    ) -> PriorFit | None:
        """Fits the prior to codes.

        Args:
            codes: `[N, S]`.
            steps: updates of a network, with batches of 256.
            seed: of the batches and the noise.
            draws: how many codes in succession are of one video.
            labels: classes, int `[N]`, where there are some. Codes of an unknown class, -1, are
                left out.

        Returns:
            How well it fits the codes of one video in ten, which are held out; `None` for a
            Gaussian, and for fewer than 1,000 codes, which are all fitted.

        Raises:
            ValueError: there are no codes of this size, they are not finite, or a class has less
                than two.
        """
        codes = np.asarray(codes, np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.size or not len(codes):
            raise ValueError(f"Codes of shape {codes.shape} must be [N, {self.size}], N 1 or more.")
        if not np.isfinite(codes).all():
            raise ValueError("The codes are not finite. Train the model again, with a lower rate.")
        if self.categories:
            labels = np.full(len(codes), -1) if labels is None else np.asarray(labels)
            known = (labels >= 0) & (labels < self.categories)
            codes, labels = codes[known], labels[known]
        else:
            labels = np.zeros(len(codes), int)
        held_out = np.arange(len(codes)) // draws % HELD_OUT == HELD_OUT - 1
        if len(codes) < FEWEST or not self.holds_out:
            held_out[:] = False
        check_classes(labels[~held_out], self.categories)
        self.set_components(codes[~held_out])

        def drawn(rows: np.ndarray, seed: int) -> Draws:
            return Draws(self.scaled(codes[rows]), seed, labels[rows], self.categories)

        fitted = drawn(~held_out, seed)
        self.learn(fitted, steps)
        return self.measured(fitted, drawn(held_out, seed + 1)) if held_out.any() else None

    def set_components(self, codes: np.ndarray) -> None:
        """Makes the mean and the principal components of codes `[N, S]` the prior's own."""
        rows = np.linspace(0, len(codes) - 1, min(len(codes), FITTED_COVARIANCE)).astype(int)
        centred = codes[rows].astype(np.float64)
        mean = centred.mean(axis=0)
        centred -= mean
        freedom = max(len(centred) - 1, 1)
        if len(centred) < self.size:  # the smaller Gram matrix gives them, and quicker
            vectors = np.linalg.eigh(centred @ centred.T)[1]  # ascending
            largest = vectors[:, ::-1][:, : self.components].T @ centred / freedom**0.5
        else:
            values, vectors = np.linalg.eigh(centred.T @ centred / freedom)
            roots = np.sqrt(np.maximum(values[::-1][: self.components], 0.0))
            largest = roots[:, None] * vectors[:, ::-1][:, : self.components].T  # [K, S]
        basis = np.zeros(self.basis.shape)
        basis[: len(largest)] = largest
        self.mean.assign(mean)
        self.basis.assign(basis)

    def scaled(self, codes: np.ndarray) -> np.ndarray:
        """Codes `[N, S]` on the scaled components: float32 `[N, K]`."""
        basis = self.basis.numpy().astype(np.float64)
        lengths = np.linalg.norm(basis, axis=1)
        # A component without variance has noise of no effect.
        empty = lengths < SMALLEST * lengths.max(initial=SMALLEST)
        towards = np.where(empty[:, None], 0.0, basis / np.where(empty, 1.0, lengths**2)[:, None])
        return ((codes - self.mean.numpy()) @ towards.T).astype(np.float32)

    def measured(self, fitted: "Draws", held_out: "Draws") -> PriorFit:
        """The fit by codes of both kinds."""
        noise = fitted.normal(MEASURED, self.noise_size)
        given = [fitted.category(fitted.choose(MEASURED))] if self.categories else []
        samples = tf.function(self.transform)(tf.constant(noise), *given).numpy()
        known, unknown = fitted.rows(len(fitted)), held_out.rows(min(MEASURED, len(held_out)))
        samples, known, unknown = (each @ self.basis for each in (samples, known, unknown))
        some = known[:MEASURED]
        precision = mean_distance(samples, known) / (mean_distance(unknown, known) or math.nan)
        coverage = mean_distance(unknown, samples) / (mean_distance(unknown, some) or math.nan)
        return PriorFit(precision, coverage)


class Draws:
    """Batches of codes and of noise, of a seed.

    Args:
        codes: `[N, K]`.
        seed: of the draws.
        labels: their classes, int `[N]`; all 0 where `None`.
        categories: number of the classes, or 0.
    """

    def __init__(
        self, codes: np.ndarray, seed: int, labels: np.ndarray | None = None, categories: int = 0
    ):
        self.codes, self._random = codes, np.random.default_rng(seed % 2**63)
        self.labels = np.zeros(len(codes), int) if labels is None else labels
        self.categories = categories

    def __len__(self) -> int:
        return len(self.codes)

    def choose(self, count: int) -> np.ndarray:
        """Random rows, none twice where there are as many: int `[count]`."""
        return self._random.choice(len(self), count, replace=count > len(self))

    def rows(self, count: int) -> np.ndarray:
        """Codes of random rows, as `choose`: float32 `[count, K]`."""
        return self.codes[self.choose(count)]

    def category(self, rows: np.ndarray) -> np.ndarray:
        """The one-hot classes of some rows, float32 `[N, categories]`."""
        return np.float32(self.labels[rows][:, None] == np.arange(self.categories))

    def of_class(self, label: int) -> np.ndarray:
        """All codes of a class, `[N, K]`."""
        return self.codes[self.labels == label]

    def normal(self, *shape: int) -> np.ndarray:
        """Standard Gaussian noise, float32."""
        return self._random.standard_normal(shape, np.float32)

    def integers(self, count: int, end: int) -> np.ndarray:
        """Random integers from 0 to `end - 1`, int64 `[count]`."""
        return self._random.integers(end, size=count)

    def uniform(self, count: int) -> np.ndarray:
        """Numbers in [0, 1), float32 `[count]`."""
        return self._random.random(count, np.float32)


@keras.saving.register_keras_serializable(package="kerasvid")
class GaussianPrior(FittedPrior):
    """mean + L e: a Gaussian with the mean and the covariance of the codes, or of each class.

    An unknown class counts as class 0.
    """

    kind = "gaussian"
    holds_out = False  # it is fitted again at every sample of a training

    def make_networks(self) -> None:
        if self.categories:
            count, size = self.categories, self.components
            fixed: dict[str, Any] = {"initializer": "zeros", "trainable": False}
            self.class_means = self.add_weight((count, size), name="class_means", **fixed)
            self.class_roots = self.add_weight((count, size, size), name="class_roots", **fixed)

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        if category is None:
            return noise
        label = tf.argmax(category, axis=-1)
        root = tf.gather(tf.convert_to_tensor(self.class_roots), label)  # [B, K, K]
        offset = tf.matmul(root, noise[:, :, None])[:, :, 0]
        return tf.gather(tf.convert_to_tensor(self.class_means), label) + offset

    def learn(self, draws: "Draws", steps: int) -> None:
        if not self.categories:
            return
        found = [draws.of_class(label) for label in range(self.categories)]
        self.class_means.assign([codes.mean(axis=0) for codes in found])
        self.class_roots.assign([covariance_root(codes) for codes in found])


@keras.saving.register_keras_serializable(package="kerasvid")
class MixturePrior(FittedPrior):
    """A mixture of Gaussians with full covariances, fitted by expectation maximisation.

    Args:
        size, components: of `FittedPrior`.
        clusters: Gaussians at most; fewer codes than `2 K` for each leave out clusters. Classes
            share them: each has an equal part, one at least. An unknown class counts as class 0.
    """

    kind = "mixture"
    further_noise = 1  # chooses the Gaussian

    def __init__(self, size: int, components: int, clusters: int = 64, **kwargs):
        check_counts(clusters=clusters)
        self.clusters = clusters
        super().__init__(size, components, **kwargs)

    def make_networks(self) -> None:
        def add(name, shape, initializer="zeros"):
            return self.add_weight(shape, initializer, name=name, trainable=False)

        size, classes = self.components, max(self.categories, 1)
        self.own_clusters = max(1, self.clusters // classes)  # of a class
        count = self.own_clusters * classes  # those of a class in succession
        # Noise between two of them chooses a Gaussian: no error function in the graph.
        self.thresholds = add("thresholds", (count,), keras.initializers.Constant(NEVER))
        self.centres = add("centres", (count, size))

        def identities(shape, dtype=None):
            return tf.eye(size, batch_shape=[count], dtype=dtype)

        self.scale_trils = add("scale_trils", (count, size, size), identities)

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        thresholds = tf.convert_to_tensor(self.thresholds)
        if category is not None:
            label = tf.argmax(category, axis=-1, output_type=tf.int32)
            thresholds = tf.reshape(thresholds, [self.categories, self.own_clusters])
            thresholds = tf.gather(thresholds, label)  # [B, M]
        above = noise[:, self.components :] > thresholds  # [B, M]
        cluster = tf.reduce_sum(tf.cast(above, tf.int32), axis=1)
        if category is not None:
            cluster += self.own_clusters * label
        tril = tf.gather(tf.convert_to_tensor(self.scale_trils), cluster)  # [B, K, K]
        offset = tf.matmul(tril, noise[:, : self.components, None])[:, :, 0]
        return tf.gather(tf.convert_to_tensor(self.centres), cluster) + offset

    def learn(self, draws: Draws, steps: int) -> None:
        mixture = gaussian_mixture()
        if len(draws) < 2:  # scikit-learn needs two
            size = self.components
            return self.set_gaussians(np.ones(1), np.zeros([1, size]), np.zeros([1, size, size]))
        order = draws.choose(len(draws))
        for label in range(max(self.categories, 1)):
            codes = draws.codes[order[draws.labels[order] == label]]
            count = max(1, min(self.own_clusters, len(codes) // (2 * self.components)))
            found = mixture(count, reg_covar=1e-4, random_state=0, max_iter=200).fit(codes)
            trils = np.linalg.cholesky(found.covariances_)
            self.set_gaussians(found.weights_, found.means_, trils, label)

    def set_gaussians(
        self, shares: np.ndarray, centres: np.ndarray, trils: np.ndarray, label: int = 0
    ) -> None:
        """Makes some Gaussians those of a class: shares `[M]`, `[M, K]` and `[M, K, K]`."""
        none, first = self.own_clusters - len(shares), self.own_clusters * label
        thresholds = np.minimum(scipy.special.ndtri(np.cumsum(shares)[:-1]), NEVER)
        for weight, own in (
            (self.thresholds, np.pad(thresholds, (0, none + 1), constant_values=NEVER)),
            (self.centres, np.pad(centres, ((0, none), (0, 0)))),
            (self.scale_trils, np.pad(trils, ((0, none), (0, 0), (0, 0)))),
        ):
            values = weight.numpy()
            values[first : first + self.own_clusters] = own
            weight.assign(values)


@keras.saving.register_keras_serializable(package="kerasvid")
class FlowPrior(FittedPrior):
    """A `CouplingFlow` of the components, trained by maximum likelihood.

    Args:
        size, components: of `FittedPrior`.
        couplings, units: of the flow.
    """

    kind = "flow"

    def __init__(self, size: int, components: int, couplings: int = 8, units: int = 256, **kwargs):
        check_counts(couplings=couplings, units=units)
        self.couplings, self.units = couplings, units
        super().__init__(size, components, **kwargs)

    def make_networks(self) -> None:
        # A flow has an even size: an odd number of components gets one of noise.
        self.further_noise = self.components % 2
        self.flow = CouplingFlow(
            self.noise_size, self.couplings, self.units, seed=0, condition_dim=self.categories
        )

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        return self.flow.forward(noise, category)[:, : self.components]

    def learn(self, draws: Draws, steps: int) -> None:
        def loss(codes, category):
            noise, log_determinant = self.flow.inverse(codes, category)
            log_density = log_determinant - 0.5 * tf.reduce_sum(tf.square(noise), axis=-1)
            return -tf.reduce_mean(log_density)

        def batch(_):
            rows = draws.choose(BATCH)
            beside = draws.normal(BATCH, self.further_noise)
            return np.concatenate([draws.codes[rows], beside], axis=1), draws.category(rows)

        descend(self.flow.trainable_variables, loss, batch, steps)


@keras.saving.register_keras_serializable(package="kerasvid")
class NearestPrior(FittedPrior):
    """A network from noise to codes: every code draws its nearest sample towards itself.

    Implicit maximum likelihood: of a pool of samples T(e), the nearest of each code x is trained by

        min_T sum_x |T(e_x) - x|^2,  e_x = argmin_e |T(e) - x|^2

    so that no code is left out, and nothing lies between codes but what the network's smoothness
    needs.

    Args:
        size, components: of `FittedPrior`.
        noise_dim: of the noise that the network takes, at most `components`.
        units, depth: width and number of hidden layers.
    """

    kind = "nearest"

    def __init__(
        self,
        size: int,
        components: int,
        noise_dim: int = 32,
        units: int = 256,
        depth: int = 3,
        **kwargs,
    ):
        check_counts(noise_dim=noise_dim, units=units, depth=depth)
        self.noise_dim, self.units, self.depth = noise_dim, units, depth
        super().__init__(size, components, **kwargs)

    def make_networks(self) -> None:
        dims = [min(self.noise_dim, self.components), *[self.units] * self.depth]
        dims[0] += self.categories
        self.hidden = [_dense(self.units, size, n) for n, size in enumerate(dims[:-1])]
        self.head = _dense(self.components, dims[-1], self.depth)

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        x = self.given(noise[:, : min(self.noise_dim, self.components)], category)
        for layer in self.hidden:
            x = tf.nn.leaky_relu(layer(x))
        return self.head(x)

    def learn(self, draws: Draws, steps: int) -> None:
        transform = tf.function(self.transform)
        pairs: dict[str, np.ndarray] = {}

        def loss(noise, codes, category):
            return tf.reduce_mean(tf.square(self.transform(noise, category) - codes))

        def batch(step):
            if step % MATCHED == 0:  # each code with the nearest of as many new samples
                rows = draws.choose(min(MATCHED * BATCH, len(draws)))
                codes, category = draws.codes[rows], draws.category(rows)
                noise = draws.normal(len(codes), self.noise_size)
                samples = transform(tf.constant(noise), tf.constant(category)).numpy()
                nearest = by_class(draws.labels[rows], nearest_rows, codes, samples)
                pairs.update(noise=noise[nearest], codes=codes, category=category)
            rows = draws.integers(BATCH, len(pairs["codes"]))
            return tuple(pairs[name][rows] for name in ("noise", "codes", "category"))

        descend(self.trainable_variables, loss, batch, steps)


@keras.saving.register_keras_serializable(package="kerasvid")
class FlowMatchingPrior(FittedPrior):
    """The end of an ODE dx/dt = v(x, t) that starts from noise at t = 0, in a few fixed steps.

    v learns the straight paths between noise e and codes x:

        min_v E |v((1 - t) e + t x, t) - (x - e)|^2

    Args:
        size, components: of `FittedPrior`.
        units, depth: width and number of residual blocks of v.
        ode_steps: of the midpoint method; v is evaluated twice in each.
    """

    kind = "flow_matching"

    def __init__(
        self,
        size: int,
        components: int,
        units: int = 256,
        depth: int = 3,
        ode_steps: int = 8,
        **kwargs,
    ):
        check_counts(units=units, depth=depth, ode_steps=ode_steps)
        self.units, self.depth, self.ode_steps = units, depth, ode_steps
        super().__init__(size, components, **kwargs)

    def make_networks(self) -> None:
        times, units = 1 + 2 * FREQUENCIES, self.units
        self.entrance = _dense(units, self.components + times + self.categories, 0)
        self.inner = [_dense(units, units + times, 1 + 2 * n) for n in range(self.depth)]
        self.outer = [_dense(units, units, 2 + 2 * n) for n in range(self.depth)]
        self.head = _dense(self.components, units, None)

    def velocity(
        self, x: tf.Tensor, time: tf.Tensor, category: tf.Tensor | None = None
    ) -> tf.Tensor:
        """v(x, t): `[B, K]`, `[B, 1] -> [B, K]`."""
        angles = math.pi * time * [[2.0**n for n in range(FREQUENCIES)]]
        times = tf.concat([time, tf.sin(angles), tf.cos(angles)], axis=-1)
        hidden = self.entrance(self.given(tf.concat([x, times], axis=-1), category))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            block = inner(tf.concat([tf.nn.silu(hidden), times], axis=-1))
            hidden += outer(tf.nn.silu(block))
        return self.head(tf.nn.silu(hidden))

    def transform(self, noise: tf.Tensor, category: tf.Tensor | None = None) -> tf.Tensor:
        x, step = noise, 1.0 / self.ode_steps
        given = [category] if self.categories else []
        zeros = tf.zeros_like(x[:, :1])
        for number in range(self.ode_steps):
            start = zeros + number * step
            middle = x + 0.5 * step * self.velocity(x, start, *given)
            x += step * self.velocity(middle, start + 0.5 * step, *given)
        return x

    def learn(self, draws: Draws, steps: int) -> None:
        def loss(noise, codes, time, category):
            moved = (1.0 - time) * noise + time * codes
            found = self.velocity(moved, time, category)
            return tf.reduce_mean(tf.square(found - (codes - noise)))

        def batch(_):
            rows, noise = draws.choose(BATCH), draws.normal(BATCH, self.components)
            # The pairs with the shortest paths: these cross less, so that few steps suffice.
            order = by_class(draws.labels[rows], shortest_pairs, noise, draws.codes[rows])
            codes, category = draws.codes[rows][order], draws.category(rows)
            return noise, codes, draws.uniform(BATCH)[:, None], category

        descend(self.trainable_variables, loss, batch, steps)


PRIORS: dict[str, type[FittedPrior]] = {
    cls.kind: cls
    for cls in (GaussianPrior, MixturePrior, FlowPrior, NearestPrior, FlowMatchingPrior)
}


def make_prior(kind: str, size: int, components: int, **arguments: Any) -> FittedPrior:
    """A prior of a kind, not fitted yet.

    Args:
        kind: a key of `PRIORS`.
        size, components: of `FittedPrior`.
        **arguments: of the kind.

    Raises:
        ValueError: the kind or an argument is unknown, or a number is out of its range.
    """
    if kind not in PRIORS:
        raise ValueError(f"prior={kind!r}: {nearest_names(str(kind), PRIORS)}.")
    known = constructor_arguments(PRIORS[kind])
    for name in arguments:
        if name not in known and name != "name":
            raise ValueError(f"A {kind} prior has no {name!r}: {nearest_names(name, known)}.")
    return PRIORS[kind](size, components, **arguments)


def check_counts(**counts: int) -> None:
    """Raises ValueError for an argument of a kind that is no whole number from 1."""
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r} of a prior must be a whole number from 1.")


def check_classes(labels: np.ndarray, categories: int) -> None:
    """Raises ValueError where a class has less than two codes."""
    for label in range(categories):
        if (count := int((labels == label).sum())) < 2:
            raise ValueError(
                f"{count} codes of class {label}: a prior by class needs two or more of each. Give "
                "labelled videos of every class."
            )


def covariance_root(codes: np.ndarray) -> np.ndarray:
    """R with R R^T the covariance of codes `[N, K]`, which may be singular: `[K, K]`."""
    covariance = np.cov(codes.astype(np.float64).T).reshape(2 * codes.shape[1:])
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def by_class(labels: np.ndarray, match: Callable, first: np.ndarray, second: np.ndarray):
    """For each row of `first` one of `second`, as `match` finds it within a class: int `[N]`."""
    found = np.empty(len(labels), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found[rows] = rows[match(first[rows], second[rows])]
    return found


def shortest_pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The row of `second` for each of `first`, so that all pairs together are shortest."""
    return scipy.optimize.linear_sum_assignment(squared_distances(first, second))[1]


def gaussian_mixture() -> Callable:
    """The class of scikit-learn; a RuntimeError where it is not installed."""
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise RuntimeError(
            "prior='mixture' needs scikit-learn. Install it with pip install 'kerasvid[mixture]', "
            "or use another prior."
        ) from error
    return GaussianMixture


def mean_distance(rows: np.ndarray, pool: np.ndarray) -> float:
    """The mean distance of rows `[N, K]` from their nearest row of a pool `[M, K]`."""
    nearest = pool[nearest_rows(rows, pool)]
    return float(np.linalg.norm(rows - nearest, axis=1).mean())


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|x - y|^2 of all rows of `[N, K]` and `[M, K]`: `[N, M]`."""
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)
    return squares - 2.0 * first @ second.T


def nearest_rows(rows: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """The number of the nearest row of the pool `[M, K]` for each of `[N, K]`: int `[N]`."""
    blocks = range(0, len(rows), BLOCK)
    return np.concatenate(
        [squared_distances(rows[n : n + BLOCK], pool).argmin(axis=1) for n in blocks]
    )


def descend(variables: list, loss: Callable, batch: Callable, steps: int) -> None:
    """Minimises `loss(*batch(step))` by so many steps of Adam with a cosine decay."""
    if not steps:
        return
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps, alpha=0.01)
    optimizer = keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=10.0)
    optimizer.build(variables)

    @tf.function
    def update(*values):
        with tf.GradientTape() as tape:
            value = loss(*values)
        optimizer.apply(tape.gradient(value, variables), variables)

    for step in range(steps):
        update(*map(tf.constant, batch(step)))


def _dense(units: int, inputs: int, seed: int | None) -> keras.layers.Dense:
    """A float32 layer with initial weights of a seed, or zeros where `None`."""
    kernel: Any = "zeros" if seed is None else keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(units, kernel_initializer=kernel, dtype="float32")
    layer.build([None, inputs])
    return layer
