"""The Oulu-CASIA database: which sequences are read, their records, and what is refused."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info, parse_record
from kerasvid.data.records import decode_frames
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converters import oulu_casia
from tfrecords_tools.converters.oulu_casia import OuluOptions
from tfrecords_tools.verify import verify

EXPRESSIONS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")


def write_sequence(folder, frames):
    """Images from 000.jpeg on, losslessly: decoders look at the content, not at the name."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        (folder / f"{number:03d}.jpeg").write_bytes(cv2.imencode(".png", frame)[1].tobytes())


def gray_noise(frames, *seed):
    return np.random.default_rng(seed).integers(0, 256, (frames, 8, 8), np.uint8)


@pytest.fixture
def database(tmp_path):
    """Three people, each spectrum and light, one-channel noise of 8x8 and 2 to 4 frames."""
    root = tmp_path / "Oulu" / "OriginalImg"
    for s, spectrum in enumerate(("NI", "VL")):
        for light, name in enumerate(("Strong", "Weak", "Dark")):
            for person in (1, 2, 10):
                place = root / spectrum / name / f"P{person:03d}"
                expression = person % 6
                frames = gray_noise(2 + person % 3, s, light, person)
                write_sequence(place / EXPRESSIONS[expression], frames)
    return root


def convert(root, out, spectrum="ni", light="strong", **options):
    options = {"size": 8, "min_frames": 1, "crop_faces": False, "test_fraction": 0, **options}
    options = OuluOptions(spectrum=spectrum, light=light, **options)
    return oulu_casia.prepare(out, root, options, progress=False)


def read(folder):
    """Videos by id, as (uint8 frames, record)."""
    info, found = load_info(folder), {}
    paths = [str(folder / shard.file) for shard in info.splits["train"].shards]
    for serialized in tf.data.TFRecordDataset(paths):
        record = parse_record(serialized)
        frames = decode_frames(record["frames"], info.encoding, *info.frame_shape).numpy()
        found[record["id"].numpy().decode()] = (frames, record)
    return found


@pytest.mark.parametrize("above", [0, 1, 2])
def test_the_folder_may_be_given_up_to_two_levels_above(database, tmp_path, above):
    given = [database, database.parent, tmp_path][above]
    assert [clip.id for clip in oulu_casia.find_clips(given)] == [
        "NI/Strong/P001/Disgust", "NI/Strong/P002/Fear", "NI/Strong/P010/Sadness",
    ]  # fmt: skip


def test_three_levels_above_is_too_far(database, tmp_path):
    (tmp_path / "deep" / "more").mkdir(parents=True)
    database.parent.rename(tmp_path / "deep" / "more" / "Oulu")
    with pytest.raises(ConversionError, match=r"no folder NI or VL .*OriginalImg/<NI\|VL>"):
        oulu_casia.find_clips(tmp_path)


def test_the_original_images_are_preferred_to_the_preprocessed(database):
    write_sequence(
        database.parent / "PreProcess Img" / "NI" / "Strong" / "P001" / "Fear", gray_noise(1, 0)
    )
    assert len(oulu_casia.find_clips(database.parent)) == 3
    database.rename(database.parent / "B_OriginalImg")
    assert len(oulu_casia.find_clips(database.parent)) == 3
    (database.parent / "B_OriginalImg").rename(database.parent / "Images")
    with pytest.raises(ConversionError, match=r"Images and .*PreProcess Img; give one"):
        oulu_casia.find_clips(database.parent)


