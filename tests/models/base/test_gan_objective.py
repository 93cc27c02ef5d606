import dataclasses

import pytest

from kerasvid.losses import ADVERSARIAL_LOSSES
from kerasvid.models.base.gan_losses import Objective
from kerasvid.models.registry import model_class


def test_by_default_the_networks_minimise_the_logistic_loss_alone():
    expected = {
        "loss": "logistic",
        "real_target": 1.0,
        "gradient_penalty": 0.0,
        "r1_weight": 0.0,
        "r1_interval": 1,
        "instance_noise_std": (0.0, 0.0),
        "instance_noise_steps": 0,
        "augmentation": (),
        "augmentation_probability": 1.0,
        "augmentation_target": 0.0,
        "augmentation_ramp": 50_000,
        "discriminator_steps": 1,
        "image_frames": 1,
        "image_prior_weight": 1.0,
        "conditioning": "auxiliary",
        "category_weight": 1.0,
    }
    assert dataclasses.asdict(Objective.of(None)) == expected
    assert Objective.of({}) == Objective()


def test_a_given_option_replaces_its_own_default_alone():
    chosen = Objective.of({"loss": "hinge", "instance_noise_std": [0.2, 0.2], "r1_weight": 3})
    assert chosen == Objective(loss="hinge", instance_noise_std=(0.2, 0.2), r1_weight=3)
    assert Objective.of(dataclasses.asdict(chosen)) == chosen


@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_labels_are_smoothed_where_the_loss_has_a_target(loss):
    if loss in ("logistic", "least_squares"):
        assert Objective.of({"loss": loss, "real_target": 0.9}).real_target == 0.9
    else:
        with pytest.raises(ValueError, match=f"'{loss}' has no target") as error:
            Objective.of({"loss": loss, "real_target": 0.9})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"los": "hinge"}, "no 'los': did you mean 'loss'"),
        (
            {"loss": "wassertein"},
            "loss='wassertein' must be logistic or hinge or least_squares or was",
        ),
        ({"loss": None}, "loss=None must be"),
        ({"real_target": 0.5}, "real_target=0.5 must be more than 0.5 and at most 1"),
        ({"real_target": 1.1}, "real_target=1.1"),
        ({"gradient_penalty": -1.0}, "gradient_penalty=-1.0 must be 0 or more"),
        ({"gradient_penalty": True}, "gradient_penalty=True"),
        ({"r1_weight": "10"}, "r1_weight='10'"),
        ({"r1_weight": float("nan")}, "r1_weight=nan"),
        ({"image_prior_weight": None}, "image_prior_weight=None"),
        ({"category_weight": -0.1}, "category_weight=-0.1"),
        ({"r1_interval": 0}, "r1_interval=0 must be a whole number from 1"),
        ({"augmentation": ["flip"]}, r"augmentation=\('flip',\) must be a list of color, tr"),
        ({"augmentation": "color"}, "augmentation='color' must be a list"),
        ({"augmentation": ["color", "color"]}, "each once"),
        ({"augmentation_probability": 1.5}, "augmentation_probability=1.5 must be from 0 to 1"),
        ({"augmentation_target": -1}, "augmentation_target=-1 must be from 0 to 1"),
        ({"augmentation_target": 0.6}, "there is no augmentation"),
        (
            {"augmentation_target": 0.6, "augmentation": ["color"], "loss": "least_squares"},
            "loss 'least_squares' does not part",
        ),
        ({"augmentation_ramp": 0}, "augmentation_ramp=0 must be a whole number from 1"),
        ({"instance_noise_std": 0.1}, r"instance_noise_std=0.1 must be a pair \[start, end\]"),
        ({"instance_noise_std": (0.1, -0.1)}, "instance_noise_std"),
        ({"instance_noise_std": (0.1, 0.0, 0.0)}, "instance_noise_std"),
        ({"instance_noise_steps": -1}, "instance_noise_steps=-1 must be a whole number from 0"),
        ({"instance_noise_steps": 2.5}, "instance_noise_steps=2.5"),
        ({"discriminator_steps": 0}, "discriminator_steps=0 must be a whole number from 1"),
        ({"discriminator_steps": 1.5}, "discriminator_steps=1.5"),
    ],
)
def test_a_value_out_of_its_range_is_refused_in_one_line(objective, message):
    with pytest.raises(ValueError, match=message) as error:
        Objective.of(objective)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "objective",
    [
        {"image_prior_weight": float("inf")},
        {"instance_noise_std": (0.0, float("nan"))},
        {"instance_noise_std": (float("inf"), 0.0)},
    ],
)
def test_a_value_that_is_not_finite_is_refused(objective):
    with pytest.raises(ValueError, match=next(iter(objective))):
        Objective.of(objective)


# What the losses of a paper have beside those of Goodfellow et al.
PUBLISHED = {
    **{name: {} for name in ("image_gan", "mocogan", "rjgan", "rmocogan", "vgan")},
    "tgan": {"loss": "wasserstein"},
    "cgan": {"real_target": 0.9},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_preset_plain_has_the_losses_of_the_paper_alone(name):
    plain = model_class(name).PRESETS["plain"]
    assert Objective.of(plain.get("objective")) == Objective(**PUBLISHED[name])
    # TGAN clips singular values, for which spectral normalisation stands.
    discriminators = [part for key, part in plain.items() if key.endswith("_discriminator")]
    assert all(own.get("spectral", False) == (name == "tgan") for own in discriminators)
    assert not any(own.get("batch_std", False) for own in discriminators)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_preset_paper_has_the_losses_of_the_paper(name):
    paper = model_class(name).PRESETS["paper"]
    assert Objective.of(paper.get("objective")) == Objective(**PUBLISHED[name])


def test_the_presets_base_depart_from_the_papers_alike():
    names = ("mocogan", "rmocogan", "rjgan", "image_gan", "vgan", "tgan")
    classes = [model_class(name) for name in names]
    trainings = [dataclasses.asdict(cls.TRAINING["base"]) for cls in classes]
    for cls, training in zip(classes, trainings, strict=True):
        base = cls.PRESETS["base"]
        given = Objective.of(base["objective"])
        frames = 1 if {"image_discriminator", "video_discriminator"} - {*base} else 4
        shared = {"r1_weight": 20.0, "r1_interval": 8, "image_frames": frames}
        assert given == Objective(**shared), cls
        for part in ("image_discriminator", "video_discriminator"):
            expected = classes[0].PRESETS["base"][part]
            assert base.get(part, expected) == expected, cls
        # The image GAN has no clips: it sees as many images as RJGAN's D_I.
        assert training.pop("batch_size") == (80 if cls is classes[3] else 16)
        assert training == {k: v for k, v in trainings[0].items() if k != "batch_size"}, cls
