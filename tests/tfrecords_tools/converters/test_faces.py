"""Finding the face of a clip: where it is, one box a clip, and what is refused."""

import concurrent.futures

import cv2
import numpy as np
import pytest

from tfrecords_tools.conversion import ConversionError, UnreadableMedia
from tfrecords_tools.converters import faces
from tfrecords_tools.converters.faces import (
    crop,
    face_detector,
    find_box,
    find_face,
    read_face_clip,
)

MOUTH_ROW = 0.68 / 2  # below the centre of the drawn head, as a share of its width


def write_frames(folder, frames, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(folder / f"{number:03d}{suffix}") for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        assert cv2.imwrite(path, frame[..., ::-1])
    return paths


@pytest.fixture
def new_threads_detector(monkeypatch):
    """As in a thread that has not looked for a face before."""
    monkeypatch.delattr(faces._own, "detector", raising=False)


@pytest.mark.parametrize(
    "height, width, centre, size",
    [
        (160, 200, (100, 80), 70),
        (160, 200, (60, 70), 70),
        (160, 200, (140, 90), 50),
        (240, 320, (150, 120), 110),
    ],
)
def test_a_face_is_found_where_it_is_drawn(draw_face, height, width, centre, size):
    column, row, side = find_face(draw_face(height, width, centre, size))
    np.testing.assert_allclose([column, row], centre, atol=0.1 * size)
    assert size < side < 1.5 * size


def test_a_face_in_a_large_image_is_found_at_its_scale(draw_face):
    large = cv2.resize(draw_face(centre=(80, 90), size=70), None, fx=4, fy=4)  # 640x800
    column, row, side = find_face(large)
    np.testing.assert_allclose([column, row], [320, 360], atol=28)
    assert 280 < side < 420


def test_a_dim_face_is_found(draw_face):
    assert find_face(draw_face() // 8) is not None


def test_of_two_faces_the_larger_is_taken(draw_face):
    both = draw_face(200, 320, (70, 100), 50, image=draw_face(200, 320, (220, 90), 90))
    column, row, _ = find_face(both)
    np.testing.assert_allclose([column, row], [220, 90], atol=9)


def test_crops_follow_the_drawn_face_and_its_size(draw_face, find_mouth, tmp_path):
    crops, middles = [], []
    for number, (centre, size) in enumerate([((70, 80), 50), ((205, 95), 60), ((150, 140), 100)]):
        paths = write_frames(tmp_path / str(number), [draw_face(240, 320, centre, size)] * 2)
        clip = read_face_clip(paths)
        assert clip.shape == (2, 64, 64, 3) and clip.dtype == np.uint8
        crops.append(clip[0].astype(float))
        middles.append(find_mouth(clip[0]))
    # The same picture three times, though it was drawn in other places and sizes.
    np.testing.assert_allclose(middles, np.repeat([np.mean(middles, 0)], 3, 0), atol=2.5)
    np.testing.assert_allclose(np.mean(middles, 0)[0], 32, atol=1.5)
    assert all(np.abs(crops[0] - other).mean() < 12 for other in crops[1:])


def test_one_box_serves_the_whole_clip(draw_face, find_mouth, tmp_path):
    places = [(90 + 4 * step, 80) for step in range(6)]
    frames = [draw_face(centre=place) for place in places]
    paths = write_frames(tmp_path, frames)
    clip = read_face_clip(paths, size=64, margin=0.3)
    drawn = np.array([find_mouth(frame) for frame in frames])
    seen = np.array([find_mouth(frame) for frame in clip])
    scale = np.diff(seen[:, 0]).mean() / 4
    assert 0.3 < scale < 0.7
    # The head moves in the crop as it moves in the frame: the box does not run after it.
    np.testing.assert_allclose(np.diff(seen[:, 0]), scale * np.diff(drawn[:, 0]), atol=0.25)
    np.testing.assert_allclose(np.diff(seen[:, 1]), 0, atol=0.25)


def test_a_false_find_and_a_miss_do_not_move_the_box(monkeypatch):
    finds = iter([(50, 40, 20), (52, 41, 20), (5, 5, 90), None, (54, 42, 22), (53, 41, 20)])
    monkeypatch.setattr(faces, "find_face", lambda image: next(finds))
    box = find_box([np.zeros((100, 120, 3), np.uint8)] * 6, "a", margin=0.25)
    # Medians by hand: column 52, row 41, side 20; with the margin 30.
    assert box == (37, 26, 30)  # column, row, side


@pytest.mark.parametrize(
    "face, expected",
    [
        ((10, 50, 20), (0, 35, 30)),
        ((112, 94, 20), (90, 70, 30)),
        ((60, 50, 72), (6, -4, 108)),  # wider than the frame is high
        ((20, 20, 72), (0, -8, 108)),
        ((60, 50, 100), (-15, -25, 150)),  # larger than the frame
    ],
)
def test_a_box_stays_inside_the_frame_or_covers_it(monkeypatch, face, expected):
    monkeypatch.setattr(faces, "find_face", lambda image: face)
    assert find_box([np.zeros((100, 120, 3), np.uint8)], "a", margin=0.25) == expected


def test_a_crop_is_what_lies_in_the_box_and_repeats_the_border_outside():
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(crop(frame, (4, 3, 10), 10), frame[3:13, 4:14])
    padded = np.pad(frame, ((7, 8), (5, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(crop(frame, (-5, -7, 35), 35), padded)


def test_shrinking_a_crop_averages_over_areas():
    frame = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    means = frame[4:36, 2:34].reshape(8, 4, 8, 4, 3).mean((1, 3))
    np.testing.assert_allclose(crop(frame, (2, 4, 32), 8), means, atol=0.51)


def test_a_clip_without_a_face_is_refused_by_name(tmp_path):
    noise = np.random.default_rng(0).integers(100, 140, (9, 60, 80, 3), np.uint8)
    paths = write_frames(tmp_path, noise)
    with pytest.raises(UnreadableMedia, match=r"no upright frontal face .* 7 frame") as caught:
        read_face_clip(paths)
    assert str(caught.value).startswith(paths[0]) and "--nocrop_faces" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_cropping_the_middle_is_kept(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    clip = read_face_clip(write_frames(tmp_path, noise), size=16, crop_faces=False)
    np.testing.assert_array_equal(clip, noise[:, :, 4:20])


def test_an_image_of_another_size_is_named(draw_face, tmp_path):
    paths = write_frames(tmp_path, [draw_face(), draw_face(), draw_face()[:150]])
    with pytest.raises(UnreadableMedia, match=r"002\.png: has another size"):
        read_face_clip(paths)


@pytest.mark.usefixtures("new_threads_detector")
def test_an_opencv_without_cascades_is_named(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")  # as in OpenCV 5
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    with pytest.raises(ConversionError, match=r"OpenCV 5\.0\.0 .*>=4\.11,<5") as caught:
        face_detector()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("new_threads_detector")
def test_a_missing_cascade_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(ConversionError, match=faces.CASCADE):
        face_detector()


def test_each_thread_has_a_detector_of_its_own_and_finds_the_same(draw_face):
    images = [draw_face(centre=(70 + 10 * k, 80)) for k in range(6)]
    assert face_detector() is face_detector()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert pool.submit(face_detector).result() is not face_detector()
        assert list(pool.map(find_face, images)) == [find_face(image) for image in images]