def test_near_infrared_in_strong_light_is_the_default(database, tmp_path):
    info = convert(database, tmp_path / "out")
    assert (info.name, info.fps, info.channels) == ("oulu_casia", 25.0, 3)
    assert info.class_names == tuple(name.lower() for name in EXPRESSIONS)
    assert info.identity_names == ("P001", "P002", "P010")
    assert "University of Oulu" in info.licence and "Pietikäinen" in info.citation
    videos = read(tmp_path / "out")
    assert len(videos) == 3 and verify(tmp_path / "out").faults == []
    for identity, person in enumerate((1, 2, 10)):
        label = person % 6
        frames, record = videos[f"NI/Strong/P{person:03d}/{EXPRESSIONS[label]}"]
        gray = gray_noise(2 + person % 3, 0, 0, person)
        np.testing.assert_array_equal(frames, np.stack([gray] * 3, axis=-1))
        assert int(record["label"]) == label and int(record["identity"]) == identity


@pytest.mark.parametrize("spectrum, light", [("vl", "strong"), ("ni", "dark"), ("vl", "weak")])
def test_the_other_variants_have_a_name_and_images_of_their_own(
    database, tmp_path, spectrum, light
):
    info = convert(database, tmp_path / "out", spectrum, light)
    assert info.name == f"oulu_casia/{spectrum}-{light}"
    frames, _ = read(tmp_path / "out")[f"{spectrum.upper()}/{light.title()}/P002/Fear"]
    numbers = ("ni", "vl").index(spectrum), ("strong", "weak", "dark").index(light)
    np.testing.assert_array_equal(frames[..., 0], gray_noise(4, *numbers, 2))


def test_short_sequences_are_left_out_and_counted(database, tmp_path, capsys):
    convert(database, tmp_path / "out", min_frames=4)
    assert set(read(tmp_path / "out")) == {"NI/Strong/P002/Fear"}
    assert "left out 2 of 3 clips with fewer than 4 frames" in capsys.readouterr().err


def test_the_command_line_crops_gray_images_to_the_face(tmp_path, draw_face, capsys):
    drawn = draw_face(120, 160, (55, 65), 55)
    gray = cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)
    write_sequence(tmp_path / "VL" / "Dark" / "P007" / "Anger", [gray, gray])
    out = tmp_path / "out"
    oulu_casia.main([f"--source_dir={tmp_path}", f"--out_dir={out}", "--spectrum=vl",
                     "--light=dark", "--min_frames=2", "--test_fraction=0"])  # fmt: skip
    assert "train: 1 videos of 2 to 2 frames, 64x64" in capsys.readouterr().out
    frames, _ = read(out)["VL/Dark/P007/Anger"]
    assert frames.shape == (2, 64, 64, 3) and (frames == frames[..., :1]).all()
    # The head fills the crop: its sides are skin where the whole frame would be background.
    assert (frames[0, 40, 16:48, 0] != 150).all()
    left, right = (frames[0, :, half, 0].astype(int) for half in (slice(32), slice(32, None)))
    assert abs(left.mean() - right.mean()) < 12


def test_without_a_source_the_message_says_where_to_apply(tmp_path):
    with pytest.raises(ConversionError, match=r"--source_dir.*University of Oulu, https://"):
        registry.prepare("oulu_casia", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out_dir=new"], r"licence agreement.*University of Oulu, https://www\.oulu\.fi/.*2011"),
        (["--out_dir=new", "--source_dir=none"], "none: no such folder"),
        (["--out_dir=new", "--source_dir=empty"], r"empty: no folder NI or VL .*P<NNN>"),
        (["--out_dir=new", "--source_dir=part"], r"part.NI: no folder 'strong' .*<Strong\|Weak"),
        (["--out_dir=new", "--source_dir=part", "--spectrum=vl"], "part: no folder 'vl'"),
        (["--out_dir=new", "--source_dir=part", "--light=weak"], "Weak: no sequences"),
        (["--out_dir=new", "--light=bright"], "bright"),
    ],
)
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part" / "NI" / "Weak" / "P001").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=said) as stop:
        oulu_casia.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()


def test_an_unknown_variant_is_refused():
    with pytest.raises(ConversionError, match=r"light='bright': use one of strong, weak, dark"):
        OuluOptions(light="bright")
