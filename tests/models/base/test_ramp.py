import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.train_config import Ramp, is_number, is_pair, is_whole


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 2.0), (25, 3.5), (50, 5.0), (100, 8.0), (1e6, 8.0)]
)
def test_a_ramp_is_linear_and_stays_at_its_end(step, expected):
    assert float(Ramp(2.0, 8.0, 100)(tf.constant(step, tf.float32))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.01), (50, 0.1), (75, 10**-0.5), (100, 1.0), (1e6, 1.0)]
)
def test_a_geometric_ramp_is_linear_in_the_logarithm(step, expected):
    ramp = Ramp(0.01, 1.0, 100, geometric=True)
    assert float(ramp(tf.constant(step, tf.float32))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("geometric", [False, True])
@pytest.mark.parametrize("steps", [0, 10])
def test_a_ramp_ends_at_infinity_and_without_steps_at_once(geometric, steps):
    ramp = Ramp(1.0, 4.0, steps, geometric)
    assert float(ramp(tf.constant(float("inf")))) == pytest.approx(4.0)
    at_once = 4.0 if steps == 0 else 1.0
    assert float(ramp(tf.constant(0.0))) == pytest.approx(at_once)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_geometric_ramp_needs_positive_values(ends):
    with pytest.raises(ValueError, match="positive ends"):
        Ramp(*ends, 10, geometric=True)


def test_a_ramp_of_negative_length_is_refused():
    with pytest.raises(ValueError, match="-1 steps: give 0 or more"):
        Ramp(0.0, 1.0, -1)


@pytest.mark.parametrize(
    ("value", "pair", "number", "whole"),
    [
        ((0, 1.5), True, False, False),
        ([1, 2], True, False, False),
        ((1, 2, 3), False, False, False),
        (("a", "b"), False, False, False),
        ("12", False, False, False),
        (3, False, True, True),
        (np.int64(3), False, True, True),
        (2.0, False, True, False),
        (True, False, False, False),
        (None, False, False, False),
    ],
)
def test_pairs_numbers_and_whole_numbers_are_distinguished(value, pair, number, whole):
    assert (is_pair(value), is_number(value), is_whole(value)) == (pair, number, whole)
