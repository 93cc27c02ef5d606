"""What a trained model can be asked to show: each a still picture and an animation."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import keras
import numpy as np

from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.naming import nearest_names
from kerasvid.training.callbacks.samples import again
from kerasvid.visualization import grids
from kerasvid.visualization.nearest_clip import l2_distances, nearest_clips

COMPARED_CLIPS = 100  # held-out clips that the distance of what is filled in is told of


@dataclasses.dataclass(frozen=True)
class Request:
    """What to show it with.

    Args:
        model: with the public verbs of a video generator, or of one between two frames.
        held_out: real clips, uint8 `[B, T, H, W, C]`, at least two; `None` serves what is made of
            noise alone.
        count: samples.
        frames: T of what is generated, or `None` for the model's own.
        seed: of the samples.
        scale: integer enlargement, or `None` for at least 64 pixels a frame.
        real_clips: makes batches of all real clips, uint8 `[N, T, H, W, C]`, of a length.
        rows: `"index"`, `"identity"` and `"label"` of the clips, for a model with learned codes.
        compared: makes so many real clips, or as many as there are, and says what they are;
            `held_out` where `None`.
    """

    model: keras.Model
    held_out: np.ndarray | None = None
    count: int = 8
    frames: int | None = None
    seed: int = 0
    scale: int | None = None
    real_clips: Callable[[int], Iterable[np.ndarray]] | None = None
    rows: Mapping[str, np.ndarray] | None = None
    compared: Callable[[int], tuple[np.ndarray, str]] | None = None

    def reconstructed(self) -> np.ndarray:
        """The clips as the model has them, uint8 `[B, T, H, W, C]`."""
        return again(self.model, self.held_out, self.rows)

    def swapped(self, content: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """The content of some of the clips with the motion of others, `[B, T, H, W, C]`.

        Args:
            content: numbers of clips, int `[B]`.
            motion: numbers of clips, int `[B]`.
        """
        if self.rows is not None and hasattr(self.model, "exchange"):
            static, transient = self.model.static_by, self.model.transient_by
            return self.model.exchange(
                self.rows[static][content],
                self.rows[transient][motion],
                label=self.rows["label"][motion],
            )
        return self.model.swap(self.held_out[content], self.held_out[motion])


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """A picture uint8 `[H, W, 3]`, an animation `[T, H, W, 3]`, and a line of figures or none."""

    picture: np.ndarray
    animation: np.ndarray
    remark: str = ""

    def write(self, folder: str | os.PathLike, name: str, fps: float = 8.0) -> list[pathlib.Path]:
        """Writes `name.png`, `name.gif` and `name.mp4`; their paths."""
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        paths = [pathlib.Path(folder) / f"{name}.{ending}" for ending in ("png", "gif", "mp4")]
        grids.write_png(paths[0], self.picture)
        grids.write_gif(paths[1], self.animation, fps)
        # Players stop at the end: a few rounds of a short clip.
        rounds = max(1, round(3.0 * fps / len(self.animation)))
        grids.write_mp4(paths[-1], self.animation, fps, rounds)
        return paths


def samples(request: Request) -> Exhibit:
    """Samples of the prior, a row each; in motion side by side."""
    videos = request.model.generate(request.count, request.frames, seed=request.seed)
    grid = grids.grid(grids.clip_rows(videos), request.scale)
    return Exhibit(grid, grids.mosaic(_wrapped(videos), request.scale))


def reconstructions(request: Request) -> Exhibit:
    """Clips, held out where the model has not learned codes of its own, above reconstructions."""
    caption = "real above, reconstruction below"
    return _pairs(request, request.held_out, request.reconstructed(), caption)


def summary(request: Request) -> Exhibit:
    """Samples, each behind the summary frame that its frames share."""
    images = request.model.generate_images(request.count, seed=request.seed)
    videos = request.model.generate(request.count, request.frames, seed=request.seed)
    grid = grids.grid(grids.clip_rows(videos, images), request.scale)
    still = np.repeat(images[:, None], videos.shape[1], axis=1)  # [B, T, H, W, C]
    rows = [row for pair in zip(_wrapped(still), _wrapped(videos), strict=True) for row in pair]
    caption = "the summary frame, then the clip"
    return Exhibit(grids.captioned(grid, caption), grids.mosaic(rows, request.scale))


def swaps(request: Request) -> Exhibit:
    """Content by row, motion by column; the picture shows some of them frame by frame."""
    real = request.held_out[: min(len(request.held_out), 6)]
    numbers = np.arange(len(real))
    columns = [request.swapped(numbers, np.full(len(real), number)) for number in numbers]
    rows = [[None, *real], *([real[i], *(c[i] for c in columns)] for i in range(len(real)))]
    triples = []
    for i in range(min(len(real), 4)):
        j = (i + 1) % len(real)
        triples += grids.clip_rows(np.stack([real[i], real[j], columns[j][i]]))
    caption = "content of the first, motion of the second: the third"
    still = grids.captioned(grids.grid(triples, request.scale), caption)
    return Exhibit(still, grids.mosaic(rows, request.scale))


def interpolations(request: Request) -> Exhibit:
    """From one sample to another, a way a row; the picture shows the middle frame of each."""
    model, ways = request.model, max(1, request.count // 2)
    ends = [
        model.sample_noise(ways, request.frames, seed) for seed in (request.seed, request.seed + 1)
    ]
    videos = model.interpolate(*ends, steps=8)  # [B, 8, T, H, W, C]
    middle = [[video[video.shape[0] // 2] for video in way] for way in videos]
    grid = grids.captioned(grids.grid(middle, request.scale), "from one sample to another")
    return Exhibit(grid, grids.mosaic([list(way) for way in videos], request.scale))


def frames_between(request: Request) -> Exhibit:
    """Learned clips from one frame to a later one, with further frames in between."""
    model, rows = request.model, request.rows
    first, last = model.frames // 4, model.frames // 2 + 1
    chosen = {key: rows[key] for key in ("index", "identity", "label")}
    recalled = model.recall(**chosen)
    between = model.interpolate_frames(first, last, 2 * (last - first) - 1, **chosen)
    ends = recalled[:, first : first + 1], recalled[:, last : last + 1]
    videos = np.concatenate([ends[0], between, ends[1]], axis=1)  # [B, T, H, W, C]
    caption = f"frame {first}, twice as many in between, frame {last}"
    grid = grids.captioned(grids.grid(grids.clip_rows(videos), request.scale), caption)
    return Exhibit(grid, grids.mosaic(_wrapped(videos), request.scale))


def nearest(request: Request) -> Exhibit:
    """Samples, each above the real clip nearest to it, with the mean PSNR of both."""
    videos = request.model.generate(request.count, request.frames, seed=request.seed)
    real, psnr = nearest_clips(videos, request.real_clips(videos.shape[1]))
    remark = f"PSNR of samples to their nearest real clips: {psnr.mean():.2f} dB"
    if hasattr(request.model, "reconstruct"):
        clips = request.reconstructed()
        held_out = nearest_clips(clips, request.real_clips(clips.shape[1]))[1]
        remark += f"; of reconstructions: {held_out.mean():.2f} dB"
    shown = _pairs(request, videos, real, "sample above, nearest real clip below")
    return dataclasses.replace(shown, remark=remark)


def between(request: Request) -> Exhibit:
    """Held-out clips, what the model makes between their ends, and the linear interpolation.

    The remark tells the L2 distance of each to the real clips, and how often the model is nearer.
    """
    model, shown = request.model, request.held_out
    linear = LinearInterpolation(shown.shape[2:])
    rivals = [shown, *(filled_in(each, shown, request.seed) for each in (model, linear))]
    caption = "real above, filled in between its ends, linear interpolation below"
    rows = zip(*map(grids.clip_rows, rivals), strict=True)
    grid = grids.grid([row for group in rows for row in group], request.scale)
    wrapped = zip(*map(_wrapped, rivals), strict=True)
    animation = grids.mosaic([row for group in wrapped for row in group], request.scale)

    real, what = shown, f"{len(shown)} held-out clips"
    if request.compared is not None:
        real, what = request.compared(COMPARED_CLIPS)
    straight = l2_distances(filled_in(linear, real), real)
    figures = [f"linear interpolation {straight.mean():.2f} ± {straight.std():.2f}"]
    measures = {"samples": 1.0, "at temperature 0": 0.0}
    if not model.between_noise(1, real.shape[1]):  # there is but one filling
        measures = {"model": 1.0}
    for name, temperature in measures.items():
        distances = l2_distances(filled_in(model, real, request.seed, temperature), real)
        nearer = np.sum(distances < straight)
        figures.append(f"{name} {distances.mean():.2f} ± {distances.std():.2f}, {nearer} nearer")
    remark = f"L2 distance over {what}: {'; '.join(figures)}"
    return Exhibit(grids.captioned(grid, caption), animation, remark)


def filled_in(
    model: keras.Model, clips: np.ndarray, seed: int = 0, temperature: float = 1.0
) -> np.ndarray:
    """What a model makes between the ends of clips `[B, T, H, W, C]`, eight at a time."""
    parts = [clips[start : start + 8] for start in range(0, len(clips), 8)]
    filled = [
        model.between(part[:, 0], part[:, -1], part.shape[1], seed + number, temperature)
        for number, part in enumerate(parts)
    ]
    return np.concatenate(filled)


def between_pictures(
    model: keras.Model,
    first: np.ndarray,
    last: np.ndarray,
    count: int = 4,
    frames: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    scale: int | None = None,
) -> Exhibit:
    """Several videos between two frames, uint8 `[H, W, C]`, a row each; arguments of `between`."""
    ends = (np.repeat(end[None], count, axis=0) for end in (first, last))
    videos = model.between(*ends, frames, seed, temperature)
    grid = grids.grid(grids.clip_rows(videos), scale)
    return Exhibit(grid, grids.mosaic(_wrapped(videos), scale))


class Exhibition(NamedTuple):
    """How to show something, the verbs that it needs of a model, and whether real clips, too."""

    show: Callable[[Request], Exhibit]
    verbs: tuple[str, ...]
    of_clips: bool = True


EXHIBITS = {
    "samples": Exhibition(samples, ("generate",), of_clips=False),
    "reconstructions": Exhibition(reconstructions, ("reconstruct",)),
    "swaps": Exhibition(swaps, ("swap",)),
    "interpolations": Exhibition(interpolations, ("interpolate",), of_clips=False),
    "summary": Exhibition(summary, ("generate_images",), of_clips=False),
    "nearest": Exhibition(nearest, ("generate",)),
    "frames_between": Exhibition(frames_between, ("interpolate_frames",)),
    "between": Exhibition(between, ("between",)),
}

BY_DEFAULT = tuple(name for name in EXHIBITS if name not in ("nearest", "frames_between"))


def check_names(names: Iterable[str]) -> None:
    """Refuses what is no exhibit.

    Raises:
        ValueError: one is unknown; the message names near ones.
    """
    for name in names:
        if name not in EXHIBITS:
            raise ValueError(f"--show={name}: {nearest_names(name, EXHIBITS)}.")


def can_show(model: keras.Model, name: str) -> bool:
    """Whether the model has what the exhibit needs."""
    return all(hasattr(model, verb) for verb in EXHIBITS[name].verbs)


def _pairs(request: Request, above: np.ndarray, below: np.ndarray, caption: str) -> Exhibit:
    rows = zip(grids.clip_rows(above), grids.clip_rows(below), strict=True)
    grid = grids.grid([row for pair in rows for row in pair], request.scale)
    wrapped = zip(_wrapped(above), _wrapped(below), strict=True)
    animation = grids.mosaic([row for pair in wrapped for row in pair], request.scale)
    return Exhibit(grids.captioned(grid, caption), animation)


def _wrapped(videos: np.ndarray, width: int = 8) -> list[list[np.ndarray]]:
    """Videos in rows of eight."""
    return [list(videos[i : i + width]) for i in range(0, len(videos), width)]
