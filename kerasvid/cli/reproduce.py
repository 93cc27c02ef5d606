"""Reproduces a published table: trains or reuses its runs, and shows ours beside the paper's.

    python apps/reproduce.py --list
    python apps/reproduce.py --table=residual_vectors/3 --source_dir=my-strips --dry_run
    python apps/reproduce.py --table=sprites_disentanglement --run=dsa=runs/dsa-sprites-lpc

Running the same command again resumes what is unfinished and measures what is missing.
"""

import os
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("table", None, "Table, see --list.", flag_values=_F)
flags.DEFINE_list(
    "dataset", [], "Data sets to train on, instead of the usual stand-ins.", flag_values=_F
)
flags.DEFINE_string("data_dir", "data", "Where data sets live.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Raw material, for data sets that need it.", flag_values=_F)
flags.DEFINE_string(
    "out_dir", "reproduced", "Where the table is written, as JSON and Markdown.", flag_values=_F
)
flags.DEFINE_string("runs_dir", "runs", "Where its runs are kept.", flag_values=_F)
flags.DEFINE_multi_string(
    "run", [], "training=folder: a run there is to take as it is.", flag_values=_F
)
flags.DEFINE_string(
    "preset", "base", "debug, base, or paper for the published sizes.", flag_values=_F
)
flags.DEFINE_integer(
    "steps", None, "Updates of each run; schedules are shortened.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "frames", None, "Frames of clips, instead of the preset's.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "seed", 0, "Of trainings and of what is measured.", lower_bound=0, flag_values=_F
)
flags.DEFINE_string(
    "precision", "auto", "auto, float32, mixed_bfloat16 or mixed_float16.", flag_values=_F
)
flags.DEFINE_integer(
    "sample_every", 500, "Steps between pictures; 0: none.", lower_bound=0, flag_values=_F
)
flags.DEFINE_integer(
    "checkpoint_every", 500, "Steps between checkpoints.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer(
    "num", None, "Clips to measure; by default as published.", lower_bound=2, flag_values=_F
)
flags.DEFINE_string("split", None, "Of real clips that are compared to.", flag_values=_F)
flags.DEFINE_string(
    "classifier_dir",
    "classifiers",
    "Where classifiers are kept, trained once a data set.",
    flag_values=_F,
)
flags.DEFINE_string(
    "i3d_weights", None, "Weights of the Kinetics I3D: FVD as published.", flag_values=_F
)
flags.DEFINE_string(
    "vgg_weights", None, "Path of VGG16's, or imagenet: MCS as published.", flag_values=_F
)
flags.DEFINE_string(
    "padding", None, "For I3D of fewer than 10 frames: last, mirror or loop.", flag_values=_F
)
flags.DEFINE_bool(
    "dry_run", False, "Print rows, commands, deviations and what exists, and end.", flag_values=_F
)
flags.DEFINE_bool("list", False, "Print the known tables, and end.", flag_values=_F)
_TRAINING = ("preset", "steps", "frames", "seed", "precision", "runs_dir", "sample_every",
             "checkpoint_every")  # fmt: skip
_MEASURING = ("num", "split", "seed", "classifier_dir", "i3d_weights", "vgg_weights", "padding")


def main(argv: list[str]) -> None:
    start_tensorflow()
    from kerasvid.reproduction.measuring import Measuring
    from kerasvid.reproduction.registry import describe_tables, published_table
    from kerasvid.reproduction.table import Reproduction
    from kerasvid.reproduction.trainings import Options, Stopped
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        refuse_arguments(argv)
        if _F.list:
            return print(describe_tables())
        if not _F.table:
            raise ValueError("--table is missing: --list tells the tables.")
        reproduction = Reproduction(
            published_table(_F.table),
            Options(
                runs=_given_runs(),
                apps_dir=os.path.dirname(sys.argv[0]),
                data_flags=_data_flags(),
                **{name: _F[name].value for name in _TRAINING},
            ),
            Measuring(**{name: _F[name].value for name in _MEASURING}),
            _locate,
            tuple(_F.dataset),
            _F.out_dir,
        )
        if _F.dry_run:
            return print(reproduction.describe())
        try:
            made = reproduction.run()
        except Stopped as stopped:
            print("stopped; the same command goes on from what is saved", file=sys.stderr)
            sys.exit(128 + stopped.signal)
        print(f"\n{made.markdown()}")
        print("\n".join(map(str, made.write(_F.out_dir, reproduction.name))))
        if problems := made.problems():
            rest = f"; and {len(problems) - 1} more" if problems[1:] else ""
            raise ValueError(f"{problems[0]}{rest}. The same command goes on with what is missing.")


def _given_runs() -> dict[str, str]:
    """Folders by key, of --run."""
    pairs = [text.partition("=") for text in _F.run]
    for key, _, folder in pairs:
        if not key or not folder:
            raise ValueError(f"--run={key}: write training=folder, as in dsa=runs/dsa-sprites-lpc.")
    return {key: folder for key, _, folder in pairs}


def _data_flags() -> tuple[str, ...]:
    names = [name for name in ("data_dir", "source_dir") if _F[name].value != _F[name].default]
    return tuple(f"--{name}={_F[name].value}" for name in names)


def _locate(name: str, part: str, make: bool):
    """The folder of a data set or of a half of it, and its description."""
    from tfrecords_tools.derived.split_frames import locate_half
    from tfrecords_tools.registry import locate

    if part == "whole":
        return locate(name, _F.data_dir, _F.source_dir, make)
    return locate_half(name, part, _F.data_dir, _F.source_dir, make)
