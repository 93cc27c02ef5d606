"""Moving MNIST: the motion of the papers, digits, records and the command line."""

import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.data.records import decode_frames, parse_record
from tfrecords_tools import registry
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.synthetic import moving_mnist
from tfrecords_tools.synthetic.moving_mnist import (
    MovingMnistOptions,
    bouncing_path,
    draw_bouncing,
    draw_clip,
    draw_stochastic,
    load_digits,
    stochastic_path,
)
from tfrecords_tools.verify import verify

FEW = MovingMnistOptions(train_clips=5, test_clips=3)


def _digits(count, seed):
    """Images of smooth blocks, never black at a corner, and digits 0, 1, 2, ..."""
    blocks = np.random.default_rng(seed).integers(40, 256, (count, 7, 7), np.uint8)
    return blocks.repeat(4, axis=1).repeat(4, axis=2), (np.arange(count) % 10).astype(np.uint8)


@pytest.fixture(scope="module")
def digits():
    return {"train": _digits(30, 1), "test": _digits(20, 2)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory, digits):
    """A folder with mnist.npz, in the layout of Keras's."""
    folder = tmp_path_factory.mktemp("mnist")
    arrays = {f"{key}_{split}": digits[split][k] for split in digits for k, key in enumerate("xy")}
    np.savez(folder / "mnist.npz", **arrays)
    return folder


def _write_idx(folder, digits, packed):
    folder.mkdir()
    for split, names in moving_mnist.IDX_FILES.items():
        for name, array in zip(names, digits[split], strict=True):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = head + array.tobytes()
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)


def _records(folder, split):
    files = [str(folder / shard.file) for shard in load_info(folder).splits[split].shards]
    return [parse_record(serialized) for serialized in tf.data.TFRecordDataset(files)]


def _frames(record):
    return decode_frames(record["frames"], "png", 64, 64, 1).numpy()


# === Motion ===


def _released_path(x, y, theta, canvas=36, frames=20, step=0.1):
    """Rows and columns by the rules of the released data handler, one number at a time."""
    v_y, v_x, places = np.sin(theta), np.cos(theta), []
    for _ in range(frames):
        y, x = y + v_y * step, x + v_x * step
        if x <= 0:
            x, v_x = 0, -v_x
        if x >= 1:
            x, v_x = 1, -v_x
        if y <= 0:
            y, v_y = 0, -v_y
        if y >= 1:
            y, v_y = 1, -v_y
        places.append((int(canvas * y), int(canvas * x)))
    return places


