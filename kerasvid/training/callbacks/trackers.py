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

from kerasvid.io import atomic_write, cause_of, read_text
from kerasvid.naming import nearest_names
from kerasvid.training.callbacks.step_callback import StepCallback

PROJECT = "kerasvid"  # of runs where the variables of a tracker name no other
# The client of MLflow would try for minutes again, and a step waits for it.
MLFLOW_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
STATE = "tracking.json"  # in the folder of a run: what each tracker has, by its name
Row = Mapping[str, float]


class MLflowTracker:
    """A run of an MLflow server or store, as `MLFLOW_TRACKING_URI` says.

    Args:
        name: of the run.
        settings: its parameters.
        known: identifier of the MLflow run to continue; `None` for a new one.
        keep: is called with the identifier as soon as there is one.
    """

    def __init__(
        self, name: str, settings: Mapping[str, Any], known: str | None, keep: Callable[[str], None]
    ):
        for variable, value in MLFLOW_PATIENCE.items():
            os.environ.setdefault(variable, value)
        self._entities = importlib.import_module("mlflow.entities")
        self._client = importlib.import_module("mlflow").MlflowClient()
        self.id = known or ""
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            has = self._client.get_run(known).data.params
            return self._send({k: v for k, v in settings.items() if k not in has})
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(title)
        experiment = found.experiment_id if found else self._client.create_experiment(title)
        self.id = self._client.create_run(experiment, run_name=name).info.run_id
        keep(self.id)
        self._send(settings)

    def _send(self, settings: Mapping[str, Any]) -> None:
        """Sends parameters, of which a run takes each once."""
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
            for variable in MLFLOW_PATIENCE:  # no step waits for the upload
                if os.environ.get(variable) == MLFLOW_PATIENCE[variable]:
                    del os.environ[variable]
            self._client.log_artifact(self.id, os.fspath(model), "model")
        self._client.set_terminated(self.id, "KILLED" if model is None else "FINISHED")


class WandbTracker:
    """A run of Weights & Biases; `WANDB_MODE=offline` keeps it in the folder of the run.

    Args:
        name, settings, known, keep: as of `MLflowTracker`.
        folder: of the run.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        known: str | None,
        keep: Callable[[str], None],
        folder: pathlib.Path,
    ):
        self._wandb = importlib.import_module("wandb")
        self._name = name
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=name, id=known, dir=folder,
            resume="allow", config=dict(settings),
        )  # fmt: skip
        keep(self._run.id)

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
        except Exception as error:
            why = f"cannot be imported ({cause_of(error)})"
            raise ValueError(f"--track={name}: {name} {why}.") from error
    return sorted({name for name in names if TRACKERS[name]})


class Tracking(StepCallback):
    """Sends the rows of a run's metrics, its samples and its model to trackers.

    What a tracker has is kept in `tracking.json` in the folder of the run: a resumed run continues
    it and sends nothing twice. A tracker that fails is named on stderr; training goes on, and each
    new row is sent with those that are missing.

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
        self.folder, self.settings, self.rows, self.names = folder, settings, rows, [*names]
        self._path = folder / STATE
        self._trackers: dict[str, Any] = {}
        self._failing: set[str] = set()
        self._attempted = -1  # the newest row that was sent, or not
        self._state = self._read()  # also of trackers that are not asked for now
        for name in self.names:
            self._state.setdefault(name, {"id": None, "step": 0, "shown": 0, "finished": 0})

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(read_text(self._path))
            for state in found.values():
                if [*map(type, (state["step"], state["shown"], state["finished"]))] != [int] * 3:
                    raise ValueError("it has no steps")
            return found
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = cause_of(error)
            print(f"{self._path}: cannot be read ({why}). The run is tracked anew.",
                  file=sys.stderr)  # fmt: skip
            return {}

    def on_step_end(self, step: int, logs: dict) -> None:
        rows = self.rows()
        newest = int(rows[-1]["step"]) if rows else 0
        if newest > self._attempted:
            self.send()

    def send(self) -> None:
        """Sends what the trackers do not have yet."""
        rows = self.rows()
        self._attempted = int(rows[-1]["step"]) if rows else 0
        for name in self.names:
            self._try(name, self._send, "Training goes on without it; what it lacks is sent later")

    def finish(self, model: pathlib.Path | None) -> None:
        """Sends the rest and the finished model; `None` for a run that was ended early."""
        rows = self.rows()
        step = int(rows[-1]["step"]) if rows else 0

        def end(name: str, tracker: Any) -> None:
            self._send(name, tracker)
            tracker.finish(model)
            if model is not None:
                self._state[name]["finished"] = step
                self._write()

        for name in self.names:
            if self._state[name]["finished"] < step or model is None:
                self._failing.discard(name)
                self._try(name, end, "It lacks the end of the run: run the same command again")
            self._trackers.pop(name, None)

    def _send(self, name: str, tracker: Any) -> None:
        state = self._state[name]
        events: list[tuple[int, str, Callable, Any]] = []
        for row in self.rows():
            if (step := int(row["step"])) > state["step"]:
                values = {key: float(value) for key, value in row.items() if key != "step"}
                events.append((step, "step", tracker.log, values))
        newest = max((step for step, *_ in events), default=state["step"])
        for image in (self.folder / "samples").glob("step-*.png"):
            step = int(image.stem[5:])
            if state["shown"] < step <= newest:
                paths = [image, image.with_suffix(".gif")]
                events.append((step, "shown", tracker.show, paths))
        # In the order of steps: wandb drops what comes after a later one.
        for step, kind, act, values in sorted(
            events, key=lambda event: (event[0], event[1] == "shown")
        ):
            act(step, values)
            state[kind] = step
            self._write()

    def _try(self, name: str, act: Callable[[str, Any], None], consequence: str) -> None:
        """Acts with a tracker, which is made first; a fault is one line, once."""

        def keep(number: str) -> None:
            self._state[name]["id"] = number
            self._write()

        try:
            if name not in self._trackers:
                options = {"folder": self.folder} if TRACKERS[name] is WandbTracker else {}
                known = self._state[name]["id"]
                make = TRACKERS[name]
                self._trackers[name] = make(self.folder.name, self.settings, known, keep, **options)
            act(name, self._trackers[name])
            self._failing.discard(name)
        except Exception as error:  # of a service: its clients have their own kinds
            if name not in self._failing:
                why = cause_of(error)
                print(f"\n{name}: {why}. {consequence}.", file=sys.stderr, flush=True)
            self._failing.add(name)

    def _write(self) -> None:
        with atomic_write(self._path) as temporary:
            pathlib.Path(temporary).write_text(json.dumps(self._state, indent=1) + "\n")
