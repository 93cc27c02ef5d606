"""Trains a model on a data set, or resumes a run.

    kerasvid train --model=rjvae --dataset=sprites
    kerasvid train --model=dsa --dataset=/data/my-clips --set=motion_dim=32 --steps=20000

Run the same command again to resume. A larger --steps lengthens a finished run.
"""

import ast
import json
import sys
from collections.abc import Iterable
from typing import Any

import tabulate
from absl import flags

from kerasvid.cli import command
from kerasvid.models.registry import MODELS, PARAMETERS, SHIPPED, shipped_presets
from kerasvid.naming import command_line, nearest_names
from tfrecords_tools import registry

FLAGS = _F = flags.FlagValues()
define = command.Define(_F)
define.string("model", "rjvae", "Name of the model, see --list.")
define.string("preset", "base", "Name of the model's preset, see --list.")
define.multi_string("set", [], "Setting as key=value: latent_dim=64, training.learning_rate=2e-4. "
                    "Repeat the flag for more.")  # fmt: skip
define.data()
define.string("images", None, "Data set of images to train on beside the videos, for GANs.")
define.string("init_from", None, "Folder of a run whose weights the new run starts from.")
define.string("prior", None, "Kind of the prior fitted to the codes after training: gaussian, "
              "mixture, flow, nearest or flow_matching; by default the preset's.")  # fmt: skip
define.string("run_dir", None, "Folder of the run; by default runs/<model>-<dataset>.")
define.integer("steps", None, "Number of updates in all; by default the preset's.")
define.float("epochs", None, "Number of passes over the data, instead of --steps.")
define.integer("batch_size", None, "Videos a step, over all replicas; by default the preset's.")
define.integer("seed", 0, "Random seed of weights, noise and data order.", lower_bound=0)
define.device()
define.string("strategy", "none", "Devices to share a batch: none (one device), mirrored, "
              "mirrored:N or multi_worker.")  # fmt: skip
define.bool("deterministic", False, "Use of operations with reproducible results only.")
define.integer("log_every", 50, "Steps between rows of metrics.csv.", lower_bound=1)
define.integer("sample_every", 500, "Steps between samples and evaluations on held-out videos; "
               "0: no samples, one evaluation at the end.", lower_bound=0)  # fmt: skip
define.integer("checkpoint_every", 500, "Steps between checkpoints.", lower_bound=1)
define.list("keep_at", [], "Steps whose weights are kept in <run_dir>/kept, such as 250,1000.")
define.list("track", [], "Where metrics, samples and the model are sent, too: mlflow, wandb. The "
            "events for TensorBoard are always written.")  # fmt: skip
define.string("backup_to", None, "Folder in a store where the run is copied, and restored from on "
              "a new machine, such as s3://bucket/run; by default none.")  # fmt: skip
define.bool("dry_run", False, "Plan of the run, printed without starting it.")
define.bool("list", False, "List of the models, presets and data sets.")
_PASSED_ON = ("preset", "steps", "epochs", "batch_size", "strategy", "seed", "deterministic",
              "init_from", "images", "log_every", "sample_every", "checkpoint_every")  # fmt: skip


