"""Makes the moving MNIST data sets: handwritten digits that bounce, 20 grey frames of 64x64.

    kerasvid data moving-mnist --out_dir=data/moving_mnist
    kerasvid data moving-mnist --variant=stochastic --out_dir=data/moving_mnist-stochastic
    kerasvid data moving-mnist --variant=test_sequences --source_dir=FOLDER \\
        --out_dir=data/moving_mnist-test_sequences

`deterministic` moves two digits of 28x28 as the code of Srivastava, Mansimov and Salakhutdinov
(ICML 2015) does: a random place and direction, steps of a tenth of the free canvas, a velocity that
turns round at a wall, and the brighter pixel where digits overlap.

`stochastic` is the variant of Denton and Fergus (ICML 2018), as in their code: digits enlarged to
32x32, whole steps of -4 to 4 pixels, and a new random velocity away from a wall that is hit. Pixels
add up where digits overlap, to 255 at most.

The digits are those of MNIST: its training digits make the split "train", its test digits "test".
--source_dir has mnist.npz of keras.datasets.mnist, or the four files of MNIST, packed with gzip or
not (train-images-idx3-ubyte.gz and so on). Without it, mnist.npz is downloaded, 11 MB. The
attributes are the digits, in the order in which they are drawn. There are no classes.

A clip is a function of --seed, its split and its number, and draws its digits with replacement.
This departs from both released codes: they take the numbers of all clips from one stream, and the
first one takes each digit once before it takes any again.

`test_sequences` converts mnist_test_seq.npy in --source_dir, the 10,000 clips on which papers
report errors of prediction, to a data set with the split "test" alone.
"""

import dataclasses
import functools
import gzip
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from kerasvid.data.records import DatasetInfo, Video
from tfrecords_tools.conversion import ConversionError, write_dataset
from tfrecords_tools.converter_flags import Options, option, run_converter
from tfrecords_tools.download import download_files
from tfrecords_tools.source_files import Folder, check_source_dir

