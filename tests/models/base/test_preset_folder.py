"""Models in folders that can be shared."""

import json
import os
import pathlib
import shutil

import h5py
import keras
import numpy as np
import pytest

from kerasvid import io
from kerasvid.models.base.preset_folder import (
    CARD,
    CONFIG,
    METADATA,
    WEIGHTS,
    PresetError,
    card_of,
    read_metadata,
)
from kerasvid.models.cvae import CVAE
from kerasvid.models.dsa import DSA
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.navsynth import Navsynth
from kerasvid.models.rjvae import RJVAE


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return RJVAE.from_preset("debug", frames=3)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """The folder of a preset, which nothing may change."""
    folder = tmp_path_factory.mktemp("presets") / "rjvae_mine"
    model.save_to_preset(folder, {"licence": "CC0-1.0", "data": {"name": "squares"}})
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return pathlib.Path(shutil.copytree(saved, tmp_path / "copy"))


def rewrite(folder, name, content: bytes) -> None:
    """Replaces a file of a preset, and its digest in the metadata."""
    (folder / name).write_bytes(content)
    metadata = read_metadata(folder)
    metadata["files"][name] = io.file_digest(folder / name)
    (folder / METADATA).write_text(io.sealed_json(metadata))


def same_weights(one, other) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def run_dir(save_new_run, config_of, tmp_path_factory):
    """A finished run of a glo with new weights."""
    return save_new_run(config_of(4), tmp_path_factory.mktemp("runs") / "run")


# === What comes back ===


def untrained(cls):
    if cls is not Navsynth:
        return cls.from_preset("debug")
    model = cls.from_preset("debug", videos=6)
    model.fit_prior("nearest", steps=1)
    return model


@pytest.mark.parametrize("cls", [RJVAE, DSA, MoCoGAN, CVAE, Navsynth])
def test_a_model_comes_back_to_the_bit(cls, tmp_path):
    model = untrained(cls)
    model.save_to_preset(tmp_path / "saved")
    found = cls.from_preset(tmp_path / "saved")
    assert type(found) is cls
    configs = [json.dumps({**each.get_config(), "name": ""}) for each in (found, model)]
    assert configs[0] == configs[1]
    assert same_weights(found, model)


def test_optimizers_are_left_out(model, tmp_path):
    trained = RJVAE.from_preset("debug", frames=3)
    trained.compile("adam")
    trained.train_on_batch({"video": np.zeros([2, 3, 64, 64, 3], np.uint8)})
    trained.save_to_preset(tmp_path / "saved")
    with h5py.File(tmp_path / "saved" / WEIGHTS) as file:
        assert "optimizer" not in file
    assert same_weights(RJVAE.from_preset(tmp_path / "saved"), trained)


def test_float16_rounds_the_weights_and_halves_the_file(model, saved, tmp_path):
    model.save_to_preset(tmp_path / "half", half=True)
    found = RJVAE.from_preset(tmp_path / "half")
    for before, after in zip(model.weights, found.weights, strict=True):
        rounded = before.numpy()
        if rounded.dtype == np.float32:
            rounded = rounded.astype(np.float16)
        np.testing.assert_array_equal(after.numpy(), rounded)
        assert after.dtype == before.dtype
    whole, half = (os.path.getsize(place / WEIGHTS) for place in (saved, tmp_path / "half"))
    assert half < 0.75 * whole
    assert read_metadata(tmp_path / "half")["weights"] == "float16"


def test_without_weights_the_architecture_comes_back(model, saved):
    found = RJVAE.from_preset(saved, load_weights=False)
    assert found.frames == 3 and not same_weights(found, model)
    assert RJVAE.from_preset(saved, load_weights=False, frames=5).frames == 5


def test_the_precision_is_chosen_when_loading(saved):
    assert RJVAE.from_preset(saved).dtype_policy.name == "float32"
    assert RJVAE.from_preset(saved, dtype="mixed_bfloat16").compute_dtype == "bfloat16"


def test_a_finished_run_is_a_preset(run_dir):
    trained = keras.models.load_model(run_dir / "model.keras")
    found = type(trained).from_preset(run_dir)
    assert same_weights(found, trained)


# === The metadata and the card ===


