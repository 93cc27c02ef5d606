"""A trained model as a TensorFlow SavedModel, which runs without this library and Python.

| signature | models | inputs and outputs |
|---|---|---|
| `serving_default` | all | `seed` to `video`; of `InBetween` models, those of `between` |
| `decode` | all | the named noise to `video`, float32 in [-1, 1] |
| `generate_jpeg` | those with `generate` | `seed` to `frames_bytes`, a JPEG a frame |
| `between_jpeg` | those with `between` | two encoded images to `frames_bytes` |
| `image`, `encode`, `reconstruct`, ... | as of `seed_signatures` | as of `seed_signatures` |

Where a `seed` stands, a model with classes also takes a `label`, -1 for any class.

TensorFlow Serving's REST interface writes outputs in base64 if their names end in `_bytes`, and
reads `{"b64": "..."}`. A frame of 64x64 takes a few kilobytes so, and fifty as a list of pixels.

TensorFlow broadcasts a wrong number of rows. Each signature therefore checks its inputs in the
graph.

A batch of 64 rounds its sums in another order than a batch of 1. Servers batch requests as they
come. Rows are therefore computed one by one, several at the same time, so that a row does not
depend on the others. On a CPU a batch of 64 then takes about 1.4 times as long.
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.export.signatures import Signature, Tensor, noise_signatures, seed_signatures

DEFAULT = "serving_default"
JPEG_QUALITY = 95  # with colours at full resolution, as losses show in small frames


def save_signatures(signatures: Mapping[str, Signature], folder: str | os.PathLike) -> None:
    """Writes signatures, and the weights that they read, as a SavedModel of any batch size.

    Args:
        signatures: of `served_signatures`.
        folder: new or empty.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be written.

    Example:
        >>> save_signatures(served_signatures(model), "rjvae/1")
        >>> served = tf.saved_model.load("rjvae/1").signatures["serving_default"]
        >>> served(seed=tf.constant([3, 4], tf.int64))["video"].shape
        TensorShape([2, 8, 64, 64, 3])
    """
    traced: dict[str, Any] = {}
    for name, each in signatures.items():
        other = next((n for n in traced if signatures[n] is each), None)  # one graph for two names
        traced[name] = traced[other] if other else each.traced()
    tf.saved_model.save(module_of(traced), os.fspath(folder), signatures=traced)


def module_of(traced: Mapping[str, Any], weights: Iterable[tf.Variable] = ()) -> tf.Module:
    """A module with the variables of traced functions and further ones, each once."""
    module = tf.Module()
    found = [*(variable for each in traced.values() for variable in each.variables), *weights]
    module.weights = list({id(variable): variable for variable in found}.values())
    return module


def served_signatures(
    model: keras.Model, frames: int | None = None, whole_batches: bool = False
) -> dict[str, Signature]:
    """The signatures of a served model, by name.

    Args:
        model: of `load_for_export`.
        frames: T; by default the model's own.
        whole_batches: compute all rows at once, which is quicker on a GPU. The last bits of a row
            then depend on the number of rows.

    Raises:
        ValueError: the model cannot make clips of this length.

    Example:
        >>> generate = served_signatures(model)["generate_jpeg"]
        >>> generate(seed=tf.constant([7], tf.int64))["frames_bytes"].shape
        TensorShape([1, 8])
    """
    noisy = noise_signatures(model, frames)
    signatures = seed_signatures(noisy)
    if "between" in signatures:
        between = signatures["between"]
        signatures = {DEFAULT: between, **signatures, "between_jpeg": between_jpeg(between)}
    else:
        generate = signatures.pop("generate")
        signatures = {DEFAULT: generate, "generate_jpeg": jpeg_frames(generate), **signatures}
    signatures["decode"] = noisy["decode"]
    finish = checked if whole_batches else lambda each: checked(row_by_row(each))
    finished = {id(each): finish(each) for each in signatures.values()}  # one for two names
    return {name: finished[id(each)] for name, each in signatures.items()}


# === Images as bytes ===


def jpeg_frames(signature: Signature) -> Signature:
    """A signature that gives each frame of its `video` as a JPEG: `frames_bytes` [B, T]."""

    def function(**given):
        return {"frames_bytes": _as_jpeg(signature(**given)["video"])}

    frames = signature.outputs["video"].shape[0]
    outputs = {"frames_bytes": Tensor((frames,), tf.string, "a JPEG a frame")}
    summary = f"{signature.summary}, as JPEG"
    return dataclasses.replace(signature, function=function, outputs=outputs, summary=summary)


def between_jpeg(signature: Signature) -> Signature:
    """`between` from encoded images (PNG, JPEG, BMP, GIF), of the model's size, to JPEGs."""
    names = ("first", "last")
    shape = signature.inputs["first"].shape

    def function(**given):
        pixels = {name: _decoded(name, given.pop(f"{name}_bytes"), shape) for name in names}
        return {"frames_bytes": _as_jpeg(signature(**pixels, **given)["video"])}

    kind = f"frame, a PNG or JPEG of {shape[1]}x{shape[0]} pixels"
    inputs = {f"{name}_bytes": Tensor((), tf.string, f"{name} {kind}") for name in names}
    inputs |= {name: each for name, each in signature.inputs.items() if name not in names}
    return dataclasses.replace(jpeg_frames(signature), function=function, inputs=inputs)


