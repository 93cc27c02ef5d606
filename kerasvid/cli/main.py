"""The console command `kerasvid`: the name of a command, then its flags."""

import importlib
import sys
from collections.abc import Sequence

from kerasvid.cli.command import run_app
from kerasvid.naming import nearest_names

COMMANDS = {
    "train": ("kerasvid.cli.train", "Train a model, or resume a run."),
    "generate": ("kerasvid.cli.generate", "Write samples of a run as PNG, GIF and MP4."),
    "evaluate": ("kerasvid.cli.evaluate", "Measure a run beside real clips."),
    "reproduce": ("kerasvid.cli.reproduce", "Reproduce a published table."),
    "compare": ("kerasvid.cli.compare", "Make a comparison page for raters, or count answers."),
    "classifier": ("kerasvid.cli.classifier", "Train the classifier that metrics use."),
    "benchmark": ("kerasvid.cli.benchmark", "Measure data, training, generation or evaluation."),
    "client": ("kerasvid.cli.client", "Ask a model server for videos."),
    "replay": ("kerasvid.cli.replay", "Test the warm-up requests of an exported version."),
    "export saved-model": ("kerasvid.cli.to_saved_model", "Write a SavedModel."),
    "export tflite": ("kerasvid.cli.to_tflite", "Write a TFLite file."),
    "export onnx": ("kerasvid.cli.to_onnx", "Write an ONNX file."),
    "export serving-config": ("kerasvid.cli.serving_config", "Write the files of a model server."),
    "export web": ("kerasvid.cli.to_web", "Write a page that runs the model in a browser."),
    "export parity": ("kerasvid.cli.check_parity", "Compare all exported forms of a model."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        arguments: in place of those of the process: `["train", "--model=rjvae"]`.

    Raises:
        SystemExit: the command is unknown or fails; one line says why.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("help", "--help", "-h"):
        lines = [f"  {name:<20}{summary}" for name, (_, summary) in COMMANDS.items()]
        print(
            "\n".join(["kerasvid COMMAND --flag=value ...; COMMAND --help lists its flags", *lines])
        )
        return
    words = 2 if given[0] in {name.split()[0] for name in COMMANDS if " " in name} else 1
    name, rest = " ".join(given[:words]), given[words:]
    if name not in COMMANDS:
        print(f"error: kerasvid {name}: {nearest_names(name, COMMANDS)}", file=sys.stderr)
        sys.exit(1)
    command = importlib.import_module(COMMANDS[name][0])
    run_app(command.main, command.FLAGS, command.__doc__, rest)
