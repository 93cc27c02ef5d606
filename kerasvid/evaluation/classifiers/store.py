"""The classifier store: a classifier is trained once for a data set and then loaded.

    classifiers/sprites-lpc-clip-8f-1a2b3c4d5e6f/
        classifier.keras   the network
        classifier.json    its config, and its accuracy and confusion on held-out clips

The folder's name ends with a digest of the `ClassifierConfig`. Other data, another clip length or
another seed gives another classifier; the location of the data does not matter.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from tabulate import tabulate

from kerasvid.data import load_info
from kerasvid.data.shards import hash_file
from kerasvid.evaluation.classifiers.networks import CLASSIFIERS
from kerasvid.evaluation.classifiers.train import (
    ClassifierConfig,
    ClassifierData,
    ClassifierError,
    ClassifierReport,
    make_classifier_config,
    measure_classifier,
    train_classifier,
)
from kerasvid.evaluation.metrics.clip_batches import random_frames
from kerasvid.evaluation.metrics.fvd import ClipFeatures
from kerasvid.io import (
    atomic_folder,
    lock,
    parse_sealed_json,
    read_text,
    readable_os_errors,
    sealed_json,
)
from kerasvid.training.devices import resolve_precision, without_strategy

FORMAT = "kerasvid-classifier"
FORMAT_VERSION = 2


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A classifier with its config and its results on held-out clips.

    Args:
        model: `ClipClassifier` or `FrameClassifier`, float32.
        config: Everything that determines it.
        report: Its results on held-out clips.
        names: Names of the classes by head; numbers where they have none.
        trained_in: Dtype policy of its training.
        path: Its folder.

    Example:
        >>> classifier = trained_classifier("data/sprites-lpc")
        >>> classifier.accuracy["action"]
        1.0
        >>> frechet_video_distance(real, generated, classifier.features, clips=624)
    """

    model: Any
    config: ClassifierConfig
    report: ClassifierReport
    names: Mapping[str, tuple[str, ...]]
    trained_in: str
    path: pathlib.Path

    @property
    def heads(self) -> dict[str, int]:
        """Number of classes by name."""
        return dict(self.model.heads)

    @property
    def accuracy(self) -> dict[str, float]:
        """Share of correct answers on held-out real clips, by head."""
        return self.report.accuracy

    @property
    def features(self) -> "ClassifierFeatures":
        """A function of clips to features, for `frechet_video_distance`."""
        return ClassifierFeatures(self)

    def probabilities(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """As `probabilities` of the model: float32 `[B, K]` by head."""
        return self.model.probabilities(clips)

    def protocol(self) -> dict[str, Any]:
        """What all values of this classifier have in common, in types of JSON."""
        config = self.config
        same = (
            "kind", "dataset", "data_digest", "held_out_share", "frames", "stride", "steps", "seed"
        )  # fmt: skip
        return {
            "classifier": f"{config.kind} classifier trained on {config.dataset}",
            **{name: getattr(config, name) for name in same},
            "heads": self.heads,
            "image_shape": list(config.image_shape),
            "trained_in": self.trained_in,
            "runs_in": "float32",
            "accuracy": self.accuracy,
            "accuracy_of": f"{self.report.clips} clips: {self.report.held_out}",
            "weights": self.model.weights_digest(),
        }

    def require(self, min_accuracy: float | None) -> None:
        """Checks the accuracy of every head, a share from 0 to 1.

        Raises:
            ClassifierError: The accuracy of a head is lower than `min_accuracy`.
        """
        if min_accuracy is None:
            return
        if not 0.0 <= min_accuracy <= 1.0:
            raise ClassifierError(f"min_accuracy={min_accuracy} is not a share. Use 0 to 1.")
        name, share = min(self.accuracy.items(), key=lambda item: item[1])
        if share < min_accuracy:
            raise ClassifierError(
                f"{self.path}: {name} has {100 * share:.2f} % accuracy on {self.report.clips} "
                f"held-out clips, less than {100 * min_accuracy:g} %. Train for longer "
                f"(steps={2 * self.config.steps}) or on more frames."
            )

    def text(self) -> str:
        """Accuracy and confusion for the screen."""
        config, report = self.config, self.report
        lines = [
            f"classifier  {self.path}",
            f"trained     {config.steps} steps of {config.batch_size} clips, {self.trained_in}",
            f"tested on   {report.clips} clips: {report.held_out}",
        ]
        for head, counts in report.confusion.items():
            rows = [(i, name, *counts[i]) for i, name in enumerate(self.names[head])]
            lines += ["", f"{head}: {100 * self.accuracy[head]:.2f} %"]
            lines += [tabulate(rows, ["", "", *range(len(rows))], "plain")]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class ClassifierFeatures(ClipFeatures):
    """Features of a trained classifier; a frame classifier sees one frame, see `random_frames`."""

    classifier: TrainedClassifier

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        if self.classifier.config.kind == "frame":
            clips = random_frames(clips)  # [B, 1, H, W, C]
        return self.classifier.model.features(clips)

    def protocol(self, frames: int) -> dict[str, Any]:
        return {**self.classifier.protocol(), **self.classifier.model.protocol(frames)}


def trained_classifier(
    data_folder: str | os.PathLike,
    kind: str = "clip",
    frames: int = 8,
    classifier_dir: str | os.PathLike = "classifiers",
    **options: Any,
) -> TrainedClassifier:
    """The classifier of a data set. A missing one is trained.

    Args:
        data_folder: Folder of the data set.
        kind, frames: As in `make_classifier_config`.
        classifier_dir: Folder of all classifiers.
        **options: Further arguments of `make_classifier_config`, e.g. `steps`.

    Raises:
        ClassifierError: There are no labels, clips are too short, or the stored classifier is
            damaged or has another config.
        DatasetError: The data set is absent or damaged.
        OSError: `classifier_dir` is not writable.

    Example:
        >>> classifier = trained_classifier("data/sprites-lpc", frames=8)
        >>> classifier.probabilities(clips)["action"]  # [B, 9]
    """
    folder = os.fspath(data_folder)
    config = make_classifier_config(load_info(folder), kind, frames, **options)
    path = pathlib.Path(classifier_dir) / folder_name(config)
    if not path.exists():
        data = ClassifierData(folder, config)  # checks the labels before anything is written
        with contextlib.ExitStack() as held, readable_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock_path = path.with_name(f".{path.name}.lock")
            try:
                held.enter_context(lock(lock_path))
            except BlockingIOError:
                print(f"{path}: waiting for another process to train this classifier", flush=True)
                held.enter_context(lock(lock_path, wait=True))
            if not path.exists():  # the other process may have trained it
                without_strategy(lambda: _train_and_write(path, data))
    return load_classifier(path, config)


def folder_name(config: ClassifierConfig) -> str:
    """Name of a classifier's folder, e.g. `"sprites-lpc-clip-8f-1a2b3c4d5e6f"`."""
    name = "-".join(re.findall(r"[\w][\w.-]*", config.dataset)) or "data"
    digest = hashlib.sha256(json.dumps(_plain(config), sort_keys=True).encode()).hexdigest()
    return f"{name}-{config.kind}-{config.frames}f-{digest[:12]}"


def load_classifier(
    path: str | os.PathLike, config: ClassifierConfig | None = None
) -> TrainedClassifier:
    """The classifier of a folder.

    Args:
        path: The folder.
        config: The expected config, or `None` for any.

    Raises:
        ClassifierError: There is none, it is damaged, or it has another config.
    """
    path = pathlib.Path(path)
    description, file = path / "classifier.json", path / "classifier.keras"
    remedy = f"Delete the folder {path} to train it again."
    try:
        stored = parse_sealed_json(read_text(description))
        if stored["format"] != FORMAT or stored["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {stored['format']} {stored['format_version']}")
        own = ClassifierConfig(**stored["config"])
        height, width, channels = own.image_shape  # a list in JSON
        own = dataclasses.replace(own, image_shape=(height, width, channels))
        kind: Any = CLASSIFIERS[own.kind]
        confusion = {name: np.array(rows, int) for name, rows in stored["confusion"].items()}
        report = ClassifierReport(confusion, stored["clips"], stored["held_out"])
        names = {name: tuple(each) for name, each in stored["names"].items()}
        digest, weights, trained_in = stored["sha256"], stored["weights"], stored["trained_in"]
    except OSError as error:
        raise ClassifierError(f"{path}: no classifier ({error.strerror}). {remedy}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClassifierError(f"{description}: damaged ({error}). {remedy}") from error
    found, expected = _plain(own), _plain(config or own)
    if other := [key for key in found if found[key] != expected[key]]:
        raise ClassifierError(f"{path}: this classifier has another {', '.join(other)}. {remedy}")
    if not file.exists():
        raise ClassifierError(f"{file}: missing. {remedy}")
    if hash_file(os.fspath(file))[0] != digest:
        raise ClassifierError(
            f"{file}: altered, its SHA-256 differs from classifier.json. {remedy}"
        )
    try:
        model: Any = keras.saving.load_model(file, compile=False)
    except (KeyError, OSError, TypeError, ValueError) as error:  # whole, but of another version
        why = str(error).strip().partition("\n")[0]
        raise ClassifierError(f"{file}: cannot be loaded ({why}). {remedy}") from error
    fits = isinstance(model, kind) and list(model.heads) == list(confusion)
    if not fits or model.weights_digest() != weights:
        raise ClassifierError(f"{file}: differs from its classifier.json. {remedy}")
    return TrainedClassifier(model, own, report, names, trained_in, path)


def _train_and_write(path: pathlib.Path, data: ClassifierData) -> None:
    """Trains and tests a classifier. Its folder appears when it is complete."""
    config, info = data.config, data.info
    line = f"training a {config.kind} classifier on {config.dataset}: {config.steps} steps"
    print(line, flush=True)
    model = train_classifier(data)
    report = measure_classifier(model, data)
    names = {name: tuple(map(str, range(size))) for name, size in data.heads.items()}
    names |= {name: info.class_names for name in names if name not in info.attribute_names}
    with atomic_folder(path) as building:
        file = os.path.join(building, "classifier.keras")
        model.save(file)
        stored = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "config": _plain(config),
            "trained_in": resolve_precision(config.precision),
            "accuracy": report.accuracy,
            "confusion": {name: counts.tolist() for name, counts in report.confusion.items()},
            "names": names,
            "clips": report.clips,
            "held_out": report.held_out,
            "weights": model.weights_digest(),
            "sha256": hash_file(file)[0],
        }
        text = sealed_json(stored)
        pathlib.Path(building, "classifier.json").write_text(text, encoding="utf-8")


def _plain(config: ClassifierConfig) -> dict[str, Any]:
    """A config as JSON returns it."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
