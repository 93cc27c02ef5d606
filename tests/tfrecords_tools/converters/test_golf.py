"""The golf scenes: which clips are drawn, what their records hold, and what is refused."""

import os

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info, make_pipeline
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import golf
from tfrecords_tools.converters.golf import GolfOptions
from tfrecords_tools.verify import verify


def _write_strip(path, frames, seed=0, height=None, width=128):
    """A JPEG of smooth noise in colour, as high as its frames unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (128 * frames if height is None else height, width, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(image, (0, 0), 4))


def _release(folder, lengths, listed=None):
    """Strips of the given lengths by path below frames-stable-many, all of them listed."""
    for seed, (name, frames) in enumerate(lengths.items()):
        _write_strip(folder / "frames-stable-many" / name, frames, seed)
    names = lengths if listed is None else listed
    folder.mkdir(exist_ok=True)
    (folder / "golf.txt").write_text("".join(f"{name}\n" for name in names))
    return folder


def _read(folder):
    """Records by id, in the order of their index, with their frames."""
    found = {}
    files = [str(folder / shard.file) for shard in load_info(folder).splits["train"].shards]
    for serialized in tf.data.TFRecordDataset(files):
        record = parse_record(serialized)
        record["video"] = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
        found[record["id"].numpy().decode()] = record
    return found


def _prepare(source, out, skip_unreadable=False, **options):
    options = GolfOptions(**options)
    return golf.prepare(out, source, options, skip_unreadable=skip_unreadable, progress=False)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Twelve clips of one frame: 0000 to 0003 of each of the videos 7, 8 and a/9."""
    names = [f"{video}/{number:04d}.jpg" for video in ("7", "8", "a/9") for number in range(4)]
    return _release(tmp_path_factory.mktemp("many"), dict.fromkeys(names, 1)), names


def test_the_first_frames_are_read_from_top_to_bottom_and_halved(tmp_path):
    source = _release(tmp_path / "in", {"12.mp4/0000.jpg": 34, "12.mp4/0001.jpg": 32})
    info = golf.prepare(tmp_path / "out", source, progress=False)
    assert info.name == "golf" and info.frame_shape == (64, 64, 3) and info.fps == -1
    assert "NIPS 2016" in info.citation and "tinyvideo" in info.source and info.licence
    assert "seed 0 from 2 clips" in info.source
    assert verify(str(tmp_path / "out")).faults == []
    records = _read(tmp_path / "out")
    assert set(records) == {"12.mp4/0000", "12.mp4/0001"}
    for name, record in records.items():
        strip = cv2.imread(str(source / "frames-stable-many" / f"{name}.jpg"))[..., ::-1]
        frames = strip[: 32 * 128].reshape(32, 64, 2, 64, 2, 3).mean((2, 4))
        np.testing.assert_allclose(record["video"], frames, atol=0.51)
        assert int(record["label"]) == -1


def test_one_data_set_serves_the_16_frames_of_one_paper_and_the_32_of_the_other(tmp_path):
    source = _release(tmp_path / "in", {"a/0000.jpg": 34, "a/0001.jpg": 16, "b/0000.jpg": 33})
    golf.prepare(tmp_path / "out", source, progress=False)
    for frames in (16, 32):
        batches = make_pipeline(str(tmp_path / "out"), batch_size=2, frames=frames, seed=0)
        batch = next(iter(batches))
        assert tuple(batch["video"].shape) == (2, frames, 64, 64, 3)
    assert GolfOptions().clips == 500


def test_the_identity_is_the_folder_of_the_source_video(tmp_path):
    names = ["x/10/0000.jpg", "x/9/0000.jpg", "x/10/0001.jpg", "alone.jpg"]
    info = _prepare(_release(tmp_path / "in", dict.fromkeys(names, 1)), tmp_path / "out", frames=1)
    assert info.identity_names == ("x/9", "x/10")
    found = {name: int(record["identity"]) for name, record in _read(tmp_path / "out").items()}
    assert found == {"x/10/0000": 1, "x/9/0000": 0, "x/10/0001": 1, "alone": -1}


def test_the_seed_chooses_the_clips_and_more_clips_include_fewer(many):
    clips = golf.find_clips(many[0])

    def draw(count, seed=0):
        options = GolfOptions(clips=count, frames=1, seed=seed)
        return [clip.id for clip in golf.draw_clips(clips, options)]

    assert len(draw(5)) == 5 and len(set(draw(5))) == 5
    assert draw(5) == draw(5) == draw(9)[:5] and draw(5) != draw(5, seed=1)
    everything = [os.path.splitext(name)[0] for name in many[1]]
    assert sorted(draw(0)) == sorted(draw(12)) == everything != draw(0)


