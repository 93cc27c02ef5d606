import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.training.callbacks.samples import (
    SampleWriter,
    panel_animation,
    panel_picture,
    sample_panel,
)
from kerasvid.visualization import grids


def ramp(frames=5, size=16):
    """Few colours that change from frame to frame, RGB: `[T, H, W, 3]`."""
    video = np.zeros([frames, size, size, 3], np.uint8)
    for t in range(frames):
        video[t, :, : size // 2] = (250, 40 * t, 0)
        video[t, : size // 2, size // 2 :] = (0, 30, 200)
    return video


def test_a_grid_puts_frames_in_rows_and_columns_two_pixels_apart():
    red, blue = np.zeros([2, 2, 4, 3], np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    picture = grids.grid([[red, None], [None, blue]], scale=3)
    assert picture.shape == (2 * 6 + 3 * 2, 2 * 12 + 3 * 2, 3)
    np.testing.assert_array_equal(picture[2:8, 2:14], np.broadcast_to([255, 0, 0], [6, 12, 3]))
    np.testing.assert_array_equal(picture[10:16, 16:28], np.broadcast_to([0, 0, 255], [6, 12, 3]))
    assert (picture[2:8, 16:28] == grids.BACKGROUND).all()
    assert (picture[8:10] == grids.BACKGROUND).all()


@pytest.mark.parametrize(("height", "scale"), [(8, 8), (48, 2), (64, 1), (256, 1)])
def test_small_frames_are_enlarged_to_64_pixels(height, scale):
    assert grids.default_scale(height) == scale


def test_long_videos_show_16_frames_with_both_ends():
    video = np.arange(40, dtype=np.uint8).reshape(1, 40, 1, 1, 1)
    (row,) = grids.clip_rows(video)
    assert len(row) == 16 and row[0].item() == 0 and row[-1].item() == 39


def test_a_png_keeps_every_pixel_and_the_order_of_colours(tmp_path):
    picture = ramp()[2]
    grids.write_png(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_gif_has_every_frame_nearly_unchanged(tmp_path):
    video = ramp()
    grids.write_gif(tmp_path / "a.gif", video, fps=10)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 5 and animation.info["loop"] == 0
        for number, expected in enumerate(video):
            animation.seek(number)
            assert animation.info["duration"] == 100
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(shown - expected).mean() < 4


def test_an_mp4_has_the_length_and_rate_and_even_sides(tmp_path):
    video = np.repeat(np.repeat(ramp(), 4, axis=1), 4, axis=2)[:, :63, :61]
    grids.write_mp4(tmp_path / "a.mp4", video, fps=5, repeats=3)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    frames = []
    while (item := capture.read())[0]:
        frames.append(item[1][..., ::-1])
    assert len(frames) == 15 and frames[0].shape == (64, 62, 3)
    assert np.abs(frames[1][:63, :61].astype(int) - video[1]).mean() < 8


def test_grey_videos_make_grey_pictures():
    picture = grids.grid([[np.full([64, 64, 1], 90, np.uint8)]])
    assert picture.shape == (68, 68, 3) and (picture[2:-2, 2:-2] == 90).all()


def test_a_failed_write_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.png"
    grids.write_png(path, ramp()[0])
    before = path.read_bytes()
    with pytest.raises(cv2.error):
        grids.write_png(path, np.zeros([0, 0, 3], np.uint8))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_pictures_come_at_their_steps_and_at_the_end(counter, fit, tmp_path, capsys):
    held_out = np.zeros([2, 2, 8, 8, 3], np.uint8)
    fit(counter(), [0.1] * 5, [SampleWriter(tmp_path, held_out, every=2, last_step=5)])
    names = {f"step-{step:06d}.{end}" for step in (2, 4, 5) for end in ("png", "gif")}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert f"pictures: {tmp_path}/step-000002.png" in capsys.readouterr().out


def test_pictures_of_steps_that_are_made_again_do_not_stay(counter, fit, tmp_path):
    for name in ("step-000002.png", "step-000002.gif", "final.png", "step-by-step.txt"):
        (tmp_path / name).touch()
    held_out = np.zeros([2, 2, 8, 8, 3], np.uint8)
    fit(counter(), [0.1] * 3, [SampleWriter(tmp_path, held_out, every=9, last_step=3)])
    kept = {"final.png", "step-by-step.txt", "step-000003.png", "step-000003.gif"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_the_first_picture_does_not_wait_longer_than_45_seconds(
    counter, fit, tmp_path, monkeypatch
):
    from kerasvid.training.callbacks import samples

    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(samples.time, "monotonic", lambda: float(next(clock)))
    held_out = np.zeros([2, 2, 8, 8, 3], np.uint8)
    fit(counter(), [0.1] * 5, [SampleWriter(tmp_path, held_out, every=1000)])
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == ["step-000003.png"]


def test_a_model_of_what_is_in_between_is_shown_below_the_real_clips():
    class Between:
        def between(self, first, last, frames, seed):
            return np.repeat(np.maximum(first, last)[:, None] + seed, frames, axis=1)

    real = np.stack([np.full([3, 64, 64, 3], level, np.uint8) for level in (10, 20)])
    real[:, -1] += 30
    panel = sample_panel(Between(), real, count=8, seed=7)
    assert set(panel) == {"real", "between"}
    cells = panel_picture(panel)[18 + 30 :: 66, 30::66, 0]  # under the caption
    assert cells.tolist() == [[10, 10, 40], [47] * 3, [20, 20, 50], [57] * 3]
    frames = panel_animation(panel)
    assert frames[0][30::66, 30::66, 0].tolist() == [[10, 20], [47, 57]]
