"""The definition of a record, one video on disk, and of `dataset.json`, a data set's description.

A record is one `tf.train.Example` a video:

| feature | type | meaning |
|---|---|---|
| frames | bytes list | one encoded image a frame |
| encoding | bytes | "png", "jpeg" or "raw" (uint8, row by row) |
| index | int64 | 0, 1, 2, ... within a split, dense and stable |
| id | bytes | unique name within the data set |
| length, height, width, channels | int64 | of the video |
| fps | float | frames per second, -1 where unknown |
| label, identity | int64 | class numbers, -1 where unknown |
| attributes | int64 list | further class numbers, possibly empty |
"""

import collections.abc
import dataclasses
import hashlib
import json
import re
import typing
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

FORMAT = "kerasvid-records"
FORMAT_VERSION = 2
SHARD_SUFFIX = ".tfrecord"
RECORD_BYTES = 16  # that a TFRecord file has for each record beside its content
MAX_SIDE = 65535  # pixels of an image that PNG and JPEG files hold in OpenCV and TensorFlow
MAX_FPS = 1e6
ENCODINGS = ("png", "jpeg", "raw")
JPEG_QUALITY = 95
MAX_RECORD_BYTES = 1 << 30  # of frames; protobuf ends at 2 GiB, and readers copy records
REQUIRED = ("encoding", "index", "id", "length", "height", "width", "channels")
REMEDY = "delete the folder and prepare the data set again."
# First and last bytes of an encoded frame; cameras append to JPEGs.
_MARKS = {"png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"), "jpeg": (b"\xff\xd8\xff", b"")}
# OpenCV 4.11 has no choice of filters, and tries all.
_PAETH = [
    getattr(cv2, f"IMWRITE_PNG_{name}")
    for name in ("FILTER", "FILTER_PAETH")
    if hasattr(cv2, "IMWRITE_PNG_FILTER")
]
# For drawn frames, in which earlier pixels are looked for again, and for footage, in which that
# takes half of the time and finds nothing. A video has those that make its first frame smaller.
# Level 3 is a quarter smaller than OpenCV's default and takes as long.
_PNG_OPTIONS = (
    [cv2.IMWRITE_PNG_COMPRESSION, 3],
    [
        cv2.IMWRITE_PNG_COMPRESSION,
        3,
        cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_RLE,
        *_PAETH,
    ],
)
_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
_SURROGATES = re.compile(r"[\ud800-\udfff]")  # bytes of a file name that are not UTF-8
_MISSING = -(2**31)  # the parser's stand-in for an absent integer


class DatasetError(ValueError):
    """A data set is missing, incomplete, altered or not readable; the message says what to do."""


class NotAccepted(ValueError):
    """A `dataset.json` is not as this version wrote it; `kerasvid data verify` can accept it."""


def remedy_of(folder: str) -> str:
    """What to do about a data set that cannot be used."""
    return f"delete the folder {folder} and prepare the data set again"


