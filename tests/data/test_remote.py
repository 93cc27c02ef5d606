"""Data sets on remote file systems, with stores in memory that fail in several ways."""

import http.server
import importlib
import os
import pathlib
import shutil
import sys
import threading
import time
import types
from typing import ClassVar

import fsspec
import numpy as np
import pytest
import tensorflow as tf
from fsspec.implementations.memory import MemoryFileSystem

from kerasvid.data import DatasetError, load_info, make_pipeline, remote
from kerasvid.data.remote import RemoteError, ShardCache, open_file_system
from kerasvid.data.shards import check_shards, read_split, record_values
from kerasvid.io import one_line
from tfrecords_tools import registry
from tfrecords_tools.verify import verify

# === Which program reads a scheme ===


@pytest.fixture
def known_schemes(monkeypatch):
    """The schemes that TensorFlow reads; what the import of tensorflow_io adds to them."""
    known = {"gs"}
    monkeypatch.setattr(remote, "_is_known", lambda folder: folder.partition("://")[0] in known)
    monkeypatch.setattr(tf, "__version__", "2.17.1")
    return known


def test_a_scheme_that_nothing_knows_is_refused_in_one_line():
    message = r"^abc://bucket/a: TensorFlow .* and fsspec cannot read abc:// paths"
    with pytest.raises(RemoteError, match=message) as error:
        load_info("abc://bucket/a")
    assert "\n" not in str(error.value)
    with pytest.raises(RemoteError, match="abc://bucket/a"):  # not taken for a misspelt name
        registry.locate("abc://bucket/a", make=False)


def test_local_folders_and_known_schemes_need_nothing(known_schemes, monkeypatch):
    monkeypatch.setattr(remote.importlib, "import_module", None)
    for folder in ("data/a", "/data/a", "gs://bucket/a"):
        open_file_system(folder)


def test_other_versions_of_tensorflow_never_import_tensorflow_io(known_schemes, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", types.ModuleType("tensorflow_io"))
    monkeypatch.setattr(tf, "__version__", "2.18.0")
    imported, imports = [], importlib.import_module
    monkeypatch.setattr(
        remote.importlib, "import_module", lambda name: imported.append(name) or imports(name)
    )
    open_file_system("memory://a")
    assert "tensorflow_io" not in imported


def test_tensorflow_io_comes_first_where_it_loads(known_schemes, monkeypatch):
    monkeypatch.setattr(remote.importlib, "import_module", lambda name: known_schemes.add("s3"))
    open_file_system("s3://bucket/a")
    assert not remote.is_cached("s3://bucket/a")


@pytest.mark.parametrize(
    ("address", "extra"),
    [("s3://bucket/a", "s3"), ("hf://datasets/a/b", "hub"), ("https://a.org/b", "remote")],
)
def test_a_missing_package_is_named(monkeypatch, address, extra):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(RemoteError, match=rf"need a package .*pip install 'kerasvid\[{extra}\]'"):
        load_info(address)


def test_where_a_file_system_is_absent_so_is_the_data():
    assert issubclass(RemoteError, DatasetError)


# === Data sets in a store ===


class FaultyStore(MemoryFileSystem):
    """A store in memory that fails as `faults` says: by name of a file, one fault for each try.

    A fault is an exception, or a function from the content to what arrives.
    """

    protocol = "faulty"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    faults: ClassVar[dict] = {}
    reads: ClassVar[list] = []

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("faulty://", "memory://"))

    def _opened(self, path):
        self.reads.append(path.rpartition("/")[2])
        waiting = self.faults.get(self.reads[-1], [])
        return waiting.pop(0) if waiting else None

    def open(self, path, mode="rb", **options):
        fault = self._opened(path) if mode == "rb" else None
        if isinstance(fault, Exception):
            raise fault
        file = super().open(path, mode, **options)
        if fault is None:
            return file
        content = fault(file.read())
        return _Stream(content)

    def cat_file(self, path, *args, **options):
        with self.open(path) as file:
            return file.read()


