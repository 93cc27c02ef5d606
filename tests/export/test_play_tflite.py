"""GIFs of TFLite files without TensorFlow."""

import itertools
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from kerasvid.export import play_tflite, tflite
from kerasvid.export.play_tflite import Player, PlayError
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.models.navsynth import Navsynth
from kerasvid.models.rjvae import RJVAE

pytest.importorskip("ai_edge_litert", reason="pip install -e '.[tflite]'")


def written(path, model, names, batch=1, **options):
    """A file of a model with its description."""
    signatures, _ = tflite.loop_free_signatures(model, None, names)
    content = tflite.convert(model, signatures, batch=batch, **options)
    facts = {"batch": batch, "fps": 12.0, "classes": ["walk", "jump"], "signatures": {
        name: {**each.as_json(batch), "noise": each.noise} for name, each in signatures.items()
    }}  # fmt: skip
    path.write_bytes(tflite.with_description(content, facts))
    return str(path)


@pytest.fixture(scope="module")
def model():
    return RJVAE.from_preset("debug", frames=3, categories=2, image_shape=(16, 16, 3))


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    """A file of two videos a call."""
    path = tmp_path_factory.mktemp("lite") / "rjvae.tflite"
    return written(path, model, ["decode", "interpolate", "encode"], batch=2)


@pytest.fixture(scope="module")
def between_file(tmp_path_factory):
    model = LinearInterpolation.from_preset("debug", frames=3, image_shape=(8, 8, 3))
    return written(tmp_path_factory.mktemp("lite") / "linear.tflite", model, ["decode", "between"])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, level in (("a.png", 0), ("b.png", 200)):
        Image.fromarray(np.full([20, 40, 3], level, np.uint8)).save(tmp_path / name)
    return tmp_path


def test_clips_are_those_of_the_model(model, file):
    shapes = model.noise_shapes(3)
    noise = {
        name: np.stack([play_tflite.noise(shape, 5, row, name) for row in range(3)])
        for name, shape in shapes.items()
    }
    expected = as_pixels(model.decode(model.codes(noise, 3)))
    clips = Player(file).clips(3, seed=5)
    assert clips.shape == (3, 3, 16, 16, 3) and clips.dtype == np.uint8
    assert np.abs(clips.astype(int) - expected.astype(int)).max() <= 1


def test_a_clip_depends_on_its_seed_and_its_row_alone(file):
    player = Player(file)
    one, three = player.clips(1, seed=5), player.clips(3, seed=5)
    np.testing.assert_array_equal(one[0], three[0])
    assert (three[0] != three[1]).any() and (three[0] != player.clips(1, seed=6)[0]).any()


def test_a_class_is_chosen_by_its_name_or_number(file):
    player = Player(file)
    named, numbered, other = (player.clips(2, label=each) for each in ("jump", "1", "walk"))
    np.testing.assert_array_equal(named, numbered)
    assert (named != other).any()


def test_interpolations_are_a_way_from_one_clip_to_another(file):
    player = Player(file)
    way = player.clips(5, "interpolate", seed=2)
    for position, fraction in ((0, 0.0), (2, 0.5), (4, 1.0)):
        alone = player.clips(1, "interpolate", seed=2, fraction=fraction)[0]
        np.testing.assert_array_equal(way[position], alone)
    steps = [np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(way)]
    assert max(steps) < np.abs(way[-1].astype(int) - way[0]).mean()


def test_codes_of_a_class_are_recalled_by_its_name(tmp_path, here):
    """A generator that is conditional on a label takes it beside its rows."""
    keras.utils.set_random_seed(0)
    options = {"videos": 4, "classes": 2, "conditional": True}
    model = Navsynth.from_preset("debug", **options)
    path = written(tmp_path / "navsynth.tflite", model, ["decode", "recall"])
    player = Player(path)
    clips = player.clips(1, "recall", index=3, label="jump")
    expected = model.recall(index=[3], label=[1])
    assert np.abs(clips.astype(int) - expected.astype(int)).max() <= 1
    with pytest.raises(PlayError, match="--label is missing"):
        player.clips(1, "recall", index=3)
    with pytest.raises(PlayError, match="--label=2: give a number below 2"):
        player.clips(1, "recall", index=3, label=2)


