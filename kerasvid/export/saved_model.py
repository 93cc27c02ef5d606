"""A trained model as a TensorFlow SavedModel, which runs without this library and Python.

Named signatures of a served model: its verbs with chance as seeds, and JPEG for REST clients.

| signature | of | what it takes and gives |
|---|---|---|
| `serving_default` | all | `seed` to `video`; of models of what is in between, `between` |
| `decode` | all | the named noise to `video`, float32 in [-1, 1] |
| `generate_jpeg` | those with `generate` | `seed` to `frames_bytes`, a JPEG a frame |
| `between_jpeg` | those with `between` | two encoded pictures to `frames_bytes` |
| `image`, `encode`, `reconstruct`, ... | those that have it | as `seed_verbs` |

JSON has no bytes: TensorFlow Serving's REST interface writes those outputs in base64 whose name
ends in `_bytes`, and reads `{"b64": "..."}`. A frame of 64x64 then takes some kilobytes, where a
list of its pixels takes fifty.

TensorFlow broadcasts, so that a wrong number of rows or a fraction of 2 would give some video or
other. Each signature looks at both in the graph and refuses them by name.

Sums are rounded otherwise in a batch of 64 than in one of 1: the same seed then gives a pixel in a
hundred thousand that is a level lighter. Servers put requests together as they come, so the
rows are computed one by one, some at the same time, and nothing changes with the company. On a CPU
a batch of 64 takes about 1.4 times as long for it.
The folder of one version of a served model, which appears whole or not at all.
Requests that a server answers before it takes others, so that the first user does not wait.

TensorFlow prepares a signature when it is first used: memory, kernels and an optimised graph. A
server that finds `assets.extra/tf_serving_warmup_requests` beside a model does that at loading.
"""

import contextlib
import dataclasses
import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.export.serving.messages import as_bytes, warm_up_request
from kerasvid.export.signatures import Tensor, Verb, noise_verbs, seeded
from kerasvid.io import is_running, readable_os_errors, temporary_name


def save_signatures(verbs: Mapping[str, Verb], folder: str | os.PathLike) -> dict[str, Any]:
    """Writes verbs as the signatures of a SavedModel, of any batch size.

    It holds the weights that the verbs read, and no others: discriminators and optimizers stay.

    Args:
        verbs: of `served_verbs`, by name of the signature.
        folder: new or empty.

    Returns:
        The traced functions by name.

    Raises:
        OSError, tf.errors.OpError: it cannot be written.

    Example:
        >>> save_signatures(served_verbs(model), "rjvae/1")
        >>> served = tf.saved_model.load("rjvae/1").signatures["serving_default"]
        >>> served(seed=tf.constant([3, 4], tf.int64))["video"].shape
        TensorShape([2, 8, 64, 64, 3])
    """
    traced = {}
    for name, verb in verbs.items():
        # One graph under two names, where both are the same verb.
        twin = next((other for other in traced if verbs[other] is verb), None)
        traced[name] = traced[twin] if twin else verb.traced()
    module = tf.Module()
    module.weights = _weights_of(traced)
    tf.saved_model.save(module, os.fspath(folder), signatures=traced)
    return traced


def _weights_of(traced: Mapping[str, Any]) -> list[tf.Variable]:
    """The variables that functions read, each once."""
    found = {id(variable): variable for f in traced.values() for variable in f.variables}
    return list(found.values())


def bytes_of(folder: str | os.PathLike) -> int:
    """What the files of a folder take."""
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


DEFAULT = "serving_default"
JPEG_QUALITY = 95


def served_verbs(
    model: keras.Model, frames: int | None = None, whole_batches: bool = False
) -> dict[str, Verb]:
    """What a served model can be asked for, by the name of the signature.

    Args:
        model: of `load_for_export`.
        frames: T, the model's own where `None`.
        whole_batches: whether to compute all rows at once, as a GPU wants it; a row then depends on
            their number, in the last bits.

    Raises:
        ValueError: the model makes no clips of that length.

    Example:
        >>> verb = served_verbs(model)["generate_jpeg"]
        >>> verb(seed=tf.constant([7], tf.int64))["frames_bytes"].shape
        TensorShape([1, 8])
    """
    noisy = noise_verbs(model, frames)
    verbs = seeded(noisy)
    if "between" in verbs:
        verbs = {DEFAULT: verbs["between"], **verbs, "between_jpeg": between_jpeg(verbs["between"])}
    else:
        drawn = verbs.pop("generate")
        verbs = {DEFAULT: drawn, "generate_jpeg": with_jpeg_frames(drawn), **verbs}
    verbs["decode"] = noisy["decode"]
    finish = checked if whole_batches else lambda verb: checked(row_by_row(verb))
    finished = {id(verb): finish(verb) for verb in verbs.values()}  # one of two names is one still
    return {name: finished[id(verb)] for name, verb in verbs.items()}


# === Pictures as bytes ===