class _Stream:
    """Bytes, then a broken connection where they end with BREAK."""

    BREAK = b"\0broken\0"

    def __init__(self, content):
        self.parts = [content.removesuffix(self.BREAK)]
        self.broken = content.endswith(self.BREAK)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def read(self, size=-1):
        if self.parts:
            return self.parts.pop()
        if self.broken:
            raise ConnectionResetError("Connection reset by peer")
        return b""


def cut(content):
    return content[: len(content) // 2] + _Stream.BREAK


def halved(content):
    return content[: len(content) // 2]


def altered(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.fixture
def store(dataset, tmp_path, monkeypatch):
    """The address of a copy of the data set, a new cache, and no waiting between attempts."""
    fsspec.register_implementation("faulty", FaultyStore, clobber=True)
    FaultyStore.store.clear()
    FaultyStore.faults, FaultyStore.reads = {}, []
    files = fsspec.filesystem("faulty")
    for path in pathlib.Path(dataset).iterdir():
        files.pipe_file(f"/bucket/numbers/{path.name}", path.read_bytes())
    FaultyStore.reads.clear()
    cache = ShardCache(tmp_path / "cache")
    monkeypatch.setattr(remote, "shard_cache", lambda: cache)
    monkeypatch.setattr("tfrecords_tools.verify.shard_cache", lambda: cache)
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0, 0.0))
    remote.remote_size.cache_clear()
    return "faulty://bucket/numbers"


def stream(folder, batches=9, **options):
    options = {"batch_size": 5, "frames": 3, "repeat": True, "seed": 2, **options}
    return list(make_pipeline(folder, **options).take(batches).as_numpy_iterator())


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for name, value in batch.items():
            np.testing.assert_array_equal(value, other[name])


def test_the_stream_is_that_from_disk_to_the_bit(dataset, store):
    assert load_info(store) == load_info(dataset)
    assert_same(stream(store), stream(dataset))
    resumed = stream(store, 4, start_step=5)
    assert_same(resumed, stream(dataset, 9)[5:])


def test_each_shard_is_downloaded_once(dataset, store):
    stream(store)
    shards = [name for name in FaultyStore.reads if name.endswith(".tfrecord")]
    assert sorted(shards) == sorted(s.file for s in load_info(dataset).splits["train"].shards)
    stream(store)
    assert len([name for name in FaultyStore.reads if name.endswith(".tfrecord")]) == len(shards)


@pytest.mark.parametrize(
    "faults",
    [
        [ConnectionError("refused")],
        [TimeoutError("no answer"), OSError("503 Slow Down")],
        [cut],
        [halved],
        [altered, cut, halved],
    ],
)
def test_a_fault_that_passes_changes_nothing(dataset, store, faults):
    shards = load_info(dataset).splits["train"].shards
    FaultyStore.faults = {shard.file: [*faults] for shard in shards}
    FaultyStore.faults["dataset.json"] = [each for each in faults if isinstance(each, Exception)]
    assert_same(stream(store), stream(dataset))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (ConnectionError("refused"), "cannot be read, in 4 attempts (refused). Check the connect"),
        (altered, "in 4 attempts (its SHA-256 differs from dataset.json)"),
        (cut, "in 4 attempts (Connection reset by peer)"),
        (FileNotFoundError("gone"), "there is no such file"),
        (PermissionError("403"), "access is refused. Check your credentials"),
    ],
)
def test_a_fault_that_stays_is_one_line_with_the_shard(store, fault, message):
    name = load_info(store).splits["train"].shards[1].file
    FaultyStore.faults = {name: [fault] * 99}
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        stream(store)
    text = one_line(error.value.message)
    assert text.startswith(f"{store}/{name}: ") and message in text, text


