"""The client's command line against a server that keeps TensorFlow Serving's contract."""

import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def command(tmp_path, run_command, capsys, monkeypatch):
    """Runs `kerasvid client` in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*flags: str) -> tuple[int, str, str]:
        status = run_command("client", *flags)
        return status, *capsys.readouterr()

    return run


def test_the_command_writes_images_and_arrays(command, rest, tmp_path, expected_video):
    flags = (f"--address={rest.address}", "--model=rjvae", "--seeds=1,2,3")
    status, out, err = command(*flags, "--out=clips.gif")
    assert (status, err) == (0, "") and out == "clips.gif: video [3, 4, 16, 16, 3]\n"
    with Image.open(tmp_path / "clips.gif") as gif:
        assert gif.n_frames == 4 and gif.size == (3 * 66 + 2, 66 + 2)
    status, out, err = command(*flags, "--signature=serving_default", "--out=clips.npz")
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(
        np.load(tmp_path / "clips.npz")["video"], expected_video([1, 2, 3])
    )
    assert command(*flags, "--out=clips.mp4", "--version=stable")[0] == 0
    capture = cv2.VideoCapture(str(tmp_path / "clips.mp4"))
    assert capture.isOpened() and capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    np.savez(tmp_path / "in.npz", seed_from=[1, 2], seed_to=[3, 3], fraction=[0.5, 0.5])
    more = ("--signature=interpolate", "--inputs=in.npz", "--out=way.png", "--scale=1")
    assert command(*flags, *more)[0] == 0
    assert cv2.imread(str(tmp_path / "way.png")).shape == (2 * 18 + 2, 4 * 18 + 2, 3)


@pytest.mark.slow
def test_the_command_goes_between_images(command, rest, tmp_path):
    red, blue = np.zeros([32, 64, 3], np.uint8), np.zeros([16, 16, 3], np.uint8)
    red[..., 2], blue[..., 0] = 200, 100  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "a.png"), red)
    cv2.imwrite(str(tmp_path / "b.png"), blue)
    flags = (f"--address={rest.address}", "--model=cvae", "--out=between.png", "--scale=1")
    status, _, err = command(*flags, "--first=a.png", "--last=b.png")
    assert (status, err) == (0, "")
    middles = cv2.imread(str(tmp_path / "between.png"))[10, 10::18, ::-1].astype(int)  # [T, 3]
    assert np.abs(middles - np.linspace([200, 0, 0], [0, 0, 100], 4)).max() < 6


def test_mistakes_are_one_line_and_nothing_is_written(command, rest, tmp_path):
    to = f"--address={rest.address}"
    before = len(rest.seen)
    for flags, message in (
        ([to, "--model=rjvae", "--seeds=-1"], "seed: -1 is out of range. Give 0 to 2^62 - 1"),
        ([to, "--model=rjvae", "--out=clips.webm"], "the ending must be .gif, .mp4, .png, .npz"),
        ([to, "--model=rjvae", "--first=a.png"], "rjvae takes no frames. Leave them out"),
        ([to, "--model=nobody"], "Latest(nobody). Give a model of its models.config"),
        ([to], "Flag --model must have a value"),
    ):
        status, out, err = command(*flags)
        assert (status, out) == (1, "") and len(err.splitlines()) == 1, err
        assert err.startswith("error: ") and message in err
    assert not [*tmp_path.iterdir()]
    assert all(method == "GET" for method, _, _ in rest.seen[before:])


def test_the_command_lists_versions_and_signatures(command, rest):
    status, out, err = command(f"--address={rest.address}", "--model=rjvae", "--list")
    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == ["version 1: AVAILABLE", "version 2: AVAILABLE"]
    assert "generate_jpeg(seed: int64 [any]) -> frames_bytes: bytes [any, 4]" in out
