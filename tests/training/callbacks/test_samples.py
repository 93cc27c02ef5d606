"""When samples are written in training, and which files are removed."""

import numpy as np

from kerasvid.training.callbacks import samples
from kerasvid.training.callbacks.samples import SampleWriter


def test_samples_are_written_at_their_steps_and_at_the_end(counter, fit, tmp_path, capsys):
    held_out = {"video": np.zeros([2, 2, 8, 8, 3], np.uint8)}
    fit(counter(), [0.1] * 5, [SampleWriter(tmp_path, held_out, every=2, last_step=5)])
    names = {f"step-{step:06d}.{end}" for step in (2, 4, 5) for end in ("png", "gif")}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert f"samples: {tmp_path}/step-000002.png" in capsys.readouterr().out


def test_samples_of_steps_that_are_made_again_are_removed(counter, fit, tmp_path):
    for name in ("step-000002.png", "step-000002.gif", "final.png", "step-by-step.txt"):
        (tmp_path / name).touch()
    held_out = {"video": np.zeros([2, 2, 8, 8, 3], np.uint8)}
    fit(counter(), [0.1] * 3, [SampleWriter(tmp_path, held_out, every=9, last_step=3)])
    kept = {"final.png", "step-by-step.txt", "step-000003.png", "step-000003.gif"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_the_first_samples_are_written_after_45_seconds(counter, fit, tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(samples.time, "monotonic", lambda: float(next(clock)))
    held_out = {"video": np.zeros([2, 2, 8, 8, 3], np.uint8)}
    fit(counter(), [0.1] * 5, [SampleWriter(tmp_path, held_out, every=1000)])
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == ["step-000003.png"]