def test_fewer_clips_than_wanted_are_taken_and_counted(many, tmp_path, capsys):
    info = _prepare(many[0], tmp_path / "out", frames=1)
    assert info.splits["train"].count == 12 and info.splits["train"].max_length == 1
    assert capsys.readouterr().err == "took 12 clips instead of 500: golf.txt lists no more\n"
    _prepare(many[0], tmp_path / "all", frames=1, clips=0)
    assert capsys.readouterr().err == ""


def test_golf_txt_may_be_in_either_folder_with_paths_from_either(many):
    names = [f"{clip.id}.jpg" for clip in golf.find_clips(many[0])]
    assert names == many[1]
    index, root = many[0] / "golf.txt", many[0] / "frames-stable-many"
    text = index.read_text()
    index.rename(root / "golf.txt")
    try:
        (root / "golf.txt").write_text("".join(f"frames-stable-many/{n} 3\n\n" for n in names))
        for place in (many[0], root):
            found = golf.find_clips(place)
            assert [f"{clip.id}.jpg" for clip in found] == names
            assert all(os.path.isfile(clip.paths[0]) for clip in found)
    finally:
        os.remove(root / "golf.txt")
        index.write_text(text)


def test_a_clip_that_is_listed_twice_counts_once_and_other_lines_are_counted(tmp_path, capsys):
    listed = ["a/0000.jpg", "a/list.txt", "a/0001.jpg", "a/0000.jpg"]
    source = _release(tmp_path, {"a/0000.jpg": 1, "a/0001.jpg": 1}, listed)
    assert [clip.id for clip in golf.find_clips(source)] == ["a/0000", "a/0001"]
    assert capsys.readouterr().err.endswith("golf.txt: 1 of 4 lines are not names of JPEG files\n")


def test_short_clips_are_left_out_and_counted(tmp_path, capsys):
    lengths = {f"v/{number:04d}.jpg": 1 + number % 2 for number in range(12)}
    source = _release(tmp_path / "in", lengths)
    info = _prepare(source, tmp_path / "out", clips=5, frames=2)
    assert info.splits["train"].count == 5 and info.splits["train"].min_length == 2
    order = np.random.default_rng(0).permutation(12)
    long = [number for number in order if number % 2][:5]
    assert list(_read(tmp_path / "out")) == [f"v/{number:04d}" for number in long]
    short = list(order).index(long[-1]) - 4
    said = f"left out {short} clips of fewer than 2 frames; see --frames\n"
    assert capsys.readouterr().err == said


def test_all_clips_means_every_clip_that_is_long_enough(tmp_path):
    source = _release(tmp_path, {f"v/{number}.jpg": 1 + number % 2 for number in range(6)})
    clips = golf.find_clips(source)
    for seed in range(4):
        drawn = golf.draw_clips(clips, GolfOptions(clips=0, frames=2, seed=seed))
        assert sorted(clip.id for clip in drawn) == ["v/1", "v/3", "v/5"]


def test_the_size_is_found_in_any_kind_of_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    image = np.zeros((384, 128, 3), np.uint8)
    plain = cv2.imencode(".jpg", image)[1].tobytes()
    progressive = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert b"\xff\xc2" in progressive and b"\xff\xc2" not in plain
    start = plain.index(b"\xff\xc4")
    tables = plain[start : start + 2 + int.from_bytes(plain[start + 2 : start + 4], "big")]
    remark = b"\xff\xfe\x00\x0b\xff\xc0\x00\x11\x08\x00\x01\x00\x01"  # that looks like a size
    before = plain[:2] + tables + remark + plain[2:]
    for data in (plain, progressive, before, cv2.imencode(".jpg", image[..., 0])[1].tobytes()):
        path.write_bytes(data)
        assert golf.count_frames(str(path)) == 3


