"""The runs of a published table on one data set: their configs, training them or finding them."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kerasvid.data import DatasetInfo
from kerasvid.data.pipeline import window_span
from kerasvid.models.registry import model_class
from kerasvid.naming import command_line
from kerasvid.reproduction.published import IMAGES, WHOLE, Table
from kerasvid.training.callbacks.checkpoints import saved_step, saved_steps
from kerasvid.training.config import (
    RunConfig,
    apply_overrides,
    digest_of,
    images_digest,
    make_config,
    training_split,
)
from kerasvid.training.devices import make_strategy
from kerasvid.training.loop import train
from kerasvid.training.run_folder import ERRORS, RunError, RunFolder, default_folder
from tfrecords_tools.derived.split_frames import locate_half
from tfrecords_tools.registry import DATASETS, locate


class Stopped(Exception):
    """A signal, its argument, ended a training; its checkpoint is saved."""


@dataclasses.dataclass(frozen=True)
class TableRuns:
    """The runs of a table on one data set; each is trained once.

    Args:
        table: published.
        dataset: name of the data set to train on.
        preset: of all models; "paper" is each run's own for the data set, see `PublishedRun`.
        steps: of each run, in place of the paper's and the preset's.
        frames: T of clips, in place of the preset's.
        config: further fields of `RunConfig` that differ from their defaults, such as `seed`.
        given: folders of existing runs to use unchanged, by the run's name.
        runs_dir: folder of all other runs.
        data_dir, source_dir: as in `tfrecords_tools.registry.locate`.

    Raises:
        ValueError: a run is given that the table does not have.

    Example:
        >>> runs = TableRuns(published_table("residual_vectors/2"), "sprites")
        >>> config, run = runs.ready("rjgan")  # trains it, resumes it, or finds it finished
    """

    table: Table
    dataset: str = ""
    preset: str = "base"
    steps: int | None = None
    frames: int | None = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    given: Mapping[str, str] = dataclasses.field(default_factory=dict)
    runs_dir: str = "runs"
    data_dir: str = "data"
    source_dir: str | None = None
    _outcomes: dict[str, tuple[RunConfig, RunFolder] | Exception] = dataclasses.field(
        default_factory=dict, init=False
    )

    def __post_init__(self) -> None:
        if unknown := sorted({*self.given} - {*self.table.runs}):
            known = ", ".join(self.table.runs)
            where = f"--run={unknown[0]}=...: {self.table.name}"
            raise ValueError(f"{where} has no such run. Use {known}.")

    # === What is to be done ===

    def locate(self, data: str = WHOLE, make: bool = False) -> tuple[str, DatasetInfo | None]:
        """The folder of the "whole" data set, or of its "videos" or "images", and its description.

        Without the data the description is `None`, unless `make` makes it.
        """
        where = self.data_dir, self.source_dir, make
        whole = data == WHOLE
        return locate(self.dataset, *where) if whole else locate_half(self.dataset, data, *where)

    def labels(self) -> list[str]:
        """The preset and the seed, if they differ from the default."""
        seed = self.config.get("seed", 0)
        return [self.preset] * (self.preset != "base") + [f"seed-{seed}"] * (seed != 0)

    def folder(self, name: str) -> str:
        """The folder of a run."""
        if name in self.given:
            return self.given[name]
        data = self.table.runs[name].data
        labels = [self.dataset, *[data] * (data != WHOLE), *self.labels()]
        return os.path.join(self.runs_dir, os.path.basename(default_folder(name, "/".join(labels))))

    def arguments(self, name: str, make: bool = False) -> dict[str, Any]:
        """The arguments of `training.config.make_config` for a run; `make` makes missing data.

        The hyper-parameters are the paper's, with clips that fit the videos.
        """
        published = self.table.runs[name]
        cls: Any = model_class(published.model)
        values = dict(published.values)
        own = published.own_preset or self.preset == "paper"
        preset = published.preset if own else self.preset
        folder, info = self.locate(published.data, make)
        hyperparameters, training = apply_overrides(cls, preset, values)
        if hyperparameters["frames"] > 1:  # a model of videos: clips that fit into them
            frames = self.frames or hyperparameters["frames"]
            if info:
                shortest, stride = training_split(info).min_length, training.stride
                too_short = stride > 1 and shortest < window_span(frames, stride)
                if too_short and "training.stride" not in values:
                    stride = values["training.stride"] = 1  # all frames of a short video
                frames = min(frames, 1 + (shortest - 1) // stride)
            if frames != hyperparameters["frames"]:
                values["frames"] = frames
        trains = cls.TRAINING[preset].steps > 1  # else it has no weights
        steps = (self.steps or published.steps) if trains else None
        schedule = hyperparameters.get("schedule") or {}
        ends = {"schedule.steps": schedule.get("steps", 0)}
        ends["training.decay_steps"] = training.decay_steps
        for key, end in ends.items():  # a shorter training ends with its schedules
            if steps and steps < end:
                values[key] = max(1, min(steps, round(end * steps / training.steps)))
        arguments = {
            "model": published.model,
            "dataset": self.dataset if published.data == WHOLE else folder,
            "data_folder": folder,
            "info": info,
            "preset": preset,
            "values": values,
            "steps": steps,
            **self.config,
        }
        if published.images:
            images, made = self.locate(IMAGES, make)
            arguments |= {"images": images, "images_folder": images if made else None}
        if published.init_from:
            arguments["init_from"] = self.folder(published.init_from)
        measured = {row.run_in(part.name) for row in self.table.rows for part in self.table.parts}
        if trains and name in measured:
            last = steps or training.steps
            # The last step, too: more --steps continue the run beyond it.
            kept = sorted({c.step for c in self.table.columns if c.step and c.step <= last})
            arguments |= {"keep_at": kept} if kept else {}
        return arguments

    def make_config(self, name: str, make: bool = False) -> RunConfig:
        """The config of a run that is not given."""
        arguments = {"seed": 0, "precision": "auto", **self.arguments(name, make)}
        run = RunFolder(self.folder(name))
        return make_config(**arguments | {"precision": run.keep_precision(arguments["precision"])})

    def needed(self, names: Iterable[str]) -> list[str]:
        """The names of runs, each after the run that it starts from."""
        found: list[str] = []
        for name in names:
            source = self.table.runs[name].init_from
            found += [*(self.needed([source]) if source and name not in self.given else ()), name]
        return list(dict.fromkeys(found))

    def commands(self, name: str) -> list[str]:
        """The commands that train the same run, after those that make what it needs."""
        published, lines = self.table.runs[name], []
        if name in self.given:
            return [f"# {name}: the existing run {self.given[name]}"]
        arguments = self.arguments(name)
        if published.data != WHOLE or published.images:
            (whole, info), half = self.locate(), self.locate(IMAGES)[0]
            if info is None:  # `split-frames` does not make the data set
                known = next(each for each in DATASETS if each.name == self.dataset)
                command, flags = known.command(whole, self.source_dir)
                lines.append(command_line(command, *flags))
            split = f"--data_dir={whole}", f"--out_dir={os.path.dirname(half)}"
            lines.append(command_line("data split-frames", *split))
        if published.init_from:
            lines += self.commands(published.init_from)
        if published.data == WHOLE:
            arguments["data_dir"] = self.data_dir if self.data_dir != "data" else None
            arguments["source_dir"] = self.source_dir
        values = arguments.pop("values")
        for key in ("data_folder", "info", "images_folder"):
            arguments.pop(key, None)
        arguments["run_dir"] = self.folder(name)
        if kept := arguments.pop("keep_at", None):
            arguments["keep_at"] = ",".join(map(str, kept))
        flags = [f"--{key}={value}" for key, value in arguments.items() if value is not None]
        flags += [f"--set={key}={json.dumps(value)}" for key, value in values.items()]
        return list(dict.fromkeys([*lines, command_line("train", *flags)]))

    def state(self, name: str) -> str:
        """Name, folder and progress of a run: "rjgan, runs/rjgan-mug: finished, 1,000 steps"."""
        run = RunFolder(self.folder(name))
        state = "missing" if name in self.given else "not begun"
        if run.exists():
            last, done = run.load_config().steps, f"{saved_at(run):,}"
            finished = saved_step(run.model) >= last
            state = f"finished, {done} steps" if finished else f"{done} of {last:,} steps"
        return f"{name}, {run.path}: {state}"

    # === Doing it ===

    def ready(self, name: str) -> tuple[RunConfig, RunFolder]:
        """The config and the folder of the finished run: trained, resumed or found.

        Raises:
            ValueError and `run_folder.ERRORS`: it cannot be trained, or its folder holds another
                run. The next call of `ready` raises the same error at once.
            Stopped: a signal came; the next call resumes from the checkpoint.
        """
        if name not in self._outcomes:
            try:
                self._outcomes[name] = self._trained(name)
            except (ValueError, *ERRORS) as error:
                self._outcomes[name] = error
        outcome = self._outcomes[name]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def at_step(self, name: str, step: int | None) -> RunFolder | None:
        """The folder of the weights of a step, or of the end, of a run that is `ready`.

        Returns:
            `None` if the run ends before.

        Raises:
            RunError: the run was trained without keeping them.
        """
        config, run = self.ready(name)
        if step is None or step == config.steps:
            return run
        if step > config.steps:
            return None
        if not (kept := run.kept(step)).exists():
            raise RunError(
                f"{kept.path}: no weights of step {step:,} were kept. Train the run again, with "
                f"--keep_at={step}, in another --runs_dir."
            )
        return kept

    def _trained(self, name: str) -> tuple[RunConfig, RunFolder]:
        source, run = self.table.runs[name].init_from, RunFolder(self.folder(name))
        if name in self.given:
            config = self._given_config(name, run)
        else:
            if source and not run.exists():
                self.ready(source)
            config = self.make_config(name, make=True)
            try:
                run.check_unchanged(config)
            except RunError as error:  # it names the flag of a single run
                raise RunError(str(error).replace("--run_dir", "--runs_dir")) from error
        if (step := saved_at(run)) > config.steps:
            raise RunError(
                f"{run.path}: the run has {step:,} steps, more than {config.steps:,}. Give another "
                "--runs_dir or more --steps."
            )
        if saved_step(run.model) < config.steps:
            keras.utils.clear_session()
            run.check_source(config)
            with run.lock():
                print(f"\n=== {name} ===", flush=True)
                outcome = train(config, run, make_strategy("none"))
            if outcome.signal is not None:
                raise Stopped(outcome.signal)
        return config, run

    def _given_config(self, name: str, run: RunFolder) -> RunConfig:
        """The config of a given run, with the folder where its data lies now."""
        published, config = self.table.runs[name], run.load_config()
        flag = f"--run={name}={run.path}"
        if config.model != published.model:
            raise RunError(f"{flag}: a run of {config.model}. Give a run of {published.model}.")
        folder, info = self.locate(published.data, make=True)
        images = self.locate(IMAGES, make=True)[0] if published.images else None
        digests = digest_of(info), images_digest(images)
        if digests != (config.data_digest, config.images_digest):
            other = f"{flag}: trained on other data ({config.dataset})"
            raise RunError(f"{other}. Give a run that was trained on {folder}.")
        return dataclasses.replace(config, data_folder=folder, images_folder=images)


def saved_at(run: RunFolder) -> int:
    """The newest step with a saved model or checkpoint; -1 if there is none."""
    return max([saved_step(run.model), *saved_steps(run.checkpoints)])
