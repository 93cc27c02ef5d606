import math

import numpy as np
import pytest

from kerasvid.evaluation.metrics.disentanglement import (
    action_kept,
    attributes_kept,
    labels_kept,
    redrawn_content,
    redrawn_motion,
)
from kerasvid.models.dsa import DSA

# Clips of a toy world that tells all: the first pixel's red is the action, its green the
# character; a fourth of 256 levels each.
STEP = 64


def clips_of(actions, characters):
    clips = np.zeros([len(actions), 2, 4, 4, 3], np.uint8)
    clips[..., 0] = (np.asarray(actions) * STEP + 32)[:, None, None, None]
    clips[..., 1] = (np.asarray(characters) * STEP + 32)[:, None, None, None]
    return clips


def classifier(clips):
    """Sure of what it sees."""
    return np.eye(4)[clips[:, 0, 0, 0, 0] // STEP]


def classifier_of_both(clips):
    return {"action": classifier(clips), "hair": np.eye(4)[clips[:, 0, 0, 0, 1] // STEP]}


def kept_motion(clips, seeds):
    """A perfect model: other characters, the same actions."""
    changed = clips.copy()
    changed[..., 1] = (seeds % 4 * STEP + 32)[:, None, None, None]
    return changed


def lost_motion(clips, seeds):
    return np.stack([clips_of([s % 4], [s % 4])[0] for s in seeds])


def dataset(repeats=3, batch=5):
    actions = np.tile(np.arange(4), repeats)
    clips = clips_of(actions, np.repeat(np.arange(repeats) % 4, 4))
    return [(clips[i : i + batch], actions[i : i + batch]) for i in range(0, len(clips), batch)]


def act(batches=None, recombine=kept_motion, classifierd_by=classifier, **arguments):
    batches = dataset() if batches is None else batches
    return action_kept(batches, recombine, classifierd_by, **{"classes": 4, **arguments})


def test_a_model_that_keeps_motion_reaches_the_ceilings():
    found = act()
    assert found.accuracy == found.real_accuracy == 1.0 and found.conditional == 0.0
    assert found.marginal == pytest.approx(math.log(4)) and found.score == pytest.approx(4.0)
    assert found.clips == (3, 3, 3, 3)


def test_a_model_that_draws_motion_anew_is_right_by_chance():
    clips, actions = clips_of([0, 1, 2, 3] * 4, [0] * 16), np.repeat(np.arange(4), 4)
    found = act([(clips, actions)], lost_motion, lambda c: classifier(c))
    assert found.accuracy == 0.25 and found.score == pytest.approx(4.0)


def test_a_model_that_makes_one_action_alone_has_no_marginal_entropy():
    found = act(recombine=lambda clips, seeds: clips_of([2] * len(clips), [0] * len(clips)))
    assert found.accuracy == 0.25 and found.marginal == 0.0 and found.score == 1.0
    assert found.real_accuracy == 1.0


def unsure(clips):
    """Probabilities `[B, 4]` of the pixels, none of them certain."""
    raw = np.stack([np.sin(clips[:, 0, 0, 0, c % 2] / 40.0 + c) for c in range(4)], axis=1)
    return np.exp(2 * raw) / np.exp(2 * raw).sum(axis=1, keepdims=True)


def test_classes_count_alike_whatever_their_numbers_of_clips():
    generator = np.random.default_rng(0)
    actions = np.array([0] * 9 + [1] * 4 + [2] * 2 + [3])
    clips = clips_of(actions, generator.integers(0, 4, 16))
    found = act([(clips[:7], actions[:7]), (clips[7:], actions[7:])], classifierd_by=unsure)
    answers = unsure(kept_motion(clips, np.arange(16)))
    hits, doubt, mean = [], [], np.zeros(4)
    for action in range(4):
        own = answers[actions == action]
        hits.append(np.mean(own.argmax(1) == action))
        doubt.append(np.mean([-sum(p * math.log(p) for p in row) for row in own]))
        mean += own.mean(axis=0) / 4
    marginal = -sum(p * math.log(p) for p in mean)
    assert found.accuracy == pytest.approx(np.mean(hits))
    assert found.conditional == pytest.approx(np.mean(doubt))
    assert found.marginal == pytest.approx(marginal)
    assert found.score == pytest.approx(math.exp(marginal - np.mean(doubt)))
    assert found.clips == (9, 4, 2, 1)


def test_batches_do_not_matter_and_the_seed_does():
    seen = []

    def noting(clips, seeds):
        seen.extend(seeds.tolist())
        return kept_motion(clips, seeds)

    results = [act(dataset(batch=size), noting, unsure) for size in (2, 12)]
    np.testing.assert_allclose(results[0][:4], results[1][:4], rtol=1e-12)
    assert seen[:12] == seen[12:] and len(set(seen)) == 12
    act(recombine=noting, seed=1)
    assert not set(seen[24:]) & set(seen[:12])


def test_the_reverse_asks_for_attributes():
    clips = clips_of([0, 1, 2, 3] * 2, [0, 1, 2, 3, 3, 2, 1, 0])
    attributes = np.stack([[0, 1, 2, 3] * 2, [0, 1, 2, 3, 3, 2, 1, 0]], axis=1)
    batches = [(clips, attributes)]
    classes = {"action": 4, "hair": 4}
    found = attributes_kept(batches, kept_motion, classifier_of_both, classes=classes)
    assert found["action"].accuracy == 1.0
    assert found["hair"].accuracy < 0.6 and found["hair"].real_accuracy == 1.0


def test_so_many_clips_are_looked_at():
    assert act(clips=8).clips == (2, 2, 2, 2)
    with pytest.raises(ValueError, match="12 real clips where 13 are asked for"):
        act(clips=13)


def nan_clips(clips, seeds):
    return np.full(clips.shape, np.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 3}, "action: the label 3 is none of 0 to 2"),
        (
            {"classes": 5},
            "the classifier gives .* of 5 classes: take a classifier that was trained on",
        ),
        (
            {"classifierd_by": lambda c: np.eye(9)[[0] * len(c)]},
            "take a classifier that was trained",
        ),
        ({"classifierd_by": lambda c: 7.0 * classifier(c)}, "of sum 1"),
        (
            {"classifierd_by": lambda c: {"hair": classifier(c)}},
            "The classifier tells hair, not action",
        ),
        ({"batches": dataset()[:1], "clips": 2}, r"no clips of the classes \[2, 3\]: look at more"),
        ({"batches": [(dataset()[0][0], np.full(5, -1))]}, "label -1 is none of 0 to 3: leave"),
        ({"batches": [(dataset()[0][0], np.zeros(5))]}, r"float64 of 5 clips: give whole numbers"),
        ({"batches": [(dataset()[0][0], np.zeros(6, int))]}, r"\(6,\) and int64 of 5 clips"),
        ({"recombine": nan_clips}, "recombined clips: pixels of clip 0 of a batch are not finite"),
        ({"recombine": lambda c, s: c[:, :1]}, "must give as many, of the same T"),
        ({"batches": []}, "no real clips"),
    ],
)
def test_what_cannot_be_classifierd_is_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        act(**arguments)
    assert "\n" not in str(error.value)


