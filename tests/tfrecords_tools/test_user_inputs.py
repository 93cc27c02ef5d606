"""Folders of footage as users bring them, made by the scripts beside the sample data."""

import os
import shutil
import subprocess
import sys

import pytest

from kerasvid.data.shards import record_values
from tfrecords_tools.converters.folder import FolderOptions, find_clips, prepare

pytestmark = [pytest.mark.slow, pytest.mark.needs_shared]


@pytest.fixture
def make_case(shared_data, tmp_path):
    """A function from the name of a script to the folder that it makes."""
    if missing := [tool for tool in ("bash", "convert", "ffmpeg") if not shutil.which(tool)]:
        pytest.skip(f"not installed: {', '.join(missing)}")

    def make(name):
        cases = shared_data.resolve().parent / "cases"
        script = f'. "{cases}/env.sh"; . "{cases}/{name}.sh"'
        environment = {**os.environ, "PY": sys.executable}
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True)
        return tmp_path / "src"

    return make


def convert(source, **writing):
    options = FolderOptions(32, 32, test_fraction=0)
    return prepare(source.parent / "out", source, options, progress=False, **writing)


def test_litter_of_systems_and_storage_is_no_class_and_no_clip(make_case):
    source = make_case("09-os-litter")
    clips, others = find_clips(source)
    assert [(clip.id, len(clip.paths)) for clip in clips] == [("a/one.mp4", 1), ("b/seq", 3)]
    assert others == []
    assert convert(source).class_names == ("a", "b")


def test_frames_twice_as_wide_as_high_are_whole(make_case):
    info = convert(make_case("36-two-to-one"))
    train = info.splits["train"]
    assert (train.count, train.min_length, train.max_length) == (3, 10, 10)
    assert info.class_names == ("town",)


def test_no_class_is_left_without_a_video(make_case, capsys):
    source = make_case("11-damaged")
    info = convert(source, skip_unreadable=True)
    labels = record_values(str(source.parent / "out"), "train", "label") - {-1}
    assert labels == {*range(len(info.class_names))}
    reported = capsys.readouterr().err
    for name in ("empty", "html", "nomoov", "audio"):
        assert name not in info.class_names
        assert f"left out the class {name!r}" in reported
