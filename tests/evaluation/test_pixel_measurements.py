"""What is measured on pixels, beside numbers worked out directly."""

import numpy as np
import pytest

from kerasvid.evaluation import pixel_measurements as pixel
from kerasvid.evaluation.metrics.diversity import novelty
from kerasvid.evaluation.metrics.frame_consistency import frame_consistencies
from kerasvid.evaluation.metrics.structural_similarity import structural_similarity
from kerasvid.models.linear_interpolation import LinearInterpolation
from kerasvid.visualization.nearest_clip import l2_distances

CLIPS = 24


def test_reconstructions_are_compared_to_their_own_clips(context_of, values_of, real_clips):
    context = context_of("rjvae")
    found, clips = values_of(context, "reconstruction"), real_clips(context)
    shown = context.model.reconstruct(clips)
    l2, flat = l2_distances(shown, clips), (-1, 16, 16, 3)
    assert found["reconstruction/l2"].value == pytest.approx(l2.mean(), rel=1e-3)
    assert found["reconstruction/l2"].std == pytest.approx(l2.std(), rel=1e-2)
    expected = structural_similarity(shown.reshape(flat), clips.reshape(flat)).mean()
    assert found["reconstruction/ssim"].value == pytest.approx(expected, abs=1e-3)


def test_learned_codes_are_measured_on_the_videos_that_they_are_of(context_of, values_of):
    found = values_of(context_of("glo"), "reconstruction")["reconstruction/l2"]
    assert found.clips == 32 and found.protocol["split"] == "train"
    assert found.protocol["codes"] == "learned, of training videos"
    context = context_of("glo", split="train")
    batches = list(context.labelled("train"))
    shown = np.concatenate([context.model.recall(index=each["index"]) for each in batches])
    real = np.concatenate([each["video"] for each in batches])
    assert found.value == pytest.approx(l2_distances(shown, real).mean(), rel=1e-3)


def test_videos_between_two_frames_stand_beside_linear_interpolation(
    context_of, values_of, real_clips
):
    context = context_of("cvae")
    found, real = values_of(context, "between"), real_clips(context)
    straight = LinearInterpolation((16, 16, 3)).between(real[:, 0], real[:, -1], 4)
    line = l2_distances(straight, real)
    assert found["between/linear_interpolation"].value == pytest.approx(line.mean(), rel=1e-3)
    for name, temperature in (("best_guess", 0.0), ("samples", 1.0)):
        made = context.model.between(real[:, 0], real[:, -1], 4, 0, temperature)
        distances = l2_distances(made, real)
        assert found[f"between/{name}"].value == pytest.approx(distances.mean(), rel=1e-3)
        share = found[f"between/{name}/nearer"].value
        assert share == pytest.approx(np.mean(distances < line), abs=0.05)


def test_frames_are_compared_to_the_first_one(context_of, values_of, real_clips):
    context = context_of()
    found = values_of(context, "frame_consistency")
    made = frame_consistencies(context.model.generate(CLIPS)).mean()
    assert found["frame_consistency"].value == pytest.approx(made, abs=1e-3)
    real = frame_consistencies(real_clips(context)).mean()
    assert found["frame_consistency/real"].value == pytest.approx(real)


def test_copies_of_training_clips_are_seen(
    context_of, monkeypatch, values_of, real_clips, showing, square
):
    monkeypatch.setattr(pixel, "TRAINING_WINDOWS", 40)  # of two there are: every window occurs
    copies = np.stack([square(i, 5)[i % 2 : i % 2 + 4] for i in range(CLIPS)])
    found = values_of(context_of(kind=showing(copies)), "diversity")
    assert found["diversity/nearest"].value == 0.0 == found["diversity/novelty"].value
    real = real_clips(context_of())
    train = [np.stack([square(i, 5)[s : s + 4] for i in range(32)]) for s in (0, 1)]
    expected = novelty(copies, real, train).held_out.mean()
    assert found["diversity/nearest/real"].value == pytest.approx(expected, rel=1e-5)
    assert found["diversity/nearest/real"].protocol["training_clips"] == 32 * 40
    assert "diversity/novelty" not in values_of(context_of(split="train"), "diversity")


def test_variety_is_the_mean_distance_of_clips_within_groups(context_of, values_of, real_clips):
    found = values_of(context_of(), "diversity")["diversity/variety/real"]
    pairs = real_clips(context_of()).reshape(12, 2, 4, 16, 16, 3)
    expected = l2_distances(pairs[:, 0], pairs[:, 1])
    assert found.value == pytest.approx(expected.mean()) and found.clips == CLIPS
    assert found.low < found.value < found.high
