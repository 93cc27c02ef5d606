"""The sky time-lapses: clips, records, clips left out and the command line."""

import cv2
import numpy as np
import pytest

from kerasvid.data.records import decode_frames
from tests.tfrecords_tools.written_records import records_by_id
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import sky_timelapse
from tfrecords_tools.converters.sky_timelapse import SkyOptions
from tfrecords_tools.verify import verify

# Frames by split, video and clip: names as in the release, ids of YouTube.
CLIPS = {
    "sky_train/2KikwLp-PUI/2KikwLp-PUI_1": 4,
    "sky_train/2KikwLp-PUI/2KikwLp-PUI_10": 3,
    "sky_train/2KikwLp-PUI/2KikwLp-PUI_2": 5,
    "sky_train/-x7_/-x7__1": 2,
    "sky_test/07JlMO-ITA8/07JlMO-ITA8_1": 4,
    "sky_test/07JlMO-ITA8/07JlMO-ITA8_2": 1,
}


def _grey(clip, frame):
    return 30 + 25 * list(CLIPS).index(clip) + 10 * frame


def _write_clip(folder, clip, frames):
    """Frames numbered from 8 on without zeros before it, so that 10 follows 9."""
    (folder / clip).mkdir(parents=True)
    for frame in range(frames):
        image = np.full((36, 64, 3), _grey(clip, frame), np.uint8)
        image[:, :10] = image[:, -10:] = (255, 0, 0)  # cropped away
        path = folder / clip / f"{clip.split('/')[1]}_frames_{frame + 8}.jpg"
        assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 100])


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky") / "sky_timelapse"
    for clip, frames in CLIPS.items():
        _write_clip(folder, clip, frames)
    (folder / "readme").write_text("about the data")
    (folder / "sky_train" / "2KikwLp-PUI" / ".DS_Store").write_bytes(b"litter")
    return folder


def _prepare(out, source, **options):
    return sky_timelapse.prepare(out, source, SkyOptions(**options), progress=False)


def test_records_hold_the_frames_of_a_clip_in_natural_order(tmp_path, release):
    info = _prepare(tmp_path / "out", release, height=32, width=32, min_frames=1)
    assert info.name == "sky_timelapse" and info.frame_shape == (32, 32, 3) and info.fps == -1
    assert info.encoding == "jpeg" and info.identity_names == ("2KikwLp-PUI", "-x7_", "07JlMO-ITA8")
    assert "CVPR 2018" in info.citation and "mdgan" in info.source and info.licence
    assert verify(str(tmp_path / "out")).faults == []
    records = records_by_id(tmp_path / "out")
    assert list(records) == [
        "2KikwLp-PUI/2KikwLp-PUI_1", "2KikwLp-PUI/2KikwLp-PUI_2", "2KikwLp-PUI/2KikwLp-PUI_10",
        "-x7_/-x7__1", "07JlMO-ITA8/07JlMO-ITA8_1", "07JlMO-ITA8/07JlMO-ITA8_2",
    ]  # fmt: skip
    for name, (split, record) in records.items():
        assert info.identity_names[int(record["identity"])] == name.split("/")[0]
        clip = f"sky_{split}/{name}"
        frames = decode_frames(record["frames"], "jpeg", 32, 32, 3).numpy().astype(float)
        expected = [_grey(clip, frame) for frame in range(CLIPS[clip])]
        np.testing.assert_allclose(frames.mean((1, 2, 3)), expected, atol=1.5)
        assert frames.std((1, 2)).max() < 4  # without the margins
    again = _prepare(tmp_path / "again", release.parent, height=32, width=32, min_frames=1)
    assert again == info  # from the folder above, to the same bytes


