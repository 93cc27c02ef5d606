"""Requests that a server answers before it takes others, so that the first user does not wait.

TensorFlow prepares a signature when it is first used: memory, kernels and an optimised graph. A
server that finds `assets.extra/tf_serving_warmup_requests` beside a model does that at loading.
"""

import os
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from export.serving_messages import as_bytes, warm_up_request
from export.verbs import Tensor, Verb

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
