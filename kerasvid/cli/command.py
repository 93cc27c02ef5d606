"""What the commands of `kerasvid` share: flags, a quiet start and errors of one line."""

import ast
import codecs
import contextlib
import functools
import importlib.util
import io
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from absl import flags

from kerasvid.io import described, one_line

TRACEBACK = "KERASVID_TRACEBACK"  # set this variable to see where an error comes from
INTERRUPTED = "\nInterrupted. Run the same command again."
PRECISIONS = ["auto", "float32", "mixed_bfloat16", "mixed_float16"]  # as `resolve_precision`
TEXTS = {"title", "question", "description"}  # flags whose value may be empty
# For terminals that lack these characters. Others become \uXXXX.
PLAIN = {"━": "=", "↑": "^", "↓": "v", "±": "+-", "×": "x", "…": "...", "–": "-"}


class Define:
    """Defines the flags of one command, with the arguments of absl's `DEFINE_string` and so on.

    Example:
        >>> FLAGS = _F = flags.FlagValues()
        >>> define = Define(_F)
        >>> define.integer("count", 8, "Number of samples.", lower_bound=1)
    """

    def __init__(self, values: flags.FlagValues):
        self._values = values

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        return functools.partial(getattr(flags, f"DEFINE_{kind}"), flag_values=self._values)

    def data(self) -> None:
        """Defines --dataset, --data_dir and --source_dir."""
        self.string("dataset", "sprites", "Name of a data set (see --list), or its folder.")
        self.string("data_dir", "data", "Folder that data sets are kept in.")
        self.string("source_dir", None, "Folder of the raw files, for data sets made of files.")

    def device(self) -> None:
        """Defines --precision and --jit_compile."""
        self.enum("precision", "auto", PRECISIONS, "Number format of the computation; auto: what "
                  "the device is fast at.")  # fmt: skip
        self.enum("jit_compile", "auto", ["auto", "true", "false"], "Compilation by XLA; auto: on "
                  "GPU and TPU.")  # fmt: skip


def jit_compile(text: str) -> str | bool:
    """The value of --jit_compile as Keras takes it."""
    return {"true": True, "false": False}.get(text, "auto")


def none_or_text(text: str | None) -> str | None:
    """The value of a flag that the word `none` leaves out."""
    return None if text == "none" else text


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """The values of `--set`, by key: JSON or a Python literal, otherwise text.

    Example:
        >>> parse_assignments(["latent_dim=64", "encoder.channels=[64,128]", "posterior=full"])
        {'latent_dim': 64, 'encoder.channels': [64, 128], 'posterior': 'full'}

    Raises:
        ValueError: an assignment has no key or no `=`, or a key occurs twice.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ValueError(f"--set={assignment}: no key or no '='. Write --set=key=value.")
        if key in values:
            raise ValueError(f"--set={assignment}: {key} is set twice. Set it once.")
        values[key] = text
        for parse in (ast.literal_eval, json.loads):  # the last one that succeeds
            with contextlib.suppress(ValueError, SyntaxError):
                values[key] = parse(text)
    return values


def parse_steps(flag: str, texts: Sequence[str]) -> list[int]:
    """The numbers of a flag of steps, in ascending order, each once; raises a ValueError."""
    if wrong := [text for text in texts if not re.fullmatch(r"\d{1,9}", text)]:
        raise ValueError(f"--{flag}={wrong[0]}: not a number of steps. Write --{flag}=250,1000.")
    return sorted({int(text) for text in texts})


def parsed_module(module: str) -> ast.Module:
    """The syntax tree of a module, which is not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module}: no such module. Install kerasvid again.")
    return ast.parse(pathlib.Path(spec.origin).read_text(encoding="utf-8"))


def summary_of(module: str, cls: str = "") -> str:
    """The first line of the docstring of a module, or of a class in it, without importing it."""
    tree = parsed_module(module)
    node: Any = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls), tree)
    return (ast.get_docstring(node) or "").partition("\n")[0]


