"""The page in a headless browser, from its file and without a network."""

import numpy as np
import pytest

from kerasvid.comparison.answers import read_answers
from kerasvid.comparison.preference import measure_preference
from kerasvid.comparison.study_page import write_study

PAIRS, WINS = 128, 100


@pytest.fixture
def open_study(browser, make_clips, study_of, tmp_path):
    """A function of a number of pairs to (study, clips, page); errors in it fail the test."""
    contexts, asked, faults = [], [], []

    def open_(count: int, frames: int = 4, context: dict | None = None, **options):
        clips = make_clips(count, frames)
        study = study_of(clips, **options)
        write_study(study, clips, tmp_path / "study")
        options = {"viewport": {"width": 1000, "height": 700}, **(context or {})}
        contexts.append(browser.new_context(accept_downloads=True, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "study" / "index.html").as_uri())
        return study, clips, page

    yield open_
    for context in contexts:
        context.close()
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert (outside, faults) == ([], [])


def ready(page, number: int) -> None:
    """Waits until a pair, from 1 on, stands there and can be answered."""
    page.wait_for_selector(f"#pair[data-shown='{number}'][data-open]", timeout=30000)


def start(page, name: str | None = None) -> None:
    if name:
        page.locator("#rater").fill(name)
    page.locator("#start").click()


def saved(page, folder):
    """The file that the page gives."""
    with page.expect_download() as download:
        page.locator("#save").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def shown_by(page, canvas: str) -> np.ndarray:
    """uint8 `[H, W, 3]`."""
    values, width = page.locator(canvas).evaluate(
        "c => [[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data], c.width]"
    )
    return np.array(values, np.uint8).reshape(-1, width, 4)[..., :3]


@pytest.mark.slow
def test_choices_by_keys_survive_a_reload_and_give_the_winner(open_study, tmp_path):
    study, _, page = open_study(PAIRS, seed=7)
    winners = np.random.default_rng(7).permutation(["a"] * WINS + ["b"] * (PAIRS - WINS))
    start(page, ' =Anna "A", A')
    for number, (pair, winner) in enumerate(zip(study.pairs, winners, strict=True)):
        if number == PAIRS // 2:
            page.reload()
        ready(page, number + 1)
        side = pair.order.index(winner)
        page.keyboard.press((("ArrowLeft", "f"), ("ArrowRight", "j"))[side][number % 2])
    page.locator("#done").wait_for(state="visible")
    path = saved(page, tmp_path)
    assert path.name == f"answers-{study.id}-Anna-A-A.csv"

    answers = read_answers([path], study)
    assert [answer.run for answer in answers] == winners.tolist()
    assert {answer.rater for answer in answers} == {'Anna "A", A'}  # no formula
    found = measure_preference(answers, study).pooled.preference
    assert (found.chosen, found.answers) == (WINS, PAIRS)
    # The ends solve n (p - 100/128)^2 = z^2 p (1 - p).
    z2, share = 1.959964**2, WINS / PAIRS
    roots = np.roots([PAIRS + z2, -(2 * WINS + z2), PAIRS * share**2])
    np.testing.assert_allclose(sorted(roots), (found.low, found.high), rtol=1e-6)
    assert found.low > 0.7 and found.p < 1e-9


@pytest.mark.slow
def test_a_pair_shows_the_pixels_of_both_clips_in_step(open_study):
    study, clips, page = open_study(2, frames=3)
    start(page)
    ready(page, 1)
    page.keyboard.press(" ")  # does not move
    pair = study.pairs[0]
    expected = [clips[run][{"a": pair.a, "b": pair.b}[run]] for run in pair.order]
    first, second = shown_by(page, "#first canvas"), shown_by(page, "#second canvas")
    matching = [t for t in range(3) if (first == expected[0][t]).all()]
    assert len(matching) == 1
    np.testing.assert_array_equal(second, expected[1][matching[0]])
    page.keyboard.press(" ")
    seen = set()
    for _ in range(60):
        both = page.evaluate(
            "['first', 'second'].map(id => [...document.querySelector(`#${id} canvas`)"
            ".getContext('2d').getImageData(0, 0, 8, 8).data])"
        )
        frames = [np.array(data, np.uint8).reshape(8, 8, 4)[..., :3] for data in both]
        found = [
            [t for t in range(3) if (frame == clip[t]).all()]
            for frame, clip in zip(frames, expected, strict=True)
        ]
        assert found[0] == found[1] and len(found[0]) == 1
        seen.add(found[0][0])
        page.wait_for_timeout(25)
    assert seen == {0, 1, 2}
    # A pixel of a clip is a square of whole pixels of the screen.
    box = page.locator("#first canvas").bounding_box()
    assert box["width"] == box["height"] and box["width"] % 8 == 0 and box["width"] > 400