def _spoil(path, how):
    if how == "missing":
        path.unlink()
    elif how == "wide":
        _write_strip(path, 2, width=130)
    elif how == "lying":  # frames side by side
        _write_strip(path, 1, width=256)
    elif how == "huge":  # by its head alone, beyond what PIL opens
        content = bytearray(path.read_bytes())
        head = content.index(b"\xff\xc0") + 5
        content[head : head + 4] = b"\xff\xff\xff\xff"
        path.write_bytes(content)
    elif how == "uneven":
        _write_strip(path, 2, height=300)
    elif how == "text":
        path.write_text("not found")
    elif how == "png":
        path.write_bytes(cv2.imencode(".png", np.zeros((256, 128, 3), np.uint8))[1].tobytes())
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "missing, but listed in golf.txt"),
        ("wide", "130 pixels wide and 256 high, expected frames of 128x128"),
        ("lying", "256 pixels wide and 128 high, expected frames of 128x128"),
        ("uneven", "128 pixels wide and 300 high, expected frames of 128x128"),
        ("text", "cannot be read as a JPEG image"),
        ("png", "cannot be read as a JPEG image"),
        ("huge", "cannot be read as a JPEG image"),
        ("truncated", "cannot be read as an image"),
    ],
)
def test_a_clip_that_is_no_strip_is_named_or_left_out(tmp_path, capsys, how, said):
    source = _release(tmp_path / "in", {f"v/{number:04d}.jpg": 2 for number in range(5)})
    spoilt = np.random.default_rng(0).permutation(5)[1]  # among the three that are drawn
    path = source / "frames-stable-many" / "v" / f"{spoilt:04d}.jpg"
    _spoil(path, how)
    with pytest.raises(ConversionError) as refused:
        _prepare(source, tmp_path / "out", clips=3, frames=2)
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "nothing is written" in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists() and capsys.readouterr().err == ""
    info = _prepare(source, tmp_path / "out", skip_unreadable=True, clips=3, frames=2)
    # What the head of the file does not show is found when its place has been given away.
    assert info.splits["train"].count == (2 if how == "truncated" else 3)
    assert f"v/{spoilt:04d}" not in _read(tmp_path / "out")
    assert capsys.readouterr().err.startswith(f"skipped {path}: {said}")


def test_every_bad_clip_is_named_in_one_run(tmp_path):
    lengths = {f"v/{number:04d}.jpg": 1 for number in range(4)}
    source = _release(tmp_path / "in", lengths)
    for number in (0, 2):
        _spoil(source / "frames-stable-many" / "v" / f"{number:04d}.jpg", "missing")
    with pytest.raises(ConversionError, match=r"(?s)2 files are unreadable.*v/000[02].*v/000[02]"):
        _prepare(source, tmp_path / "out", frames=1)


def test_a_long_list_of_missing_clips_is_cut_short(tmp_path, capsys):
    listed = ["v/0.jpg", *(f"w/{number}.jpg" for number in range(30))]
    source = _release(tmp_path / "in", {"v/0.jpg": 1}, listed)
    _prepare(source, tmp_path / "out", skip_unreadable=True, frames=1)
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.endswith("missing, but listed in golf.txt") for line in lines) == 20
    assert "skipped 10 more such clips" in lines


@pytest.mark.parametrize("skip_unreadable", [False, True])
def test_a_list_without_its_clips_gets_one_line(tmp_path, skip_unreadable):
    source = _release(tmp_path / "in", {}, [f"v/{number}.jpg" for number in range(30)])
    with pytest.raises(ConversionError) as refused:
        _prepare(source, tmp_path / "out", skip_unreadable)
    assert "None of 30 clips can be read" in str(refused.value) and "\n" not in str(refused.value)
    assert "frames-stable-many/<video>/<clip>.jpg" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "--source_dir.*golf.txt.*vondrick/tinyvideo.*NIPS 2016"),
        (
            ["--source_dir=none", "--out_dir=new"],
            "none: no such folder; give the folder of .*golf.txt",
        ),
        (["--source_dir=empty", "--out_dir=new"], "empty: no golf.txt found; expected"),
        (["--source_dir=html", "--out_dir=new"], "html/golf.txt: lists no JPEG files"),
        (["--source_dir=one", "--out_dir=new"], "None of 1 clips has 32 frames; .* has 2: lower"),
        (["--clips=-1", "--out_dir=new"], "clips=-1: must be 0 or more"),
        (["--frames=0", "--out_dir=new"], "frames=0: must be 1 or more"),
        (["--frames=many", "--out_dir=new"], "frames"),
        (["golf", "--out_dir=new"], "golf: is not a flag"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "html"):
        (tmp_path / name).mkdir()
    (tmp_path / "html" / "golf.txt").write_text("<html>\n<p>Not found\n")
    _release(tmp_path / "one", {"a/0000.jpg": 2})
    with pytest.raises(SystemExit, match=said) as stop:
        golf.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()


def test_the_command_line_passes_every_option_on(many, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [f"--source_dir={many[0]}", f"--out_dir={out}", "--clips=3", "--frames=1"]
    golf.main([*arguments, "--seed=4"])
    assert "train: 3 videos of 1 to 1 frames" in capsys.readouterr().out
    expected = [many[1][number][:-4] for number in np.random.default_rng(4).permutation(12)[:3]]
    assert list(_read(out)) == expected
    with pytest.raises(SystemExit, match="contains a data set already"):
        golf.main(arguments)
    golf.main([*arguments, "--overwrite"])
    assert list(_read(out)) != expected
    golf.main(["--help"])
    assert "--clips" in capsys.readouterr().out


def test_the_registry_makes_it(tmp_path):
    source = _release(tmp_path / "in", {"a/0000.jpg": 33})
    folder = registry.prepare("golf", str(tmp_path / "data"), str(source))
    assert folder == str(tmp_path / "data" / "golf") and load_info(folder).name == "golf"
