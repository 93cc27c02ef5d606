"""Squares that walk left or right in two colours, and models and classifiers with new weights."""

import itertools
import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.evaluation import context
from kerasvid.evaluation.classifiers.store import TrainedClassifier
from kerasvid.evaluation.classifiers.train import ClassifierReport, make_classifier_config
from kerasvid.evaluation.context import EvaluationConfig, EvaluationContext
from kerasvid.evaluation.evaluate import evaluate_context
from kerasvid.evaluation.metrics.clip_batches import as_bytes
from kerasvid.training.config import make_config
from tfrecords_tools.conversion import write_dataset

CLASSIFIERS = {
    "clip": {
        "encoder": {"channels": (16, 32), "strides": (2, 2), "patch": 2, "features": 32},
        "units": 16,
    },
    "frame": {"discriminator": {"channels": (8, 16)}},
}
COLOURS = ((230, 60, 60), (60, 90, 230))


@pytest.fixture(scope="session")
def square():
    """A function that draws a video of a walking square."""

    def draw(index: int, length: int = 4) -> np.ndarray:
        """Video `index` goes right if it is odd, in the second colour if index // 2 is."""
        generator, frames = np.random.default_rng(index), np.full([length, 16, 16, 3], 20, np.uint8)
        top, left = generator.integers(0, 12), generator.integers(5, 8)
        for frame in range(length):
            start = max(left + (2 if index % 2 else -2) * frame, 0)
            frames[frame, top : top + 4, start : start + 4] = COLOURS[index // 2 % 2]
        return frames

    return draw


@pytest.fixture(scope="session")
def write_walks(square):
    """A function that writes a data set of walking squares, and returns its path."""

    def write(
        folder, splits=None, length=4, label=lambda i: i % 2, known=True, names=True,
        name="walks/two",
    ):  # fmt: skip
        classes = {"class_names": ("left", "right")} if names else {}
        colours = {"attribute_names": ("colour",), "attribute_sizes": (2,)} if names else {}
        info = DatasetInfo(name, "1", 16, 16, 3, fps=8.0, **classes, **colours)
        splits = splits or {"train": range(96), "test": range(96, 116)}
        load = lambda i: Video(  # noqa: E731
            square(i, length), f"walk-{i}", label=label(i),
            attributes=(i // 2 % 2 if known else -1,) if names else (),
        )  # fmt: skip
        write_dataset(os.fspath(folder), info, splits, load, progress=False)
        return os.fspath(folder)

    return write


@pytest.fixture(scope="session")
def walks(tmp_path_factory, write_walks):
    return write_walks(tmp_path_factory.mktemp("data") / "walks")


# === Evaluations ===


@pytest.fixture(scope="session")
def long_walks(tmp_path_factory, write_walks):
    """Folder of a data set "walks" of 32 + 24 videos of 5 frames."""
    folder = tmp_path_factory.mktemp("data") / "walks"
    return write_walks(folder, {"train": range(32), "test": range(32, 56)}, 5, name="walks")


@pytest.fixture(scope="module")
def made_once():
    """What depends on its arguments alone, pipelines and clips of a seed, is made once."""
    read, make = EvaluationContext._batches, context.generated_clips
    batches, clips = {}, {}

    def read_once(self, split, pick, windows):
        key = (self.config.data_folder, self.frames, self.seed, self.batch, split, pick, windows)
        if key not in batches:
            batches[key] = list(read(self, split, pick, windows))
        return iter(batches[key])

    def make_once(model, batch, frames, seed):
        key = (id(model), batch, frames, seed)
        if key not in clips:
            clips[key] = list(itertools.islice(make(model, batch, frames, seed), 4))
        return iter(clips[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EvaluationContext, "_batches", read_once)
        patch.setattr(context, "generated_clips", make_once)
        yield


@pytest.fixture(scope="session")
def new_models():
    """Models with new weights by name and data set, for `context_of`."""
    return {}


@pytest.fixture(scope="module")
def context_of(long_walks, new_models, made_once):
    """A function of a model's name to a context with new weights; models are made once."""

    def make(name="dsa", folder=long_walks, kind=EvaluationContext, classifier_of=None, **choices):
        info, values = load_info(folder), {"frames": 4, "training.batch_size": 4}
        config = make_config(
            name, info.name, folder, info, "debug", values, precision="float32", seed=0
        )
        if (name, folder) not in new_models:
            new_models[name, folder] = config.make_model()
        evaluation_config = EvaluationConfig(**{"batch": 10, **choices})
        context = kind(new_models[name, folder], config, evaluation_config, 0, False)
        if classifier_of is not None:
            context._classifiers = {kind: classifier_of(kind) for kind in ("clip", "frame")}
        return context

    return make


@pytest.fixture(scope="session")
def new_classifier():
    """A function of a data set to a classifier with new weights and a made-up accuracy."""

    def make(folder, kind="clip", accuracy=1.0, frames=4):
        config = make_classifier_config(load_info(folder), kind, frames, network=CLASSIFIERS[kind])
        right = int(1000 * accuracy)
        counts = {n: np.array([[right, 1000 - right], [0, 0]]) for n in config.heads}
        report = ClassifierReport(counts, 1000, "made up")
        names = {name: ("a", "b") for name in config.heads}
        return TrainedClassifier(
            config.make_classifier(config.heads), config, report, names, "float32", "classifiers/x"
        )

    return make


@pytest.fixture(scope="session")
def classifiers(long_walks, new_classifier):
    """Of a kind to the classifier with new weights."""
    return {kind: new_classifier(long_walks, kind) for kind in ("clip", "frame")}.get


class Shown(EvaluationContext):
    """A context whose generated clips are `shown`."""

    shown = None

    def generated(self, unseen=False):
        return (self.shown[i : i + 7] for i in range(0, len(self.shown), 7))


@pytest.fixture(scope="session")
def showing():
    """A function of clips to a kind of context whose generated clips they are."""
    return lambda clips: type("Shown", (Shown,), {"shown": clips})


@pytest.fixture(scope="session")
def values_of():
    """A function of a context and metrics to their values by name."""
    return lambda context, *metrics: {
        each.name: each for each in evaluate_context(context, metrics).measured
    }


@pytest.fixture(scope="session")
def real_clips():
    """A function of a context to all its real clips."""
    return lambda context, split=None: np.concatenate(list(context.real(split)))


@pytest.fixture(scope="session")
def redrawn_one_by_one():
    """A function of a model to a `Recombine` by its public methods, a row at a time."""

    def make(model, keep_motion):
        def redraw(clips, seeds):
            encoded, frames = model.encode(clips), clips.shape[1]
            rows = [model.sample_noise(1, frames, int(seed)) for seed in seeds]
            noise = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
            own, drawn = encoded["codes"].numpy(), model.codes(noise, frames).numpy()
            size = encoded["content"].shape[-1]
            content, motion = (drawn, own) if keep_motion else (own, drawn)
            codes = np.concatenate([content[..., :size], motion[..., size:]], axis=-1)
            return as_bytes(model.decode(codes).numpy())

        return redraw

    return make
