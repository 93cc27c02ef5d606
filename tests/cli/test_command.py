"""What all commands share: settings, errors of one line, and the commands that they name next."""

import io
import os
import pathlib
import sys
import tempfile

import pytest
import tensorflow as tf
from absl import flags

from kerasvid.cli.command import (
    Define,
    expand_home,
    one_line,
    one_line_errors,
    parse_assignments,
    print_any_character,
    quiet_unless_failing,
    run_app,
)
from kerasvid.naming import command_line, python_command

ROOT = pathlib.Path(__file__).parents[2]
FAULT = (
    "Graph execution error:\n\nDetected at node Assert/Assert defined at (most recent call last):\n"
    "<stack traces unavailable>\nError in user-defined function passed to MapDataset:1 "
    "transformation with iterator: Iterator::Root::ParallelMapV2: assertion failed: "
)


@pytest.mark.parametrize(
    ("assertion", "expected"),
    [
        (
            "[/my data/train-0.tfrecord] [: length is wrong; prepare it again.]",
            "/my data/train-0.tfrecord: length is wrong; prepare it again.",
        ),
        ("[a.tfrecord] [: a frame is not [8, 8, 3] but] [9 8 3]",
         "a.tfrecord: a frame is not [8, 8, 3] but 9 8 3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n\t [[{{node Assert/Assert}}]] [Op:Next]", " [Op:Next]", ""])
def test_a_failed_assertion_is_reduced_to_its_text(assertion, expected, end):
    assert one_line(FAULT + assertion + end) == expected


def test_an_error_in_fit_is_reduced_to_its_text():
    error = (
        "Graph execution error:\n\nDetected at node conv defined at (most recent call last):\n"
        '  File "train.py", line 3, in <module>\n\nOOM when allocating tensor with shape[9]\n'
        "\t [[{{node conv}}]]\nHint: see the report.\n [Op:__inference_step_12]"
    )
    assert one_line(error) == "OOM when allocating tensor with shape[9]"


def test_too_little_memory_has_a_remedy(capsys):
    fault = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n\t [[{{node a}}]]")
    with pytest.raises(SystemExit), one_line_errors(tf.errors.OpError):
        raise fault
    line = capsys.readouterr().err
    assert line.startswith("error: OOM when allocating; out of memory. Use a smaller --batch_size")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("why", ["No space left on device", "Too many open files"])
def test_other_exhausted_resources_get_no_advice_on_memory(why, capsys):
    with pytest.raises(SystemExit), one_line_errors(tf.errors.OpError):
        raise tf.errors.ResourceExhaustedError(None, None, f"a/events.v2; {why}")
    assert capsys.readouterr().err == f"error: a/events.v2; {why}\n"


def test_a_python_command_runs_the_same_python(monkeypatch, tmp_path):
    python = tmp_path / "my env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.chdir(tmp_path)
    assert python_command("a.py", "--x=1 2") == "'my env/bin/python' a.py '--x=1 2'"
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    assert python_command("a.py") == f"'{python}' a.py"
    monkeypatch.setenv("PATH", str(python.parent))  # the environment is activated
    assert python_command("a.py") == "python a.py"


def test_other_messages_only_lose_their_line_breaks():
    assert one_line("a\n  b [c]\n") == "a b [c]"


@pytest.mark.parametrize(
    ("folder", "started", "expected"),
    [
        (ROOT, "apps/train.py", "python apps/generate.py --run_dir=runs/x"),
        (ROOT / "docs", "../apps/train.py", "python ../apps/generate.py --run_dir=runs/x"),
        (ROOT / "apps", "train.py", "python generate.py --run_dir=runs/x"),
        (ROOT, "/usr/bin/kerasvid", "kerasvid generate --run_dir=runs/x"),
        (ROOT, "/opt/my env/bin/kerasvid", "'/opt/my env/bin/kerasvid' generate --run_dir=runs/x"),
        (ROOT, "/usr/bin/pytest", "kerasvid generate --run_dir=runs/x"),
    ],
)
def test_the_next_command_has_the_form_that_the_user_typed(folder, started, expected, monkeypatch):
    monkeypatch.setattr("kerasvid.naming.shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("sys.executable", "/usr/bin/python")
    monkeypatch.setattr("sys.argv", [started])
    monkeypatch.chdir(folder)
    assert command_line("generate", "--run_dir=runs/x") == expected


def test_a_command_without_a_script_is_named_as_kerasvid(monkeypatch):
    monkeypatch.setattr("sys.argv", ["apps/reproduce.py"])
    monkeypatch.chdir(ROOT)
    assert command_line("data split-frames", "--seed=1") == "kerasvid data split-frames --seed=1"


# === Files, terminals and signals ===


def test_a_file_that_cannot_be_read_is_named_with_a_remedy(capsys):
    with pytest.raises(SystemExit) as end, one_line_errors(OSError):
        raise PermissionError(13, "Permission denied", "runs/x/config.json")
    line = "error: runs/x/config.json: Permission denied; check the permissions.\n"
    assert (end.value.code, capsys.readouterr().err) == (1, line)


def test_a_missing_folder_for_temporary_files_has_a_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [os.fspath(tmp_path / "no")])
    with pytest.raises(SystemExit), one_line_errors(OSError), quiet_unless_failing():
        pass
    line = capsys.readouterr().err
    assert "Set TMPDIR to a folder that can be written to." in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_text_can_be_printed_on_any_terminal(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr("sys.stderr", None)  # closed by the user
    print_any_character()
    print("↑ ━ ± 文 a\udcff", flush=True)
    print("nowhere", file=sys.stderr)
    text = written.getvalue().decode(encoding)
    assert text.endswith("a\\udcff\n")
    plain = {"ascii": "^ = +- \\u6587 ", "cp1252": "^ = ± \\u6587 ", "utf-8": "↑ ━ ± 文 "}
    assert text.startswith(plain[encoding])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--run_dir=~/runs/x", "--run_dir=/home/anna/runs/x"),
        ("--run_dir=~", "--run_dir=/home/anna"),
        ("~/x", "/home/anna/x"),
        ("--runs=~/a,~/b", "--runs=/home/anna/a,/home/anna/b"),
        ("--run=dsa=~/runs/dsa", "--run=dsa=/home/anna/runs/dsa"),
        ("--run_dir=a~/b", "--run_dir=a~/b"),
        ("--title=~ 5 clips", "--title=~ 5 clips"),
        ("--out=x~", "--out=x~"),
    ],
)
def test_the_home_folder_is_known_by_its_short_name(given, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert expand_home(given) == expected


def test_an_empty_value_is_not_the_current_folder(capsys):
    values = flags.FlagValues()
    Define(values).string("out", None, "Folder.")
    Define(values).string("title", None, "Title.")
    called = []
    with pytest.raises(SystemExit):
        run_app(called.append, values, "", ["--out="])
    line = "error: --out=: the value is empty. Give one, or omit the flag.\n"
    assert (called, capsys.readouterr().err) == ([], line)


def test_an_empty_text_is_a_text(capsys):
    values = flags.FlagValues()
    Define(values).string("title", None, "Title.")
    run_app(lambda rest: print("done"), values, "", ["--title="])
    assert capsys.readouterr().out == "done\n"


def test_ctrl_c_is_one_line_and_status_130(run_python):
    code = """
import os, signal
from kerasvid.cli.command import one_line_errors
signal.signal(signal.SIGINT, own := lambda *_: None)  # a test's process may ignore the signal
try:
    with one_line_errors():
        os.kill(os.getpid(), signal.SIGINT)
finally:
    print(signal.getsignal(signal.SIGINT) == own)
"""
    expected = (130, "True\n", "\nInterrupted. Run the same command again.\n")
    assert run_python("-c", code) == expected


def test_ctrl_c_that_comes_out_as_another_exception_is_one_line(run_python):
    code = """
import os, signal
from kerasvid.cli.command import one_line_errors
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test's process may ignore the signal
with one_line_errors(ValueError), one_line_errors(OSError):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # as some native modules do
        raise SystemError("lost")
"""
    expected = (130, "", "\nInterrupted. Run the same command again.\n")
    assert run_python("-c", code) == expected


def test_ctrl_c_during_a_finalizer_is_one_line(run_python):
    code = """
import os, signal
from kerasvid.cli.command import one_line_errors
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test's process may ignore the signal
class Closed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
with one_line_errors(ValueError), one_line_errors(OSError):
    Closed()
    print("went on")
"""
    expected = (130, "", "\nInterrupted. Run the same command again.\n")
    assert run_python("-c", code) == expected


@pytest.mark.parametrize("hidden", [False, True])
def test_ctrl_c_during_imports_ends_the_process_at_once(run_python, hidden):
    code = f"""
import contextlib, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test's process may ignore it
from kerasvid.cli.command import ends_at_once, quiet_unless_failing
hiding = quiet_unless_failing if {hidden} else contextlib.nullcontext
with ends_at_once(), hiding():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # as some native modules do
        raise ImportError("lost")
"""
    expected = (130, "", "\nInterrupted. Run the same command again.\n")
    assert run_python("-c", code) == expected


def test_ctrl_c_that_is_ignored_stays_ignored(run_python):
    code = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the shell does for `command &`
from kerasvid.cli.command import ends_at_once, one_line_errors
for block in (ends_at_once, one_line_errors):
    with block():
        os.kill(os.getpid(), signal.SIGINT)
print("done")
"""
    assert run_python("-c", code) == (0, "done\n", "")


# === Settings ===


def test_values_are_json_python_or_text():
    given = ["a=64", "b=[64,128]", "c=(1, 2)", "d=true", "e=2e-4", "f=full", "g.h=None"]
    expected = {
        "a": 64,
        "b": [64, 128],
        "c": (1, 2),
        "d": True,
        "e": 2e-4,
        "f": "full",
        "g.h": None,
    }
    assert parse_assignments(given) == expected


@pytest.mark.parametrize(
    ("given", "message"), [(["a"], "key=value"), (["=3"], "key=value"), (["a=1", "a=2"], "twice")]
)
def test_a_setting_without_key_or_value_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        parse_assignments(given)
