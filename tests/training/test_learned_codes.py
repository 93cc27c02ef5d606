"""Runs of models with learned codes: what they take from the data, and their evaluation."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import DatasetInfo, Video, load_info
from kerasvid.models.navsynth import Navsynth
from kerasvid.training.clips import evaluation_split, shown_batch
from kerasvid.training.config import apply_overrides, make_config
from kerasvid.training.loop import train
from kerasvid.training.run_folder import RunFolder
from tfrecords_tools.conversion import write_dataset

PAIRS = {"static_by": "identity", "transient_by": "label"}


@pytest.fixture(scope="module")
def persons(tmp_path_factory, moving_squares):
    """Folder of 10 + 2 clips, 8x16x16x3, of 4 persons in 3 actions."""
    videos, folder = moving_squares(12, 8), tmp_path_factory.mktemp("data") / "persons"
    info = DatasetInfo(
        "persons", "1", 16, 16, 3, fps=8.0,
        class_names=("walk", "run", "jump"), identity_names=("a", "b", "c", "d"),
    )  # fmt: skip
    splits = {"train": list(range(10)), "test": [10, 11]}

    def load(i):
        return Video(videos[i], f"clip-{i}", label=i // 4, identity=i % 4)

    write_dataset(str(folder), info, splits, load, progress=False)
    return str(folder)


@pytest.fixture
def config_of(persons):
    def make(steps=4, sample_every=0, **values):
        return make_config(
            "navsynth", "persons", persons, load_info(persons), "debug",
            {"training.batch_size": 5, **values}, precision="float32", steps=steps, seed=0,
            log_every=2, checkpoint_every=2, sample_every=sample_every,
        )  # fmt: skip

    return make


def run_to_end(config, folder):
    run = RunFolder(folder)
    with run.lock():
        run.begin(config)
        return run, train(config, run, tf.distribute.get_strategy())


def test_the_data_set_gives_the_number_of_codes(config_of):
    config = config_of()
    sizes = {name: config.hyperparameters[name] for name in ("videos", "identities", "classes")}
    assert sizes == {"videos": 10, "identities": 4, "classes": 3}
    model = config_of(**PAIRS).make_model()
    assert (model.static_codes.rows, model.transient_codes.rows) == (4, 3)


def test_the_sizes_of_the_data_cannot_be_set():
    with pytest.raises(ValueError, match=r"--set=videos=\.\.\.: unknown key"):
        apply_overrides(Navsynth, "debug", {"videos": 3})


def test_codes_by_an_unknown_field_raise_one_line(config_of, persons):
    info = dataclasses.replace(load_info(persons), identity_names=())
    with pytest.raises(
        ValueError, match="identities=0 must be 1 or more: use a data set whose"
    ) as error:
        make_config("navsynth", "persons", persons, info, "debug", PAIRS, seed=0).make_model()
    assert "\n" not in str(error.value)


def test_an_evaluation_takes_videos_with_codes(config_of, persons):
    info = load_info(persons)
    assert evaluation_split(config_of(), info) == ("train", None)
    assert evaluation_split(config_of(**PAIRS), info) == ("test", None)


def test_an_evaluation_takes_persons_with_codes(config_of, persons, tmp_path, moving_squares):
    videos, info = moving_squares(6, 8), dataclasses.replace(load_info(persons), splits={})
    splits = {"train": [0, 1, 2, 3], "test": [4, 5]}

    def load(i):
        return Video(videos[i], f"clip-{i}", label=i % 3, identity=min(i, 3) if i < 5 else 0)

    write_dataset(str(tmp_path / "seen"), info, splits, load, progress=False)

    def load_stranger(i):
        return dataclasses.replace(load(i), identity=i // 2)

    write_dataset(str(tmp_path / "new"), info, splits, load_stranger, progress=False)
    ends = {}
    for name in ("seen", "new"):
        folder = str(tmp_path / name)
        config = dataclasses.replace(config_of(**PAIRS), data_folder=folder)
        ends[name] = evaluation_split(config, load_info(folder))
    assert ends == {"seen": ("test", None), "new": ("train", None)}


def test_a_resumed_run_has_the_codes_of_an_uninterrupted_one(config_of, tmp_path):
    config = config_of(4, sample_every=4)
    whole, _ = run_to_end(config, tmp_path / "whole")
    short = dataclasses.replace(config, training=dataclasses.replace(config.training, steps=2))
    run_to_end(short, tmp_path / "parts")
    parts, _ = run_to_end(config, tmp_path / "parts")
    one, other = whole.load_model()[0], parts.load_model()[0]
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert "val_psnr" in whole.metrics.read_text().splitlines()[0]
    shown = shown_batch(config, 4)
    rows = {key: shown[key] for key in ("index", "identity", "label")}
    assert one.recall(**rows).shape == shown["video"].shape == (4, 8, 16, 16, 3)


def test_a_run_ends_with_the_encoder_that_it_asks_for(config_of, tmp_path, capsys):
    run, _ = run_to_end(config_of(2, **{"training.encoder_steps": 2}), tmp_path / "run")
    assert "training an encoder on the learned codes, 2 updates" in capsys.readouterr().out
    assert run.load_model()[0].encoder_config == {"channels": [32, 64, 128], "units": 256}
    run.model.unlink()
    assert run.load_model()[0].encoder_config is None  # checkpoints go on without it


def test_flips_of_videos_with_a_code_are_refused(config_of):
    with pytest.raises(ValueError, match=r"training.flips=\['time'\].*learns a code of each video"):
        config_of(2, **{"training.flips": ["time"]})


def test_an_encoder_of_codes_that_a_model_lacks_is_refused(persons):
    with pytest.raises(ValueError, match=r"rjvae has no learned codes\. Leave it out"):
        make_config(
            "rjvae", "persons", persons, load_info(persons), "debug",
            {"training.encoder_steps": 2, "training.batch_size": 5}, seed=0,
        )  # fmt: skip
