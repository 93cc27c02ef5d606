"""Which files of a folder are videos, and which are left out."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.data import load_info
from tfrecords_tools.converters.folder import FolderOptions, describe_clips, find_clips, prepare
from tfrecords_tools.source_files import file_names, subfolders, walk_folders


def write_image(path, image):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_animation(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    first, second = (Image.fromarray(scene(16, 48, seed)) for seed in range(2))
    first.save(path, save_all=True, append_images=[second], duration=100)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def scene(height, width, seed=0):
    """A picture of structure, none of whose parts is like another."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def strip(number, frames=4):
    """A video in which something moves, its frames side by side."""
    large = scene(16, 24, seed=number)
    return np.concatenate([large[:, shift : shift + 16] for shift in range(frames)], axis=1)


def found(folder, **options):
    clips, _ = find_clips(folder, FolderOptions(**options))
    return [(clip.id, clip.kind, len(clip.paths)) for clip in clips]


@pytest.mark.parametrize("height, width", [(16, 32), (16, 48), (16, 64)])
def test_equally_large_wide_images_are_the_frames_of_one_video(tmp_path, height, width):
    large = scene(height, width + 8)
    for number in range(4):  # the camera pans
        image = large[:, 2 * number : 2 * number + width]
        write_image(tmp_path / "town" / "a" / f"{number}.png", image)
    assert found(tmp_path) == [("town/a", "sequence", 4)]


def test_the_views_of_a_stereo_camera_are_one_frame(tmp_path):
    for number in range(3):
        write_image(tmp_path / "a" / f"{number}.png", strip(number, frames=2))
    assert found(tmp_path) == [("a", "sequence", 3)]


@pytest.mark.parametrize("fill", ["noise", "plain"])
def test_wide_images_that_tell_nothing_are_the_frames_of_one_video(tmp_path, fill):
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (16, 64, 3)).astype(np.uint8)
        image = noise if fill == "noise" else np.full_like(noise, 80 * number)
        write_image(tmp_path / "a" / f"{number}.png", image)
    assert found(tmp_path) == [("a", "sequence", 3)]


def test_equally_large_images_whose_parts_are_alike_are_strips(tmp_path):
    for number in range(3):
        write_image(tmp_path / "run" / f"{number}.png", strip(number))
    assert found(tmp_path) == [(f"run/{number}.png", "strip", 1) for number in range(3)]


def test_images_of_one_height_and_several_widths_are_strips(tmp_path):
    for number in range(2, 4):
        write_image(tmp_path / "run" / f"{number}.png", scene(16, 16 * number))
    assert [kind for _, kind, _ in found(tmp_path)] == ["strip", "strip"]


def test_photos_of_several_sizes_are_no_strips(tmp_path):
    write_image(tmp_path / "a" / "1.png", scene(16, 32))
    write_image(tmp_path / "a" / "2.png", scene(24, 40))
    assert found(tmp_path) == [("a", "sequence", 2)]


def test_a_given_frame_width_makes_strips_of_equally_large_images(tmp_path):
    for number in range(2):
        write_image(tmp_path / f"{number}.png", scene(16, 48))
    assert [kind for _, kind, _ in found(tmp_path, strip_frame_width=24)] == ["strip", "strip"]


def test_a_broken_first_strip_does_not_hide_the_others(tmp_path):
    touch(tmp_path / "run" / "1.png")
    for number in range(2, 5):
        write_image(tmp_path / "run" / f"{number}.png", strip(number))
    assert [kind for _, kind, _ in found(tmp_path)] == ["strip"] * 4


def test_images_beside_videos_are_left_alone_and_counted(tmp_path):
    for name in ("Talk [a]", "Talk [b]"):
        touch(tmp_path / "talks" / f"{name}.mp4")
        write_image(tmp_path / "talks" / f"{name}.jpg", scene(18, 32))
    touch(tmp_path / "talks" / "Talk [a].info.json")
    assert [kind for _, kind, _ in found(tmp_path)] == ["video", "video"]
    assert describe_clips(*find_clips(tmp_path)) == (
        "found 2 videos; left out: 2 images beside videos, talks/Talk [a].info.json"
    )


@pytest.mark.parametrize("ending", ["webp", "png", "tif"])
def test_animations_beside_videos_are_videos(tmp_path, ending):
    write_animation(tmp_path / "stickers" / f"b.{ending}")
    write_image(tmp_path / "stickers" / "a.png", scene(16, 16))
    touch(tmp_path / "stickers" / "c.gif")
    assert found(tmp_path) == [(f"stickers/b.{ending}", "video", 1), ("stickers/c.gif", "video", 1)]
    assert (
        describe_clips(*find_clips(tmp_path)) == "found 2 videos; left out: 1 image beside videos"
    )


