"""The console command `kerasvid`: its commands, groups and version."""

import importlib
import os
import subprocess
import sys

import pytest

import kerasvid
from kerasvid.cli.main import COMMANDS, main


@pytest.mark.parametrize("given", [[], ["--help"], ["help"]])
def test_help_lists_every_command(given, capsys):
    main(given)
    out = capsys.readouterr().out
    for name in [*COMMANDS, "list"]:
        assert f"kerasvid {name} " in out


@pytest.mark.parametrize("given", [["data"], ["data", "--help"], ["export"]])
def test_a_group_lists_its_commands(given, capsys):
    main(given)
    lines = [line for line in capsys.readouterr().out.splitlines() if "kerasvid" in line][2:]
    assert lines and all(line.startswith(f"kerasvid {given[0]} ") for line in lines)


def test_the_version_is_that_of_the_package(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"{kerasvid.__version__}\n"


@pytest.mark.parametrize(
    ("given", "near"),
    [(["trian"], "train"), (["export", "onxn"], "export onnx"), (["data", "foldr"], "data folder")],
)
def test_an_unknown_command_is_answered_with_the_nearest(given, near, capsys):
    with pytest.raises(SystemExit) as end:
        main(given)
    err = capsys.readouterr().err
    assert end.value.code == 1 and len(err.splitlines()) == 1
    assert f"did you mean {near!r}?" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_with_flags(name):
    module = importlib.import_module(COMMANDS[name])
    assert callable(module.main)
    assert name.startswith("data ") or module.FLAGS is not None


@pytest.mark.parametrize("given", [["list"], ["--help"]])
def test_a_reader_that_ends_early_gets_no_trace(given):
    code = f"from kerasvid.cli.main import main; main({given})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.communicate(timeout=600)[1] == b"" and process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    code = "from kerasvid.cli.main import main; main(['list'])"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"error: the disk is full; free some space.\n")


@pytest.mark.parametrize("name", ["data verify", "train"])
def test_a_folder_in_place_of_a_description_is_one_line(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "dataset.json").mkdir(parents=True)
    given = ["mine"] if name == "data verify" else ["--dataset=./mine", "--run_dir=run"]
    with pytest.raises(SystemExit) as end:
        main([*name.split(), *given])
    lines = [*capsys.readouterr().err.splitlines(), str(end.value.code)]
    said = [line for line in lines if line not in ("", "1")]
    assert (
        len(said) == 1 and "mine/dataset.json" in said[0] and "not a file; move it away" in said[0]
    )


@pytest.mark.slow
def test_converters_and_verify_print_nothing_of_tensorflow(run_python, squares):
    main = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"
    status, out, err = run_python("-c", main, "data", "verify", squares)
    assert (status, err) == (0, "") and out.endswith("OK\n")
