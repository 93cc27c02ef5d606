"""What many GPUs would need, against numbers worked out by hand and by Young's formula."""

import dataclasses
import math

import numpy as np
import pytest

from kerasvid.evaluation.scaling import (
    Cluster,
    Job,
    Rates,
    best_interval,
    overheads,
    scaling_report,
    simulate,
    step_on,
)

RATES = Rates(
    parameters=25_000_000,
    gflop_per_clip=10.0,
    frames=10,
    decoded_per_second=1000.0,
    bytes_per_frame=3000.0,
    checkpoint_bytes=300_000_000,
    checkpoint_seconds=2.0,
)
CLUSTER = Cluster(tflops=1.0, gigabit=8.0, cores=10, clips=4)
JOB = Job(1000, 0.5, 16, checkpoint_seconds=3.0, restart_seconds=30.0)


def test_a_step_is_computed_by_hand():
    step = step_on(RATES, CLUSTER, 4)
    assert step.computation == pytest.approx(4 * 10e9 / 1e12)  # 0.04 s
    # A ring of 4: each GPU sends 3 + 3 quarters of 100 MB at 1 GB/s.
    assert step.exchange == pytest.approx(6 * 25e6 / 1e9)
    assert step.input == pytest.approx(4 * 10 / (10 * 1000))
    assert step.seconds == pytest.approx(0.19) and step.bottleneck == "exchange"
    assert step_on(RATES, CLUSTER, 1).exchange == 0.0


@pytest.mark.parametrize(
    ("changes", "bottleneck"),
    [({"cores": 1, "gigabit": 1e3, "tflops": 10.0}, "input"), ({"gigabit": 1e3}, "computation")],
)
def test_the_slowest_part_is_named(changes, bottleneck):
    assert step_on(RATES, dataclasses.replace(CLUSTER, **changes), 8).bottleneck == bottleneck


def test_without_failures_a_job_is_its_steps_and_its_checkpoints():
    assert simulate(JOB, 300) == 1000 * 0.5 + 4 * 3.0
    assert simulate(JOB, 5000) == 1000 * 0.5 + 3.0


def test_a_step_ends_with_its_slowest_worker():
    always = dataclasses.replace(JOB, straggling=1.0, slowness=3.0)
    assert simulate(always, 1000) == 1000 * 1.5 + 3.0
    rare = dataclasses.replace(JOB, straggling=0.01, slowness=3.0, steps=20_000)
    generator = np.random.default_rng(0)
    slow = (generator.random([20_000, 16]) < 0.01).any(axis=1).mean()  # of all steps
    assert simulate(rare, 20_000) == pytest.approx(20_000 * 0.5 * (1 + 2 * slow), rel=0.02)
    assert rare.slowed_step() == pytest.approx(0.5 * (1 + 2 * slow), rel=0.02)


def test_what_was_not_saved_is_done_again():
    failing = dataclasses.replace(JOB, seconds_between_failures=16 * 200.0)
    times = [simulate(failing, 100, seed) for seed in range(4000)]
    # Of segments of 53 s: the mean of a course with exponential failures (Daly, 2006).
    mean, segment = 200.0, 53.0
    expected = 10 * (mean + 30.0) * (math.exp(segment / mean) - 1.0)
    assert np.mean(times) == pytest.approx(expected, rel=0.02)
    assert simulate(failing, 100, 7) == simulate(failing, 100, 7)


def test_the_best_interval_is_near_that_of_young():
    failing = dataclasses.replace(JOB, steps=20_000, seconds_between_failures=16 * 2000.0)
    found = overheads(failing, [20, 60, 120, 220, 400, 800, 2000], seeds=60)
    assert best_interval(3.0, 2000.0) == pytest.approx(math.sqrt(12_000))  # 110 s, 219 steps
    assert min(found, key=found.get) == 220


def test_a_report_has_a_row_for_each_number_of_gpus():
    cluster = dataclasses.replace(CLUSTER, straggling=0.0, hours_between_failures=100.0)
    text = scaling_report(RATES, cluster, [4, 1000], videos=1_000_000, length=50)
    assert "1,000,000 videos of 50 frames: 150 GB" in text
    assert "takes 13.9 hours of one core" in text  # 5e7 frames, 1,000 a second
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    steps = next(row for row in rows if row[:1] == ["4"])
    assert steps[1:6] == ["40.0", "150.0", "4.0", "exchange", "190.0"]
    assert steps[6:] == ["84", "21%", "197.9"]  # 16 clips in 0.19 s; 40 ms alone
    saved = next(row for row in rows if row[0] == "1,000" and row[1] == "0.1")
    assert saved[-1] == "never ends"  # a failure every six minutes, a checkpoint every four hours


def test_a_job_that_would_not_end_is_refused():
    failing = dataclasses.replace(JOB, seconds_between_failures=16 * 5.0)
    with pytest.raises(ValueError, match=r"comes after 503 s, but a failure after 5 s\. Save"):
        simulate(failing, 1000)
    assert overheads(failing, [1000]) == {1000: math.inf}
    with pytest.raises(ValueError, match="checkpoint_every=0 must be at least 1"):
        simulate(JOB, 0)