def test_names_that_do_not_fit_are_refused():
    clips, actions = dataset()[0]
    with pytest.raises(ValueError, match="hair: the batch has labels of action alone"):
        labels_kept([(clips, {"action": actions})], kept_motion, classifier_of_both, {"hair": 4})
    both = {"action": 4, "hair": 4}
    with pytest.raises(ValueError, match="must give probabilities by name: action, hair"):
        labels_kept([(clips, dict.fromkeys(both, actions))], kept_motion, classifier, both)
    with pytest.raises(ValueError, match=r"give \[B, 4\], of body, bottomwear, topwear, hair"):
        attributes_kept([(clips, actions)], kept_motion, classifier_of_both)


# === Models ===


@pytest.fixture(scope="module")
def model():
    return DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4)


def test_content_is_drawn_from_the_prior_and_motion_is_that_of_the_clip(model, moving_squares):
    clips, seeds = moving_squares(3, 4), np.array([5, 6, 7])
    encoded = model.encode(clips)
    found = redrawn_content(model)(clips, seeds), redrawn_motion(model)(clips, seeds)
    for row, seed in enumerate(seeds):
        drawn = model.codes(model.sample_noise(1, 4, int(seed))).numpy()[0]  # [T, D + E]
        own_content = np.tile(encoded["content"].numpy()[row], [4, 1])
        for shown, codes in zip(
            found,
            (
                np.concatenate([drawn[:, : model.content_dim], encoded["motion"][row]], axis=1),
                np.concatenate([own_content, drawn[:, model.content_dim :]], axis=1),
            ),
            strict=True,
        ):
            frames = model.decode(codes[None]).numpy()[0]
            assert shown.dtype == np.uint8
            np.testing.assert_allclose(shown[row], (frames + 1.0) * 127.5, atol=0.6)


def test_a_model_is_classifierd_end_to_end(model, moving_squares):
    clips, actions = moving_squares(4, 4), np.arange(4) % 2
    found = action_kept(
        [(clips, actions)], redrawn_content(model), lambda c: np.eye(2)[[0, 1] * 2], classes=2
    )
    assert found.accuracy == 1.0 and found.clips == (2, 2)


def test_models_without_such_codes_are_refused(moving_squares):
    class Plain:
        pass

    with pytest.raises(ValueError, match="Plain has no codes of content and of motion apart"):
        redrawn_content(Plain())(moving_squares(1, 4), np.arange(1))


def test_intervals_are_as_wide_as_numbers_change_from_draw_to_draw():
    """Against many test sets of the same world, of which the classifier is not sure."""

    def drawn(seed):
        generator = np.random.default_rng(seed)
        actions = np.repeat(np.arange(4), 25)

        def changed(clips, seeds):
            return generator.integers(0, 256, clips.shape, dtype=np.uint8) // 4 + clips // 2

        return act([(clips_of(actions, actions), actions)], changed, unsure)

    many = [drawn(seed) for seed in range(50)]
    for name, values in {
        "accuracy": [each.accuracy for each in many],
        "conditional": [each.conditional for each in many],
        "score": [each.score for each in many],
    }.items():
        interval = many[0].intervals[name]
        assert interval.low <= values[0] <= interval.high and interval.mean == values[0]
        assert interval.std == pytest.approx(np.std(values), rel=0.35)
        assert interval.count == 100
        assert interval.high - interval.low == pytest.approx(4 * interval.std, rel=0.15)
