"""Where presets with weights come from."""

import json
import pathlib
import shutil
import sys

import fsspec
import keras
import numpy as np
import pytest

from kerasvid.models import load_preset, registry, upload_preset
from kerasvid.models.base import preset_sources
from kerasvid.models.base.preset_folder import CARD, CONFIG, METADATA, WEIGHTS, PresetError
from kerasvid.models.rjvae import RJVAE
from tests.models.base.stand_in_hub import TOKEN, stand_in_hub


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a preset, which nothing may change."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("presets") / "rjvae_mine"
    RJVAE.from_preset("debug", frames=3).save_to_preset(folder)
    return folder


def assert_equal(model, other) -> None:
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# === Names ===


def test_a_shipped_preset_is_loaded_by_its_name(saved, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", saved.parent)
    assert registry.shipped_presets() == ["rjvae_mine"]
    assert_equal(RJVAE.from_preset("rjvae_mine"), load_preset(saved))


def test_an_unknown_name_is_answered_with_the_known_ones(saved, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", saved.parent)
    with pytest.raises(
        ValueError, match=r"no preset 'rjvae_min'.* did you mean 'rjvae_mine'.*base"
    ):
        RJVAE.from_preset("rjvae_min")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "gone", "there is no such folder"),
        (lambda path: path, r"metadata\.json is missing\. Give a folder"),
        (lambda path: (path / CONFIG).write_text("{}") and path, "If this is a run, train it to"),
        (lambda path: (path / "a").write_text("{}") and path / "a", "a: a file. Give the folder"),
    ],
)
def test_a_folder_without_a_preset_is_one_line(tmp_path, make, message):
    with pytest.raises(PresetError, match=message) as error:
        load_preset(make(tmp_path))
    assert "\n" not in str(error.value)


# === Stores ===


@pytest.fixture
def store(saved):
    """The address of a copy of the preset in a store."""
    memory = fsspec.filesystem("memory")
    memory.put(f"{saved}/", "/presets/rjvae/", recursive=True)
    yield "memory://presets/rjvae"
    memory.rm("/presets", recursive=True)


def test_a_preset_is_read_from_any_store(saved, store):
    assert_equal(RJVAE.from_preset(store), load_preset(saved))
    assert_equal(RJVAE.from_preset(f"{store}/"), load_preset(saved))


def test_a_store_without_the_weights_has_an_architecture(store):
    fsspec.filesystem("memory").rm(f"/presets/rjvae/{WEIGHTS}")
    assert load_preset(store, load_weights=False).frames == 3
    with pytest.raises(PresetError, match=f"{WEIGHTS}: there is no such file"):
        load_preset(store)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nowhere", "metadata.json: there is no such file"),
        ("nosuch://bucket/x", r"cannot read nosuch:// paths \(Protocol not known"),
        ("https://127.0.0.1:9/x", "127.0.0.1:9/x/metadata.json: "),
        ("hf://anna", "give hf://user/repository"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line(address, message):
    with pytest.raises(PresetError, match=message) as error:
        load_preset(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("package", "address", "extra"),
    [("fsspec.core", "s3://bucket/x", "s3"), ("huggingface_hub", "hf://anna/rjvae", "hub")],
)
def test_a_missing_package_is_named(monkeypatch, package, address, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PresetError, match=rf"pip install 'kerasvid\[{extra}\]'"):
        load_preset(address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://anna/rjvae", ("anna/rjvae", None, "")),
        ("hf://anna/rjvae@v1.0/", ("anna/rjvae", "v1.0", "")),
        ("hf://anna/rjvae@refs/pr/3/small", ("anna/rjvae", "refs/pr/3", "small/")),
        ("hf://anna/all/rjvae/small", ("anna/all", None, "rjvae/small/")),
    ],
)
def test_an_address_of_the_hub_has_a_repository_a_revision_and_a_folder(address, expected):
    assert preset_sources.parsed_address(address) == expected


# === The hub ===

EXCHANGE = """
import json, pathlib, sys
import keras, kerasvid
from kerasvid.models import load_preset, upload_preset

def tried(call, *args):
    try:
        return str(call(*args))
    except ValueError as error:
        return str(error)

folder, step = sys.argv[1:]
if step == "upload":
    results = [tried(upload_preset, "hf://anna/rjvae", folder) for _ in range(2)]
elif step == "download":
    one, other = load_preset("hf://anna/rjvae"), load_preset(folder)
    same = all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights()))
    gone = [tried(load_preset, f"hf://anna/{name}") for name in ("gone", "rjvae/inner")]
    results = [same, len(one.weights), *gone]
else:
    results = [tried(load_preset, "hf://anna/" + name) for name in ("rjvae", "dsa")]
print(json.dumps(results))
"""


@pytest.fixture
def exchange(run_python, saved, tmp_path, monkeypatch):
    """A function that runs a step of EXCHANGE with a hub: its results."""

    def run(step: str, endpoint: str, token: str = TOKEN) -> list:
        for name, value in {"HF_ENDPOINT": endpoint, "HF_TOKEN": token,
                            "HF_HOME": str(tmp_path / "hub")}.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        status, out, err = run_python("-c", EXCHANGE, str(saved), step)
        assert status == 0, err
        return json.loads(out.splitlines()[-1])

    return run


def test_a_preset_goes_to_the_hub_and_comes_back(exchange, saved):
    with stand_in_hub() as hub:
        pages = exchange("upload", hub.endpoint)
        assert all("/anna/rjvae/commit/" in page for page in pages)
        files = hub.repositories["anna/rjvae"]
        assert {*files} == {CARD, CONFIG, METADATA, WEIGHTS}
        assert all(files[name] == (saved / name).read_bytes() for name in files)
        same, weights, gone, inner = exchange("download", hub.endpoint)
        assert same and weights > 20
        assert gone.startswith("hf://anna/gone: not found, or not open to you.")
        assert inner == "hf://anna/rjvae/inner: metadata.json is missing: no preset of kerasvid."


@pytest.mark.slow  # the hub's client tries again for half a minute
def test_without_a_network_the_cache_is_used(exchange):
    with stand_in_hub() as hub:
        exchange("upload", hub.endpoint)
        exchange("download", hub.endpoint)
    cached, unknown = exchange("offline", hub.endpoint)  # nobody answers any more
    assert cached.startswith("<RJVAE")
    assert unknown == ("hf://anna/dsa: the hub is not reached, and metadata.json is not in its "
                       "cache. Check the network.")  # fmt: skip


def test_an_edited_card_stays_in_the_hub(exchange):
    with stand_in_hub() as hub:
        hub.repositories["anna/rjvae"] = {CARD: b"Mine."}
        exchange("upload", hub.endpoint)
        assert hub.repositories["anna/rjvae"][CARD] == b"Mine."
        assert WEIGHTS in hub.repositories["anna/rjvae"]


def test_without_a_token_nothing_is_uploaded(exchange):
    with stand_in_hub() as hub:
        results = exchange("upload", hub.endpoint, token="")
        assert not hub.repositories
    assert all(text == "hf://anna/rjvae: not found, or not open to you. Check the name, and log in "
               "by hf auth login." for text in results)  # fmt: skip


def test_an_altered_preset_is_not_uploaded(saved, tmp_path):
    copy = pathlib.Path(shutil.copytree(saved, tmp_path / "copy"))
    (copy / WEIGHTS).write_bytes(b"other")
    with pytest.raises(PresetError, match=f"{WEIGHTS}: altered"):
        upload_preset("hf://anna/rjvae", copy)
