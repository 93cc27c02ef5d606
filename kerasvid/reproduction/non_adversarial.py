"""Tables 2 and 4 of the non-adversarial paper: motion and frame consistency, and what they owe to.

Its table 1 is of words, its table 3 of which pairs of identity and action were seen.
"""

from kerasvid.reproduction.published import (
    GENERATED,
    LEARNED,
    REAL,
    Column,
    Part,
    Row,
    Table,
    Training,
)

PAPER = (
    "Aich, Gupta, Panda, Hyder, Asif, Roy-Chowdhury: Non-Adversarial Video Synthesis with Learned "
    "Priors, CVPR 2020"
)
CHAIRS = Part("Chair-CAD", "chairs", ("turntable", "shapes"))
WEIZMANN = Part("Weizmann", "weizmann", ("weizmann/strips", "sprites", "sprites/lpc"))
GOLF = Part("Golf", "golf", ("shapes",))
COLUMNS = (
    Column(
        "MCS",
        "lower",
        "motion_consistency",
        ("motion_consistency/signed", "classifier_motion_consistency"),
        weights="vgg_weights",
        without_weights="classifier_motion_consistency",
    ),
    Column(
        "FCS",
        "higher",
        "frame_consistency",
        ("frame_consistency",),
        of_real=("frame_consistency/real",),
    ),
)
NEITHER = {"objective.triplet_weight": 0.0, "objective.static_weight": 0.0}
# Nine static codes, ten transient ones, any 16 consecutive frames (section 4.1, supplement A, B).
BY_PERSON_AND_ACTION = {
    "static_by": "identity",
    "transient_by": "label",
    "conditional": True,
    "objective.levels": 3,
    "objective.triplet_weight": 0.1,
    "training.pick": "window",
}
UNTOLD = (
    "There is no held-out split, as in the paper: real clips are those of training, ours are "
    "training videos from their codes, and what adversarial models make of noise.",
    "The paper leaves open whether the differences of MCS keep their signs, the size of its "
    "frames, and whether FCS counts the first frame; here they keep them, it stays, and does not.",
    "The bound of MCS is a distance of 0, printed as 0.0: its logarithm is none.",
)


def _scores(mcs: str, fcs: str) -> dict[str, str]:
    return {"MCS": mcs, "FCS": fcs}


WITH_BOTH = {
    "Chair-CAD": "navsynth",
    "Weizmann": "navsynth-actions",
    "Golf": "navsynth-golf",
}
WITH_NEITHER = {part: f"{key}-neither" for part, key in WITH_BOTH.items()}

COMPARISON = Table(
    name="non_adversarial/2",
    title="motion and frame consistency beside adversarial models",
    paper=f"{PAPER}, table 2",
    columns=COLUMNS,
    parts=(CHAIRS, WEIZMANN, GOLF),
    rows=(
        Row(
            "Bound",
            {
                "Chair-CAD": _scores("0.0", "0.91"),
                "Weizmann": _scores("0.0", "0.95"),
                "Golf": _scores("0.0", "0.97"),
            },
            WITH_BOTH,
            clips=REAL,
        ),
        Row(
            "MoCoGAN",
            {"Chair-CAD": _scores("4.11", "0.85"), "Weizmann": _scores("3.41", "0.85")},
            "mocogan",
        ),
        Row("VGAN", {"Golf": _scores("3.61", "0.88")}, "vgan"),
        Row(
            "Ours (-triplet -static)",
            {
                "Chair-CAD": _scores("3.83", "0.77"),
                "Weizmann": _scores("3.87", "0.79"),
                "Golf": _scores("3.78", "0.84"),
            },
            WITH_NEITHER,
            clips=LEARNED,
        ),
        Row(
            "Ours (+triplet +static)",
            {
                "Chair-CAD": _scores("3.32", "0.89"),
                "Weizmann": _scores("2.63", "0.90"),
                "Golf": _scores("2.71", "0.84"),
            },
            WITH_BOTH,
            clips=LEARNED,
        ),
    ),
    trainings={
        "mocogan": Training("mocogan"),
        "vgan": Training("vgan"),
        "navsynth": Training("navsynth"),
        "navsynth-neither": Training("navsynth", NEITHER),
        "navsynth-actions": Training(
            "navsynth", BY_PERSON_AND_ACTION, published_preset="weizmann"
        ),
        "navsynth-actions-neither": Training(
            "navsynth", {**BY_PERSON_AND_ACTION, **NEITHER}, published_preset="weizmann"
        ),
        "navsynth-golf": Training("navsynth", published_preset="golf"),
        "navsynth-golf-neither": Training("navsynth", NEITHER, published_preset="golf"),
    },
    split="train",
    notes=(
        *UNTOLD,
        "The paper does not tell the number of clips of this table; its ablation has 500.",
        "On Weizmann the paper's text tells a relative increase of FCS by 4.61 %, its table one "
        "from 0.85 to 0.90, which is 5.88 %.",
    ),
)  # fmt: skip

ABLATION = Table(
    name="non_adversarial/4",
    title="ablation of the learned codes (a) and of two losses (b)",
    paper=f"{PAPER}, table 4",
    columns=COLUMNS,
    parts=(CHAIRS,),
    rows=(
        Row("Bound", {"Chair-CAD": _scores("0", "0.91")}, "navsynth", clips=REAL),
        Row("(a) -Z", {"Chair-CAD": _scores("3.96", "0.75")}, "navsynth", clips=GENERATED),
        Row("(a) +Z", {"Chair-CAD": _scores("3.32", "0.89")}, "navsynth", clips=LEARNED),
        Row("(b) -triplet -static", {"Chair-CAD": _scores("3.83", "0.77")}, "navsynth-neither",
            clips=LEARNED),
        Row("(b) -triplet +static", {"Chair-CAD": _scores("3.82", "0.85")}, "navsynth-static",
            clips=LEARNED),
        Row("(b) +triplet -static", {"Chair-CAD": _scores("3.36", "0.81")}, "navsynth-triplet",
            clips=LEARNED),
        Row("(b) +triplet +static", {"Chair-CAD": _scores("3.32", "0.89")}, "navsynth",
            clips=LEARNED),
    ),
    trainings={
        "navsynth": Training("navsynth"),
        "navsynth-neither": Training("navsynth", NEITHER),
        "navsynth-static": Training("navsynth", {"objective.triplet_weight": 0.0}),
        "navsynth-triplet": Training("navsynth", {"objective.static_weight": 0.0}),
    },
    clips=500,
    split="train",
    notes=(
        *UNTOLD,
        "Of (a) the paper's text is the source: MCS 3.96 to 3.32, and an increase of FCS by "
        "18.66 % to 0.89, of which 0.75 is worked out.",
        "-Z draws codes from the Gaussian fitted to the learned ones; the paper tells no more than "
        "\"a different distribution\".",
        "The paper's text tells a decrease of MCS by 14.26 % from 3.83 to 3.32, which is 13.32 %.",
    ),
)  # fmt: skip

TABLES = (COMPARISON, ABLATION)