def with_jpeg_frames(verb: Verb) -> Verb:
    """A verb that gives `video` in pixels, with a JPEG a frame instead: `frames_bytes` [B, T].

    They are of quality 95 with colours at full resolution: small frames show it.
    """

    def function(**given):
        return {"frames_bytes": _as_jpeg(verb(**given)["video"])}

    frames = verb.outputs["video"].shape[0]
    outputs = {"frames_bytes": Tensor((frames,), tf.string, "a JPEG a frame")}
    summary = f"{verb.summary}, as JPEG"
    return dataclasses.replace(verb, function=function, outputs=outputs, summary=summary)


def between_jpeg(verb: Verb) -> Verb:
    """`between` from encoded pictures to encoded frames.

    PNG and JPEG are read, and BMP and the first frame of GIF; of a PNG with transparency the
    colours. Pictures of another size than the model's are refused: whether to crop or to stretch
    them is not the server's to choose.
    """
    ends = ("first", "last")
    shape = verb.inputs["first"].shape

    def function(**given):
        pixels = {name: _decoded(name, given.pop(f"{name}_bytes"), shape) for name in ends}
        return {"frames_bytes": _as_jpeg(verb(**pixels, **given)["video"])}

    what = f"frame, a PNG or JPEG of {_size(shape)}"
    inputs = {f"{name}_bytes": Tensor((), tf.string, f"the {name} {what}") for name in ends}
    inputs |= {name: each for name, each in verb.inputs.items() if name not in ends}
    encoded = with_jpeg_frames(verb)
    return dataclasses.replace(encoded, function=function, inputs=inputs)


def _size(shape: tuple[int, ...]) -> str:
    """Width, then height, as of pictures."""
    return f"{shape[1]}x{shape[0]} pixels"


def _as_jpeg(videos: tf.Tensor) -> tf.Tensor:
    """JPEGs string [B, T] of uint8 [B, T, H, W, C]."""
    shape = tf.shape(videos)
    one_by_one = tf.concat([[shape[0] * shape[1]], shape[2:]], axis=0)
    pictures = tf.reshape(videos, one_by_one)  # [B T, H, W, C]
    encoded = tf.map_fn(
        lambda frame: tf.io.encode_jpeg(frame, quality=JPEG_QUALITY, chroma_downsampling=False),
        pictures,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )
    return tf.reshape(encoded, shape[:2])


def _decoded(name: str, encoded: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """uint8 [B, H, W, C] of encoded pictures [B]."""
    message = f"{name}_bytes: the model takes pictures of {_size(shape)}, resize them; height and "
    message += "width of this one are"

    def decode(picture):
        pixels = tf.io.decode_image(picture, channels=shape[-1], expand_animations=False)
        fits = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], shape[:2]))
        with tf.control_dependencies(
            [tf.debugging.Assert(fits, [message, tf.shape(pixels)[:2]], summarize=2)]
        ):
            pixels = tf.identity(pixels)
        # Of the right shape in any case, so that what fails is the assertion.
        return tf.image.resize_with_crop_or_pad(pixels, *shape[:2])

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


# === Rows ===


def row_by_row(verb: Verb) -> Verb:
    """The verb, computing a row as it does where it is alone, to the bit."""

    def one(row):
        outputs = verb(**{name: value[None] for name, value in row.items()})
        return {name: value[0] for name, value in outputs.items()}

    def function(**given):
        signature = {name: each.row() for name, each in verb.outputs.items()}
        return tf.map_fn(one, given, fn_output_signature=signature)

    return dataclasses.replace(verb, function=function)


# === What is refused ===


def checked(verb: Verb) -> Verb:
    """The verb, with inputs of different numbers of rows and numbers out of range refused.

    Seeds and rows of tables refuse themselves what is out of their range.
    """

    def function(**given):
        with tf.control_dependencies([*_row_checks(given), *_range_checks(verb.inputs, given)]):
            given = {name: tf.identity(value) for name, value in given.items()}
        return verb(**given)

    return dataclasses.replace(verb, function=function)


def _row_checks(given: Mapping[str, tf.Tensor]) -> list[tf.Operation]:
    rows = {name: tf.shape(value)[0] for name, value in given.items()}
    names = ", ".join(rows)
    same = tf.reduce_all(tf.equal(tf.stack(list(rows.values())), next(iter(rows.values()))))
    message = f"Give as many rows of each of {names}; there are"
    if len(rows) == 1:
        return []
    return [tf.debugging.Assert(same, [message, *rows.values()])]


def _range_checks(inputs: Mapping[str, Tensor], given: Mapping[str, tf.Tensor]) -> list:
    checks = []
    for name, each in inputs.items():
        if each.shape or not each.dtype.is_floating or each.least is None:
            continue
        least, most = each.least, each.dtype.max if each.most is None else each.most
        value = given[name]
        fits = tf.reduce_all((value >= least) & (value <= most))  # of NaN, neither
        wanted = f"{least} or more" if each.most is None else f"from {least} to {most}"
        message = f"{name}: give numbers {wanted}, one a row; got"
        checks.append(tf.debugging.Assert(fits, [message, value], summarize=8))
    return checks


_NUMBER = re.compile(r"[1-9]\d{0,17}")


class VersionError(ValueError):
    """A version cannot be written where it is to go; the message says why and what to do."""


