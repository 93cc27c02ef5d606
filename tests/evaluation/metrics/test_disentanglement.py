import math

import numpy as np
import pytest

from kerasvid.evaluation.generated_clips import recombination
from kerasvid.evaluation.metrics.disentanglement import answers_held, labels_kept
from kerasvid.models.dsa import DSA

# Clips of a toy world: the first pixel's red is the action, its green the
# character; a fourth of 256 levels each.
STEP = 64


def clips_of(actions, characters):
    clips = np.zeros([len(actions), 2, 4, 4, 3], np.uint8)
    clips[..., 0] = (np.asarray(actions) * STEP + 32)[:, None, None, None]
    clips[..., 1] = (np.asarray(characters) * STEP + 32)[:, None, None, None]
    return clips


def classifier(clips):
    """Sure of every action."""
    return np.eye(4)[clips[:, 0, 0, 0, 0] // STEP]


def classifier_of_both(clips):
    return {"action": classifier(clips), "hair": np.eye(4)[clips[:, 0, 0, 0, 1] // STEP]}


def action_kept(batches, recombine, probabilities, classes=4, **arguments):
    named = ((clips, {"action": actions}) for clips, actions in batches)
    answers = lambda clips: {"action": probabilities(clips)}  # noqa: E731
    return labels_kept(named, recombine, answers, {"action": classes}, **arguments)["action"]


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


def act(batches=None, recombine=kept_motion, classified_by=classifier, **arguments):
    batches = dataset() if batches is None else batches
    return action_kept(batches, recombine, classified_by, **arguments)


def test_a_model_that_keeps_motion_reaches_the_ceilings():
    found = act()
    assert found.accuracy.mean == found.real_accuracy == 1.0 and found.conditional.mean == 0.0
    assert found.marginal.mean == pytest.approx(math.log(4)) and found.score.mean == pytest.approx(
        4.0
    )
    assert found.clips == (3, 3, 3, 3)


def test_a_model_that_draws_motion_anew_is_right_by_chance():
    clips, actions = clips_of([0, 1, 2, 3] * 4, [0] * 16), np.repeat(np.arange(4), 4)
    found = act([(clips, actions)], lost_motion, lambda c: classifier(c))
    assert found.accuracy.mean == 0.25 and found.score.mean == pytest.approx(4.0)


def test_a_model_that_makes_one_action_alone_has_no_marginal_entropy():
    found = act(recombine=lambda clips, seeds: clips_of([2] * len(clips), [0] * len(clips)))
    assert found.accuracy.mean == 0.25 and found.marginal.mean == 0.0 and found.score.mean == 1.0
    assert found.real_accuracy == 1.0


def unsure(clips):
    """Probabilities `[B, 4]` of the pixels, none of them certain."""
    raw = np.stack([np.sin(clips[:, 0, 0, 0, c % 2] / 40.0 + c) for c in range(4)], axis=1)
    return np.exp(2 * raw) / np.exp(2 * raw).sum(axis=1, keepdims=True)


def test_classes_have_equal_weight_for_any_numbers_of_clips():
    generator = np.random.default_rng(0)
    actions = np.array([0] * 9 + [1] * 4 + [2] * 2 + [3])
    clips = clips_of(actions, generator.integers(0, 4, 16))
    found = act([(clips[:7], actions[:7]), (clips[7:], actions[7:])], classified_by=unsure)
    answers = unsure(kept_motion(clips, np.arange(16)))
    hits, doubt, mean = [], [], np.zeros(4)
    for action in range(4):
        own = answers[actions == action]
        hits.append(np.mean(own.argmax(1) == action))
        doubt.append(np.mean([-sum(p * math.log(p) for p in row) for row in own]))
        mean += own.mean(axis=0) / 4
    marginal = -sum(p * math.log(p) for p in mean)
    assert found.accuracy.mean == pytest.approx(np.mean(hits))
    assert found.conditional.mean == pytest.approx(np.mean(doubt))
    assert found.marginal.mean == pytest.approx(marginal)
    assert found.score.mean == pytest.approx(math.exp(marginal - np.mean(doubt)))
    assert found.clips == (9, 4, 2, 1)


def test_batches_do_not_matter_and_the_seed_does():
    seen = []

    def noting(clips, seeds):
        seen.extend(seeds.tolist())
        return kept_motion(clips, seeds)

    results = [act(dataset(batch=size), noting, unsure) for size in (2, 12)]
    np.testing.assert_allclose(*([part.mean for part in each[:4]] for each in results), rtol=1e-12)
    assert seen[:12] == seen[12:] and len(set(seen)) == 12
    act(recombine=noting, seed=1)
    assert not set(seen[24:]) & set(seen[:12])


def test_several_labels_are_measured_at_once():
    clips = clips_of([0, 1, 2, 3] * 2, [0, 1, 2, 3, 3, 2, 1, 0])
    labels = {"action": np.arange(8) % 4, "hair": np.array([0, 1, 2, 3, 3, 2, 1, 0])}
    classes = {"action": 4, "hair": 4}
    found = labels_kept([(clips, labels)], kept_motion, classifier_of_both, classes)
    assert found["action"].accuracy.mean == 1.0
    assert found["hair"].accuracy.mean < 0.6 and found["hair"].real_accuracy == 1.0


def test_the_number_of_clips_is_exact():
    assert act(clips=8).clips == (2, 2, 2, 2)
    with pytest.raises(ValueError, match=r"There are 12 real clips, not 13. Use 12"):
        act(clips=13)


def nan_clips(clips, seeds):
    return np.full(clips.shape, np.nan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 3}, "action: the label 3 is not in 0 to 2"),
        (
            {"classes": 5},
            r"answers have the shape \(5, 4\), not \(5, 5\). Use a classifier trained",
        ),
        ({"classified_by": lambda c: np.eye(9)[[0] * len(c)]}, "Use a classifier trained on these"),
        ({"classified_by": lambda c: 7.0 * classifier(c)}, "of sum 1"),
        ({"batches": dataset()[:1], "clips": 2}, r"the classes \[2, 3\] have no clips. Use more"),
        (
            {"batches": [(dataset()[0][0], np.full(5, -1))]},
            r"the label -1 is not in 0 to 3. Leave out",
        ),
        (
            {"batches": [(dataset()[0][0], np.zeros(5))]},
            r"5 clips are float64 \(5,\). Use integers",
        ),
        ({"batches": [(dataset()[0][0], np.zeros(6, int))]}, r"5 clips are int64 \(6,\)"),
        ({"recombine": nan_clips}, "recombined clips: pixels of clip 0 of a batch are not finite"),
        ({"recombine": lambda c, s: c[:, :1]}, "Use the same T, H, W and C for all"),
        ({"batches": []}, "no real clips"),
    ],
)
def test_wrong_arguments_are_an_error_of_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        act(**arguments)
    assert "\n" not in str(error.value)


