"""Composition of the Liberated Pixel Cup sheets."""

import hashlib
import shutil

import cv2
import numpy as np
import pytest

from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import lpc_sheets
from tfrecords_tools.converters.lpc_sheets import SHEET_CHECKSUMS
from tfrecords_tools.synthetic import sprites


@pytest.fixture(scope="module")
def source(shared_data):
    return shared_data / "lpc_sprites"


@pytest.fixture(scope="module")
def sheets(source):
    return lpc_sheets.load_sheets(source)


def _compose_pixel_by_pixel(source, attributes, cell):
    """One cell in plain Python: body, bottomwear, topwear, hair, shoes over black, by alpha."""
    names = ["body", "bottomwear", "topwear", "hair"]
    files = [source / name / f"{value}.png" for name, value in zip(names, attributes, strict=True)]
    images = [cv2.imread(str(file), -1) for file in [*files, source / "shoes" / "1.png"]]
    frame = np.zeros((64, 64, 3), np.uint8)
    for y in range(64):
        for x in range(64):
            for channel in range(3):
                value = 0
                for image in images:
                    pixel = image[cell // 13 * 64 + y, cell % 13 * 64 + x]
                    alpha = int(pixel[3]) / 255
                    value = round(int(pixel[2 - channel]) * alpha + value * (1 - alpha))
                frame[y, x, channel] = value
    return frame


def test_frames_follow_the_published_order():
    assert lpc_sheets.clip_cells("walk", "front") == (138, 131, 132, 133, 134, 135, 136, 137)
    assert lpc_sheets.clip_cells("walk", "right") == (151, 144, 145, 146, 147, 148, 149, 150)
    assert lpc_sheets.clip_cells("spellcard", "left") == (13, 14, 15, 16, 17, 18, 17, 19)
    assert lpc_sheets.clip_cells("slash", "front") == (182, 183, 184, 185, 186, 187, 186, 182)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("attributes", "action", "view", "frame", "cell"),
    [
        ((0, 4, 3, 2), "walk", "left", 0, 125),
        ((5, 1, 4, 0), "slash", "right", 6, 199),
        ((3, 4, 4, 5), "spellcard", "front", 7, 32),
    ],
)
def test_a_frame_equals_its_layers_blended_pixel_by_pixel(
    source, sheets, attributes, action, view, frame, cell
):
    clip = lpc_sheets.compose_clip(sheets, attributes, action, view)
    assert clip.shape == (8, 64, 64, 3) and clip.dtype == np.uint8
    expected = _compose_pixel_by_pixel(source, attributes, cell)
    np.testing.assert_array_equal(clip[frame], expected)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("split", "count", "mean"),
    [pytest.param("train", 9000, 23.12, marks=pytest.mark.slow), ("test", 2664, 23.0)],
)
def test_counts_and_pixel_means_are_those_of_the_published_data(sheets, split, count, mean):
    clips = sprites.list_clips(lpc_sheets.ACTIONS)[split]
    assert len(clips) == count
    total = 0
    for clip in clips:
        frames = lpc_sheets.compose_clip(sheets, clip.attributes, clip.action, clip.view)
        total += int(frames.sum(dtype=np.int64))
    assert total / (count * 8 * 64 * 64 * 3) == pytest.approx(mean, abs=0.005)


@pytest.mark.needs_shared
def test_a_missing_sheet_is_named(source, tmp_path):
    copy = shutil.copytree(source, tmp_path / "sheets")
    (copy / "hair" / "3.png").unlink()
    with pytest.raises(ConversionError, match=r"hair.3\.png.*YingzhenLi/Sprites") as error:
        lpc_sheets.load_sheets(copy)
    assert "\n" not in str(error.value)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: cv2.imwrite(str(path), np.zeros((64, 64, 4), np.uint8)), r"\[64, 64, 4\]"),
        (
            lambda path: cv2.imwrite(str(path), np.zeros((1344, 832, 3), np.uint8)),
            r"832, 3\]",
        ),
        (lambda path: cv2.imwrite(str(path), np.zeros((1344, 832), np.uint8)), r"1344, 832\]"),
        (lambda path: path.write_bytes(b"not a picture"), "not a readable PNG"),
        (lambda path: path.write_bytes(b""), r"shoes.1\.png"),
    ],
)
def test_a_sheet_of_another_kind_is_named(source, tmp_path, damage, said):
    copy = shutil.copytree(source, tmp_path / "sheets")
    damage(copy / "shoes" / "1.png")
    with pytest.raises(ConversionError, match=said) as error:
        lpc_sheets.load_sheets(copy)
    assert "1.png" in str(error.value) and "\n" not in str(error.value)


def test_a_download_has_every_sheet_that_a_character_may_wear(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(lpc_sheets, "download_files", lambda *a, **k: asked.append((a, k)))
    lpc_sheets.download_sheets(tmp_path, progress=False)
    [((address, checksums, folder), options)] = asked
    assert address.startswith("https://") and folder == tmp_path
    assert address.endswith("/YingzhenLi/Sprites/3ce4048c5227802bd8f1888e293fd3afdba91c0c")
    garments = ("body", "bottomwear", "topwear", "hair")
    assert set(checksums) == {f"{g}/{n}.png" for g in garments for n in range(6)} | {"shoes/1.png"}
    assert options["progress"] is False and "CC-BY-SA 3.0 / GPL 3.0" in options["title"]


@pytest.mark.needs_shared
def test_checksums_are_those_of_the_sheets(source):
    assert len(set(SHEET_CHECKSUMS.values())) == 25
    for name, checksum in SHEET_CHECKSUMS.items():
        assert hashlib.sha256((source / name).read_bytes()).hexdigest() == checksum, name


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConversionError, match=r"nowhere: no such folder"):
        lpc_sheets.load_sheets(tmp_path / "nowhere")
