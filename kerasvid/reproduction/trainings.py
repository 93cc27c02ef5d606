"""The runs of a published table on one data set: their configs, and training or finding them."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from kerasvid.data import DatasetInfo
from kerasvid.models.registry import model_class
from kerasvid.naming import python_command
from kerasvid.reproduction.published import IMAGES, WHOLE, Table, Training
from kerasvid.training.callbacks.checkpoints import saved_step, saved_steps
from kerasvid.training.config import (
    RunConfig,
    apply_settings,
    digest_of,
    make_config,
    training_split,
)
from kerasvid.training.devices import make_strategy
from kerasvid.training.loop import train
from kerasvid.training.run_folder import ERRORS, RunError, RunFolder, default_folder
from kerasvid.training.summary import describe_plan

# Of a data set's name, "whole", "videos" or "images", and whether to make what is missing: its
# folder, and its description, which is `None` where it is missing.
Locate = Callable[[str, str, bool], tuple[str, DatasetInfo | None]]
SCHEDULES = ("schedule.steps", "training.decay_steps")  # end with the training


class Stopped(Exception):
    """A signal ended a training, of which a checkpoint is saved."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


@dataclasses.dataclass(frozen=True)
class Options:
    """How runs are trained where the paper does not tell.

    Args:
        preset: of all models; "paper" is each model's own for the data set.
        steps: updates of each run, instead of the paper's and the preset's.
        frames: T of clips, instead of the preset's.
        seed, precision: as for a single run.
        runs_dir: where runs are kept.
        runs: folders of finished or begun runs to take as they are, by key of the training.
        sample_every, checkpoint_every: steps.
        apps_dir: where the commands lie, for the lines that tell how to do the same by hand.
        data_flags: of these commands, that tell where data lie.
    """

    preset: str = "base"
    steps: int | None = None
    frames: int | None = None
    seed: int = 0
    precision: str = "auto"
    runs_dir: str = "runs"
    runs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sample_every: int = 500
    checkpoint_every: int = 500
    apps_dir: str = "apps"
    data_flags: tuple[str, ...] = ()


