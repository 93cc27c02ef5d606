"""Sources that cannot be read end the command line with one line that names them."""

import builtins
import os

import cv2
import numpy as np
import pytest

from kerasvid.data import load_info
from tfrecords_tools.converters.folder import main


def write_image(path, image):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_video(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 50 * number, np.uint8))
    writer.release()


def end_of_main(source, out):
    """The one line with which the command line ends."""
    with pytest.raises(SystemExit) as caught:
        main([f"--source_dir={source}", f"--out_dir={out}", "--test_fraction=0"])
    assert not out.exists()
    line = str(caught.value.code)
    assert line.startswith("error: ") and "\n" not in line and "Traceback" not in line
    assert str(out) not in line and "cannot be written" not in line
    return line


# Alone, an image is asked whether it is a strip; as the second, it is one of a sequence.
@pytest.mark.parametrize("name, width", [("1.png", 96), ("2.png", 48)])
def test_a_truncated_image_is_named(tmp_path, name, width):
    noise = np.random.default_rng(0).integers(0, 256, (48, width, 3), np.uint8)
    for number in range(1, int(name[0]) + 1):
        write_image(tmp_path / "in" / "seq" / f"{number}.png", noise)
    path = tmp_path / "in" / "seq" / name
    os.truncate(path, os.path.getsize(path) // 2)
    line = end_of_main(tmp_path / "in", tmp_path / "out")
    assert line.count(str(path)) == 1 and "--skip_unreadable" in line


@pytest.mark.parametrize("name, width", [("1.png", 96), ("2.png", 48)])
def test_an_image_without_permission_is_named(tmp_path, monkeypatch, name, width):
    for number in range(1, int(name[0]) + 1):
        write_image(tmp_path / "in" / "seq" / f"{number}.png", np.zeros((48, width, 3), np.uint8))
    path, original = str(tmp_path / "in" / "seq" / name), open

    def refuse(file, *arguments, **options):
        if file == path:
            raise PermissionError(13, "Permission denied", file)
        return original(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", refuse)
    line = end_of_main(tmp_path / "in", tmp_path / "out")
    assert f"{path}: cannot be read (Permission denied)" in line


@pytest.mark.parametrize("name", ["clip.mp4", "clip.png"])
def test_a_file_that_is_gone_is_named(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).symlink_to(tmp_path / "nowhere")
    line = end_of_main(tmp_path / "in", tmp_path / "out")
    assert f"{name}: cannot be read (No such file" in line


def test_a_folder_that_is_named_like_a_video_is_a_folder(tmp_path):
    write_video(tmp_path / "in" / "clip.mp4" / "anna.avi")
    main([f"--source_dir={tmp_path / 'in'}", f"--out_dir={tmp_path / 'out'}", "--test_fraction=0"])
    assert load_info(tmp_path / "out").class_names == ("clip.mp4",)
    (tmp_path / "empty" / "clip.mp4").mkdir(parents=True)
    assert "no videos found" in end_of_main(tmp_path / "empty", tmp_path / "out2")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write_video(tmp_path / "in" / "ok" / "a.avi")
    secret, original = tmp_path / "in" / "secret", os.scandir
    secret.mkdir()

    def scandir(path):
        if os.fspath(path) == str(secret):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    line = end_of_main(tmp_path / "in", tmp_path / "out")
    assert f"{secret}: cannot be listed (Permission denied)" in line
