"""Files and folders appear complete or not at all, and errors name the file."""

import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from kerasvid.io import (
    atomic_folder,
    atomic_write,
    cache_folder,
    described,
    lock,
    markdown_text,
    new_file,
    one_line,
    readable_os_errors,
    remove_leftovers,
    temporary_name,
)
from kerasvid.visualization import writers


@pytest.fixture
def small_files_only():
    """No file can grow beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("context", [readable_os_errors, atomic_write])
def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path, context):
    path = tmp_path / "metrics.csv"
    path.write_text("before")
    with (
        pytest.raises(OSError, match=r"metrics\.csv: cannot be written .the disk is full") as error,
        context(path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(error.value)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "a/b: Permission denied; check the permissions."),
        (errno.EISDIR, "a/b: Is a directory; a file must be there: move the folder away."),
        (errno.ENOSPC, "a/b: the disk is full; free some space."),
        (errno.EIO, "a/b: Input/output error."),
    ],
)
def test_an_error_of_the_system_says_where_and_what_to_do(number, said):
    assert described(OSError(number, os.strerror(number), "a/b")) == said


def test_an_error_without_a_file_keeps_its_cause():
    assert described(OSError("a.png: is broken")) == "a.png: is broken"
    assert described(ValueError()) == "ValueError"
    assert described(OSError(errno.ENOSPC, "No space")) == "the disk is full; free some space."


def test_a_write_that_is_not_permitted_does_not_blame_the_disk(tmp_path):
    with (
        pytest.raises(OSError, match=r"a: cannot be written \(Permission denied\)") as error,
        atomic_write(tmp_path / "a") as temporary,
    ):
        raise PermissionError(errno.EACCES, "Permission denied", temporary)
    assert "permissions" in str(error.value) and "disk" not in str(error.value)


def test_a_file_that_cannot_be_read_while_another_is_written_is_named(tmp_path):
    with (
        pytest.raises(PermissionError) as error,
        atomic_write(tmp_path / "new" / "a"),
    ):
        raise PermissionError(errno.EACCES, "Permission denied", "source/b")
    assert error.value.filename == "source/b"


def test_a_folder_without_a_name_does_not_replace_the_current_one(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "work").touch()
    monkeypatch.chdir(here)
    with pytest.raises(ValueError, match="name of the new folder is empty"), atomic_folder(""):
        pass
    assert (here / "work").exists()


@pytest.mark.parametrize(
    ("write", "ending"),
    [(writers.write_png, "png"), (writers.write_gif, "gif"), (writers.write_mp4, "mp4")],
)
def test_an_incomplete_picture_is_reported(tmp_path, small_files_only, write, ending):
    frames = np.random.default_rng(0).integers(0, 255, [8, 128, 128, 3], np.uint8)
    path = tmp_path / f"step.{ending}"
    why = r"( .File too large|\. Check that the disk is not full)"
    with pytest.raises(OSError, match=f"step.{ending}: cannot be written{why}"):
        write(path, frames[0] if ending == "png" else frames)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a" * 250 + ".keras", "ä" * 124 + ".keras", "." + "a" * 250])
def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path, name):
    for path in (tmp_path / name[-255:], tmp_path / f"b{name[-250:]}"):
        with atomic_write(path) as temporary:
            assert temporary.endswith(name[-6:])
            pathlib.Path(temporary).write_text("x")
        path.unlink()
        for content in ("first", "second"):
            with atomic_folder(path) as building:
                pathlib.Path(building, "a").write_text(content)
            assert (path / "a").read_text() == content
    assert len(list(tmp_path.iterdir())) == 2


def test_long_names_of_the_same_end_have_different_temporary_names(tmp_path):
    one, other = (tmp_path / (letter + "x" * 240) for letter in "ab")
    with atomic_write(one) as first, atomic_write(other) as second:
        assert first != second
        for path in (first, second):
            pathlib.Path(path).write_text(path)
    assert one.read_text() == first and other.read_text() == second


def test_what_a_killed_process_left_of_a_long_name_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = tmp_path / ("a" * 250)
    ours = temporary_name(path).removesuffix(str(os.getpid()))
    pathlib.Path(f"{ours}{ended.pid}").mkdir()
    with atomic_folder(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CC-BY-SA 3.0, image_shape 64x64", "CC-BY-SA 3.0, image_shape 64x64"),
        ("-1.5", "-1.5"),
        ("12.3 (11.9 to 12.8)", "12.3 (11.9 to 12.8)"),
        ("a\n# b\r\n\u2028- c\x1b\u202e", "a # b - c"),
        ("# a", "\\# a"),
        ("- a", "\\- a"),
        ("12. a", "12\\. a"),
        ("---", "\\---"),
        ("> a", "\\> a"),
        ("<script>&lt;", "&lt;script>&amp;lt;"),
        ("[a](b) ![c](d)", "\\[a\\](b) !\\[c\\](d)"),
        ("`a` *b* _c_ a|b ~~d~~ $e$ \\<", "\\`a\\` \\*b\\* \\_c\\_ a\\|b "
         "\\~\\~d\\~\\~ \\$e\\$ \\\\&lt;"),
    ],
)  # fmt: skip
def test_a_text_of_others_is_one_line_without_markup(text, shown):
    assert markdown_text(text) == shown


def test_an_error_of_a_graph_is_named_without_its_functions():
    text = "{{function_node __wrapped__IteratorGetNext}} a; No such file [Op:IteratorGetNext] name:"
    assert one_line(text) == "a; No such file"


def test_a_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "a.json"
    with atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text("first")
        assert temporary.endswith("a.json") and not path.exists()
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text("half")
        raise KeyError
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_replaces_another_only_on_request(tmp_path):
    for overwrite in (False, True):
        with new_file(tmp_path / "a", overwrite) as temporary:
            temporary.write_text(str(overwrite))
    with pytest.raises(ValueError, match="a: exists already"), new_file(tmp_path / "a"):
        pass
    with pytest.raises(ValueError, match="is a folder"), new_file(tmp_path):
        pass
    with pytest.raises(ValueError, match="does not exist"), new_file(tmp_path / "b" / "a"):
        pass
    assert (tmp_path / "a").read_text() == "True"


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path):
    path = tmp_path / "a"

    def check():
        if path.exists():
            raise ValueError("exists")

    with pytest.raises(ValueError, match="exists"), atomic_folder(path, check):
        path.mkdir()
        (path / "theirs").touch()
    assert [entry.name for entry in tmp_path.rglob("*")] == ["a", "theirs"]


def test_a_lock_is_held_once_and_released_when_the_process_is_killed(tmp_path):
    code = f"""
