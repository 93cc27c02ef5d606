"""Workers on this machine that train one run by the command line."""

import contextlib
import csv
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from kerasvid.training.callbacks.checkpoints import saved_steps

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 240  # for one command, on a busy machine too
FLAGS = (
    "--model=rjvae", "--preset=debug", "--set=frames=2", "--set=training.batch_size=4",
    "--set=training.ema_momentum=0.9", "--set=training.prior_steps=5", "--set=prior_momentum=0.9",
    "--set=prior_couplings=2", "--precision=float32", "--deterministic", "--log_every=10",
    "--checkpoint_every=20", "--sample_every=50",
)  # fmt: skip

pytestmark = pytest.mark.slow


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def ports_in_a_row(count):
    """The first of so many free ports, one after the other."""
    while True:
        (first,) = free_ports(1)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


@pytest.fixture(scope="module")
def start(squares, tmp_path_factory):
    """A function that starts `train` with flags and variables: a Popen. None outlives the test."""
    processes, logs = [], tmp_path_factory.mktemp("logs")

    def launch(*flags, common=FLAGS, **variables):
        command = [sys.executable, os.fspath(ROOT / "apps" / "train.py"), *common]
        environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT), **variables}
        path = logs / f"{len(processes)}.log"
        with open(path, "wb") as log:
            command += [f"--dataset={squares}", *flags]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        process.path = path
        processes.append(process)
        return process

    yield launch
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def start_pair(start):
    """A function that starts two workers: the chief and the other."""

    def launch(folder, *flags, others=(), common=FLAGS):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
        tasks = [{"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(2)]
        flags = ("--strategy=multi_worker", f"--run_dir={folder}", *flags)
        return [
            start(*flags, *(others if index else ()), common=common, TF_CONFIG=json.dumps(task))
            for index, task in enumerate(tasks)
        ]

    return launch


@pytest.fixture(scope="module")
def start_slurm_step(start):
    """A function that starts so many processes as the ones of a Slurm job step on this machine."""

    def launch(count, folder, *flags):
        step = {
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_STEP_TASKS_PER_NODE": str(count),
            "KERASVID_PORT": str(ports_in_a_row(count)),
            "TF_CONFIG": "",
        }
        flags = ("--strategy=multi_worker", f"--run_dir={folder}", *flags)
        return [start(*flags, **step, SLURM_PROCID=str(number)) for number in range(count)]

    return launch


def finish(*processes, status=0):
    """What the processes printed, after all ended with a status."""
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS)
        assert process.returncode == status, printed(process)[-3000:]
    return [printed(process) for process in processes]


def printed(process):
    return process.path.read_text(errors="replace")


def wait_for_step(folder, step, processes):
    end = time.monotonic() + SECONDS
    while max(saved_steps(folder / "checkpoints"), default=0) < step:
        assert time.monotonic() < end and all(each.poll() is None for each in processes), [
            printed(each)[-2000:] for each in processes
        ]
        time.sleep(0.02)


def assert_equal_runs(folder, expected):
    """Weights, optimizers and rows are equal to the bit, but for the seconds."""
    assert_equal_weights(folder, expected)
    ours, theirs = map(rows_of, (folder, expected))
    assert ours == theirs


def assert_equal_weights(folder, expected):
    """Of the model and of the optimizers, to the bit."""
    models = [keras.models.load_model(each / "model.keras") for each in (folder, expected)]
    ours, theirs = ([*model.weights, *model.optimizer.variables] for model in models)
    assert len(ours) > 50
    for value, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(value.numpy(), other.numpy(), err_msg=value.path)


def rows_of(folder):
    """Those of `metrics.csv` without the seconds."""
    rows = [*csv.DictReader((folder / "metrics.csv").read_text().splitlines())]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(start_pair, tmp_path_factory):
    """Folder of a run of two workers, 200 steps."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    for text in finish(*start_pair(folder, "--steps=200")):
        assert "trained: 200 steps" in text and "Traceback" not in text
    return folder


def test_two_workers_write_what_two_replicas_of_one_process_write(start, undisturbed, tmp_path):
    finish(start("--strategy=mirrored:2", "--steps=200", f"--run_dir={tmp_path / 'one'}"))
    assert_equal_runs(undisturbed, tmp_path / "one")
    for folder in ("samples", "checkpoints"):
        both = (
            {p.name for p in (each / folder).iterdir()} for each in (undisturbed, tmp_path / "one")
        )
        ours, theirs = both
        assert ours == theirs and ours
    left = {path.name for path in undisturbed.iterdir()} - {".lock"}
    assert left == {"config.json", "model.keras", "checkpoints", "samples", "metrics.csv", "events"}


def test_a_pair_whose_workers_are_killed_resumes_and_ends_bit_equal(
    start_pair, undisturbed, tmp_path
):
    folder, at = tmp_path / "killed", random.Random(7)
    for killed, step in ((0, 20), (1, 60), (at.randrange(2), 120)):
        pair = start_pair(folder, "--steps=200")
        wait_for_step(folder, step, pair)
        time.sleep(at.uniform(0.0, 1.0))
        pair[killed].kill()
        (text,) = finish(pair[1 - killed], status=1)
        error = text.splitlines()[-1]
        assert error.startswith("error: Another worker was lost") and "same command" in error, text
        assert f"{folder}/checkpoints/step-" in error and "Traceback" not in text
    for text in finish(*start_pair(folder, "--steps=200")):
        assert "resuming at step" in text and "trained: 200 steps" in text
    assert_equal_runs(folder, undisturbed)


def test_a_signal_to_one_worker_stops_both_with_a_checkpoint_that_they_resume_to_the_bit(
    start_slurm_step, undisturbed, tmp_path
):
    folder = tmp_path / "stopped"
    pair = start_slurm_step(2, folder, "--steps=200")
    wait_for_step(folder, 20, pair)
    pair[1].send_signal(signal.SIGTERM)
    texts = finish(*pair, status=128 + signal.SIGTERM)
    newest = list(saved_steps(folder / "checkpoints").values())[-1]
    for text in texts:
        assert f"saved {newest}" in text and "same command" in text and "Traceback" not in text
    for text in finish(*start_slurm_step(2, folder, "--steps=200")):
        assert "resuming at step" in text and "trained: 200 steps" in text
    assert_equal_weights(folder, undisturbed)
    # A mean over steps before and after the signal is summed in another order.
    for row, other in zip(rows_of(folder), rows_of(undisturbed), strict=True):
        values, others = ([float(text or "nan") for text in each.values()] for each in (row, other))
        np.testing.assert_allclose(values, others, rtol=1e-5)


def test_a_pair_goes_on_from_its_backup_in_another_folder(start_pair, tmp_path):
    backup = f"--backup_to=file://{tmp_path / 'backup'}"
    for text in finish(*start_pair(tmp_path / "first", "--steps=40", backup)):
        assert "trained: 40 steps" in text and "Traceback" not in text
    second = tmp_path / "second"
    chief, other = finish(*start_pair(second, "--steps=60", backup))
    assert f"{second}: restored from file://{tmp_path / 'backup'}, step 40" in chief
    assert "restored" not in other and "copying" not in other
    for text in (chief, other):
        assert f"resuming at step 40 from {second}" in text and "trained: 60 steps" in text
    copy = tmp_path / "backup" / "model.keras"
    assert copy.read_bytes() == (second / "model.keras").read_bytes()
    for path in (tmp_path / "backup" / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    copy.write_bytes(b"damaged")
    for text in finish(*start_pair(tmp_path / "third", "--steps=60", backup), status=1):
        assert "backup: no saved weights can be read." in text.splitlines()[-1]


def test_four_processes_of_a_slurm_step_compute_what_four_replicas_compute(
    start, start_slurm_step, tmp_path
):
    four, one = tmp_path / "four", tmp_path / "one"
    for text in finish(*start_slurm_step(4, four, "--steps=50")):
        assert "trained: 50 steps" in text and "Traceback" not in text
    finish(start("--strategy=mirrored:4", "--steps=50", f"--run_dir={one}"))
    ours, theirs = (keras.models.load_model(each / "model.keras").weights for each in (four, one))
    assert len(ours) == len(theirs) > 40
    for value, other in zip(ours, theirs, strict=True):  # sums of four are in another order
        np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-5, err_msg=value.path)


def test_workers_with_other_settings_say_so(start_pair, tmp_path):
    pair = start_pair(tmp_path / "run", "--steps=20", others=("--seed=3",))
    for text in finish(*pair, status=1):
        assert text.splitlines()[-1] == (
            "error: Worker 1 differs from worker 0: seed is 3, not 0. Use the same flags and data "
            "on every worker."
        )
    assert not (tmp_path / "run").exists()


def test_workers_show_new_videos_of_learned_codes(start_pair, tmp_path):
    common = (
        "--model=glo", "--preset=debug", "--set=frames=2", "--set=training.batch_size=4",
        "--precision=float32", "--steps=20", "--sample_every=10", "--checkpoint_every=20",
    )  # fmt: skip
    for text in finish(*start_pair(tmp_path / "pair", common=common)):
        assert "trained: 20 steps" in text and "Traceback" not in text
    assert {path.stem for path in (tmp_path / "pair" / "samples").glob("*.png")} >= {"step-000010"}
    model = keras.models.load_model(tmp_path / "pair" / "model.keras")
    assert model.prior_config == {"kind": "gaussian"} and model.generate(2).shape[0] == 2
