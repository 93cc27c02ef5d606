"""The console command `kerasvid`: its commands, groups and version."""

import importlib
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