def test_a_cache_that_cannot_be_written_is_told_at_once(store, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    cache = ShardCache(tmp_path / "file")
    monkeypatch.setattr(remote, "shard_cache", lambda: cache)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"file.*cannot be written"):
        stream(store)
    assert not [name for name in FaultyStore.reads if name.endswith(".tfrecord")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dataset.json", None, r"no data set, dataset\.json is missing\. Copy the whole folder"),
        ("dataset.json", b"{}", "dataset.json"),
        ("train-00001-of-00004.tfrecord", None, "the shard is missing"),
        ("train-00001-of-00004.tfrecord", b"short", "truncated, 5 bytes instead of"),
    ],
)
def test_a_store_with_wrong_files_is_refused_before_reading(store, name, content, message):
    files = fsspec.filesystem("faulty")
    files.rm(f"/bucket/numbers/{name}")
    if content is not None:
        files.pipe_file(f"/bucket/numbers/{name}", content)
    with pytest.raises(DatasetError, match=message) as error:
        check_shards(store, load_info(store))
    assert "\n" not in str(error.value)


def test_other_readers_use_the_cache_too(dataset, store):
    assert record_values(store, "test", "label") == record_values(dataset, "test", "label")
    records = read_split(store, load_info(store), "test").as_numpy_iterator()
    assert [int(record["index"]) for record in records] == [*range(7)]


def test_a_remote_data_set_is_verified(store):
    assert verify(store).faults == []
    files = fsspec.filesystem("faulty")
    name = "/bucket/numbers/test-00000-of-00002.tfrecord"
    files.pipe_file(name, altered(files.cat_file(name)))
    assert any("test-00000" in fault for fault in verify(store).faults)


@pytest.fixture
def web(tmp_path):
    """The address of a simple server of a folder `web`, which knows no ranges of bytes."""
    pytest.importorskip("aiohttp")
    (tmp_path / "web").mkdir()

    class Routes(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=os.fspath(tmp_path / "web"))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Routes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_large_file_comes_from_a_server_without_ranges(web, tmp_path):
    content = np.random.default_rng(0).bytes(16 << 20)
    (tmp_path / "web" / "large").write_bytes(content)
    remote.download(f"{web}/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_a_data_set_is_read_from_a_web_server(dataset, web, store, tmp_path):
    shutil.copytree(dataset, tmp_path / "web" / "numbers")
    assert_same(stream(f"{web}/numbers"), stream(dataset))


# === Files that are written ===


def test_a_file_has_its_name_once_it_is_whole(store, tmp_path, monkeypatch):
    (tmp_path / "weights").write_bytes(bytes(range(200)))
    seen, move = [], FaultyStore.mv
    monkeypatch.setattr(
        FaultyStore, "mv", lambda self, *names: seen.append(names) or move(self, *names)
    )
    remote.upload(tmp_path / "weights", f"{store}/new/weights")
    folder = "/bucket/numbers/new"
    assert seen == [(f"{folder}/partial-weights", f"{folder}/weights")]
    remote.upload(tmp_path / "weights", f"{store}/new/weights")  # it is there
    assert len(seen) == 1 and remote.find_remote(f"{store}/new") == ["weights"]
    (tmp_path / "weights").write_bytes(bytes(range(1, 201)))
    remote.upload(tmp_path / "weights", f"{store}/new/weights")
    assert remote.read_remote(f"{store}/new/weights") == bytes(range(1, 201))


def test_small_files_are_written_found_and_removed(store):
    for content in (b"", b"a", b"text"):
        remote.write_remote(f"{store}/new/a", content)
        assert remote.read_remote(f"{store}/new/a") == content
    assert "new/a" in remote.find_remote(store) and remote.find_remote(f"{store}/none") == []
    remote.remove_remote(f"{store}/new/a")
    remote.remove_remote(f"{store}/new/a")
    assert "new/a" not in remote.find_remote(store)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("403"), "access is refused. Check your credentials."),
        (FileNotFoundError("no bucket"), "cannot be written (no bucket)."),
        (NotImplementedError("read only"), "cannot be written (read only)."),
        (OSError("no\nroute."), "cannot be written, in 4 attempts (no route)."),
    ],
)
def test_what_cannot_be_written_is_one_line(store, monkeypatch, error, message):
    def fail(*_, **options):
        raise error

    monkeypatch.setattr(FaultyStore, "pipe_file", fail)
    with pytest.raises(RemoteError) as raised:
        remote.write_remote(f"{store}/a", b"text")
    assert str(raised.value) == f"{store}/a: {message}"


