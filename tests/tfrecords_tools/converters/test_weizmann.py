"""The Weizmann data sets: names, splits, videos, strips and the command line."""

import os
import shutil

import cv2
import numpy as np
import pytest

from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import weizmann
from tfrecords_tools.verify import verify

FRAMES = 5


def _frames(record):
    return decode_frames(record["frames"], "png", 64, 64, 3).numpy()


def _bar(number, frame):
    """Column of the left edge of the bar in the 180x144 test videos, 10 wide."""
    return 30 + 4 * number + 12 * frame


def _write_avi(path, number=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (180, 144))
    assert writer.isOpened()
    for frame in range(FRAMES):
        image = np.full((144, 180, 3), 20, np.uint8)
        image[:, _bar(number, frame) : _bar(number, frame) + 10] = (0, 0, 255)  # red, in BGR
        writer.write(image)
    writer.release()


def _names():
    """The 93 names of the database: lena runs, skips and walks twice."""
    for person in weizmann.PERSONS:
        for action in weizmann.ACTIONS:
            twice = person == "lena" and action in ("run", "skip", "walk")
            yield from (f"{person}_{action}{k}.avi" for k in (("1", "2") if twice else ("",)))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("daria_bend.avi", ("daria", "bend", "")),
        ("lena_walk2.avi", ("lena", "walk", "2")),
        ("lena_run1.avi", ("lena", "run", "1")),
        ("ido_wave1.avi", ("ido", "wave1", "")),
        ("ido_wave2.avi", ("ido", "wave2", "")),
        ("eli_pjump.avi", ("eli", "pjump", "")),
        ("Moshe_JACK.AVI", ("moshe", "jack", "")),
    ],
)
def test_person_action_and_take_are_read_off_the_name(name, parts):
    clip = weizmann.parse_name(f"some/where/{name}")
    assert (clip.identity, clip.class_name) == parts[:2]
    assert clip.id == f"{parts[0]}_{parts[1]}{parts[2]}" and clip.paths == (f"some/where/{name}",)


@pytest.mark.parametrize(
    "name", ["bob_run.avi", "ido_wave.avi", "ido_swim.avi", "idorun.avi", "ido_run_2.avi"]
)
def test_another_name_is_refused_with_the_pattern(tmp_path, name):
    _write_avi(tmp_path / "run" / name)
    with pytest.raises(ConversionError, match=f"{name}: expected <person>_<action>.*shahar.*pjump"):
        weizmann.find_clips(tmp_path)


def test_a_video_of_each_action_is_held_out_with_all_its_takes():
    clips = [weizmann.parse_name(name) for name in _names()]
    splits = weizmann.split_clips(clips)
    train, test = splits["train"], splits["test"]
    assert len(clips) == 93 and sorted([*train, *test], key=clips.index) == clips
    cells = [{(clip.identity, clip.class_name) for clip in part} for part in (train, test)]
    assert not cells[0] & cells[1]
    assert sorted(action for _, action in cells[1]) == sorted(weizmann.ACTIONS)
    assert {person for person, _ in cells[1]} == set(weizmann.PERSONS)
    assert {person for person, _ in cells[0]} == set(weizmann.PERSONS)
    assert {action for _, action in cells[0]} == set(weizmann.ACTIONS)
    assert weizmann.split_clips(clips) == splits


def test_both_takes_of_lena_are_in_the_same_split(monkeypatch):
    together = []
    clips = [weizmann.parse_name(name) for name in _names()]
    for seed in range(30):
        monkeypatch.setattr(weizmann, "SPLIT_SEED", seed)
        names = {clip.id for clip in weizmann.split_clips(clips)["test"]}
        together += [{f"lena_{a}1", f"lena_{a}2"} & names for a in ("run", "skip", "walk")]
    assert {len(found) for found in together} == {0, 2}


def test_an_action_of_a_single_person_is_trained_on():
    names = ("ido_run.avi", "ira_run.avi", "ido_bend.avi")
    splits = weizmann.split_clips([weizmann.parse_name(name) for name in names])
    assert "ido_bend" in {clip.id for clip in splits["train"]} and len(splits["test"]) == 1
    alone = weizmann.split_clips([weizmann.parse_name("ido_bend.avi")])
    assert list(alone) == ["train"] and len(alone["train"]) == 1


@pytest.fixture
def videos(tmp_path):
    """Six videos, some flat, some in a folder an action; their numbers by id."""
    names = "ido_wave1 ira_wave1 wave2/ido_wave2 wave2/eli_wave2 walk/x/lena_walk1 walk/lena_walk2"
    for number, name in enumerate(names.split()):
        _write_avi(tmp_path / "in" / f"{name}.avi", number)
    (tmp_path / "in" / "walk" / "readme.txt").write_text("no video")
    (tmp_path / "in" / "walk" / "._lena_walk2.avi").write_bytes(b"no video")
    return {os.path.basename(name): number for number, name in enumerate(names.split())}


def test_records_hold_the_middle_of_the_frames_with_action_and_person(tmp_path, videos):
    info = weizmann.prepare_avi(tmp_path / "out", tmp_path / "in", progress=False)
    assert info.name == "weizmann" and info.fps == 25 and info.frame_shape == (64, 64, 3)
    assert "PAMI" in info.citation and "SpaceTimeActions" in info.source and info.licence
    records = records_by_id(tmp_path / "out")
    assert set(records) == set(videos) and verify(str(tmp_path / "out")).faults == []
    assert [split for split, _ in records.values()].count("test") == 2  # of wave1 and of wave2
    for name, (_, record) in records.items():
        person, action = name.rstrip("12" if "walk" in name else "").split("_")
        assert info.class_names[int(record["label"])] == action
        assert info.identity_names[int(record["identity"])] == person
        frames = _frames(record).astype(float)
        assert len(frames) == FRAMES
        # 180x144 shrinks to 80x64, of which 8 columns go on each side.
        weight = np.maximum(frames[..., 0] - 60, 0).sum(1)  # [T, W] of red
        found = weight @ (np.arange(64) + 0.5) / weight.sum(1)
        expected = [(_bar(videos[name], k) + 5) * 64 / 144 - 8 for k in range(FRAMES)]
        np.testing.assert_allclose(found, expected, atol=0.3)
        assert frames[..., 1:].mean() < 60  # no green, no blue
    again = weizmann.prepare_avi(tmp_path / "again", tmp_path / "in", progress=False)
    assert again == info  # with the checksums of all bytes


