"""What a training on many GPUs would need, from rates that are measured on this machine.

**A step.** Data-parallel training with synchronous gradients, as `MultiWorkerMirroredStrategy`
does it: each of N GPUs computes the gradients of its clips, then all add them up. A ring of N moves
2 (N - 1) / N times the bytes of the gradients through each connection (Patarasu, Yuan: "Bandwidth
Optimal All-reduce Algorithms for Clusters of Workstations", 2009). The input is prepared beside it.

    step = max(computation + exchange, input)

This is a bound from below: latencies, the optimizer and parts that do not fill a GPU are left out.

**A checkpoint.** Machines fail. All work since the last checkpoint is done again, and a checkpoint
stops all machines while it is written. With C seconds for a checkpoint and M seconds between two
failures of the whole job, the best time between checkpoints is about sqrt(2 C M) (Young: "A First
Order Approximation to the Optimum Checkpoint Interval", 1974). `simulate` counts it out, with
stragglers: a synchronous step takes as long as its slowest worker.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

GRADIENT_BYTES = 4  # gradients are added in float32


@dataclasses.dataclass(frozen=True)
class Rates:
    """What is measured of a model and a data set on this machine.

    Args:
        parameters: number of trained weights.
        gflop_per_clip: 10^9 operations of a training step, for each of its clips.
        frames: T of a clip.
        decoded_per_second: frames that one core decodes in a second.
        bytes_per_frame: of a frame in the records.
        checkpoint_bytes, checkpoint_seconds: of one checkpoint.
    """

    parameters: int
    gflop_per_clip: float
    frames: int
    decoded_per_second: float
    bytes_per_frame: float
    checkpoint_bytes: int
    checkpoint_seconds: float


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What is assumed of GPUs and of their network; nothing of it is measured.

    Args:
        tflops: 10^12 operations a second that a training step reaches on one GPU.
        gigabit: 10^9 bits a second of the slowest connection between two GPUs.
        cores: CPU cores for each GPU.
        clips: of a GPU in one step.
        hours_between_failures: of one GPU with its share of the machine.
        restart_seconds: from a failure until the next step.
        straggling, slowness: as in `Job`.
    """

    tflops: float = 40.0
    gigabit: float = 100.0
    cores: int = 16
    clips: int = 64
    hours_between_failures: float = 20_000.0
    restart_seconds: float = 120.0
    straggling: float = 0.001
    slowness: float = 3.0


@dataclasses.dataclass(frozen=True)
class Step:
    """Seconds of one step, and what bounds it.

    Args:
        computation, exchange, input: seconds of each.
    """

    computation: float
    exchange: float
    input: float

    @property
    def seconds(self) -> float:
        """Of the step: the input is prepared beside the rest."""
        return max(self.computation + self.exchange, self.input)

    @property
    def bottleneck(self) -> str:
        """`"computation"`, `"exchange"` or `"input"`."""
        if self.input >= self.computation + self.exchange:
            return "input"
        return "computation" if self.computation >= self.exchange else "exchange"


def step_on(rates: Rates, cluster: Cluster, gpus: int) -> Step:
    """The step of so many GPUs.

    Args:
        rates: of the model and its data.
        cluster: the GPUs.
        gpus: N, at least 1.

    Example:
        >>> rates = Rates(10_000_000, 4.0, 16, 5000.0, 4000.0, 120_000_000, 1.0)
        >>> step_on(rates, Cluster(), gpus=8).bottleneck
        'input'
    """
    share = 2.0 * (gpus - 1) / gpus
    return Step(
        computation=cluster.clips * rates.gflop_per_clip / (1e3 * cluster.tflops),
        exchange=share * 8 * GRADIENT_BYTES * rates.parameters / (1e9 * cluster.gigabit),
        input=cluster.clips * rates.frames / (cluster.cores * rates.decoded_per_second),
    )


def best_interval(checkpoint_seconds: float, seconds_between_failures: float) -> float:
    """Young's seconds of work between two checkpoints, sqrt(2 C M).

    Example:
        >>> best_interval(2.0, 3600.0)
        120.0
    """
    return math.sqrt(2.0 * checkpoint_seconds * seconds_between_failures)


