"""Classifiers that are trained once a data set, kept with what they are worth, and refused if unfit.

    classifiers/sprites-lpc-clip-8f-1a2b3c4d5e6f/
        classifier.keras   the network
        classifier.json    what it was made of, its accuracy and confusion on held-out clips

The folder's name tells the digest of all that the classifier is made of (`ClassifierConfig`): other data, other
frames or another seed is another classifier, and where the data lies does not matter.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

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
    print_line,
    train_classifier,
)
from kerasvid.io import readable_os_errors
from kerasvid.training.devices import resolve_precision

FORMAT = "kerasvid-classifier"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A classifier with what it is worth.

    Args:
        model: `ClipClassifier` or `FrameClassifier`, float32.
        config: all that it is made of.
        examination: how it did on held-out clips.
        names: of the classes, by head; numbers where they have none.
        trained_in: dtype policy of its training.
        path: of its folder.

    Example:
        >>> classifier = trained_classifier("data/sprites-lpc", min_accuracy=0.99)
        >>> classifier.accuracy["action"]
        1.0
        >>> frechet_video_distance(real, generated, classifier.features, clips=624, split="test")
    """

    model: keras.Model
    config: ClassifierConfig
    examination: ClassifierReport
    names: Mapping[str, tuple[str, ...]]
    trained_in: str
    path: pathlib.Path

    @property
    def heads(self) -> dict[str, int]:
        """Number of classes by name."""
        return dict(self.model.heads)

    @property
    def accuracy(self) -> dict[str, float]:
        """By head, the share of held-out real clips that it tells rightly."""
        return self.examination.accuracy

    @property
    def confusion(self) -> dict[str, np.ndarray]:
        """By head int `[K, K]`: a row for what is shown, a column for what is told."""
        return self.examination.confusion

    @property
    def clips(self) -> int:
        """Held-out clips that it was tested on."""
        return self.examination.clips

    @property
    def split(self) -> str:
        """Of the data set that these are of."""
        return self.examination.split

    @property
    def features(self) -> "ClassifierFeatures":
        """A function of clips to features that knows its protocol, as `frechet_video_distance`
        takes it."""
        return ClassifierFeatures(self)

    def probabilities(self, clips: np.ndarray, **rest: Any) -> dict[str, np.ndarray]:
        """As that of the model: float32 `[B, K]` by head."""
        return self.model.probabilities(clips, **rest)

    def protocol(self) -> dict[str, Any]:
        """What numbers of this classifier have in common, as JSON takes it."""
        config = self.config
        return {
            "classifier": f"{config.kind} classifier trained on {config.dataset}",
            "kind": config.kind,
            "dataset": config.dataset,
            "data_digest": config.data_digest,
            "heads": self.heads,
            "frames": config.frames,
            "stride": config.stride,
            "image_shape": list(config.image_shape),
            "steps": config.steps,
            "seed": config.seed,
            "trained_in": self.trained_in,
            "classifiers_in": "float32",
            "accuracy": self.accuracy,
            "accuracy_of": f"{self.clips} clips: {self.examination.held_out}; every clip counts",
            "weights": self.model.weights_digest(),
        }

    def require(self, min_accuracy: float | None) -> None:
        """Refuses a classifier that tells a head less often than that.

        Raises:
            ClassifierError: it does; one line with the head, its accuracy and what to do.
        """
        _check_share(min_accuracy)
        if min_accuracy is None:
            return
        name, share = min(self.accuracy.items(), key=lambda item: item[1])
        if share < min_accuracy:
            raise ClassifierError(
                f"{self.path}: this classifier tells {name} of {100 * share:.2f} % of {self.clips} "
                f"held-out clips rightly, {100 * min_accuracy:g} % are asked for: train one for "
                f"longer (steps={2 * self.config.steps}), or on more frames."
            )

    def report(self) -> str:
        """Accuracy and confusion as text, for the screen."""
        config, lines = self.config, [f"classifier      {self.path}"]
        lines += [
            f"trained    {config.steps} steps of {config.batch_size} clips, {self.trained_in}"
        ]
        lines += [f"tested on  {self.clips} clips: {self.examination.held_out}"]
        for name, counts in self.confusion.items():
            lines += ["", f"{name}: {100 * self.accuracy[name]:.2f} %"]
            lines += _table(self.names[name], counts)
        return "\n".join(lines)


