"""What the command-line apps share: a quiet start, and errors of one line."""

import contextlib
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

TRACEBACK = "KERASVID_TRACEBACK"  # set it to see where an error comes from


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
    """A message without line breaks; of a failed TensorFlow assertion, what it says alone.

    Example:
        >>> one_line("Graph execution error: ... assertion failed: [a.tfrecord] [: empty.] [[...")
        'a.tfrecord: empty.'
    """
    failed = re.search(r"assertion failed: \[(.*?)\]\s*(?:\[\[|\[Op:|\n|$)", message)
    if failed:
        message = failed[1].replace("] [", " ").replace(" : ", ": ")
    return " ".join(message.split())


@contextlib.contextmanager
def one_line_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turns these exceptions, and Ctrl-C, into one line on stderr and an exit status not 0.

    Example:
        >>> with one_line_errors(ValueError):
        ...     plan = make_plan(...)
    """
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
    except kinds as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(1)
