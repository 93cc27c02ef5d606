import pytest

from kerasvid.models.navsynth import OBJECTIVE, Navsynth

PRESETS, TRAINING = Navsynth.PRESETS, Navsynth.TRAINING

# Table 2 of the supplement, by data set: D_s, D_t, lambda_s, lambda_t, alpha, the rates of G, R and
# the codes, epochs of gamma and of (z, theta), l.
TABLE_2 = {
    "paper": (206, 50, 0.01, 0.01, 2, 6.25e-5, 6.25e-5, 12.5, 5, 300, 4),  # Chair-CAD
    "weizmann": (56, 200, 0.01, 0.1, 2, 6.25e-5, 6.25e-3, 12.5, 5, 700, 3),
    "golf": (56, 200, 0.01, 0.01, 2, 0.1, 0.1, 12.5, 10, 1000, 4),
}
VIDEOS = {"paper": 1476, "weizmann": 80, "golf": 500}


def sizes_of(name):
    return {**Navsynth.hyperparameters(), **PRESETS[name]}


@pytest.mark.parametrize("name", VIDEOS)
def test_published_steps_end_with_the_last_stage(name):
    epochs = sum(PRESETS[name]["stages"].values())
    training = TRAINING[name]
    left = epochs * VIDEOS[name] - training.steps * training.batch_size
    assert 0 <= left < training.batch_size


@pytest.mark.parametrize("name", TABLE_2)
def test_published_presets_have_the_published_numbers(name):
    sizes, training = sizes_of(name), TRAINING[name]
    objective = {**OBJECTIVE, **(sizes["objective"] or {})}
    optimizers = training.make_optimizers(["generator", "recurrent"])
    codes = training.code_arguments()
    for step in (0, 10_000):  # constant rates
        rates = [float(optimizer._learning_rate(step)) for optimizer in optimizers.values()]
        found = (
            sizes["static_dim"], sizes["transient_dim"], objective["static_weight"],
            objective["triplet_weight"], objective["margin"], *rates,
            float(codes["code_rate"](step)), sizes["stages"]["network"], sizes["stages"]["codes"],
            objective["levels"],
        )  # fmt: skip
        assert found == pytest.approx(TABLE_2[name], rel=1e-6)
    for optimizer in optimizers.values():
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.999, 1e-8)
        assert not optimizer.use_ema
    assert codes["code_momentum"] == 0.9
    # Alpha is the range of positives, too, and what is beyond it is negative.
    assert objective["positive_range"] == objective["negative_range"] == 2
    assert (sizes["image_shape"], sizes["frames"], sizes["units"]) == ((64, 64, 3), 16, 500)
    assert (sizes["rank"], sizes["decoded_frames"], sizes["scaled_codes"]) == (None, None, False)


def test_weizmann_has_a_static_code_a_person_and_transient_codes_an_action():
    sizes = sizes_of("weizmann")
    assert (sizes["static_by"], sizes["identities"]) == ("identity", 9)
    assert (sizes["transient_by"], sizes["classes"]) == ("label", 10)
    assert sizes["conditional"] and sizes["videos"] == VIDEOS["weizmann"]
    assert (TRAINING["weizmann"].pick, TRAINING["paper"].pick) == ("window", "start")
