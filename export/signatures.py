"""Named signatures of a served model: its verbs with chance as seeds, and JPEG for REST clients.

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
"""

import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from export.verbs import Tensor, Verb, noise_verbs, seeded

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
