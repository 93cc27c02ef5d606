import os

import numpy as np
import pytest

from kerasvid.data import DatasetInfo, Video, make_pipeline, with_images
from kerasvid.data.pipeline import check_images_fit
from tfrecords_tools.conversion import write_dataset


def write(folder, videos, **info):
    info = DatasetInfo("numbered", "1", *videos[0].shape[1:], fps=-1.0, **info)

    def load(i):
        return Video(videos[i], f"video-{i}")

    write_dataset(os.fspath(folder), info, {"train": range(len(videos))}, load, progress=False)
    return os.fspath(folder)


def numbered(count, frames, first=0, size=8):
    """Videos whose pixels tell which one it is."""
    levels = first + np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None, None], [count, frames, size, size, 3])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Clips with the levels 0 to 5, images with the levels 100 to 106."""
    place = tmp_path_factory.mktemp("mixture")
    return write(place / "clips", numbered(6, 4)), write(place / "images", numbered(7, 1, 100))


def mixed(folders, start_step=0, count=6, seed=0):
    options = {"seed": seed, "start_step": start_step, "repeat": True}
    clips = make_pipeline(folders[0], batch_size=2, frames=3, **options)
    batches = with_images(clips, folders[1], 4, seed=seed, start_step=start_step)
    return list(batches.take(count).as_numpy_iterator())


def test_images_have_a_key_of_their_own_in_a_batch(folders):
    batches = mixed(folders)
    for batch in batches:
        assert batch["video"].shape == (2, 3, 8, 8, 3) and batch["video"].max() < 6
        assert batch["image"].shape == (4, 8, 8, 3) and batch["image"].dtype == np.uint8
        assert batch["image"].min() >= 100
    shown = np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])[:21]
    assert sorted(shown) == sorted([*range(100, 107)] * 3)  # three epochs, every image once each


def test_a_resumed_stream_goes_on_with_clips_and_images(folders):
    whole, rest = mixed(folders, seed=3), mixed(folders, start_step=4, count=2, seed=3)
    for expected, batch in zip(whole[4:], rest, strict=True):
        for name in ("video", "image"):
            np.testing.assert_array_equal(batch[name], expected[name])


def test_images_are_flipped_too(tmp_path):
    ramps = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None], [7, 1, 8, 8, 3])
    folder = write(tmp_path / "ramps", ramps)
    clips = make_pipeline(folder, batch_size=2, frames=1, repeat=True)
    batches = with_images(clips, folder, 7, flips=["horizontal"]).take(6).as_numpy_iterator()
    first = np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])
    assert set(first) == {0, 7} and 0.3 < np.mean(first == 0) < 0.7


def test_images_of_another_size_are_refused(folders, tmp_path):
    check_images_fit(folders[1], (8, 8, 3))
    large = write(tmp_path / "large", numbered(2, 1, size=16))
    with pytest.raises(ValueError, match=r"large: the images are 16x16x3, the clips 8x8x3"):
        check_images_fit(large, (8, 8, 3))
