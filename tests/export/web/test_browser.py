"""The page, made by its command line and driven in a headless browser without a network."""

import functools
import http.server
import json
import pathlib
import shutil
import threading

import numpy as np
import pytest

from kerasvid.data import load_info
from kerasvid.export.web.runtime import WASM, RuntimeUnavailable, fetch_packages
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.training.config import make_config
from kerasvid.training.run_folder import RunFolder
from tests.export.web.noise_oracle import gaussians

FRAMES = 4


@pytest.fixture(scope="module")
def make_run(tmp_path_factory, moving_squares, write_squares, save_new_run):
    """A function of a model's name to the folder of a run of it, of random weights."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    data = write_squares(folder, moving_squares(12, FRAMES), 8, licence="none")

    @functools.cache
    def make(name: str) -> pathlib.Path:
        values = {"frames": FRAMES, "training.batch_size": 4}
        options = {"precision": "float32", "seed": 0}
        config = make_config(name, "squares", data, load_info(data), "debug", values, **options)
        return save_new_run(config, tmp_path_factory.mktemp("runs") / name, scale=1.2)

    return make


@pytest.fixture(scope="module")
def to_web(run_command):
    """A function of the flags of export/to_web.py to its exit status."""
    return functools.partial(run_command, "to_web")


# === Without a browser ===


@pytest.mark.slow
def test_a_folder_holds_the_page_and_its_description(to_web, make_run, letters, tmp_path, capsys):
    out, run = tmp_path / "demo", make_run("rjvae")
    given = (f"--run_dir={run}", f"--out={out}", f"--runtime_dir={letters}", "--clips=3")
    assert to_web(*given) == 0
    assert "python -m http.server" in capsys.readouterr().out
    page = json.loads((out / "model.json").read_text())
    assert (page["model"], page["dataset"], page["licence"]) == ("rjvae", "squares", "none")
    assert [page[key] for key in ("frames", "height", "width", "channels")] == [FRAMES, 16, 16, 3]
    assert (page["clips"], page["fps"], page["endpoints"], page["examples"]) == (3, 8.0, False, [])
    roles = {each["name"]: each["role"] for each in page["noise"]}
    assert roles == {"summary": "content", "residual": "motion"}
    vectors = np.array([each["vector"] for each in page["directions"]])
    assert 6 <= len(vectors) <= 8
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-5)
    shares = [each["share"] for each in page["directions"]]
    assert shares == sorted(shares, reverse=True) and 0.5 < sum(shares) <= 1.001
    assert {"index.html", "main.js", "model.tflite", "LICENSES.txt"} <= {
        path.name for path in out.iterdir()
    }
    assert (out / "runtime" / WASM[0]).read_text() == WASM[0]

    assert to_web(*given) == 1
    assert "exists. Give another --out, or --overwrite" in capsys.readouterr().err
    assert to_web(*given, "--overwrite", "--frames=2") == 0
    assert json.loads((out / "model.json").read_text())["frames"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]  # nothing is left over


def test_errors_are_one_line_and_leave_nothing(to_web, make_run, letters, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    run = make_run("rjvae")
    for given, message in (
        (
            (f"--run_dir={run}", f"--out={tmp_path}/mine"),
            "mine: exists and was not made by this command",
        ),
        ((f"--run_dir={tmp_path}/none", f"--out={tmp_path}/a"), "there is no run"),
        (
            (f"--run_dir={run}", f"--out={tmp_path}/a", f"--runtime_dir={tmp_path}"),
            "not an npm package",
        ),
    ):
        assert to_web(*given, "--overwrite") == 1
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1 and err.startswith("error: ") and message in err
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# === In a browser ===


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The pinned runtime, fetched once."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("KERASVID_OFFLINE")  # as `online` does
            return fetch_packages(tmp_path_factory.mktemp("npm"))
    except RuntimeUnavailable as error:
        pytest.skip(f"no browser tests: {error}")


@pytest.fixture(scope="module")
def serve(to_web, make_run, packages, tmp_path_factory):
    """A function of a model's name to (address, model.json) of its page."""
    servers = []

    @functools.cache
    def start(name: str):
        folder = tmp_path_factory.mktemp("web") / name
        status = to_web(
            f"--run_dir={make_run(name)}", f"--out={folder}", f"--runtime_dir={packages}"
        )
        assert status == 0
        handler = functools.partial(QuietHandler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        page = json.loads((folder / "model.json").read_text())
        return f"http://127.0.0.1:{servers[-1].server_port}/", page, folder

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def visit(browser):
    """Opens an address; any other host is out of reach, and an error in the page fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    refused, faults = [], []

    def answer(route):
        if route.request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            return route.continue_()
        refused.append(route.request.url)
        return route.abort()

    context.route("**/*", answer)

    def open_(address: str, clips: int | None = 6):
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        if clips is not None:
            page.locator("main").wait_for(state="visible", timeout=60000)
            newest(page, clips)
        return page

    yield open_
    context.close()
    assert (refused, faults) == ([], [])


def newest(page, clips: int) -> None:
    """Waits until all clips are those that the state asks for."""
    from playwright.sync_api import expect

    shown = page.locator(".clip canvas[data-made=newest]")
    expect(shown).to_have_count(clips, timeout=60000)


def pixels_of(page, selector: str) -> np.ndarray:
    """What a canvas shows, uint8 [H, W, 3]."""
    values, width = page.locator(selector).evaluate(
        "c => [[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data], c.width]"
    )
    return np.array(values, np.uint8).reshape(-1, width, 4)[..., :3]


def set_range(page, selector: str, value: float) -> None:
    page.locator(selector).evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')) }", value
    )


def clip_canvas(number: int) -> str:
    return f".clip:nth-child({number}) canvas"


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def changed(page, selector: str, before: np.ndarray) -> np.ndarray:
    """Waits until a canvas shows something else, and returns it."""
    for _ in range(100):
        after = pixels_of(page, selector)
        if difference(after, before):
            return after
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} does not change")


@pytest.mark.slow
def test_pixels_are_those_of_python(serve, visit, make_run):
    address, told, _ = serve("rjvae")
    moves = {0: 1.5, 2: -2.0}
    asked = ",".join(f"2.{direction}:{value}" for direction, value in moves.items())
    page = visit(f"{address}#content=5&motion=11&a=2&playing=0&frame=3&moves={asked}")
    noise = {
        each["name"]: np.stack(
            [
                gaussians(5 if each["role"] == "content" else 11, row, each["name"], each["shape"])
                for row in range(6)
            ]
        )
        for each in told["noise"]
    }
    for direction, value in moves.items():
        vector = np.array(told["directions"][direction]["vector"])
        noise["summary"][2] += (value - vector @ noise["summary"][2]) * vector
    model = RunFolder(make_run("rjvae")).load_model()[0]
    tensors = {name: value.astype(np.float32) for name, value in noise.items()}
    expected = as_pixels(model.decode(model.codes(tensors)))[:, 3]  # [6, H, W, C]
    assert np.ptp(expected.astype(int)) > 60  # there is something to be seen
    for clip in range(6):
        assert difference(pixels_of(page, clip_canvas(clip + 1)), expected[clip]) <= 2
    assert difference(pixels_of(page, "#viewer"), expected[2]) <= 2
    for others in (expected[0], expected[1]):
        assert difference(others, expected[2]) > 2

    ways = {name: value[:, None] for name, value in tensors.items()}
    endpoints = [{name: value[clip] for name, value in ways.items()} for clip in (2, 4)]
    half = model.interpolate(*endpoints, steps=3)[0, 1, 3]
    page.locator("#other").select_option(index=4)
    before = pixels_of(page, "#viewer")
    set_range(page, "#between", 0.5)
    assert difference(changed(page, "#viewer", before), half) <= 2


@pytest.mark.slow
def test_each_control_changes_its_setting_and_the_address_restores_it(serve, visit):
    address, *_ = serve("rjvae")
    page = visit(f"{address}#playing=0&frame=1")
    one, two = (pixels_of(page, clip_canvas(clip)) for clip in (1, 2))
    assert page.locator("#play").get_attribute("aria-label") == "Play"

    set_range(page, "#direction-0", 3)
    moved = changed(page, clip_canvas(1), one)
    newest(page, 6)
    moved = pixels_of(page, clip_canvas(1))
    assert difference(moved, one) > 5
    assert difference(pixels_of(page, "#viewer"), moved) == 0
    assert difference(pixels_of(page, clip_canvas(2)), two) == 0
    page.wait_for_url("**moves=0.0:3**")
    other = visit(page.url)
    assert difference(pixels_of(other, clip_canvas(1)), moved) == 0
    assert other.locator("#direction-0").input_value() == "3"
    other.close()
    page.locator("#reset").click()
    newest(page, 6)
    assert difference(pixels_of(page, clip_canvas(1)), one) == 0

    page.keyboard.press("m")  # content stays, so that the seed is two now
    changed(page, clip_canvas(1), one)
    assert page.locator("#seed").input_value().startswith("1 / ")
    page.locator("#seed").fill("no number")
    page.locator("#seed").press("Enter")
    assert page.locator("#seed").get_attribute("aria-invalid") == "true"
    page.locator("#seed").fill("1")
    page.locator("#seed").press("Enter")
    newest(page, 6)
    assert difference(pixels_of(page, clip_canvas(1)), one) == 0

    page.locator("#one-content").click()
    page.locator("#one-motion").click()
    newest(page, 6)
    for clip in (2, 6):
        assert difference(pixels_of(page, clip_canvas(clip)), one) == 0


@pytest.mark.slow
def test_clips_play_and_keys_control_them(serve, visit):
    page = visit(serve("rjvae")[0])
    shown = set()
    for _ in range(40):
        shown.add(page.locator("#frame").input_value())
        page.wait_for_timeout(50)
    assert shown == {str(frame) for frame in range(FRAMES)}
    page.keyboard.press(" ")
    frame = int(page.locator("#frame").input_value())
    page.wait_for_timeout(400)
    assert page.locator("#frame").input_value() == str(frame)
    page.keyboard.press(".")
    assert page.locator("#frame").input_value() == str((frame + 1) % FRAMES)

    page.locator(".clip").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".clip[aria-pressed=true] span").inner_text() == "2"
    assert "a=1" in page.evaluate("new Promise(r => setTimeout(() => r(location.hash), 400))")
    page.locator("#direction-1").focus()
    before = float(page.locator("#direction-1").input_value())
    page.keyboard.press("ArrowRight")
    after = float(page.locator("#direction-1").input_value())
    assert after == pytest.approx(before + 0.05, abs=0.001)

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    unnamed = page.locator("button, input, select").evaluate_all(
        "all => all.filter(e => !e.ariaLabel && !e.labels?.length && !e.textContent.trim())"
        ".map(e => e.id)"
    )
    assert unnamed == []


@pytest.mark.slow
def test_gifs_show_the_clip(serve, visit):
    from PIL import Image

    page = visit(f"{serve('rjvae')[0]}#playing=0&frame=2")
    with page.expect_download() as download:
        page.locator("#save-clip").click()
    with Image.open(download.value.path()) as image:
        assert image.n_frames == FRAMES and image.size == (320, 320)
        assert image.info["duration"] == 130  # eight a second, in hundredths
        image.seek(2)
        read = np.asarray(image.convert("RGB"))[10::20, 10::20].astype(int)
    shown = pixels_of(page, "#viewer").astype(int)
    assert np.abs(read - shown).mean() < 4
    with page.expect_download() as download:
        page.locator("#save-grid").click()
    with Image.open(download.value.path()) as image:
        assert image.n_frames == FRAMES
        assert image.size == (3 * 180 + 20, 2 * 180 + 20)


@pytest.mark.slow
def test_a_model_of_intermediate_frames_takes_images(serve, visit, make_run, tmp_path):
    import cv2

    address, told, folder = serve("cvae")
    page = visit(f"{address}#playing=0&frame=1&motion=3&content=3&temperature=0.5")
    endpoints = {
        name: cv2.imread(str(folder / told["examples"][0][name]))[None, ..., ::-1]
        for name in ("first", "last")
    }
    noise = {
        each["name"]: 0.5 * gaussians(3, 0, each["name"], each["shape"]).astype(np.float32)[None]
        for each in told["noise"]
    }
    model = RunFolder(make_run("cvae")).load_model()[0]
    floats = [end.astype(np.float32) / 127.5 - 1 for end in endpoints.values()]
    expected = as_pixels(model.infill(*floats, noise, FRAMES))[0]
    assert difference(pixels_of(page, "#viewer"), expected[1]) <= 2

    cv2.imwrite(str(tmp_path / "red.png"), np.full([20, 40, 3], [0, 0, 250], np.uint8))
    before = pixels_of(page, "#viewer")
    page.locator("#drop-last input").set_input_files(tmp_path / "red.png")
    changed(page, "#viewer", before)
    assert difference(pixels_of(page, "#drop-last canvas"), np.full([16, 16, 3], [250, 0, 0])) == 0


@pytest.mark.slow
def test_a_missing_file_is_named_in_one_line(serve, visit, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(serve("rjvae")[2], folder)
    (folder / "model.tflite").unlink()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{server.server_port}/", clips=None)
        page.locator("#status.fault").wait_for(timeout=30000)
        shown = page.locator("#status").inner_text()
        assert shown == "Cannot start: model.tflite is missing (404)"
        server.shutdown()
