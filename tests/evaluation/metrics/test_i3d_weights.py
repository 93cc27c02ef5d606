import hashlib
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.evaluation.metrics import i3d_weights
from kerasvid.evaluation.metrics.i3d import PREFIX
from kerasvid.evaluation.metrics.i3d_weights import WeightsError, load_i3d, weights_digest

STEM = f"{PREFIX}/Conv3d_1a_7x7"


@pytest.fixture(scope="module")
def values(random_i3d_values):
    return random_i3d_values()


def write_npz(values, folder):
    np.savez(folder / "weights.npz", **values)
    return folder / "weights.npz"


def write_checkpoint(values, folder):
    """As TensorFlow 1 writes one, which the public release is."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [tf.compat.v1.get_variable(n, initializer=v) for n, v in values.items()]
        session.run([v.initializer for v in variables])
        return tf.compat.v1.train.Saver(variables).save(session, str(folder / "model.ckpt"))


def write_saved_model(values, folder):
    """As a hub module of TensorFlow 1 lies on the disk."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        builder = tf.compat.v1.saved_model.Builder(str(folder / "hub"))
        builder.add_meta_graph_and_variables(session, [])
        builder.save()
    return folder / "hub"


def write_saved_objects(values, folder):
    """As TensorFlow 2 saves a module: by objects, with the full names beside."""
    module = tf.Module()
    module.kept = [tf.Variable(value, name=name) for name, value in values.items()]
    tf.saved_model.save(module, str(folder / "objects"))
    return folder / "objects"


WRITERS = [write_npz, write_checkpoint, write_saved_model, write_saved_objects]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_every_weight_back(values, tmp_path, write):
    network = load_i3d(write(values, tmp_path), divisor=8, classes=5)
    for name, variable in network.variables_by_name().items():
        np.testing.assert_array_equal(variable.numpy(), values[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_every_weight_of_the_full_network_back(
    random_i3d_values, tmp_path, write
):
    values = random_i3d_values(1, 400)
    network = load_i3d(write(values, tmp_path))
    for name, variable in network.variables_by_name().items():
        np.testing.assert_array_equal(variable.numpy(), values[name], err_msg=name)


def test_a_checkpoint_is_found_by_its_folder_and_its_index(values, tmp_path):
    prefix = write_checkpoint(values, tmp_path)
    for path in (tmp_path, f"{prefix}.index", f"{prefix}.data-00000-of-00001"):
        network = load_i3d(path, divisor=8, classes=5)
        assert weights_digest(network.variables_by_name()) == weights_digest(values)


def test_moments_with_axes_of_one_in_front_are_taken_as_sonnet_1_keeps_them(values, tmp_path):
    kept = {
        name: value.reshape(1, 1, 1, 1, -1) if "batch_norm" in name else value
        for name, value in values.items()
    }
    network = load_i3d(write_npz(kept, tmp_path), divisor=8, classes=5)
    assert weights_digest(network.variables_by_name()) == weights_digest(values)


def test_the_digest_is_of_names_and_numbers(values):
    expected = hashlib.sha256()
    for name in sorted(values):
        expected.update(name.encode() + b"\0" + values[name].tobytes())
    assert weights_digest(values) == expected.hexdigest()
    backwards = dict(reversed(values.items()))
    assert weights_digest(backwards) == expected.hexdigest()


def without(values):
    return {n: v for n, v in values.items() if not n.startswith(STEM)}


FAULTS = [
    (without, rf"{STEM}/batch_norm/beta is missing \(and 3 more\)"),
    (lambda v: {**v, "Flow/w": np.zeros(3, np.float32)}, "Flow/w is unknown. Use"),
    (
        lambda v: {**v, f"{STEM}/conv_3d/w": np.zeros([7, 7, 7, 2, 8], np.float32)},
        rf"{STEM}/conv_3d/w has the shape \(7, 7, 7, 2, 8\), not \(7, 7, 7, 3, 8\)",
    ),
    (
        lambda v: {**v, f"{STEM}/batch_norm/beta": np.zeros([1, 8], np.float32)},
        rf"{STEM}/batch_norm/beta has the shape \(1, 8\), not \(8,\)",
    ),
]


@pytest.mark.parametrize(
    ("write", "spoil", "message"),
    [(write_npz, *fault) for fault in FAULTS]
    + [(write_checkpoint, *FAULTS[0]), (write_saved_model, *FAULTS[2])],
)
def test_files_of_other_variables_are_errors_of_one_line(values, tmp_path, write, spoil, message):
    path = write(spoil(values), tmp_path)
    with pytest.raises(WeightsError, match=message) as error:
        load_i3d(path, divisor=8, classes=5)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("wrong", [np.full(8, np.nan, np.float32), np.zeros(8, np.int32)])
def test_numbers_that_are_no_weights_are_refused(values, tmp_path, wrong):
    path = write_npz({**values, f"{STEM}/batch_norm/beta": wrong}, tmp_path)
    with pytest.raises(WeightsError, match="batch_norm/beta has values that are not finite"):
        load_i3d(path, divisor=8, classes=5)


def test_damaged_and_absent_files_are_errors_of_one_line(values, tmp_path):
    cut = write_npz(values, tmp_path)
    cut.write_bytes(cut.read_bytes()[:5000])
    prefix = write_checkpoint(values, tmp_path)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    spoiled = bytearray(data.read_bytes())
    spoiled[len(spoiled) // 2] ^= 0xFF
    data.write_bytes(spoiled)
    (tmp_path / "empty").mkdir()
    for path, message in [
        (cut, "not a readable .npz file"),
        (prefix, "is unreadable. Download it again"),
        (tmp_path / "none.npz", "no such file"),
        (tmp_path / "none.ckpt", "the name 'i3d-kinetics-400'"),
        (tmp_path / "empty", "no weights of I3D. Use an .npz file"),
    ]:
        with pytest.raises(WeightsError, match=message) as error:
            load_i3d(path, divisor=8, classes=5)
        assert "\n" not in str(error.value)


@pytest.fixture
def served(values, tmp_path, monkeypatch):
    """A tar of a SavedModel at the place of the public one; Keras's cache is a temporary one."""
    archive = tmp_path / "1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(write_saved_model(values, tmp_path), arcname=".")
    monkeypatch.setattr(i3d_weights, "HUB_ADDRESS", archive.as_uri())
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(i3d_weights, "HUB_SHA256", digest)
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    return archive


def test_the_name_downloads_once(values, served):
    for _ in range(2):
        network = load_i3d("i3d-kinetics-400", divisor=8, classes=5)
        assert weights_digest(network.variables_by_name()) == weights_digest(values)
        served.unlink(missing_ok=True)  # the second time it must come from the cache


def test_a_download_of_another_checksum_or_none_is_refused(served, monkeypatch):
    monkeypatch.setattr(i3d_weights, "HUB_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match="Use the path of your own copy") as error:
        load_i3d("i3d-kinetics-400")
    assert "\n" not in str(error.value)
    served.unlink()
    with pytest.raises(WeightsError, match="download failed"):
        load_i3d("i3d-kinetics-400")
