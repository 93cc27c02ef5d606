"""Conversion on Apache Beam: the bytes of `conversion.write_dataset`, made by many machines.

What it takes: the items of each split in order, a reader of items that can be pickled, the name of
a runner and its options. What it gives: the data set that `write_dataset` makes of the same items,
to the byte, and the list `OUT_DIR.unreadable.jsonl` of the items that cannot be read.

The `index` of a video depends on how many videos before it can be read. So there are two pipelines:

1. Parts. A task reads the items of a part, 64 in a row, and writes their records without `index`.
2. Places. This process goes through what the tasks say of their items, in order: which ones are
   unreadable, whether an id occurs twice, which classes lose all videos. Now the places of all
   records are known, and so are the shards.
3. Shards. A task copies the records of a shard from the parts, with their `index`.
4. This process writes `dataset.json` and renames the folder.

All of it lies in `OUT_DIR.unfinished` until then, the records twice. A task leaves a description of
its file there, with a digest of what the file was made from and the SHA-256 of its bytes. A killed
run begins with the tasks that have none, or another digest, or whose file has another SHA-256.

What it refuses, with one line each: flags or versions that are not those of the run which left the
folder, since its files would not belong together; workers that see another folder or other files
than this process; options that the runner does not have; and whatever `write_dataset` refuses.
Source files that have changed are read again.
"""

import contextlib
import copy
import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import io
import itertools
import json
import os
import pickle
import re
import shlex
import shutil
import socket
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np
import PIL
import tensorflow as tf

from kerasvid.data.records import (
    DatasetInfo,
    ShardInfo,
    SplitInfo,
    Video,
    finish_example,
    shard_name,
)
from kerasvid.data.shards import ShardWriter, hash_file, write_info
from kerasvid.io import (
    atomic_write,
    cause_of,
    lock,
    read_text,
    remove_leftovers,
    replace_folder,
    shown_name,
    temporary_name,
)
from kerasvid.naming import nearest_names
from tfrecords_tools.conversion import (
    ConversionError,
    Encoder,
    check_out_dir,
    check_quality,
    check_splits,
    is_one_rate,
    kept_names,
    lost_split,
    no_readable_video,
    progress_bar,
    read_examples,
    renumber,
    repeated_id,
    unreadable_files,
    writing_errors,
)
from tfrecords_tools.frame_loss import FrameLoss, describe_loss

# Beam's names of the runners. Its DirectRunner would download a program first; the FnApiRunner is
# what it runs pipelines like these with otherwise.
_BEAM_RUNNERS = {
    "direct": "FnApiRunner",
    "dataflow": "DataflowRunner",
    "spark": "SparkRunner",
    "flink": "FlinkRunner",
}
RUNNERS = ("local", *_BEAM_RUNNERS)
UNFINISHED = ".unfinished"
UNREADABLE_LIST = ".unreadable.jsonl"
_STATE_FILE = "conversion.json"
_FOLDERS = ("tasks", "parts", "shards", "done")
_ITEMS_PER_PART = 64
_ANSWER_SECONDS = 10.0  # within which a job server must answer
# The server of a cluster has options that Beam does not know here.
_KNOWS_ALL_OPTIONS = ("direct", "dataflow")
_ON_ALL_CORES = ("--direct_num_workers=0", "--direct_running_mode=multi_threading")


class Item(Protocol):
    """One video before it is read, such as a `source_files.Clip`; it can be pickled."""

    @property
    def id(self) -> str: ...

    @property
    def paths(self) -> tuple[str, ...]: ...


class Reader(Protocol):
    """Makes videos of items, as `load` of `write_dataset`; it can be pickled.

    It may note what is reported at the end: workers return their notes as JSON.
    """

    def __call__(self, item: Any, /) -> Video | Iterable[Video]: ...

    def notes(self) -> dict[str, Any]: ...

    def add_notes(self, notes: Mapping[str, Any], /) -> None: ...


