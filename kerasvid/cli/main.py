"""The console command `kerasvid`: the name of a command, then its flags."""

import importlib
import sys
from collections.abc import Sequence

import kerasvid
from kerasvid.cli.command import one_line_errors, run_app
from kerasvid.naming import nearest_names

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
    "data folder": ("tfrecords_tools.converters.folder", "Convert a folder of videos or images."),
    "data chairs": ("tfrecords_tools.converters.chairs", "Convert the rendered chairs."),
    "data golf": ("tfrecords_tools.converters.golf", "Convert the golf clips."),
    "data moments": ("tfrecords_tools.converters.moments", "Convert Moments in Time."),
    "data mug": ("tfrecords_tools.converters.mug", "Convert the MUG faces."),
    "data oulu-casia": ("tfrecords_tools.converters.oulu_casia", "Convert the Oulu-CASIA faces."),
    "data weizmann": ("tfrecords_tools.converters.weizmann", "Convert the Weizmann actions."),
    "data shapes": ("tfrecords_tools.synthetic.shapes", "Draw moving shapes."),
    "data sprites": ("tfrecords_tools.synthetic.sprites", "Draw characters in actions."),
    "data turntable": ("tfrecords_tools.synthetic.turntable", "Draw solids that turn."),
    "data hold-out-pairs": ("tfrecords_tools.hold_out_pairs", "Hold out pairs of two factors."),
    "data split-frames": ("tfrecords_tools.split_frames", "Split videos into clips and images."),
    "data verify": ("tfrecords_tools.verify", "Check the records of a data set."),
}
GROUPS = {name.split()[0] for name in COMMANDS if " " in name}


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
