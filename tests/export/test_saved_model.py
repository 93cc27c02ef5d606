"""`python export/to_saved_model.py`, and what it writes where the library is not installed."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from kerasvid.export.model_card import paper_of
from kerasvid.export.saved_model import save_signatures, served_signatures
from kerasvid.export.serving.messages import WARM_UP_FILE, parsed_request
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.registry import MODELS, model_class
from kerasvid.training.callbacks.checkpoints import save_model
from kerasvid.training.config import make_config
from kerasvid.training.run_folder import RunFolder

ROOT = pathlib.Path(__file__).parents[2]
# Runs outside the checkout, where nothing of this library can be imported. TensorFlow imports
# Keras by itself, which then knows none of the classes that this library registers.
WITHOUT_LIBRARY = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kerasvid", "export"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
import numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
np.save(sys.argv[2], serve(seed=tf.constant([3, 4], tf.int64))["video"].numpy())
assert not {"kerasvid", "export"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of RJVAE whose data is gone."""
    config = make_config("rjvae", "squares", "gone/squares", None, "debug", {"frames": 2},
                     precision="float32", seed=0, steps=60)  # fmt: skip
    sizes = {**config.hyperparameters, "image_shape": (16, 16, 3)}
    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    run.path.mkdir(exist_ok=True)
    run.begin(dataclasses.replace(config, hyperparameters=sizes))
    model = run.load_config().make_model()
    run.load_config().compile(model)
    rows = [{"step": "0", "seconds": "1.5", "loss": "9", "val_loss": "8"},
            {"step": "0", "seconds": "2.5", "loss": "7"}]  # fmt: skip
    metrics = {"rows": rows, "held_out": {}, "means": None}
    save_model(model, run.model, run.load_config(), metrics)
    return run


@pytest.fixture(scope="module")
def export(run_command):
    """Runs the command in this process: the exit status."""
    verbosity = logging.get_verbosity()
    yield functools.partial(run_command, "to_saved_model")
    logging.set_verbosity(verbosity)


@pytest.fixture(scope="module")
def version(run, export, tmp_path_factory):
    """The folder of an exported version."""
    out = tmp_path_factory.mktemp("models") / "small" / "1"
    assert export(f"--run_dir={run.path}", f"--out={out}") == 0
    return out


@pytest.fixture(scope="module")
def signatures(version):
    return tf.saved_model.load(str(version)).signatures


