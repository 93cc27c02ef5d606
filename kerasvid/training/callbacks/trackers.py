"""Runs in MLflow and Weights & Biases: settings, metrics, samples and the finished model.

The events for TensorBoard are written anyway, see `MetricsLog`. A tracker gets the rows of
`metrics.csv`, so that curves are those of the file. The callbacks of MLflow and of wandb for Keras
log once an epoch or a batch, know no held-out metrics of a step, and begin anew where a run is
resumed; so their clients are used instead.
"""

import importlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kerasvid.io import atomic_write, one_line, read_text
from kerasvid.naming import nearest_names
from kerasvid.training.callbacks.step_callback import StepCallback

PROJECT = "kerasvid"  # of runs where the variables of a tracker name no other
STATE = "tracking.json"  # in the folder of a run: what each tracker has, by its name
Row = Mapping[str, float]


class MLflowTracker:
    """A run of an MLflow server or store, as `MLFLOW_TRACKING_URI` says.

    Args:
        name: of the run.
        settings: its parameters.
        known: identifier of the MLflow run to continue; `None` for a new one.
    """

    package = "mlflow"

    def __init__(self, name: str, settings: Mapping[str, Any], known: str | None):
        self._entities = importlib.import_module("mlflow.entities")
        self._client = importlib.import_module("mlflow").MlflowClient()
        if known is not None:
            self.id = known
            self._client.update_run(known, status="RUNNING")
            return
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(title)
        experiment = found.experiment_id if found else self._client.create_experiment(title)
        self.id = self._client.create_run(experiment, run_name=name).info.run_id
        parameters = [self._entities.Param(k, str(v)[:6000]) for k, v in settings.items()]
        for first in range(0, len(parameters), 100):  # most of one request
            self._client.log_batch(self.id, params=parameters[first : first + 100])

    def log(self, step: int, row: Row) -> None:
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(k, v, now, step) for k, v in row.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def show(self, step: int, paths: Sequence[pathlib.Path]) -> None:
        for path in paths:
            self._client.log_artifact(self.id, os.fspath(path), "samples")

    def finish(self, model: pathlib.Path | None) -> None:
        if model is not None:
            self._client.log_artifact(self.id, os.fspath(model), "model")
        self._client.set_terminated(self.id, "KILLED" if model is None else "FINISHED")


class WandbTracker:
    """A run of Weights & Biases; `WANDB_MODE=offline` keeps it in the folder of the run.

    Args:
        name, settings, known: as of `MLflowTracker`.
        folder: of the run.
    """

    package = "wandb"

    def __init__(
        self, name: str, settings: Mapping[str, Any], known: str | None, folder: pathlib.Path
    ):
        self._wandb = importlib.import_module("wandb")
        self._name = name
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=name, id=known, dir=folder,
            resume="allow", config=dict(settings),
        )  # fmt: skip
        self.id = self._run.id

    def log(self, step: int, row: Row) -> None:
        self._run.log(dict(row), step=step)

    def show(self, step: int, paths: Sequence[pathlib.Path]) -> None:
        kinds = {".png": ("samples", self._wandb.Image), ".gif": ("clips", self._wandb.Video)}
        shown = {}
        for path in paths:
            name, kind = kinds[path.suffix]
            options = {"format": "gif"} if path.suffix == ".gif" else {}
            shown[name] = kind(os.fspath(path), **options)
        self._run.log(shown, step=step)

    def finish(self, model: pathlib.Path | None) -> None:
        if model is not None:
            artifact = self._wandb.Artifact(f"{self._name}-model", type="model")
            artifact.add_file(os.fspath(model))
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=1 if model is None else 0)


TRACKERS: dict[str, Any] = {"mlflow": MLflowTracker, "tensorboard": None, "wandb": WandbTracker}


