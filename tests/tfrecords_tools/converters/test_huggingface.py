"""Data sets of the package `datasets`: columns, splits, classes and faults."""

import io
import sys
import tempfile

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.data import load_info, make_pipeline
from kerasvid.data.shards import read_split
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import huggingface
from tfrecords_tools.converters.huggingface import HubOptions, convert
from tfrecords_tools.verify import verify

datasets = pytest.importorskip("datasets", reason="pip install -e '.[tests]'")
CLASSES = ["walk", "jump"]
FRAMES = 5


def png(level, size=(12, 8)):
    content = io.BytesIO()
    Image.fromarray(np.full([size[1], size[0], 3], level, np.uint8)).save(content, "PNG")
    return {"bytes": content.getvalue(), "path": None}


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """A function that makes the bytes of a video whose frames are of one level."""

    def make(level, fps=10.0):
        path = str(tmp_path_factory.mktemp("movies") / "a.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), fps, (32, 16))
        for _ in range(FRAMES):
            writer.write(np.full([16, 32, 3], level, np.uint8))
        writer.release()
        with open(path, "rb") as file:
            return {"bytes": file.read(), "path": "a.avi"}

    return make


@pytest.fixture
def movies(movie, tmp_path):
    """A folder of Parquet files: two of "train" with three videos, one of "test" with one."""
    features = datasets.Features({
        "clip": datasets.Video(decode=False),
        "action": datasets.ClassLabel(names=CLASSES),
        "note": datasets.Value("string"),
    })  # fmt: skip
    folder = tmp_path / "walks"
    folder.mkdir()
    levels = {"train-0": [(10, 0), (60, 1)], "train-1": [(110, 0)], "test-0": [(200, 1)]}
    for name, rows in levels.items():
        columns = {"clip": [movie(level) for level, _ in rows],
                   "action": [label for _, label in rows], "note": [name] * len(rows)}  # fmt: skip
        table = datasets.Dataset.from_dict(columns, features=features)
        table.to_parquet(str(folder / f"{name}.parquet"))
    return str(folder)


@pytest.fixture
def sequences(tmp_path):
    """A folder with sequences of images of different lengths, and no classes."""
    features = datasets.Features({
        "frames": datasets.Sequence(datasets.Image(decode=False)), "take": datasets.Value("int64"),
    })  # fmt: skip
    columns = {"frames": [[png(20 * n + k) for k in range(3 + n)] for n in range(3)],
               "take": [4, 5, 6]}  # fmt: skip
    folder = tmp_path / "takes"
    folder.mkdir()
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(str(folder / "train.parquet"))
    return str(folder)


def batch_of(folder, split, frames, size):
    options = {"batch_size": size, "frames": frames, "pick": "start", "shuffle": False}
    return next(iter(make_pipeline(folder, split, **options).as_numpy_iterator()))


def written(name, out, *args, **options):
    return convert(name, str(out), *args, progress=False, **options)


def test_videos_have_their_splits_classes_and_rate(movies, tmp_path):
    info = written(movies, tmp_path / "out", HubOptions(8, 16))
    assert verify(tmp_path / "out").faults == []
    assert {name: split.count for name, split in info.splits.items()} == {"train": 3, "test": 1}
    assert info.class_names == tuple(CLASSES) and info.fps == 10.0 and info.name == "walks"
    batch = batch_of(tmp_path / "out", "train", FRAMES, 3)
    assert batch["video"].shape == (3, FRAMES, 8, 16, 3) and batch["label"].tolist() == [0, 1, 0]
    levels = batch["video"].mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(levels, [10, 60, 110], atol=3)
    assert batch_of(tmp_path / "out", "test", FRAMES, 1)["label"].tolist() == [1]


def test_sequences_of_images_are_videos_of_their_lengths(sequences, tmp_path):
    info = written(sequences, tmp_path / "out", HubOptions(8, 8, fps=4.0))
    split = info.splits["train"]
    assert (split.count, split.min_length, split.max_length, info.fps) == (3, 3, 5, 4.0)
    batch = batch_of(tmp_path / "out", "train", 3, 3)
    np.testing.assert_array_equal(
        batch["video"][:, :, 0, 0, 0], 20 * np.arange(3)[:, None] + np.arange(3)
    )
    assert batch["label"].tolist() == [-1] * 3


def one_file(folder, columns, features):
    """A folder with one Parquet file."""
    folder.mkdir()
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    table.to_parquet(str(folder / "train.parquet"))
    return str(folder)


def test_videos_of_one_file_keep_their_own_rates(movie, tmp_path):
    cells = [movie(10, 10.0), movie(60, 30.0)]
    name = one_file(tmp_path / "a", {"clip": cells}, {"clip": datasets.Video(decode=False)})
    info = written(name, tmp_path / "out", HubOptions(8, 8))
    records = read_split(tmp_path / "out", info, "train").as_numpy_iterator()
    assert [float(record["fps"]) for record in records] == [10.0, 30.0] and info.fps == -1.0


def test_other_columns_are_not_decoded(movie, tmp_path):
    """Of two columns of videos one is asked for; the other is broken, and so is a thumbnail."""
    broken = {"bytes": b"nothing", "path": "x"}
    columns = {"clip": [movie(10)], "other": [broken], "thumbnail": [broken]}
    features = {"clip": datasets.Video(), "other": datasets.Video(), "thumbnail": datasets.Image()}
    stored = {name: type(feature)(decode=False) for name, feature in features.items()}
    folder = tmp_path / "a"
    folder.mkdir()
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(stored))
    for key, feature in features.items():
        table = table.cast_column(key, feature)
    table.to_parquet(str(folder / "train.parquet"))
    with pytest.raises(ConversionError, match=r"several columns of videos \(clip, other\)"):
        written(str(folder), tmp_path / "out")
    info = written(str(folder), tmp_path / "out", HubOptions(8, 8, column="clip"))
    assert info.splits["train"].count == 1