@pytest.mark.parametrize("ending", ["webp", "png", "tif"])
def test_animations_that_are_wide_are_no_strips(tmp_path, ending):
    touch(tmp_path / "0.png")
    write_animation(tmp_path / f"1.{ending}")
    write_animation(tmp_path / f"2.{ending}")
    assert [kind for _, kind, _ in found(tmp_path)] == ["video"] * 3


def test_wide_photos_that_were_held_in_several_ways_are_no_strips(tmp_path):
    for number, turned in enumerate([1, 6]):
        exif = Image.Exif()
        exif[0x0112] = turned
        Image.fromarray(scene(16, 48, number)).save(tmp_path / f"{number}.jpg", exif=exif)
    assert found(tmp_path) == [(tmp_path.name, "sequence", 2)]


def test_a_message_about_what_is_left_out_is_one_line(tmp_path):
    touch(tmp_path / "a.mp4")
    touch(tmp_path / "new\nline.txt")
    line = describe_clips(*find_clips(tmp_path))
    assert line == r"found 1 video; left out: new\nline.txt"


def test_images_beside_videos_are_read_on_request(tmp_path):
    touch(tmp_path / "a.mp4")
    write_image(tmp_path / "b.png", scene(16, 16))
    assert [kind for _, kind, _ in found(tmp_path, images="single")] == ["video", "sequence"]


@pytest.mark.parametrize("widths", [[20], [32], [20, 30], [20, 20], [32, 48]])
def test_posters_above_folders_of_videos_are_left_alone(tmp_path, widths):
    touch(tmp_path / "walk" / "anna" / "1.mp4")
    for number, width in enumerate(widths):
        write_image(tmp_path / "walk" / f"poster{number}.jpg", scene(16, width))
    assert [name for name, _, _ in found(tmp_path)] == ["walk/anna/1.mp4"]
    count = f"{len(widths)} image{'s' * (len(widths) > 1)}"
    assert f"left out: {count} beside videos" in describe_clips(*find_clips(tmp_path))
    if len(widths) > 1:
        assert ("walk", "sequence", 2) in found(tmp_path, images="sequences")


def test_a_sequence_above_another_sequence_is_read(tmp_path):
    for number in range(3):
        write_image(tmp_path / "walk" / "anna" / f"{number}.png", scene(16, 16))
        write_image(tmp_path / "walk" / "anna" / "masks" / f"{number}.png", scene(16, 16))
    assert [name for name, _, _ in found(tmp_path)] == ["walk/anna", "walk/anna/masks"]


LITTER = (
    "__MACOSX", ".AppleDouble", "@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN",
    "System Volume Information", "lost+found", ".Trash-1000", "@tmp",
)  # fmt: skip


@pytest.mark.parametrize("name", LITTER)
def test_folders_of_systems_and_storage_are_no_classes(tmp_path, name):
    touch(tmp_path / "walk" / "1.mp4")
    for place in (tmp_path / name, tmp_path / "walk" / name):
        touch(place / "1.mp4" / "thumb.mp4")
        write_image(place / "1.mp4" / "SYNOPHOTO_THUMB_M.jpg", scene(18, 32))
    clips, others = find_clips(tmp_path)
    assert [clip.id for clip in clips] == ["walk/1.mp4"] and others == []
    assert subfolders(str(tmp_path)) == ["walk"]
    assert [folder for folder, _ in walk_folders(tmp_path)] == [str(tmp_path), f"{tmp_path}/walk"]


def test_files_of_systems_are_not_even_counted(tmp_path):
    touch(tmp_path / "1.mp4")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._1.mp4", "ehthumbs.db", "Icon\r"):
        touch(tmp_path / name)
    assert describe_clips(*find_clips(tmp_path)) == "found 1 video"
    assert file_names(str(tmp_path), "") == ["1.mp4"]


@pytest.mark.parametrize("suffix", ["3gp", "3GP", "mts", "MTS", "m2ts", "ts", "ogv", "vob"])
def test_files_of_cameras_phones_and_television_are_videos(tmp_path, suffix):
    touch(tmp_path / f"a.{suffix}")
    assert found(tmp_path) == [(f"a.{suffix}", "video", 1)]


def test_a_class_of_unreadable_files_is_left_out_by_name(tmp_path, capsys):
    for name in ("hop", "run", "sit"):
        write_image(tmp_path / "in" / name / "a" / "1.png", scene(8, 8))
    (tmp_path / "in" / "run" / "a" / "1.png").write_bytes(b"no image")
    options = FolderOptions(8, 8, test_fraction=0)
    info = prepare(tmp_path / "out", tmp_path / "in", options, skip_unreadable=True, progress=False)
    assert info.class_names == ("hop", "sit") == load_info(tmp_path / "out").class_names
    assert "left out the class 'run': none of its videos is readable" in capsys.readouterr().err