@dataclasses.dataclass(frozen=True)
class Job:
    """A training that is simulated.

    Args:
        steps: to be done.
        step_seconds: of a step without stragglers.
        workers: N.
        checkpoint_seconds: of each checkpoint, for which all wait.
        restart_seconds: from a failure until the step after the last checkpoint begins.
        seconds_between_failures: the mean of one worker, M N; exponential.
        straggling: probability that a worker is slow in a step.
        slowness: how many times longer a slow worker takes.
    """

    steps: int
    step_seconds: float
    workers: int
    checkpoint_seconds: float
    restart_seconds: float
    seconds_between_failures: float = math.inf
    straggling: float = 0.0
    slowness: float = 1.0

    def slowed_step(self) -> float:
        """The expected seconds of a step that ends with its slowest worker."""
        any_slow = 1.0 - (1.0 - self.straggling) ** self.workers
        return self.step_seconds * (1.0 + any_slow * (self.slowness - 1.0))


def simulate(job: Job, checkpoint_every: int, seed: int = 0) -> float:
    """The seconds that a job takes, in one random course of it.

    Args:
        job: the training.
        checkpoint_every: steps between checkpoints; the last step has one, too.
        seed: of the failures and of the slow workers.

    Returns:
        Seconds until the last checkpoint is written.

    Raises:
        ValueError: the interval is no positive number, or the job would hardly ever come to its
            next checkpoint.

    Example:
        >>> simulate(Job(100, 1.0, 8, checkpoint_seconds=5.0, restart_seconds=60.0), 50)
        110.0
    """
    if checkpoint_every < 1:
        raise ValueError(f"checkpoint_every={checkpoint_every} must be at least 1.")
    generator = np.random.default_rng(seed)
    mean = job.seconds_between_failures / job.workers
    longest = min(checkpoint_every, job.steps) * job.slowed_step() + job.checkpoint_seconds
    if longest > 5.0 * mean:  # it would be tried 150 times
        raise ValueError(
            f"checkpoint_every={checkpoint_every}: a checkpoint comes after {longest:,.0f} s, but "
            f"a failure after {mean:,.0f} s. Save more often."
        )
    any_slow = 1.0 - (1.0 - job.straggling) ** job.workers
    now, done = 0.0, 0
    failure = _until_failure(generator, mean)
    while done < job.steps:
        count = min(checkpoint_every, job.steps - done)
        slow = generator.binomial(count, any_slow) if any_slow else 0
        work = job.step_seconds * (count + slow * (job.slowness - 1.0)) + job.checkpoint_seconds
        if now + work <= failure:
            now, done = now + work, done + count
        else:  # what was not saved is lost; no other worker fails during the restart
            now = failure + job.restart_seconds
            failure = now + _until_failure(generator, mean)
    return now


def _until_failure(generator: np.random.Generator, mean: float) -> float:
    return math.inf if math.isinf(mean) else generator.exponential(mean)


def overheads(job: Job, intervals: Sequence[int], seeds: int = 20) -> dict[int, float]:
    """How much longer a job takes than without checkpoints and failures, by the interval.

    Args:
        job: the training; its stragglers are in both times.
        intervals: steps between checkpoints.
        seeds: number of simulated courses that are averaged.

    Returns:
        The mean share for each interval, such as 0.03; infinity where the job would hardly end.
    """
    least = job.steps * job.slowed_step()
    found = {}
    for every in intervals:
        try:
            times = [simulate(job, every, seed) for seed in range(seeds)]
        except ValueError:
            times = [math.inf]
        found[every] = float(np.mean(times)) / least - 1.0
    return found


# === Report ===

WEEK = 7 * 24 * 3600.0  # seconds of a simulated job
MINUTES = (1, 5, 20, 60, 240)  # between checkpoints


