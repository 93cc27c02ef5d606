"""models.config of a folder of models, read back by the server's own messages."""

import os
import pathlib

import pytest

from kerasvid.export.serving.configuration import (
    SERVER_FILES,
    ServedModel,
    choose_versions,
    config_text,
    find_models,
    write_config,
)

EXAMPLE = pathlib.Path(__file__).with_name("models.config")
FOUND = {"cvae": (1,), "rjvae": (1, 2, 10)}


@pytest.fixture
def parsed():
    """A function from the text of a models.config to its models by name."""
    pytest.importorskip("tensorflow_serving", reason="pip install 'kerasvid[serving]'")
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    def parse(text: str) -> dict:
        message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        return {each.name: each for each in message.model_config_list.config}

    return parse


@pytest.fixture
def folder_of(tmp_path):
    """A function that makes a folder of empty version folders from their paths."""

    def make(*versions: str) -> pathlib.Path:
        for version in versions:
            path = tmp_path / "models" / version
            path.mkdir(parents=True)
            (path / "saved_model.pb").touch()
        return tmp_path / "models"

    return make


@pytest.fixture
def command(tmp_path, run_command, capsys, monkeypatch):
    """Runs the command in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*flags: str) -> tuple[int, str, str]:
        status = run_command("serving_config", *flags)
        return status, *capsys.readouterr()

    return run


def test_versions_are_numbers_and_other_entries_are_ignored(folder_of):
    folder = folder_of("rjvae/10", "rjvae/2", "rjvae/0001", "cvae/3")
    (folder / "models.config").touch()
    (folder / "notes" / "drafts").mkdir(parents=True)
    (folder / "rjvae" / "partial-77-11").mkdir()
    (folder / "rjvae" / "rjvae.tflite").touch()
    (folder / "rjvae" / "7").touch()  # a file, no folder
    assert find_models(folder) == {"cvae": (3,), "rjvae": (1, 2, 10)}


def test_folders_that_a_server_cannot_load_are_refused(folder_of, tmp_path):
    with pytest.raises(ValueError, match="nowhere: the folder does not exist"):
        find_models(tmp_path / "nowhere")
    folder = folder_of()
    folder.mkdir()
    with pytest.raises(ValueError, match=r"holds no model .*Export one with"):
        find_models(folder)
    folder_of("rjvae/1", "rjvae/01")
    with pytest.raises(ValueError, match="rjvae: two folders have the same number"):
        find_models(folder)
    os.rename(folder / "rjvae" / "01", folder / "rjvae" / "2")
    (folder / "rjvae" / "2" / "saved_model.pb").unlink()
    with pytest.raises(ValueError, match=r"rjvae/2: has no saved_model.pb. Export it again"):
        find_models(folder)
    (folder / "rjvae" / "2").rmdir()
    folder_of("a:b/1")
    with pytest.raises(ValueError, match="a:b: an address cannot hold this name"):
        find_models(folder)


def test_latest_loads_new_versions_and_has_no_labels(parsed):
    models = parsed(config_text(choose_versions(FOUND, count=2), "s3://bucket/models/", count=2))
    assert [*models] == ["cvae", "rjvae"]
    policy = models["rjvae"].model_version_policy
    assert policy.WhichOneof("policy_choice") == "latest" and policy.latest.num_versions == 2
    assert models["rjvae"].base_path == "s3://bucket/models/rjvae"
    assert models["rjvae"].model_platform == "tensorflow"
    assert not models["rjvae"].version_labels
    assert [each.loaded for each in choose_versions(FOUND, count=2)] == [(1,), (2, 10)]


def test_all_and_specific_versions_have_labels(parsed):
    models = parsed(config_text(choose_versions(FOUND, "all", canary={"rjvae": 2})))
    policy = models["rjvae"].model_version_policy
    assert policy.WhichOneof("policy_choice") == "all"
    assert dict(models["rjvae"].version_labels) == {"stable": 10, "canary": 2}
    assert dict(models["cvae"].version_labels) == {"stable": 1}

    planned = choose_versions(FOUND, "specific", stable={"rjvae": 2}, keep=[("rjvae", 1)])
    models = parsed(config_text(planned))
    policy = models["rjvae"].model_version_policy
    assert policy.WhichOneof("policy_choice") == "specific"
    assert [*policy.specific.versions] == [1, 2]
    assert dict(models["rjvae"].version_labels) == {"stable": 2}
    # A label is only ever on a version that is loaded.
    for model in choose_versions(FOUND, "specific", 1, {"rjvae": 1}, {"rjvae": 10}):
        assert {*model.labels.values()} <= {*model.loaded}


def test_strange_names_survive_the_text_form(parsed):
    name = 'modèle "a"'
    models = parsed(config_text([ServedModel(name, (1,), "all", (1,))]))
    assert models[name].base_path == f"/models/{name}"


def test_flags_that_do_not_fit_together_are_refused():
    for arguments, message in (
        (("newest",), "Unknown policy 'newest': .*Known: all, latest, specific"),
        (("latest", 1, {"rjvae": 1}), "Use --policy=specific or --policy=all"),
        (("all", 2), "--count works with --policy=latest"),
        (("all", 1, None, None, [("rjvae", 1)]), "--keep works with --policy=specific"),
        (("all", 1, {"rjvea": 1}), "--stable: unknown model 'rjvea': did you mean 'rjvae'"),
        (("all", 1, None, {"rjvae": 3}), "--canary: rjvae has no version 3. Give one of 1, 2, 10"),
        (
            ("specific", 1, None, None, [("cvae", 9)]),
            "--keep: cvae has no version 9. Give one of 1",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            choose_versions(FOUND, *arguments)
    with pytest.raises(ValueError, match="--base_path=models: the path is not absolute"):
        config_text(choose_versions(FOUND), "models")


def test_the_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "models.config"
    write_config(path, "old")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match=r"models.config: cannot be written"):
        write_config(path, "new")
    assert path.read_text() == "old" and sorted(tmp_path.iterdir()) == before


def test_the_command_writes_the_config_and_prints_loaded_versions(command, folder_of, parsed):
    folder = folder_of("rjvae/1", "rjvae/2", "cvae/1")
    flags = ("--models_dir=models", "--policy=specific", "--stable=rjvae:1", "--canary=rjvae:2")
    status, out, err = command(*flags)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "models/models.config",
        *(f"models/{name}" for name in SERVER_FILES),
        "cvae: specific, loads [1] of [1], stable is 1",
        "rjvae: specific, loads [1, 2] of [1, 2], canary is 2, stable is 1",
    ]
    text = (folder / "models.config").read_text()
    assert [*parsed(text)] == ["cvae", "rjvae"]
    assert text == EXAMPLE.read_text()
    for flags, message in (
        (["--stable=rjvae"], "--stable: 'rjvae' is malformed. Write model:version, as rjvae:1"),
        (["--policy=all", "--stable=rjvae:1,rjvae:2"], "--stable: a model is named twice"),
        (["--policy=al"], "--policy"),
        (["models"], "'models' is not a flag"),
    ):
        status, out, err = command("--models_dir=models", *flags)
        assert (status, out) == (1, "") and len(err.splitlines()) == 1
        assert err.startswith("error: ") and message in err
    assert (folder / "models.config").read_text() == text


def test_the_files_of_a_server_are_written_once_and_may_be_edited(command, folder_of):
    folder = folder_of("rjvae/1")
    assert command("--models_dir=models")[0] == 0
    assert {*SERVER_FILES, "models.config", "rjvae"} == {path.name for path in folder.iterdir()}
    assert "image: tensorflow/serving" in (folder / "compose.yaml").read_text()
    (folder / "batching.config").write_text("mine")
    status, out, _ = command("--models_dir=models")
    assert (status, out.splitlines()[0]) == (0, "models/models.config")
    assert (folder / "batching.config").read_text() == "mine" and "batching" not in out
