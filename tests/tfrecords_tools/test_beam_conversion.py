"""Conversion on Apache Beam: the same bytes as of the local converter, resumed where it ended."""

import dataclasses
import errno
import importlib.util
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from kerasvid.data import load_info
from kerasvid.data.records import DatasetInfo, Video
from kerasvid.io import lock
from tfrecords_tools import beam_conversion, media
from tfrecords_tools.beam_conversion import (
    Job,
    Part,
    do_task,
    make_pipeline,
    pipeline_options,
    versions,
    write_dataset_on_beam,
)
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converters.folder import FolderOptions, FolderReader, main, prepare
from tfrecords_tools.source_files import Clip
from tfrecords_tools.verify import verify

ROOT = pathlib.Path(__file__).parents[2]
SIZES = {"height": 8, "width": 8}
IN_ORDER = "--direct_num_workers=1 --direct_running_mode=in_memory"


def needs_beam(test):
    absent = importlib.util.find_spec("apache_beam") is None
    return pytest.mark.skipif(absent, reason="pip install -e '.[beam]'")(test)


def write_video(path, number, frames=3, fps=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (16, 16))
    for frame in range(frames):
        writer.write(np.full((16, 16, 3), (7 * number, 60 * frame, 99), np.uint8))
    writer.release()


def write_broken(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no video")


@pytest.fixture
def source(tmp_path):
    """11 videos of two classes."""
    for number in range(11):
        write_video(tmp_path / "in" / "ab"[number % 2] / f"{number}.avi", number, 3 + number % 3)
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(beam_conversion, "_ITEMS_PER_PART", 2)


def convert(source, out, runner="direct", runner_options="", **options):
    """Makes shards of 3 videos."""
    names = ("skip_unreadable", "overwrite", "videos_per_shard")
    writing = {name: options.pop(name) for name in names if name in options}
    runner_options = runner_options if runner != "local" else ""
    options = FolderOptions(**SIZES, runner=runner, runner_options=runner_options, **options)
    return prepare(out, source, options, **{"progress": False, "videos_per_shard": 3, **writing})


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


def states(folder):
    """The inode and the time of the last change of the shards in a folder."""
    found = {path.name: path.stat() for path in pathlib.Path(folder).glob("t*-of-*.tfrecord")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in found.items()}


def reported(capsys):
    """What both converters report on stderr."""
    lines = capsys.readouterr().err.splitlines()
    return [
        line for line in lines if line.startswith(("skipped", "left out", "warning", "cut", "PSNR"))
    ]


def end_of_main(*flags):
    with pytest.raises(SystemExit) as caught:
        main([*flags, "--height=8", "--width=8"])
    line = str(caught.value.code)
    assert line.startswith("error: ") and "\n" not in line
    return line


# === The same data set ===


@needs_beam
@pytest.mark.parametrize(
    "options",
    [{}, {"clip_frames": 2, "clip_stride": 1}, {"encoding": "jpeg", "jpeg_quality": 60}],
    ids=["", "cut", "jpeg"],
)
def test_the_data_set_is_that_of_the_local_converter_to_the_byte(source, tmp_path, capsys, options):
    write_video(source / "b" / "fast.avi", 20, 4, fps=30)
    images = [Image.new("RGB", (16, 16), (40 * number, 0, 0)) for number in range(5)]
    held = {"duration": [100, 100, 100, 900, 50], "append_images": images[1:]}
    images[0].save(source / "b" / "held.gif", save_all=True, **held)
    for name in ("a/bad.avi", "aa_lost/1.avi", "aa_lost/2.avi", "b/bad.avi", "bad.avi"):
        write_broken(source / name)
    options |= {"skip_unreadable": True, "test_fraction": 0.3}
    local = convert(source, tmp_path / "local" / "mine", "local", **options)
    lines = reported(capsys)
    beam = convert(source, tmp_path / "beam" / "mine", **options)
    assert contents(tmp_path / "local" / "mine") == contents(tmp_path / "beam" / "mine")
    assert beam == local == load_info(tmp_path / "beam" / "mine")
    assert len(beam.splits["train"].shards) > 1 and beam.class_names == ("a", "b")
    assert reported(capsys) == lines and len(lines) > 5
    assert any(line.startswith("PSNR") for line in lines) == ("encoding" in options)
    assert verify(str(tmp_path / "beam" / "mine")).faults == []
    assert {path.name for path in (tmp_path / "beam").iterdir()} == {
        "mine",
        "mine.unreadable.jsonl",
    }


@needs_beam
def test_a_split_that_loses_all_videos_is_left_out(tmp_path, capsys):
    for number in range(3):
        write_video(tmp_path / "in" / f"{number}.avi", number)
    seeds = range(20)
    write_broken(tmp_path / "in" / "bad.avi")
    options = {"test_fraction": 0.25, "skip_unreadable": True}
    for seed in seeds:  # until the broken one is the test split
        info = convert(
            tmp_path / "in", tmp_path / "a" / "x", "local", seed=seed, overwrite=True, **options
        )
        if "test" not in info.splits:
            break
    lines = capsys.readouterr().err.splitlines()[-1:]
    convert(tmp_path / "in", tmp_path / "b" / "x", seed=seed, **options)
    assert contents(tmp_path / "a" / "x") == contents(tmp_path / "b" / "x")
    assert lines == ["left out the split 'test': none of its videos is readable"]
    assert lines[0] in capsys.readouterr().err


@needs_beam
@pytest.mark.slow
def test_workers_in_processes_of_their_own_make_the_same_data_set(source, tmp_path):
    for name, flags in {
        "local": [],
        "beam": [
            "--runner=direct",
            "--runner_options=--direct_running_mode=multi_processing --direct_num_workers=2",
        ],
    }.items():
        main([f"--source_dir={source}", f"--out_dir={tmp_path / name / 'mine'}", "--height=8",
              "--width=8", "--fps=5", *flags])  # fmt: skip
    assert contents(tmp_path / "local" / "mine") == contents(tmp_path / "beam" / "mine")


# === Faults ===


@needs_beam
@pytest.mark.parametrize("broken", [["a/x.avi"], ["a/x.avi", "b/y.avi"]], ids=["one", "two"])
def test_unreadable_videos_are_refused_as_by_the_local_converter(source, tmp_path, broken):
    for name in broken:
        write_broken(source / name)
    texts = []
    for runner in ("local", "direct"):
        with pytest.raises(ConversionError) as caught:
            convert(source, tmp_path / "out", runner, test_fraction=0)
        texts.append(str(caught.value))
    assert texts[0] == texts[1] and not (tmp_path / "out").exists()
    assert convert(source, tmp_path / "out", test_fraction=0, skip_unreadable=True)


@needs_beam
def test_a_data_set_without_a_readable_video_is_refused_as_by_the_local_converter(tmp_path):
    write_broken(tmp_path / "in" / "1.avi")
    texts = []
    for runner in ("local", "direct"):
        with pytest.raises(ConversionError, match="has no readable video") as caught:
            convert(
                tmp_path / "in", tmp_path / "out", runner, test_fraction=0, skip_unreadable=True
            )
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


@needs_beam
def test_unreadable_videos_are_listed_beside_the_data_set(source, tmp_path):
    write_broken(source / "a" / "bad\nname.avi")
    convert(source, tmp_path / "out", skip_unreadable=True, test_fraction=0)
    listed = tmp_path / "out.unreadable.jsonl"
    path = f"{source}/a/bad\\nname.avi"
    assert [json.loads(line) for line in listed.read_text().splitlines()] == [
        {
            "id": "a/bad\\nname.avi",
            "split": "train",
            "path": path,
            "reason": f"{path}: cannot be read as a video",
        }
    ]
    (source / "a" / "bad\nname.avi").unlink()
    convert(source, tmp_path / "out", test_fraction=0, overwrite=True)
    assert not listed.exists()


@dataclasses.dataclass
class NumberReader:
    """Reads a clip as a video of its file's size; some names make faults."""

    def __call__(self, clip):
        size = os.path.getsize(clip.paths[0])
        if clip.id == "removes":
            os.remove(os.path.join(os.path.dirname(clip.paths[0]), "victim"))
        name = "same" if clip.id.startswith("same") else clip.id
        side = 4 if clip.id == "small" else 8
        return Video(np.full((2, side, side, 3), size, np.uint8), name)

    def notes(self):
        return {}

    def add_notes(self, notes):
        pass


def number_clips(folder, *names):
    folder.mkdir()
    for size, name in enumerate(names):
        (folder / name).write_bytes(b"x" * size)
    return [Clip(name, "", (str(folder / name),)) for name in names]


@needs_beam
@pytest.mark.parametrize("names", [["a", "small", "b"], ["same1", "a", "b", "same2"]])
def test_wrong_videos_are_refused_as_by_the_local_converter(tmp_path, names):
    clips = number_clips(tmp_path / "in", *names)
    info, texts = DatasetInfo("numbers", "1", 8, 8), []
    for write, options in ((write_dataset, {}), (write_dataset_on_beam, {"runner": "direct"})):
        with pytest.raises(ConversionError) as caught:
            write(
                tmp_path / "out", info, {"train": clips}, NumberReader(), progress=False, **options
            )
        texts.append(str(caught.value))
    assert texts[0] == texts[1] and not (tmp_path / "out").exists()


@needs_beam
def test_a_file_that_a_worker_does_not_see_is_no_unreadable_video(tmp_path):
    clips = number_clips(tmp_path / "in", "removes", "victim")
    info = DatasetInfo("numbers", "1", 8, 8)
    with pytest.raises(
        ConversionError, match=r"victim: \S+ sees no file, but it was 1 bytes; mount"
    ):
        write_dataset_on_beam(
            tmp_path / "out", info, {"train": clips}, NumberReader(), runner="direct",
            progress=False, skip_unreadable=True,
        )  # fmt: skip


@needs_beam
def test_a_full_disk_of_a_worker_is_one_line(source, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "x.part")

    monkeypatch.setattr(beam_conversion, "ShardWriter", fail)
    with pytest.raises(ConversionError, match=r"out: the disk is full; free some space"):
        convert(source, tmp_path / "out")


# === Resuming ===


@pytest.fixture
def interrupted(source, tmp_path, monkeypatch):
    """An unfinished conversion whose fourth shard could not be written, and its shards."""
    work = beam_conversion.Shard.work

    def fail_late(shard, job):
        if shard.name.startswith("train-00003"):
            raise OSError(errno.EIO, "Input/output error")
        return work(shard, job)

    with monkeypatch.context() as patch:
        patch.setattr(beam_conversion.Shard, "work", fail_late)
        with pytest.raises(ConversionError, match=r"cannot be written \(Input/output error\)"):
            convert(source, tmp_path / "out", test_fraction=0)
    return tmp_path / "out.unfinished"


def count_reads(monkeypatch):
    """The names of the videos that are read from now on."""
    read, original = [], media.open_video

    def open_video(path, fps):
        read.append(os.path.basename(path))
        return original(path, fps)

    monkeypatch.setattr(media, "open_video", open_video)
    return read


@needs_beam
def test_finished_shards_are_not_written_again(source, interrupted, tmp_path, monkeypatch, capsys):
    before = states(interrupted / "shards")
    assert len(before) == 3
    read = count_reads(monkeypatch)
    convert(source, tmp_path / "out", test_fraction=0)
    assert states(tmp_path / "out").items() >= before.items() and not read
    assert "6 of 6 parts are finished" in (err := capsys.readouterr().err)
    assert "3 of 4 shards are finished" in err
    convert(source, tmp_path / "local" / "out", "local", test_fraction=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "local" / "out")
    assert not interrupted.exists()


@needs_beam
@pytest.mark.parametrize("what", ["parts", "shards"])
def test_an_altered_file_of_an_unfinished_conversion_is_made_again(
    source, interrupted, tmp_path, what
):
    altered = sorted((interrupted / what).iterdir())[-1]
    content = bytearray(altered.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    convert(source, tmp_path / "out", test_fraction=0)
    convert(source, tmp_path / "local" / "out", "local", test_fraction=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "local" / "out")


@needs_beam
def test_only_parts_with_a_changed_source_file_are_read_again(
    source, interrupted, tmp_path, monkeypatch
):
    write_video(source / "a" / "4.avi", 30, 5)
    read = count_reads(monkeypatch)
    convert(source, tmp_path / "out", test_fraction=0)
    assert "4.avi" in read and len(read) == 2
    convert(source, tmp_path / "local" / "out", "local", test_fraction=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "local" / "out")


@needs_beam
def test_a_new_source_file_is_never_mixed_with_the_places_of_before(source, interrupted, tmp_path):
    write_video(source / "a" / "new.avi", 30)
    convert(source, tmp_path / "out", test_fraction=0)
    convert(source, tmp_path / "local" / "out", "local", test_fraction=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "local" / "out")


@needs_beam
@pytest.mark.parametrize(
    "options, message",
    [
        ({"seed": 1}, "begun with seed=0, not 1"),
        ({"max_frames": 2}, "begun with max_frames=None, not 2"),
        ({"videos_per_shard": 4}, "begun with videos_per_shard=3, not 4"),
    ],
)
def test_other_flags_do_not_resume(source, interrupted, tmp_path, options, message):
    before = states(interrupted / "shards")
    with pytest.raises(ConversionError, match=f"out.unfinished: {message}; give the same again"):
        convert(source, tmp_path / "out", **{"test_fraction": 0, **options})
    assert states(interrupted / "shards") == before


@needs_beam
def test_another_version_of_opencv_does_not_resume(source, interrupted, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "4.0.0")
    with pytest.raises(ConversionError, match=r"begun with opencv=4\.\d+\.\d+\S*, not 4.0.0"):
        convert(source, tmp_path / "out", test_fraction=0)


@needs_beam
def test_a_folder_of_something_else_is_not_taken_over(source, tmp_path):
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "thesis.txt").write_text("x")
    with pytest.raises(ConversionError, match="is no unfinished conversion; move it away"):
        convert(source, tmp_path / "out")
    assert (tmp_path / "out.unfinished" / "thesis.txt").exists()


@needs_beam
def test_two_processes_do_not_write_one_data_set(source, interrupted, tmp_path):
    with (
        lock(interrupted / ".lock"),
        pytest.raises(ConversionError, match=r"unfinished: another process writes it"),
    ):
        convert(source, tmp_path / "out", test_fraction=0)


@needs_beam
def test_an_existing_data_set_is_replaced_on_request_only(source, tmp_path):
    convert(source, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ConversionError, match="contains a data set already; replace with --over"):
        convert(source, tmp_path / "out", seed=1)
    assert contents(tmp_path / "out") == before
    convert(source, tmp_path / "out", seed=1, overwrite=True)
    assert contents(tmp_path / "out") != before
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


SLOW_RUN = """
import sys, time
from tfrecords_tools import beam_conversion
from tfrecords_tools.converters.folder import FolderOptions, prepare
beam_conversion._ITEMS_PER_PART = 2
renumber = beam_conversion.renumber
def slowly(*given):
    time.sleep(0.4)
    renumber(*given)
beam_conversion.renumber = slowly
given = {"test_fraction": 0, "runner": "direct", "runner_options": sys.argv[3]}
options = FolderOptions(height=8, width=8, **given)
prepare(sys.argv[2], sys.argv[1], options, progress=False, videos_per_shard=3)
"""


@needs_beam
@pytest.mark.slow
def test_a_killed_run_resumes_without_writing_finished_shards_again(source, tmp_path, monkeypatch):
    shards = tmp_path / "out.unfinished" / "shards"
    done = tmp_path / "out.unfinished" / "done"
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, source, tmp_path / "out", IN_ORDER],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        end = time.monotonic() + 120
        while len([*done.glob("train-*-of-*.json")]) < 2:
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.05)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    finished = {path.name.removesuffix(".json") for path in done.glob("train-*-of-*.json")}
    before = {name: state for name, state in states(shards).items() if name in finished}
    assert 2 <= len(before) < 4 and not (tmp_path / "out").exists()
    read = count_reads(monkeypatch)
    convert(source, tmp_path / "out", test_fraction=0)
    assert states(tmp_path / "out").items() >= before.items() and not read
    convert(source, tmp_path / "local" / "out", "local", test_fraction=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "local" / "out")


