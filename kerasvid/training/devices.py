"""Devices: the strategy by which they share a batch, and the precision that they are fast at."""

import collections
import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
_CPUINFO = pathlib.Path("/proc/cpuinfo")


def make_strategy(name: str) -> tf.distribute.Strategy:
    """A distribution strategy by name; call this before TensorFlow does anything else.

    Args:
        name: `"none"`: one device. `"mirrored"`: all GPUs of the machine. `"mirrored:2"`: that
            many GPUs, or virtual devices of the CPU if there are none. `"multi_worker"`: the
            machines that the environment names, see `cluster_of`; waits until all have started.

    Raises:
        ValueError: the name is unknown, there are fewer GPUs than it says, or the environment does
            not name the machines.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        if cluster := cluster_of(os.environ):
            os.environ["TF_CONFIG"] = cluster  # where TensorFlow reads it
        return _join_workers(cluster)
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


# === Several workers ===

EXAMPLE = ('{"cluster": {"worker": ["host1:5000", "host2:5000"]}, '
           '"task": {"type": "worker", "index": 0}}')  # fmt: skip
_NODES, _TASKS = "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"
# Errors of TensorFlow where another worker has ended or does not answer.
_LOST = re.compile("Restart your program to reset|unhealthy|heartbeat|Collective ops is aborted")
_DIFFERS = re.compile("mismatch in the collective")  # of a worker that does something else


def cluster_of(environment: Mapping[str, str]) -> str:
    """The value of TF_CONFIG that says who the workers are and which of them this process is.

    It is TF_CONFIG itself; else that of the variables of a Slurm job step; else that of the pods of
    a Kubernetes Indexed Job: JOB_COMPLETION_INDEX, KERASVID_WORKERS for their number, and
    KERASVID_WORKER_HOST for their names with {} in place of the index. The processes of a machine
    take ports from KERASVID_PORT on, 20000 by default. "" where nothing says it.

    Raises:
        ValueError: the variables of Slurm or Kubernetes are incomplete or contradict each other.

    Example:
        >>> cluster_of({"JOB_COMPLETION_INDEX": "1", "KERASVID_WORKERS": "2",
        ...             "KERASVID_WORKER_HOST": "train-{}.train"})
        '{"cluster": {"worker": ["train-0.train:20000", "train-1.train:20000"]}, ...
    """
    if text := environment.get("TF_CONFIG", ""):
        return text
    port = _whole(environment, "KERASVID_PORT", "20000")
    if "SLURM_PROCID" in environment and "SLURM_STEP_NODELIST" in environment:
        index, hosts = _whole(environment, "SLURM_PROCID"), _slurm_hosts(environment)
    elif "JOB_COMPLETION_INDEX" in environment:
        index, pattern = _whole(environment, "JOB_COMPLETION_INDEX"), "KERASVID_WORKER_HOST"
        if "{}" not in environment.get(pattern, ""):
            raise ValueError(f"{pattern} must be the name of a pod with {{}} in place of its "
                             "index, such as train-{}.train.")  # fmt: skip
        count = _whole(environment, "KERASVID_WORKERS")
        hosts = [environment[pattern].replace("{}", str(number)) for number in range(count)]
    else:
        return ""
    places: collections.Counter[str] = collections.Counter()
    addresses = []
    for host in hosts:
        addresses.append(f"{host}:{port + places[host]}")
        places[host] += 1
        if port + places[host] > 65536:
            raise ValueError(f"KERASVID_PORT={port}: no ports from there on. Give a lower one.")
    if index >= len(addresses):
        raise ValueError(f"The environment names {len(addresses)} workers, but this is number "
                         f"{index} from 0. Give the number of all workers.")  # fmt: skip
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def _whole(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not text.isdecimal():
        raise ValueError(f"{name}={text!r} must be a whole number. Set it.")
    return int(text)


def _slurm_hosts(environment: Mapping[str, str]) -> list[str]:
    """The host of each process of a job step, in the order of their numbers.

    `SlurmClusterResolver` sorts hosts by name, node10 before node9, where Slurm does not, and needs
    GPUs. Processes must lie in blocks, host by host, as they do by default.
    """
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as slurm

    given = {name: environment.get(name, "") for name in (_NODES, _TASKS)}
    try:
        nodes = slurm.expand_hostlist(given[_NODES])
        tasks = slurm.expand_tasks_per_node(given[_TASKS])
        return [host for host, count in zip(nodes, tasks, strict=True) for _ in range(count)]
    except (ValueError, IndexError, AttributeError) as error:
        shown = ", ".join(f"{name}={text!r}" for name, text in given.items())
        raise ValueError(f"{shown}: no hosts of a Slurm job step. Start it by srun.") from error


def _join_workers(text: str) -> tf.distribute.Strategy:
    addresses, own = _own_address(text)
    if len(addresses) == 1:
        return make_strategy("mirrored")
    others = ", ".join(address for address in addresses if address != own)
    print(f"worker {addresses.index(own)} of {len(addresses)} at {own}: waiting for {others}",
          flush=True)  # fmt: skip
    try:
        with _ended_by_signals():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"TF_CONFIG: {own} cannot join the workers ({why}). Use an address of "
                         "this machine with a free port, the same list on every "
                         "worker.") from error  # fmt: skip


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets Ctrl-C end the process in the block: Python's handler would wait for TensorFlow."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _own_address(text: str) -> tuple[list[str], str]:
    """The addresses of all workers, the chief's first, and the one of this process.

    Raises:
        ValueError: TF_CONFIG is empty, not JSON, or does not say which worker this process is.
    """
    if not text:
        raise ValueError("TF_CONFIG is not set, and this is no process of srun and no pod of an "
                         f"Indexed Job, but strategy='multi_worker' needs one of them. Set it to "
                         f"{EXAMPLE}.")  # fmt: skip
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses = {job: list(cluster[job]) for job in ("chief", "worker") if job in cluster}
        kind, index = task["type"], task["index"]
        own = addresses[kind][index] if index >= 0 else None
    except json.JSONDecodeError as error:
        raise ValueError(f"TF_CONFIG is not JSON ({error}). Set it to {EXAMPLE}.") from error
    except KeyError as error:
        raise ValueError(f"TF_CONFIG has no {error}. Set it to {EXAMPLE}.") from error
    except (IndexError, TypeError):
        own = None
    if own is None:
        raise ValueError(f"TF_CONFIG: the task is not one of the cluster. Set it to {EXAMPLE}.")
    every = [address for job in addresses.values() for address in job]
    for address in every:
        if not re.fullmatch(r"\S+:\d+", str(address)) or every.count(address) > 1:
            raise ValueError(f"TF_CONFIG: {address!r} is not an address of its own, as host:port. "
                             f"Set it to {EXAMPLE}.")  # fmt: skip
    return every, own


# === Rows shared by devices ===


def one_machine_strategy(name: str) -> tf.distribute.Strategy:
    """As `make_strategy`, for work that is shared by the devices of one machine.

    Raises:
        ValueError: also for `"multi_worker"`, which is for training.
    """
    if name != "none" and name.partition(":")[0] != "mirrored":
        raise ValueError(f"--strategy={name}: use none, mirrored or mirrored:N here.")
    return make_strategy(name)


def over_devices(function: Callable, reduce_retracing: bool = False) -> Callable:
    """Compiles a function of independent rows; the replicas of the strategy in scope share them.

    Args:
        function: of tensors `[B, ...]` to tensors `[B, ...]`, also nested ones. A row of the result
            depends on the same row of the arguments alone.
        reduce_retracing: as in `tf.function`: one graph for all B.

    Returns:
        A function of arrays or tensors `[B, ...]`. It makes B a multiple of the number of devices
        by copies of the last row, whose results it drops.

    Example:
        >>> with make_strategy("mirrored:2").scope():
        ...     double = over_devices(lambda rows: 2 * rows)
        >>> double(np.arange(3)).numpy()
        array([0, 2, 4])
    """
    strategy = tf.distribute.get_strategy()
    devices = strategy.num_replicas_in_sync
    graph = functools.partial(tf.function, autograph=False, reduce_retracing=reduce_retracing)
    if devices == 1:
        return graph(function)
    shared = graph(lambda *shares: strategy.run(function, args=shares))

    def run(*arrays: np.ndarray | tf.Tensor) -> Any:
        rows = len(arrays[0])
        size = -(-rows // devices)
        indices = np.minimum(np.arange(devices * size), rows - 1).reshape(devices, size)
        shares = [
            strategy.experimental_distribute_values_from_function(
                lambda context, each=each: tf.gather(
                    each, indices[context.replica_id_in_sync_group]
                )
            )
            for each in arrays
        ]
        with strategy.scope():
            results = shared(*shares)
        joined = functools.partial(_joined_rows, strategy, rows)
        return tf.nest.map_structure(joined, results)

    return run


def without_strategy(function: Callable[[], Any]) -> Any:
    """The result of a function that runs on one device, also within the scope of a strategy.

    A scope holds for one thread, so the function then runs in another one. Ctrl-C ends the wait.

    Example:
        >>> with make_strategy("mirrored:2").scope():
        ...     without_strategy(lambda: tf.distribute.get_strategy().num_replicas_in_sync)
        1
    """
    if not tf.distribute.has_strategy():
        return function()
    outcome: concurrent.futures.Future = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result()


def _joined_rows(strategy: tf.distribute.Strategy, rows: int, result: Any) -> tf.Tensor:
    return tf.concat(strategy.experimental_local_results(result), axis=0)[:rows]


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run."""
    return bool(strategy.extended.should_checkpoint)