def test_the_metadata_say_what_it_is(model, saved):
    metadata = read_metadata(saved)
    assert metadata["model"] == "rjvae" and metadata["licence"] == "CC0-1.0"
    assert metadata["parameters"] == sum(np.prod(v.shape) for v in model.trainable_variables)
    assert metadata["frame_shape"] == [64, 64, 3] and metadata["frames"] == 3
    assert metadata["paper"].startswith("Dandi, Das, Singhal")


def test_the_card_has_front_matter_and_a_call(saved):
    card = (saved / CARD).read_text()
    front, text = card.split("---\n")[1:]
    assert 'license: "cc0-1.0"' in front and '"video-generation"' in front
    assert "from kerasvid.models import RJVAE" in text and "model.generate(8)" in text
    assert "- Data: name squares" in text


def test_texts_of_others_make_no_heading_and_no_html_in_a_card(saved):
    forged = "CC0\n\n# Free <b>all</b> [here](http://x)"
    facts = {"licence": forged, "data": {forged: [forged]}, "command": f"kerasvid {forged}\n```"}
    card = card_of({**read_metadata(saved), **facts})
    assert "<b" not in card.split("It was trained by")[0]
    assert not [line for line in card.splitlines() if line.startswith("# Free")]
    assert card.count("\n```\n") == 3 and 'license: "other"' in card


def test_the_card_may_be_edited(copied, model):
    (copied / CARD).write_text("Mine.")
    assert same_weights(RJVAE.from_preset(copied), model)


# === What is refused ===


def refused(folder, message, cls=RJVAE, **options) -> None:
    with pytest.raises(PresetError, match=message) as error:
        cls.from_preset(folder, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, METADATA])
def test_a_changed_byte_is_named(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[content.index(b"3") if name == METADATA else len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    refused(copied, rf"{name}: altered, .*Get the preset again")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    refused(copied, f"{name}: missing. Get the preset again")


def test_another_class_is_refused(saved):
    refused(saved, r"a model of RJVAE\. Use RJVAE\.from_preset", cls=DSA)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "os.system", "arguments": {}}, "there is no model 'os.system'"),
        ({"model": "rjvae", "arguments": {"frame": 3}}, "RJVAE has no argument 'frame'"),
        ({"model": "rjvae", "arguments": {"dtype": "float16"}}, "RJVAE has no argument 'dtype'"),
        ({"model": "rjvae", "arguments": {"frames": "many"}}, "cannot be made of its arguments"),
        ({"model": "rjvae", "arguments": {"frames": 4, "latent_dim": 9}}, "do not fit the model"),
        (["rjvae"], "not the configuration of a preset"),
    ],
)
def test_a_foreign_configuration_is_refused(copied, fields, message):
    if isinstance(fields, dict) and fields["arguments"].get("latent_dim"):
        stored = json.loads((copied / CONFIG).read_text())
        fields = {**stored, "arguments": {**stored["arguments"], **fields["arguments"]}}
    rewrite(copied, CONFIG, json.dumps(fields).encode())
    refused(copied, message)


def test_arguments_do_not_change_a_trained_model(saved):
    refused(saved, "frames is part of the trained model", frames=4)
    refused(saved, "RJVAE has no hyper-parameter 'frame': did you mean 'frames'",
            load_weights=False, frame=4)  # fmt: skip


def test_a_later_format_is_refused(copied):
    metadata = {**read_metadata(copied), "format": 2}
    (copied / METADATA).write_text(io.sealed_json(metadata))
    refused(copied, "of another version of kerasvid")