# === Workers and runners ===


@pytest.fixture
def job(tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "conversion.json").write_text('{"token": "ours"}')
    reader = FolderReader(FolderOptions(), {"walking": 0})
    return Job(str(tmp_path / "job"), "ours", DatasetInfo("mine", "1", 8, 8), reader, 95)


def test_a_worker_without_the_folder_says_so(job):
    shutil.rmtree(job.folder)
    with pytest.raises(ConversionError, match="does not see this folder; mount it under the same"):
        do_task(job, "train-00000.part")


def test_a_worker_of_a_run_that_another_one_has_followed_stops(job):
    with pytest.raises(ConversionError, match="another run writes it now, or"):
        do_task(dataclasses.replace(job, token="theirs"), "train-00000.part")


@pytest.mark.parametrize("name", ["kerasvid", "opencv", "pillow"])
def test_a_worker_with_another_version_says_so(job, name):
    other = dataclasses.replace(job, versions={**versions(), name: "3.4"})
    with pytest.raises(ConversionError, match=rf"has {name} \S+, not 3.4; install the same vers"):
        do_task(other, "train-00000.part")


class Overtaken(Part):
    """A part; while it works, another run of changed files takes the folder over."""

    def work(self, job):
        description = super().work(job)
        state = pathlib.Path(job.folder) / "conversion.json"
        state.write_text('{"token": "theirs"}')
        return description