def check_trackers(names: Iterable[str]) -> list[str]:
    """The trackers of `--track` that need a client, in alphabetical order.

    Raises:
        ValueError: a name is unknown, or the package of a tracker is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"--track={name}: unknown tracker; {nearest_names(name, TRACKERS)}.")
        try:
            importlib.import_module(name) if TRACKERS[name] else None
        except ImportError as error:
            raise ValueError(f"--track={name}: {name} is not installed. Run pip install "
                             f"'kerasvid[{name}]'.") from error  # fmt: skip
    return sorted({name for name in names if TRACKERS[name]})


class Tracking(StepCallback):
    """Sends the rows of a run's metrics, its samples and its model to trackers.

    What a tracker has is kept in `tracking.json` in the folder of the run: a resumed run continues
    it and sends nothing twice. A tracker that fails is named on stderr; training goes on, and the
    next row is sent with those before it.

    Args:
        names: of `check_trackers`.
        folder: of the run.
        settings: by dotted name.
        rows: a function that returns the rows of `metrics.csv` so far.

    Example:
        >>> tracking = Tracking(["mlflow"], run.path, {"model": "rjvae"}, lambda: log.rows)
        >>> model.fit(batches, callbacks=[log, tracking])
        >>> tracking.finish(run.model)
    """

    def __init__(
        self,
        names: Iterable[str],
        folder: pathlib.Path,
        settings: Mapping[str, Any],
        rows: Callable[[], Sequence[Mapping[str, str]]],
    ):
        super().__init__()
        self.folder, self.settings, self.rows = folder, settings, rows
        self._path = folder / STATE
        self._trackers: dict[str, Any] = {}
        self._failing: set[str] = set()
        known = self._read()
        self._state = {name: known.get(name, {"id": None, "step": 0, "shown": 0}) for name in names}

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(read_text(self._path))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            print(f"{self._path}: cannot be read ({error}). The run is tracked anew.",
                  file=sys.stderr)  # fmt: skip
            return {}

    def on_train_begin(self, logs=None) -> None:
        self.send()

    def on_step_end(self, step: int, logs: dict) -> None:
        rows = self.rows()
        newest = int(rows[-1]["step"]) if rows else 0
        if any(state["step"] < newest for state in self._state.values()):
            self.send()

    def send(self) -> None:
        """Sends what the trackers do not have yet."""
        for name in self._state:
            self._try(name, self._send)

    def finish(self, model: pathlib.Path | None) -> None:
        """Sends the rest and the finished model; `None` for a run that was ended early."""
        for name in self._state:
            self._failing.discard(name)
            self._try(name, self._send)
            if name in self._trackers:
                self._try(name, lambda name, tracker: tracker.finish(model))

    def _send(self, name: str, tracker: Any) -> None:
        state = self._state[name]
        for row in self.rows():
            if (step := int(row["step"])) > state["step"]:
                tracker.log(step, {k: float(v) for k, v in row.items() if k != "step"})
                state["step"] = step
                self._write()
        for image in sorted((self.folder / "samples").glob("step-*.png")):
            step = int(image.stem[5:])
            if step > state["shown"]:
                tracker.show(step, [image, image.with_suffix(".gif")])
                state["shown"] = step
                self._write()

    def _try(self, name: str, act: Callable[[str, Any], None]) -> None:
        """Acts with a tracker, which is made first; a fault is one line, once."""
        try:
            if name not in self._trackers:
                options = {"folder": self.folder} if TRACKERS[name] is WandbTracker else {}
                known = self._state[name]["id"]
                tracker = TRACKERS[name](self.folder.name, self.settings, known, **options)
                self._trackers[name], self._state[name]["id"] = tracker, tracker.id
                self._write()
            act(name, self._trackers[name])
            self._failing.discard(name)
        except Exception as error:  # of a service: its clients have their own kinds
            if name not in self._failing:
                why = one_line(str(error) or type(error).__name__)[:200].rstrip(".")
                print(f"\n{name}: {why}. Training goes on without it; what it lacks is sent with "
                      "the next row.", file=sys.stderr, flush=True)  # fmt: skip
            self._failing.add(name)

    def _write(self) -> None:
        with atomic_write(self._path) as temporary:
            pathlib.Path(temporary).write_text(json.dumps(self._state, indent=1) + "\n")
