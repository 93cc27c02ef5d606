"""Which number formats a machine computes fast in."""

import pathlib

import tensorflow as tf

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
_CPUINFO = pathlib.Path("/proc/cpuinfo")


def resolve_precision(precision: str) -> str:
    """The dtype policy to train in; `"auto"` picks what the first device is fast at.

    bfloat16 on TPUs and on CPUs with instructions for it, float16 on GPUs from compute capability
    7.0, float32 elsewhere.

    Raises:
        ValueError: another value than those in `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown: use one of {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision
    if tf.config.list_physical_devices("TPU"):
        return "mixed_bfloat16"
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return "mixed_float16" if capability and capability >= (7, 0) else "float32"
    return "mixed_bfloat16" if _cpu_multiplies_bfloat16() else "float32"


def _cpu_multiplies_bfloat16() -> bool:
    try:
        flags = set(_CPUINFO.read_text().split())
    except OSError:
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16"})
