"""Two processes that train one model together."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.rjvae import RJVAE

CHECKOUT = pathlib.Path(__file__).parents[2]
WORKER = """
import sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else starts TensorFlow
from tests.models.base.test_trainer_workers import trained
trained(strategy).save_weights(sys.argv[1])
"""


def trained(strategy):
    """A small model after two epochs of two batches, as the pipeline gives them."""
    pixels = np.random.RandomState(0).randint(0, 256, (16, 3, 8, 8, 3)).astype(np.uint8)
    batches = tf.data.Dataset.from_tensor_slices({"video": pixels, "label": np.arange(16)})
    options = tf.data.Options()
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = RJVAE.from_preset("debug", image_shape=(8, 8, 3), frames=3)
        model.compile(keras.optimizers.SGD(1e-4))
    model.fit(batches.batch(8, drop_remainder=True).with_options(options), epochs=2, verbose=0)
    return model


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.mark.slow
def test_two_workers_end_where_two_replicas_end(tmp_path, strategy_of):
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONPATH": str(CHECKOUT)}
        file = str(tmp_path / f"{index}.weights.h5")
        command = [sys.executable, "-c", WORKER, file]
        with open(tmp_path / f"{index}.log", "wb") as log:
            processes.append(subprocess.Popen(command, env=environment, stderr=log))
    try:
        mirrored = trained(strategy_of(2))
        for index, process in enumerate(processes):
            assert process.wait(300) == 0, (tmp_path / f"{index}.log").read_text()[-2000:]
    finally:
        for process in processes:  # one waits for the other for ever
            process.kill()
    for index in range(2):
        worker = RJVAE.from_preset("debug", image_shape=(8, 8, 3), frames=3)
        worker.load_weights(str(tmp_path / f"{index}.weights.h5"))
        for ours, theirs in zip(mirrored.weights, worker.weights, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)
