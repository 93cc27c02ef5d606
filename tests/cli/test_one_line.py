import pytest
import tensorflow as tf

from kerasvid.cli.command import one_line, one_line_errors
from kerasvid.naming import python_command

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
def test_of_a_failed_assertion_the_sentence_alone_is_told(assertion, expected, end):
    assert one_line(FAULT + assertion + end) == expected


def test_of_an_error_out_of_fit_what_it_says_alone_is_told():
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
    assert line.startswith("error: OOM when allocating; out of memory: use a smaller --batch_size")
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("why", ["No space left on device", "Too many open files"])
def test_other_things_may_be_exhausted_than_memory(why, capsys):
    with pytest.raises(SystemExit), one_line_errors(tf.errors.OpError):
        raise tf.errors.ResourceExhaustedError(None, None, f"a/events.v2; {why}")
    assert capsys.readouterr().err == f"error: a/events.v2; {why}\n"


def test_the_next_command_runs_the_same_python(monkeypatch, tmp_path):
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
