"""A server of S3 on loopback."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

moto_server = pytest.importorskip("moto.server", reason="pip install -e '.[tests]'")
s3fs = pytest.importorskip("s3fs", reason="pip install -e '.[s3]'")
SECRET = "the-secret-of-anna"


@contextlib.contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The files of a server with an empty bucket, which the environment leads to."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{address}:{port}",
        "AWS_ACCESS_KEY_ID": "anna",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    if files.exists("bucket"):  # the server keeps what an earlier test has written
        files.rm("bucket", recursive=True)
    files.makedirs("bucket", exist_ok=True)
    yield files
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()