def test_short_clips_are_left_out_and_counted(tmp_path, release, capsys):
    assert SkyOptions().min_frames == 16
    (release / "sky_train" / "empty" / "empty_1").mkdir(parents=True)
    try:
        info = _prepare(tmp_path / "out", release, min_frames=4)
    finally:
        (release / "sky_train" / "empty" / "empty_1").rmdir()
        (release / "sky_train" / "empty").rmdir()
    assert {split: clips.count for split, clips in info.splits.items()} == {"train": 2, "test": 1}
    assert info.identity_names == ("2KikwLp-PUI", "07JlMO-ITA8")
    *lines, loss = capsys.readouterr().err.splitlines()
    assert loss.startswith("PSNR of the frames: ")
    assert lines == [
        "left out 3 of 5 clips in sky_train, of fewer than 4 frames; see --min_frames",
        "left out 1 of 2 clips in sky_test, of fewer than 4 frames; see --min_frames",
    ]


def test_a_split_of_short_clips_is_refused(tmp_path, release):
    with pytest.raises(ConversionError, match="None of 2 clips in sky_test has 5 frames; the longe"
                       "st has 4: lower --min_frames"):  # fmt: skip
        _prepare(tmp_path / "out", release, min_frames=5)


def test_a_video_in_both_splits_is_refused(tmp_path):
    for split in ("sky_train", "sky_test"):
        (tmp_path / split / "video" / "clip_1").mkdir(parents=True)
    with pytest.raises(ConversionError, match=r"sky_test/video: the video is in sky_train too"):
        sky_timelapse.find_clips(tmp_path)


def test_a_broken_frame_is_named_or_its_clip_left_out(tmp_path, capsys):
    for clip in list(CLIPS)[:2] + list(CLIPS)[4:5]:
        _write_clip(tmp_path / "in", clip, 2)
    broken = tmp_path / "in" / next(iter(CLIPS)) / "2KikwLp-PUI_frames_9.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(ConversionError) as refused:
        _prepare(tmp_path / "out", tmp_path / "in", min_frames=2)
    assert str(refused.value).startswith(f"{broken}: cannot be read as an image")
    options = SkyOptions(min_frames=2)
    out = tmp_path / "out"
    sky_timelapse.prepare(out, tmp_path / "in", options, skip_unreadable=True, progress=False)
    assert len(records_by_id(out)) == 2 and f"skipped {broken}" in capsys.readouterr().err


def test_the_command_line_and_the_registry_make_it(tmp_path, release, capsys):
    arguments = [f"--source_dir={release}", f"--out_dir={tmp_path / 'out'}"]
    sky_timelapse.main([*arguments, "--height=24", "--width=36", "--min_frames=4"])
    printed = capsys.readouterr()
    assert "train: 2 videos of 4 to 5 frames, 24x36" in printed.out
    with pytest.raises(ConversionError, match=r"lower --min_frames.*kerasvid data sky-timelapse"):
        registry.prepare("sky_timelapse", str(tmp_path / "data"), str(release))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], "sky_timelapse needs --source_dir.*sky_train and sky_test.*mdgan.*CV"),
        (["--source_dir=none", "--out_dir=new"], "none: no such folder; give the folder of sky_tr"),
        (["--source_dir=empty", "--out_dir=new"], "empty: no folders sky_train and sky_test found"),
        (["--source_dir=half", "--out_dir=new"], "half/x: no folder sky_test found; expected sky"),
        (["--source_dir=no_clips", "--out_dir=new"], "no_clips/sky_train: no clips found; expec"),
        (["--source_dir=flat", "--out_dir=new"], "sky_train/v/1.jpg: an image that is in no fo"),
        (["--min_frames=0", "--out_dir=new"], "min_frames=0: must be 1 or more"),
        ([], "--out_dir is missing"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "half/x/sky_train", "no_clips/sky_train/v", "no_clips/sky_test",
                   "flat/sky_train/v", "flat/sky_test"):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "flat" / "sky_train" / "v" / "1.jpg").write_bytes(b"")
    with pytest.raises(SystemExit, match=said) as stop:
        sky_timelapse.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
