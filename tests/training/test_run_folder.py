"""The folder of a run: its lock, leftovers and what it refuses."""

import os
import shutil
import subprocess
import sys

import pytest

from kerasvid.io import described, temporary_name
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


def partial(name, pid):
    """The name of a half-written file of a process of this host."""
    host = temporary_name("").removesuffix(f"-{os.getpid()}").removeprefix(".tmp-")
    return f"partial-{host}-{pid}-{name}"


def test_half_written_files_of_killed_processes_alone_are_removed(config_of, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [
        tmp_path / "samples" / "step-000001.png",
        tmp_path / partial("evaluation.json", os.getppid()),  # another process evaluates
    ]
    for folder in ("samples", "checkpoints"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / partial("a.png", ended.pid)).touch()
    for path in (tmp_path / partial("evaluation.json", ended.pid), *kept):
        path.touch()
    replaced = tmp_path / (temporary_name("a").replace(str(os.getpid()), str(ended.pid)))
    replaced.mkdir()
    RunFolder(tmp_path).begin(config_of(6))
    assert set(tmp_path.rglob("*.*")) == {tmp_path / "config.json", *kept}


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


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_configuration_with_a_flipped_bit_is_refused_or_the_same(config_of, tmp_path, every):
    run = RunFolder(tmp_path)
    run.begin(config_of())
    good, expected = run.config_path.read_bytes(), run.load_config()
    refused = 0
    for place in range(0, 8 * len(good), every):
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        run.config_path.write_bytes(changed)
        try:
            assert run.load_config() == expected
        except RunError as error:
            assert str(error).startswith(f"{run.config_path}: ") and "\n" not in str(error)
            refused += 1
    assert refused * every > 6 * len(good)  # white space, or 1E-05 for 1e-05, changes nothing


def test_a_configuration_that_cannot_be_read_is_not_written_again(
    config_of, save_new_run, tmp_path
):
    run = RunFolder(save_new_run(config_of(), tmp_path / "run"))
    run.config_path.unlink()
    run.config_path.mkdir()
    with pytest.raises(RunError, match=r"config.json: Is a directory; .* move the folder away"):
        run.begin(config_of())
    assert run.config_path.is_dir()


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


def test_a_folder_whose_name_is_not_utf_8_is_refused_in_one_line(tmp_path):
    with pytest.raises(OSError) as error:
        RunFolder(tmp_path / os.fsdecode(b"run\xe9"))
    assert described(error.value).endswith(r"run\xe9: its name is not UTF-8, rename it.")
