"""Tables 2, 3 and 5 of the residual-vector paper, and its experiment on mixed data.

Its tables 1, 4 and 6 are preferences of human workers; `apps/compare.py` makes that study.
"""

from kerasvid.reproduction.published import IMAGES, VIDEOS, Column, Part, Row, Table, Training

PAPER = (
    "Dandi, Das, Singhal, Namboodiri, Rai: Jointly Trained Image and Video Generation using "
    "Residual Vectors, WACV 2020"
)
STAND_INS = ("weizmann/strips", "sprites", "sprites/lpc", "shapes", "turntable")
MUG = Part("MUG", "mug", STAND_INS)
NIR = Part("NIR", "oulu_casia", STAND_INS)
FVD = Column(
    "FVD", "lower", "fvd", ("fvd", "frechet"), weights="i3d_weights", without_weights="frechet"
)
CLIPS = 624  # "drawing 624 videos each from the real and generated data distributions"
IMAGES_SCORED = 10 * 128  # "10 different batches having a batch size of 128"
UNTOLD = (
    "The paper's architectures, rates and lengths of training stand in an appendix that is not at "
    "hand; those of the preset paper are MoCoGAN's released ones.",
    "Real clips are of the training split: the paper tells none, but speaks of the distribution "
    "of the training data. A classifier that stands in for a published network has learned from these.",
)

VIDEO_GENERATION = Table(
    name="residual_vectors/2",
    title="FVD scores for video generation",
    paper=f"{PAPER}, table 2",
    columns=(FVD,),
    parts=(MUG, NIR),
    rows=(
        Row("MoCoGAN", {"MUG": {"FVD": "134.8"}, "NIR": {"FVD": "125.7"}}, "mocogan"),
        Row("RMoCoGAN", {"MUG": {"FVD": "104.4"}, "NIR": {"FVD": "118.7"}}, "rmocogan"),
        Row("RJGAN", {"MUG": {"FVD": "99.9"}, "NIR": {"FVD": "105.5"}}, "rjgan"),
    ),
    trainings={
        "mocogan": Training("mocogan"),
        "rmocogan": Training("rmocogan"),
        "rjgan": Training("rjgan"),
    },
    clips=CLIPS,
    split="train",
    notes=UNTOLD,
)

ITERATIONS = 1_000
PRE_TRAINING = Table(
    name="residual_vectors/3",
    title="FVD scores after 1,000 iterations, with and without pre-training on images",
    paper=f"{PAPER}, table 3",
    columns=(FVD,),
    parts=(MUG,),
    rows=(
        Row("MoCoGAN", {"MUG": {"FVD": "445.3"}}, "mocogan"),
        Row("RJGAN", {"MUG": {"FVD": "438.7"}}, "rjgan"),
        Row("RJGAN with pre-training", {"MUG": {"FVD": "199.6"}}, "rjgan-pretrained"),
    ),
    trainings={
        "mocogan": Training("mocogan", steps=ITERATIONS, data=VIDEOS),
        "rjgan": Training("rjgan", steps=ITERATIONS, data=VIDEOS),
        "image_gan": Training("image_gan", data=IMAGES),
        "rjgan-pretrained": Training(
            "rjgan", steps=ITERATIONS, data=VIDEOS, init_from="image_gan"
        ),
    },
    clips=CLIPS,
    split="train",
    notes=(
        *UNTOLD,
        "As in the paper, half of the training videos are taken apart into images; the "
        "pre-training sees these, all three rows are trained on the other half. The paper does "
        "not tell how long the pre-training was.",
    ),
)  # fmt: skip

IMAGE_GENERATION = Table(
    name="residual_vectors/5",
    title="Inception scores for image generation",
    paper=f"{PAPER}, table 5",
    columns=(
        Column(
            "IS",
            "higher",
            "image_inception",
            ("image_inception/label", "image_inception/action"),
            spread="std",
            clips=IMAGES_SCORED,
        ),
    ),
    parts=(MUG,),
    rows=(
        Row("Baseline", {"MUG": {"IS": "4.24 ± 0.02"}}, "image_gan"),
        Row("RJGAN", {"MUG": {"IS": "4.50 ± 0.01"}}, "rjgan"),
    ),
    trainings={"image_gan": Training("image_gan"), "rjgan": Training("rjgan")},
    clips=IMAGES_SCORED,
    notes=(
        UNTOLD[0],
        "The classifier of frames has the architecture of D_I and is trained on the same data set, "
        "as in the paper, which does not tell its accuracy.",
        "The paper does not tell what its ± is; ours is the deviation over the ten batches.",
        "The paper's text calls this table 3, and table 4 table 2.",
    ),
)

MIXED_DATA = Table(
    name="residual_vectors/mixed",
    title="FVD scores of RJGAN trained on images and videos at once, half of the videos as images",
    paper=f"{PAPER}, section 5.1, Training on Mixed Datasets",
    columns=(FVD,),
    parts=(MUG,),
    rows=(
        Row("MoCoGAN, all videos", {"MUG": {"FVD": "134.8"}}, "mocogan"),
        Row("RJGAN, half of the videos as images", {"MUG": {"FVD": "115.6"}}, "rjgan-mixed"),
        Row("RJGAN, all videos", {"MUG": {"FVD": "99.9"}}, "rjgan"),
    ),
    trainings={
        "mocogan": Training("mocogan"),
        "rjgan-mixed": Training("rjgan", data=VIDEOS, with_images=True),
        "rjgan": Training("rjgan"),
    },
    clips=CLIPS,
    split="train",
    notes=UNTOLD,
)

TABLES = (VIDEO_GENERATION, PRE_TRAINING, IMAGE_GENERATION, MIXED_DATA)