def _as_jpeg(videos: tf.Tensor) -> tf.Tensor:
    """JPEGs string [B, T] of uint8 [B, T, H, W, C]."""
    shape = tf.shape(videos)
    images = tf.reshape(videos, tf.concat([[-1], shape[2:]], axis=0))  # [B T, H, W, C]
    encoded = tf.map_fn(
        lambda image: tf.io.encode_jpeg(image, quality=JPEG_QUALITY, chroma_downsampling=False),
        images,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )
    return tf.reshape(encoded, shape[:2])


def _decoded(name: str, encoded: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """uint8 [B, H, W, C] of encoded images [B]."""
    message = (f"{name}_bytes: resize the images to {shape[1]}x{shape[0]} pixels; height and width "
               "of this one are")  # fmt: skip

    def decode(image):
        pixels = _on_black(tf.io.decode_image(image, channels=0, expand_animations=False))
        # Grey becomes RGB, which becomes grey again where the model is.
        pixels = tf.broadcast_to(pixels, tf.concat([tf.shape(pixels)[:2], [3]], axis=0))
        if shape[-1] == 1:
            pixels = tf.image.rgb_to_grayscale(pixels)
        found = tf.shape(pixels)[:2]
        fits = tf.reduce_all(tf.equal(found, shape[:2]))
        with tf.control_dependencies([tf.debugging.Assert(fits, [message, found], summarize=2)]):
            pixels = tf.identity(pixels)
        # Right in any case, so that the assertion is what fails.
        return tf.image.resize_with_crop_or_pad(pixels, *shape[:2])

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def _on_black(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 1 or 3] of pixels with or without transparency, which shows black."""
    channels = tf.shape(pixels)[-1]
    opaque = channels % 2  # grey and RGB; grey and RGB with transparency have 2 and 4
    colors = tf.cast(pixels[..., : channels - 1 + opaque], tf.int32)
    weight = tf.cast(pixels[..., -1:], tf.int32)
    weight = tf.where(opaque == 1, tf.fill(tf.shape(weight), 255), weight)
    return tf.cast((colors * weight + 127) // 255, tf.uint8)


# === Rows and checks ===


def row_by_row(signature: Signature) -> Signature:
    """The signature, computing each row as if it were alone, to the bit."""

    def one(row):
        outputs = signature(**{name: value[None] for name, value in row.items()})
        return {name: value[0] for name, value in outputs.items()}

    def function(**given):
        specs = {n: tf.TensorSpec(each.shape, each.dtype) for n, each in signature.outputs.items()}
        return tf.map_fn(one, given, fn_output_signature=specs)

    return dataclasses.replace(signature, function=function)


def checked(signature: Signature) -> Signature:
    """The signature, refusing different numbers of rows and real numbers out of range."""

    def function(**given):
        rows = tf.stack([tf.shape(value)[0] for value in given.values()])
        message = f"Give as many rows of each of {', '.join(given)}; there are"
        checks = [tf.debugging.Assert(tf.reduce_all(rows == rows[0]), [message, rows], 64)]
        for name, each in signature.inputs.items():
            if each.shape or not each.dtype.is_floating or each.least is None:
                continue
            most = each.dtype.max if each.most is None else each.most
            fits = tf.reduce_all((given[name] >= each.least) & (given[name] <= most))  # not of NaN
            wanted = f"{each.least} or more" if each.most is None else f"{each.least} to {most}"
            message = f"{name}: give numbers of {wanted}, one a row; got"
            checks.append(tf.debugging.Assert(fits, [message, given[name]], summarize=8))
        with tf.control_dependencies(checks):
            given = {name: tf.identity(value) for name, value in given.items()}
        return signature(**given)

    return dataclasses.replace(signature, function=function)
