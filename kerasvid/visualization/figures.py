"""Figures of a trained model: an image and an animation of each thing that it can do."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from kerasvid import losses
from kerasvid.models.base.categories import with_label
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import (
    Encoder,
    ExchangeableCodes,
    ImagePrior,
    Recombinable,
    SummaryPrior,
    Swappable,
)
from kerasvid.models.base.video_generator import VideoGenerator, as_pixels, spherical
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.naming import nearest_names
from kerasvid.visualization import grids, writers
from kerasvid.visualization.nearest_clip import l2_distances, nearest_clips
from kerasvid.visualization.panels import own_labels, reconstructed

WAY = 8  # videos from one summary to another
MOTIONS = 4  # of each content
SECONDS_A_STOP = 2.5  # of a film, from one sample to the next
MOST_IDENTITIES, MOST_ACTIONS = 16, 16  # in a figure of all pairs
FRAMED = 255, 160, 0  # RGB
COMPARED_CLIPS = 100  # held-out clips in the L2 distance of in-between videos


@dataclasses.dataclass(frozen=True)
class FigureInputs:
    """What figures are made from.

    Args:
        model: any model of this library.
        held_out: at least two real clips, uint8 `[B, T, H, W, C]`; not needed by figures of noise.
        count, frames, seed: of samples; `frames` is the model's own if `None`.
        truncation, label: of samples, as in `generate`.
        scale: integer enlargement, or `None` for at least 64 pixels a frame.
        seconds, fps: length and frame rate of a film of samples.
        real_clips: a function from T to batches of all real clips, uint8 `[N, T, H, W, C]`.
        rows: `"index"`, `"identity"` and `"label"` of the clips, for a model with learned codes.
        compared: a function from a number to at most so many real clips, and their description;
            `held_out` if `None`.
        trained_pairs: a function to the pairs of an identity and a label that training has; all
            if `None`.
    """

    model: keras.Model
    held_out: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros([0], np.uint8))
    count: int = 8
    frames: int | None = None
    seed: int = 0
    truncation: float = 1.0
    label: int | None = None
    scale: int | None = None
    seconds: float = 10.0
    fps: float = 8.0
    real_clips: Callable[[int], Iterable[np.ndarray]] = lambda frames: ()
    rows: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    compared: Callable[[int], tuple[np.ndarray, str]] | None = None
    trained_pairs: Callable[[], Collection[tuple[int, int]]] | None = None

    def samples(self) -> np.ndarray:
        """New videos, uint8 `[B, T, H, W, C]`."""
        return self.model.generate(self.count, self.frames, self.seed, self.truncation, self.label)

    def noise(self, count: int, seed: int) -> dict:
        """Noise of `count` samples of the label, if there is one."""
        return with_label(self.model.sample_noise(count, self.frames, seed), self.label)

    def reconstructed(self) -> np.ndarray:
        """The held-out clips from their codes, uint8 `[B, T, H, W, C]`."""
        return reconstructed(self.model, self.held_out, self.rows)

    def swapped(self, content: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """The content of some held-out clips, int `[B]`, with the motion of others."""
        if self.rows and isinstance(self.model, ExchangeableCodes):
            none = np.zeros_like(self.rows["label"])  # of codes that all videos share
            static = self.rows.get(self.model.static_by, none)[content]
            transient = self.rows.get(self.model.transient_by, none)[motion]
            return self.model.exchange(static, transient, label=self.rows["label"][motion])
        return self.model.swap(self.held_out[content], self.held_out[motion])


@dataclasses.dataclass(frozen=True)
class Figure:
    """An image uint8 `[H, W, 3]`, an animation `[T, H, W, 3]`, and a line of numbers or ""."""

    image: np.ndarray
    animation: np.ndarray
    remark: str = ""

    def write(self, folder: str | os.PathLike, name: str, fps: float = 8.0) -> list[pathlib.Path]:
        """Writes `name.png`, `name.gif` and `name.mp4` and returns their paths."""
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        paths = [pathlib.Path(folder) / f"{name}.{ending}" for ending in ("png", "gif", "mp4")]
        for path in paths:
            self.write_one(path, fps)
        return paths

    def write_one(self, path: str | os.PathLike, fps: float = 8.0) -> None:
        """Writes the image into a file that ends with .png, the animation into .gif or .mp4."""
        ending = pathlib.Path(path).suffix.lower()
        if ending == ".png":
            writers.write_png(path, self.image)
        elif ending == ".gif":
            writers.write_gif(path, self.animation, fps)
        else:  # players stop at the end: a short clip is repeated for 3 seconds
            rounds = max(1, round(3.0 * fps / len(self.animation)))
            writers.write_mp4(path, self.animation, fps, rounds)


def samples(inputs: FigureInputs) -> Figure:
    """Samples of the prior, a row each; in motion side by side."""
    return _figure([inputs.samples()], inputs.scale)


def reconstructions(inputs: FigureInputs) -> Figure:
    """Real clips above their reconstructions."""
    clips = [inputs.held_out, inputs.reconstructed()]
    return _figure(clips, inputs.scale, "real above, reconstruction below")


def summary(inputs: FigureInputs) -> Figure:
    """Samples, each after the summary frame that its frames share."""
    images = inputs.model.generate_images(inputs.count, inputs.seed, inputs.label)
    videos = inputs.samples()
    grid = grids.grid(grids.clip_rows(videos, images), inputs.scale)
    constant = np.repeat(images[:, None], videos.shape[1], axis=1)  # [B, T, H, W, C]
    animation = _figure([constant, videos], inputs.scale).animation
    return Figure(grids.captioned(grid, "the summary frame, then the clip"), animation)


def swaps(inputs: FigureInputs) -> Figure:
    """Content by row, motion by column; the image shows some of them frame by frame."""
    real = inputs.held_out[:6]
    numbers = np.arange(len(real))
    columns = [inputs.swapped(numbers, np.full(len(real), number)) for number in numbers]
    rows = [[None, *real], *zip(real, *columns, strict=True)]
    triples = []
    for i in numbers[:4]:
        j = (i + 1) % len(real)
        triples += grids.clip_rows(np.stack([real[i], real[j], columns[j][i]]))
    caption = "content of the first, motion of the second: the third"
    image = grids.captioned(grids.grid(triples, inputs.scale), caption)
    return Figure(image, grids.mosaic(rows, inputs.scale))


def interpolations(inputs: FigureInputs) -> Figure:
    """From one sample to another, a pair a row; the image shows the middle frame of each video."""
    model, pairs = inputs.model, max(1, inputs.count // 2)
    noise = [inputs.noise(pairs, inputs.seed + i) for i in (0, 1)]
    videos = model.interpolate(*noise, steps=8, frames=inputs.frames)  # [B, 8, T, H, W, C]
    middle = videos[:, :, videos.shape[2] // 2]
    image = grids.captioned(grids.grid(middle, inputs.scale), "from one sample to another")
    return Figure(image, grids.mosaic(videos, inputs.scale))


def walk(inputs: FigureInputs) -> Figure:
    """A film in which each sample becomes another one, then the next, and at last itself again.

    A clip is played once at every place of its way. The image shows the middle frame of each.
    """
    model, frames = inputs.model, inputs.frames or inputs.model.frames
    plays = max(2, round(inputs.seconds * inputs.fps / frames))
    stops = max(2, round(inputs.seconds / SECONDS_A_STOP))
    noises = [inputs.noise(inputs.count, inputs.seed + stop) for stop in range(stops)]
    videos = []
    for place in np.linspace(0.0, stops, plays, endpoint=False):
        stop, fraction = int(place), place % 1.0
        start, end = noises[stop], noises[(stop + 1) % stops]
        mixed = {name: spherical(start[name], end[name], fraction) for name in start}
        videos.append(model.render(model.truncated(mixed, inputs.truncation), inputs.frames))
    way = np.stack(videos, axis=1)  # [B, plays, T, H, W, C]
    middle = [*map(list, way[:, :, frames // 2])]
    image = grids.captioned(grids.grid(middle, inputs.scale), "the way of a sample")
    films = way.reshape(len(way), -1, *way.shape[3:])
    return Figure(image, _figure([films], inputs.scale).animation)


def inversions(inputs: FigureInputs) -> Figure:
    """Real clips above the most similar clips that the model can generate."""
    real = inputs.held_out[: inputs.count]
    found = inputs.model.render(inputs.model.invert(real, seed=inputs.seed, label=inputs.label))
    error = np.square((real.astype(np.float32) - found) / 127.5).reshape(len(real), -1).mean(axis=1)
    figure = _figure([real, found], inputs.scale, "real above, found below")
    remark = f"inversion: PSNR {losses.psnr_of_error(error).numpy().mean():.1f} dB"
    return dataclasses.replace(figure, remark=remark)


def summary_interpolations(inputs: FigureInputs) -> Figure:
    """From one summary to another, the noise of the motion held; figures 10 and 11 of the paper.

    A row is a summary frame with its video. In motion a row is one way, without summary frames. A
    fitted prior draws summary and motion together, so that all of its noise moves.
    """
    model, pairs, name = inputs.model, max(1, inputs.count // 4), inputs.model.summary_noise
    start, end = (inputs.noise(pairs, inputs.seed + i) for i in (0, 1))
    images, videos = [], []
    for fraction in np.linspace(0.0, 1.0, WAY):
        moving = start if isinstance(model, CodePriors) and model.priors else [name]
        noise = {**start, **{n: spherical(start[n], end[n], fraction) for n in moving}}
        images.append(as_pixels(model.image_of(noise)))
        videos.append(model.render(noise, inputs.frames))
    ways, heads = np.stack(videos, axis=1), np.stack(images, axis=1)  # [B, WAY, T, H, W, C]
    rows = [grids.clip_rows(way, head) for way, head in zip(ways, heads, strict=True)]
    caption = "summary frame, then its video: from one summary to another"
    image = _blocks(rows, inputs.scale, caption)
    return Figure(image, grids.mosaic([*map(list, ways)], inputs.scale))


def redraws(inputs: FigureInputs) -> Figure:
    """Videos of one content with several motions, figure 5 of the paper.

    The image has a block a content and a row a motion; in motion a row is a content.
    """
    model, contents = inputs.model, max(1, inputs.count // MOTIONS)
    content = inputs.noise(contents, inputs.seed)
    motions = [inputs.noise(contents, inputs.seed + number + 1) for number in range(MOTIONS)]
    videos = np.stack([model.recombine(content, motion) for motion in motions], axis=1)
    rows = [grids.clip_rows(block) for block in videos]  # of [B, MOTIONS, T, H, W, C]
    image = _blocks(rows, inputs.scale, "one content, a motion a row")
    return Figure(image, grids.mosaic([*map(list, videos)], inputs.scale))


def frames_between(inputs: FigureInputs) -> Figure:
    """Clips of learned codes from one frame to a later one, with intermediate frames."""
    model = inputs.model
    first, last = model.frames // 4, model.frames // 2 + 1
    chosen = {key: inputs.rows[key] for key in ("index", "identity", "label")}
    recalled = model.recall(**chosen)
    between = model.interpolate_frames(first, last, 2 * (last - first) - 1, **chosen)
    start, end = recalled[:, first : first + 1], recalled[:, last : last + 1]
    videos = np.concatenate([start, between, end], axis=1)  # [B, T, H, W, C]
    caption = f"frame {first}, twice as many frames as there are in between, frame {last}"
    return _figure([videos], inputs.scale, caption)


def exchange(inputs: FigureInputs) -> Figure:
    """Identities in all actions, a row an identity; pairs that training did not have are framed.

    Raises:
        ValueError: the codes are not of identities and labels.
    """
    model = inputs.model
    if (model.static_by, model.transient_by) != ("identity", "label"):
        raise ValueError(
            "--show=exchange needs a code for each identity and each action. Train with "
            "static_by=identity and transient_by=label."
        )
    identities, labels = (
        np.arange(min(model.row_counts[key], most))
        for key, most in (("identity", MOST_IDENTITIES), ("label", MOST_ACTIONS))
    )
    rows = {
        "identity": np.repeat(identities, len(labels)),
        "label": np.tile(labels, len(identities)),
    }
    clips = model.exchange(rows["identity"], rows["label"], label=rows["label"])
    clips = grids.to_rgb(clips).copy()
    pairs = list(zip(*(each.tolist() for each in rows.values()), strict=True))
    trained = pairs if inputs.trained_pairs is None else inputs.trained_pairs()
    for clip, pair in zip(clips, pairs, strict=True):
        if pair not in trained:
            for side in (np.s_[:, :2], np.s_[:, -2:], np.s_[:, :, :2], np.s_[:, :, -2:]):
                clip[side] = FRAMED
    unseen = sum(pair not in trained for pair in pairs)
    cells = grids.wrapped(clips, len(labels))
    middle = [[clip[clip.shape[0] // 2] for clip in row] for row in cells]
    image = grids.captioned(grids.grid(middle, inputs.scale), "framed: not in the training")
    remark = (
        f"the first {len(identities)} identities and {len(labels)} actions: {len(pairs)} pairs, "
        f"{unseen} not in the training"
    )
    return Figure(image, grids.mosaic(cells, inputs.scale), remark)


def nearest(inputs: FigureInputs) -> Figure:
    """Samples, each above the real clip nearest to it; the remark is the mean PSNR."""
    videos = inputs.samples()
    real, psnr = nearest_clips(videos, inputs.real_clips(videos.shape[1]))
    remark = f"PSNR of samples to their nearest real clips: {psnr.mean():.2f} dB"
    if isinstance(inputs.model, Encoder):
        clips = inputs.reconstructed()
        psnr = nearest_clips(clips, inputs.real_clips(clips.shape[1]))[1]
        remark += f"; of reconstructions: {psnr.mean():.2f} dB"
    shown = _figure([videos, real], inputs.scale, "sample above, nearest real clip below")
    return dataclasses.replace(shown, remark=remark)


def between(inputs: FigureInputs) -> Figure:
    """Held-out clips, the model's videos between their endpoints, and linear interpolations.

    The remark has the L2 distances of both to the real clips, and how often the model is nearer.
    """
    model, real = inputs.model, inputs.held_out
    linear = LinearInterpolation(real.shape[2:])
    label = inputs.label if inputs.label is not None else own_labels(model, inputs.rows)
    made = infilled(model, real, inputs.seed, label=label)
    videos = [real, made, infilled(linear, real, inputs.seed)]
    caption = "real above, the model between its endpoints, linear interpolation below"
    shown = _figure(videos, inputs.scale, caption)

    clips = f"{len(real)} held-out clips"
    # Of further clips no labels are known.
    if inputs.compared is not None and (label is None or inputs.label is not None):
        real, clips = inputs.compared(COMPARED_CLIPS)
    baseline = l2_distances(infilled(linear, real), real)
    numbers = [f"linear interpolation {baseline.mean():.2f} ± {baseline.std():.2f}"]
    noise = model.between_noise(1, real.shape[1])  # without noise there is one video
    temperatures = {"samples": 1.0, "at temperature 0": 0.0} if noise else {"model": 1.0}
    for name, temperature in temperatures.items():
        made = infilled(model, real, inputs.seed, temperature, label)
        distances = l2_distances(made, real)
        nearer = np.sum(distances < baseline)
        numbers.append(f"{name} {distances.mean():.2f} ± {distances.std():.2f}, {nearer} nearer")
    return dataclasses.replace(shown, remark=f"L2 distance over {clips}: {'; '.join(numbers)}")


def infilled(
    model: InBetween,
    clips: np.ndarray,
    seed: int = 0,
    temperature: float = 1.0,
    label: int | np.ndarray | None = None,
) -> np.ndarray:
    """A model's videos between the endpoints of clips `[B, T, H, W, C]`, eight at a time."""
    labels = None if label is None else np.broadcast_to(label, [len(clips)])
    videos = []
    for number, part in enumerate(np.split(clips, range(8, len(clips), 8))):
        endpoints = part[:, 0], part[:, -1]
        own = None if labels is None else labels[8 * number : 8 * number + len(part)]
        videos.append(model.between(*endpoints, part.shape[1], seed + number, temperature, own))
    return np.concatenate(videos)


