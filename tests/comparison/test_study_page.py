"""The file of a page: what it holds, what it does not hold, and where it may be written."""

import base64
import hashlib
import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from kerasvid.comparison import study_page
from kerasvid.comparison.study import StudyError, load_study
from kerasvid.comparison.study_page import check_study_folder, frame_sheet, page_of, write_study


def data_of(page: str) -> dict:
    """The data of the script of a page."""
    return json.loads(re.search(r'id="study">(.*?)</script>', page, re.DOTALL)[1])


def frames_of(data: dict, text: str) -> np.ndarray:
    """uint8 `[T, H, W, 3]` of a picture of all frames, cut as the page cuts it."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        sheet = np.asarray(image.convert("RGB"))
    height, width, columns = data["height"], data["width"], data["columns"]
    return np.stack(
        [
            sheet[t // columns * height :, t % columns * width :][:height, :width]
            for t in range(data["frames"])
        ]
    )


@pytest.mark.parametrize("frames", [1, 4, 7])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["webp", "png"])
def test_every_pixel_of_both_clips_is_in_the_page(
    make_clips, study_of, monkeypatch, frames, channels, kind
):
    monkeypatch.setattr(study_page.features, "check", lambda name: kind == "webp")
    clips = make_clips(3, frames, channels=channels)
    study = study_of(clips, seed=1)
    data = data_of(page_of(study, clips))
    assert data["type"] == f"image/{kind}"
    for pair, shown in zip(study.pairs, data["pairs"], strict=True):
        numbers = {"a": pair.a, "b": pair.b}
        for run, text in zip(pair.order, shown["clips"], strict=True):
            expected = np.broadcast_to(clips[run][numbers[run]], (frames, 8, 8, 3))
            np.testing.assert_array_equal(frames_of(data, text), expected)


def test_the_page_does_not_hold_which_run_is_where(make_clips, study_of):
    clips = make_clips(4)
    page = page_of(study_of(clips), clips)
    data = data_of(page)
    assert not re.search('runs/|first"?:|rjvae|second"?:|seed', json.dumps(data))
    assert "runs/" not in page and "rjvae" not in page
    assert set(data["pairs"][0]) == {"pair", "clips"}


def test_the_security_policy_allows_only_its_own_script_and_style(make_clips, study_of):
    clips = make_clips(2)
    page = page_of(study_of(clips), clips)
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none';")
    for tag, name in (("style", "style-src"), ('script type="module"', "script-src")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert not re.search(r"https?://|\[\[[A-Z_]+\]\]", page)


def test_html_in_texts_is_escaped(make_clips, study_of):
    clips, text = make_clips(2), "</script><script>alert(1)</script> [[STYLE]] & 'ß'"
    page = page_of(study_of(clips, title=text, description=text, question=text), clips)
    data = data_of(page)
    assert data["title"] == data["description"] == data["question"] == text
    assert page.count("</script>") == 2


def test_a_page_is_not_much_larger_than_its_clips(make_clips, study_of):
    clips = make_clips(6, frames=8, size=32)
    raw = sum(videos.nbytes for videos in clips.values())
    without = page_of(study_of(make_clips(1, 1, 1)), make_clips(1, 1, 1))
    assert len(without) < 40_000
    assert len(page_of(study_of(clips), clips)) < 40_000 + 4 / 3 * raw
    constant = {run: np.full_like(videos, 9) for run, videos in clips.items()}
    assert len(page_of(study_of(constant), constant)) < 45_000


def test_a_page_that_is_too_large_is_not_written(make_clips, study_of, tmp_path, monkeypatch):
    monkeypatch.setattr(study_page, "LARGEST_PAGE", 2**10)
    clips = make_clips(2)
    with pytest.raises(StudyError, match="Give fewer --pairs or --frames"):
        write_study(study_of(clips), clips, tmp_path / "study")
    assert os.listdir(tmp_path) == []


def test_frames_are_put_into_rows():
    frames = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((2, 3, 1), np.uint8)
    sheet, columns = frame_sheet(frames)
    assert columns == 3 and sheet.shape == (4, 9, 3)
    np.testing.assert_array_equal(sheet[::2, ::3, 0], [[0, 1, 2], [3, 4, 0]])


def test_a_study_is_written_atomically_and_replaced_only_with_overwrite(
    make_clips, study_of, tmp_path
):
    clips, out = make_clips(2), tmp_path / "study"
    study = study_of(clips)
    size = write_study(study, clips, out)
    assert sorted(os.listdir(out)) == ["index.html", "study.json"]
    assert size == (out / "index.html").stat().st_size and load_study(out) == study
    other = study_of(clips, seed=9)
    with pytest.raises(StudyError, match=r"exists\. Give another --out, or --overwrite"):
        write_study(other, clips, out)
    assert load_study(out) == study
    write_study(other, clips, out, overwrite=True)
    assert load_study(out) == other and sorted(os.listdir(tmp_path)) == ["study"]
    assert sorted(os.listdir(out)) == ["index.html", "study.json"]


def test_answers_and_other_folders_are_never_replaced(make_clips, study_of, tmp_path):
    clips, out = make_clips(2), tmp_path / "study"
    study = study_of(clips)
    write_study(study, clips, out)
    for name in ("preference.json", "anna.csv"):  # the first tells of answers elsewhere
        (out / name).write_text("answers")
        with pytest.raises(StudyError, match=rf"a study that also holds {name}. Give another"):
            write_study(study_of(clips, seed=9), clips, out, overwrite=True)
        assert (out / name).read_text() == "answers" and load_study(out) == study
    (tmp_path / "mine").mkdir()
    check_study_folder(tmp_path / "mine")  # empty
    (tmp_path / "mine" / "index.html").touch()
    (tmp_path / "file").touch()
    for name, message in (("mine", "exists and is not a study"), ("file", "not a folder")):
        with pytest.raises(StudyError, match=message):
            check_study_folder(tmp_path / name, overwrite=True)


def test_scripts_use_names_of_earlier_scripts_only():
    texts = [(study_page.TEMPLATES / name).read_text() for name in study_page.SCRIPTS]
    for number, text in enumerate(texts):
        later = "\n".join(texts[number + 1 :])
        for name in re.findall(r"^(?:class|function|const) (\w+)", later, re.MULTILINE):
            assert not re.search(rf"\b{name}\b", text), (study_page.SCRIPTS[number], name)
