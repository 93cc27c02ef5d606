"""A study: pairs of clips of two runs, and which clip stands on which side.

As in Dandi et al. (WACV 2020), clips of one run are paired at random with clips of the other, the
sides are random, and a rater says which of the two looks more realistic. Here each run stands
equally often on both sides, so that a rater who always presses one key prefers neither run.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasvid.io import parse_json, read_text

FORMAT = "kerasvid-study"
FORMAT_VERSION = 1
KEY_FILE, PAGE_FILE = "study.json", "index.html"
RUNS = ("a", "b")
SIDES = {"side by side": ("left", "right"), "stacked": ("top", "bottom")}


class StudyError(ValueError):
    """A study or its answers are invalid; the message says where and what to do."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two clips to choose from.

    Args:
        pair: name on the page, which does not identify the runs.
        first: the run on the first side (left, or top), "a" or "b".
        a, b: numbers of the clips.
    """

    pair: str
    first: str
    a: int
    b: int

    @property
    def order(self) -> tuple[str, str]:
        """The runs on the first and the second side, e.g. ("b", "a")."""
        return RUNS if self.first == "a" else RUNS[::-1]


@dataclasses.dataclass(frozen=True)
class Study:
    """A study: what the page shows, and the key that the page does not hold.

    Args:
        id: name in the answers; differs with clips, pairs and questions.
        title, question, description: texts of the page.
        layout: "side by side" (clips that play) or "stacked" (all frames at once).
        frames, height, width, channels: of every clip.
        fps: frames a second.
        seed: of pairs, sides and order.
        runs: facts about the runs "a" and "b", at least their `name`.
        pairs: in the order of the page.
    """

    id: str
    title: str
    question: str
    description: str
    layout: str
    frames: int
    height: int
    width: int
    channels: int
    fps: float
    seed: int
    runs: Mapping[str, Mapping[str, Any]]
    pairs: tuple[Pair, ...]

    @property
    def sides(self) -> tuple[str, str]:
        """The names of the two sides in answers."""
        return SIDES[self.layout]

    @property
    def names(self) -> dict[str, str]:
        """The names of the runs "a" and "b"."""
        return {run: self.runs[run]["name"] for run in RUNS}

    def chosen(self, pair: Pair, side: str) -> str:
        """The run, "a" or "b", on a side of a pair."""
        return pair.order[self.sides.index(side)]

    def to_json(self) -> str:
        """The text of `study.json`."""
        head = {"format": FORMAT, "format_version": FORMAT_VERSION}
        return json.dumps({**head, **dataclasses.asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def choose_pairs(count: int, seed: int = 0) -> tuple[Pair, ...]:
    """Pairs of clip i of run "a" and clip j of run "b", each clip once, in random order.

    Example:
        >>> [pair.first for pair in choose_pairs(4, seed=1)]
        ['b', 'a', 'a', 'b']
    """
    generator = np.random.default_rng(seed)
    numbers = [generator.permutation(count).tolist() for _ in RUNS]
    firsts = (np.arange(count) + generator.integers(2)) % 2  # an odd count favours a random run
    generator.shuffle(firsts)
    digits = len(str(count))
    return tuple(
        Pair(f"{i + 1:0{digits}}", RUNS[first], a, b)
        for i, (first, a, b) in enumerate(zip(firsts, *numbers, strict=True))
    )


def make_study(
    clips: Mapping[str, np.ndarray],
    runs: Mapping[str, Mapping[str, Any]],
    fps: float,
    seed: int = 0,
    stacked: bool = False,
    title: str | None = None,
    question: str | None = None,
    description: str = "",
) -> Study:
    """The study of the clips of two runs, with as many pairs as clips of each run.

    Args:
        clips: of "a" and "b", uint8 `[N, T, H, W, C]` each.
        runs, fps, seed, title, question, description: as in `Study`.
        stacked: show all frames at once, for short clips of small movements.

    Raises:
        StudyError: the clips differ in number, length or frame size, or `fps` is out of range.

    Example:
        >>> clips = {"a": rjvae.generate(128), "b": dsa.generate(128)}
        >>> make_study(clips, {"a": {"name": "RJVAE"}, "b": {"name": "DSA"}}, fps=8).sides
        ('left', 'right')
    """
    if any(clips[run].dtype != np.uint8 or clips[run].ndim != 5 for run in RUNS):
        raise StudyError("The clips of a study must be uint8 [N, T, H, W, C].")
    if clips["a"].shape != clips["b"].shape:
        sizes = [f"{runs[run]['name']} has {list(clips[run].shape)}" for run in RUNS]
        raise StudyError(f"The clips [N, T, H, W, C] differ: {', '.join(sizes)}. Use equal sizes.")
    if not 0.0 < fps <= 1000.0:
        raise StudyError(f"--fps={fps}: must be above 0 and at most 1000.")
    count, *shape = clips["a"].shape
    axes = dict(zip(("frames", "height", "width", "channels"), shape, strict=True))
    what = "image" if axes["frames"] == 1 else "clip"
    study = Study(
        id="",
        title=f"A comparison of {what}s" if title is None else title,
        question=f"Which {what} looks more realistic?" if question is None else question,
        description=description,
        layout="stacked" if stacked else "side by side",
        **axes,
        fps=float(fps),
        seed=seed,
        runs={run: dict(runs[run]) for run in RUNS},
        pairs=choose_pairs(count, seed),
    )
    digest = hashlib.sha256(study.to_json().encode())
    for run in RUNS:
        digest.update(np.ascontiguousarray(clips[run]).data)
    return dataclasses.replace(study, id=digest.hexdigest()[:12])


def load_study(folder: str | os.PathLike) -> Study:
    """Reads the key of a study, from its folder or its `study.json`.

    Raises:
        StudyError: the file is missing or damaged.
    """
    path = pathlib.Path(folder)
    path = path / KEY_FILE if path.is_dir() else path
    try:
        fields = parse_json(read_text(path))
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
            raise ValueError(f"the format is not {FORMAT}")
        if (version := fields.pop("format_version", None)) != FORMAT_VERSION:
            raise ValueError(f"version {version}, only {FORMAT_VERSION} is supported")
        pairs = tuple(Pair(**pair) for pair in fields.pop("pairs"))
        study = Study(**fields, pairs=pairs)
        if not pairs or len({pair.pair for pair in pairs}) < len(pairs):
            raise ValueError("some pairs are missing or repeated")
        if study.layout not in SIDES or any(pair.first not in RUNS for pair in pairs):
            raise ValueError("unknown layout or run")
        if not re.fullmatch("[0-9a-f]{12}", study.id) or not all(study.names.values()):
            raise ValueError("invalid id or run names")
    except OSError as error:
        why = error.strerror or error
        raise StudyError(f"{path}: cannot be read ({why}). Give the folder of a study.") from error
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise StudyError(
            f"{path}: not the key file of a comparison study ({error}). Restore it from a copy."
        ) from error
    return study
