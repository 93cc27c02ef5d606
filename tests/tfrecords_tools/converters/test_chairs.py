"""The rendered chairs: which images become which videos, what is left out and what is refused."""

import os
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import chairs
from tfrecords_tools.converters.chairs import ChairOptions
from tfrecords_tools.source_files import Clip
from tfrecords_tools.verify import verify

# As the archive has them.
AZIMUTHS = (0, 11, 23, 34, 46, 58, 69, 81, 92, 104, 116, 127, 139, 150, 162, 174, 185, 197, 209,
            220, 232, 243, 255, 267, 278, 290, 301, 313, 325, 336, 348)  # fmt: skip
MODELS = ["1a2b", "3c", "77", "b0", "ff1"]


def _name(elevation, azimuth):
    number = AZIMUTHS.index(azimuth) + (32 if elevation == 30 else 0)
    return f"image_{number:03d}_p{elevation:03d}_t{azimuth:03d}_r096.png"


def _colour(model, elevation, azimuth):
    return np.array([40 * MODELS.index(model), elevation, azimuth // 2], np.uint8)


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Five models of 62 images of 12x12, white but for the 8x8 in the middle."""
    root = tmp_path_factory.mktemp("archive") / "rendered_chairs"
    for model in MODELS:
        for elevation in (20, 30):
            for azimuth in AZIMUTHS:
                image = np.full((12, 12, 3), 255, np.uint8)
                image[2:10, 2:10] = _colour(model, elevation, azimuth)
                _write(root / model / "renders" / _name(elevation, azimuth), image)
    (root / "all_chair_names.mat").write_bytes(b"MATLAB")
    return root


@pytest.fixture
def copied(archive, tmp_path):
    return shutil.copytree(archive, tmp_path / "rendered_chairs")


def _read(folder):
    """Split, frames and record of each video, by id."""
    found = {}
    for split, clips in load_info(folder).splits.items():
        files = [os.path.join(folder, shard.file) for shard in clips.shards]
        for serialized in tf.data.TFRecordDataset(files):
            record = parse_record(serialized)
            frames = decode_frames(record["frames"], "png", 64, 64, 3).numpy()
            found[record["id"].numpy().decode()] = (split, frames, record)
    return found


def _convert(source, out, **options):
    options = {"models": 5, "frames": 3, "crop": 8, "test_fraction": 0.0, **options}
    return chairs.prepare(out, source, ChairOptions(**options), progress=False)


def test_the_azimuths_are_those_of_the_archive():
    assert chairs.AZIMUTHS == AZIMUTHS


@pytest.mark.parametrize("frames, above", [(2, True), (31, False)])
def test_a_video_is_a_model_at_an_elevation_over_its_first_azimuths(
    archive, tmp_path, frames, above
):
    info = _convert(archive.parent if above else archive, tmp_path / "out", frames=frames)
    assert info.name == "chairs" and info.class_names == ("elevation-20", "elevation-30")
    assert info.identity_names == tuple(MODELS) and "5 of 5 models" in info.source
    assert info.licence and "CVPR 2014" in info.citation and info.fps == -1
    assert verify(str(tmp_path / "out")).faults == []
    videos = _read(tmp_path / "out")
    assert len(videos) == 10
    for model in MODELS:
        for label, elevation in enumerate((20, 30)):
            _, video, record = videos[f"elevation-{elevation}/{model}"]
            assert int(record["label"]) == label
            assert info.identity_names[int(record["identity"])] == model
            colours = [_colour(model, elevation, azimuth) for azimuth in AZIMUTHS[:frames]]
            expected = np.broadcast_to(np.array(colours)[:, None, None], (frames, 64, 64, 3))
            np.testing.assert_array_equal(video, expected)


def test_by_default_the_middle_400_of_600_pixels_are_averaged_to_64(tmp_path):
    random = np.random.default_rng(0)
    image = cv2.resize(random.integers(0, 256, (60, 60, 3), np.uint8), (600, 600))
    for elevation in (20, 30):
        path = tmp_path / "in" / "m" / "renders" / _name(elevation, 0)
        _write(path, image)
        for azimuth in AZIMUTHS[1:16]:
            shutil.copy(path, path.with_name(_name(elevation, azimuth)))
    chairs.prepare(tmp_path / "out", tmp_path / "in", progress=False)
    videos = _read(tmp_path / "out")
    assert {split for split, _, _ in videos.values()} == {"train", "test"}
    # Pixel k of 64 is the mean from 6.25 k to 6.25 (k + 1): quarters of a pixel, 25 a side.
    quarters = image[100:500, 100:500].astype(float).repeat(4, 0).repeat(4, 1)
    expected = quarters.reshape(64, 25, 64, 25, 3).mean(axis=(1, 3))
    for _, video, _ in videos.values():
        assert video.shape == (16, 64, 64, 3)
        np.testing.assert_allclose(video[5], expected, atol=1)


def test_models_are_chosen_by_seed(archive, tmp_path):
    pairs = chairs.find_clips(archive, 3)

    def chosen(models, seed):
        options = ChairOptions(models=models, seed=seed)
        return [low.identity for low, _ in chairs.choose_models(pairs, options)]

    assert len(chosen(3, 0)) == 3 and chosen(3, 0) == sorted(chosen(3, 0)) == chosen(3, 0)
    assert set(chosen(2, 0)) < set(chosen(3, 0))
    assert len({tuple(chosen(3, seed)) for seed in range(8)}) > 1
    info = _convert(archive, tmp_path / "out", models=2, seed=4)
    assert list(info.identity_names) == chosen(2, 4) and info.splits["train"].count == 4
    assert "2 of 5 models, seed 4" in info.source


def test_fewer_models_than_asked_for_are_all_taken_with_a_line(archive, tmp_path, capsys):
    info = _convert(archive, tmp_path / "out", models=820)
    assert info.splits["train"].count == 10
    assert capsys.readouterr().err == "took all 5 complete models; --models=820 asks for more\n"


def _many(count):
    """Pairs of clips without images."""
    return [
        tuple(Clip(f"{name}/{k:04d}", name, (), f"{k:04d}") for name in chairs.CLASSES)
        for k in range(count)
    ]


def test_a_tenth_of_the_videos_is_held_out_with_the_other_elevation_in_training():
    splits = chairs.split_clips(_many(820), ChairOptions())
    train, test = splits["train"], splits["test"]
    assert (len(train), len(test)) == (1476, 164) and len(set(train) | set(test)) == 1640
    assert {clip.identity for clip in train} == {f"{k:04d}" for k in range(820)}
    assert len({clip.identity for clip in test}) == 164
    assert [sum(clip.class_name == name for clip in test) for name in chairs.CLASSES] == [82, 82]
    assert chairs.split_clips(_many(820), ChairOptions()) == splits
    assert chairs.split_clips(_many(820), ChairOptions(seed=1)) != splits


@pytest.mark.parametrize("models, fraction, held_out", [(5, 0.1, 1), (1, 0.1, 1), (6, 0.5, 6)])
def test_small_sets_have_a_test_split_too(models, fraction, held_out):
    splits = chairs.split_clips(_many(models), ChairOptions(test_fraction=fraction))
    assert len(splits["test"]) == held_out and len(splits["train"]) == 2 * models - held_out


def test_all_is_for_training_if_nothing_is_held_out():
    assert set(chairs.split_clips(_many(4), ChairOptions(test_fraction=0))) == {"train"}


def test_models_that_lack_an_image_are_left_out_and_named(copied, tmp_path, capsys):
    os.remove(copied / "77" / "renders" / _name(30, 23))
    os.remove(copied / "b0" / "renders" / _name(20, 34))  # not within the first three
    shutil.rmtree(copied / "ff1" / "renders")
    info = _convert(copied, tmp_path / "out")
    assert info.identity_names == ("1a2b", "3c", "b0")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "left out 2 of 5 models that lack one of the first 3 azimuths at 20 or 30 degrees, first "
        "missing: 77 (p030_t023), ff1 (p020_t000)"
    )


def test_too_few_azimuths_in_all_models_are_refused(copied, tmp_path):
    for model in MODELS:
        os.remove(copied / model / "renders" / _name(20, 23))
    with pytest.raises(ConversionError, match=r"all 5 models lack.*p020_t023.*, \.\.\.; unpack"):
        _convert(copied, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert _convert(copied, tmp_path / "out", frames=2).splits["train"].count == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda renders: (renders / _name(20, 11)).rename(renders / "chair_11.png"),
            r"77/renders/chair_11\.png: expected image_<number>_p<020\|030>_t<azimuth>_r096\.png; "
            "rename",
        ),
        (
            lambda renders: (renders / _name(20, 11)).rename(
                renders / "image_001_p045_t011_r096.png"
            ),
            "p045_t011_r096.png: expected image_",
        ),
        (
            lambda renders: shutil.copy(
                renders / _name(20, 11), renders / "image_099_p020_t011_r096.png"
            ),
            r"image_099_p020_t011_r096\.png: .*image_001_p020_t011_r096\.png shows the same view; "
            "remove one",
        ),
        (lambda renders: os.truncate(renders / _name(30, 11), 50), r"033_p030_t011_r096\.png: "),
        (
            lambda renders: _write(renders / _name(30, 11), np.zeros((12, 7, 3), np.uint8)),
            r"033_p030_t011_r096\.png: 12x7, smaller than --crop=8",
        ),
    ],
)
def test_a_fault_of_an_image_is_named(copied, tmp_path, change, said):
    change(copied / "77" / "renders")
    with pytest.raises(ConversionError, match=said) as error:
        _convert(copied, tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_hidden_files_and_those_of_other_kinds_are_left_alone(copied, tmp_path):
    (copied / "77" / "renders" / "._image.png").write_bytes(b"")
    (copied / "77" / "renders" / "notes.txt").write_text("")
    (copied / ".cache").mkdir()
    assert _convert(copied, tmp_path / "out").splits["train"].count == 10


def test_unreadable_videos_are_left_out_on_request(copied, tmp_path, capsys):
    os.truncate(copied / "77" / "renders" / _name(30, 11), 50)
    chairs.main([f"--source_dir={copied}", f"--out_dir={tmp_path / 'out'}", "--models=5",
                 "--frames=4", "--crop=8", "--test_fraction=0.2", "--skip_unreadable"])  # fmt: skip
    printed = capsys.readouterr()
    assert "skipped" in printed.err and "image_033_p030_t011_r096.png" in printed.err
    videos = _read(tmp_path / "out")
    assert len(videos) == 9 and "elevation-20/77" in videos
    assert all(len(frames) == 4 for _, frames, _ in videos.values())
    assert f"Wrote {tmp_path / 'out'}" in printed.out


def test_without_a_source_the_message_says_where_to_get_it(tmp_path):
    with pytest.raises(ConversionError, match=r"--source_dir.*rendered_chairs\.tar from https"):
        registry.prepare("chairs", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_listed_is_named(archive, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(chairs.os, "listdir", refuse)
    with pytest.raises(ConversionError, match=r"1a2b/renders: cannot be listed .Permission denied"):
        _convert(archive, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--out_dir=new"],
            r"--source_dir, .*download rendered_chairs\.tar from https://www\.di\.ens",
        ),
        (["--out_dir=new", "--source_dir=none"], r"none: no such folder; give .*download"),
        (["--out_dir=new", "--source_dir=empty"], r"empty: no chairs found, expected .*<model>/r"),
        (["--out_dir=new", "--models=0"], "models=0: must be 1 or more"),
        (["--out_dir=new", "--frames=32"], "frames=32: must be from 1 to 31"),
        (["--out_dir=new", "--crop=-1"], "crop=-1: must be 1 or more"),
        (["--out_dir=new", "--test_fraction=0.6"], "test_fraction=0.6: must be from 0 to 0.5"),
        (["--out_dir=new", "--seed=-1"], "seed=-1: must be 0 or more"),
        (["--out_dir=new", "--frames=few"], "frames"),
        (["new"], "new: is not a flag"),
        ([], "--out_dir is missing"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    with pytest.raises(SystemExit, match=said) as stop:
        chairs.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