def run_app(
    main: Callable[[list[str]], None],
    values: flags.FlagValues,
    description: str | None,
    arguments: Sequence[str] | None = None,
    positional: bool = False,
) -> None:
    """Parses the flags of a command and runs it.

    Args:
        main: called with the program's name and the arguments that are not flags.
        values: the flags.
        description: for --help.
        arguments: in place of those of the process.
        positional: whether the command takes arguments that are not flags.

    Raises:
        SystemExit: an argument is wrong. One line on stderr says why, and the status is 1.
    """
    flags.DEFINE_bool("help", False, "Print this text and exit.", flag_values=values)
    given = sys.argv[1:] if arguments is None else arguments
    if "--help" in given or "-h" in given:
        print(f"{description}\n{values.get_help(include_special_flags=False)}")
        return
    with one_line_errors(flags.Error, ValueError):
        rest = values([sys.argv[0], *given])
        if rest[1:] and not positional:  # such as `-set x=1` or `model=dsa`
            raise ValueError(f"{rest[1]!r} is not a flag. Write --flag=value.")
        for name in set(values) - TEXTS:  # such as --out=$UNSET
            if values[name].present and values[name].value == "":
                raise ValueError(f"--{name}=: the value is empty. Give one, or omit the flag.")
    main(rest)


def expand_home(argument: str) -> str:
    """An argument of a command in which each `~` that begins a path is the home folder.

    A path begins the argument, or follows `=` or `,`: the shell expands the first only.

    Example:
        >>> expand_home("--run=dsa=~/runs/dsa")
        '--run=dsa=/home/anna/runs/dsa'
    """
    return re.sub(
        r"(?:(?<=[=,])|^)~[\w.-]*(?=[/,]|$)", lambda m: os.path.expanduser(m[0]), argument
    )


def print_any_character() -> None:
    """Makes stdout and stderr print every text: in any encoding, and to nowhere if closed."""
    codecs.register_error("kerasvid", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="kerasvid")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The stand-ins for characters that cannot be encoded, as an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    known = (PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(known), error.end


@contextlib.contextmanager
def quiet_unless_failing(*kinds: type[BaseException]) -> Iterator[None]:
    """Hides stderr, also of C++ code; shows it if the block fails, except with one of `kinds`."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, (KeyboardInterrupt, *kinds)):
                hidden.seek(0)
                os.write(terminal, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def start_tensorflow() -> None:
    """Imports TensorFlow without the harmless lines that it prints about CUDA and oneDNN."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the shell or keras.json says
    with ends_at_once(), quiet_unless_failing():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()


@contextlib.contextmanager
def _on_interrupt(handler: Any) -> Iterator[None]:
    """Sets what Ctrl-C does; nothing where it is ignored, or outside of the main thread."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(terminal: int) -> None:
    """Ends the process at once: one line to this file, and the status of Ctrl-C."""
    os.write(terminal, f"{INTERRUPTED}\n".encode())
    os._exit(130)


@contextlib.contextmanager
def ends_at_once() -> Iterator[None]:
    """Within the block, Ctrl-C ends the process at once with one line and the status 130.

    It is for imports: they leave nothing behind, and some of them lose a KeyboardInterrupt.
    """
    terminal = os.dup(2)  # stderr may be hidden when the signal comes
    try:
        with _on_interrupt(lambda *_: _end(terminal)):
            yield
    finally:
        os.close(terminal)


@contextlib.contextmanager
def _one_line_interrupt() -> Iterator[None]:
    """Turns Ctrl-C within the block into one line on stderr and the status 130.

    A KeyboardInterrupt that passes through native code may come out as another exception, so every
    exception after Ctrl-C counts as one. A finalizer drops it, so there it ends the process.
    """
    interrupted, report = False, sys.unraisablehook

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def dropped(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _end(2)
        report(unraisable)

    sys.unraisablehook = dropped
    try:
        with _on_interrupt(interrupt):
            yield
    except SystemExit:
        raise
    except BaseException as error:
        if not (interrupted or isinstance(error, KeyboardInterrupt)):
            raise
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(130)
    finally:
        sys.unraisablehook = report


@contextlib.contextmanager
def one_line_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turns these exceptions and Ctrl-C into one line on stderr and an exit status other than 0."""
    try:
        with _one_line_interrupt():
            yield
    except BrokenPipeError:  # `kerasvid.cli.main` ends quietly
        raise
    except kinds as error:
        if os.environ.get(TRACEBACK):
            raise
        text, kind = described(error), type(error).__name__  # TensorFlow may not be imported
        text, full = one_line(text), re.search("No space|quota|open files", text)
        if kind == "ResourceExhaustedError" and not full:
            text += "; out of memory. Use a smaller --batch_size or fewer frames (--set=frames=T)."
        if kind == "PermissionDeniedError":
            text += ". Check the permissions."
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)