@pytest.mark.parametrize("kind", [Part, Overtaken])
def test_a_task_that_outlives_its_run_leaves_nothing_behind(job, tmp_path, kind):
    for name in ("tasks", "parts", "done"):
        (tmp_path / "job" / name).mkdir()
    write_video(tmp_path / "1.avi", 1)
    path = tmp_path / "1.avi"
    clip = Clip("walking/1", (str(path),), "walking")
    part = kind("train-00000.part", "digest", (clip,), ((path.stat().st_size,),))
    (tmp_path / "job" / "tasks" / part.name).write_bytes(pickle.dumps(part))
    if kind is Overtaken:
        with pytest.raises(ConversionError, match="another run writes it now"):
            do_task(job, part.name)
        assert not any((tmp_path / "job" / "done").iterdir())
    else:
        do_task(job, part.name)
        assert [each.name for each in (tmp_path / "job" / "done").iterdir()] == [
            "train-00000.part.json"
        ]


@needs_beam
def test_a_file_that_a_task_of_an_earlier_run_still_writes_is_left_alone(
    source, interrupted, tmp_path
):
    late = interrupted / "parts" / "partial-elsewhere-7-train-00000.part"
    late.write_bytes(b"half")
    seen = []

    def look(shard, job, work=beam_conversion.Shard.work):
        seen.append(late.exists())
        return work(shard, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beam_conversion.Shard, "work", look)
        convert(source, tmp_path / "out", test_fraction=0)
    assert seen and all(seen) and not interrupted.exists()