def between_images(
    model: InBetween,
    first: np.ndarray,
    last: np.ndarray,
    count: int = 4,
    frames: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    scale: int | None = None,
    label: int | None = None,
) -> Figure:
    """Several videos between two images, a row each.

    Args:
        first, last: uint8 `[H, W, C]`.
        count: number of videos.
        model, frames, seed, temperature, label: as `InBetween.between`.
        scale: as in `FigureInputs`.
    """
    first, last = (np.repeat(image[None], count, axis=0) for image in (first, last))
    return _figure([model.between(first, last, frames, seed, temperature, label)], scale)


class FigureType(NamedTuple):
    """A function that draws a figure, the class of models that it needs, and if it reads data."""

    draw: Callable[[FigureInputs], Figure]
    model: type
    reads_data: bool = True
    default: bool = True


FIGURES = {
    "samples": FigureType(samples, VideoGenerator, reads_data=False),
    "reconstructions": FigureType(reconstructions, Encoder),
    "swaps": FigureType(swaps, Swappable),
    "interpolations": FigureType(interpolations, VideoGenerator, reads_data=False),
    "summary": FigureType(summary, ImagePrior, reads_data=False),
    "summary_interpolations": FigureType(summary_interpolations, SummaryPrior, reads_data=False),
    "redraws": FigureType(redraws, Recombinable, reads_data=False),
    "nearest": FigureType(nearest, VideoGenerator, default=False),
    "walk": FigureType(walk, VideoGenerator, reads_data=False, default=False),
    "inversions": FigureType(inversions, VideoGenerator, default=False),
    "frames_between": FigureType(frames_between, ExchangeableCodes, default=False),
    "exchange": FigureType(exchange, ExchangeableCodes, default=False),
    "between": FigureType(between, InBetween),
}


