import errno
import struct
import zipfile

import keras
import numpy as np
import pytest

from kerasvid.training.callbacks.checkpoints import (
    CheckpointError,
    Checkpoints,
    latest,
    read_record,
    restore,
    save_model,
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
    assert restore(other, latest(tmp_path)).step == 3
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
    assert "step-000004.keras: damaged" in capsys.readouterr().err


@pytest.fixture
def saved(counter, fit, tmp_path):
    """The newest of two checkpoints."""
    fit(counter(), [0.1] * 4, [Checkpoints(tmp_path, every=2)])
    return tmp_path / "step-000004.keras"


def headers_of(path):
    """The ranges of an archive that are not the content of a member: its headers, by name."""
    with zipfile.ZipFile(path) as archive:
        members, directory = archive.infolist(), archive.start_dir
    found, content = {}, path.read_bytes()
    for member in members:
        name, extra = struct.unpack("<HH", content[member.header_offset + 26 :][:4])
        found[member.filename] = range(
            member.header_offset, member.header_offset + 30 + name + extra
        )
    end = content.rindex(b"PK\x05\x06")
    return {**found, "directory": range(directory, end), "end record": range(end, len(content))}


def assert_the_one_before_is_taken(path, flips, capsys):
    content = path.read_bytes()
    for byte, bit in flips:
        changed = bytearray(content)
        changed[byte] ^= 1 << bit
        path.write_bytes(changed)
        assert latest(path.parent) == path.with_name("step-000002.keras"), (byte, bit)
        assert capsys.readouterr().err.startswith(f"{path}: damaged ("), (byte, bit)


def test_a_checkpoint_with_a_flipped_bit_is_named_and_the_one_before_taken(saved, capsys):
    first = {name: part[0] for name, part in headers_of(saved).items()}
    version, comment = first["directory"] + 6, first["end record"] + 22
    flips = [(byte + offset, 1) for byte in first.values() for offset in (0, 4, 10)]
    flips += [(version, 6), (comment, 0), (saved.stat().st_size - 1, 2)]
    flips += [(saved.stat().st_size // 2, 0)]
    assert_the_one_before_is_taken(saved, flips, capsys)


@pytest.mark.slow
def test_every_bit_of_the_headers_of_a_checkpoint_is_checked(saved, capsys):
    parts = headers_of(saved).values()
    flips = [(byte, bit) for part in parts for byte in part for bit in range(8)]
    assert len(flips) > 3000
    assert_the_one_before_is_taken(saved, flips, capsys)


def test_a_checkpoint_that_was_packed_again_is_not_trusted(saved):
    with zipfile.ZipFile(saved) as archive:
        members, comment = (
            {name: archive.read(name) for name in archive.namelist()},
            archive.comment,
        )
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    assert latest(saved.parent).name == "step-000002.keras"


def test_weights_that_are_not_finite_are_never_restored(counter, tmp_path):
    model = counter()
    model.optimizer.build(model.trainable_variables)
    model.w.assign([0.0, np.nan, 0.0])
    save_model(model, tmp_path / "step-000001.keras")
    with pytest.raises(CheckpointError, match=r"cannot be restored \(The weight .* is not finite"):
        restore(counter(), tmp_path / "step-000001.keras")


def test_a_checkpoint_of_other_settings_is_refused(counter, config_of, tmp_path):
    path, model = tmp_path / "step-000001.keras", counter()
    model.optimizer.build(model.trainable_variables)
    save_model(model, path, config_of(seed=1))
    restore(counter(), path, config_of(9, seed=1))
    with pytest.raises(CheckpointError, match=r"saved with other settings \(seed is 1, not 2\)"):
        restore(counter(), path, config_of(seed=2))


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


def test_a_file_of_an_earlier_version_is_not_called_damaged(counter, tmp_path):
    path = tmp_path / "step-000001.keras"
    counter().save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"step 1"
    with pytest.raises(CheckpointError, match=r"keras: written by an earlier version of kerasvid$"):
        read_record(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CheckpointError, match=r"keras: damaged"):
        read_record(path)
