"""Makes a GIF with an exported TFLite file, by ai-edge-litert, numpy and Pillow alone.

    kerasvid-play rjvae.tflite --out=clips.gif
    python play_tflite.py rjvae.tflite --count=16 --seed=7 --label=3
    python play_tflite.py cvae.tflite --first=a.png --last=b.png --out=between.gif

This file imports nothing else, so it can be copied to a device without TensorFlow, such as a
Raspberry Pi: `pip install ai-edge-litert numpy pillow`. What the file takes is read from the
description that `kerasvid export tflite` put into it. Row i of a seed has noise of its own, other
noise than that of `generate` in the library.
"""

import argparse
import contextlib
import json
import math
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MEMBER = "kerasvid.json"  # of the ZIP archive at the end of a file
CATEGORY = "category"  # noise of which the largest entry is the class
COLUMNS = 4  # clips side by side
SHOWN = "decode", "between", "interpolate", "recall", "exchange", "image"  # make pixels of no video


class PlayError(ValueError):
    """A file or a flag that cannot be used; one line says why and what to do."""


def description(path: str) -> dict[str, Any]:
    """What a TFLite file says of itself.

    Args:
        path: of a file of `kerasvid export tflite`.

    Returns:
        `"model"`, `"frames"`, `"fps"`, `"classes"`, and `"signatures"` with their inputs by name.

    Raises:
        PlayError: there is no such file, or no description in it.

    Example:
        >>> [*description("rjvae.tflite")["signatures"]]
        ['decode', 'interpolate', 'image', 'encode', 'reconstruct', 'swap']
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read(MEMBER))
        if not isinstance(facts["signatures"], dict) or facts["batch"] < 1:
            raise ValueError("no signatures")
        return facts
    except OSError as error:
        raise PlayError(f"{path}: {error.strerror}.") from error
    except Exception as error:  # zipfile and json raise many kinds
        raise PlayError(
            f"{path}: has no description. Make it with `kerasvid export tflite`."
        ) from error


def noise(shape: Sequence[int], seed: int, row: int, name: str) -> np.ndarray:
    """Standard Gaussians of one row, float32: a function of the seed, the row and the name."""
    generator = np.random.default_rng([seed, row, zlib.crc32(name.encode())])
    return generator.standard_normal(shape, np.float32)


def opened_image(path: str, height: int, width: int, channels: int) -> np.ndarray:
    """An image cropped at its centre and scaled, uint8 `[H, W, C]`."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            whole = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PlayError(f"{path}: not an image, or too large.") from error
    except OSError as error:
        raise PlayError(f"{path}: {error.strerror or error}.") from error
    pixels = np.asarray(ImageOps.fit(whole, (width, height), Image.Resampling.BOX))
    return pixels.reshape(height, width, channels)