class Trainings:
    """The trainings of a table, each made once.

    Args:
        table: whose `trainings` they are.
        dataset: name of what is trained on.
        options: how.
        locate: finds or makes the data.

    Example:
        >>> trainings = Trainings(published_table("residual_vectors/2"), "sprites", options, locate)
        >>> run = trainings.ready("rjgan")  # trains, or resumes, or finds it finished
    """

    def __init__(self, table: Table, dataset: str, options: Options, locate: Locate):
        self.table, self.dataset, self.options, self.locate = table, dataset, options, locate
        self._outcomes: dict[str, tuple[RunConfig, RunFolder] | Exception] = {}
        unknown = sorted({*options.runs} - {*table.trainings})
        if unknown:
            known = ", ".join(table.trainings)
            raise ValueError(f"--run={unknown[0]}=...: {table.name} trains {known}.")

    # === What is to be done ===

    def is_given(self, key: str) -> bool:
        """Whether it is taken as it is."""
        return key in self.options.runs

    def folder(self, key: str) -> str:
        """Where the run is kept."""
        if self.is_given(key):
            return self.options.runs[key]
        training, preset = self.table.trainings[key], self.options.preset
        names = [self.dataset] if training.data == WHOLE else [self.dataset, training.data]
        names += [preset] if preset != "base" else []
        names += [f"seed-{self.options.seed}"] if self.options.seed else []
        name = os.path.basename(default_folder(key, "/".join(names)))
        return os.path.join(self.options.runs_dir, name)

    def preset(self, training: Training) -> str:
        """Name of the preset of a training's model."""
        preset = self.options.preset
        return training.published_preset if preset == "paper" else preset

    def load_config(self, key: str, make: bool = False) -> RunConfig:
        """The config of a run, as the table and the options say; `make` makes missing data.

        Raises:
            ValueError: the data does not fit, or cannot be made.
        """
        training, options = self.table.trainings[key], self.options
        folder, info = self.locate(self.dataset, training.data, make)
        beside = {}
        if training.with_images:
            images, made = self.locate(self.dataset, IMAGES, make)
            beside = {"images": images, "images_folder": images if made else None}
        if training.init_from:
            beside["init_from"] = self.folder(training.init_from)
        return make_config(
            training.model,
            self.dataset if training.data == WHOLE else folder,
            folder,
            info,
            preset=self.preset(training),
            values=self.values(training, info),
            steps=self.steps(training),
            precision=RunFolder(self.folder(key)).keep_precision(options.precision),
            seed=options.seed,
            sample_every=options.sample_every,
            checkpoint_every=options.checkpoint_every,
            **beside,
        )

    def planned(self, key: str) -> RunConfig:
        """The config of the run that there is, or else of the one that is to be.

        Raises:
            ValueError, RunError: as `config`; or a given run is not there.
        """
        run = RunFolder(self.folder(key))
        return run.load_config() if self.is_given(key) or run.exists() else self.config(key)

    def needed(self, keys: Iterable[str]) -> list[str]:
        """The keys of runs, and before each that of the run that it begins with."""
        found: dict[str, None] = {}
        for key in keys:
            source = self.table.trainings[key].init_from
            if source and not self.is_given(key):
                found.update(dict.fromkeys(self.needed([source])))
            found[key] = None
        return list(found)

    def steps(self, training: Training) -> int | None:
        """Updates of a run; `None` for the preset's, which a model without weights keeps."""
        training = model_class(training.model).TRAINING[self.preset(training)]
        return None if training.steps == 1 else self.options.steps or training.steps

    def values(self, training: Training, info: DatasetInfo | None) -> dict[str, Any]:
        """Hyper-parameters beside the preset's: the paper's, shorter clips, shorter schedules."""
        cls, values = model_class(training.model), dict(training.values)
        hyperparameters, training = apply_settings(cls, self.preset(training), values)
        if hyperparameters["frames"] > 1:  # makes videos
            wanted = self.options.frames or hyperparameters["frames"]
            span = training_split(info).min_length if info else wanted
            frames = min(wanted, 1 + (span - 1) // training.stride)
            if frames != hyperparameters["frames"]:
                values["frames"] = frames
        steps = self.steps(training)
        ends = {
            "schedule.steps": (hyperparameters.get("schedule") or {}).get("steps", 0),
            "training.decay_steps": training.decay_steps,
        }
        for name, end in ends.items():
            if steps and steps < end:
                values[name] = max(1, min(steps, round(end * steps / training.steps)))
        return values

    def command(self, key: str) -> str:
        """The line for the shell that trains the same run."""
        training, options = self.table.trainings[key], self.options
        folder, info = self.locate(self.dataset, training.data, False)
        name = self.dataset if training.data == WHOLE else folder
        flags = [f"--model={training.model}", f"--dataset={name}"]
        flags += options.data_flags if name == self.dataset else ()
        flags.append(f"--preset={self.preset(training)}")
        flags += [f"--set={k}={json.dumps(v)}" for k, v in self.values(training, info).items()]
        if steps := self.steps(training):
            flags.append(f"--steps={steps}")
        if training.with_images:
            flags.append(f"--images={self.locate(self.dataset, IMAGES, False)[0]}")
        if training.init_from:
            flags.append(f"--init_from={self.folder(training.init_from)}")
        defaults = {f.name: f.default for f in dataclasses.fields(Options)}
        flags += [f"--{name}={getattr(options, name)}"
                  for name in ("seed", "precision", "sample_every", "checkpoint_every")
                  if getattr(options, name) != defaults[name]]  # fmt: skip
        train_app = os.path.join(options.apps_dir, "train.py")
        return python_command(train_app, *flags, f"--run_dir={self.folder(key)}")

    def commands(self, key: str) -> list[str]:
        """As `command`, after those that make what the run needs first."""
        training, lines = self.table.trainings[key], []
        if self.is_given(key):
            return [f"# {key}: the run of {self.folder(key)} as it is"]
        if training.is_divided:
            whole, half = (self.locate(self.dataset, p, False)[0] for p in (WHOLE, IMAGES))
            flags = f"--data_dir={whole}", f"--out_dir={os.path.dirname(half)}"
            lines.append(shlex.join(["kerasvid", "data", "split-frames", *flags]))
        if training.init_from:
            lines += self.commands(training.init_from)
        return list(dict.fromkeys([*lines, self.command(key)]))

    def state(self, key: str) -> str:
        """What there is of a run: "finished, 1,000 steps", "not begun"."""
        run = RunFolder(self.folder(key))
        if not run.exists():
            return "not there" if self.is_given(key) else "not begun"
        step, last = saved_at(run), run.load_config().steps
        done = saved_step(run.model) >= last
        return f"finished, {step:,} steps" if done else f"{step:,} of {last:,} steps"

    # === Doing it ===

    def ready(self, key: str) -> tuple[RunConfig, RunFolder]:
        """The finished run, trained, resumed or found.

        Returns:
            Its config, and its folder.

        Raises:
            ValueError, RunError and the others of `run_folder.ERRORS`: it cannot be trained, or
                what is there is another run.
            Stopped: a signal came; the next call goes on from what is saved.
        """
        if key not in self._outcomes:
            try:
                self._outcomes[key] = self._trained(key)
            except (ValueError, *ERRORS) as error:
                self._outcomes[key] = error  # another row that needs it fails likewise, at once
        outcome = self._outcomes[key]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _trained(self, key: str) -> tuple[RunConfig, RunFolder]:
        training, run = self.table.trainings[key], RunFolder(self.folder(key))
        if self.is_given(key):
            config = self._given_plan(key, run)
        else:
            if training.init_from and not run.exists():
                self.ready(training.init_from)
            config = self.config(key, make=True)
            try:
                run.check_settings(config)
            except RunError as error:  # of the flag for a single run
                raise RunError(str(error).replace("--run_dir", "--runs_dir")) from error
        step = saved_at(run)
        if step > config.steps:
            raise RunError(
                f"{run.path}: has {step:,} steps, where {config.steps:,} are asked for; give another "
                "--runs_dir, or more --steps."
            )
        if saved_step(run.model) < config.steps:
            self._train(key, config, run)
        return config, run

    def _given_plan(self, key: str, run: RunFolder) -> RunConfig:
        """The config of a run that is taken as it is, where its data lies now."""
        training, config = self.table.trainings[key], run.load_config()
        if config.model != training.model:
            raise RunError(f"--run={key}={run.path}: is a run of {config.model}, not of "
                           f"{training.model}.")  # fmt: skip
        folder, info = self.locate(self.dataset, training.data, True)
        images = self.locate(self.dataset, IMAGES, True)[0] if training.with_images else None
        if digest_of(info, images) != config.data_digest:
            raise RunError(f"--run={key}={run.path}: has learned other data ({config.dataset}) than "
                           f"{folder}.")  # fmt: skip
        return dataclasses.replace(config, data_folder=folder, images_folder=images)

    def _train(self, key: str, config: RunConfig, run: RunFolder) -> None:
        keras.utils.clear_session()
        run.check_source(config)
        with run.lock():
            print(f"\n=== {key} ===\n{describe_plan(config, str(run.path))}", flush=True)
            run.begin(config)
            outcome = train(config, run, make_strategy("none"))
        if outcome.signal is not None:
            raise Stopped(outcome.signal)


def saved_at(run: RunFolder) -> int:
    """The newest step that a run has saved anything at; -1 where it has nothing."""
    return max([saved_step(run.model), *saved_steps(run.checkpoints)])