import time
from kerasvid.io import lock
with lock({str(tmp_path / "lock")!r}):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError, match="another process"), lock(tmp_path / "lock"):
            pass
        process.kill()
        process.wait()
        with lock(tmp_path / "lock", wait=True):
            pass


@pytest.fixture(scope="module")
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_that_was_not_replaced_in_the_end_is_restored(tmp_path, ended, capsys):
    out = tmp_path / "mine"
    with atomic_folder(out) as building:
        pathlib.Path(building, "video").write_text("whole")
    left = pathlib.Path(str(building).replace(f"-{os.getpid()}", f"-{ended}") + "-replaced")
    out.rename(left)
    remove_leftovers(tmp_path)
    assert (out / "video").read_text() == "whole" and not left.exists()
    assert f"{out}: restored" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["partial-{}-evaluation.json", "mine.tmp-{}.old"])
def test_leftovers_without_the_name_of_a_host_go_too(tmp_path, ended, name):
    (tmp_path / name.format(ended)).touch()
    (tmp_path / name.format(os.getppid())).touch()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == [name.format(os.getppid())]


@pytest.mark.parametrize("name", ["a.json", "step-5.keras"])
def test_half_written_files_of_killed_processes_go_at_the_next_write(tmp_path, name):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with atomic_write(tmp_path / name) as temporary:
        own = pathlib.Path(temporary)
        left, running, other = (
            own.with_name(own.name.replace(f"-{os.getpid()}-", f"{host}-{pid}-"))
            for host, pid in (("", ended.pid), ("", os.getppid()), ("-other", ended.pid))
        )
        for path in (own, left, running, other):
            path.touch()
    with atomic_write(tmp_path / name) as temporary:
        pathlib.Path(temporary).touch()
    assert set(tmp_path.iterdir()) == {tmp_path / name, running, other}
    os.utime(other, (0, 0))  # nothing has changed for a day
    os.utime(running, (0, 0))
    with atomic_write(tmp_path / name) as temporary:
        pathlib.Path(temporary).touch()
    assert set(tmp_path.iterdir()) == {tmp_path / name, running}


def test_the_cache_folder_is_the_users_own_or_that_of_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("KERASVID_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("KERASVID_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "kerasvid"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "kerasvid"