def test_a_download_is_compared_with_what_was_written(store, tmp_path):
    def check(path):
        if pathlib.Path(path).read_bytes() != b"text":
            raise ValueError("it is other text")

    remote.write_remote(f"{store}/a", b"text")
    FaultyStore.faults = {"a": [altered, cut, halved]}
    remote.download(f"{store}/a", tmp_path / "a", check)
    assert (tmp_path / "a").read_bytes() == b"text"
    FaultyStore.faults = {"a": [altered] * 4}
    with pytest.raises(
        remote.DamagedFile, match=r"^faulty://.*/a: damaged \(it is other text\)\.$"
    ):
        remote.download(f"{store}/a", tmp_path / "b", check)
    assert not (tmp_path / "b").exists()


# === The cache ===


def test_a_damaged_copy_is_downloaded_again(store, tmp_path):
    shard = load_info(store).splits["test"].shards[0]
    path = f"{store}/{shard.file}"
    copy = pathlib.Path(ShardCache(tmp_path / "own").fetch(path, shard))
    content = copy.read_bytes()
    copy.write_bytes(altered(content))
    assert ShardCache(tmp_path / "own").fetch(path, shard) == os.fspath(copy)  # a new process
    assert copy.read_bytes() == content


def test_shards_that_were_not_used_for_the_longest_time_make_room(store, tmp_path):
    shards = load_info(store).splits["train"].shards
    cache = ShardCache(tmp_path / "own", most_bytes=2 * max(shard.bytes for shard in shards))
    copies = [pathlib.Path(cache.fetch(f"{store}/{shard.file}", shard)) for shard in shards[:2]]
    for age, copy in zip((2_000, 9_000), copies, strict=True):
        os.utime(copy, (time.time() - age,) * 2)
    cache.fetch(f"{store}/{shards[2].file}", shards[2])
    assert [copy.exists() for copy in copies] == [True, False]


def test_a_process_leaves_what_another_one_has_just_asked_for(store, tmp_path):
    shards = load_info(store).splits["train"].shards
    one, other = (ShardCache(tmp_path / "own", most_bytes=1) for _ in range(2))
    copies = [pathlib.Path(one.fetch(f"{store}/{shard.file}", shard)) for shard in shards[:2]]
    other.fetch(f"{store}/{shards[2].file}", shards[2])
    assert all(copy.exists() for copy in copies)


def test_a_shard_that_leaves_the_cache_before_it_is_opened_is_fetched_again(
    dataset, store, monkeypatch
):
    """Each copy goes right after it was fetched ahead."""
    fetch, gone = ShardCache.fetch, set()

    def fetch_and_lose(cache, path, shard):
        copy = fetch(cache, path, shard)
        if path not in gone:
            gone.add(path)
            os.remove(copy)
        return copy

    monkeypatch.setattr(ShardCache, "fetch", fetch_and_lose)
    assert_same(stream(store), stream(dataset))
    assert gone


def test_shards_in_use_stay_in_a_cache_that_is_too_small(dataset, store, tmp_path, monkeypatch):
    cache = ShardCache(tmp_path / "own", most_bytes=1)
    monkeypatch.setattr(remote, "shard_cache", lambda: cache)
    assert_same(stream(store, 20), stream(dataset, 20))


def test_the_size_of_the_cache_is_a_number(monkeypatch):
    monkeypatch.setenv(remote.CACHE_BYTES, "10 GB")
    with pytest.raises(RemoteError, match="KERASVID_REMOTE_CACHE_BYTES=10 GB: give a number"):
        ShardCache()
