"""What all commands share: settings, errors of one line, and the commands that they name next."""

import pathlib

import pytest
import tensorflow as tf

from kerasvid.cli.command import one_line, one_line_errors, parse_assignments
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