def test_a_video_that_is_there_twice_is_refused(tmp_path, videos):
    shutil.copy(tmp_path / "in" / "ido_wave1.avi", tmp_path / "in" / "walk")
    with pytest.raises(
        ConversionError, match=r"walk/ido_wave1\.avi: .*in/ido_wave1\.avi is the same"
    ):
        weizmann.find_clips(tmp_path / "in")


def test_a_broken_video_is_named_or_left_out(tmp_path, videos, capsys):
    (tmp_path / "in" / "walk" / "lena_walk2.avi").write_bytes(b"RIFF")
    arguments = [f"--source_dir={tmp_path / 'in'}", f"--out_dir={tmp_path / 'out'}"]
    with pytest.raises(SystemExit, match=r"error: .*lena_walk2\.avi: cannot be read.*--skip_un"):
        weizmann.main(arguments)
    assert not (tmp_path / "out").exists()
    weizmann.main([*arguments, "--skip_unreadable"])
    printed = capsys.readouterr()
    assert "lena_walk2.avi" in printed.err and "train: 3 videos" in printed.out


def _write_strips(folder, numbers, frames=3):
    """Strips of smooth noise in the layout of MoCoGAN's; JPEG bytes as they come."""
    random = np.random.default_rng(0)
    for number in numbers:
        path = folder / "1034"[number % 8 // 2] / f"{number:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = cv2.GaussianBlur(random.integers(0, 256, (64, 64 * frames, 3), np.uint8), (0, 0), 2)
        assert cv2.imwrite(str(path), image)


def test_strips_are_read_to_the_pixel_with_action_and_person(tmp_path):
    _write_strips(tmp_path / "in", range(72))
    info = weizmann.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)
    assert info.name == "weizmann/strips" and info.fps == 25
    assert info.class_names == ("wave1", "wave2", "jack", "bend")
    assert info.identity_names == tuple(f"person-{k}" for k in range(9))
    records = records_by_id(tmp_path / "out")
    assert len(records) == 72
    held_out = []
    for name, (split, record) in records.items():
        action, number = name.split("/")
        folder = {"wave1": 0, "wave2": 1, "jack": 3, "bend": 4}[action]
        strip = cv2.imread(str(tmp_path / "in" / str(folder) / f"{number}.jpg"))[..., ::-1]
        np.testing.assert_array_equal(np.concatenate(list(_frames(record)), axis=1), strip)
        assert info.class_names[int(record["label"])] == action
        assert int(record["identity"]) == int(number) // 8
        held_out += [(int(number), action)] if split == "test" else []
    # One person an action, four persons in all, and each strip with its mirror image.
    assert sorted(action for _, action in held_out) == sorted(2 * list(info.class_names))
    assert len({number // 8 for number, _ in held_out}) == 4
    assert len({number // 2 for number, _ in held_out}) == 4
    again = weizmann.prepare_strips(tmp_path / "again", tmp_path / "in", progress=False)
    assert again == info


@pytest.mark.parametrize(("old", "new"), [("0/00000002", "1/00000002"), ("0/00000002", "0/74")])
def test_a_strip_whose_number_does_not_fit_its_person_is_refused(tmp_path, old, new):
    _write_strips(tmp_path / "in", range(16))
    os.rename(tmp_path / "in" / f"{old}.jpg", tmp_path / "in" / f"{new}.jpg")
    with pytest.raises(ConversionError, match=rf"{new}\.jpg: not one of data/actions"):
        weizmann.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)


@pytest.mark.needs_shared
def test_real_strips_are_a_video_and_its_mirror_image_each(shared_data, tmp_path):
    for folder in "0134":
        (tmp_path / "in" / folder).mkdir(parents=True)
        for file in sorted((shared_data / "weizmann_strips" / folder).iterdir())[2:4]:
            shutil.copy(file, tmp_path / "in" / folder)
    info = weizmann.prepare_strips(tmp_path / "out", tmp_path / "in", progress=False)
    assert info.splits["train"].count == 6 and info.splits["test"].count == 2
    videos = {
        name: _frames(record) for name, (_, record) in records_by_id(tmp_path / "out").items()
    }
    for name, video in videos.items():
        assert 51 <= len(video) <= 146
        action, number = name.split("/")
        mirrored = videos[f"{action}/{int(number) ^ 1:08d}"]
        assert abs(video - mirrored[:, :, ::-1].astype(float)).mean() < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "--source_dir.*wisdom.weizmann.*citation.*Gorelick.*PAMI"),
        (["--source_dir=none", "--out_dir=new"], "none: no such folder; .*SpaceTimeActions"),
        (["--source_dir=.", "--out_dir=new"], "no AVI files"),
        (
            ["--variant=strips", "--out_dir=new"],
            "MoCoGAN's data needs --source_dir.*0, 1, 3, 4 of data/actions",
        ),
        (["--variant=strips", "--source_dir=.", "--out_dir=new"], "./0: no strips"),
        (["--variant=masks", "--out_dir=new"], "variant"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=said) as stop:
        weizmann.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
