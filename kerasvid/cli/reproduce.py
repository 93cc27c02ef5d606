"""Reproduces a published table: trains or reuses its runs, and compares our numbers with it.

    kerasvid reproduce --list
    kerasvid reproduce --table=residual_vectors/3 --source_dir=my-strips --dry_run
    kerasvid reproduce --table=residual_vectors/2 --dataset=sprites --seeds=3
    kerasvid reproduce --table=sprites_disentanglement --run=dsa=runs/dsa-sprites-lpc

Run the same command again to resume unfinished runs and to measure missing numbers.
"""

import sys
from typing import Any

from absl import flags

from kerasvid.cli.command import (
    PRECISIONS,
    Define,
    none_or_text,
    one_line_errors,
    start_tensorflow,
)
from kerasvid.reproduction.published import describe_tables, published_table

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("table", None, "Name of a table (see --list).")
define.list("dataset", [], "Names of data sets to train on; default: the tables' substitutes.")
define.string("data_dir", "data", "Folder that data sets are kept in.")
define.string("source_dir", None, "Folder of the raw files, for data sets made of files.")
define.string("out_dir", "reproduced", "Folder of the table, as JSON and Markdown.")
define.string("runs_dir", "runs", "Folder of the table's runs.")
define.multi_string("run", [], "Existing run to use unchanged, as name=folder.")
define.string("preset", "base", "Preset of all models; paper: the published sizes.")
define.integer("steps", None, "Steps of each run; default: the table's.", lower_bound=1)
define.integer("frames", None, "Frames of a clip; default: the preset's.", lower_bound=1)
define.integer("seed", 0, "Random seed of trainings and measurements.", lower_bound=0)
define.integer("seeds", 1, "Trainings of each row, with seeds from --seed on.", lower_bound=1)
define.enum("precision", "auto", PRECISIONS, "Number format; auto: what the device is fast at.")
define.integer("sample_every", 500, "Steps between samples; 0: none.", lower_bound=0)
define.integer("checkpoint_every", 500, "Steps between checkpoints.", lower_bound=1)
define.integer("num", None, "Number of clips; default: the published one.", lower_bound=2)
define.string("split", None, "Split of the real clips; default: the table's.")
define.string("classifier_dir", "classifiers", "Folder of the classifiers, trained on first use.")
define.string("i3d_weights", "auto", "Weights of I3D for FVD: a path, auto, or none: a classifier.")
define.string("vgg_weights", None, "Weights of VGG16 for MCS, or imagenet; default: a classifier.")
define.string("padding", "mirror", "Padding of clips below 10 frames for I3D: last, mirror, loop.")
define.bool("dry_run", False, "Plan only: rows, commands and deviations, without training.")
define.bool("list", False, "List of the known tables.")
_CONFIG = ("seed", "precision", "sample_every", "checkpoint_every")
_RUNS = ("preset", "steps", "frames", "runs_dir", "data_dir", "source_dir")
_EVALUATION = ("num", "split", "seed", "classifier_dir", "i3d_weights", "vgg_weights", "padding")


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError):  # before TensorFlow is imported, which takes seconds
        if _F.list:
            return print(describe_tables())
        if not _F.table:
            raise ValueError("--table is missing. Give a name of --list.")
        table = published_table(_F.table)
        given = dict(text.partition("=")[::2] for text in _F.run)
        if wrong := [name for name, folder in given.items() if not (name and folder)]:
            raise ValueError(f"--run={wrong[0]}: no folder. Write name=folder.")
    start_tensorflow()
    from kerasvid.evaluation.context import EvaluationConfig
    from kerasvid.reproduction.runner import Reproduction
    from kerasvid.reproduction.runs import Stopped, TableRuns
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        config = {name: _F[name].value for name in _CONFIG if _F[name].value != _F[name].default}
        fields: dict[str, Any] = {name: _F[name].value for name in _RUNS}
        runs = TableRuns(table, config=config, given=given, **fields)
        fields = {name: _F[name].value for name in _EVALUATION}
        fields["i3d_weights"] = none_or_text(_F.i3d_weights)
        evaluation = EvaluationConfig(**fields)
        reproduction = Reproduction(runs, evaluation, tuple(_F.dataset), _F.out_dir, _F.seeds)
        if _F.dry_run:
            return print(reproduction.describe())
        try:
            made = reproduction.run()
        except Stopped as stopped:
            print("Stopped. Run the same command again to continue.", file=sys.stderr)
            sys.exit(128 + stopped.args[0])
        print(f"\n{made.markdown()}")
        print(*made.write(_F.out_dir, reproduction.name), sep="\n")
        if problems := made.problems():
            rest = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            raise ValueError(f"{problems[0]}{rest} Run the same command again to continue.")
