"""What lossy frames lose is measured on what the pipeline decodes."""

import os

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info, make_pipeline
from kerasvid.data.records import DatasetInfo, Video, decode_frames, video_to_example
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converters import folder
from tfrecords_tools.derived.split_frames import split_frames
from tfrecords_tools.frame_loss import FrameLoss, describe_loss, measure_loss
from tfrecords_tools.verify import verify


def footage(number=0, count=4, channels=3):
    """Smooth colours with grain, uint8 [T, 32, 40, C]."""
    generator = np.random.default_rng(number)
    coarse = generator.uniform(0, 255, (count, 4, 5, channels))
    smooth = [cv2.resize(frame, (40, 32)).reshape(32, 40, channels) for frame in coarse]
    grain = generator.normal(0, 4, (count, 32, 40, channels))
    return np.clip(np.stack(smooth) + grain, 0, 255).astype(np.uint8)


def images_of(frames, encoding="jpeg", quality=95):
    feature = video_to_example(Video(frames, "a"), encoding, quality).features.feature
    return list(feature["frames"].bytes_list.value)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_psnr_is_that_of_the_frames_that_tensorflow_decodes(channels):
    frames = footage(channels=channels)
    images = images_of(frames, quality=80)
    decoded = decode_frames(tf.constant(images), "jpeg", 32, 40, channels)
    expected = tf.image.psnr(frames, decoded, 255).numpy()
    np.testing.assert_allclose(measure_loss(frames, images).psnr, expected, rtol=1e-5)
    assert expected.min() > 25 and np.ptp(expected) > 1e-3


def test_the_bytes_are_those_of_the_first_frame_and_of_its_png():
    frames = footage()
    loss = measure_loss(frames, images_of(frames))
    [png] = images_of(frames[:1], "png")
    assert (loss.encoded_bytes, loss.png_bytes) == (len(images_of(frames)[0]), len(png))


def test_frames_that_are_equal_are_counted_and_not_averaged():
    frames = np.concatenate([np.full((2, 32, 40, 3), 128, np.uint8), footage(count=1)])
    loss = measure_loss(frames, images_of(frames))
    assert loss.equal == 2 and len(loss.psnr) == 1
    line = describe_loss([loss])
    assert f"{loss.psnr[0]:.2f} dB on average" in line and "without 2 equal ones" in line
    assert "all are equal" in describe_loss([measure_loss(frames[:2], images_of(frames[:2]))])


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"is not \[32, 40, 3\]"):
        measure_loss(footage(), images_of(footage()[:, :16]))


def test_mean_and_minimum_are_over_the_frames_of_all_videos():
    losses = [FrameLoss((30.0, 36.0), 0, 2000, 8000), FrameLoss((42.0,), 0, 4000, 4000)]
    line = describe_loss(losses)
    assert line == (
        "PSNR of the frames: 36.00 dB on average, 30.00 dB at the least; 50 % fewer bytes than PNG"
    )
    assert describe_loss(losses[::-1]) == line
    assert describe_loss([FrameLoss((30.0,), 0, 3, 2)]).endswith("50 % more bytes than PNG")


def write(out, quality=None, encoding="jpeg", workers=2):
    info = DatasetInfo("grain", "1", 32, 40, encoding=encoding)
    splits = {"train": range(6), "test": range(6, 9)}
    write_dataset(
        out, info, splits, lambda number: Video(footage(number), str(number)),
        progress=False, jpeg_quality=quality, workers=workers,
    )  # fmt: skip
    return str(out)


def test_the_line_of_a_data_set_agrees_with_its_records(tmp_path, capsys):
    out = write(tmp_path / "a", quality=70)
    line = capsys.readouterr().err
    ratios = []
    for split, first in (("train", 0), ("test", 6)):
        batches = make_pipeline(
            out, split, batch_size=1, frames=4, pick="start", shuffle=False, drop_remainder=False
        )
        for batch in batches:
            true = footage(first + int(batch["index"][0]))
            error = np.square(batch["video"][0].numpy().astype(float) - true).mean((1, 2, 3))
            ratios += list(10 * np.log10(255**2 / error))
    assert len(ratios) == 9 * 4
    expected = f"{np.mean(ratios):.2f} dB on average, {np.min(ratios):.2f} dB at the least"
    assert expected in line and line.count("\n") == 1


def test_a_lower_quality_is_smaller_and_the_bytes_are_the_same_each_time(tmp_path):
    sizes = []
    for quality in (50, 95, None):
        found = [load_info(write(tmp_path / f"{quality}-{n}", quality, workers=n)) for n in (1, 3)]
        assert found[0].splits == found[1].splits
        sizes.append(sum(shard.bytes for shard in found[0].splits["train"].shards))
    assert sizes[0] < 0.7 * sizes[1] and sizes[1] == sizes[2]


def test_lossless_frames_have_no_such_line(tmp_path, capsys):
    write(tmp_path / "a", encoding="png")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "quality, encoding, message",
    [(80, "png", "quality=80: the encoding is png; give --encoding=jpeg"), (0, "jpeg", "1 to 100")],
)
def test_a_quality_that_does_not_fit_is_refused(tmp_path, quality, encoding, message):
    with pytest.raises(ConversionError, match=message):
        write(tmp_path / "a", quality, encoding)
    assert not os.listdir(tmp_path)


def test_a_folder_is_converted_to_jpeg_of_a_quality(tmp_path, capsys):
    for number in range(4):
        place = tmp_path / "in" / str(number)
        place.mkdir(parents=True)
        for k, frame in enumerate(footage(number)):
            cv2.imwrite(str(place / f"{k}.png"), frame[..., ::-1])
    flags = [f"--source_dir={tmp_path / 'in'}", "--height=32", "--width=40", "--encoding=jpeg"]
    sizes = []
    for quality in (60, 90):
        out = str(tmp_path / f"out-{quality}")
        folder.main([*flags, f"--out_dir={out}", f"--jpeg_quality={quality}"])
        assert "dB on average" in capsys.readouterr().err
        assert verify(out).faults == []
        sizes.append(load_info(out).splits["train"].shards[0].bytes)
    assert sizes[0] < sizes[1]
    split_frames(out, tmp_path / "parts", progress=False)
    assert verify(tmp_path / "parts" / "images").faults == []
    with pytest.raises(SystemExit, match="jpeg_quality"):
        folder.main([*flags[:3], f"--out_dir={tmp_path / 'b'}", "--jpeg_quality=60"])
