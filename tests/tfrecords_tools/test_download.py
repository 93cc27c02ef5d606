"""Downloads from a server on loopback that these tests start, sound and faulty."""

import hashlib
import http.server
import os
import signal
import socket
import threading
import time
import tracemalloc

import pytest

from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.download import download_files

BODY = bytes(range(256)) * 1000  # several pieces
FILES = {"a.png": BODY, "body/b c.png": b"second", "LICENCE": b"third"}
CHECKSUMS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


class FileServer:
    """Serves `files`; a name in `faults` is answered by its functions first, one a request."""

    def __init__(self):
        self.files, self.faults, self.asked = dict(FILES), {}, []
        self.over = threading.Event()  # ends the answers that hang
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler):
        name = handler.path.removeprefix("/v1/").replace("%20", " ")
        self.asked.append(name)
        if self.faults.get(name):
            return self.faults[name].pop(0)(handler)
        if name not in self.files:
            return handler.send_error(404)
        self.send(handler, self.files[name])

    @staticmethod
    def send(handler, content, length=None):
        handler.send_response(200)
        handler.send_header("Content-Length", str(length or len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        handler.wfile.flush()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def fetch(server, tmp_path):
    """Downloads the three files from the server, with two further tries at once."""

    def run(checksums=CHECKSUMS, **options):
        given = {"pauses": (0, 0), "timeout": 5.0, "progress": False, **options}
        return download_files(server.address, checksums, tmp_path / "raw", **given)

    return run


def _files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _cut_off(handler):
    FileServer.send(handler, BODY[:100_000], len(BODY))


def _busy(handler):
    handler.send_error(503)


def _failure(fetch, **options):
    with pytest.raises(ConversionError, match="--source_dir") as error:
        fetch(**options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_arrive_byte_for_byte_under_their_names(fetch, tmp_path):
    assert fetch() == list(FILES)
    assert _files_in(tmp_path / "raw") == set(FILES)
    for name, content in FILES.items():
        assert (tmp_path / "raw" / name).read_bytes() == content


def test_a_second_call_asks_the_server_for_nothing(fetch, server, tmp_path):
    fetch()
    before = {name: os.stat(tmp_path / "raw" / name).st_mtime_ns for name in FILES}
    server.asked.clear()
    assert fetch() == [] and server.asked == []
    assert before == {name: os.stat(tmp_path / "raw" / name).st_mtime_ns for name in FILES}


def test_only_missing_and_altered_files_are_fetched(fetch, server, tmp_path):
    fetch()
    (tmp_path / "raw" / "a.png").write_bytes(BODY[:-1])
    (tmp_path / "raw" / "LICENCE").unlink()
    server.asked.clear()
    assert fetch() == ["a.png", "LICENCE"] and server.asked == ["a.png", "LICENCE"]
    assert (tmp_path / "raw" / "a.png").read_bytes() == BODY


def test_a_wrong_checksum_is_refused_and_not_kept(fetch, server, tmp_path):
    server.files["a.png"] = BODY[::-1]
    said = _failure(fetch)
    assert f"{server.address}/a.png: its SHA-256 is " in said
    assert hashlib.sha256(BODY[::-1]).hexdigest()[:16] in said and CHECKSUMS["a.png"][:16] in said
    assert _files_in(tmp_path / "raw") == set()


def test_a_wrong_checksum_leaves_an_older_file_as_it_was(fetch, server, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_bytes(b"older")
    server.files["a.png"] = b"wrong"
    _failure(fetch)
    assert (tmp_path / "raw" / "a.png").read_bytes() == b"older"


def test_an_address_without_the_file_is_named_after_one_attempt(fetch, server, tmp_path):
    del server.files["body/b c.png"]
    said = _failure(fetch)
    assert f"{server.address}/body/b%20c.png: the server answers 404 Not Found;" in said
    assert server.asked == ["a.png", "body/b c.png"]
    assert _files_in(tmp_path / "raw") == {"a.png"}  # what is complete is kept


def test_a_body_that_is_cut_off_is_refused(fetch, server, tmp_path):
    server.faults["a.png"] = [_cut_off] * 3
    said = _failure(fetch)
    assert f"a.png: the download stopped after 100000 of {len(BODY)} bytes (tried 3 times)" in said
    assert server.asked == ["a.png"] * 3 and _files_in(tmp_path / "raw") == set()


@pytest.mark.parametrize("fault", [_cut_off, _busy, lambda handler: None])
def test_temporary_faults_are_tried_again(fetch, server, tmp_path, fault):
    server.faults["a.png"] = [fault, fault]
    assert fetch() == list(FILES)
    assert server.asked == ["a.png"] * 3 + list(FILES)[1:]
    assert (tmp_path / "raw" / "a.png").read_bytes() == BODY


def test_attempts_wait_for_the_given_pauses(fetch, server, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    server.faults["a.png"] = [_busy] * 2
    fetch(pauses=(0.1, 0.2, 0.4))
    assert waited == [0.1, 0.2]


def test_without_pauses_there_is_one_attempt(fetch, server):
    server.faults["a.png"] = [_busy]
    assert "a.png: the server answers 503 Service Unavailable;" in _failure(fetch, pauses=())
    assert server.asked == ["a.png"]


@pytest.mark.parametrize("sent", [None, 100_000], ids=["before the answer", "in the body"])
def test_a_server_that_hangs_raises_after_the_timeout(fetch, server, tmp_path, sent):
    def hang(handler):
        if sent:
            FileServer.send(handler, BODY[:sent], len(BODY))
        server.over.wait(20)

    server.faults["a.png"] = [hang] * 2
    started = time.monotonic()
    said = _failure(fetch, timeout=0.2, pauses=(0,))
    assert time.monotonic() - started < 5.0
    assert f"{server.address}/a.png: no answer within 0.2 s (tried 2 times)" in said
    assert not (tmp_path / "raw").exists() or _files_in(tmp_path / "raw") == set()


def test_a_closed_port_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConversionError, match=r"a\.png: cannot be reached \(Connection refused\)"):
        download_files(address, CHECKSUMS, tmp_path / "raw", pauses=(0,), progress=False)
    assert not (tmp_path / "raw").exists()


def test_a_half_file_never_has_the_final_name(fetch, server, tmp_path):
    seen = []

    def pause_in_the_middle(handler):
        FileServer.send(handler, BODY[:200_000], len(BODY))
        deadline = time.monotonic() + 5
        while not _files_in(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.extend(_files_in(tmp_path))
        handler.wfile.write(BODY[200_000:])

    server.faults["a.png"] = [pause_in_the_middle]
    fetch()
    assert len(seen) == 1 and seen[0].startswith("raw/partial-")  # streamed to the disk
    assert _files_in(tmp_path / "raw") == set(FILES)


def test_an_interrupted_download_goes_on_where_it_was(fetch, server, tmp_path):
    def press_control_c(handler):
        FileServer.send(handler, b"sec", 6)
        os.kill(os.getpid(), signal.SIGINT)
        server.over.wait(20)

    server.faults["body/b c.png"] = [press_control_c]
    # A test process may have been told to leave the signal alone.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch()
    finally:
        signal.signal(signal.SIGINT, before)
    assert _files_in(tmp_path / "raw") == {"a.png"}
    server.asked.clear()
    assert fetch() == ["body/b c.png", "LICENCE"] == server.asked
    assert (tmp_path / "raw" / "body" / "b c.png").read_bytes() == b"second"


def test_a_place_that_cannot_be_written_is_named(fetch, server, tmp_path):
    (tmp_path / "raw").write_text("a file, not a folder")
    said = _failure(fetch)
    assert said.startswith(f"{tmp_path / 'raw' / 'a.png'}: cannot be written (")
    assert server.asked == ["a.png"]  # a fault of the disk is not tried again


def test_progress_ends_with_the_whole_on_stderr(fetch, capsys):
    fetch(title="the sheets", progress=True)
    printed = capsys.readouterr()
    assert printed.out == "" and "the sheets:" in printed.err
    assert "3/3 " in printed.err and printed.err.count("\n") == 1
    fetch(title="the sheets", progress=True)
    assert capsys.readouterr().err == ""  # nothing to fetch, nothing to say


def test_a_file_that_cannot_be_read_is_named_and_kept(fetch, tmp_path, monkeypatch):
    fetch()

    def denied(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(ConversionError) as error:
        fetch()
    said = str(error.value)
    assert said == f"{tmp_path / 'raw' / 'a.png'}: Permission denied; check the permissions."


def test_a_large_file_is_compared_in_parts(tmp_path):
    with open(tmp_path / "a.bin", "wb") as file:
        file.truncate(32 << 20)
    wanted = {"a.bin": hashlib.sha256(bytes(32 << 20)).hexdigest()}
    tracemalloc.start()
    assert download_files("http://localhost", wanted, tmp_path, progress=False) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