def test_it_runs_without_kerasvid(version, signatures, tmp_path):
    command = [sys.executable, "-I", "-c", WITHOUT_LIBRARY, str(version), "video.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    expected = signatures["serving_default"](seed=tf.constant([3, 4], tf.int64))["video"]
    np.testing.assert_array_equal(np.load(tmp_path / "video.npy"), expected)


def test_signatures_equal_the_methods_of_the_model(run, signatures):
    model, _ = run.load_model()
    assert set(signatures) == {"serving_default", "generate_jpeg", "decode", "image", "encode",
                               "reconstruct", "swap", "interpolate"}  # fmt: skip
    noise = model.sample_noise(3, seed=1)
    decoded = signatures["decode"](**noise)["video"]
    np.testing.assert_allclose(decoded, model.decode(model.codes(noise)), atol=1e-5)
    videos = model.generate(2, seed=5)
    for name, expected in model.encode(videos).items():
        read = signatures["encode"](video=tf.constant(videos))[name]
        np.testing.assert_allclose(read, expected, atol=1e-5)


FOREIGN = ("Cudnn", "PyFunc", "EagerPyFunc", "Xla")  # what not every machine has


def nodes_of(version):
    """All nodes of a SavedModel, those of its functions too."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    return [*graph.node, *(n for f in graph.library.function for n in f.node_def)]


def test_the_graph_holds_operations_of_every_tensorflow_and_no_device(version):
    nodes = nodes_of(version)
    assert not [node.op for node in nodes if node.op.startswith(FOREIGN)]
    assert not {node.device for node in nodes if node.device and "CPU" not in node.device}
    types = {node.attr["T"].type for node in nodes if "T" in node.attr}
    assert not types & {tf.bfloat16.as_datatype_enum, tf.float16.as_datatype_enum}


def test_concurrent_calls_give_equal_results(signatures):
    serve = signatures["serving_default"]
    seeds = [tf.constant([i, i + 100], tf.int64) for i in range(16)]
    expected = [serve(seed=each)["video"].numpy() for each in seeds]
    got = [None] * 16

    def call(i):
        got[i] = serve(seed=seeds[i])["video"].numpy()

    threads = [threading.Thread(target=call, args=[i]) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(got, expected)


def test_the_warm_up_requests_run(version, signatures):
    asked = set()
    for record in tf.data.TFRecordDataset(str(version / WARM_UP_FILE)):
        model, name, inputs = parsed_request(record.numpy())
        assert model == "small"
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        asked.add(name)
    assert asked == set(signatures)


def test_the_card_describes_the_model(version):
    card = json.loads((version / "model_card.json").read_text())
    assert card["paper"].startswith("Dandi, Das") and card["paper"].endswith("WACV 2020")
    assert card["metrics"] == {"step": 0, "seconds": 2.5, "loss": 7, "val_loss": 8}
    assert card["signatures"]["serving_default"]["inputs"]["seed"] == {
        "dtype": "int64", "shape": [-1], "meaning": "random seed",
        "range": [0, 2**62 - 1],
    }  # fmt: skip
    assert "its licence is unknown here" in card["data"]["note"] and "licence" not in card["data"]
    assert "gone" not in json.dumps(card)  # no path of the machine
    page = (version / "model_card.md").read_text()
    assert re.search(r"\| input +\| `seed` +\| int64 +\| \[-1\] ", page) and card["paper"] in page


@pytest.mark.parametrize("name", MODELS)
def test_every_model_names_its_paper(name):
    model = model_class(name)
    assert paper_of(model.__new__(model))[-1] in "0123456789)"


def test_errors_are_one_line(run, export, version, tmp_path, capsys):
    (tmp_path / "file").touch()
    for given, message in (
        ([f"--out={version}"], f"never replaced. Use {version.with_name('2')}"),
        ([f"--out={tmp_path}/rjvae"], "must be a version number"),
        ([f"--out={tmp_path}/file/1"], "cannot be written"),
        ([f"--out={tmp_path}/1", "--run_dir=nowhere"], "nowhere: there is no run"),
        ([f"--out={tmp_path}/1", "--weights=averaged"], "has no averaged weights"),
    ):
        capsys.readouterr()
        assert export(f"--run_dir={run.path}", *given) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: ") and len(err.splitlines()) == 1 and message in err, err
    assert os.listdir(tmp_path) == ["file"]


QUICK = ("image_gan", "glo", "cgan")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
)
def test_decode_equals_that_of_keras(name, tmp_path, moving_squares):
    model = model_class(name).from_preset("debug", image_shape=(16, 16, 3), frames=4)
    signatures = served_signatures(model)
    save_signatures({"decode": signatures["decode"]}, tmp_path)
    served = tf.saved_model.load(str(tmp_path)).signatures["decode"]
    if isinstance(model, InBetween):
        video = moving_squares(3, 4).astype(np.float32) / 127.5 - 1
        noise = model.between_noise(3, seed=2)
        ends = {"first": tf.constant(video[:, 0]), "last": tf.constant(video[:, -1])}
        expected = model.infill(ends["first"], ends["last"], noise, 4)
    else:
        noise, ends = model.sample_noise(3, seed=2), {}
        expected = model.decode(model.codes(noise))
    np.testing.assert_allclose(served(**noise, **ends)["video"], expected, atol=1e-5)
    assert not [node.op for node in nodes_of(tmp_path) if node.op.startswith(FOREIGN)]
