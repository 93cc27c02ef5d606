"""Long videos are cut into clips, or refused before memory is full."""

import os
import weakref

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasvid.data import load_info, parse_record
from kerasvid.data.records import decode_frames
from tfrecords_tools import media
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import folder
from tfrecords_tools.converters.folder import FolderOptions, cut_clips, main, prepare
from tfrecords_tools.verify import verify


def write_video(path, frames):
    """A sequence in the folder `path`; the grey of a frame is its number."""
    path.mkdir(parents=True)
    for number in range(frames):
        cv2.imwrite(str(path / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))


def video_of(frames):
    return media.VideoFrames(
        ((frame, number / 25, None) for number, frame in enumerate(frames)), 25.0
    )


def convert(tmp_path, **options):
    options = FolderOptions(**{"height": 8, "width": 8, "test_fraction": 0, **options})
    return prepare(tmp_path / "out", tmp_path / "in", options, progress=False)


def read(out, split="train"):
    """The numbers of the frames of each clip by id."""
    clips = load_clips(out, split)
    return {name: frames[:, 0, 0, 0].tolist() for name, frames in clips.items()}


def load_clips(out, split="train"):
    """The frames of each clip by id, uint8 [T, H, W, 3]."""
    info = load_info(out)
    clips = {}
    for shard in info.splits[split].shards:
        for serialized in tf.data.TFRecordDataset(os.path.join(out, shard.file)):
            record = parse_record(serialized)
            frames = decode_frames(record["frames"], info.encoding, *info.frame_shape).numpy()
            clips[record["id"].numpy().decode()] = frames
    return clips


@pytest.mark.parametrize(
    "frames, length, stride, expected",
    [
        (9, 3, 3, [0, 3, 6]),
        (11, 3, 3, [0, 3, 6]),
        (9, 4, 2, [0, 2, 4]),
        (9, 2, 5, [0, 5]),
        (3, 3, 1, [0]),
        (2, 3, 3, []),
    ],
)
def test_clips_are_whole_and_start_at_every_stride(frames, length, stride, expected):
    video = np.arange(frames)[:, None, None, None] * np.ones([1, 2, 2, 3], int)
    clips = list(cut_clips(video, length, stride))
    assert [start for start, _ in clips] == expected
    for start, clip in clips:
        np.testing.assert_array_equal(clip, video[start : start + length])


def test_a_long_video_becomes_clips_named_by_their_first_frame(tmp_path, capsys):
    write_video(tmp_path / "in" / "walk" / "anna", 11)
    info = convert(tmp_path, clip_frames=4)
    assert read(tmp_path / "out") == {
        "walk/anna@0": [0, 1, 2, 3],
        "walk/anna@4": [4, 5, 6, 7],
    }
    assert info.class_names == ("walk",) and info.splits["train"].max_length == 4
    reported = capsys.readouterr().err
    assert "cut 1 video into 2 clips of 4 frames; left out: the last 3 frames" in reported


def test_clips_may_overlap(tmp_path, capsys):
    write_video(tmp_path / "in" / "anna", 8)
    convert(tmp_path, clip_frames=4, clip_stride=2)
    assert [*read(tmp_path / "out").values()] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert "into 3 clips of 4 frames" in (reported := capsys.readouterr().err)
    assert "the last" not in reported


def write_animation(path, durations):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(np.full((8, 8, 3), number, np.uint8)) for number in range(6)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations)


def test_clips_are_cut_from_resampled_frames(tmp_path, capsys):
    write_animation(tmp_path / "in" / "a.gif", [100, 300, 100, 100, 100, 100])
    info = convert(tmp_path, clip_frames=4, fps=10)
    assert [*read(tmp_path / "out").values()] == [[0, 1, 1, 1], [2, 3, 4, 5]]
    assert info.fps == 10 and "warning" not in capsys.readouterr().err


def test_clips_have_the_rate_of_their_video(tmp_path, capsys):
    write_animation(tmp_path / "in" / "a.gif", [40, 40, 50, 40, 40, 50])
    info = convert(tmp_path, clip_frames=2)
    assert info.fps == pytest.approx(5 / 0.21, abs=0.001)
    assert "warning" not in capsys.readouterr().err


def test_variable_and_mixed_rates_of_videos_that_are_cut_are_reported(tmp_path, capsys):
    write_animation(tmp_path / "in" / "held.gif", [100, 900, 50, 100, 100, 100])
    write_animation(tmp_path / "in" / "fast.gif", 50)
    assert convert(tmp_path, clip_frames=2).fps == -1
    lines = capsys.readouterr().err.splitlines()
    assert any("cut 2 videos into 6 clips of 2 frames" in line for line in lines)
    warnings = [line for line in lines if line.startswith("warning")]
    assert "the frame rate of held.gif is variable" in warnings[0] and "to 20" in warnings[1]


