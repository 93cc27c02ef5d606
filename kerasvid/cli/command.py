"""What the command-line apps share: a quiet start, and errors of one line."""

import contextlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

from absl import flags

TRACEBACK = "KERASVID_TRACEBACK"  # set it to see where an error comes from


def run_app(
    main: Callable[[list[str]], None],
    values: flags.FlagValues,
    description: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Parses the flags of a command and runs it; a mistake in the flags is one line.

    Args:
        main: called with the program's name and what is no flag.
        values: its flags.
        description: for --help.
        arguments: in place of those of the process.

    Raises:
        SystemExit: a mistake; the process then ends with status 1.
    """
    flags.DEFINE_bool("help", False, "Show this text.", flag_values=values)
    given = sys.argv[1:] if arguments is None else arguments
    if "--help" in given or "-h" in given:
        print(f"{description}\n{values.get_help(include_special_flags=False)}")
        return
    try:
        rest = values([sys.argv[0], *given])
    except flags.Error as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(1)
    main(rest)


def start_tensorflow() -> None:
    """Imports TensorFlow without the harmless lines that it prints about CUDA and oneDNN."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            tensorflow = importlib.import_module("tensorflow")
            tensorflow.config.list_physical_devices()
        except BaseException:
            hidden.seek(0)
            os.write(terminal, hidden.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def refuse_arguments(argv: list[str]) -> None:
    """Raises ValueError if anything but flags was given: `-set x=1`, `model=dsa`."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag: write --flag=value.")


def one_line(message: str) -> str:
    """A message without line breaks; of an error out of a graph, what it says alone.

    Example:
        >>> one_line("Graph execution error: ... assertion failed: [a.tfrecord] [: empty.] [[...")
        'a.tfrecord: empty.'
    """
    failed = re.search(r"assertion failed: \[(.*?)\]\s*(?:\[\[|\[Op:|\n|$)", message)
    # Out of `fit`, a stack trace comes before what is said, and the node after it.
    said = re.search(r"^(.*\S.*)\n\s*\[\[\{\{node", message, re.MULTILINE)
    if failed:
        message = failed[1].replace("] [", " ").replace(" : ", ": ")
    elif said:
        message = said[1]
    return " ".join(message.split())


def remedy(error: BaseException) -> str:
    """What to do about an error that does not say so itself; mostly nothing is known."""
    exhausted = type(error).__name__ == "ResourceExhaustedError"  # TensorFlow: maybe not imported
    if exhausted and not re.search("No space|quota|open files", str(error)):
        return "; out of memory: use a smaller --batch_size, or fewer frames by --set frames=T."
    return ""


@contextlib.contextmanager
def one_line_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turns these exceptions, and Ctrl-C, into one line on stderr and an exit status not 0.

    Example:
        >>> with one_line_errors(ValueError):
        ...     config = make_config(...)
    """
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted; the same command begins again from what is saved", file=sys.stderr)
        sys.exit(130)
    except kinds as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"error: {one_line(str(error))}{remedy(error)}", file=sys.stderr)
        sys.exit(1)