def of_all_workers(strategy: tf.distribute.Strategy, values: Sequence[int]) -> np.ndarray:
    """Integers of every worker. All must call this in the same order, and each waits for the rest.

    Args:
        strategy: of `make_strategy`. Without several workers there is one row.
        values: `[K]`, the same K on every worker.

    Returns:
        int64 `[W, K]`, the chief's row first.

    Raises:
        tf.errors.OpError: a worker was lost, see `is_lost_worker`.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return np.asarray([values], np.int64)
    by_replica = _gathering(strategy)(tf.constant(values, tf.int64)).numpy()
    return by_replica[:: len(strategy.extended.worker_devices)]


@functools.cache
def _gathering(strategy: tf.distribute.Strategy):
    """A function of `[K]` to `[R, K]`, the values of each replica."""

    def rows(values):
        context = tf.distribute.get_replica_context()
        count, number = context.num_replicas_in_sync, context.replica_id_in_sync_group
        mine = tf.one_hot(number, count, dtype=tf.int64)[:, None] * values  # [R, K]
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

    @tf.function
    def gather(values):
        return strategy.experimental_local_results(strategy.run(rows, (values,)))[0]

    return gather


def texts_of_all_workers(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """A text of every worker, as `of_all_workers`."""
    codes = text.encode()
    lengths = of_all_workers(strategy, [len(codes)])[:, 0]
    padded = [*codes, *[0] * (max(lengths) - len(codes))]
    rows = of_all_workers(strategy, padded)
    pairs = zip(rows, lengths, strict=True)
    return [bytes(row[:length].tolist()).decode() for row, length in pairs]


def is_lost_worker(error: tf.errors.OpError) -> bool:
    """Whether an error of TensorFlow means that another worker ended or cannot be reached."""
    return bool(_LOST.search(error.message)) and not _DIFFERS.search(error.message)


# === Kinds of devices ===


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
