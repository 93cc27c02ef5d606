"""The MUG database: which takes are read, what their records hold, and what is refused."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info, make_pipeline, parse_record
from kerasvid.data.records import decode_frames
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import faces, mug
from tfrecords_tools.converters.expressions import ClipOptions
from tfrecords_tools.verify import verify

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def write_take(root, name, frames, first=0):
    """A take's images, losslessly: .jpg files may hold PNG, decoders look at the content."""
    folder = root.joinpath("subjects3", *name.split("/"))
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, first):
        data = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))[1]
        (folder / f"img_{number:04d}.jpg").write_bytes(data.tobytes())


def noise(frames, seed):
    return np.random.default_rng(seed).integers(0, 256, (frames, 8, 8, 3), np.uint8)


@pytest.fixture
def database(tmp_path):
    """Two people, three expressions, takes of 2 to 6 frames of noise, 8x8."""
    root = tmp_path / "MUG"
    takes = {
        "001/anger/take000": noise(4, 0),
        "001/anger/take002": noise(6, 1),
        "001/happiness/take000": noise(2, 2),
        "001/neutral/take000": noise(5, 3),
        "014/surprise/take010": noise(5, 4),
        "014/happiness/take001": noise(4, 5),
    }
    for name, frames in takes.items():
        write_take(root, name, frames, first=8)  # frame 10 comes after frame 9
    (root / "manual" / "annotation").mkdir(parents=True)
    (root / "subjects3" / "readme.txt").write_text("x")
    return root, takes


def read(folder, split="train"):
    """Videos by id, as (uint8 frames, record)."""
    info, found = load_info(folder), {}
    paths = [str(folder / shard.file) for shard in info.splits[split].shards]
    for serialized in tf.data.TFRecordDataset(paths):
        record = parse_record(serialized)
        frames = decode_frames(record["frames"], info.encoding, *info.frame_shape).numpy()
        found[record["id"].numpy().decode()] = (frames, record)
    return found


def convert(root, out, **options):
    options = {"size": 8, "min_frames": 3, "crop_faces": False, "test_fraction": 0, **options}
    return mug.prepare(out, root, ClipOptions(**options), progress=False)


@pytest.mark.parametrize("below", ["", "subjects3"])
def test_the_takes_of_six_expressions_are_found_from_either_folder(database, below):
    clips = mug.find_clips(database[0] / below)
    assert [(clip.id, clip.class_name, clip.identity, len(clip.paths)) for clip in clips] == [
        ("001/anger/take000", "anger", "001", 4),
        ("001/anger/take002", "anger", "001", 6),
        ("001/happiness/take000", "happiness", "001", 2),
        ("014/happiness/take001", "happiness", "014", 4),
        ("014/surprise/take010", "surprise", "014", 5),
    ]


def test_a_folder_level_of_sessions_is_allowed(tmp_path):
    write_take(tmp_path, "001/session1/fear/take000", noise(1, 0))
    assert [clip.id for clip in mug.find_clips(tmp_path)] == ["001/session1/fear/take000"]


def test_records_hold_whole_takes_in_order_with_label_and_identity(database, tmp_path, capsys):
    root, takes = database
    info = convert(root, tmp_path / "out")
    assert (info.name, info.fps, info.channels) == ("mug", 19.0, 3)
    assert info.class_names == EXPRESSIONS and info.identity_names == ("001", "014")
    assert "licence agreement" in info.licence and "WIAMIS 2010" in info.citation
    videos = read(tmp_path / "out")
    # happiness/take000 is too short, and neutral is none of the labels.
    assert set(videos) == set(takes) - {"001/happiness/take000", "001/neutral/take000"}
    for name, (frames, record) in videos.items():
        np.testing.assert_array_equal(frames, takes[name])
        assert int(record["label"]) == EXPRESSIONS.index(name.split("/")[1])
        assert int(record["identity"]) == ("001", "014").index(name.split("/")[0])
    assert "left out 1 of 5 clips with fewer than 3 frames" in capsys.readouterr().err
    assert verify(tmp_path / "out").faults == []


def test_a_stride_thins_takes_and_lowers_the_rate(database, tmp_path, capsys):
    root, takes = database
    info = convert(root, tmp_path / "out", stride=2, min_frames=3)
    videos = read(tmp_path / "out")
    # Of 5 and 6 frames each second one makes three, of 4 only two.
    assert set(videos) == {"001/anger/take002", "014/surprise/take010"}
    np.testing.assert_array_equal(videos["001/anger/take002"][0], takes["001/anger/take002"][::2])
    assert info.fps == 9.5 and videos["001/anger/take002"][1]["fps"] == 9.5
    assert "left out 3 of 5 clips with fewer than 3 frames at --stride=2" in capsys.readouterr().err