def test_a_broken_image_of_a_sequence_is_named_by_its_row(tmp_path):
    cells = [[png(3), {"bytes": b"no image", "path": None}]]
    features = {"frames": datasets.Sequence(datasets.Image(decode=False))}
    name = one_file(tmp_path / "a", {"frames": cells}, features)
    with pytest.raises(
        ConversionError, match="train/00000-000000: cannot be read as an image"
    ) as e:
        written(name, tmp_path / "out", HubOptions(8, 8))
    assert tempfile.gettempdir() not in str(e.value).partition(": train/")[2]


def test_splits_and_lengths_are_chosen(movies, tmp_path):
    info = written(movies, tmp_path / "out", HubOptions(8, 8, max_frames=2), splits=["test"])
    assert [*info.splits] == ["test"] and info.splits["test"].max_length == 2


def test_the_command_line(movies, tmp_path, capsys):
    sizes = []
    for quality in (30, 95):
        out = tmp_path / f"out-{quality}"
        huggingface.main([f"--name={movies}", f"--out_dir={out}", "--height=8", "--width=8",
                          "--encoding=jpeg", f"--jpeg_quality={quality}"])  # fmt: skip
        text = capsys.readouterr().out
        assert text.startswith("train: 3 videos of 5 to 5 frames, 8x8")
        assert load_info(out).encoding == "jpeg"
        sizes.append(load_info(out).splits["train"].shards[0].bytes)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (HubOptions(column="clips"), "no column 'clips'; did you mean 'clip'"),
        (HubOptions(column="note"), "'note' has no videos and no sequences of images, as clip has"),
        (HubOptions(label="note"), "'note' has no class labels, as action has"),
        (HubOptions(label="acton"), "no column 'acton'; did you mean 'action'"),
    ],
)
def test_wrong_columns_and_lengths_are_one_line(movies, tmp_path, options, message):
    with pytest.raises(ConversionError, match=message) as error:
        written(movies, tmp_path / "out", options)
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_an_unknown_split_is_one_line(movies, tmp_path):
    with pytest.raises(ConversionError, match=r"no split 'valid'; .*train"):
        written(movies, tmp_path / "out", splits=["valid"])


def test_a_folder_without_data_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConversionError, match="empty: cannot be read") as error:
        written(str(tmp_path / "empty"), tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_damaged_video_is_named_with_its_row_or_skipped(movie, tmp_path, capsys):
    features = datasets.Features({"clip": datasets.Video(decode=False)})
    cells = [movie(10), {"bytes": b"no video", "path": "b.avi"}, movie(60)]
    table = datasets.Dataset.from_dict({"clip": cells}, features=features)
    (tmp_path / "walks").mkdir()
    table.to_parquet(str(tmp_path / "walks" / "train.parquet"))
    with pytest.raises(ConversionError, match="train/00000-000001: cannot be read as a video"):
        written(str(tmp_path / "walks"), tmp_path / "out", HubOptions(8, 8))
    options = {"skip_unreadable": True}
    info = written(str(tmp_path / "walks"), tmp_path / "out", HubOptions(8, 8), **options)
    assert info.splits["train"].count == 2
    err = capsys.readouterr().err
    assert "skipped" in err and "000001" in err


def test_short_videos_are_unreadable(movies, tmp_path):
    with pytest.raises(ConversionError, match="5 frames, expected 9 or more"):
        written(movies, tmp_path / "out", HubOptions(min_frames=9))


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConversionError, match=r"pip install 'kerasvid\[hf\]'"):
        convert("anna/walks", str(tmp_path / "out"))