@dataclasses.dataclass(frozen=True)
class Video:
    """One video in memory.

    Args:
        frames: uint8 array [T, H, W, C], values 0..255, RGB (C = 3) or grey (C = 1).
        id: unique name within the data set.
        fps: frames per second, -1 where unknown.
        label: class number, -1 where unknown.
        identity: number of the person or object, -1 where unknown.
        attributes: further class numbers, one for each attribute of the data set.

    Example:
        >>> Video(np.zeros((8, 64, 64, 3), np.uint8), id="walk/000", label=0)
    """

    frames: np.ndarray
    id: str
    fps: float = -1.0
    label: int = -1
    identity: int = -1
    attributes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """One file of records: its name, number of records, SHA-256 and size in bytes.

    Raises:
        ValueError: the SHA-256 is not 64 hexadecimal digits, or the file cannot hold so many
            records.
    """

    file: str
    count: int
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 is not 64 hexadecimal digits")
        _check_range("count", self.count, 1, self.bytes // RECORD_BYTES)


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split: number of videos, shortest and longest in frames, and its shards.

    Raises:
        ValueError: there are no shards, their counts do not add up, or the lengths are no range.
    """

    count: int
    min_length: int
    max_length: int
    shards: tuple[ShardInfo, ...]

    def __post_init__(self) -> None:
        if not self.shards:
            raise ValueError("there are no shards")
        if (total := sum(shard.count for shard in self.shards)) != self.count:
            raise ValueError(f"count is {self.count}, but the shards have {total} videos")
        _check_range("max_length", self.max_length, 1, 2**31 - 1)
        _check_range("min_length", self.min_length, 1, self.max_length)


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The description of a data set, stored as `dataset.json`.

    Args:
        name, version: of the data set, e.g. "sprites/lpc" and "1".
        height, width, channels: of every frame, in pixels; channels 1 or 3.
        fps: frames per second of every video, -1 where unknown or mixed.
        encoding: of every frame, "png", "jpeg" or "raw".
        class_names, identity_names: a name for each `label` and `identity`.
        attribute_names, attribute_sizes: name and number of values of each attribute.
        licence, source, citation: origin of the data.
        splits: by name, filled in by the writer.

    Raises:
        ValueError: a size, the frame rate, the encoding, the attributes, a text or the name of a
            split or of a shard is invalid.

    Example:
        >>> DatasetInfo("mine", "1", height=64, width=64, channels=3, fps=25.0)
    """

    name: str
    version: str
    height: int
    width: int
    channels: int = 3
    fps: float = -1.0
    encoding: str = "png"
    class_names: tuple[str, ...] = ()
    identity_names: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()
    attribute_sizes: tuple[int, ...] = ()
    licence: str = ""
    source: str = ""
    citation: str = ""
    splits: Mapping[str, SplitInfo] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding={self.encoding!r}: use one of {', '.join(ENCODINGS)}.")
        sides_fit = all(1 <= side <= MAX_SIDE for side in (self.height, self.width))
        if not sides_fit or self.channels not in (1, 3):
            size = f"{self.height}x{self.width}x{self.channels}"
            raise ValueError(
                f"Frames of {size}: use sides of 1 to {MAX_SIDE}, and 1 or 3 channels."
            )
        if self.fps != -1 and not 0 < self.fps < MAX_FPS:
            raise ValueError(f"fps={self.fps}: use frames per second below {MAX_FPS:g}, or -1.")
        if len(self.attribute_names) != len(self.attribute_sizes):
            raise ValueError(
                f"{len(self.attribute_names)} attribute_names but {len(self.attribute_sizes)} "
                "attribute_sizes: give one size for each name."
            )
        for name, values in zip(self.attribute_names, self.attribute_sizes, strict=True):
            _check_range(f"size of the attribute {name!r}", values, 1, 2**31 - 1)
        for name, value in vars(self).items():
            texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
            wrong = [str(text) for text in texts if _SURROGATES.search(str(text))]
            if wrong:
                raise ValueError(f"{name}: {wrong[0][:100]!a} is not UTF-8")
        for split, clips in self.splits.items():
            check_split_name(split)
            for number, shard in enumerate(clips.shards):
                if shard.file != shard_name(split, number, len(clips.shards)):
                    raise ValueError(f"{shard.file!r} is not the name of shard {number} of {split}")

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every frame."""
        return self.height, self.width, self.channels

    def to_json(self) -> str:
        """The text of `dataset.json`, with a SHA-256 of the rest of it in the field "digest"."""
        fields = dataclasses.asdict(self)
        head = {"format": FORMAT, "format_version": FORMAT_VERSION, "digest": _digest(fields)}
        return json.dumps({**head, **fields}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, edited: bool = False) -> "DatasetInfo":
        """Reads what `to_json` wrote.

        Args:
            text: of `dataset.json`.
            edited: whether a digest that differs, and a description of format version 1, which has
                none, are accepted.

        Raises:
            NotAccepted: it is such a description, and `edited` is false.
            ValueError: the text is not JSON, of another format or version, altered, or has a field
                that is missing, unknown, of another type or out of range.
        """
        try:
            fields: Any = json.loads(
                text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
            )
            if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
                raise ValueError(f"not a {FORMAT} description")
            version = fields.pop("format_version", None)
            if version == 1 and type(version) is int and not edited:
                raise NotAccepted(
                    "written by an earlier version of kerasvid, in format version 1: check and "
                    "accept it"
                )
            if type(version) is not int or version not in (1, FORMAT_VERSION):
                found = version if type(version) is int else "unknown"
                raise ValueError(f"format version {found}, this code reads {FORMAT_VERSION}")
            if fields.pop("digest", None) != _digest(fields) and not edited:
                raise NotAccepted(
                    "altered, its digest differs: restore it, or check and accept an edit of yours"
                )
        except json.JSONDecodeError as error:
            raise ValueError(f"broken JSON at line {error.lineno}") from error
        except RecursionError as error:
            raise ValueError("broken JSON, too many nested brackets") from error
        return _from_json(cls, fields)


def shard_name(split: str, number: int, shards: int) -> str:
    """The file name of a shard.

    Example:
        >>> shard_name("train", 0, 4)
        'train-00000-of-00004.tfrecord'
    """
    return f"{split}-{number:05d}-of-{shards:05d}{SHARD_SUFFIX}"


def check_split_name(name: str) -> None:
    """Raises ValueError unless file names can begin with this name."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(f"split {name[:100]!r}: use 1 to 100 letters, digits, '-', '_' and '.'.")


def _check_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what} is {value}, not from {low} to {high}")