def write_dataset_on_beam(
    out_dir: str | os.PathLike,
    info: DatasetInfo,
    splits: Mapping[str, Sequence[Item]],
    reader: Reader,
    *,
    runner: str,
    runner_options: str = "",
    flags: Mapping[str, Any] | None = None,
    videos_per_shard: int = 512,
    progress: bool = True,
    overwrite: bool = False,
    skip_unreadable: bool = False,
    jpeg_quality: int | None = None,
) -> DatasetInfo:
    """Writes a data set of records on Apache Beam; see the module for how.

    All machines must see `out_dir` and the files of the items under the same paths.

    Args:
        out_dir, info, splits, videos_per_shard, progress, overwrite, skip_unreadable,
            jpeg_quality: as of `conversion.write_dataset`.
        reader: makes videos of an item. Frame rates are those of the last video of an item.
        runner: one of `RUNNERS` but "local".
        runner_options: of the runner, as on a command line.
        flags: by name, what else the records depend on. A run with other flags does not resume.

    Returns:
        `info` with its splits filled in, as in `dataset.json`.

    Raises:
        ConversionError: as of `conversion.write_dataset`, Beam is not installed, the runner fails
            or refuses its options, workers do not see the folders, or an unfinished conversion was
            begun with other flags. Finished parts and shards are kept.

    Example:
        >>> reader = FolderReader(FolderOptions(), {})
        >>> write_dataset_on_beam("data/mine", info, {"train": clips}, reader, runner="direct")
    """
    options = pipeline_options(runner, runner_options)
    if "://" in os.fspath(out_dir):
        raise ConversionError(
            f"{os.fspath(out_dir)}: is an address; mount the store as a folder on this machine and "
            "all workers, and give its path as --out_dir."
        )
    _check_job_server(options)
    check_splits(out_dir, splits)
    check_quality(info, jpeg_quality)
    out_dir = os.path.abspath(os.fspath(out_dir))
    remove_leftovers(*os.path.split(out_dir))
    check_out_dir(out_dir, overwrite=overwrite)
    settings = {
        **versions(),
        "encoding": info.encoding,
        "frame_shape": list(info.frame_shape),
        "attribute_names": list(info.attribute_names),
        "videos_per_shard": videos_per_shard,
        "jpeg_quality": jpeg_quality,
        **(flags or {}),
    }
    folder = out_dir + UNFINISHED
    with writing_errors(out_dir, folder), _unfinished_folder(folder, settings) as token:
        run = functools.partial(_run, runner=runner, options=options, progress=progress)
        job = Job(folder, token, info, reader, jpeg_quality)
        parts = {split: [*_parts(split, items, info)] for split, items in splits.items()}
        described = run(job, "parts", [*itertools.chain(*parts.values())])
        for description in described.values():
            reader.add_notes(description["notes"])
        _list_unreadable(out_dir, parts, described)
        placed = _place(out_dir, info, parts, described, videos_per_shard, skip_unreadable)
        job = dataclasses.replace(job, info=placed.info)
        written = run(job, "shards", [*itertools.chain(*placed.shards.values())])
        info = dataclasses.replace(
            placed.info,
            splits={
                split: SplitInfo(
                    len(placed.lengths[split]),
                    min(placed.lengths[split]),
                    max(placed.lengths[split]),
                    tuple(ShardInfo(**written[shard.name]["file"]) for shard in shards),
                )
                for split, shards in placed.shards.items()
            },
        )
        building = job.path("shards")
        for name in os.listdir(building):  # a killed process may have left half a file
            if name not in written:
                os.remove(os.path.join(building, name))
        write_info(building, info)
        check_out_dir(out_dir, overwrite=overwrite)
        # By way of a name from which a replaced data set is restored.
        replace_folder(building, temporary_name(out_dir))
        replace_folder(temporary_name(out_dir), out_dir)
        shutil.rmtree(folder, ignore_errors=True)
    losses = [FrameLoss(**loss) for each in described.values() for loss in each["losses"]]
    for line in [*placed.lines, *([describe_loss(losses)] if losses else [])]:
        print(line, file=sys.stderr)
    return info


# === Runners ===


