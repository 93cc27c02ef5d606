"""Small clips of two runs, and the study that is made of them."""

import numpy as np
import pytest

from kerasvid.comparison.study import make_study

KNOWN = {"a": {"name": "runs/first", "model": "rjvae"}, "b": {"name": "runs/second"}}


@pytest.fixture(scope="session")
def make_clips():
    """A function that draws clips of two runs: of "a" in dark red, of "b" in dark green."""

    def draw(count: int, frames: int = 4, size: int = 8, channels: int = 3) -> dict:
        generator = np.random.default_rng(0)
        clips = {}
        for number, run in enumerate("ab"):
            shape = (count, frames, size, size, channels)
            clips[run] = generator.integers(0, 40, shape, np.uint8)
            clips[run][..., min(number, channels - 1)] += 160
        return clips

    return draw


@pytest.fixture(scope="session")
def study_of():
    """A function of clips to a study of them."""
    return lambda clips, **options: make_study(clips, KNOWN, **{"fps": 8.0, **options})


@pytest.fixture(scope="session")
def study(make_clips, study_of):
    """Ten pairs."""
    return study_of(make_clips(10), seed=3)


@pytest.fixture
def write_answers(tmp_path):
    """A function that writes a rater's CSV file; `choices` holds the run chosen of each pair."""

    def write(study, rater: str, choices: str):
        lines = ["study,rater,pair,chosen,seconds"]
        for pair, run in zip(study.pairs, choices, strict=False):
            if run != ".":  # left out
                side = study.sides[pair.order.index(run)]
                lines.append(f"{study.id},{rater},{pair.pair},{side},1.50")
        path = tmp_path / f"{rater}.csv"
        path.write_bytes("\r\n".join([*lines, ""]).encode())
        return path

    return write