def test_takes_too_short_altogether_are_refused(database, tmp_path):
    with pytest.raises(ConversionError, match=r"None of 5 clips has 7 frames.* 6 images"):
        convert(database[0], tmp_path / "out", min_frames=7)


def test_each_expression_gives_its_share_to_the_test_split(tmp_path):
    for number, expression in enumerate(EXPRESSIONS[:2]):
        for take in range(10):
            write_take(
                tmp_path / "MUG", f"00{take % 3}/{expression}/take{take:03d}",
                noise(1, 10 * number + take),
            )  # fmt: skip
    options = {"min_frames": 1, "test_fraction": 0.2}
    convert(tmp_path / "MUG", tmp_path / "a", seed=1, **options)
    train, test = (set(read(tmp_path / "a", split)) for split in ("train", "test"))
    assert len(train) == 16 and len(test) == 4 and not train & test
    assert sorted(name.split("/")[1] for name in test) == ["anger"] * 2 + ["disgust"] * 2
    convert(tmp_path / "MUG", tmp_path / "b", seed=1, **options)
    convert(tmp_path / "MUG", tmp_path / "c", seed=2, **options)
    assert set(read(tmp_path / "b", "test")) == test != set(read(tmp_path / "c", "test"))


def test_the_command_line_crops_to_the_face_and_trains(tmp_path, draw_face, find_mouth, capsys):
    for subject, centre in (("001", (50, 60)), ("002", (90, 50))):
        drawn = [draw_face(110, 150, centre, 50, mouth) for mouth in (0.05, 0.12, 0.2)]
        write_take(tmp_path / "MUG", f"{subject}/surprise/take000", drawn)
    out = tmp_path / "out"
    mug.main([f"--source_dir={tmp_path / 'MUG'}", f"--out_dir={out}", "--min_frames=3",
              "--test_fraction=0.5"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "train: 1 videos of 3 to 3 frames, 64x64" in printed
    assert f"kerasvid data verify {out}" in printed
    for split in ("train", "test"):
        batch = next(iter(make_pipeline(out, split, batch_size=1, frames=3, pick="start")))
        assert batch["video"].shape == (1, 3, 64, 64, 3)
        for frame in batch["video"][0].numpy():
            column, row = find_mouth(frame)
            assert abs(column - 32) < 3 and 36 < row < 52


def test_takes_without_a_face_are_named_or_skipped(tmp_path, draw_face, capsys):
    write_take(tmp_path / "MUG", "001/fear/take000", [draw_face()])
    write_take(tmp_path / "MUG", "001/fear/take001", noise(1, 0))
    command = [f"--source_dir={tmp_path / 'MUG'}", f"--out_dir={tmp_path / 'out'}",
               "--min_frames=1", "--test_fraction=0"]  # fmt: skip
    with pytest.raises(SystemExit, match=r"take001.img_0000\.jpg: no .*face.*--skip_unreadable"):
        mug.main(command)
    assert not (tmp_path / "out").exists()
    mug.main([*command, "--skip_unreadable"])
    assert "take001" in capsys.readouterr().err
    assert set(read(tmp_path / "out")) == {"001/fear/take000"}


def test_without_a_detector_nothing_is_begun(database, tmp_path, monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    monkeypatch.delattr(faces._own, "detector", raising=False)
    monkeypatch.setattr(faces, "read_face_clip", lambda *arguments: pytest.fail("a clip was read"))
    with pytest.raises(ConversionError, match=r"opencv-python-headless>=4"):
        convert(database[0], tmp_path / "out", crop_faces=True)


def test_without_a_source_the_message_says_where_to_apply(tmp_path):
    with pytest.raises(ConversionError, match=r"--source_dir.*https://mug\.ee\.auth\.gr/fed/"):
        registry.prepare("mug", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], r"licence agreement, apply at https://mug\.ee\.auth\.gr/fed/.*WIAMIS"),
        (["--out_dir=new", "--source_dir=none"], "none: no such folder"),
        (["--out_dir=new", "--source_dir=other"], r"other: no takes .*subjects3/<subject>"),
        (["--source_dir=other"], "--out_dir is missing"),
        (["--out_dir=new", "--min_frames=0"], "min_frames"),
        (["--out_dir=new", "--source_dir=other", "--margin=11"], "margin=11"),
        (["--out_dir=new", "--face=1"], "face"),
        (["new"], "new: is not a flag"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other" / "001" / "neutral" / "take000").mkdir(parents=True)
    with pytest.raises(SystemExit, match=said) as stop:
        mug.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
