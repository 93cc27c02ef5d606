"""The table of the poster "Generating Video from Images": distance to the true clips in between."""

from kerasvid.reproduction.published import Column, Part, Row, Table, Training

PAPER = 'Penington, Teo, Wang: poster "Generating Video from Images"'
STAND_INS = ("shapes", "sprites", "sprites/lpc", "weizmann/strips")


def _distances(erupting: str, skiing: str) -> dict[str, dict[str, str]]:
    return {"Erupting": {"L2": erupting}, "Skiing": {"L2": skiing}}


DISTANCES = Table(
    name="between_frames",
    title="L2 distance of generated and real videos between a first and a last frame",
    paper=PAPER,
    columns=(
        Column("L2", "lower", "between", ("between/samples", "between/model"), spread="std"),
    ),
    parts=(Part("Erupting", "moments", STAND_INS), Part("Skiing", "moments", STAND_INS)),
    rows=(
        Row("Interpolation", _distances("62 ± 58", "153 ± 89"), "linear_interpolation"),
        Row("CVAE", _distances("180 ± 110", "197 ± 80"), "cvae"),
        Row("CGAN", _distances("223 ± 96", "N/A"), "cgan"),
    ),
    trainings={
        "linear_interpolation": Training("linear_interpolation"),
        "cvae": Training("cvae"),
        "cgan": Training("cgan"),
    },
    clips=100,
    notes=(
        "The poster tells neither the unit of a pixel nor whether a clip is summed or averaged "
        "over: here the distance is the norm of the whole difference, pixels in [0, 1].",
        "What stands after ± is the deviation over clips, in the poster as here.",
        "The poster trains on 2,000 videos of erupting, 120 for the CGAN, and 1,800 of skiing, "
        "each alone; here one run learns all training videos of the data set.",
    ),
)  # fmt: skip

TABLES = (DISTANCES,)