def pipeline_options(runner: str, text: str = "") -> Any:
    """The options of a runner, checked as far as possible before it runs.

    Args:
        runner: one of `RUNNERS` but "local".
        text: options as on a command line. The direct runner uses all cores by default.

    Returns:
        A `PipelineOptions` of Beam.

    Raises:
        ConversionError: Beam is not installed, the runner or an option is unknown, a value is not
            accepted, or one is missing.

    Example:
        >>> options = pipeline_options("flink", "--flink_master=host:8081")
    """
    if runner not in _BEAM_RUNNERS:
        nearest = nearest_names(runner, [*_BEAM_RUNNERS])
        raise ConversionError(f"runner={runner!r}: no runner of Apache Beam; {nearest}.")
    beam = _package(runner)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConversionError(f"runner_options={text!r}: {error}; close the quotes.") from error
    if words and not words[0].startswith("--"):
        raise ConversionError(f"runner_options: {words[0]!r} is no option; write --name=value.")
    if any(word.partition("=")[0] == "--runner" for word in words):
        raise ConversionError("runner_options: names a runner; give --runner outside of them only.")
    words = [*(_ON_ALL_CORES if runner == "direct" else ()), *words]
    kind, usage = beam.options.pipeline_options.PipelineOptions, io.StringIO()
    try:
        with contextlib.redirect_stderr(usage), contextlib.redirect_stdout(usage):
            options = kind(words)
            given = options.get_all_options(retain_unknown_options=True)
    except SystemExit as error:
        why = usage.getvalue().rpartition("error: ")[2].strip()
        raise ConversionError(f"runner_options: {cause_of(ValueError(why))}.") from error
    known = kind([]).get_all_options()
    if runner in _KNOWS_ALL_OPTIONS and (unknown := sorted(given.keys() - known.keys())):
        nearest = nearest_names(unknown[0], [*known])
        raise ConversionError(f"runner_options: unknown option --{unknown[0]}; {nearest}.")
    try:
        beam.Pipeline(runner=_BEAM_RUNNERS[runner], options=options)
    except Exception as error:  # of many runners and their packages
        raise ConversionError(f"runner_options: {cause_of(error)}.") from error
    return options


def _check_job_server(options: Any) -> None:
    """Raises ConversionError if no job server answers: Beam would wait for it without end."""
    endpoint = options.get_all_options()["job_endpoint"]
    if not endpoint or endpoint == "embed":  # one in this process
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConversionError(
            f"runner_options: no job server answers at --job_endpoint={endpoint} "
            f"({cause_of(error)}); start it, or correct HOST:PORT."
        ) from error


def make_pipeline(job: "Job", names: Sequence[str], what: str, runner: str, options: Any) -> Any:
    """The pipeline that does tasks of a job.

    Args:
        job: that they belong to.
        names: of the tasks. Their content is read from the folder of the job: a pipeline may not
            be larger than a few megabytes.
        what: they make, for the pages of a runner.
        runner, options: as of `pipeline_options`.

    Returns:
        A `Pipeline` of Beam.
    """
    beam = _package(runner)
    pipeline = beam.Pipeline(runner=_BEAM_RUNNERS[runner], options=options)
    tasks = pipeline | f"Names of {what}" >> beam.Create(list(names)) | beam.Reshuffle()
    _ = tasks | f"Write {what}" >> beam.Map(functools.partial(do_task, job))
    return pipeline


def _package(runner: str) -> Any:
    try:
        return importlib.import_module("apache_beam")
    except ImportError as error:
        raise ConversionError(
            f"runner={runner!r} needs the package apache-beam. Run pip install 'kerasvid[beam]'."
        ) from error


