"""Devices: the strategy by which they share a batch, and the precision that they are fast at."""

import pathlib
import re

import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_CPUINFO = pathlib.Path("/proc/cpuinfo")


def make_strategy(name: str) -> tf.distribute.Strategy:
    """A distribution strategy by name; call this before TensorFlow does anything else.

    Args:
        name: `"none"`: one device. `"mirrored"`: all GPUs of the machine. `"mirrored:2"`: that
            many GPUs, or virtual devices of the CPU if there are none. `"multi_worker"`: the
            machines that the environment variable TF_CONFIG names.

    Raises:
        ValueError: the name is unknown, or there are fewer GPUs than it says.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    match = re.fullmatch(r"mirrored(?::([1-9]\d*))?", name)
    if not match:
        raise ValueError(f"strategy={name!r} is unknown. Use none, mirrored, mirrored:N or "
                         "multi_worker.")  # fmt: skip
    gpus = tf.config.list_physical_devices("GPU")
    count = int(match[1]) if match[1] else max(len(gpus), 1)
    if gpus and count > len(gpus):
        raise ValueError(f"strategy={name!r} needs {count} GPUs, but this machine has {len(gpus)}. "
                         f"Use mirrored:N with N at most {len(gpus)}.")  # fmt: skip
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        virtual = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(cpu, virtual)
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)])


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run."""
    cluster = strategy.cluster_resolver
    if cluster is None or cluster.task_type in (None, "", "chief"):
        return True
    return cluster.task_id == 0 and "chief" not in cluster.cluster_spec().jobs


def device_name() -> str:
    """What training runs on, for people: "2 x GPU" or "CPU"."""
    for kind in ("TPU", "GPU"):
        if devices := tf.config.list_physical_devices(kind):
            return f"{len(devices)} x {kind}"
    return "CPU"


def resolve_precision(precision: str) -> str:
    """The dtype policy to train in; "auto" is what the first device is fast at.

    That is bfloat16 on TPUs and on CPUs with instructions for it, float16 on GPUs from compute
    capability 7.0, and float32 elsewhere.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in ("auto", *PRECISIONS):
        raise ValueError(f"precision={precision!r} is unknown. Use auto, {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("TPU"):
        return "mixed_bfloat16"
    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return "mixed_float16" if capability and capability >= (7, 0) else "float32"
    try:
        features = set(_CPUINFO.read_text().split())
    except OSError:  # not Linux, or not readable
        features = set()
    return "mixed_bfloat16" if features & {"avx512_bf16", "amx_bf16"} else "float32"
