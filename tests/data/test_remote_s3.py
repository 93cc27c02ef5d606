"""Data sets in S3, by a server on loopback."""

import os
import pathlib

import numpy as np
import pytest

from kerasvid.data import DatasetError, load_info, make_pipeline, remote
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(squares, tmp_path, monkeypatch):
    """The address of a copy of the data set in S3, and a new cache."""
    monkeypatch.setenv("KERASVID_CACHE", os.fspath(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    remote.shard_cache.cache_clear()
    with s3_server(monkeypatch) as files:
        files.put(f"{squares}/", "bucket/squares/", recursive=True)
        yield "s3://bucket/squares"
    remote.shard_cache.cache_clear()


def stream(folder):
    batches = make_pipeline(folder, batch_size=5, frames=3, repeat=True, seed=2).take(12)
    return [batch["video"] for batch in batches.as_numpy_iterator()]


def test_the_stream_is_that_from_disk(squares, bucket, tmp_path):
    assert load_info(bucket) == load_info(squares)
    for batch, other in zip(stream(bucket), stream(squares), strict=True):
        np.testing.assert_array_equal(batch, other)
    copies = [path for path in (tmp_path / "cache").rglob("*") if len(path.name) == 64]
    assert len(copies) == len(load_info(squares).splits["train"].shards)


def test_a_bucket_that_is_not_there_is_one_line(bucket):
    with pytest.raises(DatasetError, match=r"s3://nowhere/squares: no data set") as error:
        load_info("s3://nowhere/squares")
    assert "\n" not in str(error.value)


def test_a_model_trains_from_a_bucket(bucket, run_python, tmp_path):
    main = "import sys; from kerasvid.cli.main import main; main(sys.argv[1:])"
    flags = (
        "--model=rjvae", "--preset=debug", f"--dataset={bucket}", "--set=frames=4", "--steps=4",
        "--set=training.batch_size=4", f"--run_dir={tmp_path / 'run'}", "--precision=float32",
    )  # fmt: skip
    status, out, err = run_python("-c", main, "train", *flags)
    assert status == 0, err
    assert "trained: 4 steps" in out and pathlib.Path(tmp_path / "run" / "model.keras").exists()
