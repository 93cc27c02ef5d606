"""UCF101: the official lists, files, records and the command line."""

import os

import cv2
import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import ucf101
from tfrecords_tools.converters.ucf101 import UcfOptions
from tfrecords_tools.verify import verify

CLASSES = ("ApplyEyeMakeup", "Archery", "HandstandPushups")
COLORS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))  # of a class, RGB
FRAMES = 4
TRAIN = ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "Archery/v_Archery_g08_c01.avi",
         "Archery/v_Archery_g08_c02.avi", "Archery/v_Archery_g10_c01.avi",
         "HandstandPushups/v_HandStandPushups_g08_c01.avi")  # fmt: skip
TEST = ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "Archery/v_Archery_g01_c01.avi")


def _write_avi(path, color, mark):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    assert writer.isOpened()
    image = np.full((240, 320, 3), color[::-1], np.uint8)
    image[100:120, 150:170] = mark  # no two videos have the same pixels
    for _ in range(FRAMES):
        writer.write(image)
    writer.release()


def _number(name):
    return 1 + CLASSES.index(name.split("/")[0])


def _write_lists(folder, train=TRAIN, test=TEST, fold=1):
    """The lists as in the release: with DOS line ends but for the test list, without numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{number} {name}\r\n" for number, name in enumerate(CLASSES, 1))
    (folder / "classInd.txt").write_bytes(lines.encode())
    lines = "".join(f"{name} {_number(name)}\r\n" for name in train)
    (folder / f"trainlist{fold:02d}.txt").write_bytes(lines.encode())
    (folder / f"testlist{fold:02d}.txt").write_text("".join(f"{name}\n" for name in test))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Seven videos in UCF-101 and the lists in ucfTrainTestlist."""
    folder = tmp_path_factory.mktemp("release")
    for mark, name in enumerate((*TRAIN, *TEST)):
        _write_avi(folder / "UCF-101" / name, COLORS[_number(name) - 1], 30 * mark)
    _write_lists(folder / "ucfTrainTestlist")
    # Fold 2 exchanges the lists, but for the class that has one group only.
    _write_lists(folder / "ucfTrainTestlist", TEST, TRAIN[:4], fold=2)
    return folder


