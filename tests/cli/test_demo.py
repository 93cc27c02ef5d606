"""The page of a preset, made and served by one command."""

import http.server
import json
import socket
import urllib.parse
import urllib.request
import webbrowser

import pytest

from kerasvid.models.cvae import CVAE
from kerasvid.models.rjvae import RJVAE


@pytest.fixture
def served(monkeypatch):
    """What a browser gets that reads the page before it ends, by the name of the file."""
    files = {}

    def visit(address):
        for name in ("model.json", "index.html", "model.tflite"):
            with urllib.request.urlopen(f"{address}{name}") as answer:
                files[name] = answer.read()
        with socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(address).port)) as closed:
            closed.send(b"GET /model.tflite HTTP/1.0\r\n\r\n")  # and reads nothing
        files["address"] = address
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", visit)
    return files


@pytest.fixture
def demo(run_command, letters):
    """A function of the flags of the command to its exit status."""

    def run(*given: str) -> int:
        return run_command("demo", "--port=0", f"--runtime_dir={letters}", *given)

    return run


@pytest.mark.slow
def test_a_browser_gets_the_page_of_a_preset(demo, served, tmp_path, capsys):
    facts = {"licence": "CC0-1.0", "fps": 12.0, "data": {"name": "squares"}}
    RJVAE.from_preset("debug", frames=3).save_to_preset(tmp_path / "mine", facts)
    assert demo(f"--preset={tmp_path}/mine", "--clips=2") == 0
    page = json.loads(served["model.json"])
    assert (page["model"], page["dataset"], page["licence"]) == ("rjvae", "squares", "CC0-1.0")
    assert (page["frames"], page["clips"], page["fps"]) == (3, 2, 12.0)
    assert served["model.tflite"][4:8] == b"TFL3" and b"main.js" in served["index.html"]
    out, err = capsys.readouterr()
    assert served["address"] in out and "Ctrl-C ends it" in out and err == ""


@pytest.mark.slow
def test_a_model_of_two_images_gets_drawn_ones_where_its_data_is_drawn(demo, served, tmp_path):
    CVAE.from_preset("debug").save_to_preset(tmp_path / "mine", {"data": {"name": "shapes"}})
    assert demo(f"--preset={tmp_path}/mine") == 0
    page = json.loads(served["model.json"])
    assert page["endpoints"] and len(page["examples"]) == 6


def test_flags_that_do_not_fit_are_one_line(demo, tmp_path, capsys):
    RJVAE.from_preset("debug", frames=3).save_to_preset(tmp_path / "mine")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), None) as other:
        for flags, message in (
            (("--first=a.png",), "--last is missing. Give both images."),
            (("--first=a.png", "--last=b.png"), "makes no video between two images. Remove it."),
            ((f"--port={other.server_port}",), "cannot be used (Address already in use). Give ano"),
            (("--preset=rjvae_sprite",), "There is no preset 'rjvae_sprite'"),
            ((f"--runtime_dir={tmp_path}",), "is not an npm package"),
        ):
            assert demo(f"--preset={tmp_path}/mine", *flags) == 1
            err = capsys.readouterr().err
            assert message in err and err.startswith("error: ") and err.count("\n") == 1
