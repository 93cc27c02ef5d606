"""Judges that are trained once a data set, kept with what they are worth, and refused if unfit.

    judges/sprites-lpc-clip-8f-1a2b3c4d5e6f/
        judge.keras   the network
        judge.json    what it was made of, its accuracy and confusion on held-out clips

The folder's name tells the digest of all that the judge is made of (`JudgePlan`): other data, other
frames or another seed is another judge, and where the data lies does not matter.
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
from kerasvid.evaluation.classifiers.networks import JUDGES
from kerasvid.evaluation.classifiers.train import (
    Examination,
    JudgeData,
    JudgeError,
    JudgePlan,
    examine,
    make_judge_plan,
    print_line,
    train_judge,
)
from kerasvid.io import faults_named
from kerasvid.training.devices import resolve_precision

FORMAT = "kerasvid-judge"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class TrainedJudge:
    """A judge with what it is worth.

    Args:
        model: `ClipJudge` or `FrameJudge`, float32.
        plan: all that it is made of.
        examination: how it did on held-out clips.
        names: of the classes, by head; numbers where they have none.
        trained_in: dtype policy of its training.
        path: of its folder.

    Example:
        >>> judge = trained_judge("data/sprites-lpc", least_accuracy=0.99)
        >>> judge.accuracy["action"]
        1.0
        >>> frechet_video_distance(real, generated, judge.features, clips=624, split="test")
    """

    model: keras.Model
    plan: JudgePlan
    examination: Examination
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
    def features(self) -> "JudgeFeatures":
        """A function of clips to features that knows its protocol, as `frechet_video_distance`
        takes it."""
        return JudgeFeatures(self)

    def probabilities(self, clips: np.ndarray, **rest: Any) -> dict[str, np.ndarray]:
        """As that of the model: float32 `[B, K]` by head."""
        return self.model.probabilities(clips, **rest)

    def protocol(self) -> dict[str, Any]:
        """What numbers of this judge have in common, as JSON takes it."""
        plan = self.plan
        return {
            "judge": f"{plan.kind} judge trained on {plan.dataset}",
            "kind": plan.kind,
            "dataset": plan.dataset,
            "data_digest": plan.data_digest,
            "heads": self.heads,
            "frames": plan.frames,
            "stride": plan.stride,
            "image_shape": list(plan.image_shape),
            "steps": plan.steps,
            "seed": plan.seed,
            "trained_in": self.trained_in,
            "judges_in": "float32",
            "accuracy": self.accuracy,
            "accuracy_of": f"{self.clips} clips: {self.examination.held_out}; every clip counts",
            "weights": self.model.weights_digest(),
        }

    def require(self, least_accuracy: float | None) -> None:
        """Refuses a judge that tells a head less often than that.

        Raises:
            JudgeError: it does; one line with the head, its accuracy and what to do.
        """
        _check_share(least_accuracy)
        if least_accuracy is None:
            return
        name, share = min(self.accuracy.items(), key=lambda item: item[1])
        if share < least_accuracy:
            raise JudgeError(
                f"{self.path}: this judge tells {name} of {100 * share:.2f} % of {self.clips} "
                f"held-out clips rightly, {100 * least_accuracy:g} % are asked for: train one for "
                f"longer (steps={2 * self.plan.steps}), or on more frames."
            )

    def report(self) -> str:
        """Accuracy and confusion as text, for the screen."""
        plan, lines = self.plan, [f"judge      {self.path}"]
        lines += [f"trained    {plan.steps} steps of {plan.batch_size} clips, {self.trained_in}"]
        lines += [f"tested on  {self.clips} clips: {self.examination.held_out}"]
        for name, counts in self.confusion.items():
            lines += ["", f"{name}: {100 * self.accuracy[name]:.2f} %"]
            lines += _table(self.names[name], counts)
        return "\n".join(lines)


class JudgeFeatures:
    """Features of a trained judge, and their protocol.

    A frame judge sees one frame of each clip, which the clip's own pixels choose: it does not
    matter in which batch, or where in it, a clip comes.
    """

    def __init__(self, judge: TrainedJudge):
        self.judge = judge

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """float32 `[B, D]` of clips `[B, T, H, W, C]`."""
        clips = np.asarray(clips)
        if self.judge.plan.kind == "frame" and clips.ndim == 5 and clips.shape[1] > 1:
            chosen = [zlib.crc32(np.ascontiguousarray(clip)) % len(clip) for clip in clips]
            clips = clips[np.arange(len(clips)), chosen][:, None]  # [B, 1, H, W, C]
        return self.judge.model.features(clips)

    def protocol(self, frames: int) -> dict[str, Any]:
        """What they are for clips of so many frames, and of which judge."""
        return {**self.judge.protocol(), **self.judge.model.protocol(frames)}


def trained_judge(
    data_folder: str | os.PathLike,
    kind: str = "clip",
    frames: int = 8,
    judge_dir: str | os.PathLike = "judges",
    seed: int = 0,
    steps: int | None = None,
    least_accuracy: float | None = None,
    *,
    stride: int = 1,
    batch_size: int | None = None,
    network: Mapping[str, Any] | None = None,
    precision: str = "auto",
    report: Callable[[str], None] = print_line,
) -> TrainedJudge:
    """The judge of a data set, which is trained where there is none yet.

    Args:
        data_folder: of the data set.
        kind: "clip" or "frame".
        frames: T of the clips that it learns from; a frame judge learns from single ones anyway.
        judge_dir: where judges are kept.
        seed: of its weights and the order of videos.
        steps: of training; by default as many as the kind needs.
        least_accuracy: share of held-out clips that every head must tell rightly.
        stride: distance of two frames of a clip in the video.
        batch_size: clips a step.
        network: arguments of `ClipJudge` or `FrameJudge` beyond heads, image shape and frames.
        precision: to train in, as `resolve_precision` takes it.
        report: is told the progress, a line at a time.

    Raises:
        JudgeError: there are no labels, clips are too short, the accuracy is below
            `least_accuracy`, or what is kept is damaged or of another making.
        DatasetError: the data set is absent or damaged.
        OSError: `judge_dir` cannot be written.

    Example:
        >>> judge = trained_judge("data/sprites-lpc", frames=8, least_accuracy=0.99)
        >>> judge.probabilities(clips)["action"]  # [B, 9]
    """
    _check_share(least_accuracy)  # before minutes of training
    folder = os.fspath(data_folder)
    info = load_info(folder)
    plan = make_judge_plan(info, kind, frames, stride, seed, steps, batch_size, network, precision)
    path = pathlib.Path(judge_dir) / folder_name(plan)
    if not path.exists():
        data = JudgeData(folder, plan)  # refuses before anything is written
        with _alone(path, report):
            if not path.exists():  # another process has made it in the meantime
                report(f"training a {kind} judge on {plan.dataset}: {plan.steps} steps")
                _train_and_write(path, data, report)
    judge = load_judge(path, plan)
    judge.require(least_accuracy)
    return judge


def folder_name(plan: JudgePlan) -> str:
    """Name of a judge's folder.

    Example:
        >>> folder_name(plan)
        'sprites-lpc-clip-8f-1a2b3c4d5e6f'
    """
    name = "-".join(re.findall(r"[\w][\w.-]*", plan.dataset)) or "data"
    digest = hashlib.sha256(json.dumps(_plain(plan), sort_keys=True).encode()).hexdigest()
    return f"{name}-{plan.kind}-{plan.frames}f-{digest[:12]}"


def load_judge(path: str | os.PathLike, plan: JudgePlan | None = None) -> TrainedJudge:
    """A judge that is kept.

    Args:
        path: of its folder.
        plan: that it must have been made by, or `None`.

    Raises:
        JudgeError: there is none, it is damaged, or of another making.
    """
    path = pathlib.Path(path)
    remake = f"delete the folder {path} to have it trained again"
    try:
        told = json.loads((path / "judge.json").read_text(encoding="utf-8"))
        if told["format"] != FORMAT or told["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {told['format']} {told['format_version']}")
        made_of = JudgePlan(**told["made_of"])
        kind = JUDGES[made_of.kind]
        confusion = {name: np.array(rows, int) for name, rows in told["confusion"].items()}
        examination = Examination(confusion, told["clips"], told["split"], told["held_out"])
        names = {name: tuple(each) for name, each in told["names"].items()}
        digest, weights, trained_in = told["sha256"], told["weights"], told["trained_in"]
    except OSError as error:
        raise JudgeError(f"{path}: no judge is there ({error.strerror}); {remake}.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JudgeError(f"{path / 'judge.json'}: damaged ({error}); {remake}.") from error
    if plan is not None and _plain(made_of) != _plain(plan):
        ours, theirs = _plain(plan), _plain(made_of)
        other = ", ".join(key for key in ours if ours[key] != theirs[key])
        raise JudgeError(f"{path}: is a judge of other {other}; {remake}.")
    file = path / "judge.keras"
    if not file.exists() or hash_file(os.fspath(file))[0] != digest:
        what = "altered, its SHA-256 does not match" if file.exists() else "missing"
        raise JudgeError(f"{file}: {what}; {remake}.")
    made_of = dataclasses.replace(made_of, image_shape=tuple(made_of.image_shape))
    try:
        model = keras.saving.load_model(file, compile=False)
    except (KeyError, OSError, TypeError, ValueError) as error:  # whole, but of another version
        why = str(error).strip().partition("\n")[0]
        raise JudgeError(f"{file}: is not to be read here ({why}); {remake}.") from error
    fits = isinstance(model, kind) and list(model.heads) == list(confusion)
    if not fits or model.weights_digest() != weights:
        raise JudgeError(f"{file}: is not the network that judge.json tells of; {remake}.")
    return TrainedJudge(model, made_of, examination, names, trained_in, path)


def _train_and_write(path: pathlib.Path, data: JudgeData, report: Callable[[str], None]) -> None:
    """Trains and tests a judge; its folder appears when it is complete."""
    model = train_judge(data, report)
    result = examine(model, data)
    classes = {name: tuple(map(str, range(size))) for name, size in data.heads.items()}
    label = next((name for name, column in data.columns.items() if column < 0), None)
    if label in classes:
        classes[label] = data.info.class_names
    building = path.with_name(f"partial-{os.getpid()}-{path.name}")
    try:
        with faults_named(path):
            building.mkdir()
            model.save(building / "judge.keras")
            told = {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "made_of": _plain(data.plan),
                "trained_in": resolve_precision(data.plan.precision),
                "accuracy": result.accuracy,
                "confusion": {name: counts.tolist() for name, counts in result.confusion.items()},
                "names": classes,
                "clips": result.clips,
                "split": result.split,
                "held_out": result.held_out,
                "weights": model.weights_digest(),
                "sha256": hash_file(os.fspath(building / "judge.keras"))[0],
            }
            text = json.dumps(told, indent=1) + "\n"
            (building / "judge.json").write_text(text, encoding="utf-8")
            os.rename(building, path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: pathlib.Path, report: Callable[[str], None]) -> Iterator[None]:
    """Within, no other process trains this judge; waits for one that does."""
    with faults_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            report(f"{path}: another process trains this judge; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in path.parent.glob(f"partial-*-{path.name}"):  # of one that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _check_share(least_accuracy: float | None) -> None:
    if least_accuracy is not None and not 0.0 <= least_accuracy <= 1.0:
        raise JudgeError(f"least_accuracy={least_accuracy}: give a share from 0 to 1.")


def _plain(plan: JudgePlan) -> dict[str, Any]:
    """A plan as JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(plan)))


def _table(names: tuple[str, ...], counts: np.ndarray) -> list[str]:
    """Lines of a confusion table: a row for what is shown, a column for what is told."""
    left, cell = max(map(len, names)), max(5, len(str(counts.max())) + 1)
    head = " " * (left + 4) + "".join(f"{column:>{cell}}" for column in range(len(names)))
    rows = [
        f"{row:>2} {name:<{left}} " + "".join(f"{count:>{cell}}" for count in counts[row])
        for row, name in enumerate(names)
    ]
    return [head, *rows]