def test_a_damaged_run_is_refused(run_dir, tmp_path):
    folder = shutil.copytree(run_dir, tmp_path / "run")
    content = bytearray((folder / "model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.keras").write_bytes(content)
    refused(folder, r"model\.keras: damaged")


def test_only_a_preset_is_replaced(model, tmp_path):
    place = tmp_path / "place"
    model.save_to_preset(place)
    model.save_to_preset(place)  # an earlier preset
    (place / "thesis.tex").write_text("precious")
    with pytest.raises(PresetError, match="is no preset that could be replaced"):
        model.save_to_preset(place)
    assert (place / "thesis.tex").read_text() == "precious"


def test_a_folder_with_a_text_of_ones_own_is_no_preset(model, tmp_path):
    (tmp_path / CARD).write_text("My notes.")
    with pytest.raises(PresetError, match="is no preset that could be replaced"):
        model.save_to_preset(tmp_path)
    assert (tmp_path / CARD).read_text() == "My notes."


def test_an_edited_card_is_kept_and_another_is_written_anew(model, tmp_path):
    model.save_to_preset(tmp_path / "saved", {"licence": "MIT"})
    model.save_to_preset(tmp_path / "saved", {"licence": "CC0-1.0"})
    assert "cc0-1.0" in (tmp_path / "saved" / CARD).read_text()
    (tmp_path / "saved" / CARD).write_text("Mine.")
    for _ in range(2):
        model.save_to_preset(tmp_path / "saved")
        assert (tmp_path / "saved" / CARD).read_text() == "Mine."


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"frames": 3}, r"facts\['frames'\]: the model says this itself"),
        ({"score": float("nan")}, "facts: .*Give values of JSON"),
        ({"score": {1, 2}}, "facts: .*Give values of JSON"),
    ],
)
def test_facts_that_cannot_be_stored_are_refused(model, tmp_path, facts, message):
    with pytest.raises(PresetError, match=message):
        model.save_to_preset(tmp_path / "saved", facts)
    assert not (tmp_path / "saved").exists()


def test_weights_in_another_file_are_refused(copied, tmp_path):
    """An HDF5 file may take its values from any file of the machine that reads it."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.zeros(3, np.float32)
    with h5py.File(copied / WEIGHTS, "a") as file:
        file["encoder/stolen"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")
    rewrite(copied, WEIGHTS, (copied / WEIGHTS).read_bytes())
    refused(copied, "encoder/stolen is in another file")


def test_a_file_that_is_not_hdf5_is_refused(copied):
    rewrite(copied, WEIGHTS, b"no weights")
    refused(copied, "no HDF5 file")


def test_a_configuration_that_is_not_json_is_refused(copied):
    rewrite(copied, CONFIG, b"{")
    refused(copied, r"config\.json: ")


@pytest.mark.parametrize(
    ("value", "half", "message"),
    [(np.nan, False, "not finite"), (1e5, True, "too large for float16")],
)
def test_weights_that_would_be_lost_are_refused(tmp_path, value, half, message):
    model = RJVAE.from_preset("debug", frames=3)
    variable = model.trainable_variables[0]
    variable.assign(np.full(variable.shape, value))
    with pytest.raises(PresetError, match=message):
        model.save_to_preset(tmp_path / "saved", half=half)
    assert not (tmp_path / "saved").exists()


def test_models_of_others_are_refused(tmp_path):
    class Mine(RJVAE):
        pass

    with pytest.raises(PresetError, match="Mine: no model of kerasvid"):
        Mine.from_preset("debug").save_to_preset(tmp_path / "saved")


# === Without discriminators ===


@pytest.mark.parametrize("categories", [0, 3])
def test_a_gan_without_discriminators_makes_the_same_clips_from_a_smaller_file(
    tmp_path, categories
):
    model = MoCoGAN.from_preset("debug", frames=4, categories=categories)
    model.save_to_preset(tmp_path / "whole")
    model.save_to_preset(tmp_path / "part", generator_only=True)
    part = MoCoGAN.from_preset(tmp_path / "part")
    np.testing.assert_array_equal(part.generate(2, seed=1), model.generate(2, seed=1))
    assert part.discriminators() == {}
    sizes = [os.path.getsize(tmp_path / name / WEIGHTS) for name in ("part", "whole")]
    assert sizes[0] < 0.75 * sizes[1]
    assert "Discriminators: left out" in (tmp_path / "part" / CARD).read_text()


def test_without_discriminators_a_gan_cannot_be_trained():
    parts = {"image_discriminator": False, "video_discriminator": False}
    model = MoCoGAN.from_preset("debug", frames=4, **parts)
    with pytest.raises(ValueError, match="MoCoGAN has no discriminator: it generates, and cannot"):
        model.compile("adam")


def test_a_model_without_discriminators_has_none_to_leave_out(model, tmp_path):
    with pytest.raises(PresetError, match="RJVAE has no discriminators to leave out"):
        model.save_to_preset(tmp_path / "mine", generator_only=True)
    assert not (tmp_path / "mine").exists()