def _digest(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the fields of a description, in their order."""
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field occurs twice")
    return fields


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _from_json(kind: Any, value: Any, where: str = "") -> Any:
    """Makes an object of the type `kind` of a value of JSON; a ValueError names the field."""
    outer, inner = typing.get_origin(kind), typing.get_args(kind)
    is_object = outer is collections.abc.Mapping or dataclasses.is_dataclass(kind)
    expected: Any = list if outer is tuple else dict if is_object else kind
    if type(value) is not expected and not (kind is float and type(value) is int):
        raise ValueError(f"{where} is not {_KINDS[expected]}")
    if outer is tuple:
        return tuple(_from_json(inner[0], each, f"{where}[{i}]") for i, each in enumerate(value))
    if outer is collections.abc.Mapping:
        return {k: _from_json(inner[1], each, f"{where}.{k[:100]}") for k, each in value.items()}
    if not is_object:
        return value
    hints, prefix = typing.get_type_hints(kind), f"{where}: " if where else ""
    if wrong := sorted(hints.keys() ^ value.keys()):
        raise ValueError(f"{prefix}a missing or unknown field {wrong[0][:100]!r}")
    fields = {
        k: _from_json(hint, value[k], f"{where}.{k}".lstrip(".")) for k, hint in hints.items()
    }
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


def video_to_example(
    video: Video, encoding: str = "png", jpeg_quality: int = JPEG_QUALITY
) -> tf.train.Example:
    """The record of a video without its `index`, which `finish_example` adds.

    Args:
        video: frames uint8 [T, H, W, C] and their labels.
        encoding: "png" (lossless), "jpeg" or "raw".
        jpeg_quality: 1..100, for "jpeg" only.

    Raises:
        ValueError: the video is empty, of another type or rank, too long, or has no id.

    Example:
        >>> example = video_to_example(Video(np.zeros((8, 64, 64, 3), np.uint8), id="a"))
        >>> record = finish_example(example, index=0)
    """
    if not video.id:
        raise ValueError("A video has an empty id: give each video a unique name.")
    if not isinstance(video.frames, np.ndarray) or video.frames.dtype != np.uint8:
        kind = getattr(video.frames, "dtype", type(video.frames).__name__)
        raise ValueError(f"Video {video.id!r}: frames are {kind}; give a uint8 array.")
    shape = video.frames.shape
    if len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape:
        raise ValueError(
            f"Video {video.id!r}: frames are {list(shape)}; give an array [T, H, W, 1 or 3]."
        )
    frames = _encode_frames(video.frames, encoding, jpeg_quality)
    if sum(map(len, frames)) > MAX_RECORD_BYTES:
        raise ValueError(
            f"Video {video.id!r}: {shape[0]} frames are too many for one record; cut it into clips."
        )
    example = tf.train.Example()
    feature = example.features.feature
    for name, size in zip(("length", "height", "width", "channels"), shape, strict=True):
        feature[name].int64_list.value[:] = [size]
    feature["label"].int64_list.value[:] = [video.label]
    feature["identity"].int64_list.value[:] = [video.identity]
    feature["attributes"].int64_list.value[:] = video.attributes
    feature["fps"].float_list.value[:] = [video.fps]
    feature["frames"].bytes_list.value[:] = frames
    feature["encoding"].bytes_list.value[:] = [encoding.encode()]
    feature["id"].bytes_list.value[:] = [video.id.encode()]
    return example


def _encode_frames(frames: np.ndarray, encoding: str, jpeg_quality: int) -> list[bytes]:
    """The encoded frames of a video."""
    if encoding == "raw":
        return [frame.tobytes() for frame in frames]
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    if encoding == "png":
        first = [_encode_frame(frames[0], encoding, each) for each in _PNG_OPTIONS]
        options = _PNG_OPTIONS[int(len(first[1]) < len(first[0]))]
    return [_encode_frame(frame, encoding, options) for frame in frames]


def _encode_frame(frame: np.ndarray, encoding: str, options: list[int]) -> bytes:
    image = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) if frame.shape[-1] == 3 else frame
    return cv2.imencode("." + encoding, image, options)[1].tobytes()


def finish_example(example: tf.train.Example, index: int) -> bytes:
    """Gives a record its position in the split and serializes it."""
    example.features.feature["index"].int64_list.value[:] = [index]
    return example.SerializeToString(deterministic=True)


def parse_record(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses one record, in a graph or eagerly, without decoding its frames.

    Absent fields parse as -1 (fps, label, identity), empty (frames, attributes, strings) or
    a number below -1; `record_faults` lists the fields that must not be absent.

    Args:
        serialized: string scalar.

    Returns:
        A dict of scalars, except "frames", string [T], and "attributes", int64 [A].
    """
    features = {
        "frames": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
        "attributes": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "fps": tf.io.FixedLenFeature([], tf.float32, default_value=-1.0),
    }
    for name in ("encoding", "id"):
        features[name] = tf.io.FixedLenFeature([], tf.string, default_value="")
    for name in ("label", "identity"):
        features[name] = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
    for name in ("index", "length", "height", "width", "channels"):
        features[name] = tf.io.FixedLenFeature([], tf.int64, default_value=_MISSING)
    return tf.io.parse_single_example(serialized, features)


def record_faults(
    record: Mapping[str, Any], info: DatasetInfo, split: str, index: Any
) -> list[tuple[Any, str]]:
    """Pairs of a condition and the fault that it means, of a parsed record or its tensors.

    Args:
        record: of `parse_record`.
        info: the description of the data set.
        split: that the record is in.
        index: its place in the split.
    """
    empty = {"encoding": b"", "id": b""}
    faults = [
        (tf.equal(record[name], empty.get(name, _MISSING)), f"the field {name} is missing")
        for name in REQUIRED
    ]
    for name in ("height", "width", "channels", "encoding"):
        value = getattr(info, name)
        fault = f"{name} is not {value!r} as in dataset.json"
        faults.append((tf.not_equal(record[name], value), fault))
    count, clips = tf.size(record["frames"], out_type=tf.int64), info.splits[split]
    attributes, expected = record["attributes"], len(info.attribute_sizes)
    number, sizes = tf.size(attributes), tf.constant(info.attribute_sizes, tf.int64)
    compared = tf.minimum(number, expected)
    faults += [
        (tf.equal(count, 0), "the field frames is missing or empty"),
        (tf.not_equal(record["length"], count), "length is not the number of frames"),
        (
            (count < clips.min_length) | (count > clips.max_length),
            f"length is not from {clips.min_length} to {clips.max_length} as in dataset.json",
        ),
        (tf.not_equal(record["index"], index), "index is not the place in the split"),
        (
            tf.not_equal(number, expected),
            f"attributes are not {expected} numbers as in dataset.json",
        ),
        (
            tf.reduce_any(attributes < -1)
            | tf.reduce_any(attributes[:compared] >= sizes[:compared]),
            "an attribute is not from -1 to its size less 1 in dataset.json",
        ),
    ]
    for name, names in (("label", info.class_names), ("identity", info.identity_names)):
        high = len(names) - 1 if names else tf.int64.max
        fault = (
            f"{name} is not from -1 to {high} as in dataset.json"
            if names
            else f"{name} is below -1"
        )
        faults.append(((record[name] < -1) | (record[name] > high), fault))
    return faults


def decode_frames(
    encoded: tf.Tensor, encoding: str, height: int, width: int, channels: int, where: Any = ""
) -> tf.Tensor:
    """Decodes frames, in a graph or eagerly.

    Args:
        encoded: string [T]; with a static T the decoders stand side by side in the graph.
        encoding, height, width, channels: of every frame.
        where: file name for the error message, a string or a string tensor.

    Returns:
        uint8 [T, H, W, C] with static H, W, C.

    Raises:
        tf.errors.InvalidArgumentError: a frame is broken or has another size.
    """
    shape = [height, width, channels]

    def decode(image: tf.Tensor) -> tf.Tensor:
        if encoding == "png":
            pixels = tf.io.decode_png(image, channels=channels)
        elif encoding == "jpeg":
            pixels = tf.io.decode_jpeg(image, channels=channels, dct_method="INTEGER_ACCURATE")
        else:
            pixels = tf.io.decode_raw(image, tf.uint8)
        wanted = [height * width * channels] if encoding == "raw" else shape
        same = tf.reduce_all(tf.equal(tf.shape(pixels), wanted))
        size = f"{height}x{width}x{channels}"
        with tf.control_dependencies([assert_record(same, where, f"a frame is not {size}")]):
            return tf.reshape(pixels, shape)  # [H, W, C]

    if encoding in _MARKS:
        # The decoders cannot name the file, so broken frames are caught before.
        whole = assert_record(_are_whole(encoded, encoding), where, f"a frame is no {encoding}")
        with tf.control_dependencies([whole]):
            encoded = tf.identity(encoded)
    if encoded.shape[0] is None:
        return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8))
    return tf.stack([decode(image) for image in tf.unstack(encoded)])  # [T, H, W, C]


def assert_record(right: tf.Tensor, where: Any, what: Any) -> Any:
    """An assertion with a text of one line, which `kerasvid.io.one_line` finds again."""
    return tf.debugging.Assert(right, [tf.strings.join([where, ": ", what, f"; {REMEDY}"])])


def _are_whole(encoded: tf.Tensor, encoding: str) -> tf.Tensor:
    """Whether all encoded frames, string [T], begin and end as their encoding does."""
    start, end = _MARKS[encoding]
    last = tf.maximum(tf.strings.length(encoded) - len(end), 0)
    ends = tf.strings.substr(encoded, last, tf.fill(tf.shape(encoded), len(end)))
    starts = tf.strings.substr(encoded, 0, len(start))
    return tf.reduce_all(tf.equal(starts, start) & tf.equal(ends, end))
