"""Panels that training writes: real clips above what the model makes of them, then samples."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasvid.models.base.categories import class_count
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.protocols import Encoder, ImagePrior, LearnedCodes, SummaryEncoder
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.visualization import grids

# What may stand below a real clip, and its name in the caption.
BELOW_REAL = {"reconstructions": "reconstruction", "between": "video between its endpoints"}


def sample_panel(
    model: keras.Model,
    held_out: np.ndarray,
    count: int,
    seed: int,
    rows: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Real clips and what the model can make: reconstructions, in-between videos and samples.

    Args:
        model: any model of this library.
        held_out: real clips, uint8 `[B, T, H, W, C]`.
        count, seed: of samples.
        rows: `"index"`, `"identity"` and `"label"` of the clips, for a model with learned codes.

    Returns:
        uint8 `[B, T, H, W, C]` by name, and of summary frames `[B, H, W, C]`.
    """
    panel, frames = {"real": held_out}, held_out.shape[1]
    if isinstance(model, Encoder):
        panel["reconstructions"] = reconstructed(model, held_out, rows)
    if isinstance(model, SummaryEncoder):
        panel["real_summaries"] = model.summary_frames(held_out)
    if isinstance(model, InBetween):
        endpoints, label = (held_out[:, 0], held_out[:, -1]), own_labels(model, rows)
        panel["between"] = model.between(*endpoints, frames, seed=seed, label=label)
    if isinstance(model, VideoGenerator):
        panel["samples"] = model.generate(count, frames, seed=seed)
    if isinstance(model, ImagePrior):
        panel["sample_summaries"] = model.generate_images(count, seed=seed)
    return panel


def own_labels(model: Any, rows: Mapping[str, np.ndarray] | None) -> np.ndarray | None:
    """The classes of real clips for a model that takes them, or `None` where one is unknown."""
    label = (rows or {}).get("label")
    known = label is not None and class_count(model) and np.min(label) >= 0
    return label if known else None


def reconstructed(
    model: Any, videos: np.ndarray, rows: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    """The clips from their learned codes, if the model has some, or else encoded and decoded."""
    if rows and isinstance(model, LearnedCodes):
        return model.recall(**{key: rows[key] for key in ("index", "identity", "label")})
    return model.reconstruct(videos)


def panel_image(panel: Mapping[str, np.ndarray], pairs: int = 4) -> np.ndarray:
    """The panel of `sample_panel`, with some pairs of clips, as one image, uint8 `[H, W, 3]`."""
    blocks, summaries = [], panel.get("real_summaries")

    def rows_of(name: str) -> list[list]:
        rows = grids.clip_rows(panel[name][:pairs])
        if summaries is None:
            return rows
        heads = summaries if name == "reconstructions" else [None] * len(rows)
        return [[head, *row] for head, row in zip(heads, rows, strict=False)]

    if below := [name for name in BELOW_REAL if name in panel]:
        groups = zip(*map(rows_of, ("real", *below)), strict=True)
        note = ", summary frame first" if summaries is not None else ""
        caption = f"real above, {', '.join(BELOW_REAL[name] for name in below)} below{note}"
        grid = grids.grid([row for group in groups for row in group])
        blocks.append(grids.captioned(grid, caption))
    if "samples" in panel:
        heads = panel.get("sample_summaries")
        note = ", summary frame first" if heads is not None else ""
        grid = grids.grid(grids.clip_rows(panel["samples"], heads))
        blocks.append(grids.captioned(grid, f"samples of the prior{note}"))
    return grids.stacked(blocks)


def panel_animation(panel: Mapping[str, np.ndarray]) -> np.ndarray:
    """The panel of `sample_panel` in motion, uint8 `[T, H, W, 3]`."""
    rows = [list(panel[name]) for name in ("real", *BELOW_REAL) if name in panel]
    if "samples" in panel:
        rows += grids.wrapped(panel["samples"], len(panel["real"]))
    return grids.mosaic(rows)