SIDE, FRAMES = 64, 20
DIGIT = 28  # side of a digit of MNIST
STEP = 0.1  # of a deterministic digit, in units of the free canvas
LARGE_DIGIT, MAX_SPEED = 32, 4  # of the stochastic digits, in pixels
ORDER = ("first", "second", "third")  # names of the attributes
SPLITS = ("train", "test")
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
ARCHIVE = "mnist.npz"
CHECKSUMS = {ARCHIVE: "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}
IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SEQUENCES = "mnist_test_seq.npy"
SEQUENCES_SOURCE = "http://www.cs.toronto.edu/~nitish/unsupervised_video/"
LICENCE = "CC-BY-SA 3.0 (MNIST: copyright of Y. LeCun and C. Cortes)"
_DIGITS = "Y. LeCun, C. Cortes and C. Burges. The MNIST Database of Handwritten Digits."
_MOVING = (
    "N. Srivastava, E. Mansimov and R. Salakhutdinov. Unsupervised Learning of Video "
    "Representations using LSTMs. ICML 2015. arXiv:1502.04681."
)
_STOCHASTIC = (
    "E. Denton and R. Fergus. Stochastic Video Generation with a Learned Prior. ICML 2018. "
    "arXiv:1802.07687."
)
_REMEDY = f"give a --source_dir with {ARCHIVE} or the four files of MNIST, or none to download it"
Digits = tuple[np.ndarray, np.ndarray]  # images uint8 [N, 28, 28], labels uint8 [N]


@dataclasses.dataclass(frozen=True)
class MovingMnistOptions(Options):
    """How many clips of how many digits are drawn; fewer clips are the first of more."""

    train_clips: int = option(10_000, "Number of training clips.", 1)
    test_clips: int = option(1_000, "Number of test clips; 0 makes no such split.", 0)
    digits: int = option(2, "Number of digits in a clip, 1 to 3.", 1, len(ORDER))
    seed: int = option(0, "Seed for the digits and their motion.", 0)


# === Digits ===


def load_digits(source_dir: Folder) -> dict[str, Digits]:
    """Reads the training and the test digits of MNIST.

    Args:
        source_dir: folder with mnist.npz or the four IDX files, packed with gzip or not.

    Returns:
        For "train" and "test" the images uint8 [N, 28, 28], ink bright, and their digits uint8 [N].

    Raises:
        ConversionError: the folder or a file is missing, or is not one of MNIST.
    """
    source_dir = check_source_dir(source_dir, "moving_mnist", f"the folder of MNIST; {_REMEDY}")
    archive = os.path.join(source_dir, ARCHIVE)
    if os.path.isfile(archive):
        arrays = _read_archive(archive)
        found = {split: (arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in SPLITS}
        places = dict.fromkeys(SPLITS, archive)
    else:
        paths = {
            split: [_find_idx(source_dir, name) for name in names]
            for split, names in IDX_FILES.items()
        }
        found = {
            split: (_read_idx(images, 3), _read_idx(labels, 1))
            for split, (images, labels) in paths.items()
        }
        places = {split: images for split, (images, _) in paths.items()}
    for split, (images, labels) in found.items():
        sizes_fit = images.ndim == 3 and labels.shape == images.shape[:1]
        sizes_fit = sizes_fit and images.shape[1:] == (DIGIT, DIGIT)
        types_fit = images.dtype == labels.dtype == np.uint8
        if not (labels.size and sizes_fit and types_fit and labels.max() <= 9):
            raise ConversionError(
                f"{places[split]}: images {images.dtype} {list(images.shape)} and labels "
                f"{labels.dtype} {list(labels.shape)} are not digits of {DIGIT}x{DIGIT} and their "
                f"numbers 0 to 9; {_REMEDY}."
            )
    return found


def _read_archive(path: str) -> dict[str, np.ndarray]:
    names = [f"{key}_{split}" for split in SPLITS for key in "xy"]
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names}
    except (
        TypeError,
        OSError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ConversionError(
            f"{path}: cannot be read as an archive of {', '.join(names)}; {_REMEDY}."
        ) from error


def _find_idx(source_dir: str, name: str) -> str:
    for path in (os.path.join(source_dir, f"{name}{end}") for end in ("", ".gz")):
        if os.path.isfile(path):
            return path
    raise ConversionError(f"{source_dir}: no {ARCHIVE} and no {name}[.gz] found; {_REMEDY}.")


def _read_idx(path: str, axes: int) -> np.ndarray:
    """The bytes of an IDX file, uint8 with that number of axes."""
    opened = gzip.open if path.endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ConversionError(f"{path}: cannot be read ({error}); {_REMEDY}.") from error
    start = 4 + 4 * axes
    sizes = np.frombuffer(content[4:start], ">u4").tolist()
    # Two zeros, the code of uint8, the number of axes.
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) - start != np.prod(sizes, dtype=int):
        raise ConversionError(f"{path}: is not an IDX file of bytes with {axes} axes; {_REMEDY}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


# === Motion ===


def bouncing_path(random: np.random.Generator) -> np.ndarray:
    """A path that turns round at walls: row and column of a digit's corner, int [20, 2].

    The first place is a step away from one that is uniform on the canvas, and a digit that passed a
    wall is put on it, as in the released code.
    """
    place = random.random(2)
    angle = 2 * np.pi * random.random()
    velocity = np.array([np.sin(angle), np.cos(angle)])
    corners = np.empty((FRAMES, 2), np.int64)
    for frame in range(FRAMES):
        place = place + STEP * velocity
        velocity = np.where((place <= 0) | (place >= 1), -velocity, velocity)
        place = np.clip(place, 0, 1)
        corners[frame] = ((SIDE - DIGIT) * place).astype(np.int64)
    return corners


def stochastic_path(random: np.random.Generator) -> np.ndarray:
    """A path with a new velocity at walls: row and column of a digit's corner, int [20, 2].

    A digit that passed a wall is put back: to 0, or to 31, one less than fits, as in the released
    code. It leaves with 1 to 4 pixels a frame, along the wall with -4 to 4.
    """
    free = SIDE - LARGE_DIGIT
    place = random.integers(0, free, 2)
    velocity = random.integers(-MAX_SPEED, MAX_SPEED + 1, 2)
    corners = np.empty((FRAMES, 2), np.int64)
    for frame in range(FRAMES):
        for axis in (0, 1):
            if 0 <= place[axis] < free:
                continue
            away = 1 if place[axis] < 0 else -1
            place[axis] = 0 if away > 0 else free - 1
            velocity[axis] = away * random.integers(1, MAX_SPEED + 1)
            velocity[1 - axis] = random.integers(-MAX_SPEED, MAX_SPEED + 1)
        corners[frame] = place
        place = place + velocity
    return corners


def draw_bouncing(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The frames of a clip of `deterministic`.

    Args:
        images: the digits, uint8 [D, 28, 28].
        random: source of their motion.

    Returns:
        uint8 [20, 64, 64, 1], bright digits on black.
    """
    frames = np.zeros((FRAMES, SIDE, SIDE, 1), np.uint8)
    for image in images:
        for frame, (top, left) in zip(frames, bouncing_path(random), strict=True):
            part = frame[top : top + DIGIT, left : left + DIGIT, 0]
            np.maximum(part, image, out=part)
    return frames


def draw_stochastic(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The frames of a clip of `stochastic`; arguments and result as of `draw_bouncing`."""
    frames = np.zeros((FRAMES, SIDE, SIDE, 1), np.uint16)
    size = (LARGE_DIGIT, LARGE_DIGIT)
    for image in images:
        large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        for frame, (top, left) in zip(frames, stochastic_path(random), strict=True):
            frame[top : top + LARGE_DIGIT, left : left + LARGE_DIGIT, 0] += large
    return np.minimum(frames, 255).astype(np.uint8)


def draw_clip(
    split: str,
    number: int,
    digits: Mapping[str, Digits],
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray] = draw_bouncing,
    count: int = 2,
    seed: int = 0,
) -> Video:
    """Draws one clip, a function of (seed, split, number).

    Args:
        split: "train" or "test".
        number: of the clip in its split.
        digits: those of each split, from `load_digits`.
        draw: `draw_bouncing` or `draw_stochastic`.
        count: number of digits in the clip.
        seed: of the data set.
    """
    random = np.random.default_rng((seed, SPLITS.index(split), number))
    images, labels = digits[split]
    chosen = random.integers(0, len(images), count)
    values = tuple(labels[chosen].tolist())
    name = "".join(map(str, values))
    return Video(draw(images[chosen], random), f"{split}/{number:05d}-{name}", attributes=values)


# === Data sets ===


def prepare(
    out_dir: Folder,
    source_dir: Folder | None = None,
    options: MovingMnistOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "moving_mnist" (see `tfrecords_tools.converters`).

    Without source_dir, the digits are downloaded, 11 MB, to the folder mnist-digits beside out_dir
    and kept there.
    """
    return _write(out_dir, source_dir, options, writing, "moving_mnist", draw_bouncing, _MOVING)


def prepare_stochastic(
    out_dir: Folder,
    source_dir: Folder | None = None,
    options: MovingMnistOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "moving_mnist/stochastic"; as `prepare`."""
    name = "moving_mnist/stochastic"
    return _write(out_dir, source_dir, options, writing, name, draw_stochastic, _STOCHASTIC)


def _write(
    out_dir: Folder,
    source_dir: Folder | None,
    options: MovingMnistOptions | None,
    writing: dict[str, bool],
    name: str,
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    paper: str,
) -> DatasetInfo:
    options = options or MovingMnistOptions()
    if not source_dir:
        source_dir = os.path.join(os.path.dirname(os.path.abspath(out_dir)), "mnist-digits")
        shown = writing.get("progress", True)
        download_files(ADDRESS, CHECKSUMS, source_dir, title="MNIST digits", progress=shown)
    digits = load_digits(source_dir)
    counts = {"train": options.train_clips, "test": options.test_clips}
    splits = {
        split: [(split, number) for number in range(count)]
        for split, count in counts.items()
        if count
    }

    def load(clip: tuple[str, int]) -> Video:
        return draw_clip(*clip, digits, draw, options.digits, options.seed)

    info = DatasetInfo(
        name,
        "1",
        SIDE,
        SIDE,
        channels=1,
        attribute_names=ORDER[: options.digits],
        attribute_sizes=(10,) * options.digits,
        licence=LICENCE,
        source=f"drawn by tfrecords_tools/synthetic/moving_mnist.py, seed {options.seed}, from "
        "the digits of MNIST",
        citation=f"{paper} {_DIGITS}",
    )
    return write_dataset(out_dir, info, splits, load, **writing)


def prepare_test_sequences(
    out_dir: Folder,
    source_dir: Folder | None,
    options: MovingMnistOptions | None = None,
    **writing: bool,
) -> DatasetInfo:
    """Writes the data set "moving_mnist/test_sequences", with the split "test" alone.

    The options are those of the variants that are drawn: others than the defaults are refused.
    """
    for field in dataclasses.fields(MovingMnistOptions):
        if getattr(options or MovingMnistOptions(), field.name) != field.default:
            raise ConversionError(f"{field.name} is of clips that are drawn. Leave it out.")
    needs = f"the folder of {SEQUENCES}; get it at {SEQUENCES_SOURCE} ({_MOVING})"
    source_dir = check_source_dir(source_dir, "moving_mnist/test_sequences", needs)
    path = os.path.join(source_dir, SEQUENCES)
    if not os.path.isfile(path):
        raise ConversionError(f"{source_dir}: no {SEQUENCES} found; get it at {SEQUENCES_SOURCE}.")
    try:
        sequences = np.load(path, mmap_mode="r")  # [20, N, 64, 64]
        if not isinstance(sequences, np.ndarray):
            raise ValueError("an archive")
    except (OSError, ValueError, EOFError) as error:
        raise ConversionError(
            f"{path}: cannot be read as an array; get it again at {SEQUENCES_SOURCE}."
        ) from error
    shape = sequences.shape
    if sequences.dtype != np.uint8 or shape != (FRAMES, *shape[1:2], SIDE, SIDE):
        raise ConversionError(
            f"{path}: the array is {sequences.dtype} {list(shape)} instead of uint8 [{FRAMES}, "
            f"10000, {SIDE}, {SIDE}]; get it again at {SEQUENCES_SOURCE}."
        )

    def load(number: int) -> Video:
        return Video(np.array(sequences[:, number, ..., None]), f"test/{number:05d}")

    origin: dict[str, Any] = {"licence": LICENCE, "source": SEQUENCES_SOURCE + SEQUENCES}
    origin["citation"] = f"{_MOVING} {_DIGITS}"
    info = DatasetInfo("moving_mnist/test_sequences", "1", SIDE, SIDE, channels=1, **origin)
    return write_dataset(out_dir, info, {"test": range(shape[1])}, load, **writing)


main = functools.partial(
    run_converter,
    __doc__,
    {
        "deterministic": prepare,
        "stochastic": prepare_stochastic,
        "test_sequences": prepare_test_sequences,
    },
    f"Folder of the digits of MNIST, else downloaded; of {SEQUENCES} for test_sequences.",
    options=MovingMnistOptions,
)