@pytest.mark.slow
def test_choices_by_mouse_can_be_undone_and_continued_later(open_study, tmp_path):
    study, _, page = open_study(3)
    name = page.locator("#rater").input_value()
    assert name.startswith("rater-")
    start(page)
    ready(page, 1)
    page.keyboard.press("Backspace")  # there is nothing to take back
    page.locator("#first").click()
    ready(page, 2)
    page.locator("#second").click()
    ready(page, 3)
    page.keyboard.press("Backspace")
    ready(page, 2)
    page.locator("#undo").click()
    ready(page, 1)
    assert page.locator("#undo").is_disabled()
    page.locator("#second").click()
    ready(page, 2)
    page.locator("#stop").click()
    assert "1 of 3 pairs" in page.locator("#summary").inner_text()
    path = saved(page, tmp_path)
    (answer,) = read_answers([path], study)
    assert (answer.pair, answer.side, answer.rater) == ("1", "right", name)
    page.locator("#back").click()
    ready(page, 2)
    other = page.context.new_page()  # a second tab goes on where the first one is
    other.goto(page.url)
    ready(other, 2)
    for number in (2, 3):
        ready(page, number)
        page.keyboard.press("J")
        if number == 2:
            ready(other, 3)
    other.close()
    page.locator("#done").wait_for(state="visible")
    page.locator("#back").click()  # the last one again
    ready(page, 3)
    page.keyboard.press("f")
    page.locator("#done").wait_for(state="visible")
    sides = [answer.side for answer in read_answers([saved(page, tmp_path)], study)]
    assert sides == ["right", "right", "left"]
    page.locator("#anew").click()  # saved, so that nothing is asked
    page.locator("#intro").wait_for(state="visible")
    assert page.locator("#rater").input_value() != name


@pytest.mark.slow
def test_stacked_clips_show_all_frames_and_are_chosen_by_top_and_bottom(open_study, tmp_path):
    study, clips, page = open_study(2, frames=5, stacked=True)
    start(page)
    ready(page, 1)
    pair = study.pairs[0]
    for run, canvas in zip(pair.order, ("#first canvas", "#second canvas"), strict=True):
        frames = clips[run][{"a": pair.a, "b": pair.b}[run]]
        shown = shown_by(page, canvas)
        assert shown.shape == (8, 5 * 9 - 1, 3)
        for number, frame in enumerate(frames):
            np.testing.assert_array_equal(shown[:, 9 * number : 9 * number + 8], frame)
    boxes = [page.locator(f"#{side} canvas").bounding_box() for side in ("first", "second")]
    assert boxes[0]["x"] == boxes[1]["x"] and boxes[0]["y"] + boxes[0]["height"] < boxes[1]["y"]
    assert page.locator("#play").is_hidden()
    page.keyboard.press("ArrowLeft")  # no meaning here
    page.keyboard.press("ArrowDown")
    ready(page, 2)
    page.keyboard.press("ArrowUp")
    page.locator("#done").wait_for(state="visible")
    answers = read_answers([saved(page, tmp_path)], study)
    assert [answer.side for answer in answers] == ["bottom", "top"]


@pytest.mark.slow
def test_reduced_motion_waits_for_play_and_every_control_has_a_name(open_study):
    phone = {"viewport": {"width": 360, "height": 740}, "reduced_motion": "reduce"}
    _, _, page = open_study(2, frames=4, context=phone)
    start(page)
    ready(page, 1)
    before = shown_by(page, "#first canvas")
    page.wait_for_timeout(500)
    np.testing.assert_array_equal(shown_by(page, "#first canvas"), before)
    assert page.locator("#play").inner_text().startswith("Play")
    page.locator("#play").click()
    page.wait_for_function(
        "old => [...document.querySelector('#first canvas').getContext('2d')"
        ".getImageData(0, 0, 8, 8).data].some((v, i) => i % 4 < 3 && v !== old[i])",
        arg=np.concatenate([before, before[..., :1]], axis=-1).ravel().tolist(),
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("document.documentElement.scrollHeight") == 740
    unnamed = page.locator("button, input, canvas, [role]").evaluate_all(
        "all => all.filter(e => !e.ariaLabel && !e.labels?.length && !e.textContent.trim()"
        " && !e.hasAttribute('aria-labelledby') && e.id !== 'fault' && e.id !== 'saved')"
        ".map(e => e.outerHTML)"
    )
    assert unnamed == []
    text = page.locator("body").inner_text() + page.title()
    assert "first" not in text.lower() and "second" not in text.lower()  # the runs of the fixture


@pytest.mark.slow
def test_a_browser_without_storage_shows_a_warning(open_study, browser):
    _, _, page = open_study(2)
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    )
    page.reload()
    start(page)
    ready(page, 1)
    assert "does not keep your answers. Save them before" in page.locator("#fault").inner_text()
    page.keyboard.press("f")
    ready(page, 2)