def scaling_report(
    rates: Rates, cluster: Cluster, gpus: Sequence[int], videos: int, length: int
) -> str:
    """Tables in Markdown: steps and an epoch by the number of GPUs, storage, and checkpoints.

    Args:
        rates: of the model and its data.
        cluster: the GPUs.
        gpus: numbers of them.
        videos: of the training set.
        length: of a video, in frames.

    Example:
        >>> print(scaling_report(rates, Cluster(), [8, 64, 512], videos=1_000_000, length=75))
    """
    size = videos * length * rates.bytes_per_frame
    hours = videos * length / rates.decoded_per_second / 3600.0
    lines = [
        f"Measured: {rates.parameters / 1e6:.1f} M weights, {rates.gflop_per_clip:.1f} GFLOP a clip"
        f" of {rates.frames} frames, {rates.decoded_per_second:,.0f} frames decoded a second by one"
        f" core, {rates.bytes_per_frame:,.0f} bytes a frame, a checkpoint of"
        f" {rates.checkpoint_bytes / 1e6:.0f} MB in {rates.checkpoint_seconds:.2f} s.",
        f"Assumed: {cluster.tflops:g} TFLOP/s a GPU, {cluster.gigabit:g} Gbit/s,"
        f" {cluster.cores} cores and {cluster.clips} clips a step for each GPU, a failure of each"
        f" every {cluster.hours_between_failures:,.0f} hours, {cluster.restart_seconds:g} s to"
        f" start again, a worker {cluster.slowness:g} times slower in {cluster.straggling:.1%} of"
        " steps.",
        f"{videos:,} videos of {length} frames: {size / 1e9:,.3g} GB; decoding all frames of them"
        f" once takes {hours:,.1f} hours of one core.",
        "",
        _steps_table(rates, cluster, gpus, videos),
        "",
        _checkpoints_table(rates, cluster, gpus),
    ]
    return "\n".join(lines)


def _steps_table(rates: Rates, cluster: Cluster, gpus: Sequence[int], videos: int) -> str:
    rows, alone = [], _job(rates, cluster, 1).slowed_step()
    for count in gpus:
        step, job = step_on(rates, cluster, count), _job(rates, cluster, count)
        seconds = job.slowed_step()
        epoch = videos / (count * cluster.clips) * seconds
        rows.append((
            f"{count:,}", f"{1e3 * step.computation:.1f}", f"{1e3 * step.exchange:.1f}",
            f"{1e3 * step.input:.1f}", step.bottleneck, f"{1e3 * seconds:.1f}",
            f"{count * cluster.clips / seconds:,.0f}", f"{alone / seconds:.0%}",
            f"{epoch / 60.0:,.1f}",
        ))  # fmt: skip
    head = (
        "GPUs", "computation, ms", "exchange, ms", "input, ms", "bottleneck",
        "step with stragglers, ms", "clips a second", "share of N times one GPU",
        "epoch, minutes",
    )  # fmt: skip
    return tabulate(rows, head, "github", disable_numparse=True)


def _checkpoints_table(rates: Rates, cluster: Cluster, gpus: Sequence[int]) -> str:
    rows = []
    for count in gpus:
        job = _job(rates, cluster, count)
        every = {minutes: max(1, round(60 * minutes / job.slowed_step())) for minutes in MINUTES}
        found = overheads(job, list(every.values()))
        mean = job.seconds_between_failures / count
        best = best_interval(job.checkpoint_seconds, mean)
        rows.append((
            f"{count:,}", f"{mean / 3600.0:,.1f}", f"{best / 60.0:.1f}",
            f"{max(1, round(best / job.slowed_step())):,}",
            *_shown_losses(found, every),
        ))  # fmt: skip
    head = (
        "GPUs", "hours between failures", "best interval, minutes", "in steps",
        *(f"lost at {minutes} min" for minutes in MINUTES),
    )  # fmt: skip
    return tabulate(rows, head, "github", disable_numparse=True)


def _shown_losses(found: dict[int, float], every: dict[int, int]) -> list[str]:
    """The lost shares by minutes; nothing where a step takes as long as the minutes before."""
    shown, before = [], 0
    for steps in every.values():
        lost = "never ends" if math.isinf(found[steps]) else f"{found[steps]:.2%}"
        shown.append(lost if steps != before else "")
        before = steps
    return shown


def _job(rates: Rates, cluster: Cluster, gpus: int) -> Job:
    """A week of training."""
    step = step_on(rates, cluster, gpus).seconds
    return Job(
        steps=max(1, round(WEEK / step)),
        step_seconds=step,
        workers=gpus,
        checkpoint_seconds=rates.checkpoint_seconds,
        restart_seconds=cluster.restart_seconds,
        seconds_between_failures=3600.0 * cluster.hours_between_failures,
        straggling=cluster.straggling,
        slowness=cluster.slowness,
    )
