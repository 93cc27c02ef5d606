"""The runs of a published table on one data set: their configs, training them or finding them."""

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from kerasvid.data import DatasetInfo
from kerasvid.models.registry import model_class
from kerasvid.naming import command_line
from kerasvid.reproduction.published import IMAGES, WHOLE, PublishedRun, Table
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
from tfrecords_tools.derived.split_frames import locate_half
from tfrecords_tools.registry import locate


class Stopped(Exception):
    """A signal ended a training; its checkpoint is saved."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


@dataclasses.dataclass(frozen=True)
class TableRuns:
    """The runs of a table on one data set; each is trained once.

    Args:
        table: published.
        dataset: name of the data set to train on.
        preset: of all models; "paper" is each run's own for the data set.
        steps: of each run, in place of the paper's and the preset's.
        frames: T of clips, in place of the preset's.
        config: further fields of `RunConfig` that differ from their defaults: `seed`,
            `precision`, `sample_every`, `checkpoint_every`.
        given: folders of existing runs to use unchanged, by the run's name.
        runs_dir: folder of all other runs.
        data_dir, source_dir: as `tfrecords_tools.registry.locate` takes them.

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

    def __post_init__(self) -> None:
        if unknown := sorted({*self.given} - {*self.table.runs}):
            known = ", ".join(self.table.runs)
            raise ValueError(f"--run={unknown[0]}=...: {self.table.name} has no such run. "
                             f"Use {known}.")  # fmt: skip

    @functools.cached_property
    def _outcomes(self) -> dict[str, tuple[RunConfig, RunFolder] | Exception]:
        return {}

    # === What is to be done ===

    def locate(self, data: str = WHOLE, make: bool = False) -> tuple[str, DatasetInfo | None]:
        """The folder of the data set or of its half, and its description if it is there.

        Args:
            data: "whole", "videos" or "images".
            make: make missing data.
        """
        where = self.data_dir, self.source_dir, make
        if data == WHOLE:
            return locate(self.dataset, *where)
        return locate_half(self.dataset, data, *where)

    def folder(self, name: str) -> str:
        """The folder of a run."""
        if name in self.given:
            return self.given[name]
        data = self.table.runs[name].data
        labels = [self.dataset, *([] if data == WHOLE else [data]), *self.labels()]
        folder = os.path.basename(default_folder(name, "/".join(labels)))
        return os.path.join(self.runs_dir, folder)

    def labels(self) -> list[str]:
        """The preset and the seed, if they differ from the default."""
        seed = self.config.get("seed", 0)
        return [self.preset] * (self.preset != "base") + [f"seed-{seed}"] * (seed != 0)

    def preset_of(self, published: PublishedRun) -> str:
        """The preset of a run's model."""
        return published.preset if self.preset == "paper" else self.preset

    def make_config(self, name: str, make: bool = False) -> RunConfig:
        """The config of a run as the table and these runs define it.

        Args:
            name: of the run.
            make: make missing data.

        Raises:
            ValueError: the data does not fit, or cannot be made.
        """
        published, common = self.table.runs[name], {"seed": 0, **self.config}
        folder, info = self.locate(published.data, make)
        if published.images:
            images, made = self.locate(IMAGES, make)
            common |= {"images": images, "images_folder": images if made else None}
        if published.init_from:
            common["init_from"] = self.folder(published.init_from)
        precision = RunFolder(self.folder(name)).keep_precision(common.pop("precision", "auto"))
        return make_config(
            published.model,
            self.dataset if published.data == WHOLE else folder,
            folder,
            info,
            preset=self.preset_of(published),
            values=self.values(published, info),
            steps=self.steps_of(published),
            precision=precision,
            **common,
        )

    def existing_or_new_config(self, name: str) -> RunConfig:
        """The config of the existing run, or the one of the run to be trained.

        Raises:
            ValueError, RunError: as `config`; or a given run does not exist.
        """
        run = RunFolder(self.folder(name))
        begun = name in self.given or run.exists()
        return run.load_config() if begun else self.make_config(name)

    def with_sources(self, names: Iterable[str]) -> list[str]:
        """The names of runs, each after the run that it starts from."""
        found: dict[str, None] = {}
        for name in names:
            source = self.table.runs[name].init_from
            if source and name not in self.given:
                found.update(dict.fromkeys(self.with_sources([source])))
            found[name] = None
        return list(found)

    def steps_of(self, published: PublishedRun) -> int | None:
        """Steps of a run; `None` for the preset's. A model without weights keeps its one step."""
        training = model_class(published.model).TRAINING[self.preset_of(published)]
        return None if training.steps == 1 else self.steps or published.steps

    def values(self, published: PublishedRun, info: DatasetInfo | None) -> dict[str, Any]:
        """The paper's hyper-parameters, with clips that fit the videos and shorter schedules."""
        cls, values = model_class(published.model), dict(published.values)
        hyperparameters, training = apply_settings(cls, self.preset_of(published), values)
        if hyperparameters["frames"] > 1:  # a model of videos
            frames = self.frames or hyperparameters["frames"]
            if info:
                longest = 1 + (training_split(info).min_length - 1) // training.stride
                frames = min(frames, longest)
            if frames != hyperparameters["frames"]:
                values["frames"] = frames
        steps = self.steps_of(published)
        ends = {
            "schedule.steps": (hyperparameters.get("schedule") or {}).get("steps", 0),
            "training.decay_steps": training.decay_steps,
        }
        for name, end in ends.items():  # a shorter training ends with its schedules
            if steps and steps < end:
                values[name] = max(1, min(steps, round(end * steps / training.steps)))
        return values

    def commands(self, name: str) -> list[str]:
        """The commands that train the same run, after those that make what it needs."""
        published = self.table.runs[name]
        if name in self.given:
            return [f"# {name}: the existing run {self.given[name]}"]
        folder, info = self.locate(published.data)
        lines, flags = [], [f"--model={published.model}"]
        if published.data == WHOLE:
            flags.append(f"--dataset={self.dataset}")
            defaults = {f.name: f.default for f in dataclasses.fields(TableRuns)}
            places = {n: getattr(self, n) for n in ("data_dir", "source_dir")}
            flags += [f"--{n}={value}" for n, value in places.items() if value != defaults[n]]
        else:
            flags.append(f"--dataset={folder}")
        if published.data != WHOLE or published.images:
            whole, half = self.locate()[0], self.locate(IMAGES)[0]
            split = f"--data_dir={whole}", f"--out_dir={os.path.dirname(half)}"
            lines.append(command_line("data split-frames", *split))
        if published.init_from:
            lines += self.commands(published.init_from)
        flags.append(f"--preset={self.preset_of(published)}")
        flags += [f"--set={k}={json.dumps(v)}" for k, v in self.values(published, info).items()]
        if steps := self.steps_of(published):
            flags.append(f"--steps={steps}")
        if published.images:
            flags.append(f"--images={self.locate(IMAGES)[0]}")
        if published.init_from:
            flags.append(f"--init_from={self.folder(published.init_from)}")
        flags += [f"--{key}={value}" for key, value in self.config.items()]
        lines.append(command_line("train", *flags, f"--run_dir={self.folder(name)}"))
        return list(dict.fromkeys(lines))

    def state(self, name: str) -> str:
        """Name, folder and progress of a run: "rjgan, runs/rjgan-mug: finished, 1,000 steps"."""
        run = RunFolder(self.folder(name))
        if run.exists():
            last = run.load_config().steps
            done = saved_step(run.model) >= last
            state = (
                f"finished, {saved_at(run):,} steps"
                if done
                else f"{saved_at(run):,} of {last:,} steps"
            )
        else:
            state = "missing" if name in self.given else "not begun"
        return f"{name}, {run.path}: {state}"

    # === Doing it ===

    def ready(self, name: str) -> tuple[RunConfig, RunFolder]:
        """The finished run: trained, resumed or found.

        Returns:
            Its config and its folder.

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

    def _trained(self, name: str) -> tuple[RunConfig, RunFolder]:
        source, run = self.table.runs[name].init_from, RunFolder(self.folder(name))
        if name in self.given:
            config = self._given_config(name, run)
        else:
            if source and not run.exists():
                self.ready(source)
            config = self.make_config(name, make=True)
            try:
                run.check_settings(config)
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
                print(f"\n=== {name} ===\n{describe_plan(config, str(run.path))}", flush=True)
                run.begin(config)
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
        if digest_of(info, images) != config.data_digest:
            raise RunError(f"{flag}: trained on other data ({config.dataset}). Give a run that "
                           f"was trained on {folder}.")  # fmt: skip
        return dataclasses.replace(config, data_folder=folder, images_folder=images)


def saved_at(run: RunFolder) -> int:
    """The newest step with a saved model or checkpoint; -1 if there is none."""
    return max([saved_step(run.model), *saved_steps(run.checkpoints)])
