"""The console command `kerasvid`: the name of a command, then its flags."""

import importlib
import sys
from collections.abc import Sequence

import kerasvid
from kerasvid.cli.command import one_line_errors, run_app
from kerasvid.naming import nearest_names
from tfrecords_tools.registry import COMMANDS as DATA

# By name, the module and what it does.
COMMANDS = {
    "train": ("kerasvid.cli.train", "Train a model, or resume a run."),
    "generate": ("kerasvid.cli.generate", "Write samples of a run as PNG, GIF and MP4."),
    "evaluate": ("kerasvid.cli.evaluate", "Compute metrics of a run."),
    "reproduce": ("kerasvid.cli.reproduce", "Reproduce a published table."),
    "compare": ("kerasvid.cli.compare", "Make a comparison page for raters, or count answers."),
    "classifier": ("kerasvid.cli.classifier", "Train the classifier that metrics use."),
    "benchmark": ("kerasvid.cli.benchmark", "Measure the speed of data, training or generation."),
    "list": ("kerasvid.cli.train", "List models, presets and data sets."),
    "export saved-model": ("kerasvid.cli.to_saved_model", "Write a SavedModel."),
    "export tflite": ("kerasvid.cli.to_tflite", "Write a TFLite file."),
    "export onnx": ("kerasvid.cli.to_onnx", "Write an ONNX file."),
    "export web": ("kerasvid.cli.to_web", "Write a page that runs the model in a browser."),
    "export parity": ("kerasvid.cli.check_parity", "Compare all exported forms of a model."),
    "export serving-config": ("kerasvid.cli.serving_config", "Write model server configuration."),
    "client": ("kerasvid.cli.client", "Request videos from a model server."),
    "replay": ("kerasvid.cli.replay", "Send recorded requests to a model server."),
    **{f"data {name}": (module, "Make or check a data set.") for name, module in DATA.items()},
}
GROUPS = ("data", "export")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        arguments: in place of those of the process: `["train", "--model=rjvae"]`.

    Raises:
        SystemExit: the command is unknown or fails. One line on stderr says why.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
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
    module = importlib.import_module(COMMANDS[name][0])
    if given[0] == "data":
        return module.main(rest)
    if name == "list":
        rest = ["--list", *rest]
    run_app(module.main, module.FLAGS, module.__doc__, rest)


def _usage(names: Sequence[str]) -> str:
    lines = [f"  kerasvid {name:<22}{COMMANDS[name][1]}" for name in names]
    return "\n".join(["Usage: kerasvid COMMAND --flag=value ... (COMMAND --help lists flags)", *lines])
