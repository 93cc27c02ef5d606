"""What is trained on which data set, and beside which part it stands."""

from kerasvid.reproduction.published import published_table
from kerasvid.reproduction.results import sections_of


def outline(name, datasets=()):
    """Of each section the data set, its parts, and the names of its rows."""
    return [
        (s.dataset, [part.name for part in s.parts], [result.row.name for result in s.rows])
        for s in sections_of(published_table(name), datasets)
    ]


GANS = ["MoCoGAN", "RMoCoGAN", "RJGAN"]
OURS = ["Ours (-triplet -static)", "Ours (+triplet +static)"]


def test_parts_with_the_same_default_share_its_runs():
    assert outline("residual_vectors/2") == [("weizmann/strips", ["MUG", "NIR"], GANS)]


def test_parts_with_other_rows_are_own_sections_even_on_the_same_data():
    assert outline("non_adversarial/2") == [
        ("turntable", ["Chair-CAD"], ["Bound", "MoCoGAN", *OURS]),
        ("weizmann/strips", ["Weizmann"], ["Bound", "MoCoGAN", *OURS]),
        ("shapes", ["Golf"], ["Bound", "VGAN", *OURS]),
    ]
    both = sections_of(published_table("non_adversarial/2"), ["shapes"])
    assert [(s.dataset, s.parts[0].name) for s in both] == [
        ("shapes", "Chair-CAD"),
        ("shapes", "Golf"),
    ]


def test_a_data_set_goes_to_its_part_or_as_substitute_or_to_all_parts():
    assert outline("residual_vectors/2", ["oulu_casia"]) == [("oulu_casia", ["NIR"], GANS)]
    assert outline("residual_vectors/2", ["mug", "oulu_casia"]) == [
        ("mug", ["MUG"], GANS),
        ("oulu_casia", ["NIR"], GANS),
    ]
    assert outline("residual_vectors/2", ["sprites"]) == [("sprites", ["MUG", "NIR"], GANS)]
    assert outline("residual_vectors/2", ["my/clips"]) == [("my/clips", ["MUG", "NIR"], GANS)]


def test_every_run_of_a_section_is_listed_once():
    (section,) = sections_of(published_table("non_adversarial/4"))
    variants = ("fixed", "neither", "static", "triplet")  # in the order of the rows
    assert section.runs == ["navsynth", *(f"navsynth-{name}" for name in variants)]
