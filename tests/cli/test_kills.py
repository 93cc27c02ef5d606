"""Commands that are killed at random moments: the same command again ends well.

Each command is run once undisturbed, which also tells how long it takes. Then it is killed three
times, and after that it is run to its end.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
import zipfile

import keras
import numpy as np
import pytest

from tfrecords_tools.verify import verify

pytestmark = pytest.mark.slow

SEED = 7
KILLS = (signal.SIGKILL, signal.SIGINT, signal.SIGKILL)
# Parts of the undisturbed time: before them Python itself is starting, and a run that resumes ends
# earlier.
MOMENTS = (0.3, 0.8)
MAIN = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"


def heed_interrupts() -> None:
    """A test's process may ignore Ctrl-C, which its children would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def killed(start_python):
    """A function that kills a command after some seconds: whether it was still running."""

    def kill(arguments, seconds: float, number: signal.Signals) -> bool:
        process = start_python("-c", MAIN, *arguments, preexec_fn=heed_interrupts)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, err = process.communicate(timeout=600)
        assert "Traceback" not in err, err
        status = -number if number == signal.SIGKILL else 128 + number
        assert process.returncode in (0, status), err
        return process.returncode != 0

    return kill


@pytest.fixture
def survives(run_python, killed, tmp_path):
    """A function that runs a command undisturbed, then kills it: both results.

    Args:
        name: of the command.
        make: the flags and the path of the result, for a new folder.
        check: raises if what is at the path is taken for whole, and is not.
    """

    def run(name: str, make, check) -> tuple[pathlib.Path, pathlib.Path]:
        whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
        flags, expected = make(whole)
        begin = time.monotonic()
        status, _, err = run_python("-c", MAIN, *name.split(), *flags)
        assert status == 0, err
        duration, moments = time.monotonic() - begin, random.Random(f"{SEED} {name}")
        flags, result = make(disturbed)
        arguments = (*name.split(), *flags)
        replaced = name != "export saved-model"  # which never replaces a version
        met = 0  # kills that met a living process
        for number in KILLS:
            if not replaced:
                shutil.rmtree(result, ignore_errors=True)
            if killed(arguments, duration * moments.uniform(*MOMENTS), number):
                met += 1
                check(result)
        assert met, "every kill came too late"
        if not replaced:
            shutil.rmtree(result, ignore_errors=True)
        status, _, err = run_python("-c", MAIN, *arguments)
        assert status == 0 and "Traceback" not in err, err
        check(result)
        left = [p for p in disturbed.rglob("*") if ".tmp-" in p.name or "partial-" in p.name]
        assert not left
        return expected, result

    return run


def check_archives(model: pathlib.Path) -> None:
    for path in [model, *model.parent.glob("checkpoints/step-*.keras")]:
        if path.exists():
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, path


def weights_of(path: pathlib.Path) -> list[np.ndarray]:
    model = keras.models.load_model(path)
    return [v.numpy() for v in [*model.weights, *model.optimizer.variables]]


def test_a_run_that_is_killed_ends_bit_equal(survives, training_flags):
    def make(folder):
        flags = (*training_flags, "--steps=24", f"--run_dir={folder / 'run'}")
        return flags, folder / "run" / "model.keras"

    expected, found = map(weights_of, survives("train", make, check_archives))
    assert len(expected) == len(found) > 50
    for value, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(other, value)


def test_a_data_set_that_is_killed_is_made_whole(survives):
    def make(folder):
        return (f"--out_dir={folder / 'turntable'}",), folder / "turntable"

    def check(folder):
        assert not folder.exists() or verify(os.fspath(folder)).faults == []

    expected, found = survives("data turntable --overwrite", make, check)
    texts = [(folder / "dataset.json").read_text() for folder in (expected, found)]
    assert texts[0] == texts[1]


def test_an_evaluation_that_is_killed_is_made_whole(survives, run_dir):
    def make(folder):
        folder.mkdir()
        for name in ("config.json", "model.keras"):
            (folder / name).write_bytes((run_dir / name).read_bytes())
        metrics = "--metrics=diversity,frame_consistency"
        return (f"--run_dir={folder}", metrics), folder / "evaluation.json"

    def check(path):
        assert not path.exists() or json.loads(path.read_text())["measured"]

    values = [
        json.loads(path.read_text())["measured"] for path in survives("evaluate", make, check)
    ]
    assert values[0] == values[1] and len(values[0]) > 2


def test_an_export_that_is_killed_is_made_whole(survives, run_dir):
    contents = set()

    def make(folder):
        return (f"--run_dir={run_dir}", f"--out={folder / 'glo' / '1'}"), folder / "glo" / "1"

    def files_of(folder):
        return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*")}

    def check(folder):
        contents.update({frozenset(files_of(folder))} if folder.exists() else ())

    expected, _ = survives("export saved-model", make, check)
    assert contents == {frozenset(files_of(expected))}
