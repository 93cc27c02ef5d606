"""Writes many samples of a trained model, as a data set of records or as MP4 files.

    kerasvid write-samples --run_dir=runs/rjvae-sprites --count=50000 --records=data/generated
    kerasvid write-samples --preset=hf://anna/rjvae --count=1000 --videos=clips --label=walk

Memory does not grow with their number. Sample i depends on the seed and i alone. MP4 files that an
interrupted command has written are kept: the same command again writes the rest.
"""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from absl import flags

from kerasvid.cli.command import Define, one_line_errors, start_tensorflow

A_FOLDER = 1_000  # MP4 files of one folder
SETTINGS = "samples.json"  # beside the folders of MP4 files

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("run_dir", None, "Folder of the run.")
define.string("preset", None, "Model with weights in place of a run: a folder, an address such as "
              "hf://user/repository.")  # fmt: skip
define.string("records", None, "Folder of a new data set, to train or to evaluate with.")
define.string("videos", None, "Folder of MP4 files, in folders of 1,000.")
define.integer("count", 1_000, "Number of samples.", lower_bound=1)
define.integer("frames", None, "Length of samples; by default the model's.", lower_bound=1)
define.integer("seed", 0, "Random seed of the samples.")
define.float("truncation", 1.0, "Standard deviation of the noise, for models with a Gaussian "
             "prior; less: more typical videos.", lower_bound=0.0)  # fmt: skip
define.string("label", None, "Class of the samples, by its name in the data or its number, for a "
              "model trained with conditional=true; by default any.")  # fmt: skip
define.integer("batch_size", 32, "Samples that are made at once; no sample depends on it.",
               lower_bound=1)  # fmt: skip
define.string("strategy", "none", "Devices that share the samples: none, mirrored or mirrored:N.")
define.bool("overwrite", False, "Replacement of an existing data set.")


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError):  # before TensorFlow is imported, which takes seconds
        for one, other in (("run_dir", "preset"), ("records", "videos")):
            if bool(_F[one].value) == bool(_F[other].value):
                raise ValueError(f"Give --{one} or --{other}, one of the two.")
        if _F.overwrite and _F.videos:
            raise ValueError("--overwrite is for --records. Remove the folder of MP4 files.")
    start_tensorflow()
    from kerasvid.evaluation.generated_clips import clips_of_rows
    from kerasvid.models.base.categories import class_number
    from kerasvid.models.base.video_generator import VideoGenerator
    from kerasvid.training.devices import one_machine_strategy
    from kerasvid.training.run_folder import ERRORS

    with one_line_errors(ValueError, *ERRORS):
        there = _F.records and os.path.exists(_F.records)
        if there and not (
            _F.overwrite or (os.path.isdir(_F.records) and not os.listdir(_F.records))
        ):
            raise ValueError(f"{_F.records}: exists already. Give a new folder, or --overwrite.")
        strategy = one_machine_strategy(_F.strategy)
        with strategy.scope():
            model, known, digest = _preset() if _F.preset else _run()
        if not isinstance(model, VideoGenerator):
            raise ValueError(f"{known.model} makes no videos from noise alone.")
        label = None if _F.label is None else class_number(_F.label, known.classes)
        batch = min(_F.batch_size, _F.count)
        with strategy.scope():
            clips = clips_of_rows(model, batch, _F.frames, _F.seed, _F.truncation, label)
        if _F.records:
            return _write_records(clips, batch, known, clips(0)[0].shape[2:])
        names = ("seed", "truncation")
        settings = {name: _F[name].value for name in names} | {"label": label, "weights": digest}
        settings["frames"] = model.frames if _F.frames is None else _F.frames
        _write_videos(clips, batch, known, settings)


def _run() -> tuple[Any, Any, str]:
    """The model of --run_dir, what is known of it, and the SHA-256 of its weights."""
    from kerasvid.export.exported_run import dataset_info
    from kerasvid.io import file_digest
    from kerasvid.models.base.preset_folder import Description
    from kerasvid.training.clips import frame_rate
    from kerasvid.training.run_folder import RunFolder

    run = RunFolder(_F.run_dir)
    config = run.load_config()
    model, file = run.load_model()
    info, _ = dataset_info(config)
    classes, licence = (info.class_names, info.licence) if info else ((), "")
    known = Description(config.model, frame_rate(config), classes, config.dataset, licence)
    return model, known, file_digest(file)


def _preset() -> tuple[Any, Any, str]:
    """As `_run`, of --preset."""
    from kerasvid.models.base.preset_folder import (
        WEIGHTS,
        description_of,
        read_metadata,
        read_preset,
    )
    from kerasvid.models.base.preset_sources import local_preset

    with local_preset(_F.preset) as folder:
        metadata = read_metadata(folder)
        return read_preset(folder), description_of(metadata), metadata["files"][WEIGHTS]


def _write_records(clips, batch: int, known, shape) -> None:
    """A data set with the split "train"."""
    from kerasvid.data import DatasetInfo, Video
    from tfrecords_tools.conversion import write_dataset

    def videos(first: int) -> Iterator[Video]:
        made, labels = clips(first)
        for number in range(first, min(first + batch, _F.count)):
            frames, own = made[number - first], int(labels[number - first])
            yield Video(frames, f"{_F.seed}-{number:06d}", known.fps, own)

    height, width, channels = shape
    info = DatasetInfo(
        f"samples of {known.model}", "1", height, width, channels, fps=known.fps,
        class_names=known.classes, licence=known.licence,
        source=f"drawn by {known.model} trained on {known.data}, seed {_F.seed}",
    )  # fmt: skip
    firsts = range(0, _F.count, batch)
    write_dataset(_F.records, info, {"train": firsts}, videos, overwrite=_F.overwrite)
    print(f"{_F.records}: {_F.count:,} videos")


def _write_videos(clips, batch: int, known, settings: dict) -> None:
    """MP4 files `000/000000.mp4`, and the settings that they were made by."""
    from kerasvid.io import atomic_write, read_text
    from kerasvid.visualization.writers import write_mp4
    from tfrecords_tools.conversion import progress_bar

    folder = pathlib.Path(_F.videos)
    path = folder / SETTINGS
    if path.exists():
        try:
            found = json.loads(read_text(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}. Give a new folder.") from error
        if found != settings:
            raise ValueError(f"{folder}: has samples of other settings, see {path}. Give a new "
                             "folder.")  # fmt: skip
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: is not empty. Give a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text(json.dumps(settings, indent=1) + "\n")
    with progress_bar(_F.count) as bar:
        for first in range(0, _F.count, batch):
            rows = range(first, min(first + batch, _F.count))
            paths = [folder / f"{row // A_FOLDER:03d}" / f"{row:06d}.mp4" for row in rows]
            if not all(each.exists() for each in paths):
                for each, video in zip(paths, clips(first)[0], strict=False):
                    each.parent.mkdir(exist_ok=True)
                    color = video if video.shape[-1] == 3 else video.repeat(3, axis=-1)
                    write_mp4(each, color, known.fps)
            bar.update(len(rows))
    print(f"{folder}: {_F.count:,} videos")
