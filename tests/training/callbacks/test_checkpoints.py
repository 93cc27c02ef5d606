import errno

import keras
import numpy as np
import pytest

from kerasvid.training.callbacks.checkpoints import (
    CheckpointError,
    Checkpoints,
    latest,
    restore,
    saved_steps,
)
from kerasvid.training.callbacks.step_callback import FiniteLoss, NotFinite
from kerasvid.training.callbacks.stopping import GracefulStop


def test_the_newest_are_kept_and_the_last_step_is_saved(counter, fit, tmp_path):
    fit(counter(), [0.1] * 9, [Checkpoints(tmp_path, every=2, keep=2, last_step=9)])
    assert list(saved_steps(tmp_path)) == [8, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000008.keras",
        "step-000009.keras",
    ]


def test_pruning_leaves_the_new_one_and_those_of_later_steps(counter, fit, tmp_path):
    damaged = [tmp_path / f"step-00000{step}.keras" for step in (6, 7, 8)]
    for path in damaged:
        path.write_bytes(b"")
    fit(counter(), [0.1] * 3, [Checkpoints(tmp_path, every=1, keep=2)])
    assert list(saved_steps(tmp_path)) == [2, 3, 6, 7, 8]
    assert latest(tmp_path) == tmp_path / "step-000003.keras"


def test_steps_that_keras_makes_at_once_are_not_missed(counter, fit, tmp_path):
    model = counter()
    model.compile("sgd", steps_per_execution=3)
    fit(model, [0.1] * 12, [Checkpoints(tmp_path, every=4, keep=9)])
    saved = list(saved_steps(tmp_path))
    assert len(saved) == 3  # one each for 4, 8 and 12, at the first call behind it
    assert all(due <= step < due + 3 for due, step in zip((4, 8, 12), saved, strict=True))


def test_restoring_brings_weights_and_optimizer_back(counter, fit, tmp_path):
    adam = keras.optimizers.Adam(0.1, use_ema=True)
    model = counter(adam)
    state = {}

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            state["values"] = [v.numpy() for v in [model.w, *adam.variables]]

    fit(model, [0.3, -0.1, 0.2], [Checkpoints(tmp_path, every=3), Watch()])
    other = counter(keras.optimizers.Adam(0.1, use_ema=True))
    assert restore(other, latest(tmp_path)) == 3
    restored = [v.numpy() for v in [other.w, *other.optimizer.variables]]
    assert len(restored) > 5
    for value, expected in zip(restored, state["values"], strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_checkpoint_of_another_optimizer_is_refused(counter, fit, tmp_path):
    fit(counter(), [0.1] * 2, [Checkpoints(tmp_path, every=2)])
    with pytest.raises(CheckpointError, match=r"step-000002\.keras: cannot be restored"):
        restore(counter(keras.optimizers.Adam(0.1)), latest(tmp_path))


def test_a_truncated_checkpoint_is_reported_and_the_one_before_taken(
    counter, fit, tmp_path, capsys
):
    fit(counter(), [0.1] * 4, [Checkpoints(tmp_path, every=2)])
    newest = tmp_path / "step-000004.keras"
    newest.write_bytes(newest.read_bytes()[:-100])
    assert latest(tmp_path) == tmp_path / "step-000002.keras"
    assert "step-000004.keras: skipped" in capsys.readouterr().err


def test_a_flipped_byte_is_noticed(counter, fit, tmp_path):
    fit(counter(), [0.1] * 2, [Checkpoints(tmp_path, every=2)])
    path = tmp_path / "step-000002.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert latest(tmp_path) is None


def test_a_full_disk_leaves_older_checkpoints_and_no_rest(counter, fit, tmp_path, monkeypatch):
    save = keras.Model.save

    def save_until_full(model, path, **kwargs):
        save(model, path, **kwargs)
        if int(model.optimizer.iterations.numpy()) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", save_until_full)
    with pytest.raises(CheckpointError, match="the disk is full") as error:
        fit(counter(), [0.1] * 4, [Checkpoints(tmp_path, every=2)])
    assert "\n" not in str(error.value) and "step-000004.keras" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000002.keras"]
    assert latest(tmp_path) is not None


def test_a_nan_ends_the_run_at_its_step_and_keeps_the_last_good_checkpoint(counter, fit, tmp_path):
    model = counter()
    with pytest.raises(NotFinite, match="at step 4"):
        values = [0.1, 0.1, 0.1, np.nan, 0.1, 0.1]
        fit(model, values, [FiniteLoss(), Checkpoints(tmp_path, every=2)])
    assert list(saved_steps(tmp_path)) == [2]


def test_weights_that_are_not_finite_are_never_saved(counter, fit, tmp_path):
    model = counter()
    model.w.assign([0.0, np.inf, 0.0])
    with pytest.raises(NotFinite, match="The weight"):
        fit(model, [0.1], [Checkpoints(tmp_path, every=1)])
    assert not list(tmp_path.iterdir())


def test_a_run_stops_at_its_step(counter, fit):
    model = fit(counter(), [0.1] * 9, [GracefulStop(None, last_step=4)])
    assert int(model.optimizer.iterations.numpy()) == 4