@pytest.fixture
def flat(tmp_path):
    """The folder of the classes itself with the lists in it, two files each empty."""
    for name in ("Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g02_c01.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    _write_lists(tmp_path, ["Archery/v_Archery_g02_c01.avi"], ["Archery/v_Archery_g01_c01.avi"])
    return tmp_path


def test_labels_groups_and_splits_are_those_of_the_lists(tmp_path, release):
    info = ucf101.prepare(tmp_path / "out", release, progress=False)
    assert info.name == "ucf101" and info.frame_shape == (64, 64, 3) and info.fps == 25
    assert info.encoding == "jpeg" and info.class_names == CLASSES
    assert "1212.0402" in info.citation and "crcv.ucf.edu" in info.source and info.licence
    assert info.identity_names == (
        "ApplyEyeMakeup_g01", "ApplyEyeMakeup_g08", "Archery_g01", "Archery_g08", "Archery_g10",
        "HandstandPushups_g08",
    )  # fmt: skip
    assert verify(str(tmp_path / "out")).faults == []
    records = records_by_id(tmp_path / "out")
    names = [os.path.splitext(name)[0] for name in (*TRAIN, *TEST)]
    assert list(records) == names  # in the order of the lists
    for name, (split, record) in records.items():
        class_name, file = name.split("/")
        label, group = int(record["label"]), info.identity_names[int(record["identity"])]
        assert split == ("train" if f"{name}.avi" in TRAIN else "test")
        assert info.class_names[label] == class_name
        assert group == f"{class_name}_{file.split('_')[2]}"
        frames = decode_frames(record["frames"], "jpeg", 64, 64, 3).numpy()
        np.testing.assert_allclose(frames.mean((0, 1, 2)), COLORS[label], atol=6)
        assert len(frames) == FRAMES and record["encoding"].numpy() == b"jpeg"


def test_another_fold_and_size_are_read_on_request(tmp_path, release, capsys):
    arguments = [f"--source_dir={release}", f"--out_dir={tmp_path / 'out'}"]
    ucf101.main([*arguments, "--fold=2", "--height=32", "--width=48"])
    assert "test: 4 videos of 4 to 4 frames, 32x48" in capsys.readouterr().out
    splits = {name: split for name, (split, _) in records_by_id(tmp_path / "out").items()}
    assert splits["Archery/v_Archery_g01_c01"] == "train"
    assert splits["Archery/v_Archery_g10_c01"] == "test"
    assert load_info(tmp_path / "out").name == "ucf101/2"


@pytest.mark.parametrize("folder, file", [
    ("HandstandPushups", "v_HandStandPushups_g08_c01.avi"),  # as in the release
    ("HandStandPushups", "v_HandStandPushups_g08_c01.avi"),
    ("HandstandPushups", "v_HandstandPushups_g08_c01.avi"),
])  # fmt: skip
@pytest.mark.parametrize("listed", ["HandstandPushups", "HandStandPushups"])
def test_upper_and_lower_case_make_no_difference(flat, folder, file, listed):
    (flat / folder).mkdir()
    (flat / folder / file).write_bytes(b"")
    line = f"{listed}/v_HandStandPushups_g08_c01.avi 3\n"
    (flat / "trainlist01.txt").write_text(line)
    [clip] = ucf101.find_clips(flat)[0]["train"]
    assert clip.paths == (str(flat / folder / file),)
    assert clip.class_name == "HandstandPushups" and clip.identity == "HandstandPushups_g08"


def test_lists_may_lie_beside_the_classes(flat):
    splits, class_names = ucf101.find_clips(flat)
    assert [clip.id for clip in splits["train"]] == ["Archery/v_Archery_g02_c01"]
    assert class_names == list(CLASSES)


def test_a_listed_file_that_is_missing_is_named_or_left_out(tmp_path, release, capsys):
    os.symlink(release / "UCF-101", tmp_path / "UCF-101")
    gone = "Archery/v_Archery_g11_c01.avi"
    _write_lists(tmp_path, (*TRAIN, gone), (*TEST, "Archery/v_Archery_g07_c01.avi"))
    with pytest.raises(ConversionError) as refused:
        ucf101.prepare(tmp_path / "out", tmp_path, progress=False)
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}/UCF-101/{gone}: missing, but listed in {tmp_path}/trainl")
    assert "1 more files" in said and "--skip_unreadable" in said and "\n" not in said
    assert not (tmp_path / "out").exists()
    ucf101.prepare(tmp_path / "out", tmp_path, skip_unreadable=True, progress=False)
    assert len(records_by_id(tmp_path / "out")) == 7
    printed = capsys.readouterr().err
    assert f"skipped {tmp_path}/UCF-101/{gone}: cannot be read" in printed
    assert "Archery_g11" not in load_info(tmp_path / "out").identity_names


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("classInd.txt", "Archery 1\n", "classInd.txt: line 1 is not <number> <class>"),
        ("classInd.txt", "1 Archery\n3 Biking\n", "classInd.txt: the numbers .* are not 1, 2, 3"),
        ("classInd.txt", "", "classInd.txt: the numbers"),
        ("testlist01.txt", "Archery/v_Archery_g01.avi\n", "list01.txt: line 1 is not <class>/v_"),
        ("testlist01.txt", "\nGolf/v_Golf_g01_c01.avi\n", "testlist01.txt: line 2 is not"),
        ("testlist01.txt", "Archery/v_Golf_g01_c01.avi\n", "testlist01.txt: line 1 is not"),
        ("testlist01.txt", "Archery/v_Archery_g01_c01.avi 1", "has the class 1, but .* has 2 for"),
        ("testlist01.txt", "\n", "testlist01.txt: lists no videos"),
    ],
)  # fmt: skip
def test_a_list_in_another_format_is_refused(flat, name, text, said):
    (flat / name).write_text(text)
    with pytest.raises(ConversionError, match=said) as error:
        ucf101.find_clips(flat)
    assert "\n" not in str(error.value)


def test_the_registry_makes_it(tmp_path, release):
    folder = registry.prepare("ucf101", str(tmp_path / "data"), str(release))
    assert folder == str(tmp_path / "data" / "ucf101") and load_info(folder).name == "ucf101"
    assert UcfOptions().fold == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "ucf101 needs --source_dir.*UCF-101.*crcv.*1212.0402"),
        (["--source_dir=none", "--out_dir=new"], "none: no such folder; give the folder of UCF"),
        (["--source_dir=empty", "--out_dir=new"], "empty: no classInd.txt found, .* get the lists"),
        (["--source_dir=lists", "--out_dir=new"], "lists: no folder of a class .* expected UCF"),
        (["--source_dir=one", "--fold=3", "--out_dir=new"], "one/trainlist03.txt: no such file"),
        (["--source_dir=one", "--out_dir=new"], "/v_Archery_g08_c01.avi: missing, .* 6 more"),
        (["--fold=4", "--out_dir=new"], "fold=4: must be from 1 to 3"),
        (["--height=0", "--out_dir=new"], "height=0: must be 1 or more"),
        ([], "--out_dir is missing"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    _write_lists(tmp_path / "lists" / "ucfTrainTestlist")
    _write_lists(tmp_path / "one", ["Archery/v_Archery_g08_c01.avi", *TRAIN], TEST)
    (tmp_path / "one" / "UCF-101" / "ApplyEyeMakeup").mkdir(parents=True)
    (tmp_path / "one" / "UCF-101" / TRAIN[0]).write_bytes(b"")
    with pytest.raises(SystemExit, match=said) as stop:
        ucf101.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