def check_version_folder(path: str | os.PathLike) -> pathlib.Path:
    """Sees whether a version may be written to a path; writes nothing.

    TensorFlow Serving is told the folder of a model, and serves the highest number in it.

    Args:
        path: `.../<model>/<number>`.

    Raises:
        VersionError: the last part is no number from 1 on, something is there already, or the path
            is remote.

    Example:
        >>> check_version_folder("export/models/rjvae/1").name
        '1'
    """
    text = os.fspath(path)
    if "://" in text:
        raise VersionError(f"{text}: write to a local folder and copy it there when it is whole.")
    path = pathlib.Path(text)
    if not _NUMBER.fullmatch(path.name):
        raise VersionError(
            f"{text}: the last part must be the number of a version, 1 or more, as TensorFlow "
            f"Serving takes them; give {path / str(_next_free(path))}."
        )
    if path.exists() or path.is_symlink():
        raise VersionError(
            f"{text}: is there already and stays as it is; give "
            f"{path.with_name(str(_next_free(path.parent)))}."
        )
    return path


@contextlib.contextmanager
def new_version_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A folder beside `path` to write into; it is renamed to `path` when the block succeeds.

    Servers that watch the place do not take the temporary name for a version, as it is no number.
    A failed block leaves nothing behind but folders above it.

    Raises:
        VersionError: as `check_version_folder`, at the start or at the end of the block.
        OSError: it cannot be written; one line with the name, the cause and the remedy.

    Example:
        >>> with new_version_folder("export/models/rjvae/1") as building:
        ...     tf.saved_model.save(module, building)
    """
    path = check_version_folder(path)
    building = pathlib.Path(temporary_name(path))
    _remove_leftovers(path)
    try:
        with _explained(path):
            building.mkdir(parents=True)
            yield building
            _flush_to_disk(building)
            check_version_folder(path)  # another process may have made it in the meantime
            os.rename(building, path)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _next_free(folder: pathlib.Path) -> int:
    """The number behind the highest version in a folder."""
    names = os.listdir(folder) if folder.is_dir() else []
    return 1 + max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0)


@contextlib.contextmanager
def _explained(path: pathlib.Path) -> Iterator[None]:
    """Errors of files, those of TensorFlow too, become one that names the version's folder."""
    with readable_os_errors(path):
        try:
            yield
        except (tf.errors.PermissionDeniedError, tf.errors.ResourceExhaustedError) as error:
            denied = isinstance(error, tf.errors.PermissionDeniedError)
            number = errno.EACCES if denied else errno.ENOSPC
            raise OSError(number, os.strerror(number)) from error


def _remove_leftovers(path: pathlib.Path) -> None:
    """Removes what processes of this host left behind that were killed while writing the same."""
    ours = temporary_name(path.name).removesuffix(str(os.getpid()))
    for entry in path.parent.glob(f"{ours}*"):
        pid = entry.name.removeprefix(ours)
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(entry, ignore_errors=True)


def _flush_to_disk(folder: pathlib.Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


WARM_UP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")


def example_inputs(verbs: Mapping[str, Verb], rows: int = 1) -> dict[str, dict[str, np.ndarray]]:
    """Inputs by signature and name that a model takes: some seed, some noise, some clip.

    Args:
        verbs: of `served_verbs`.
        rows: B.

    Example:
        >>> example_inputs(served_verbs(model))["serving_default"]
        {'seed': array([0])}
    """
    generator = np.random.default_rng(0)
    picture = verbs["between"].inputs["first"] if "between" in verbs else None
    return {
        name: {key: _example(each, rows, generator, picture) for key, each in verb.inputs.items()}
        for name, verb in verbs.items()
    }


def write_warm_up(folder: str | os.PathLike, model: str, verbs: Mapping[str, Verb]) -> int:
    """Writes a request for each signature into the folder of a version.

    Args:
        folder: of the version.
        model: name that it is served under.
        verbs: of `served_verbs`.

    Returns:
        How many.

    Raises:
        OSError, tf.errors.OpError: the file cannot be written.
    """
    path = pathlib.Path(folder, WARM_UP_FILE)
    path.parent.mkdir(exist_ok=True)
    examples = example_inputs(verbs)
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for signature, inputs in examples.items():
            writer.write(as_bytes(warm_up_request(model, signature, inputs)))
    return len(examples)


def _example(
    each: Tensor, rows: int, generator: np.random.Generator, picture: Tensor | None
) -> np.ndarray:
    """Numbers that a named input takes, `[rows, ...]`."""
    shape = (rows, *each.shape)
    if each.dtype == tf.string:
        encoded = tf.io.encode_png(tf.zeros(picture.shape, tf.uint8)).numpy()
        return np.full(shape, encoded, object)
    if each.dtype.is_integer:
        high = 256 if each.dtype == tf.uint8 else 1  # any pixels, the first seed or row
        return generator.integers(0, high, shape, each.dtype.as_numpy_dtype)
    if each.least is not None:
        high = each.least + 1 if each.most is None else each.most
        return generator.uniform(each.least, high, shape).astype(np.float32)
    return generator.standard_normal(shape, np.float32)