@needs_beam
def test_changed_files_have_parts_of_other_names(source, interrupted, tmp_path):
    before = {path.name for path in (interrupted / "parts").iterdir()}
    write_video(source / "a" / "0.avi", 50, 9)
    names = []

    def look(shard, job, work=beam_conversion.Shard.work):
        names.append({path.name for path in pathlib.Path(job.folder, "parts").iterdir()})
        return work(shard, job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beam_conversion.Shard, "work", look)
        convert(source, tmp_path / "out", test_fraction=0)
    assert len(names[0] - before) == 1 and len(names[0]) == len(before)


@needs_beam
def test_a_fault_of_a_worker_is_one_line(source, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Job, "check", lambda job: (_ for _ in ()).throw(ConversionError("host: no."))
    )
    with pytest.raises(ConversionError, match=r"^runner='direct' failed \(host: no\)\.$"):
        convert(source, tmp_path / "out")


@needs_beam
@pytest.mark.parametrize("runner", ["spark", "flink"])
def test_the_pipeline_of_a_cluster_is_made_of_names_alone(job, runner):
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PortableOptions

    options = pipeline_options(runner, "--job_endpoint=host:8099 --environment_type=LOOPBACK")
    names = [f"train-{number:05d}.part" for number in range(1000)]
    pipeline = make_pipeline(job, names, "parts", runner, options)
    proto = pipeline.to_runner_api()
    assert options.view_as(PortableOptions).job_endpoint == "host:8099"
    assert proto.ByteSize() < 200_000
    steps = {step.unique_name for step in proto.components.transforms.values()}
    assert {"Names of parts", "Write parts"} <= steps
    again = Pipeline.from_runner_api(proto, pipeline.runner, options).to_runner_api()
    assert len(again.components.transforms) == len(proto.components.transforms)


