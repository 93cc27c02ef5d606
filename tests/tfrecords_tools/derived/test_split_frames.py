"""Taking training videos apart: which, what becomes of their frames, and what is refused."""

import os

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import DatasetError, load_info, make_pipeline
from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.derived.split_frames import main, split_frames
from tfrecords_tools.verify import verify

COUNTS = {"train": 9, "test": 2}


def length_of(number):
    return 2 + number % 3


def make_data_set(folder, encoding="png", **splits):
    """Videos train/0, train/1, ... of noise, 2 to 4 frames of 6x8, three a shard."""
    info = DatasetInfo(
        "mine", "3", 6, 8, 3, 12.0, encoding, class_names=("a", "b"),
        identity_names=tuple("vwxyz"), attribute_names=("hat", "shoe"), attribute_sizes=(4, 4),
        licence="free", source="somewhere", citation="someone",
    )  # fmt: skip

    def load(item):
        split, number = item
        frames = np.random.default_rng([len(split), number])
        frames = frames.integers(0, 256, (length_of(number), 6, 8, 3), np.uint8)
        return Video(
            frames, f"{split}/{number}", 12.0, number % 2, number % 5, (number % 4, number % 3)
        )

    items = {split: [(split, k) for k in range(n)] for split, n in (splits or COUNTS).items()}
    write_dataset(folder, info, items, load, videos_per_shard=3, progress=False)
    return folder


def raw_records(folder, split):
    """Records as tf.train.Example, in the order of the shards, parsed without kerasvid."""
    shards = load_info(folder).splits[split].shards
    paths = [os.path.join(folder, shard.file) for shard in shards]
    return [
        tf.train.Example.FromString(serialized)
        for serialized in tf.data.TFRecordDataset(paths).as_numpy_iterator()
    ]


def value(example, name):
    """A feature's values as a list."""
    feature = example.features.feature[name]
    return list(getattr(feature, feature.WhichOneof("kind")).value) if feature.ListFields() else []


def ids(folder, split):
    return [value(record, "id")[0].decode() for record in raw_records(folder, split)]


@pytest.fixture
def source(tmp_path):
    return make_data_set(str(tmp_path / "source"))


def test_each_training_video_is_whole_or_in_frames(source, tmp_path):
    videos, images = split_frames(source, tmp_path / "out", progress=False)
    whole = ids(tmp_path / "out" / "videos", "train")
    frames = ids(tmp_path / "out" / "images", "train")
    apart = list(dict.fromkeys(name.rsplit("/", 1)[0] for name in frames))
    assert len(apart) == 4 and len(whole) == 5  # round(0.5 * 9), halves to even
    assert sorted(whole + apart) == [f"train/{k}" for k in range(9)]
    expected = [f"{name}/frame-{t:04d}" for name in apart for t in range(length_of(int(name[-1])))]
    assert frames == expected
    assert videos.splits["train"].count == 5 and images.splits["train"].count == len(expected)
    assert images.splits["train"].max_length == 1 and videos.splits["train"].max_length > 1


def test_test_videos_are_in_both(source, tmp_path):
    split_frames(source, tmp_path / "out", progress=False)
    assert ids(tmp_path / "out" / "videos", "test") == ["test/0", "test/1"]
    assert ids(tmp_path / "out" / "images", "test") == [
        "test/0/frame-0000", "test/0/frame-0001",
        "test/1/frame-0000", "test/1/frame-0001", "test/1/frame-0002",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["png", "jpeg", "raw"])
def test_frames_keep_their_bytes_and_factors(tmp_path, encoding):
    source = make_data_set(str(tmp_path / "source"), encoding)
    split_frames(source, tmp_path / "out", progress=False)
    for split in COUNTS:
        before = {value(record, "id")[0].decode(): record for record in raw_records(source, split)}
        for position, record in enumerate(raw_records(tmp_path / "out" / "videos", split)):
            old = before[value(record, "id")[0].decode()]
            assert value(record, "index") == [position]
            assert all(
                value(record, name) == value(old, name)
                for name in set(old.features.feature) - {"index"}
            )
        for position, record in enumerate(raw_records(tmp_path / "out" / "images", split)):
            name, number = value(record, "id")[0].decode().split("/frame-")
            old = before[name]
            assert value(record, "index") == [position]
            assert value(record, "frames") == [value(old, "frames")[int(number)]]
            assert value(record, "length") == [1] and value(record, "fps") == [-1.0]
            for kept in ("label", "identity", "attributes", "encoding", "height", "width"):
                assert value(record, kept) == value(old, kept)


def test_both_are_complete_data_sets_that_train(source, tmp_path):
    split_frames(source, tmp_path / "out", progress=False)
    for part, frames in (("videos", 2), ("images", 1)):
        folder = str(tmp_path / "out" / part)
        assert verify(folder).faults == []
        info = load_info(folder)
        assert info.name == f"mine/{part}" and info.version == "3"
        assert info.source == "somewhere; mine, by split_frames with fraction=0.5 and seed=0"
        assert info.class_names == ("a", "b") and info.attribute_names == ("hat", "shoe")
        assert info.fps == (12.0 if part == "videos" else -1.0)
        batch = next(iter(make_pipeline(folder, batch_size=2, frames=frames)))
        assert batch["video"].shape == (2, frames, 6, 8, 3)


