import os
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasvid.data import load_info, make_pipeline, parse_record
from kerasvid.data.records import decode_frames
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters.folder import (
    FolderOptions,
    describe_clips,
    find_clips,
    main,
    prepare,
)
from tfrecords_tools.media import natural_key, read_frame, resize_and_crop
from tfrecords_tools.source_files import Clip, split_clips
from tfrecords_tools.verify import verify

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mov": "mp4v", ".mkv": "MJPG", ".webm": "VP80"}
FRAMES = 5


def frame(number, height=48, width=64, red=200):
    """RGB: red throughout, with a bright bar whose place tells the frame number."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = red
    left = number * width // FRAMES
    image[:, left : left + width // FRAMES, 1:] = 255
    return image


def write_image(path, image):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


def write_video(path, red=200, fps=10):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    codec = CODECS[os.path.splitext(path)[1]]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (64, 48))
    for number in range(FRAMES):
        writer.write(frame(number, red=red)[..., ::-1].copy())
    writer.release()


def gif_bytes(sizes=(64, 48), bars=FRAMES):
    """An uncompressed GIF89a, written by hand: clear codes keep every code 3 bits wide."""
    width, height = sizes
    palette = bytes([200, 0, 0, 200, 255, 255, 0, 0, 0, 0, 0, 0])  # 4 colours
    out = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    out += b"\x91\x00\x00" + palette
    for number in range(bars):
        pixels = (frame(number, height, width)[..., 1] > 0).ravel().astype(int).tolist()
        codes = []
        for start in range(0, len(pixels), 2):
            codes += [4, *pixels[start : start + 2]]  # clear before the code table grows
        bits = "".join(f"{code:03b}"[::-1] for code in [*codes, 5])
        bits += "0" * (-len(bits) % 8)
        data = bytes(int(bits[k : k + 8][::-1], 2) for k in range(0, len(bits), 8))
        out += b"\x21\xf9\x04\x04" + (10).to_bytes(2, "little") + b"\x00\x00"  # 0.1 s
        out += b"\x2c\0\0\0\0" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
        out += b"\x00\x02"
        for start in range(0, len(data), 255):
            block = data[start : start + 255]
            out += bytes([len(block)]) + block
        out += b"\x00"
    return out + b"\x3b"


def convert(source, out, **options):
    skip_unreadable = options.pop("skip_unreadable", False)
    options = FolderOptions(**{"height": 24, "width": 24, "test_fraction": 0, **options})
    return prepare(out, source, options, skip_unreadable=skip_unreadable, progress=False)


def read(out, split="train"):
    """Videos by id, as (uint8 frames, record)."""
    info = load_info(out)
    files = [os.path.join(out, shard.file) for shard in info.splits[split].shards]
    found = {}
    for serialized in tf.data.TFRecordDataset(files):
        record = parse_record(serialized)
        frames = decode_frames(record["frames"], info.encoding, *info.frame_shape).numpy()
        found[record["id"].numpy().decode()] = (frames, record)
    return found


def bars(frames):
    """Where the bright bar stands in each frame, as a share of the width."""
    columns = frames[..., 1].mean(axis=1)  # [T, W]
    places = (columns * np.arange(columns.shape[1])).sum(1) / np.maximum(columns.sum(1), 1)
    return places / columns.shape[1]


def assert_bar_moves_right(frames):
    assert len(frames) == FRAMES
    # The crop of 64x48 to a square keeps the middle three quarters: bars 1, 2, 3 are whole.
    np.testing.assert_allclose(bars(frames)[1:4], [0.23, 0.49, 0.75], atol=0.06)


@pytest.mark.parametrize("suffix", CODECS)
def test_videos_are_read_in_order_and_in_rgb(tmp_path, suffix):
    write_video(tmp_path / "in" / f"clip{suffix}")
    info = convert(tmp_path / "in", tmp_path / "out")
    frames, record = read(tmp_path / "out")[f"clip{suffix}"]
    assert_bar_moves_right(frames)
    red, green, blue = frames[1, :, -6:].reshape(-1, 3).mean(0)
    assert red > 150 and green < 60 and blue < 60
    assert record["fps"] == info.fps == 10


def test_every_frame_of_an_animated_gif_is_read_in_rgb(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.gif").write_bytes(gif_bytes())
    info = convert(tmp_path / "in", tmp_path / "out", height=48, width=64)
    frames, _ = read(tmp_path / "out")["clip.gif"]
    np.testing.assert_array_equal(frames, np.stack([frame(k) for k in range(FRAMES)]))
    assert info.fps == 10


def test_image_sequences_are_sorted_by_number_and_kept_to_the_pixel(tmp_path):
    for number in range(FRAMES):
        write_image(tmp_path / "in" / "walk" / "anna" / f"frame{8 + number}.png", frame(number))
    convert(tmp_path / "in", tmp_path / "out", height=48, width=64)
    frames, record = read(tmp_path / "out")["walk/anna"]
    np.testing.assert_array_equal(frames, np.stack([frame(k) for k in range(FRAMES)]))
    assert record["label"] == 0 and record["fps"] == -1


def test_strips_are_cut_into_square_frames(tmp_path):
    frames = [frame(k, 20, 20) for k in range(FRAMES)]
    write_image(tmp_path / "in" / "run" / "a.png", np.concatenate(frames, axis=1))
    convert(tmp_path / "in", tmp_path / "out", height=20, width=20)
    np.testing.assert_array_equal(read(tmp_path / "out")["run/a.png"][0], np.stack(frames))


def test_strips_of_another_frame_width(tmp_path):
    frames = [frame(k, 20, 30) for k in range(4)]
    write_image(tmp_path / "in" / "a.png", np.concatenate(frames, axis=1))
    convert(tmp_path / "in", tmp_path / "out", height=20, width=30, strip_frame_width=30)
    np.testing.assert_array_equal(read(tmp_path / "out")["a.png"][0], np.stack(frames))


def test_single_images_are_videos_of_length_1(tmp_path):
    for number in range(3):
        write_image(tmp_path / "in" / f"{number}.png", frame(number))
    info = convert(tmp_path / "in", tmp_path / "out", images="single")
    assert info.splits["train"].count == 3 and info.splits["train"].max_length == 1


def test_labels_are_the_first_folder_level_in_natural_order(tmp_path):
    for name in ("class10/a.avi", "class2/deep/b.avi", "class2/c.avi"):
        write_video(tmp_path / "in" / name)
    write_video(tmp_path / "in" / "alone.avi")
    info = convert(tmp_path / "in", tmp_path / "out")
    assert info.class_names == ("class2", "class10")
    labels = {name: int(record["label"]) for name, (_, record) in read(tmp_path / "out").items()}
    assert labels == {
        "class10/a.avi": 1, "class2/deep/b.avi": 0, "class2/c.avi": 0, "alone.avi": -1,
    }  # fmt: skip


def test_image_folders_of_one_level_have_no_class(tmp_path):
    write_image(tmp_path / "in" / "anna" / "1.png", frame(0))
    [clip], _ = find_clips(str(tmp_path / "in"))
    assert (clip.id, clip.class_name, clip.kind) == ("anna", "", "sequence")


def test_hidden_and_other_files_are_left_out(tmp_path):
    write_video(tmp_path / "in" / "a.avi")
    (tmp_path / "in" / "notes.txt").write_text("x")
    (tmp_path / "in" / "._a.avi").write_bytes(b"x")
    found, others = find_clips(tmp_path / "in")
    assert [clip.id for clip in found] == ["a.avi"] and others == ["notes.txt"]


def test_natural_order():
    assert sorted(["f10", "f2", "f1b", "f1"], key=natural_key) == ["f1", "f1b", "f2", "f10"]
    assert sorted(["10²", "9²", "²"], key=natural_key) == ["9²", "10²", "²"]


@pytest.mark.parametrize("height, width", [(10, 40), (40, 10), (30, 30), (7, 9)])
def test_resizing_keeps_the_aspect_and_the_centre(height, width):
    yy, xx = np.mgrid[: 3 * height, : 5 * width]
    disc = ((yy - 1.5 * height + 0.5) ** 2 + (xx - 2.5 * width + 0.5) ** 2) < min(
        height, width
    ) ** 2
    image = np.repeat(255 * disc[..., None], 3, axis=-1).astype(np.uint8)
    small = resize_and_crop(image, height, width)
    assert small.shape == (height, width, 3)
    weights = small[..., 0].astype(float)
    centre = [
        (weights.sum(1 - k) * np.arange(n)).sum() / weights.sum()
        for k, n in ((0, height), (1, width))
    ]
    np.testing.assert_allclose(centre, [(height - 1) / 2, (width - 1) / 2], atol=0.5)
    # One scale for both axes: the disc's area shrinks with its square.
    np.testing.assert_allclose(weights.sum() / 255, disc.sum() / 9, rtol=0.1)


def test_shrinking_averages_over_areas():
    checkers = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)
    np.testing.assert_allclose(resize_and_crop(image, 8, 8), 127.5, atol=1)


def clips(*sizes):
    return [
        Clip(f"{name}/{k}", str(name), ()) for name, size in enumerate(sizes) for k in range(size)
    ]


def test_the_division_is_disjoint_complete_and_follows_the_seed():
    every = clips(20, 20)
    train, test = split_clips(every, 0.25, seed=3).values()
    assert len(test) == 10 and {*train, *test} == {*every} and not {*train} & {*test}
    assert split_clips(every, 0.25, seed=3) == {"train": train, "test": test}
    assert split_clips(every, 0.25, seed=4)["test"] != test


def test_each_class_gives_its_share_to_the_test_split():
    test = split_clips(clips(40, 20, 8), 0.25, seed=0)["test"]
    share = [sum(clip.class_name == name for clip in test) for name in "012"]
    assert share == [10, 5, 2]


def test_small_folders_still_have_a_test_split():
    assert [len(part) for part in split_clips(clips(2), 0.1, 0).values()] == [1, 1]
    assert [(name, len(part)) for name, part in split_clips(clips(2), 0, 0).items()] == [
        ("train", 2)
    ]
    with pytest.raises(ConversionError, match="--test_fraction=0"):
        split_clips(clips(1), 0.1, 0)


def test_max_and_min_frames(tmp_path):
    write_video(tmp_path / "in" / "a.avi")
    assert convert(tmp_path / "in", tmp_path / "b", max_frames=2).splits["train"].max_length == 2
    with pytest.raises(ConversionError, match=r"a\.avi: 5 frames"):
        convert(tmp_path / "in", tmp_path / "c", min_frames=6)


@pytest.fixture
def folder_with_broken_files(tmp_path):
    source = tmp_path / "in"
    for number in range(4):
        write_video(source / "ok" / f"{number}.avi", red=20 * number)
    (source / "ok" / "broken.mp4").write_bytes(b"no video")
    (source / "empty.gif").write_bytes(b"")
    write_image(source / "walk" / "seq" / "1.png", frame(1))
    (source / "walk" / "seq" / "2.png").write_bytes(b"no image")
    write_image(source / "strips" / "1.png", frame(0, 20, 40))
    write_image(source / "strips" / "2.png", frame(0, 20, 50))
    return source


BROKEN = ("broken.mp4", "empty.gif", os.path.join("seq", "2.png"), os.path.join("strips", "2.png"))


def test_every_unreadable_file_is_named_and_nothing_is_written(folder_with_broken_files, tmp_path):
    with pytest.raises(ConversionError) as caught:
        convert(folder_with_broken_files, tmp_path / "out")
    lines = str(caught.value).splitlines()
    for name in BROKEN:
        assert sum(name in line for line in lines) == 1, name
    assert len(lines) == 5 and not (tmp_path / "out").exists()


def test_unreadable_files_are_skipped_on_request(folder_with_broken_files, tmp_path, capsys):
    convert(folder_with_broken_files, tmp_path / "out", skip_unreadable=True)
    reported = capsys.readouterr().err
    assert all(name in reported for name in BROKEN)
    assert len(read(tmp_path / "out")) == 5
    assert verify(str(tmp_path / "out")).faults == []


def test_the_command_line_makes_a_data_set_that_trains(tmp_path, capsys):
    for number in range(6):
        write_video(tmp_path / "in" / "ab"[number % 2] / f"{number}.avi", red=40 * number)
    out = str(tmp_path / "out")
    main([f"--source_dir={tmp_path / 'in'}", f"--out_dir={out}", "--height=16", "--width=16",
          "--test_fraction=0.4", "--fps=5"])  # fmt: skip
    assert "kerasvid data verify" in capsys.readouterr().out
    assert load_info(out).fps == 5 and verify(out).faults == []
    assert next(iter(make_pipeline(out, batch_size=4, frames=3)))["video"].shape == (
        4,
        3,
        16,
        16,
        3,
    )
    assert load_info(out).splits["test"].count == 2


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--heigth=3"], "heigth"),
        (["--height=three"], "height"),
        ([], "--out_dir is missing"),
        (["--out_dir=o"], "folder needs --source_dir, the folder of your videos"),
        (["--source_dir=/nowhere", "--out_dir=o"], "/nowhere: no such folder"),
        (["--source_dir=.", "--out_dir=o", "videos"], "videos"),
        (["--source_dir=.", "--out_dir=o", "--encoding=gif"], "encoding"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(flags, message):
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert str(caught.value.code).startswith("error: ") and message in caught.value.code
    assert "\n" not in caught.value.code


def test_one_line_describes_what_is_found_and_what_is_left_out(tmp_path):
    source = tmp_path / "in"
    write_video(source / "a" / "1.avi")
    write_video(source / "a" / "2.avi")
    for number in range(3):
        write_image(source / "b" / f"{number}.png", np.zeros([8, 9, 3], np.uint8))
    for name in ("notes.txt", "a/3.xyz", "b/4.doc", "b/5.doc", ".hidden"):
        (source / name).write_text("")
    assert describe_clips(*find_clips(source)) == (
        "found 1 sequence and 2 videos; left out: notes.txt, a/3.xyz, b/4.doc and 1 more"
    )


def test_linked_folders_are_classes_too_and_a_link_back_ends(tmp_path):
    write_video(tmp_path / "elsewhere" / "1.avi")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "walking").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "in")
    [clip], _ = find_clips(str(tmp_path / "in"))
    assert (clip.id, clip.class_name) == ("walking/1.avi", "walking")


def test_a_link_within_the_folder_adds_no_video_twice(tmp_path):
    write_video(tmp_path / "walking" / "1.avi")
    (tmp_path / "latest").symlink_to(tmp_path / "walking")
    [clip], _ = find_clips(str(tmp_path))
    assert (clip.id, clip.class_name) == ("walking/1.avi", "walking")


def test_a_link_to_a_hidden_folder_shows_what_is_in_it(tmp_path):
    write_video(tmp_path / ".store" / "3" / "1.avi")
    (tmp_path / "walking").symlink_to(tmp_path / ".store" / "3")
    [clip], _ = find_clips(str(tmp_path))
    assert (clip.id, clip.class_name) == ("walking/1.avi", "walking")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="no videos found"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", ["weizmann_strips", "shapes_strips"])
def test_real_strips(shared_data, tmp_path, name):
    for label in "01":
        files = sorted((shared_data / name / label).iterdir())[:2]
        os.makedirs(tmp_path / "in" / label)
        for file in files:
            shutil.copy(file, tmp_path / "in" / label)
    info = convert(tmp_path / "in", tmp_path / "out", height=64, width=64)
    assert info.splits["train"].count == 4 and info.class_names == ("0", "1")
    for clip_id, (frames, _) in read(tmp_path / "out").items():
        strip = cv2.imread(str(tmp_path / "in" / clip_id))[..., ::-1]
        assert len(frames) == strip.shape[1] // 64
        np.testing.assert_array_equal(np.concatenate(list(frames), axis=1), strip)


def test_a_picture_is_read_as_a_frame_of_a_models_size_and_colours(tmp_path):
    picture = np.zeros([8, 16, 3], np.uint8)
    picture[:, 4:12] = (0, 0, 200)  # red, in OpenCV's order
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    colour = read_frame(str(tmp_path / "a.png"), 4, 4, 3)
    grey = read_frame(str(tmp_path / "a.png"), 4, 4, 1)
    assert (colour == [200, 0, 0]).all() and colour.shape == (4, 4, 3)
    assert grey.shape == (4, 4, 1) and abs(int(grey[0, 0, 0]) - 0.299 * 200) <= 1


def test_videos_are_resampled_to_one_rate(tmp_path, capsys):
    write_video(tmp_path / "in" / "fast.avi", fps=20)
    write_video(tmp_path / "in" / "slow.avi", fps=10)
    info = convert(tmp_path / "in", tmp_path / "out", fps=20)
    videos = read(tmp_path / "out")
    assert {name: len(frames) for name, (frames, _) in videos.items()} == {
        "fast.avi": FRAMES, "slow.avi": 2 * FRAMES
    }  # fmt: skip
    assert info.fps == 20 and "warning" not in capsys.readouterr().err


def test_mixed_and_variable_rates_are_reported(tmp_path, capsys):
    write_video(tmp_path / "in" / "fast.avi", fps=30)
    write_video(tmp_path / "in" / "slow.avi", fps=10)
    images = [Image.fromarray(frame(number)) for number in range(3)]
    images[0].save(
        tmp_path / "in" / "held.gif",
        save_all=True,
        append_images=images[1:],
        duration=[100, 900, 50],
    )
    info = convert(tmp_path / "in", tmp_path / "out")
    assert info.fps == -1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert lines == [
        "warning: the frame rate of held.gif is variable; give --fps to resample to one rate",
        "warning: the videos have 2 to 30 frames per second; give --fps to resample to one rate",
    ]


def test_videos_of_one_rate_are_not_reported(tmp_path, capsys):
    write_video(tmp_path / "in" / "a.avi", fps=10)
    write_video(tmp_path / "in" / "b.avi", fps=10)
    write_image(tmp_path / "in" / "c" / "1.png", frame(0))
    convert(tmp_path / "in", tmp_path / "out")
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("rate", [0, -5, float("nan")])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(ConversionError, match=r"fps=.*: must be from 0.01 to 1000"):
        FolderOptions(fps=rate)


def test_each_animated_image_of_a_folder_is_a_clip(tmp_path):
    images = [Image.fromarray(frame(number)) for number in range(FRAMES)]
    os.makedirs(tmp_path / "in" / "stickers")
    for name in ("a.webp", "b.webp"):
        path = tmp_path / "in" / "stickers" / name
        images[0].save(path, save_all=True, append_images=images[1:], duration=100, lossless=True)
    convert(tmp_path / "in", tmp_path / "out", height=48, width=64)
    videos = read(tmp_path / "out")
    assert sorted(videos) == ["stickers/a.webp", "stickers/b.webp"]
    for frames, record in videos.values():
        np.testing.assert_array_equal(frames, np.stack([frame(k) for k in range(FRAMES)]))
        assert record["fps"] == 10
