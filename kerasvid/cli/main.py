"""The console command `kerasvid`: the name of a command, then its flags."""

import importlib
import os
import sys
from collections.abc import Iterable, Sequence

import tabulate

import kerasvid
from kerasvid.cli.command import (
    ends_at_once,
    expand_home,
    one_line_errors,
    print_any_character,
    run_app,
    start_tensorflow,
    summary_of,
)
from kerasvid.naming import nearest_names
from tfrecords_tools.registry import COMMANDS as DATA

# The module of each command. The first line of its docstring says what it does.
COMMANDS = {
    "train": "kerasvid.cli.train",
    "fit-prior": "kerasvid.cli.fit_prior",
    "generate": "kerasvid.cli.generate",
    "demo": "kerasvid.cli.demo",
    "write-samples": "kerasvid.cli.write_samples",
    "evaluate": "kerasvid.cli.evaluate",
    "reproduce": "kerasvid.cli.reproduce",
    "compare": "kerasvid.cli.compare",
    "classifier": "kerasvid.cli.classifier",
    "benchmark": "kerasvid.cli.benchmark",
    "list": "kerasvid.cli.train",
    "export preset": "kerasvid.cli.to_preset",
    "export saved-model": "kerasvid.cli.to_saved_model",
    "export tflite": "kerasvid.cli.to_tflite",
    "export onnx": "kerasvid.cli.to_onnx",
    "export web": "kerasvid.cli.to_web",
    "export parity": "kerasvid.cli.check_parity",
    "export serving-config": "kerasvid.cli.serving_config",
    "client": "kerasvid.cli.client",
    "replay": "kerasvid.cli.replay",
    **{f"data {name}": module for name, module in DATA.items()},
}
GROUPS = ("data", "export")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        arguments: in place of those of the process: `["train", "--model=rjvae"]`.

    Raises:
        SystemExit: the command is unknown or fails. One line on stderr says why.
    """
    given = [expand_home(text) for text in (sys.argv[1:] if arguments is None else arguments)]
    print_any_character()
    try:
        with one_line_errors(OSError):
            with ends_at_once():
                _run(given)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        sys.exit(141)
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # Python would try it once more, and print a trace
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(given: list[str]) -> None:
    if given[:1] in ([], ["help"], ["--help"], ["-h"]):
        return print(_usage(COMMANDS))
    if given == ["--version"]:
        return print(kerasvid.__version__)
    words = 2 if given[0] in GROUPS else 1
    name, rest = " ".join(given[:words]), given[words:]
    if given[0] in GROUPS and given[1:2] in ([], ["--help"], ["-h"]):
        return print(_usage([each for each in COMMANDS if each.split()[0] == given[0]]))
    with one_line_errors(ValueError):
        if name not in COMMANDS:
            raise ValueError(f"kerasvid {name}: unknown command; {nearest_names(name, COMMANDS)}.")
    if given[0] == "data":
        start_tensorflow()
        module = importlib.import_module(COMMANDS[name])
        with one_line_errors(OSError, importlib.import_module("tensorflow").errors.OpError):
            return module.main(rest)
    module = importlib.import_module(COMMANDS[name])
    if name == "list":
        rest = ["--list", *rest]
    run_app(module.main, module.FLAGS, module.__doc__, rest, positional=name == "replay")


def _usage(names: Iterable[str]) -> str:
    lines = ["Usage: kerasvid COMMAND --flag=value ...; COMMAND --help lists the flags.",
             "kerasvid list shows the models, presets and data sets."]  # fmt: skip
    rows = [(f"kerasvid {name}", summary_of(COMMANDS[name])) for name in names if name != "list"]
    return "\n".join([*lines, "", tabulate.tabulate(rows, tablefmt="plain")])