def test_unknown_names_are_errors():
    clips, actions = dataset()[0]
    batches = [(clips, {"action": actions})]
    with pytest.raises(ValueError, match="hair: the batch has only the labels action"):
        labels_kept(batches, kept_motion, classifier_of_both, {"hair": 4})
    with pytest.raises(ValueError, match="action: the classifier knows only hair"):
        labels_kept(batches, kept_motion, lambda c: {"hair": classifier(c)}, {"action": 4})


def test_a_model_is_measured_end_to_end(moving_squares):
    model = DSA.from_preset("debug", image_shape=(16, 16, 3), frames=4)
    clips, actions = moving_squares(4, 4), np.arange(4) % 2
    redraw = recombination(model, 4, keep_motion=True)
    found = action_kept([(clips, actions)], redraw, lambda c: np.eye(2)[[0, 1] * 2], classes=2)
    assert found.accuracy.mean == 1.0 and found.clips == (2, 2)


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
        "accuracy": [each.accuracy.mean for each in many],
        "conditional": [each.conditional.mean for each in many],
        "score": [each.score.mean for each in many],
    }.items():
        interval = getattr(many[0], name)
        assert interval.low <= values[0] <= interval.high and interval.mean == values[0]
        assert interval.std == pytest.approx(np.std(values), rel=0.35)
        assert interval.size == 100
        assert interval.high - interval.low == pytest.approx(4 * interval.std, rel=0.15)


def redraws(count=2_000, keeps_content=True, keeps_motion=True):
    """Clips of random actions and characters in batches, and with one of the two drawn anew.

    A model that does not keep a factor draws it anew, too.
    """
    first, second = np.random.default_rng(0).integers(0, 4, [2, 2, count])
    second[0] = np.where(second[0] == 3, 0, second[0])  # new actions: 0 is twice as frequent
    actions, characters = first

    def batches(own_actions, own_characters):
        clips = clips_of(own_actions, own_characters)
        return (clips[i : i + 300] for i in range(0, count, 300))

    redrawn = {
        "motion_held": batches(actions if keeps_motion else second[0], second[1]),
        "content_held": batches(second[0], characters if keeps_content else second[1]),
    }
    return batches(actions, characters), redrawn, (actions, characters), second


GROUPS = {"action": ["action"], "hair": ["hair"], "both": ["action", "hair"]}


def test_a_model_that_holds_a_factor_agrees_always_and_by_chance_in_the_other():
    clips, redrawn, first, second = redraws()
    found = answers_held(clips, redrawn, classifier_of_both, GROUPS, 2_000)
    assert found["motion_held"]["action"].agreement.mean == 1.0
    assert found["content_held"]["hair"].agreement.mean == 1.0
    for held, label, place in (("motion_held", "hair", 1), ("content_held", "action", 0)):
        before, after = (np.bincount(each[place], minlength=4) / 2_000 for each in (first, second))
        values = found[held][label]
        assert values.chance == pytest.approx(sum(before * after))
        assert values.agreement.mean == np.mean(first[place] == second[place])
        assert values.agreement.low < values.chance < values.agreement.high
    both = found["content_held"]["both"]
    assert both.agreement.mean == pytest.approx((1 + np.mean(first[0] == second[0])) / 2)
    held = [found["content_held"][label].chance for label in ("action", "hair")]
    assert both.chance == pytest.approx(np.mean(held))


def test_a_model_that_mixes_factors_agrees_by_chance_when_one_is_held():
    clips, redrawn, *_ = redraws(keeps_motion=False)
    found = answers_held(clips, redrawn, classifier_of_both, GROUPS, 2_000)
    action = found["motion_held"]["action"]
    assert action.agreement.low < action.chance < action.agreement.high < 0.5


def test_redrawn_clips_that_are_too_few_are_refused():
    clips, redrawn, *_ = redraws(600)
    redrawn["content_held"] = [next(iter(redrawn["content_held"]))]
    with pytest.raises(ValueError, match="There are 300 generated clips, not 600"):
        answers_held(clips, redrawn, classifier_of_both, GROUPS, 600)
