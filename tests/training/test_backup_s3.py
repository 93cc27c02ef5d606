"""A run with a backup in S3, by a server on loopback: killed, and gone on with elsewhere."""

import os
import threading
import time

import keras
import numpy as np
import pytest

from kerasvid.training.callbacks.checkpoints import step_of
from tests.s3_server import SECRET, s3_server

pytestmark = pytest.mark.slow
MAIN = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"
ADDRESS = "s3://bucket/run"


@pytest.fixture
def server(monkeypatch):
    """The files of a server of S3 with an empty bucket."""
    with s3_server(monkeypatch) as files:
        yield files


@pytest.fixture
def flags(squares):
    """Flags of a deterministic run of 60 steps."""
    return (
        "train", "--model=rjvae", "--preset=debug", f"--dataset={squares}", "--set=frames=4",
        "--set=training.batch_size=4", "--precision=float32", "--deterministic", "--steps=60",
        "--log_every=5", "--checkpoint_every=5", "--sample_every=0",
    )  # fmt: skip


def weights_of(folder):
    model = keras.models.load_model(folder / "model.keras")
    return [(v.path, v.numpy()) for v in [*model.weights, *model.optimizer.variables]]


def steps_in(files):
    """Of whole checkpoints: one that is written has another name at first."""
    names = files.find("bucket/run/checkpoints")
    steps = [step_of(name.rpartition("/")[2]) for name in names]
    return sorted(step for step in steps if step is not None)


def test_a_run_killed_on_one_machine_ends_bit_equal_on_another(
    server, flags, run_python, start_python, tmp_path
):
    status, _, err = run_python("-c", MAIN, *flags, f"--run_dir={tmp_path / 'whole'}")
    assert status == 0, err
    backup = f"--backup_to={ADDRESS}"
    process = start_python("-c", MAIN, *flags, f"--run_dir={tmp_path / 'first'}", backup)
    end = time.monotonic() + 300
    while max(steps_in(server), default=0) < 5:
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (tmp_path / "first" / "model.keras").exists()
    newest = steps_in(server)[-1]

    second = tmp_path / "second"
    status, out, err = run_python("-c", MAIN, *flags, f"--run_dir={second}", backup)
    assert status == 0, err
    assert f"{second}: restored from {ADDRESS}, step {newest}" in out
    assert f"resuming at step {newest} from {second}" in out
    ours, theirs = weights_of(second), weights_of(tmp_path / "whole")
    assert len(ours) == len(theirs) > 50
    for (name, value), (_, other) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(value, other, err_msg=name)

    names = [name.removeprefix("bucket/run/") for name in server.find("bucket/run")]
    assert steps_in(server)[-1] == 60 and {"config.json", "metrics.csv", "model.keras"} < {*names}
    for name in names:
        assert server.cat_file(f"bucket/run/{name}") == (second / name).read_bytes(), name
    secret = SECRET.encode()
    assert secret.decode() not in out + err
    assert not [path for path in second.rglob("*.*") if secret in path.read_bytes()]

    # The first machine comes back: what is in the store is newer.
    status, out, err = run_python("-c", MAIN, *flags, f"--run_dir={tmp_path / 'first'}", backup)
    assert status == 0 and "finished already" in out, err
    ours = (tmp_path / "first" / "model.keras").read_bytes()
    assert ours == (second / "model.keras").read_bytes()

    other = (*flags, "--seed=3", f"--run_dir={tmp_path / 'other'}", backup)
    status, out, err = run_python("-c", MAIN, *other)
    assert (status, err) == (
        1,
        f"error: {ADDRESS}: the backup is of a run with other settings: seed is 0, not 3. Use the "
        "same settings or another --backup_to.\n",
    )
    assert not (tmp_path / "other").exists()


def test_a_bucket_that_is_not_there_ends_the_command_with_one_line(
    server, flags, run_python, tmp_path
):
    where = (f"--run_dir={tmp_path / 'run'}", "--backup_to=s3://nowhere/run")
    status, _, err = run_python("-c", MAIN, *flags, *where)
    assert status == 1 and len(err.splitlines()) == 1
    assert err.startswith("error: s3://nowhere/run/config.json: cannot be written (")
    assert not os.listdir(tmp_path)


def test_a_large_file_arrives_whole_in_parts(server, tmp_path):
    from kerasvid.data import remote

    content = np.random.default_rng(0).bytes((64 << 20) + 5)
    (tmp_path / "large").write_bytes(content)
    thread = threading.Thread(target=remote.upload, args=(tmp_path / "large", "s3://bucket/large"))
    thread.start()
    thread.join()
    assert server.cat_file("bucket/large") == content
    remote.download("s3://bucket/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert remote.find_remote("s3://bucket") == ["large"]
    remote.remove_remote("s3://bucket/large")
    remote.remove_remote("s3://bucket/large")  # it is gone already
    assert remote.find_remote("s3://bucket") == []
