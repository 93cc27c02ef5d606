"""Trains a model on a data set, or resumes.

    python apps/train.py --model=rjvae --dataset=sprites
    python apps/train.py --model=dsa --dataset=/data/my-clips --set motion_dim=32 --steps=20000

Running the same command again resumes; a longer --steps lengthens a finished run.
"""

import contextlib
import sys

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, start_tensorflow
from kerasvid.models.registry import MODELS
from kerasvid.naming import nearest_names

FLAGS = _F = flags.FlagValues()
flags.DEFINE_string("model", "rjvae", "Model, see --list.", flag_values=_F)
flags.DEFINE_string(
    "dataset", "sprites", "Data set, see --list, or a folder of records.", flag_values=_F
)
flags.DEFINE_string("data_dir", "data", "Where data sets live.", flag_values=_F)
flags.DEFINE_string("source_dir", None, "Raw material, for data sets that need it.", flag_values=_F)
flags.DEFINE_string(
    "images", None, "Data set of still images beside the videos, for GANs.", flag_values=_F
)
flags.DEFINE_string(
    "init_from", None, "A run whose weights to begin with, where they fit.", flag_values=_F
)
flags.DEFINE_string("preset", "base", "debug, base or paper.", flag_values=_F)
flags.DEFINE_multi_string(
    "set", [], "key=value: latent_dim=64, training.learning_rate=2e-4.", flag_values=_F
)
flags.DEFINE_integer("steps", None, "Updates in all; by default the preset's.", flag_values=_F)
flags.DEFINE_float("epochs", None, "Passes over the data, instead of --steps.", flag_values=_F)
flags.DEFINE_integer("batch_size", None, "Videos a step, over all replicas.", flag_values=_F)
flags.DEFINE_string(
    "precision", "auto", "auto, float32, mixed_bfloat16 or mixed_float16.", flag_values=_F
)
flags.DEFINE_enum(
    "jit_compile", "auto", ["auto", "true", "false"], "Compile gradients by XLA.", flag_values=_F
)
flags.DEFINE_string(
    "strategy", "none", "none, mirrored, mirrored:N or multi_worker.", flag_values=_F
)
flags.DEFINE_integer("seed", 0, "Of weights, noise and the order of videos.", flag_values=_F)
flags.DEFINE_string("run_dir", None, "By default runs/<model>-<dataset>.", flag_values=_F)
flags.DEFINE_bool(
    "deterministic", False, "Only operations with reproducible results.", flag_values=_F
)
flags.DEFINE_integer(
    "log_every", 50, "Steps between two rows of metrics.csv.", lower_bound=1, flag_values=_F
)
flags.DEFINE_integer("sample_every", 500, "Steps between pictures and figures on held-out videos; "
                     "0: no pictures, figures at the end.", lower_bound=0, flag_values=_F)  # fmt: skip
flags.DEFINE_integer(
    "checkpoint_every", 500, "Steps between checkpoints.", lower_bound=1, flag_values=_F
)
flags.DEFINE_bool("dry_run", False, "Print what would be done, and end.", flag_values=_F)
flags.DEFINE_bool("list", False, "Print the known models and data sets, and end.", flag_values=_F)
_PASSED_ON = ("preset", "steps", "epochs", "batch_size", "strategy", "seed", "deterministic",
              "init_from", "images", "log_every", "sample_every", "checkpoint_every")  # fmt: skip


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError):
        refuse_arguments(argv)
        if _F.model not in MODELS:  # before the long import
            raise ValueError(f"no model {_F.model!r}: {nearest_names(_F.model, MODELS)}.")
    start_tensorflow()
    from kerasvid.training import summary
    from kerasvid.training.devices import is_chief, make_strategy
    from kerasvid.training.loop import train
    from kerasvid.training.run_folder import ERRORS, RunFolder, default_folder
    from tfrecords_tools import registry

    if _F.list:
        return print(summary.describe_all(registry.DATASETS))
    run_dir = _F.run_dir or default_folder(_F.model, _F.dataset)
    with one_line_errors(ValueError, *ERRORS), contextlib.ExitStack() as held:
        strategy = make_strategy(_F.strategy)  # before anything else of TensorFlow runs
        run, replicas = RunFolder(run_dir, is_chief(strategy)), strategy.num_replicas_in_sync
        config = _config(run, replicas, prepare=False)  # finds typing errors before any long work
        run.check_source(config)
        if _F.dry_run:
            if config.data_is_known:  # what is not made yet cannot be compared
                run.check_settings(config)
            if not config.data_digest and _F.epochs is not None:
                raise ValueError(f"--epochs={_F.epochs}: {_F.dataset} is not made yet, so there "
                                 "is no telling its steps; give --steps.")  # fmt: skip
            return print(summary.describe_plan(config, run_dir))
        held.enter_context(run.lock())
        config = _config(run, replicas, prepare=True)
        print(summary.describe_plan(config, run_dir), flush=True)
        run.begin(config)
        outcome = train(config, run, strategy)
    print("\n" + summary.describe_end(outcome, run_dir, sys.argv))
    sys.exit(128 + outcome.signal if outcome.signal else 0)


def _config(run, replicas: int, prepare: bool):
    """The config of the flags; without `prepare` nothing is written, and data may be missing."""
    from kerasvid.training.config import make_config, parse_assignments
    from tfrecords_tools.registry import locate

    data = locate(_F.dataset, _F.data_dir, _F.source_dir, prepare)
    images, made = locate(_F.images, _F.data_dir, None, prepare) if _F.images else (None, None)
    return make_config(
        *(_F.model, _F.dataset, *data),
        images_folder=images if made else None,
        values=parse_assignments(_F.set),
        replicas=replicas,
        precision=run.keep_precision(_F.precision),
        jit_compile={"true": True, "false": False}.get(_F.jit_compile, "auto"),
        **{name: _F[name].value for name in _PASSED_ON},
    )
