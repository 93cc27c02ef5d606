"""Training of latent-variable models by the evidence lower bound.

Each model's `compute_losses` states its bound, in nats: a reconstruction loss plus weighted KL
terms. The minimised and reported `"loss"` is scale^2 times the bound, with the standard deviation
`scale` of an observed pixel: so Adam's running averages do not see the schedule of the scale.

Once the networks have learned, priors are fitted to the posteriors of the training videos: the
second stage of Dai, Wipf: "Diagnosing and Enhancing VAE Models", ICLR 2019. Draws of the prior then
fall where the decoder was trained. `fit_aggregate_priors` goes on with the priors of the bound;
`fit_prior` replaces them all.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kerasvid import distributions, losses
from kerasvid.layers.aggregate_prior import AggregatePrior
from kerasvid.layers.fitted_priors import LARGEST, PriorFit
from kerasvid.models.base.categories import (
    CATEGORY,
    UNKNOWN,
    category_code,
    checked_categories,
    label_code,
)
from kerasvid.models.base.code_priors import FURTHER, CodePriors
from kerasvid.models.base.protocols import Conditional
from kerasvid.models.base.train_config import Ramp, WarmupCosine, is_pair
from kerasvid.models.base.trainer import (
    EVALUATION_SEED,
    Trainer,
    checked_count,
    choice_shapes,
    draw_noise,
    replica_key,
)
from kerasvid.naming import nearest_names

BATCH = 512  # draws a step
HELD_OUT = 10  # one posterior in so many is held out, and so many are needed for a fit
CHECKS = 10  # comparisons on the held-out posteriors in the course of a fit
FITTED_VIDEOS = 20_000
DRAWS = 4  # of the posterior of each video, that a prior is fitted to


class VariationalModel(CodePriors, Trainer, Conditional):
    """A model trained by the evidence lower bound.

    With `categories` the priors of the codes depend on the class of a video. Posteriors and the
    decoder do not: the class reaches the frames through the codes alone, so that a video of an
    unknown class is encoded and reconstructed like any other. A video of an unknown class trains
    the priors with a class of all zeros.

    A subclass lists `kl_terms` and defines `posterior_noise_shapes`, `infer`, `compute_losses` and
    `code_draws`. Its constructor makes the networks and ends with `build_networks`.

    Args:
        image_shape: `(H, W, C)`.
        frames: T of new videos by default; training may use any other.
        schedule: `observation_scale` and weights of terms, each a pair (start, end), and `steps`
            from start to end: geometric, but linear where a weight starts or ends at 0. Defaults:
            (1, 1) for the scale and `kl_terms`, (0, 0) for `further_terms`, 0 steps.
        decoded_frames: frames of a clip that a training step decodes, chosen at random; `None` for
            all. Fewer make a step cheaper, and the loss keeps its expectation.
        categories: K, the number of classes of the videos; 0 for one prior of all. A run sets it
            with `conditional=true`.

    Attributes:
        kl_terms: the KL terms of the bound.
        further_terms: terms with a weight in the schedule that are no part of the bound.
        code_groups: by name, the codes that a fitted prior draws together, as the noise names them.

    Raises:
        ValueError: `schedule` has an unknown name, no pair, or a value out of range;
            `decoded_frames` is less than 1, or `categories` less than 0.
    """

    kl_terms: tuple[str, ...] = ()
    further_terms: tuple[str, ...] = ()
    code_groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self,
        image_shape: Sequence[int],
        frames: int,
        schedule: Mapping[str, Any] | None,
        decoded_frames: int | None,
        categories: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.frames = tuple(image_shape), frames
        self.categories = checked_categories(categories)
        self.decoded_frames = checked_count(decoded_frames)
        self.schedule = resolve_schedule(schedule, self.kl_terms, self.further_terms)
        self.priors = {}
        steps = self.schedule["steps"]
        self._ramps = {
            name: Ramp(pair[0], pair[1], steps, name == "observation_scale" or min(pair) > 0)
            for name, pair in self.schedule.items()
            if name != "steps"
        }

    def scheduled(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """The `observation_scale` and the weight of each term at a step, a float32 scalar."""
        return {name: ramp(step) for name, ramp in self._ramps.items()}

    def build_networks(self) -> None:
        """Makes the variables of every layer, by one symbolic pass over a video."""
        self(keras.KerasTensor([1, self.frames, *self.image_shape]))

    def infer(self, video: tf.Tensor, noise: Mapping | None, training: bool = False) -> tf.Tensor:
        """Encodes and decodes: the reconstruction `[B, T, H, W, C]`, unclipped.

        Args:
            video: `[B, T, H, W, C]` float32 in [-1, 1].
            noise: of the posteriors, as `posterior_noise_shapes` names it; `None` for their means.
            training: as in Keras.
        """
        raise NotImplementedError

    def posterior_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the named codes of one video, and of the noise of their posteriors."""
        raise NotImplementedError

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """As `posterior_noise_shapes`; a fitted prior takes the noise of a whole clip, or more.

        With `categories` there is the noise that draws the class. The noise of a fitted prior is
        that of the principal components of all codes. So no noise belongs to one code alone, and
        `codes` needs `frames` for a clip that is shorter.
        """
        length = max(frames, self.frames) if self.priors else frames
        shapes = dict(self.posterior_noise_shapes(length))
        if further := sum(prior.further_noise for prior in self.priors.values()):
            shapes[FURTHER] = (further,)
        if self.categories:
            shapes[CATEGORY] = (self.categories,)
        return shapes

    def training_noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        """That of the posteriors, and what chooses the frames to decode."""
        shapes = choice_shapes(self.decoded_frames, frames)
        return self.posterior_noise_shapes(frames) | shapes

    def call(self, video: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The reconstruction `[B, T, H, W, C]` from posterior means of a batch of `fit`."""
        return self.infer(self.video_of(video), None, training)

    def test_step(self, data) -> dict:
        """The losses at the end of the schedule, and the PSNR of posterior means.

        The KL terms are of posterior samples, by the same noise each time: at the means, teacher
        forcing would leave out how far a sample of one step moves the prior of the next.
        """
        batch = self.batch_of(data)
        video, key = batch["video"], replica_key(EVALUATION_SEED, tf.constant(0))
        shapes = self.posterior_noise_shapes(video.shape[1])
        noise = draw_noise(shapes, tf.shape(video)[0], key)
        end = tf.constant(float("inf"))
        terms, _ = self.compute_losses(batch, noise, end, training=False)
        terms["psnr"] = losses.psnr(video, self(video, training=False))
        return self.tracked({name: tf.reduce_mean(value) for name, value in terms.items()})

    # === Priors that follow the posteriors ===

    def aggregated(self, video: tf.Tensor) -> dict[str, Any]:
        """The posteriors of a video by the attribute of their `AggregatePrior`; by default none."""
        return {}

    def fit_aggregate_priors(
        self, batches: Iterable, steps: int = 3_000, seed: int = 0
    ) -> "dict[str, AggregateFit]":
        """Fits the priors that follow the posteriors, after training and `apply_ema`.

        `kerasvid train` does it by `training.prior_steps`.

        Args:
            batches: of training videos as `fit` takes them; at most 20,000 videos are used. With
                `categories`, they have labels.
            steps: updates of the flow of each prior.
            seed: of their draws.

        Returns:
            By prior, without the fixed ones, the mean divergence of held-out posteriors from it.

        Example:
            >>> model.fit(make_pipeline(folder, repeat=True), steps_per_epoch=5000)
            >>> batches = make_pipeline(folder)
            >>> model.fit_aggregate_priors(batches)
            {'content_prior': AggregateFit(before=15.1, after=10.4)}
        """
        fits = {}
        for name, (means, stds, labels) in _gaussians_of(self, self.aggregated, batches).items():
            prior = getattr(self, name)
            fits[name] = fit_aggregate_prior(prior, means, stds, labels, steps, seed=seed)
        return {name: fit for name, fit in fits.items() if fit is not None}

    # === Priors of all codes, fitted after training ===

    def code_draws(self, video: tf.Tensor, noise: Mapping) -> dict[str, tf.Tensor]:
        """A draw from the posterior of a video's codes, by the names of their noise."""
        raise NotImplementedError

    def code_sizes(self) -> dict[str, tuple[int, int]]:
        shapes = self.posterior_noise_shapes(self.frames)
        sizes = {
            group: sum(math.prod(shapes[name]) for name in names)
            for group, names in self.code_groups.items()
        }
        return {group: (size, min(size, LARGEST)) for group, size in sizes.items()}

    def fit_prior(
        self, kind: str, batches: Iterable, *, steps: int = 4_000, seed: int = 0, **arguments: Any
    ) -> dict[str, PriorFit | None]:
        """Fits one prior to all codes of whole clips, in place of those of the bound.

        New videos are drawn from it from then on. Frames beyond `frames` come from the prior of the
        bound. The bound and further training are as before.

        Args:
            kind: `"gaussian"`, `"mixture"`, `"flow"`, `"nearest"` or `"flow_matching"`; see
                `layers/fitted_priors.py`.
            batches: of training videos as `fit` takes them, of `frames` frames; at most 20,000
                videos are used. With `categories` the prior is one by class, of the videos with
                labels.
            steps: updates of a network.
            seed: of their draws.
            **arguments: of the kind, such as `units`.

        Returns:
            How well it fits, by group of codes.

        Raises:
            ValueError: the kind or an argument is unknown, there are no clips of that length, or
                with `categories` a class has no video.
            RuntimeError: scikit-learn is missing, which `"mixture"` needs.

        Example:
            >>> model.fit(make_pipeline(folder, repeat=True), steps_per_epoch=5000)
            >>> model.fit_prior("flow_matching", make_pipeline(folder))
        """
        self.check_prior(kind, arguments)
        shapes = self.posterior_noise_shapes(self.frames)
        found, labels = self._drawn_from_posteriors(batches, seed)
        for name, codes in found.items():
            if codes.shape[1:] != shapes[name]:
                raise ValueError(
                    f"The clips give {name} codes of shape {codes.shape[1:]}, not {shapes[name]}: "
                    f"give clips of {self.frames} frames."
                )
        by_group = {
            group: np.concatenate([found[name].reshape(len(found[name]), -1) for name in names], 1)
            for group, names in self.code_groups.items()
        }
        return self.fit_groups(kind, by_group, steps, seed, arguments, DRAWS, labels)

    def _drawn_from_posteriors(
        self, batches: Iterable, seed: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """`DRAWS` draws in succession of the codes of each video, by name, and their labels.

        Shapes are `[N DRAWS, ...]`.
        """

        @tf.function
        def draws(video, key):
            video = tf.repeat(video, DRAWS, axis=0)
            shapes = self.posterior_noise_shapes(video.shape[1])
            return self.code_draws(video, draw_noise(shapes, tf.shape(video)[0], key))

        rows: dict[str, list] = {}
        labels, seen = [], 0
        for number, batch in enumerate(batches):
            given = self.batch_of(tf.nest.map_structure(tf.convert_to_tensor, batch))
            video = given["video"]
            labels.append(np.repeat(labels_of(given), DRAWS))
            key = replica_key(seed, tf.constant(number))
            for name, value in draws(video, key).items():
                rows.setdefault(name, []).append(value.numpy())
            seen += video.shape[0]
            if seen >= FITTED_VIDEOS:
                break
        if not rows:
            raise ValueError("There are no batches. Give some of the training videos.")
        drawn = {name: np.concatenate(parts) for name, parts in rows.items()}
        return drawn, np.concatenate(labels)

    def drawn_codes(self, noise: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Codes of `frames` frames from the fitted priors, by the names of their noise."""
        shapes, drawn, used = self.posterior_noise_shapes(self.frames), {}, 0
        category = category_code(noise)
        for group, names in self.code_groups.items():
            prior, sizes = self.priors[group], [math.prod(shapes[name]) for name in names]
            # Noise of more frames is of those beyond the prior's.
            own = [noise[n][:, : shapes[n][0]] for n in names]
            flat = [tf.reshape(x, [-1, size]) for x, size in zip(own, sizes, strict=True)]
            taken = [tf.concat(flat, axis=1)[:, : prior.components]]
            if prior.further_noise:
                taken.append(noise[FURTHER][:, used : used + prior.further_noise])
                used += prior.further_noise
            drawn_together = prior(tf.concat(taken, axis=1), category)
            codes = tf.split(drawn_together, sizes, axis=1)
            for name, code in zip(names, codes, strict=True):
                drawn[name] = tf.reshape(code, [-1, *shapes[name]])
        return drawn


def _gaussians_of(model: VariationalModel, posteriors: Callable, batches: Iterable) -> dict:
    """Means and stds, float32 `[N, ...]`, of the posteriors of videos by name, and labels `[N]`."""

    @tf.function
    def moments(video):
        return {name: (q.mean(), q.stddev()) for name, q in posteriors(video).items()}

    rows: dict[str, list] = {}
    seen = 0
    for batch in batches:
        found = model.batch_of(tf.nest.map_structure(tf.convert_to_tensor, batch))
        video, labels = found["video"], labels_of(found)
        for name, values in moments(video).items():
            rows.setdefault(name, []).append([*(value.numpy() for value in values), labels])
        seen += video.shape[0]
        if seen >= FITTED_VIDEOS or not rows:
            break
    return {
        name: tuple(np.concatenate(values) for values in zip(*parts, strict=True))
        for name, parts in rows.items()
    }


def labels_of(batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """The labels of a batch of `batch_of`, int64 `[B]`, -1 where unknown."""
    label = batch.get("label")
    return np.full(batch["video"].shape[0], UNKNOWN) if label is None else label.numpy()


def resolve_schedule(
    schedule: Mapping[str, Any] | None, kl_terms: Sequence[str], further_terms: Sequence[str]
) -> dict[str, Any]:
    """The whole schedule of a `VariationalModel`, checked, of the part that is given."""
    names = ("observation_scale", *kl_terms, *further_terms)
    schedule = {"steps": 0, **(schedule or {})}
    for name, value in schedule.items():
        if name not in (*names, "steps"):
            known = nearest_names(name, (*names, "steps"))
            raise ValueError(f"The schedule has no {name!r}: {known}.")
        if name == "steps" and not (isinstance(value, int | float) and value >= 0):
            raise ValueError(f"schedule.steps={value!r} must be a number of steps, 0 or more.")
        if name != "steps" and not is_pair(value):
            raise ValueError(f"schedule.{name}={value!r} must be a pair: [start, end].")
        if name != "steps" and min(value) < 0:
            raise ValueError(f"schedule.{name}={value!r} must not be negative: use 0 or more.")
        if name == "observation_scale" and min(value) == 0:
            raise ValueError(f"schedule.{name}={value!r} must be two positive numbers.")
    pairs = {n: schedule.get(n, (0.0, 0.0) if n in further_terms else (1.0, 1.0)) for n in names}
    pairs = {name: tuple(float(value) for value in pair) for name, pair in pairs.items()}
    return {**pairs, "steps": schedule["steps"]}


class AggregateFit(NamedTuple):
    """Mean KL(posterior || prior) of held-out posteriors in nats, before and after."""

    before: float
    after: float


def fit_aggregate_prior(
    prior: AggregatePrior,
    means: np.ndarray,
    stds: np.ndarray,
    labels: np.ndarray | None = None,
    steps: int = 3_000,
    rate: float = 1e-3,
    seed: int = 0,
) -> AggregateFit | None:
    """Fits a prior in place to Gaussians `[N, D]`; for those held out it never gets worse.

    Running moments become those of the Gaussians, and a class has the mean of its Gaussians. A flow
    goes on learning from `steps` draws by Adam with a cosine decay. A prior stays as it is and the
    result is `None` if it is fixed or not `trainable`, or N is less than 10.

    Args:
        prior: fitted in place.
        means, stds: of the Gaussians, `[N, D]`.
        labels: int `[N]`, for a prior by class, which is fitted to the rows with a label alone; -1
            where unknown, and by default everywhere. A class without rows keeps its mean.
        steps: updates of the flow.
        rate: of Adam.
        seed: of the draws.
    """
    fixed = not prior.trainable or (prior.momentum is None and prior.flow is None)
    if len(means) < HELD_OUT or fixed:
        return None
    labels = np.full(len(means), UNKNOWN) if labels is None else np.asarray(labels)
    if prior.categories:
        known = labels != UNKNOWN
        means, stds, labels = means[known], stds[known], labels[known]
        if len(means) < HELD_OUT:
            return None
    is_held_out = np.arange(len(means)) % HELD_OUT == 0
    held_out = _gaussians(means[is_held_out], stds[is_held_out])
    draw = held_out.sample(seed=(seed, 1))
    unseen = label_code(labels[is_held_out], is_held_out.sum(), prior.categories)
    means, stds, labels = means[~is_held_out], stds[~is_held_out], labels[~is_held_out]
    # A copy learns: under several replicas the prior's own variables are theirs.
    copy = AggregatePrior.from_config(prior.get_config())
    copy.set_weights(prior.get_weights())

    def divergence() -> float:
        return float(tf.reduce_mean(copy.divergence(held_out, draw, unseen)))

    before = best = divergence()

    def keep_if_better(best: float) -> float:
        now = divergence()
        if now < best:  # no NaN
            prior.set_weights(copy.get_weights())
        return now if now < best else best

    if prior.momentum is not None:
        centred = means
        if prior.categories:
            before_fit = (copy.mean + copy.class_means).numpy()
            copy.class_means.assign(class_offsets(means, labels, before_fit))
            category = label_code(labels, len(labels), prior.categories)
            centred = means - copy.shift(category).numpy()
        covariance = np.cov(centred.T, bias=True).reshape(2 * means.shape[1:])
        copy.set_moments(centred.mean(axis=0), covariance + np.diag((stds**2).mean(axis=0)))
        best = keep_if_better(best)
    if prior.flow is not None and steps:
        learn = _learner(copy, means, stds, labels, steps, rate, seed)
        for check in range(CHECKS):
            learn(steps * (check + 1) // CHECKS - steps * check // CHECKS)
            best = keep_if_better(best)
    return AggregateFit(before, best)


def class_offsets(means: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The mean of each class from that of all rows `[N, D]`: `[K, D]`.

    A class without rows has its mean of `others`, `[K, D]`.
    """
    offsets = others.astype(np.float32)
    for label in range(len(others)):
        if (labels == label).any():
            offsets[label] = means[labels == label].mean(axis=0)
    return offsets - means.mean(axis=0)


def _gaussians(means, stds):
    means, stds = tf.cast(means, tf.float32), tf.cast(stds, tf.float32)
    return tfp.distributions.MultivariateNormalDiag(means, stds)


def _learner(prior: AggregatePrior, means, stds, labels, steps: int, rate: float, seed: int):
    """A function that makes that many updates of the flow in one call."""
    variables = prior.trainable_variables
    optimizer = keras.optimizers.Adam(WarmupCosine(rate, min(100, steps), steps))
    optimizer.build(variables)
    # Tensors that the function takes: a constant in a graph is limited to 2 GB, and compiled in.
    rows = tf.cast(means, tf.float32), tf.cast(stds, tf.float32), tf.cast(labels, tf.int64)

    @tf.function
    def updates(count, means, stds, labels):
        for _ in tf.range(count):
            keys = tf.stack([tf.cast(seed, tf.int32), tf.cast(optimizer.iterations, tf.int32)])
            size = tf.shape(means)[0]
            chosen = tf.random.stateless_uniform([BATCH], keys, 0, size, tf.int32)
            posterior = _gaussians(tf.gather(means, chosen), tf.gather(stds, chosen))
            noise = tf.random.stateless_normal([BATCH, prior.latent_dim], keys + [0, 2**20])
            draw = distributions.reparameterize(posterior, noise)
            category = label_code(tf.gather(labels, chosen), BATCH, prior.categories)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(prior.divergence(posterior, draw, category))
            optimizer.apply(tape.gradient(loss, variables), variables)

    return lambda count: updates(tf.constant(count), *rows)
