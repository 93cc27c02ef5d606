"""Copies of runs in stores: what is copied when, what fails, and how a run goes on from them."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
from typing import ClassVar

import fsspec
import keras
import numpy as np
import pytest
import tensorflow as tf
from fsspec.implementations.memory import MemoryFileSystem

from kerasvid.data import remote
from kerasvid.data.remote import RemoteError, write_remote
from kerasvid.training.backup import Backup
from kerasvid.training.callbacks.checkpoints import read_record, saved_step, saved_steps
from kerasvid.training.callbacks.step_callback import FiniteLoss, NotFinite
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunError, RunFolder

ADDRESS = "unreliable://bucket/run"
RUN = "/bucket/run/"


class UnreliableStore(MemoryFileSystem):
    """A store in memory; before it does anything, it calls `before` with what and with the name."""

    protocol = "unreliable"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    before = staticmethod(lambda what, name: None)
    cut: ClassVar[list] = []  # of what is written next, these parts arrive

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("unreliable://", "memory://"))

    def _do(self, what, path):
        type(self).before(what, self._strip_protocol(path).removeprefix(RUN))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self._do("write", path)
        part = self.cut.pop(0) if self.cut else 1.0
        super().pipe_file(path, value[: round(part * len(value))])

    def put_file(self, lpath, rpath, callback=None, mode="overwrite", **kwargs):
        self.pipe_file(rpath, pathlib.Path(lpath).read_bytes())

    def mv(self, path1, path2, **kwargs):
        self._do("move", path2)
        super().cp_file(path1, path2)
        super().rm_file(path1)

    def rm_file(self, path):
        self._do("remove", path)
        super().rm_file(path)

    def find(self, path, **kwargs):
        self._do("find", path)
        return super().find(path, **kwargs)

    def _open(self, path, mode="rb", **kwargs):
        if mode == "rb":
            self._do("read", path)
        return super()._open(path, mode, **kwargs)


@pytest.fixture
def store(monkeypatch):
    """The class of an empty store, without waiting between attempts."""
    fsspec.register_implementation("unreliable", UnreliableStore, clobber=True)
    UnreliableStore.store.clear()
    UnreliableStore.pseudo_dirs[:] = [""]
    UnreliableStore.cut.clear()
    monkeypatch.setattr(UnreliableStore, "before", staticmethod(lambda what, name: None))
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    return UnreliableStore


def content_of(store):
    """Every file of the backup."""
    return {
        name.removeprefix(RUN): file.getvalue()
        for name, file in store.store.items()
        if name.startswith(RUN)
    }


def failing(error, *, what=("write",), part="", times=10**6):
    """A `before` that raises an error for operations on names with a part, so many times."""
    left = [times]

    def before(did, name):
        if did in what and part in name and left[0] > 0:
            left[0] -= 1
            raise error

    return staticmethod(before)


def of_steps(config, steps):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, steps=steps))


def run_to_end(config, folder, address=ADDRESS):
    run = RunFolder(folder)
    backup = Backup(address, run) if address else None
    with run.lock():
        return run, train(config, run, tf.distribute.get_strategy(), backup=backup)


@pytest.fixture(scope="module")
def whole(config_of, tmp_path_factory):
    """A config of 8 steps and the folder of its run, undisturbed and without a backup."""
    config = config_of(8, keep_at=[3])
    run, _ = run_to_end(config, tmp_path_factory.mktemp("runs") / "whole", None)
    return config, run


@pytest.fixture
def copied(whole, store, tmp_path):
    """A config and a copy of its finished run, after its first and its last checkpoint were copied.

    The folder has the checkpoints 4, 6 and 8; the store has 4 and 8.
    """
    config, run = whole
    run = RunFolder(shutil.copytree(run.path, tmp_path / "copied"))
    later = [run.checkpoints / f"step-00000{step}.keras" for step in (6, 8)]
    for path in [*later, run.model]:
        path.rename(tmp_path / path.name)
    copy(config, run)
    for path in [*later, run.model]:
        (tmp_path / path.name).rename(path)
    copy(config, run)
    return config, run


def copy(config, run):
    """One whole backup of a folder as it is."""
    backup = Backup(ADDRESS, run)
    backup.start(config)
    backup.finish()


def restore(config, folder):
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    Backup(ADDRESS, run).restore(config)
    return run


def assert_equal_models(path, expected):
    models = [keras.models.load_model(each) for each in (path, expected)]
    values, others = ([*model.weights, *model.optimizer.variables] for model in models)
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value.numpy(), other.numpy(), err_msg=value.path)


def one_line_of(text):
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    return lines[0]


# === What is copied ===


def test_a_backup_has_the_files_of_the_run_that_another_machine_needs(copied, store):
    _, run = copied
    found = content_of(store)
    kept = "kept/step-000003/"
    assert set(found) == {
        "config.json", "metrics.csv", "model.keras", "checkpoints/step-000004.keras",
        "checkpoints/step-000008.keras", f"{kept}config.json",
        f"{kept}checkpoints/step-000003.keras",
    }  # fmt: skip
    for name, content in found.items():
        assert content == (run.path / name).read_bytes(), name


def test_checkpoints_that_the_run_has_removed_go_after_the_new_one_is_there(
    whole, store, tmp_path, monkeypatch
):
    config, _ = whole
    events = []

    def before(what, name):
        names = [each.name for each in map(pathlib.PurePath, content_of(store))]
        events.append((what, name, [n for n in names if n.startswith("step-")]))

    monkeypatch.setattr(store, "before", staticmethod(before))
    run, _ = run_to_end(of_steps(config, 10), tmp_path / "run")
    for what, name, there in events:
        if what == "remove" and "step-" in name:
            assert max(there) > pathlib.PurePath(name).name
    there = {name for name in content_of(store) if name.startswith("checkpoints/")}
    assert there <= {f"checkpoints/{path.name}" for path in run.checkpoints.iterdir()}
    assert "checkpoints/step-000010.keras" in there


def test_what_a_store_has_is_not_sent_again(copied, store, monkeypatch):
    config, run = copied
    written = []
    monkeypatch.setattr(store, "before", staticmethod(lambda *event: written.append(event)))
    copy(config, run)
    assert not [name for what, name in written if what == "write" and name.endswith(".keras")]


def test_training_does_not_wait_for_a_slow_store_and_the_newest_is_copied_next(
    config_of, store, tmp_path, monkeypatch, capsys
):
    trained, one, written = threading.Event(), threading.Lock(), []

    def before(what, name):
        if what == "write" and "step-" in name:
            assert one.acquire(blocking=False), "two copies at a time"
            written.append(name)
            assert trained.wait(20)
            time.sleep(0.5)
            one.release()

    monkeypatch.setattr(store, "before", staticmethod(before))
    finish = Backup.finish

    def end(backup):
        trained.set()
        finish(backup)

    monkeypatch.setattr(Backup, "finish", end)
    run_to_end(config_of(6, checkpoint_every=1), tmp_path / "run")
    assert capsys.readouterr().err == ""
    assert len(written) <= 2 and written[-1].endswith("step-000006.keras")
    assert "checkpoints/step-000006.keras" in content_of(store)


@pytest.mark.parametrize("ends", ["signal", "not finite"])
def test_the_last_checkpoint_of_a_run_that_ends_early_is_copied(
    config_of, store, tmp_path, monkeypatch, ends
):
    def end(callback, step, logs):
        if step == 5 and ends == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        if step == 5 and ends == "not finite":
            raise NotFinite("loss became nan", step)

    monkeypatch.setattr(FiniteLoss, "on_step_end", end)
    if ends == "signal":
        _, outcome = run_to_end(config_of(8), tmp_path / "run")
        assert outcome.signal == signal.SIGTERM
        assert "checkpoints/step-000005.keras" in content_of(store)
    else:
        with pytest.raises(RunError, match="loss became nan at step 5"):
            run_to_end(config_of(8), tmp_path / "run")
        assert "checkpoints/step-000004.keras" in content_of(store)


def test_a_checkpoint_that_goes_while_it_is_copied_is_no_fault(copied, store, monkeypatch, capsys):
    config, run = copied
    store.store.clear()
    gone = saved_steps(run.checkpoints)[8]

    def before(what, name):
        if what == "write" and gone.name in name and gone.exists():
            gone.unlink()
            raise FileNotFoundError(gone)

    monkeypatch.setattr(store, "before", staticmethod(before))
    copy(config, run)
    assert capsys.readouterr().err == ""
    copy(config, run)
    assert "checkpoints/step-000006.keras" in content_of(store)


def test_a_damaged_checkpoint_is_not_copied(copied, store):
    config, run = copied
    store.store.clear()
    newest = saved_steps(run.checkpoints)[8]
    newest.write_bytes(newest.read_bytes()[:-100])
    copy(config, run)
    assert "checkpoints/step-000006.keras" in content_of(store)
    assert "checkpoints/step-000008.keras" not in content_of(store)


def test_the_address_stands_in_no_file_and_a_run_may_change_it(config_of, store, tmp_path):
    config = config_of(2)
    run, _ = run_to_end(config, tmp_path / "run")
    for path in (run.config_path, run.metrics):
        assert "bucket" not in path.read_text()
    assert "bucket" not in str(read_record(run.model).config)
    assert "bucket" not in run.load_config().command() + run.load_config().command(public=True)
    run_to_end(config, run.path, f"{ADDRESS}-2")
    run_to_end(config, run.path, None)
    assert fsspec.filesystem("unreliable").exists(f"{ADDRESS}-2/model.keras")


# === Another machine ===


def test_a_run_goes_on_from_its_backup_on_another_machine(whole, store, tmp_path, capsys):
    config, expected = whole
    run_to_end(of_steps(config, 4), tmp_path / "first")
    capsys.readouterr()
    run, outcome = run_to_end(config, tmp_path / "second")
    out, err = capsys.readouterr()
    assert f"{run.path}: restored from {ADDRESS}, step 4" in out and err == ""
    assert (outcome.step, outcome.trained) == (8, 4)
    assert_equal_models(run.model, expected.model)
    assert len(run.metrics.read_text().splitlines()) == 5
    assert_equal_models(
        run.kept(3).checkpoints / "step-000003.keras",
        expected.kept(3).checkpoints / "step-000003.keras",
    )


def test_a_finished_run_comes_back_finished(copied, tmp_path):
    config, expected = copied
    run, outcome = run_to_end(config, tmp_path / "run")
    assert (outcome.step, outcome.trained) == (8, 0)
    assert run.model.read_bytes() == expected.model.read_bytes()
    assert run.metrics.read_bytes() == expected.metrics.read_bytes()


def test_a_finished_model_without_checkpoints_comes_back(copied, store, tmp_path):
    config, expected = copied
    for name in [*store.store]:
        if "/run/checkpoints/" in name:
            del store.store[name]
    run, outcome = run_to_end(config, tmp_path / "run")
    assert (outcome.step, outcome.trained) == (8, 0)
    assert run.model.read_bytes() == expected.model.read_bytes()


def test_a_run_folder_that_was_copied_by_hand_is_a_backup(whole, store, tmp_path):
    config, expected = whole
    files = fsspec.filesystem("unreliable")
    for path in filter(pathlib.Path.is_file, expected.path.rglob("*")):
        files.pipe_file(f"{RUN}{path.relative_to(expected.path)}", path.read_bytes())
    run = restore(config, tmp_path / "run")
    assert run.model.exists() and [*saved_steps(run.checkpoints)] == [8]


def test_a_folder_with_a_later_checkpoint_stays_and_is_copied(copied, store):
    config, run = copied
    for name in ("checkpoints/step-000008.keras", "model.keras", "metrics.csv"):
        del store.store[RUN + name]
    before = {path: path.read_bytes() for path in run.path.rglob("*.*") if path.is_file()}
    Backup(ADDRESS, run).restore(config)
    assert {p: p.read_bytes() for p in run.path.rglob("*.*") if p.is_file()} == before
    copy(config, run)
    for name in ("checkpoints/step-000008.keras", "model.keras", "metrics.csv"):
        assert content_of(store)[name] == (run.path / name).read_bytes()


def test_a_folder_with_the_checkpoint_of_the_store_stays(copied, store, monkeypatch):
    config, run = copied
    read = []
    monkeypatch.setattr(store, "before", staticmethod(lambda *event: read.append(event)))
    run.metrics.write_text("of this machine")
    Backup(ADDRESS, run).restore(config)
    assert run.metrics.read_text() == "of this machine"
    assert [name for what, name in read if what == "read"] == ["config.json"]


def test_a_folder_with_an_earlier_checkpoint_gets_the_later_one(copied, tmp_path, capsys):
    config, expected = copied
    run = RunFolder(shutil.copytree(expected.path, tmp_path / "behind"))
    for path in (*[*saved_steps(run.checkpoints).values()][1:], run.model):
        path.unlink()
    run.metrics.write_text("step,seconds,loss\n2,99.0,1.0\n")  # took longer
    capsys.readouterr()
    run, outcome = run_to_end(config, run.path)
    assert (outcome.step, outcome.trained) == (8, 0)
    assert capsys.readouterr().err == ""  # its metrics are not called damaged
    assert run.metrics.read_bytes() == expected.metrics.read_bytes()
    assert run.model.read_bytes() == expected.model.read_bytes()


def test_a_damaged_folder_gets_whole_checkpoints(copied, tmp_path):
    config, expected = copied
    run = RunFolder(shutil.copytree(expected.path, tmp_path / "damaged"))
    for path in [*saved_steps(run.checkpoints).values(), run.model]:
        path.write_bytes(b"damaged")
    Backup(ADDRESS, run).restore(config)
    assert saved_step(run.checkpoints / "step-000008.keras") == saved_step(run.model) == 8


def test_an_older_finished_model_of_the_store_replaces_no_newer_one(copied, store):
    config, run = copied
    store.store[f"{RUN}model.keras"] = store.store[f"{RUN}checkpoints/step-000004.keras"]
    shutil.rmtree(run.checkpoints)
    Backup(ADDRESS, run).restore(config)
    assert saved_step(run.model) == 8 and [*saved_steps(run.checkpoints)] == [8]


def test_another_run_is_refused_and_nothing_is_downloaded(copied, store, config_of, tmp_path):
    before = content_of(store)
    other = config_of(8, seed=3)
    with pytest.raises(RunError) as error:
        run_to_end(other, tmp_path / "other")
    assert str(error.value) == (
        f"{ADDRESS}: the backup is of a run with other settings: seed is 0, not 3. Use the same "
        "settings or another --backup_to."
    )
    assert not (tmp_path / "other").exists() and content_of(store) == before


def test_a_backup_keeps_the_precision_that_its_run_started_with(copied, tmp_path):
    config, _ = copied
    backup = Backup(ADDRESS, RunFolder(tmp_path / "new"))
    assert backup.keep_precision("auto") == config.precision == "float32"
    assert backup.keep_precision("mixed_float16") == "mixed_float16"
    assert Backup(f"{ADDRESS}-2", RunFolder(tmp_path)).keep_precision("auto") == "auto"


def test_a_run_with_a_backup_needs_the_source_of_its_weights_no_more(copied, tmp_path):
    config, _ = copied
    config = dataclasses.replace(config, init_from="/nowhere")
    run = RunFolder(tmp_path / "new")
    Backup(ADDRESS, run).check_source(config)
    with pytest.raises(RunError, match="--init_from=/nowhere: there is no run"):
        Backup(f"{ADDRESS}-2", run).check_source(config)


def test_names_in_a_store_do_not_lead_out_of_the_folder(copied, store, tmp_path):
    config, _ = copied
    (tmp_path / "machine").mkdir()
    names = ("kept/../../stray", "kept/step-000003/../../../stray", "checkpoints/../step-9.keras")
    for name in names:
        store.store[RUN + name] = store.store[f"{RUN}config.json"]
    restore(config, tmp_path / "machine" / "run")
    assert not [*tmp_path.rglob("stray"), *tmp_path.rglob("step-9.keras")]


def test_other_workers_end_with_the_error_of_the_chief(copied, config_of, tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run", chief=False)
    texts = lambda strategy, text: ['"store: damaged."', text]  # noqa: E731
    monkeypatch.setattr("kerasvid.training.loop.texts_of_all_workers", texts)
    with pytest.raises(RunError, match=r"^store: damaged\.$"):
        train(config_of(2), run, tf.distribute.get_strategy())


def test_only_the_chief_uses_the_store(copied, store, whole, monkeypatch):
    config, expected = whole
    run = RunFolder(expected.path, chief=False)
    backup = Backup(ADDRESS, run)
    done = []
    monkeypatch.setattr(store, "before", staticmethod(lambda *event: done.append(event)))
    train(config, run, tf.distribute.get_strategy(), backup=backup)
    assert done == []


# === Faults ===


@pytest.mark.parametrize("whole_at_once", [False, True], ids=["disk", "object store"])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_copy_that_is_killed_anywhere_leaves_a_whole_backup(
    copied, store, tmp_path, monkeypatch, part, whole_at_once, capsys
):
    """Of each operation that changes the store, a part is done, and then nothing more."""
    config, run = copied
    if whole_at_once:
        monkeypatch.setattr(remote, "OBJECT_STORES", {"unreliable"})
    saved_steps(run.checkpoints)[4].unlink()
    for name in ("checkpoints/step-000008.keras", "model.keras"):
        del store.store[RUN + name]
    earlier, steps = dict(store.store), []
    for last in range(30):
        store.store.clear()
        store.store.update(earlier)
        left, dead = [last], []

        def before(what, name, left=left, dead=dead):
            if dead:
                raise ConnectionError("dead")
            if what in ("write", "move", "remove"):
                left[0] -= 1
                if left[0] < 0:
                    dead.append(what)
                    if what == "write" and part:
                        store.cut[:] = [part]
                        return
                    raise ConnectionError("dead")

        monkeypatch.setattr(store, "before", staticmethod(before))
        backup = Backup(ADDRESS, run)
        with contextlib.suppress(RunError):
            backup.start(config)
        backup.finish()
        monkeypatch.setattr(store, "before", staticmethod(lambda what, name: None))
        store.cut.clear()
        if last == 0 and whole_at_once and part == 0.5:
            continue  # half of the settings, which no object store shows
        new = restore(config, tmp_path / f"machine-{last}")
        steps.append(max(saved_steps(new.checkpoints)))
        assert saved_step(new.checkpoints / f"step-{steps[-1]:06d}.keras") == steps[-1]
        if not dead:
            break
    assert steps[0] == 4 and steps[-1] == 8 and steps == sorted(steps) and not dead
    assert not [name for name in content_of(store) if "partial-" in name]


@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_that_passes_is_tried_again_silently(copied, store, monkeypatch, capsys, times):
    config, run = copied
    expected = content_of(store).keys() - {"checkpoints/step-000004.keras"}
    store.store.clear()
    monkeypatch.setattr(store, "before", failing(ConnectionError("reset"), times=times))
    capsys.readouterr()
    copy(config, run)
    assert capsys.readouterr().err == "" and content_of(store).keys() == expected


def test_what_arrives_in_part_is_sent_again(copied, store, tmp_path, capsys):
    config, run = copied
    store.store.clear()
    store.cut[:] = [1.0, 0.5, 1.0, 0.5, 1.0, 0.0, 0.9]
    copy(config, run)
    assert capsys.readouterr().err == ""
    assert saved_step(restore(config, tmp_path / "new").checkpoints / "step-000008.keras") == 8


def test_a_store_that_fails_is_one_line_for_each_backup_and_training_goes_on(
    config_of, store, tmp_path, monkeypatch, capsys
):
    config = config_of(6)
    fault = failing(ConnectionError("no route"), part="step-")
    monkeypatch.setattr(store, "before", fault)
    saved = Backup.request

    def request(backup):
        """Waits, so that each checkpoint is tried."""
        failed = threading.Event()
        attempt = Backup._copy

        def observed(self):
            try:
                attempt(self)
            finally:
                failed.set()

        monkeypatch.setattr(Backup, "_copy", observed)
        saved(backup)
        if not backup._ending:
            assert failed.wait(60)
        monkeypatch.setattr(Backup, "_copy", attempt)

    monkeypatch.setattr(Backup, "request", request)
    run, outcome = run_to_end(config, tmp_path / "run")
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert outcome.step == 6 and run.model.exists() and len(lines) == 4
    for step, line in zip((2, 4, 6), lines, strict=False):
        assert line == (
            f"{ADDRESS}/checkpoints/step-{step:06d}.keras: cannot be written, in 3 attempts (no "
            "route). Training goes on; the next checkpoint is copied again."
        )
    assert lines[3] == (
        f"{ADDRESS}/checkpoints/step-000006.keras: cannot be written, in 3 attempts (no route). "
        "The backup is not complete. Run the same command again to complete it."
    )
    monkeypatch.setattr(store, "before", staticmethod(lambda what, name: None))
    monkeypatch.setattr(Backup, "request", saved)
    _, outcome = run_to_end(config, run.path)  # the same command again
    assert outcome.trained == 0 and capsys.readouterr().err == ""
    assert content_of(store)["model.keras"] == run.model.read_bytes()


def test_a_fault_outside_of_the_store_is_one_line_too(copied, store, monkeypatch, capsys):
    config, run = copied
    monkeypatch.setattr(Backup, "_remove_before", lambda *_: 1 / 0)
    capsys.readouterr()
    copy(config, run)
    assert one_line_of(capsys.readouterr().err) == (
        f"{ADDRESS}: not copied (division by zero). The backup is not complete. Run the same "
        "command again to complete it."
    )


def test_a_store_that_only_adds_files_keeps_earlier_checkpoints(copied, store, monkeypatch, capsys):
    config, run = copied
    early = {"checkpoints/step-000002.keras", "checkpoints/step-000004.keras"}
    store.store[f"{RUN}checkpoints/step-000002.keras"] = store.store[f"{RUN}config.json"]
    saved_steps(run.checkpoints)[4].unlink()
    monkeypatch.setattr(store, "before", failing(PermissionError("403"), what=("remove",)))
    capsys.readouterr()
    copy(config, run)
    assert one_line_of(capsys.readouterr().err) == (
        f"{ADDRESS}/{min(early)}: access is refused. Check your credentials. Earlier checkpoints "
        "stay there."
    )
    assert early < set(content_of(store))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("403"), "access is refused. Check your credentials."),
        (FileNotFoundError("no such bucket"), "cannot be written (no such bucket)."),
        (NotImplementedError("read only"), "cannot be written (read only)."),
        (ConnectionError("refused"), "cannot be written, in 3 attempts (refused)."),
    ],
)
def test_a_store_that_cannot_be_written_to_is_refused_before_the_training(
    config_of, store, tmp_path, monkeypatch, error, message
):
    monkeypatch.setattr(store, "before", failing(error))
    with pytest.raises(RunError) as raised:
        run_to_end(config_of(2), tmp_path / "run")
    assert str(raised.value) == (
        f"{ADDRESS}/config.json: {message} Give a store that can be written to, or train without "
        "--backup_to."
    )
    assert not (tmp_path / "run").exists()


def test_a_store_that_cannot_be_read_is_refused_before_anything_is_lost(
    copied, store, tmp_path, monkeypatch
):
    config, _ = copied
    before = content_of(store)
    monkeypatch.setattr(store, "before", failing(ConnectionError("refused"), what=("find",)))
    with pytest.raises(RemoteError, match=rf"^{ADDRESS}: cannot be read, in 3 attempts"):
        run_to_end(config, tmp_path / "run")
    fault = failing(ConnectionError("refused"), what=("read",), part="step-000008")
    monkeypatch.setattr(store, "before", fault)
    with pytest.raises(RunError, match=r"step-000008.keras: cannot be read, in 3 attempts"):
        run_to_end(config, tmp_path / "run")  # not step 4, as if there was no other
    assert content_of(store) == before


def damage(store, name):
    """Changes a byte in the middle: the size and the end stay."""
    content = bytearray(store.store[RUN + name].getvalue())
    content[len(content) // 2] ^= 1
    fsspec.filesystem("unreliable").pipe_file(RUN + name, bytes(content))


def test_a_damaged_checkpoint_of_the_store_is_named_and_the_one_before_is_taken(
    copied, store, tmp_path, capsys
):
    config, _ = copied
    capsys.readouterr()
    for name in ("checkpoints/step-000008.keras", "model.keras"):
        damage(store, name)
    run, outcome = run_to_end(config, tmp_path / "run")
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    text = "damaged (its SHA-256 differs from the one at its end). Skipped."
    names = ("model.keras", "checkpoints/step-000008.keras")
    assert lines == [f"{ADDRESS}/{name}: {text}" for name in names]
    assert outcome.trained == 4 and run.model.exists()
    assert saved_step(restore(config, tmp_path / "new").checkpoints / "step-000008.keras") == 8


def test_a_folder_that_gains_nothing_is_not_called_restored(copied, store, tmp_path, capsys):
    config, expected = copied
    run = RunFolder(shutil.copytree(expected.path, tmp_path / "run"))
    run.model.unlink()
    saved_steps(run.checkpoints)[8].unlink()
    for name in ("checkpoints/step-000008.keras", "model.keras"):
        damage(store, name)
    capsys.readouterr()
    Backup(ADDRESS, run).restore(config)
    assert "restored" not in capsys.readouterr().out


def test_a_download_that_breaks_is_tried_again(copied, store, tmp_path, monkeypatch, capsys):
    config, _ = copied
    capsys.readouterr()
    fault = failing(ConnectionError("reset"), what=("read",), times=2)
    monkeypatch.setattr(store, "before", fault)
    run = restore(config, tmp_path / "run")
    assert saved_step(run.checkpoints / "step-000008.keras") == 8 and capsys.readouterr().err == ""


def test_a_backup_without_whole_weights_is_not_started_over(copied, store, tmp_path):
    config, _ = copied
    for name in content_of(store):
        if name.endswith(".keras"):
            damage(store, name)
    before = content_of(store)
    with pytest.raises(RunError) as error:
        run_to_end(config, tmp_path / "run")
    assert str(error.value) == (
        f"{ADDRESS}: no saved weights can be read. Restore them from a copy or use another "
        "--backup_to."
    )
    assert content_of(store) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing"),
        (b"{}", "not the configuration of a run (it has no checksum)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_backup_with_unknown_settings_is_refused(copied, store, tmp_path, content, message):
    config, _ = copied
    if content is None:
        del store.store[f"{RUN}config.json"]
    else:
        write_remote(f"{ADDRESS}/config.json", content)
    with pytest.raises(RunError) as error:
        run_to_end(config, tmp_path / "run")
    text = str(error.value)
    assert text.startswith(f"{ADDRESS}/config.json: {message}") and "\n" not in text
    assert text.endswith("Restore it from a copy or use another --backup_to.")


def test_a_backup_that_stopped_after_the_settings_is_a_new_run(config_of, store, tmp_path):
    write_remote(f"{ADDRESS}/config.json", config_of(2, seed=9).to_json().encode())
    run = restore(config_of(2), tmp_path / "run")
    assert [*run.path.iterdir()] == []


# === Addresses ===


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("bucket/run", "no address of a folder. Write s3://bucket/run or file:///folder/run."),
        ("s3://", "no address of a folder."),
        ("https://a.org/run", "web servers take no files. Give a store, such as s3://bucket/run."),
        ("file://{run}", "is the folder of the run. Give another folder."),
    ],
)
def test_what_is_no_store_is_refused_in_one_line(tmp_path, address, message):
    address = address.format(run=tmp_path)
    with pytest.raises(RunError) as error:
        Backup(address, RunFolder(tmp_path))
    assert str(error.value).startswith(f"--backup_to={address}: {message}")


@pytest.mark.parametrize(
    "address",
    ["s3://anna:se/cr@et@bucket/run", "sftp://anna:secret@host/run", "abfs://a/run?sig=secret"],
)
def test_an_address_with_a_password_is_refused_and_not_shown(tmp_path, address):
    with pytest.raises(RunError, match="the address holds a password or a token") as error:
        Backup(address, RunFolder(tmp_path))
    assert "secret" not in str(error.value) and "se/cr" not in str(error.value)


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("hf", "hub")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, scheme, extra):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(RemoteError, match=rf"need a package .*pip install 'kerasvid\[{extra}\]'"):
        Backup(f"{scheme}://bucket/run", RunFolder(tmp_path))


def test_a_folder_of_another_disk_is_a_store(whole, tmp_path):
    config, expected = whole
    address = f"file://{tmp_path / 'other disk' / 'run'}"
    run = RunFolder(shutil.copytree(expected.path, tmp_path / "run"))
    backup = Backup(address, run)
    backup.start(config)
    backup.finish()
    new = RunFolder(tmp_path / "new")
    Backup(address, new).restore(config)
    assert new.model.read_bytes() == expected.model.read_bytes()
    assert not [*(tmp_path / "other disk").rglob("partial-*")]
    assert os.listdir(tmp_path / "other disk" / "run" / "checkpoints") == ["step-000008.keras"]