def _run(
    job: "Job", what: str, tasks: Sequence["Task"], *, runner: str, options: Any, progress: bool
) -> dict[str, dict[str, Any]]:
    """Does the tasks that are not done yet; returns the descriptions of all by name."""
    wanted = {task.name: task for task in tasks}
    for name in {*os.listdir(job.path(what)), *wanted}:
        if name.startswith("partial-"):  # a task of an earlier run may be writing it
            continue
        if name not in wanted or not _is_finished(_description(job, wanted[name])):
            for path in (job.path(what, name), job.done(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
    for task in tasks:
        with atomic_write(job.path("tasks", task.name)) as temporary, open(temporary, "wb") as file:
            pickle.dump(task, file)
    if earlier := sum(os.path.exists(job.done(name)) for name in wanted):
        line = f"resuming {job.folder}: {earlier} of {len(wanted)} {what} are finished"
        print(line, file=sys.stderr)
    pipeline = make_pipeline(job, [*wanted], what, runner, options)
    with _shown_progress(job, [*wanted], what, progress):
        try:
            state = pipeline.run().wait_until_finish()
        except Exception as error:  # of many runners and their packages
            raise ConversionError(f"runner={runner!r} failed ({_cause(error)}).") from error
    if state != "DONE":
        raise ConversionError(f"runner={runner!r} ended as {state}; see its log.")
    described = {}
    for name, task in wanted.items():
        if (description := _description(job, task)) is None:
            raise ConversionError(
                f"{job.path(what, name)}: was not written, though the runner reports success; "
                "mount --out_dir under the same path on this machine and all workers."
            )
        if fault := description.get("error"):
            raise OSError(*fault)
        described[name] = description
    return described


def _cause(error: BaseException) -> str:
    """The line of an exception in a worker, without the stack that Beam puts before it."""
    lines = re.findall(r"^(?:[\w.]+\.)?\w+(?:Error|Exception): (.+)$", str(error), re.MULTILINE)
    text = lines[-1] if lines else cause_of(error)
    return re.sub(r"\s*\[while running .*", "", text).rstrip(". ")


@contextlib.contextmanager
def _shown_progress(job: "Job", names: Sequence[str], what: str, shown: bool) -> Iterator[None]:
    """Shows how many tasks are done, on whatever machine."""
    ended = threading.Event()

    def update() -> None:
        done = {os.path.basename(job.done(name)) for name in names}
        bar.update(len(done & {*os.listdir(job.path("done"))}) - bar.n)

    def watch() -> None:
        while not ended.wait(1.0):
            with contextlib.suppress(OSError):
                update()

    with progress_bar(len(names), shown, what) as bar:
        thread = threading.Thread(target=watch, daemon=True)
        if shown:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if shown:
                thread.join()
                update()


# === The unfinished folder ===


@contextlib.contextmanager
def _unfinished_folder(folder: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Makes or takes over the folder of a conversion, for one process at a time.

    Args:
        folder: that may have been left by a killed run.
        settings: what its files depend on, except the items.

    Yields:
        A text that tells this run from all others.

    Raises:
        ConversionError: the folder is in use, is of something else, or has other settings.
    """
    os.makedirs(folder, exist_ok=True)
    state_path = os.path.join(folder, _STATE_FILE)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(os.path.join(folder, ".lock")))
        except BlockingIOError as error:
            raise ConversionError(f"{folder}: another process writes it; wait for it.") from error
        if os.path.exists(state_path):
            try:
                begun = json.loads(read_text(state_path))["settings"]
            except (ValueError, KeyError) as error:
                raise ConversionError(f"{state_path}: is broken; delete {folder}.") from error
            now = json.loads(json.dumps(settings))
            changed = sorted(k for k in {*begun, *now} if begun.get(k) != now.get(k))
            if changed:
                first = changed[0]
                raise ConversionError(
                    f"{folder}: begun with {first}={begun.get(first)}, not {now.get(first)}; give "
                    "the same again, or delete the folder to begin anew."
                )
        elif {*os.listdir(folder)} - {".lock"}:
            raise ConversionError(f"{folder}: is no unfinished conversion; move it away.")
        token = uuid.uuid4().hex
        with atomic_write(state_path) as temporary, open(temporary, "w") as file:
            json.dump({"token": token, "settings": settings}, file, indent=1)
        for name in _FOLDERS:
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        try:
            yield token
        except BaseException:  # Ctrl-C, too
            if os.listdir(os.path.join(folder, "done")):
                what = "what is finished is kept; run the command again to resume"
                print(f"{folder}: {what}, or delete the folder", file=sys.stderr)
            else:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def versions() -> dict[str, str]:
    """The versions of the packages that read and write frames, by name."""
    own = importlib.metadata.version("kerasvid")
    return {"kerasvid": own, "opencv": cv2.__version__, "pillow": PIL.__version__}


@dataclasses.dataclass(frozen=True)
class Job:
    """What all tasks of a conversion share; workers get it with the pipeline.

    Args:
        folder: of the unfinished conversion, under this path on all machines.
        token: that its `conversion.json` has while this job runs.
        info: the description of the data set, without splits.
        reader: of the items, without notes.
        jpeg_quality: as of `conversion.write_dataset`.
        versions: of `versions`, on which the bytes of frames depend.
    """

    folder: str
    token: str
    info: DatasetInfo
    reader: Reader
    jpeg_quality: int | None
    versions: Mapping[str, str] = dataclasses.field(default_factory=lambda: versions())

    def path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)

    def done(self, name: str) -> str:
        """Path of the description that a task leaves."""
        return self.path("done", f"{name}.json")

    def check(self) -> None:
        """Raises ConversionError where this machine or its software is not as the job needs."""
        host = socket.gethostname()
        try:
            token = json.loads(read_text(self.path(_STATE_FILE)))["token"]
        except (OSError, ValueError, KeyError) as error:
            raise ConversionError(
                f"{self.folder}: {host} does not see this folder; mount it under the same path on "
                "all workers."
            ) from error
        if token != self.token:
            raise ConversionError(
                f"{self.folder}: another run writes it now, or {host} sees another folder; mount "
                "the same folder on all workers."
            )
        for name, found in versions().items():
            if found != self.versions[name]:
                raise ConversionError(
                    f"{host} has {name} {found}, not {self.versions[name]}; install the same "
                    "versions on all workers."
                )


def do_task(job: Job, name: str) -> None:
    """Does one task on a worker, unless it is done: its file and then its description appear.

    Raises:
        ConversionError: as `Job.check`.
    """
    job.check()
    with open(job.path("tasks", name), "rb") as file:
        task: Task = pickle.load(file)
    description = _description(job, task)
    if description and _is_finished(description) and _is_whole(job, task, description["file"]):
        return
    try:
        description = task.work(job)
    except (OSError, tf.errors.OpError) as error:  # the job reports it: a runner would try again
        text = getattr(error, "strerror", None) or str(error)
        description = {"error": [getattr(error, "errno", None) or 0, text]}
    job.check()  # a run that has followed meanwhile would take this for its own
    with atomic_write(job.done(name)) as temporary, open(temporary, "w") as file:
        json.dump({"digest": task.digest, **description}, file)


def _description(job: Job, task: "Task") -> dict[str, Any] | None:
    """The description that a task has left, if it is of this very task."""
    try:
        description = json.loads(read_text(job.done(task.name)))
    except (OSError, ValueError):
        return None
    return description if description.get("digest") == task.digest else None


def _is_finished(description: Mapping[str, Any] | None) -> bool:
    if description is None:
        return False
    return not (description.get("error") or description.get("refused"))


def _is_whole(job: Job, task: "Task", file: Mapping[str, Any] | None) -> bool:
    """Whether the file of a task is the one that it has described."""
    if file is None:
        return True
    try:
        return hash_file(job.path(task.folder, task.name)) == (file["sha256"], file["bytes"])
    except OSError:
        return False


# === Parts ===


@dataclasses.dataclass(frozen=True)
class Part:
    """The task to read some items of a split.

    Args:
        name: of its file.
        digest: of the items, the state of their files and the names of the classes.
        items: in order.
        sizes: the bytes of the files of each item, -1 where there is no file.
    """

    folder: ClassVar[str] = "parts"
    name: str
    digest: str
    items: tuple[Item, ...]
    sizes: tuple[tuple[int, ...], ...]

    def work(self, job: Job) -> dict[str, Any]:
        """Writes the records of the items, without `index`.

        Returns:
            `file`, a `ShardInfo` or none; `items`, of each the `fault` or the values of its
            `records`; `notes` of the reader; `losses` of JPEG frames; and `refused`, why the data
            set cannot be made, if so. The items after that are left out.
        """
        reader = copy.deepcopy(job.reader)
        encoder = Encoder(job.info, reader, None, True, job.jpeg_quality, None, job.folder)
        found: list[dict[str, Any]] = []
        refused, writer = "", None
        with contextlib.ExitStack() as stack:
            for item, sizes in zip(self.items, self.sizes, strict=True):
                try:
                    _check_files(item, sizes)
                    encoded = encoder.encode(item)
                except ValueError as error:
                    refused = str(error)
                    break
                if isinstance(encoded, str):
                    found.append({"fault": encoded})
                    continue
                file, rate = encoded
                values = []
                with file:
                    for example in read_examples(file):
                        feature = example.features.feature
                        feature["fps"].float_list.value[:] = [rate]
                        if writer is None:
                            path = job.path(self.folder, self.name)
                            writer = stack.enter_context(ShardWriter(path))
                        writer.write(example.SerializeToString(deterministic=True))
                        values.append([
                            feature["id"].bytes_list.value[0].decode(),
                            feature["length"].int64_list.value[0],
                            round(feature["fps"].float_list.value[0], 3),
                            feature["label"].int64_list.value[0],
                            feature["identity"].int64_list.value[0],
                        ])  # fmt: skip
                found.append({"records": values})
            job.check()  # before the file appears
        info = dataclasses.asdict(writer.info) if writer else None
        return {
            "file": info,
            "items": found,
            "notes": reader.notes(),
            "losses": [dataclasses.asdict(loss) for loss in encoder.losses],
            "refused": refused,
        }


def _parts(split: str, items: Sequence[Item], info: DatasetInfo) -> Iterator[Part]:
    names = repr((info.class_names, info.identity_names))
    for number, first in enumerate(range(0, len(items), _ITEMS_PER_PART)):
        some = tuple(items[first : first + _ITEMS_PER_PART])
        states = [tuple(map(_file_state, item.paths)) for item in some]
        digest = _digest(names, repr(some), repr(states))
        sizes = tuple(tuple(state[0] for state in files) for files in states)
        # A late task of an earlier run, of other files, writes another name.
        yield Part(f"{split}-{number:05d}-{digest[:16]}.part", digest, some, sizes)


def _file_state(path: str) -> tuple[int, ...]:
    """The size of a file and the times of its last changes, or (-1,) if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (-1,)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _check_files(item: Item, sizes: Sequence[int]) -> None:
    """Raises ConversionError where a worker sees other files than the process that began."""
    for path, size in zip(item.paths, sizes, strict=True):
        if (seen := _file_state(path)[0]) != size:
            host, what = socket.gethostname(), "no file" if seen < 0 else f"{seen} bytes"
            was = "no file" if size < 0 else f"{size} bytes"
            raise ConversionError(
                f"{shown_name(path)}: {host} sees {what}, but it was {was}; mount --source_dir "
                "under the same path on all workers, and change no file meanwhile."
            )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


# === Places ===


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where every record goes.

    Args:
        info: the description of the data set, without splits.
        shards: of each split that has a video.
        lengths: of its videos.
        lines: what is left out, a line each.
    """

    info: DatasetInfo
    shards: dict[str, list["Shard"]]
    lengths: dict[str, list[int]]
    lines: list[str]


def _place(
    out_dir: str,
    info: DatasetInfo,
    parts: Mapping[str, Sequence[Part]],
    described: Mapping[str, Mapping[str, Any]],
    videos_per_shard: int,
    skip_unreadable: bool,
) -> Placed:
    """Goes through the items as `conversion.write_dataset` does, which raises the same errors."""
    unreadable: list[str] = []
    ids: set[str] = set()
    rates: set[float] = set()
    used: dict[str, set[int]] = {"label": set(), "identity": set()}
    lost: dict[str, set[str]] = {"label": set(), "identity": set()}
    lengths: dict[str, list[int]] = {}
    lines = []
    for split, some in parts.items():
        found: list[int] = []
        for part in some:
            description = described[part.name]
            for item, result in zip(part.items, description["items"], strict=False):
                if "fault" in result:
                    unreadable.append(result["fault"])
                    lost["label"].add(getattr(item, "class_name", ""))
                    lost["identity"].add(getattr(item, "identity", ""))
                    continue
                if unreadable and not skip_unreadable:
                    continue
                for name, length, rate, label, identity in result["records"]:
                    if name in ids:
                        raise repeated_id(name)
                    ids.add(name)
                    rates.add(rate)
                    used["label"].add(label)
                    used["identity"].add(identity)
                    found.append(length)
            if description["refused"]:
                raise ConversionError(description["refused"])
        if unreadable and not skip_unreadable:
            raise unreadable_files(unreadable)
        if found:
            lengths[split] = found
        elif not lengths:
            raise no_readable_video(out_dir, split, unreadable)
        else:
            lines.append(lost_split(split))
    changed, numbers, names = kept_names(info, used, lost)
    common = info.fps < 0 and is_one_rate(rates)
    fps = float(np.median(list(rates))) if common else info.fps
    files = {
        split: [
            ShardInfo(**file) for part in parts[split] if (file := described[part.name]["file"])
        ]
        for split in lengths
    }
    return Placed(
        dataclasses.replace(info, fps=fps, **changed),
        {split: [*_shards(split, files[split], numbers, videos_per_shard)] for split in lengths},
        lengths,
        [*(f"skipped {line}" for line in unreadable), *lines, *names],
    )


def _list_unreadable(
    out_dir: str, parts: Mapping[str, Sequence[Part]], described: Mapping[str, Mapping[str, Any]]
) -> None:
    """Writes the items that cannot be read beside the data set, a line of JSON each."""
    lines = [
        {
            "id": shown_name(item.id),
            "split": split,
            "path": shown_name(item.paths[0] if len(item.paths) == 1 else
                               os.path.dirname(item.paths[0])),
            "reason": result["fault"],
        }
        for split, some in parts.items()
        for part in some
        for item, result in zip(part.items, described[part.name]["items"], strict=False)
        if "fault" in result
    ]  # fmt: skip
    path = out_dir + UNREADABLE_LIST
    if not lines:  # one of an earlier run would be wrong
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    print(f"{len(lines)} unreadable videos are listed in {path}", file=sys.stderr)


# === Shards ===


@dataclasses.dataclass(frozen=True)
class Shard:
    """The task to write a shard from the records of parts.

    Args:
        name: of the shard.
        digest: of all that its bytes depend on.
        first: the `index` of its first record.
        pieces: the name of a part, its first record and the number of records that are taken.
        numbers: as of `conversion.kept_names`.
    """

    folder: ClassVar[str] = "shards"
    name: str
    digest: str
    first: int
    pieces: tuple[tuple[str, int, int], ...]
    numbers: Mapping[str, Mapping[int, int]]

    def work(self, job: Job) -> dict[str, Any]:
        """Writes the shard; returns its `file`, a `ShardInfo`."""
        index = self.first
        with ShardWriter(job.path(self.folder, self.name)) as writer:
            for part, first, count in self.pieces:
                records = tf.data.TFRecordDataset(job.path("parts", part)).skip(first).take(count)
                for record in records.as_numpy_iterator():
                    example = tf.train.Example.FromString(record)
                    renumber(example, self.numbers)
                    writer.write(finish_example(example, index))
                    index += 1
            job.check()  # before the shard appears
        wanted = sum(count for _, _, count in self.pieces)
        if writer.count != wanted:
            raise OSError(f"{self.name}: {writer.count} of {wanted} records are in the parts")
        return {"file": dataclasses.asdict(writer.info)}


Task = Part | Shard


def _shards(
    split: str, parts: Sequence[ShardInfo], numbers: Mapping, videos_per_shard: int
) -> Iterator[Shard]:
    """The shards of a split, which has at least one record."""
    total = sum(part.count for part in parts)
    starts = [0, *itertools.accumulate(part.count for part in parts)]
    firsts = range(0, total, videos_per_shard)
    for number, first in enumerate(firsts):
        end = min(first + videos_per_shard, total)
        pieces, sources = [], []
        for part, start in zip(parts, starts, strict=False):
            begin, stop = max(first, start), min(end, start + part.count)
            if begin < stop:
                pieces.append((part.file, begin - start, stop - begin))
                sources.append(part.sha256)
        name = shard_name(split, number, len(firsts))
        digest = _digest(name, repr(first), repr(pieces), repr(sources), repr(numbers))
        yield Shard(name, digest, first, tuple(pieces), numbers)