class ClassifierFeatures:
    """Features of a trained classifier, and their protocol.

    A frame classifier sees one frame of each clip, which the clip's own pixels choose: it does not
    matter in which batch, or where in it, a clip comes.
    """

    def __init__(self, classifier: TrainedClassifier):
        self.classifier = classifier

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, D]` of clips `[B, T, H, W, C]`."""
        clips = np.asarray(clips)
        if self.classifier.config.kind == "frame" and clips.ndim == 5 and clips.shape[1] > 1:
            chosen = [zlib.crc32(np.ascontiguousarray(clip)) % len(clip) for clip in clips]
            clips = clips[np.arange(len(clips)), chosen][:, None]  # [B, 1, H, W, C]
        return self.classifier.model.features(clips)

    def protocol(self, frames: int) -> dict[str, Any]:
        """What they are for clips of so many frames, and of which classifier."""
        return {**self.classifier.protocol(), **self.classifier.model.protocol(frames)}


def trained_classifier(
    data_folder: str | os.PathLike,
    kind: str = "clip",
    frames: int = 8,
    classifier_dir: str | os.PathLike = "classifiers",
    seed: int = 0,
    steps: int | None = None,
    min_accuracy: float | None = None,
    *,
    stride: int = 1,
    batch_size: int | None = None,
    network: Mapping[str, Any] | None = None,
    precision: str = "auto",
    report: Callable[[str], None] = print_line,
) -> TrainedClassifier:
    """The classifier of a data set, which is trained where there is none yet.

    Args:
        data_folder: of the data set.
        kind: "clip" or "frame".
        frames: T of the clips that it learns from; a frame classifier learns from single ones anyway.
        classifier_dir: where classifiers are kept.
        seed: of its weights and the order of videos.
        steps: of training; by default as many as the kind needs.
        min_accuracy: share of held-out clips that every head must tell rightly.
        stride: distance of two frames of a clip in the video.
        batch_size: clips a step.
        network: arguments of `ClipClassifier` or `FrameClassifier` beyond heads, image shape and frames.
        precision: to train in, as `resolve_precision` takes it.
        report: is told the progress, a line at a time.

    Raises:
        ClassifierError: there are no labels, clips are too short, the accuracy is below
            `min_accuracy`, or what is kept is damaged or of another making.
        DatasetError: the data set is absent or damaged.
        OSError: `classifier_dir` cannot be written.

    Example:
        >>> classifier = trained_classifier("data/sprites-lpc", frames=8, min_accuracy=0.99)
        >>> classifier.probabilities(clips)["action"]  # [B, 9]
    """
    _check_share(min_accuracy)  # before minutes of training
    folder = os.fspath(data_folder)
    info = load_info(folder)
    config = make_classifier_config(
        info, kind, frames, stride, seed, steps, batch_size, network, precision
    )
    path = pathlib.Path(classifier_dir) / folder_name(config)
    if not path.exists():
        data = ClassifierData(folder, config)  # refuses before anything is written
        with _alone(path, report):
            if not path.exists():  # another process has made it in the meantime
                report(f"training a {kind} classifier on {config.dataset}: {config.steps} steps")
                _train_and_write(path, data, report)
    classifier = load_classifier(path, config)
    classifier.require(min_accuracy)
    return classifier


def folder_name(config: ClassifierConfig) -> str:
    """Name of a classifier's folder.

    Example:
        >>> folder_name(config)
        'sprites-lpc-clip-8f-1a2b3c4d5e6f'
    """
    name = "-".join(re.findall(r"[\w][\w.-]*", config.dataset)) or "data"
    digest = hashlib.sha256(json.dumps(_plain(config), sort_keys=True).encode()).hexdigest()
    return f"{name}-{config.kind}-{config.frames}f-{digest[:12]}"


def load_classifier(
    path: str | os.PathLike, config: ClassifierConfig | None = None
) -> TrainedClassifier:
    """A classifier that is kept.

    Args:
        path: of its folder.
        config: that it must have been made by, or `None`.

    Raises:
        ClassifierError: there is none, it is damaged, or of another making.
    """
    path = pathlib.Path(path)
    remake = f"delete the folder {path} to have it trained again"
    try:
        told = json.loads((path / "classifier.json").read_text(encoding="utf-8"))
        if told["format"] != FORMAT or told["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {told['format']} {told['format_version']}")
        made_of = ClassifierConfig(**told["made_of"])
        kind = CLASSIFIERS[made_of.kind]
        confusion = {name: np.array(rows, int) for name, rows in told["confusion"].items()}
        examination = ClassifierReport(confusion, told["clips"], told["split"], told["held_out"])
        names = {name: tuple(each) for name, each in told["names"].items()}
        digest, weights, trained_in = told["sha256"], told["weights"], told["trained_in"]
    except OSError as error:
        raise ClassifierError(
            f"{path}: no classifier is there ({error.strerror}); {remake}."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClassifierError(
            f"{path / 'classifier.json'}: damaged ({error}); {remake}."
        ) from error
    if config is not None and _plain(made_of) != _plain(config):
        ours, theirs = _plain(config), _plain(made_of)
        other = ", ".join(key for key in ours if ours[key] != theirs[key])
        raise ClassifierError(f"{path}: is a classifier of other {other}; {remake}.")
    file = path / "classifier.keras"
    if not file.exists() or hash_file(os.fspath(file))[0] != digest:
        what = "altered, its SHA-256 does not match" if file.exists() else "missing"
        raise ClassifierError(f"{file}: {what}; {remake}.")
    made_of = dataclasses.replace(made_of, image_shape=tuple(made_of.image_shape))
    try:
        model = keras.saving.load_model(file, compile=False)
    except (KeyError, OSError, TypeError, ValueError) as error:  # whole, but of another version
        why = str(error).strip().partition("\n")[0]
        raise ClassifierError(f"{file}: is not to be read here ({why}); {remake}.") from error
    fits = isinstance(model, kind) and list(model.heads) == list(confusion)
    if not fits or model.weights_digest() != weights:
        raise ClassifierError(
            f"{file}: is not the network that classifier.json tells of; {remake}."
        )
    return TrainedClassifier(model, made_of, examination, names, trained_in, path)


def _train_and_write(
    path: pathlib.Path, data: ClassifierData, report: Callable[[str], None]
) -> None:
    """Trains and tests a classifier; its folder appears when it is complete."""
    model = train_classifier(data, report)
    result = measure_classifier(model, data)
    classes = {name: tuple(map(str, range(size))) for name, size in data.heads.items()}
    label = next((name for name, column in data.columns.items() if column < 0), None)
    if label in classes:
        classes[label] = data.info.class_names
    building = path.with_name(f"partial-{os.getpid()}-{path.name}")
    try:
        with readable_os_errors(path):
            building.mkdir()
            model.save(building / "classifier.keras")
            told = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "made_of": _plain(data.config),
                "trained_in": resolve_precision(data.config.precision),
                "accuracy": result.accuracy,
                "confusion": {name: counts.tolist() for name, counts in result.confusion.items()},
                "names": classes,
                "clips": result.clips,
                "split": result.split,
                "held_out": result.held_out,
                "weights": model.weights_digest(),
                "sha256": hash_file(os.fspath(building / "classifier.keras"))[0],
            }
            text = json.dumps(told, indent=1) + "\n"
            (building / "classifier.json").write_text(text, encoding="utf-8")
            os.rename(building, path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: pathlib.Path, report: Callable[[str], None]) -> Iterator[None]:
    """Within, no other process trains this classifier; waits for one that does."""
    with readable_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            report(f"{path}: another process trains this classifier; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in path.parent.glob(f"partial-*-{path.name}"):  # of one that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _check_share(min_accuracy: float | None) -> None:
    if min_accuracy is not None and not 0.0 <= min_accuracy <= 1.0:
        raise ClassifierError(f"min_accuracy={min_accuracy}: give a share from 0 to 1.")


def _plain(config: ClassifierConfig) -> dict[str, Any]:
    """A config as JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _table(names: tuple[str, ...], counts: np.ndarray) -> list[str]:
    """Lines of a confusion table: a row for what is shown, a column for what is told."""
    left, cell = max(map(len, names)), max(5, len(str(counts.max())) + 1)
    head = " " * (left + 4) + "".join(f"{column:>{cell}}" for column in range(len(names)))
    rows = [
        f"{row:>2} {name:<{left}} " + "".join(f"{count:>{cell}}" for count in counts[row])
        for row, name in enumerate(names)
    ]
    return [head, *rows]