class Player:
    """A TFLite file that makes videos.

    Args:
        path: of a file of `kerasvid export tflite`.
        threads: number of threads.

    Raises:
        PlayError: the file cannot be read, or `ai-edge-litert` is not installed.

    Example:
        >>> Player("rjvae.tflite").clips(8, seed=3).shape
        (8, 8, 64, 64, 3)
    """

    def __init__(self, path: str, threads: int = 2):
        self.facts = description(path)
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise PlayError(
                "ai-edge-litert is not installed. Run pip install ai-edge-litert."
            ) from error
        try:
            self._interpreter = Interpreter(model_path=path, num_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise PlayError(f"{path}: cannot be read as TFLite ({error}).") from error

    def signature(self, name: str | None = None) -> str:
        """A signature of the file that makes videos: the one of this name, or the first."""
        known = [each for each in SHOWN if each in self.facts["signatures"]]
        if name is None and known:
            return known[0] if "between" not in known else "between"
        if name not in known:
            raise PlayError(f"The file has no signature {name!r} that makes videos. It has "
                            f"{', '.join(known) or 'none'}.")  # fmt: skip
        return name

    def clips(
        self, count: int, signature: str | None = None, seed: int = 0, **given: Any
    ) -> np.ndarray:
        """Videos of a signature: uint8 `[count, T, H, W, C]`.

        Args:
            count: number of videos.
            signature: its name; by default `decode` or `between`.
            seed: of the noise.
            **given: values of the other inputs, the same for all videos; `label` is the class, by
                number or name, and `fraction` of `interpolate` goes from 0 to 1 if it is left out.

        Raises:
            PlayError: an input is missing, unknown or has a wrong value.
        """
        name = self.signature(signature)
        facts, runner = self.facts["signatures"][name], self._interpreter.get_signature_runner(name)
        details, outputs = runner.get_input_details(), runner.get_output_details()
        batch = self.facts["batch"]
        given["label"] = label = self._class(given.get("label"), facts)
        made = []
        for first in range(0, count, batch):
            rows = range(first, first + batch)
            inputs = {}
            for key, each in facts["inputs"].items():
                drawn = rows if name != "interpolate" else [0] * batch  # one way, not several
                value = (
                    np.stack([noise(each["shape"][1:], seed, row, key) for row in drawn])
                    if key in facts["noise"]
                    else self._input(key, each, rows, count, given)
                )
                if key.endswith(CATEGORY) and label is not None:
                    value = np.repeat(
                        np.eye(each["shape"][-1], dtype=np.float32)[[label]], batch, 0
                    )
                inputs[key] = quantised(value, details[key])
            made += [*next(iter(floats(runner(**inputs), outputs).values()))]
        videos = np.stack(made[:count])
        if videos.dtype != np.uint8:
            videos = np.round((np.clip(videos, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
        return videos if videos.ndim == 5 else videos[:, None]  # an image is a video of one frame

    def _input(
        self, key: str, each: Mapping[str, Any], rows: range, count: int, given: Mapping[str, Any]
    ) -> np.ndarray:
        """The values of an input that is no noise, `[batch, ...]`, for some rows."""
        shape = each["shape"][1:]
        value = given.get(key)
        if key == "fraction" and value is None:
            return np.linspace(0.0, 1.0, max(count, 2), dtype=np.float32)[
                np.minimum(rows, count - 1)
            ]
        if value is None:
            if key == "temperature":
                value = 1.0
            else:
                raise PlayError(f"--{key} is missing: {each['meaning']}.")
        value = np.asarray(value, each["dtype"])
        if each["dtype"] == "float32" and len(shape) == 3:
            value = value / np.float32(127.5) - np.float32(1.0)
        least, most = each.get("range", (None, None))
        if len(shape) == 0 and ((least is not None and value < least) or
                                (most is not None and value > most)):  # fmt: skip
            limits = f"{least} or more" if most is None else f"{least} to {most}"
            raise PlayError(f"--{key}={value}: give {limits}.")
        return np.repeat(value[None], len(rows), axis=0)

    def _class(self, label: Any, facts: Mapping[str, Any]) -> int | None:
        """The number of a class, which may be its name."""
        if label is None:
            return None
        inputs = facts["inputs"]
        sizes = [each["shape"][-1] for key, each in inputs.items() if key.endswith(CATEGORY)]
        if "label" in inputs:  # of a generator that is conditional on it
            sizes.append(int(inputs["label"]["range"][1]) + 1)
        names = self.facts.get("classes") or []
        if not sizes:
            raise PlayError(f"--label={label}: the model makes no videos of a class. Remove it.")
        number = names.index(label) if label in names else label
        if not str(number).isdecimal() or int(number) >= sizes[0]:
            raise PlayError(f"--label={label}: give a number below {sizes[0]}"
                            + (f", or one of {', '.join(names)}." if names else "."))  # fmt: skip
        return int(number)


def quantised(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """An input as the file takes it, int8 where it is scaled so."""
    if detail["dtype"] != np.int8:
        return np.ascontiguousarray(value.astype(detail["dtype"]))
    scale, zero = detail["quantization"]
    return np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)


def floats(outputs: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Outputs by name, in float32 where the file has int8."""
    found = {}
    for name, value in outputs.items():
        if details[name]["dtype"] == np.int8:
            scale, zero = details[name]["quantization"]
            value = (value.astype(np.float32) - zero) * np.float32(scale)
        found[name] = value
    return found


def grid(clips: np.ndarray, scale: int) -> np.ndarray:
    """Clips side by side, enlarged: `[N, T, H, W, C] -> [T, rows H, columns W, C]`."""
    columns = min(COLUMNS, len(clips))
    rows = math.ceil(len(clips) / columns)
    empty = np.zeros([rows * columns - len(clips), *clips.shape[1:]], np.uint8)
    tiles = np.concatenate([clips, empty]).reshape(rows, columns, *clips.shape[1:])
    whole = np.concatenate([np.concatenate([*row], axis=2) for row in tiles], axis=1)
    return whole.repeat(scale, axis=1).repeat(scale, axis=2)


def write_gif(path: str, frames: np.ndarray, fps: float) -> None:
    """Writes frames `[T, H, W, C]` as an endless GIF, complete or not at all."""
    from PIL import Image

    images = [Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each) for each in frames]
    temporary = f"{path}.partial"
    options = {"save_all": True, "append_images": images[1:], "loop": 0}
    duration = max(20, round(1000.0 / fps))  # players show shorter frames for 100 ms
    try:
        images[0].save(temporary, "GIF", duration=duration, **options)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise PlayError(f"{path}: cannot be written ({error.strerror or error}).") from error


def peak_megabytes() -> float | None:
    """The most memory that this process has had, where the system tells it."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "kerasvid-play", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("file", help="a .tflite file of `kerasvid export tflite`")
    parser.add_argument("--out", default="clips.gif", help="GIF to write; default: clips.gif")
    parser.add_argument("--signature", help="signature of the file; by default decode or between")
    parser.add_argument("--count", type=int, default=8, help="number of clips")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--label", help="class, by its number or name")
    parser.add_argument("--temperature", type=float, help="scale of the noise of between")
    parser.add_argument("--fraction", type=float, help="position of interpolate, from 0 to 1")
    for name in ("index", "identity", "action"):
        parser.add_argument(f"--{name}", type=int, help=f"{name} of recall or exchange")
    for name in ("first", "last"):
        parser.add_argument(f"--{name}", help=f"image file of the {name} frame")
    parser.add_argument("--scale", type=int, default=1, help="enlargement of a pixel")
    parser.add_argument("--threads", type=int, default=2, help="threads of the interpreter")
    return parser


def play(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags, makes the clips and writes the GIF.

    Raises:
        PlayError: a flag or a file cannot be used.
    """
    flags = vars(_flags().parse_args(arguments))
    path, out, scale = (flags.pop(name) for name in ("file", "out", "scale"))
    if min(flags["count"], scale, flags["threads"]) < 1 or flags["seed"] < 0:
        raise PlayError("--count, --scale and --threads are 1 or more, --seed is 0 or more.")
    player = Player(path, flags.pop("threads"))
    name = player.signature(flags.pop("signature"))
    inputs = player.facts["signatures"][name]["inputs"]
    count, seed = flags.pop("count"), flags.pop("seed")
    given = {key: value for key, value in flags.items() if value is not None}
    for key in given:
        drawn = key in player.facts["signatures"][name]["noise"]
        if key != "label" and (key not in inputs or drawn):
            raise PlayError(f"--{key}: {name} has no such input. Remove it.")
    for key in ("first", "last"):
        if key in given:
            given[key] = opened_image(given[key], *inputs[key]["shape"][1:])
    label = {"label": given.pop("label")} if "label" in given else {}
    player.clips(1, name, seed, **given, **label)  # plans and fills its memory
    begin = time.perf_counter()
    clips = player.clips(count, name, seed, **given, **label)
    seconds = time.perf_counter() - begin
    write_gif(out, grid(clips, scale), player.facts.get("fps") or 8.0)
    peak = peak_megabytes()
    memory = f", at most {peak:.0f} MB of memory" if peak else ""
    speed = f"{count / seconds:.1f} clips a second"
    print(f"{out}: {count} clips of {clips.shape[1]} frames, {speed}{memory}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `kerasvid-play`: as `play`, with errors as one line and status 1."""
    try:
        play(arguments)
    except PlayError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