def test_a_gif_is_written_and_the_speed_told(file, here, capsys):
    play_tflite.play([file, "--count=5", "--scale=2", "--label=walk"])
    text = capsys.readouterr().out
    assert text.startswith("clips.gif: 5 clips of 3 frames, ") and "MB of memory" in text
    with Image.open("clips.gif") as gif:
        assert gif.size == (4 * 16 * 2, 2 * 16 * 2) and gif.n_frames == 3


def test_videos_between_two_images(between_file, here):
    play_tflite.play([between_file, "--first=a.png", "--last=b.png", "--count=1", "--out=o.gif"])
    with Image.open("o.gif") as gif:
        levels = []
        for number in range(3):
            gif.seek(number)
            levels.append(int(np.asarray(gif.convert("RGB")).mean()))
    assert levels == [0, 100, 200]


def test_integer_files_have_scaled_inputs_and_outputs(model, tmp_path):
    options = {"quantize": "integer", "integer_io": True}
    path = written(tmp_path / "int8.tflite", model, ["decode"], **options)
    whole = written(tmp_path / "float.tflite", model, ["decode"])
    one, other = Player(path).clips(2, seed=1), Player(whole).clips(2, seed=1)
    assert np.abs(one.astype(int) - other.astype(int)).mean() < 4.0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nowhere.tflite"], "nowhere.tflite: No such file or directory."),
        (["a.png"], "a.png: has no description. Make it with"),
        (["FILE", "--signature=encode"], "no signature 'encode' that makes videos. It has decode"),
        (["FILE", "--label=run"], "--label=run: give a number below 2, or one of walk, jump."),
        (["FILE", "--label=2"], "--label=2: give a number below 2"),
        (["FILE", "--index=1"], "--index: decode has no such input. Remove it."),
        (["FILE", "--count=0"], "--count, --scale and --threads are 1 or more"),
        (["FILE", "--out=gone/c.gif"], "gone/c.gif: cannot be written"),
        (["FILE", "--signature=interpolate", "--fraction=2"], "--fraction=2.0: give 0 to 1."),
        (["BETWEEN"], "--first is missing: first frame."),
        (["BETWEEN", "--first=b.txt", "--last=b.png"], "b.txt: not an image"),
        (["BETWEEN", "--first=c.png", "--last=b.png"], "c.png: No such file or directory."),
        (["BETWEEN", "--first=a.png", "--last=b.png", "--label=walk"], "no videos of a class"),
    ],
)
def test_what_cannot_be_played_is_one_line(file, between_file, here, capsys, flags, message):
    (here / "b.txt").write_text("no picture")
    paths = {"FILE": file, "BETWEEN": between_file}
    with pytest.raises(SystemExit) as end:
        play_tflite.main([paths.get(each, each) for each in flags])
    err = capsys.readouterr().err
    assert end.value.code == 1 and err.startswith("error: ") and message in err
    assert err.count("\n") == 1 and not (here / "clips.gif").exists()


def test_the_file_alone_plays_without_tensorflow(file, here):
    """Copied to a folder, with an import of anything else refused."""
    source = pathlib.Path(play_tflite.__file__).read_text()
    refusal = "import sys\nfor name in ('tensorflow', 'keras', 'kerasvid', 'cv2'):\n"
    (here / "play.py").write_text(f"{refusal}    sys.modules[name] = None\n{source}")
    run = subprocess.run(
        [sys.executable, "play.py", file, "--out=d.gif"], capture_output=True, text=True, check=True
    )
    assert "clips a second" in run.stdout and (here / "d.gif").exists()


def test_a_description_leaves_the_file_as_it_is_for_interpreters(model, file):
    from kerasvid.export.runtimes import LiteModel

    assert {"decode", "interpolate", "encode"} == set(LiteModel(file).signatures)
    tflite.check_built_in(pathlib.Path(file).read_bytes())


def test_the_error_of_a_missing_runtime_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(PlayError, match="Run pip install ai-edge-litert"):
        Player(file)