@needs_beam
@pytest.mark.parametrize("runner", ["spark", "flink"])
def test_a_job_server_makes_the_same_data_set(source, tmp_path, runner):
    write_broken(source / "a" / "bad.avi")
    options = "--job_endpoint=embed --environment_type=LOOPBACK"
    convert(source, tmp_path / "a" / "out", "local", skip_unreadable=True)
    convert(source, tmp_path / "b" / "out", runner, options, skip_unreadable=True)
    assert contents(tmp_path / "a" / "out") == contents(tmp_path / "b" / "out")


@needs_beam
@pytest.mark.parametrize("endpoint", ["localhost:1", "localhost"])
def test_a_job_server_that_does_not_answer_is_one_line(source, tmp_path, endpoint):
    with pytest.raises(ConversionError, match=f"no job server answers at .*{endpoint} "):
        convert(source, tmp_path / "out", "flink", f"--job_endpoint={endpoint}")
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


@needs_beam
@pytest.mark.parametrize(
    "runner, text, message",
    [
        (
            "direct",
            "--direct_num_workers=two",
            "runner_options: argument --direct_num_workers: inv",
        ),
        ("direct", "--direct_num_worker=2", "unknown option --direct_num_worker;.*num_workers"),
        ("dataflow", "--region=europe-west1", "runner_options: .*Missing required option: project"),
        ("dataflow", "--projekt=p", "runner_options: unknown option --projekt;"),
        ("flink", "--runner=SparkRunner", "names a runner; give --runner outside"),
        ("flink", "--flink_version=0.1", "argument --flink_version: invalid choice"),
        ("spark", "spark_version=3", "'spark_version=3' is no option; write --name=value"),
        ("spark", "--spark_master_url='local", "No closing quotation"),
    ],
)
def test_wrong_options_of_a_runner_are_one_line(source, tmp_path, runner, text, message):
    with pytest.raises(ConversionError, match=message) as caught:
        convert(source, tmp_path / "out", runner, text)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


