"""Parts and figures of published tables."""

from kerasvid.reproduction.published import Part, figure_value


def test_figures_are_read_as_they_are_printed():
    printed = ("4.24 ± 0.02", "134.8", "62 ± 58", "0", "N/A", "")
    assert [figure_value(text) for text in printed] == [4.24, 134.8, 62.0, 0.0, None, None]


def test_the_first_substitute_is_the_default():
    assert Part("MUG", "mug", ("sprites", "shapes")).default == "sprites"
    assert Part("Own", "own").default == "own"