def figures_of(cls: type, names: Iterable[str] | None = None) -> list[str]:
    """The figures that a class of models can show, of some names.

    The default are those with `default`. A ValueError names an unknown figure.
    """
    if names is None:
        names = [name for name, figure in FIGURES.items() if figure.default]
    for name in names:
        if name not in FIGURES:
            raise ValueError(f"--show={name}: unknown figure; {nearest_names(name, FIGURES)}.")
    return [name for name in names if issubclass(cls, FIGURES[name].model)]


def _blocks(blocks: Sequence[list[list]], scale: int | None, caption: str) -> np.ndarray:
    """Blocks of rows of frames below each other, each with the caption."""
    return grids.stacked([grids.captioned(grids.grid(rows, scale), caption) for rows in blocks])


def _figure(videos: Sequence[np.ndarray], scale: int | None, caption: str = "") -> Figure:
    """Clips `[B, T, H, W, C]` of several kinds, below each other clip by clip."""
    rows = zip(*map(grids.clip_rows, videos), strict=True)
    grid = grids.grid([row for group in rows for row in group], scale)
    rows = zip(*(grids.wrapped(each) for each in videos), strict=True)
    animation = grids.mosaic([row for group in rows for row in group], scale)
    return Figure(grids.captioned(grid, caption) if caption else grid, animation)
