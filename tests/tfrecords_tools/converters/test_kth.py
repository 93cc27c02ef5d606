"""The KTH actions: names, the list of subsequences, splits, records and the command line."""

import cv2
import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import kth
from tfrecords_tools.verify import verify

FRAMES = 12
HEAD = """
This database contains sequences of six classes of actions performed by
25 subjects in four different conditions (see below).

Training:   person11, 12, 13, 14, 15, 16, 17, 18
Validation: person19, 20, 21, 23, 24, 25, 01, 04
Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10

"""


def _grey(frame):
    """Grey value of a frame of the test videos, counted from 1."""
    return 20 + 18 * (frame - 1)


def _write_avi(path, frames=FRAMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    assert writer.isOpened()
    for frame in range(1, frames + 1):
        image = np.full((120, 160, 3), _grey(frame), np.uint8)
        image[:, :20] = image[:, 140:] = 255 if _grey(frame) < 128 else 0  # cropped away
        writer.write(image)
    writer.release()


def _source(folder, videos, listed=None):
    """Videos by name, in folders by action, and 00sequences.txt with these lines."""
    for name in videos:
        _write_avi(folder / name.split("_")[1] / f"{name}_uncomp.avi")
    if listed is not None:
        lines = "".join(f"{name}\t\t{rest}\n" for name, rest in listed.items())
        (folder / "00sequences.txt").write_text(HEAD + lines)
    return folder


def _greys(record):
    """Mean of each frame, after a check that it is even: the margins are cropped away."""
    frames = decode_frames(record["frames"], "png", 64, 64, 1).numpy()
    assert frames.shape[1:] == (64, 64, 1) and np.ptp(frames[:, :, 2:-2], axis=(1, 2)).max() < 16
    return frames[:, :, 8:-8].mean((1, 2, 3))


def _names():
    """The 599 videos of the release."""
    names = [
        f"person{person:02d}_{action}_d{scenario}"
        for person in range(1, 26)
        for action in kth.ACTIONS
        for scenario in range(1, 5)
    ]
    names.remove("person13_handclapping_d3")
    return names


def test_person_action_and_scenario_are_read_off_the_name():
    for name, scenario in (
        ("person01_boxing_d1_uncomp.avi", 0),
        ("PERSON25_walking_d4_UNCOMP.AVI", 3),
    ):
        video = kth.parse_name(f"some/where/{name}")
        person, action, _, _ = name.lower().split("_")
        assert (video.identity, video.class_name, video.scenario) == (person, action, scenario)
        assert video.id == name.lower().removesuffix("_uncomp.avi")


@pytest.mark.parametrize(
    "name",
    ["person26_boxing_d1_uncomp.avi", "person00_boxing_d1_uncomp.avi",
     "person1_boxing_d1_uncomp.avi", "person01_swimming_d1_uncomp.avi",
     "person01_boxing_d5_uncomp.avi", "person01_boxing_d1.avi"],
)  # fmt: skip
def test_another_name_is_refused_with_the_pattern(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConversionError, match=rf"{name}: expected person<01 to 25>_<action>_d<1"):
        kth.find_videos(tmp_path)


def test_the_official_split_is_that_of_the_paper():
    splits = kth.split_videos(
        [kth.parse_name(f"{name}_uncomp.avi") for name in _names()], "official"
    )
    assert list(splits) == ["train", "validation", "test"]
    persons = {name: {video.identity for video in videos} for name, videos in splits.items()}
    assert persons["train"] == {f"person{k}" for k in range(11, 19)}
    others = "19 20 21 23 24 25 01 04"
    assert persons["validation"] == {f"person{k}" for k in others.split()}
    assert set.union(*persons.values()) == set(kth.PERSONS)
    assert not persons["test"] & (persons["train"] | persons["validation"])
    assert [len(videos) for videos in splits.values()] == [191, 192, 216]  # one is missing


def test_the_split_for_prediction_has_16_and_9_persons():
    videos = [kth.parse_name(f"{name}_uncomp.avi") for name in _names()]
    splits = kth.split_videos(videos, "prediction")
    assert {name: len(found) for name, found in splits.items()} == {"train": 383, "test": 216}
    assert {video.identity for video in splits["test"]} == {f"person{k}" for k in range(17, 26)}


def test_a_clip_has_the_listed_frames_with_the_first_and_the_last(tmp_path):
    listed = {
        "person11_boxing_d1": "frames\t1-4, 5-9, 8-12",
        "person22_walking_d4    ": "frames  \t3-3,10-12, ",
        "person13_handclapping_d3": "*missing*",
    }
    source = _source(tmp_path / "in", map(str.strip, list(listed)[:2]), listed)
    info = kth.prepare(tmp_path / "out", source, progress=False)
    assert info.name == "kth" and info.frame_shape == (64, 64, 1) and info.fps == 25
    assert "ICPR 2004" in info.citation and "kth.se" in info.source and info.licence
    assert info.class_names == kth.ACTIONS and len(info.identity_names) == 25
    assert info.attribute_names == ("scenario",) and info.attribute_sizes == (4,)
    assert verify(str(tmp_path / "out")).faults == []
    records = records_by_id(tmp_path / "out")
    ranges = {
        "person11_boxing_d1_1": (1, 4), "person11_boxing_d1_2": (5, 9),
        "person11_boxing_d1_3": (8, 12), "person22_walking_d4_1": (3, 3),
        "person22_walking_d4_2": (10, 12),
    }  # fmt: skip
    assert set(records) == set(ranges)
    for name, (first, last) in ranges.items():
        split, record = records[name]
        expected = [_grey(frame) for frame in range(first, last + 1)]
        np.testing.assert_allclose(_greys(record), expected, atol=4)
        boxing = "boxing" in name
        assert split == ("train" if boxing else "test")
        assert int(record["label"]) == (0 if boxing else 5)
        assert int(record["identity"]) == (10 if boxing else 21)
        assert record["attributes"].numpy().tolist() == [0 if boxing else 3]
    assert kth.prepare(tmp_path / "again", source, progress=False) == info


def test_without_the_list_whole_videos_are_read_and_a_line_says_so(tmp_path, capsys):
    source = _source(tmp_path / "in", ["person11_jogging_d2"])
    info = kth.prepare(tmp_path / "out", source, progress=False)
    assert {split: clips.count for split, clips in info.splits.items()} == {"train": 1}
    assert "in: no 00sequences.txt found; whole videos are read" in capsys.readouterr().err
    [(_, record)] = records_by_id(tmp_path / "out").values()
    assert len(_greys(record)) == FRAMES and record["id"].numpy() == b"person11_jogging_d2"


def test_the_text_above_the_list_and_the_missing_video_are_no_ranges(tmp_path):
    lines = {"person01_boxing_d1": "frames\t1-95, 96-185", "person13_handclapping_d3": "frames  "}
    index = _source(tmp_path, [], lines) / "00sequences.txt"
    assert kth.read_index(str(index)) == {
        "person01_boxing_d1": ((1, 95), (96, 185)), "person13_handclapping_d3": ()
    }  # fmt: skip


@pytest.mark.parametrize("ranges", ["1-4 5-9", "1-4, 5", "0-4", "5-4", "1-4, x", "seconds 1-4"])
def test_a_list_in_another_format_is_refused_with_the_line(tmp_path, ranges):
    _source(tmp_path, ["person11_boxing_d1"], {"person11_boxing_d1": f"frames {ranges}"})
    number = HEAD.count("\n") + 1
    with pytest.raises(
        ConversionError, match=rf"txt: line {number} is not <video> frames"
    ) as error:
        kth.find_videos(tmp_path)
    assert "\n" not in str(error.value)


def test_listed_videos_that_are_not_there_are_counted(tmp_path, capsys):
    lines = {f"person11_boxing_d{k}": "frames 1-4" for k in range(1, 5)}
    found = kth.find_videos(_source(tmp_path, ["person11_boxing_d2"], lines))
    assert [(video.id, video.ranges) for video in found] == [("person11_boxing_d2", ((1, 4),))]
    said = "left out 3 of 4 videos of 00sequences.txt that are not there, the first is "
    assert capsys.readouterr().err == f"{said}person11_boxing_d1\n"


def test_a_video_that_is_there_twice_is_refused(tmp_path):
    for folder in "ab":
        _write_avi(tmp_path / folder / "person11_boxing_d1_uncomp.avi", 1)
    with pytest.raises(ConversionError, match=r"b/person11.*: .*a/person11.* is the same video"):
        kth.find_videos(tmp_path)


def test_frames_that_a_video_lacks_shorten_its_clip_or_are_refused(tmp_path, capsys):
    name = "person11_boxing_d1"
    source = _source(tmp_path / "in", [name], {name: "frames 1-4, 9-15"})
    kth.prepare(tmp_path / "out", source, progress=False)
    said = f"clips that end before the frames of 00sequences.txt: {name}_2 (4 frames)\n"
    assert capsys.readouterr().err == said
    assert len(_greys(records_by_id(tmp_path / "out")[f"{name}_2"][1])) == 4
    (source / "00sequences.txt").write_text(f"{name} frames 1-4, 13-15\n")
    with pytest.raises(
        ConversionError, match=r"uncomp\.avi: 12 frames, but .* lists the frames 13"
    ):
        kth.prepare(tmp_path / "new", source, progress=False)
    assert not (tmp_path / "new").exists()


def test_the_video_that_the_release_cuts_short_is_read_as_far_as_it_goes(
    tmp_path, monkeypatch, capsys
):
    name = "person01_boxing_d4"
    assert kth.READABLE_FRAMES[name] == 304
    monkeypatch.setitem(kth.READABLE_FRAMES, name, 8)
    listed = {name: "frames 1-4, 5-12", "person11_boxing_d4": "frames 1-12"}
    source = _source(tmp_path / "in", listed, listed)
    kth.prepare(tmp_path / "out", source, progress=False)
    lengths = {
        key: len(_greys(record)) for key, (_, record) in records_by_id(tmp_path / "out").items()
    }
    assert lengths == {f"{name}_1": 4, f"{name}_2": 4, "person11_boxing_d4_1": 12}
    assert f"{name}_2 (4 frames)" in capsys.readouterr().err


def test_the_command_line_takes_the_split(tmp_path, capsys):
    names = ["person16_boxing_d1", "person17_boxing_d1"]
    source = _source(tmp_path / "in", names)
    out = tmp_path / "out"
    kth.main([f"--source_dir={source}", f"--out_dir={out}", "--split=prediction"])
    assert "test: 1 videos of 12 to 12 frames, 64x64" in capsys.readouterr().out
    assert {key: split for key, (split, _) in records_by_id(out).items()} == dict(
        zip(names, ("train", "test"), strict=True)
    )
    assert load_info(out).name == "kth/prediction"
    kth.main([f"--source_dir={source}", f"--out_dir={out}", "--overwrite"])
    assert {split for split, _ in records_by_id(out).values()} == {"train"}


def test_the_registry_makes_it(tmp_path):
    source = _source(tmp_path / "in", ["person11_boxing_d1"])
    folder = registry.prepare("kth", str(tmp_path / "data"), str(source))
    assert folder == str(tmp_path / "data" / "kth") and load_info(folder).name == "kth"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "kth needs --source_dir.*00sequences.*kth.se.*ICPR 2004"),
        (
            ["--source_dir=none", "--out_dir=new"],
            "none: no such folder; give the folder of the AVI",
        ),
        (["--source_dir=empty", "--out_dir=new"], "empty: no AVI files found"),
        (["--source_dir=html", "--out_dir=new"], "html/00sequences.txt: lists no videos; get"),
        (["--source_dir=other", "--out_dir=new"], "other/00sequences.txt lists no frames of it"),
        (["--source_dir=test", "--out_dir=new"], r"No video .* 'train' \(11, 12, 13.*add one"),
        (["--split=leave_one_out", "--out_dir=new"], "split"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "html", "other", "test"):
        (tmp_path / name).mkdir()
    for name in ("html/person11", "other/person11", "test/person22"):
        (tmp_path / f"{name}_boxing_d1_uncomp.avi").write_bytes(b"")
    (tmp_path / "html" / "00sequences.txt").write_text("<html>\n<p>Not found\n")
    (tmp_path / "other" / "00sequences.txt").write_text("person11_boxing_d2 frames 1-2\n")
    with pytest.raises(SystemExit, match=said) as stop:
        kth.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
