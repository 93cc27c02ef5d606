"""Every command that writes says in one line that the disk is full, and keeps earlier results."""

import os
import pathlib
import subprocess

import pytest

pytestmark = pytest.mark.slow

SIZE = 64 * 1024


@pytest.fixture
def disk(tmp_path):
    """The folder of a file system that a few files fill; the test skips where none can be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if made.returncode:
        pytest.skip(f"no small file system can be made here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: pathlib.Path, left: int) -> None:
    """Leaves so many bytes of the disk."""
    with open(disk / "filler", "wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        file.write(b"x" * (free - left))


def files_of(folder: pathlib.Path) -> dict[str, bytes]:
    """Content by relative name."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "filler")
    return {os.fspath(path.relative_to(folder)): path.read_bytes() for path in files}


# Flags by command, with what is named as full. {run}, {squares}, {disk}: their folders.
COMMANDS = {
    "train": ("--model=glo --preset=debug --dataset={squares} --set=frames=4 --steps=1 "
              "--run_dir={disk}/run", "disk/run/"),
    "generate": ("--run_dir={run} --show=samples --out_dir={disk}/new", "disk/new/samples.png"),
    "data shapes": ("--out_dir={disk}/new", "disk/new"),
    "data split-frames": ("--data_dir={squares} --out_dir={disk}/new", "disk/new"),
    "export saved-model": ("--run_dir={run} --out={disk}/glo/1", "disk/glo/1"),
    "export tflite": ("--run_dir={run} --out={disk}/a.tflite --signatures=decode", "a.tflite"),
    "export onnx": ("--run_dir={run} --out={disk}/a.onnx", "a.onnx"),
    "compare": ("--runs={run},real --pairs=4 --out={disk}/study", "disk/study"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_named_in_one_line_and_earlier_files_stay(
    name, disk, run_dir, squares, run_python
):
    if name == "export onnx":
        pytest.importorskip("tf2onnx", reason="pip install -e '.[onnx]'")
    if name == "export tflite":
        pytest.importorskip("ai_edge_litert", reason="pip install -e '.[tflite]'")
    text, named = COMMANDS[name]
    (disk / "earlier").mkdir()
    (disk / "earlier" / "result.json").write_text("{}")
    fill(disk, 4096)
    before = files_of(disk)
    flags = text.format(run=run_dir, squares=squares, disk=disk).split()
    main = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"
    status, out, err = run_python("-c", main, *name.split(), *flags)
    assert not out or out.endswith("\n")  # the error begins a line on a terminal, too
    lines = [line for line in err.splitlines() if "error:" in line]
    assert status == 1 and "Traceback" not in err, err
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    assert "the disk is full" in lines[0] and named in lines[0], err
    after = files_of(disk)
    assert after.items() >= before.items()
    # A run keeps its description, its lock and its log; nothing else is left of a failed command.
    left = {pathlib.Path(path).name.partition(".out.")[0] for path in after.keys() - before.keys()}
    assert left <= {"config.json", ".lock", "metrics.csv", "events"}, left


def test_a_finished_evaluation_stays_on_a_full_disk(disk, run_dir, squares, run_python):
    run = disk / "run"
    run.mkdir()
    (run / "config.json").write_bytes((run_dir / "config.json").read_bytes())
    (run / "model.keras").symlink_to(run_dir / "model.keras")
    main = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"
    flags = ("evaluate", f"--run_dir={run}", "--num=4")
    status, _, err = run_python("-c", main, *flags, "--metrics=frame_consistency")
    assert status == 0, err
    fill(disk, 0)
    before = files_of(run)
    status, _, err = run_python("-c", main, *flags, "--metrics=diversity")
    assert status == 1 and "Traceback" not in err, err
    assert "evaluation.json: cannot be written (the disk is full)" in err.splitlines()[-1]
    assert files_of(run) == before
