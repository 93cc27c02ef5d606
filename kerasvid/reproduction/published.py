"""What a published table is made of: its figures, what is trained for each row, what is measured.

A paper's file declares its tables with these as data; `kerasvid.reproduction.table` runs them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

WHOLE, VIDEOS, IMAGES = "whole", "videos", "images"
GENERATED, LEARNED, REAL = "generated", "learned", "real"
SIGN = {"lower": "↓", "higher": "↑", None: ""}


@dataclasses.dataclass(frozen=True)
class Column:
    """A number of the table.

    Args:
        name: as published, such as "FVD".
        better: "lower", "higher", or `None` where neither is.
        metric: that measures it, of `kerasvid.reproduction.measuring.ALL_METRICS`.
        measures: names that its number can have among those that the metric gives.
        of_real: likewise of real clips, where they have one.
        weights: of a published network that the metric needs: "i3d_weights" or "vgg_weights".
        without_weights: metric that stands in where they are not at hand.
        scale: that ours is multiplied by; 100 for per cent.
        spread: what stands beside ours: the "interval" of the mean, or the "std" of what
            it is the mean of, where the paper has that.
        clips: number of generated ones where the metric has its own, and looks at no real ones.
    """

    name: str
    better: str | None
    metric: str
    measures: tuple[str, ...]
    of_real: tuple[str, ...] = ()
    weights: str | None = None
    without_weights: str | None = None
    scale: float = 1.0
    spread: str = "interval"
    clips: int | None = None


@dataclasses.dataclass(frozen=True)
class Training:
    """A run that a row shows, or that another begins with.

    Args:
        model: registered name.
        values: hyper-parameters beside the preset's, by dotted key, that the paper tells.
        steps: updates that the paper tells; `None` where it tells none.
        data: of the data set the "whole", or after half of its training videos were taken apart
            into frames, the other "videos" or the "images".
        with_images: whether it learns from these images beside the videos.
        init_from: key of the run whose weights it begins with.
        published_preset: that has the paper's sizes for this data set.
    """

    model: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: int | None = None
    data: str = WHOLE
    with_images: bool = False
    init_from: str | None = None
    published_preset: str = "paper"

    @property
    def is_divided(self) -> bool:
        """Whether it needs the data set with half of the videos taken apart."""
        return self.data != WHOLE or self.with_images


@dataclasses.dataclass(frozen=True)
class Part:
    """A data set of the table.

    Args:
        name: as published, such as "MUG".
        dataset: registered name of that data set.
        stand_ins: registered names of what can be trained on in its place, the usual one first.
        default: what is trained on where nothing is said: `dataset`, or the first stand-in.
    """

    name: str
    dataset: str
    stand_ins: tuple[str, ...] = ()
    default: str | None = None

    @property
    def usual(self) -> str:
        """What is trained on where nothing is said."""
        return self.default or (*self.stand_ins, self.dataset)[0]


@dataclasses.dataclass(frozen=True)
class Row:
    """A method of the table.

    Args:
        name: as published.
        figures: as printed, such as "4.24 ± 0.02", by part and column. The row stands in the
            parts that have an entry here.
        run: key of the training; by part where they differ; `None` for methods that this
            library has not.
        clips: what is measured: what the model has "generated" from noise, what it has
            "learned" (training videos from their codes), or "real" clips, which are the bound.
    """

    name: str
    figures: Mapping[str, Mapping[str, str]]
    run: str | Mapping[str, str] | None = None
    clips: str = GENERATED

    def run_in(self, part: str) -> str | None:
        """The key of the training whose clips the row shows."""
        return self.run.get(part) if isinstance(self.run, Mapping) else self.run


@dataclasses.dataclass(frozen=True)
class Table:
    """A published table.

    Args:
        name: by which it is asked for, "paper/number".
        title: what it shows, in one line.
        paper: who published it where.
        columns, rows, parts: as published.
        trainings: by key.
        clips: number of generated clips that the paper measures; `None` where it tells none.
        split: that real clips are of; `None` for the held-out one.
        notes: what holds however it is run, in words: what the paper does not tell, and figures
            that contradict its text.
    """

    name: str
    title: str
    paper: str
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]
    trainings: Mapping[str, Training]
    clips: int | None = None
    split: str | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        columns, parts = {c.name for c in self.columns}, {p.name for p in self.parts}
        for row in self.rows:
            told = {column for figures in row.figures.values() for column in figures}
            runs = {row.run_in(part) for part in row.figures} - {None}
            unknown = {*told} - columns | {*row.figures} - parts | runs - {*self.trainings}
            if unknown:
                raise ValueError(f"{self.name}, {row.name}: no {', '.join(sorted(unknown))} there.")


def figure_value(text: str) -> float | None:
    """The number of a printed figure; `None` where there is none.

    Example:
        >>> figure_value("4.24 ± 0.02"), figure_value("N/A")
        (4.24, None)
    """
    try:
        return float(text.partition("±")[0])
    except ValueError:
        return None