def test_the_choice_follows_from_the_seed_and_the_fraction(source, tmp_path):
    chosen = {}
    for name, options in {
        "a": {"seed": 3}, "b": {"seed": 3}, "c": {"seed": 4},
        "few": {"fraction": 0.01}, "many": {"fraction": 0.99},
    }.items():  # fmt: skip
        split_frames(source, tmp_path / name, progress=False, **options)
        chosen[name] = ids(tmp_path / name / "videos", "train")
    assert chosen["a"] == chosen["b"] != chosen["c"]
    assert len(chosen["few"]) == 8 and len(chosen["many"]) == 1
    same = [tmp_path / name / "images" / "dataset.json" for name in "ab"]
    assert same[0].read_text() == same[1].read_text()  # hence the checksums of the shards


def test_the_command_line_states_the_counts(source, tmp_path, capsys):
    out = tmp_path / "out"
    main([f"--data_dir={source}", f"--out_dir={out}", "--fraction=0.34", "--seed=2"])
    printed = capsys.readouterr().out
    images = load_info(out / "images").splits["train"].count
    assert "Split 3 of 9 training videos into frames." in printed
    assert f"{out / 'videos'}: 6 train, 2 test videos" in printed
    assert f"{out / 'images'}: {images} train, 5 test images" in printed


def test_results_are_replaced_only_on_request(source, tmp_path):
    out = tmp_path / "out"
    split_frames(source, out, seed=1, progress=False)
    before = (out / "videos" / "dataset.json").read_text()
    with pytest.raises(ConversionError, match="--overwrite"):
        split_frames(source, out, seed=2, progress=False)
    assert (out / "videos" / "dataset.json").read_text() == before
    split_frames(source, out, seed=2, overwrite=True, progress=False)
    assert "seed=2" in (out / "videos" / "dataset.json").read_text()
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]


@pytest.mark.parametrize("below", [".", "videos"])
def test_the_data_set_that_is_read_is_never_replaced(tmp_path, below):
    out = tmp_path / "out"
    for part in ("videos", "images"):
        make_data_set(str(out / part))
    source = out / below
    if below == ".":
        source = out
        make_data_set(str(tmp_path / "made"))
        for name in os.listdir(tmp_path / "made"):
            os.rename(tmp_path / "made" / name, out / name)
    with pytest.raises(ConversionError, match="contains the data set that is read"):
        split_frames(source, out, overwrite=True, progress=False)
    assert load_info(source).name == "mine"


def test_an_interrupted_run_leaves_nothing(source, tmp_path, monkeypatch):
    import tfrecords_tools.derived.split_frames as module

    def stop(folder, info):
        if info.name.endswith("images"):  # the videos are written by then
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_info", stop)
    with pytest.raises(KeyboardInterrupt):
        split_frames(source, tmp_path / "out", progress=False)
    assert os.listdir(tmp_path) == ["source"]


def test_an_altered_data_set_is_refused(source, tmp_path):
    path = os.path.join(source, "train-00001-of-00003.tfrecord")
    with open(path, "r+b") as file:
        file.seek(60)
        byte = file.read(1)[0]
        file.seek(60)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DatasetError, match=r"train-00001-of-00003\.tfrecord: altered"):
        split_frames(source, tmp_path / "out", progress=False)
    assert os.listdir(tmp_path) == ["source"]


def test_data_sets_that_cannot_be_divided_are_refused(tmp_path):
    one = make_data_set(str(tmp_path / "one"), train=1)
    with pytest.raises(ConversionError, match=r"1 training video cannot be divided"):
        split_frames(one, tmp_path / "out", progress=False)
    other = make_data_set(str(tmp_path / "other"), test=3)
    with pytest.raises(ConversionError, match=r"no split 'train' but test"):
        split_frames(other, tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "--data_dir is missing"),
        (["--data_dir=source"], "--out_dir is missing"),
        (["--data_dir=none", "--out_dir=new"], "none: no such folder"),
        (["--data_dir=used", "--out_dir=new"], "used: not a data set"),
        (["--data_dir=source", "--out_dir=used"], "used: exists and does not contain videos"),
        (["--data_dir=source", "--out_dir=new", "--fraction=1"], r"fraction=1\.0: must be above 0"),
        (["--data_dir=source", "--out_dir=new", "--fraction=0"], "must be above 0"),
        (["--data_dir=source", "--out_dir=new", "--seed=-1"], "seed"),
        (["--frac=0.5"], "frac"),
        (["source"], "source: is not a flag"),
    ],
)
def test_a_mistake_gets_one_line(source, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "keep.txt").write_text("mine")
    with pytest.raises(SystemExit, match=said) as stop:
        main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "used" / "keep.txt").read_text() == "mine"