@needs_beam
def test_options_of_a_job_server_are_passed_on():
    options = pipeline_options("flink", "--object_reuse=true --parallelism=4")
    given = options.get_all_options(retain_unknown_options=True)
    assert given["object_reuse"] == "true" and given["parallelism"] == 4


def test_an_unknown_runner_is_refused_with_the_known_ones(source, tmp_path):
    flags = [f"--source_dir={source}", f"--out_dir={tmp_path / 'out'}"]
    assert "<local|direct|dataflow|spark|flink>" in end_of_main(*flags, "--runner=sparc")
    with pytest.raises(ConversionError, match="use one of local, direct, dataflow, spark, flink"):
        FolderOptions(runner="sparc")
    with pytest.raises(ConversionError, match=r"runner='sparc': no runner of Apache Beam;.*spark"):
        pipeline_options("sparc")


def test_options_of_no_runner_are_refused(source, tmp_path):
    flags = [f"--source_dir={source}", f"--out_dir={tmp_path / 'out'}"]
    line = end_of_main(*flags, "--runner_options=--parallelism=4")
    assert "give a runner other than local too" in line


@needs_beam
def test_an_address_is_no_folder_of_a_data_set(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = end_of_main(f"--source_dir={source}", "--out_dir=gs://bucket/mine", "--runner=direct")
    assert "gs://bucket/mine: is an address; mount the store as a folder" in line
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


def test_without_the_package_one_line_tells_how_to_install_it(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    flags = [f"--source_dir={source}", f"--out_dir={tmp_path / 'out'}", "--runner=direct"]
    line = end_of_main(*flags)
    assert "needs the package apache-beam. Run pip install 'kerasvid[beam]'" in line
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