class _Given:
    """A generator of random numbers that are given."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def random(self, size=None):
        return (
            self.numbers.pop(0) if size is None else np.array([self.random() for _ in range(size)])
        )


def test_a_digit_moves_and_turns_as_in_the_released_code():
    for seed in range(50):
        y, x, turn = np.random.default_rng(seed).random(3)
        path = bouncing_path(_Given(y, x, turn))
        assert path.tolist() == list(map(list, _released_path(x, y, 2 * np.pi * turn)))
        assert path.min() >= 0 and path.max() <= 36


def test_a_digit_turns_round_at_a_wall_with_a_step_of_a_tenth():
    right = bouncing_path(_Given(0.5, 0.75, 0.0))  # to the right
    assert set(right[:, 0]) == {18}
    assert right[:6, 1].tolist() == [30, 34, 36, 32, 28, 25]  # 36 times 0.85, 0.95, 1, 0.9, ...
    # Every start is equally likely: so is the mean place.
    starts = np.array([bouncing_path(np.random.default_rng(k))[0] for k in range(400)])
    np.testing.assert_allclose(starts.mean(0), 18, atol=2)


def test_a_stochastic_digit_keeps_its_velocity_between_walls_and_leaves_them_anew():
    hits, changed, speeds = 0, 0, set()
    for seed in range(200):
        path = stochastic_path(np.random.default_rng(seed))
        assert path.shape == (20, 2) and path.min() >= 0 and path.max() <= 31
        steps = np.diff(path, axis=0)
        assert np.abs(steps).max() <= 4
        speeds |= set(steps[0].tolist())
        for before, place, after in zip(steps, path[1:], steps[1:], strict=False):
            at_wall = np.isin(place, (0, 31))
            if not at_wall.any():
                # At the next wall a step is cut short, but it does not turn.
                free = ~np.isin(place + after, (0, 31))
                np.testing.assert_array_equal(after[free], before[free])
                continue
            hits += 1
            changed += not np.array_equal(np.abs(after), np.abs(before))
    assert hits > 200 and changed > 0.7 * hits  # the speed is a new one, too
    assert speeds == set(range(-4, 5))


def _released_stochastic_path(random):
    """Rows and columns by the rules of the released code of Denton and Fergus."""
    y, x = (int(number) for number in random.integers(0, 32, 2))
    dy, dx = (int(number) for number in random.integers(-4, 5, 2))
    places = []
    for _ in range(20):
        if y < 0:
            y, dy, dx = 0, random.integers(1, 5), random.integers(-4, 5)
        elif y >= 32:
            y, dy, dx = 31, -random.integers(1, 5), random.integers(-4, 5)
        if x < 0:
            x, dx, dy = 0, random.integers(1, 5), random.integers(-4, 5)
        elif x >= 32:
            x, dx, dy = 31, -random.integers(1, 5), random.integers(-4, 5)
        places.append([y, x])
        y, x = y + dy, x + dx
    return places


def test_a_stochastic_digit_leaves_a_wall_by_the_rule_of_the_released_code():
    walls = set()
    for seed in range(100):
        path = stochastic_path(np.random.default_rng(seed))
        assert path.tolist() == _released_stochastic_path(np.random.default_rng(seed))
        walls |= {(axis, wall) for axis in (0, 1) for wall in (0, 31) if wall in path[1:, axis]}
    assert len(walls) == 4


def test_a_digit_is_drawn_where_its_path_has_it_and_the_brighter_pixel_shows():
    images = np.stack([np.full((28, 28), 180, np.uint8), np.full((28, 28), 100, np.uint8)])
    seen = 0
    for seed in range(20):
        frames = draw_bouncing(images, np.random.default_rng(seed))
        assert frames.shape == (20, 64, 64, 1) and frames.dtype == np.uint8
        random = np.random.default_rng(seed)
        bright, dark = bouncing_path(random), bouncing_path(random)
        for frame, (top, left), (low, right) in zip(frames[..., 0], bright, dark, strict=True):
            assert (frame[top : top + 28, left : left + 28] == 180).all()
            rest = frame[low : low + 28, right : right + 28]
            assert set(np.unique(rest)) <= {100, 180} and (frame == 180).sum() == 28 * 28
            seen += (rest == 180).any()
    assert seen > 20  # they do overlap


def test_stochastic_digits_are_enlarged_and_add_up_to_white():
    images = np.stack([np.full((28, 28), 100, np.uint8), np.full((28, 28), 180, np.uint8)])
    seen = 0
    for seed in range(20):
        frames = draw_stochastic(images, np.random.default_rng(seed))
        assert frames.shape == (20, 64, 64, 1) and frames.dtype == np.uint8
        assert set(np.unique(frames)) <= {0, 100, 180, 255}
        for frame in frames:
            shared = (frame == 255).sum()
            assert (frame == 100).sum() + shared == (frame == 180).sum() + shared == 32 * 32
            seen += shared > 0
    assert seen > 20


# === Clips ===


def test_a_clip_is_a_function_of_seed_split_and_number(digits):
    clip = draw_clip("train", 3, digits)
    again = draw_clip("train", 3, {**digits, "test": _digits(5, 9)})
    np.testing.assert_array_equal(clip.frames, again.frames)
    assert clip.id == again.id == f"train/00003-{clip.attributes[0]}{clip.attributes[1]}"
    for other in (
        draw_clip("train", 4, digits),
        draw_clip("train", 3, digits, seed=1),
        draw_clip("test", 3, {"test": digits["train"]}),
    ):
        assert not np.array_equal(clip.frames, other.frames)


def test_a_clip_shows_digits_of_its_split_with_their_numbers(digits):
    for split, (images, labels) in digits.items():
        for number in range(20):
            clip = draw_clip(split, number, digits, count=1)
            rows, columns = np.nonzero(clip.frames[0, ..., 0])
            top, left = rows.min(), columns.min()
            shown = clip.frames[0, top : top + 28, left : left + 28, 0]
            [place] = [k for k, image in enumerate(images) if np.array_equal(image, shown)]
            assert clip.attributes == (labels[place],)


# === Data sets ===


@pytest.mark.parametrize("name", ["moving_mnist", "moving_mnist/stochastic"])
def test_records_hold_the_drawn_clips(tmp_path, archive, digits, name):
    stochastic = name.endswith("stochastic")
    prepare = moving_mnist.prepare_stochastic if stochastic else moving_mnist.prepare
    draw = draw_stochastic if stochastic else draw_bouncing
    info = prepare(tmp_path / "out", archive, FEW, progress=False)
    assert info.name == name and info.frame_shape == (64, 64, 1) and info.class_names == ()
    assert info.attribute_names == ("first", "second") and info.attribute_sizes == (10, 10)
    assert (
        "ICML 2018" if stochastic else "ICML 2015"
    ) in info.citation and "CC-BY-SA" in info.licence
    assert verify(str(tmp_path / "out")).faults == []
    for split, count in (("train", 5), ("test", 3)):
        records = _records(tmp_path / "out", split)
        assert len(records) == count
        for number, record in enumerate(records):
            clip = draw_clip(split, number, digits, draw)
            np.testing.assert_array_equal(_frames(record), clip.frames)
            assert tuple(record["attributes"].numpy()) == clip.attributes
            assert int(record["label"]) == -1 and record["id"].numpy().decode() == clip.id


def test_fewer_clips_are_the_first_of_more(tmp_path, archive):
    for name, options in (("few", FEW), ("more", MovingMnistOptions(train_clips=8, test_clips=0))):
        moving_mnist.prepare(tmp_path / name, archive, options, progress=False)
    few, more = (_records(tmp_path / name, "train") for name in ("few", "more"))
    assert len(more) == 8 and list(load_info(tmp_path / "more").splits) == ["train"]
    for one, other in zip(few, more, strict=False):
        np.testing.assert_array_equal(_frames(one), _frames(other))
    defaults = MovingMnistOptions()
    assert (defaults.train_clips, defaults.test_clips, defaults.digits) == (10_000, 1_000, 2)


@pytest.mark.parametrize("packed", [True, False])
def test_the_four_files_of_mnist_give_the_same_data_set(tmp_path, archive, digits, packed):
    _write_idx(tmp_path / "idx", digits, packed)
    info = moving_mnist.prepare(tmp_path / "out", archive, FEW, progress=False)
    again = moving_mnist.prepare(tmp_path / "again", tmp_path / "idx", FEW, progress=False)
    assert again == info  # with the checksums of all bytes


@pytest.fixture
def serve(monkeypatch):
    """A function that serves a folder as the address of mnist.npz: the paths asked for."""
    servers = []

    def start(folder):
        asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                asked.append(self.path)

        handler = functools.partial(Handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setattr(moving_mnist, "ADDRESS", f"http://127.0.0.1:{server.server_port}")
        return asked

    monkeypatch.setenv("no_proxy", "*")
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_without_a_folder_the_digits_are_downloaded_once(tmp_path, monkeypatch, archive, serve):
    assert moving_mnist.CHECKSUMS["mnist.npz"].startswith("731c5ac602752760c8e48fbffcf8c3b8")
    asked = serve(archive)
    sha256 = hashlib.sha256((archive / "mnist.npz").read_bytes()).hexdigest()
    monkeypatch.setattr(moving_mnist, "CHECKSUMS", {"mnist.npz": sha256})
    given = moving_mnist.prepare(tmp_path / "given", archive, FEW, progress=False)
    assert asked == []
    data = tmp_path / "data"
    assert moving_mnist.prepare(data / "moving_mnist", None, FEW, progress=False) == given
    moving_mnist.prepare_stochastic(data / "stochastic", None, FEW, progress=False)
    assert asked == ["/mnist.npz"]
    assert {path.name for path in data.iterdir()} == {"mnist-digits", "moving_mnist", "stochastic"}


def test_digits_that_cannot_be_had_get_one_line(tmp_path, serve):
    serve(tmp_path)  # which has no mnist.npz
    with pytest.raises(SystemExit) as stop:
        moving_mnist.main([f"--out_dir={tmp_path / 'new'}"])
    said = str(stop.value)
    assert said.startswith(f"error: {moving_mnist.ADDRESS}/mnist.npz: the server answers 404")
    assert "--source_dir" in said and "\n" not in said and list(tmp_path.iterdir()) == []


def test_the_test_sequences_are_converted_to_the_pixel(tmp_path):
    sequences = np.random.default_rng(0).integers(0, 256, (20, 4, 8, 8), np.uint8)
    sequences = sequences.repeat(8, axis=2).repeat(8, axis=3)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "mnist_test_seq.npy", sequences)
    arguments = ["--variant=test_sequences", f"--source_dir={tmp_path / 'in'}"]
    moving_mnist.main([*arguments, f"--out_dir={tmp_path / 'out'}"])
    info = load_info(tmp_path / "out")
    assert info.name == "moving_mnist/test_sequences" and list(info.splits) == ["test"]
    records = _records(tmp_path / "out", "test")
    assert [record["id"].numpy() for record in records] == [b"test/%05d" % k for k in range(4)]
    for number, record in enumerate(records):
        np.testing.assert_array_equal(_frames(record)[..., 0], sequences[:, number])
    folder = registry.prepare("moving_mnist/test_sequences", str(tmp_path), str(tmp_path / "in"))
    assert folder == str(tmp_path / "moving_mnist-test_sequences") and load_info(folder) == info


def test_the_command_line_passes_every_option_on(tmp_path, archive, digits, capsys):
    arguments = [f"--source_dir={archive}", f"--out_dir={tmp_path / 'out'}", "--digits=3"]
    moving_mnist.main([*arguments, "--train_clips=2", "--test_clips=1", "--seed=4"])
    assert "train: 2 videos of 20 to 20 frames, 64x64" in capsys.readouterr().out
    info = load_info(tmp_path / "out")
    assert info.attribute_names == ("first", "second", "third") and "seed 4" in info.source
    [record] = _records(tmp_path / "out", "test")
    clip = draw_clip("test", 0, digits, count=3, seed=4)
    np.testing.assert_array_equal(_frames(record), clip.frames)
    assert tuple(record["attributes"].numpy()) == clip.attributes


# === Faults ===


def _spoil(folder, digits, how):
    """Spoils a folder of the four files or of mnist.npz."""
    images, labels = digits["train"]
    arrays = {f"{k}_{s}": digits[s][n] for s in digits for n, k in enumerate("xy")}
    if how == "text":
        (folder / "mnist.npz").write_text("<html>not found")
    elif how == "npy":
        (folder / "mnist.npz").write_bytes(b"")
    elif how == "array":
        with open(folder / "mnist.npz", "wb") as file:
            np.save(file, images)
    elif how == "scalar":
        np.savez(folder / "mnist.npz", **{**arrays, "y_train": np.uint8(3)})
    elif how == "names":
        np.savez(folder / "mnist.npz", x_train=images, y_train=labels)
    elif how == "size":
        np.savez(folder / "mnist.npz", **{**arrays, "x_test": images[:, :20]})
    elif how == "type":
        np.savez(folder / "mnist.npz", **{**arrays, "x_train": images / 255})
    elif how == "count":
        np.savez(folder / "mnist.npz", **{**arrays, "y_train": labels[1:]})
    elif how == "letters":
        np.savez(folder / "mnist.npz", **{**arrays, "y_train": labels + 1})
    else:
        folder.rmdir()
        _write_idx(folder, digits, packed=how == "packed")
        if how == "missing":
            (folder / "t10k-labels-idx1-ubyte").unlink()
        elif how == "short":
            path = folder / "train-images-idx3-ubyte"
            path.write_bytes(path.read_bytes()[:-1])
        elif how == "exchanged":
            (folder / "t10k-labels-idx1-ubyte").replace(folder / "t10k-images-idx3-ubyte")
            (folder / "t10k-labels-idx1-ubyte").write_bytes(b"")
        else:
            path = folder / "t10k-images-idx3-ubyte.gz"
            path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("text", r"mnist\.npz: cannot be read as an archive of x_train, y_train, x_test, y_test"),
        ("npy", r"mnist\.npz: cannot be read as an archive"),
        ("array", r"mnist\.npz: cannot be read as an archive"),
        ("scalar", r"mnist\.npz: images uint8 \[30, 28, 28\] and labels uint8 \[\]"),
        ("names", r"mnist\.npz: cannot be read as an archive"),
        ("size", r"mnist\.npz: images uint8 \[30, 20, 28\] and labels uint8 \[20\] are not digits"),
        ("type", r"mnist\.npz: images float64 \[30, 28, 28\]"),
        ("count", r"mnist\.npz: images uint8 \[30, 28, 28\] and labels uint8 \[29\]"),
        ("letters", r"mnist\.npz: images .* are not digits of 28x28 and their numbers 0 to 9"),
        ("missing", r"in: no mnist\.npz and no t10k-labels-idx1-ubyte\[\.gz\] found"),
        ("short", r"train-images-idx3-ubyte: is not an IDX file of bytes with 3 axes"),
        ("exchanged", r"t10k-images-idx3-ubyte: is not an IDX file of bytes with 3 axes"),
        ("packed", r"t10k-images-idx3-ubyte\.gz: cannot be read"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, digits, how, said):
    (tmp_path / "in").mkdir()
    _spoil(tmp_path / "in", digits, how)
    with pytest.raises(ConversionError, match=said) as error:
        load_digits(tmp_path / "in")
    assert "--source_dir with mnist.npz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source_dir=none", "--out_dir=new"], "none: no such folder; give the folder of MNIST"),
        (["--source_dir=.", "--out_dir=new"], "no mnist.npz and no train-images-idx3-ubyte"),
        (["--digits=4", "--out_dir=new"], "digits=4: must be from 1 to 3"),
        (["--train_clips=0", "--out_dir=new"], "train_clips=0: must be 1 or more"),
        (["--variant=test_sequences", "--out_dir=new"], "needs --source_dir.*nitish.*ICML 2015"),
        (["--variant=test_sequences", "--source_dir=.", "--out_dir=new"], "no mnist_test_seq"),
        (["--variant=test_sequences", "--source_dir=text", "--out_dir=new"], "cannot be read as"),
        (["--variant=test_sequences", "--source_dir=other", "--out_dir=new"],
         r"npy: the array is uint8 \[2, 20, 64, 64\] instead of uint8 \[20, 10000, 64, 64\]"),
        (["--variant=test_sequences", "--source_dir=archive", "--out_dir=new"],
         "cannot be read as"),
        (["--variant=test_sequences", "--source_dir=other", "--out_dir=new", "--digits=3"],
         "digits is of clips that are drawn. Leave it out."),
        (["--variant=fast", "--out_dir=new"], "variant"),
        ([], "--out_dir is missing"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    for name in ("text", "other", "archive"):
        (tmp_path / name).mkdir()
    with open(tmp_path / "archive" / "mnist_test_seq.npy", "wb") as file:
        np.savez(file, np.zeros(3))
    (tmp_path / "text" / "mnist_test_seq.npy").write_text("<html>not found")
    np.save(tmp_path / "other" / "mnist_test_seq.npy", np.zeros((2, 20, 64, 64), np.uint8))
    with pytest.raises(SystemExit, match=said) as stop:
        moving_mnist.main(arguments)
    assert str(stop.value).startswith("error: ") and "\n" not in str(stop.value)
    assert not (tmp_path / "new").exists()
