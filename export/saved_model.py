"""A trained model as a TensorFlow SavedModel, which runs without this library and Python."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from export.verbs import Verb


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
