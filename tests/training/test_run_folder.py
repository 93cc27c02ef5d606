"""The folder of a run: its lock, leftovers and what it refuses."""

import os
import shutil

import pytest

from kerasvid.training.run_folder import RunError, RunFolder, default_folder


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [
        ("sprites/lpc", "runs/dsa-sprites-lpc"),
        ("../data/my-clips/", "runs/dsa-data-my-clips"),
        ("s3://bucket/a.b", "runs/dsa-s3-bucket-a.b"),
    ],
)
def test_a_run_is_named_after_its_model_and_its_data(dataset, folder):
    assert default_folder("dsa", dataset) == folder


def test_half_written_files_of_a_killed_process_are_removed(config_of, tmp_path):
    kept = tmp_path / "samples" / "step-000001.png"
    for folder in ("samples", "checkpoints"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "partial-7-a.png").touch()
    for path in (tmp_path / "partial-7-model.keras", kept):
        path.touch()
    RunFolder(tmp_path).begin(config_of(6))
    assert sorted(tmp_path.rglob("*.*")) == [tmp_path / "config.json", kept]


def test_a_new_folder_without_files_is_removed(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(ValueError), RunFolder(tmp_path / name).lock():
            raise ValueError
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    with RunFolder(tmp_path / "new").lock():
        (tmp_path / "new" / "config.json").touch()
    assert (tmp_path / "new" / "config.json").exists()


def test_a_second_process_removes_no_folder(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with RunFolder(folder).lock():
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.exists", lambda path: False)  # both came at once
            with pytest.raises(RunError, match="another process"), RunFolder(folder).lock():
                pass
        assert (folder / ".lock").exists()


def test_a_folder_is_locked_by_one_process(tmp_path):
    with (
        RunFolder(tmp_path).lock(),
        pytest.raises(RunError, match="another process is training there"),
        RunFolder(tmp_path).lock(),
    ):
        pass


def test_a_damaged_configuration_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json: not the configuration of a run"):
        RunFolder(tmp_path).load_config()
    with pytest.raises(RunError, match="there is no run"):
        RunFolder(tmp_path / "none").load_config()


def test_the_source_of_weights_is_checked_before_anything_is_written(config_of, tmp_path):
    source, run = RunFolder(tmp_path / "source"), RunFolder(tmp_path / "run")
    config = config_of(init_from=os.fspath(source.path))
    run.check_source(config_of())
    with pytest.raises(RunError, match=r"--init_from=.*/source: there is no run"):
        run.check_source(config)
    assert list(tmp_path.iterdir()) == []
    for folder, begun in ((source, config_of()), (run, config)):
        with pytest.raises(RunError):
            run.check_source(config)
        with folder.lock():
            folder.begin(begun)
    with pytest.raises(RunError, match=r"--init_from=.*/source: the run has saved nothing yet"):
        run.check_source(config)
    source.model.write_bytes(b"")
    run.check_source(config)
    run.model.write_bytes(b"")
    shutil.rmtree(source.path)
    run.check_source(config)  # resuming needs it no more
