"""Damaged run folders: what a damaged file may lead to when a run is continued and loaded."""

import contextlib
import dataclasses
import io
import os
import pathlib
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.training import loop
from kerasvid.training.run_folder import ERRORS, RunFolder

pytestmark = pytest.mark.slow
CASES = 240


class WouldTrain(Exception):
    """Training would go on from a step; the folder is left as it is."""


def of_steps(config, steps):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))


def run_to_end(config, path: pathlib.Path) -> RunFolder:
    run = RunFolder(path)
    with run.lock():
        loop.train(config, run, tf.distribute.get_strategy())
    return run


def weights_of(model) -> list[np.ndarray]:
    later = ("mean", "basis", "fitted_at")  # of learned codes: fitted when videos are drawn
    return [weight.numpy() for weight in model.weights if weight.name not in later]


def same(weights: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return len(weights) == len(others) and all(map(np.array_equal, weights, others))


@pytest.fixture(scope="module")
def runs(config_of, tmp_path_factory):
    """The config of a run, the run at its end, and another run of the same sizes."""
    folder = tmp_path_factory.mktemp("runs")
    config = config_of(4)
    return (
        config,
        run_to_end(config, folder / "run"),
        run_to_end(config_of(4, seed=1), folder / "b"),
    )


def damage(path: pathlib.Path, other: pathlib.Path, draw: random.Random) -> str:
    """Damages a file in one of many ways, and says how."""
    data, kind = path.read_bytes(), draw.choice(list(DAMAGES))
    path.unlink()
    DAMAGES[kind](path, bytearray(data), other, draw)
    return f"{path.name}: {kind}"


def flip_bit(path, data, other, draw):
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def set_bytes(path, data, other, draw):
    for _ in range(20):
        data[draw.randrange(len(data))] = draw.randrange(256)
    path.write_bytes(data)


def truncate(path, data, other, draw):
    path.write_bytes(data[: draw.randrange(len(data))])


def zero_a_block(path, data, other, draw):
    start = draw.randrange(len(data))
    path.write_bytes(data[:start] + bytes(min(512, len(data) - start)) + data[start + 512 :])


def append(path, data, other, draw):
    path.write_bytes(data + draw.randbytes(draw.randrange(1, 200)))


def make_a_folder(path, data, other, draw):
    path.mkdir()


def make_a_pipe(path, data, other, draw):
    os.mkfifo(path)


def exchange(path, data, other, draw):
    shutil.copy(other, path)


DAMAGES = {
    "a bit flipped": flip_bit,
    "bytes set": set_bytes,
    "cut off": truncate,
    "a block of zeros": zero_a_block,
    "bytes appended": append,
    "emptied": lambda path, data, other, draw: path.touch(),
    "a folder": make_a_folder,
    "a pipe": make_a_pipe,
    "deleted": lambda path, data, other, draw: None,
    "of another run": exchange,
}


@pytest.mark.parametrize("part", range(8))
def test_damage_is_found_named_or_without_effect(runs, tmp_path, monkeypatch, part):
    config, whole, another = runs

    def would_train(*arguments):
        raise WouldTrain

    monkeypatch.setattr(loop, "_fit", would_train)
    known = weights_of(whole.load_model()[0])
    rows = whole.metrics.read_bytes()
    draw = random.Random(part)
    names = ["config.json", "metrics.csv", "model.keras"]
    names += [f"checkpoints/{path.name}" for path in sorted(whole.checkpoints.glob("*.keras"))]
    faults = []
    for case in range(CASES // 8):
        folder = tmp_path / f"{case}"
        shutil.copytree(whole.path, folder)
        name = draw.choice(names)
        if draw.random() < 0.3 and name != "model.keras":  # killed before its end
            (folder / "model.keras").unlink()
        what = damage(folder / name, another.path / name, draw)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                run = run_to_end(config, folder)
                model, _ = run.load_model()
        except WouldTrain:
            file = "resuming at step" if what.endswith("deleted") else pathlib.PurePath(name).name
            if file not in said.getvalue():
                faults.append(f"{what}: goes back without a word")
        except (*ERRORS, ValueError) as error:
            if str(folder) not in str(error):
                faults.append(f"{what}: the message names no file ({error})")
        except Exception as error:  # a traceback
            faults.append(f"{what}: {type(error).__name__}: {error}")
        else:
            if not same(weights_of(model), known):
                faults.append(f"{what}: other weights")
            if run.metrics.read_bytes() != rows:
                faults.append(f"{what}: other rows")
            if any(folder.glob("*.damaged*")) and "metrics.csv" not in said.getvalue():
                faults.append(f"{what}: renamed without a word")
        shutil.rmtree(folder)
    assert not faults, "\n".join(faults)