def main(argv: list[str]) -> None:
    with command.one_line_errors(ValueError):  # before TensorFlow is imported, which takes seconds
        if _F.list:
            return print(list_models(), list_weights(), list_datasets(), sep="\n\n")
        _check_name("model", _F.model, MODELS)
        _check_name("preset", _F.preset, PARAMETERS[_F.model])
        for dataset in filter(None, (_F.dataset, _F.images)):
            registry.check_name(dataset)
        values = command.parse_assignments(_F.set)
        if _F.prior is not None:
            values["training.prior"] = _F.prior
        command.parse_steps("keep_at", _F.keep_at)
    command.start_tensorflow()
    from kerasvid.training.backup import Backup
    from kerasvid.training.callbacks.trackers import check_trackers
    from kerasvid.training.devices import is_chief, make_strategy
    from kerasvid.training.loop import train
    from kerasvid.training.run_folder import ERRORS, RunFolder, default_folder
    from kerasvid.training.summary import describe_run

    run_dir = _F.run_dir or default_folder(_F.model, _F.dataset)
    with command.one_line_errors(ValueError, *ERRORS):
        trackers = check_trackers(_F.track)
        strategy = make_strategy(_F.strategy)  # before TensorFlow does anything else
        run, replicas = RunFolder(run_dir, is_chief(strategy)), strategy.num_replicas_in_sync
        backup = Backup(_F.backup_to, run) if _F.backup_to else None
        earlier = backup or run  # what the run may go on from
        config = _config(earlier, replicas, values, prepare=False)
        earlier.check_source(config)
        if config.data_is_known:  # what is not made yet cannot be compared
            earlier.check_unchanged(config)
        if _F.dry_run:
            if not config.data_digest and _F.epochs is not None:
                raise ValueError(f"--epochs={_F.epochs}: {_F.dataset} is not made yet, so the "
                                 "number of steps is unknown. Use --steps.")  # fmt: skip
            config.compile(model := config.make_model())  # refuses what cannot be trained
            return print(describe_run(config, model, run_dir))
        with run.lock():
            config = _config(earlier, replicas, values, prepare=True)  # refuses damaged data
            outcome = train(config, run, strategy, trackers, backup)
    if outcome.signal is None:
        done = "trained" if outcome.trained else "finished already (lengthen it with --steps)"
        print(f"\n{run_dir}: {done}: {outcome.step:,} steps, saved {outcome.saved}\nNext:\n"
              f"  {command_line('generate', f'--run_dir={run_dir}')}")  # fmt: skip
        return
    flags_given = sys.argv[2:] if sys.argv[1:2] == ["train"] else sys.argv[1:]
    print(f"\nstopped at step {outcome.step:,}, saved {outcome.saved}\nTo resume, run the same "
          f"command again:\n  {command_line('train', *flags_given)}")  # fmt: skip
    sys.exit(128 + outcome.signal)


def _check_name(flag: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"--{flag}={name}: unknown {flag}; {nearest_names(name, known)}.")


def _config(earlier, replicas: int, values: dict, prepare: bool):
    """The config of the flags; without `prepare` nothing is written, and data may be missing."""
    from kerasvid.training.config import make_config

    data = registry.locate(_F.dataset, _F.data_dir, _F.source_dir, prepare)
    images, made = None, None
    if _F.images:
        images, made = registry.locate(_F.images, _F.data_dir, None, prepare)
    passed_on: dict[str, Any] = {name: _F[name].value for name in _PASSED_ON}
    return make_config(
        *(_F.model, _F.dataset, *data),
        images_folder=images if made else None,
        values=values,
        replicas=replicas,
        precision=earlier.keep_precision(_F.precision),
        jit_compile=command.jit_compile(_F.jit_compile),
        keep_at=command.parse_steps("keep_at", _F.keep_at),
        **passed_on,
    )


def list_models() -> str:
    """A table of the models with their presets, made without importing them."""
    rows = []
    for model, counts in sorted(PARAMETERS.items()):
        name, title = model, command.summary_of(*MODELS[model].split(":"))
        lengths = training_lengths(model)
        for preset, count in counts.items():
            steps, videos = lengths[preset]
            rows.append((name, preset, f"{count / 1e6:.2f} M", f"{steps:,}", videos, title))
            name = title = ""
    heads = ("--model", "--preset", "parameters", "steps", "videos a step", "")
    return tabulate.tabulate(rows, heads, colalign=("left", "left", "right", "right", "right"))


def list_weights() -> str:
    """A table of the presets with weights that come with the package."""
    rows = []
    for name in shipped_presets():
        metadata = json.loads((SHIPPED / name / "metadata.json").read_text(encoding="utf-8"))
        rows.append((name, metadata["model"], metadata.get("data", {}).get("name"),
                     f"{metadata['parameters'] / 1e6:.2f} M"))  # fmt: skip
    heads = ("weights, of kerasvid generate --preset", "model", "trained on", "parameters")
    return tabulate.tabulate(rows, heads, colalign=("left", "left", "left", "right"))


def training_lengths(model: str) -> dict[str, tuple[int, int]]:
    """Steps and videos a step by preset, read from the model's file, which is not imported."""
    lengths, tree = {}, command.parsed_module(MODELS[model].partition(":")[0])
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".TRAINING"):
            table: Any = node.value
            for preset, call in zip(table.keys, table.values, strict=True):
                # 16 videos are the default of TrainConfig.
                given = {"batch_size": ast.Constant(16)} | {k.arg: k.value for k in call.keywords}
                lengths[preset.value] = given["steps"].value, given["batch_size"].value
    return lengths


def list_datasets() -> str:
    """A table of the known data sets."""
    rows = [(d.name, d.title, d.needs) for d in registry.DATASETS]
    rows.append(("/path/folder", "your own videos", "conversion by `kerasvid data folder`"))
    return tabulate.tabulate(rows, ("--dataset", "", "made from"))