def test_clips_of_a_video_whose_pixels_are_not_square_are_undistorted(tmp_path, monkeypatch):
    image = np.zeros((16, 8, 3), np.uint8)
    image[:, 2:6] = 255  # with pixels twice as wide, half of a square

    def open_video(*_):
        return media.VideoFrames(
            iter([(image, 0.0, None), (image, 0.1, None)]), 10.0, pixel_aspect=2.0
        )

    monkeypatch.setattr(media, "open_video", open_video)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "wide.mp4").touch()
    convert(tmp_path, clip_frames=2, height=16, width=16)
    [frames] = load_clips(tmp_path / "out").values()
    assert (frames[0, :, 5:11] > 200).all() and not frames[0, :, [0, 1, 2, 13, 14, 15]].any()


def test_no_video_is_in_two_splits(tmp_path):
    for number in range(6):
        write_video(tmp_path / "in" / "ab"[number % 2] / f"{number}", 6)
    convert(tmp_path, clip_frames=2, clip_stride=1, test_fraction=0.34)
    sources = [
        {name.partition("@")[0] for name in read(tmp_path / "out", split)}
        for split in ("train", "test")
    ]
    assert [len(names) for names in sources] == [4, 2] and not sources[0] & sources[1]
    assert len(read(tmp_path / "out", "test")) == 10


def test_few_frames_of_a_long_video_are_in_memory_while_it_is_cut(tmp_path, monkeypatch):
    alive, most = [], [0]

    class Frame(np.ndarray):
        pass

    def frames():
        for number in range(300):
            frame = np.full((8, 8, 3), number % 256, np.uint8).view(Frame)
            alive.append(weakref.ref(frame))
            most[0] = max(most[0], sum(ref() is not None for ref in alive))
            yield frame

    monkeypatch.setattr(media, "open_video", lambda *_: video_of(frames()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "long.mp4").touch()
    assert convert(tmp_path, clip_frames=5).splits["train"].count == 60
    assert most[0] < 20
    assert verify(str(tmp_path / "out")).faults == []


def test_a_video_too_long_for_a_record_is_refused_before_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "MAX_RECORD_BYTES", 10 * 8 * 8 * 3)
    taken = []

    def frames():
        for number in range(1000):
            taken.append(number)
            yield np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(media, "open_video", lambda *_: video_of(frames()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "long.mp4").touch()
    with pytest.raises(ConversionError, match=r"long\.mp4: more than 10 frames .*--clip_frames"):
        convert(tmp_path)
    assert len(taken) == 11 and not (tmp_path / "out").exists()
    assert convert(tmp_path, clip_frames=10).splits["train"].count == 100
    assert convert_again(tmp_path, max_frames=10).splits["train"].max_length == 10


def convert_again(tmp_path, **options):
    options = FolderOptions(8, 8, test_fraction=0, **options)
    return prepare(tmp_path / "again", tmp_path / "in", options, progress=False)


def test_long_videos_that_are_not_cut_are_pointed_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder, "_LONG", 4)
    write_video(tmp_path / "in" / "anna", 5)
    convert(tmp_path)
    assert "longest video has 5 frames" in (said := capsys.readouterr().err)
    assert "--clip_frames" in said
    convert_again(tmp_path, max_frames=4)
    assert "--clip_frames" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, said",
    [
        ({"min_frames": 6}, r"anna: 5 frames, expected 6 or more \(--min_frames\)"),
        ({"clip_frames": 6}, r"anna: 5 frames, expected 6 or more \(--clip_frames\)"),
        ({"clip_frames": 2, "min_frames": 6}, r"expected 6 or more \(--min_frames\)"),
    ],
)
def test_a_video_that_is_too_short_is_named_with_the_flag(tmp_path, options, said):
    write_video(tmp_path / "in" / "anna", 5)
    with pytest.raises(ConversionError, match=said):
        convert(tmp_path, **options)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--clip_stride=2"], "clip_stride=2: give clip_frames too"),
        (["--clip_frames=9", "--max_frames=8"], "clip_frames=9: must be 8 .max_frames. or less"),
        (["--clip_frames=0"], "clip_frames"),
    ],
)
def test_flags_that_contradict_are_refused(flags, said):
    with pytest.raises(SystemExit, match=said):
        main(["--source_dir=in", "--out_dir=out", *flags])
