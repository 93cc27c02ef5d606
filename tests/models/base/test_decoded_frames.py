import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.trainer import checked_count, choice_shapes, decoded_part


def test_all_are_decoded_where_no_fewer_are_asked_for():
    assert choice_shapes(None, 8) == choice_shapes(8, 8) == choice_shapes(9, 8) == {}
    assert choice_shapes(3, 8) == {"decoded_frames": (8,)}


def test_chosen_frames_are_different_and_equally_likely_at_every_position():
    random_inputs = tf.random.stateless_normal([6000, 4], [1, 2])
    numbers = tf.tile(tf.range(4)[None], [6000, 1])  # [B, T]
    chosen = decoded_part({"decoded_frames": random_inputs}, 3, numbers)[0].numpy()
    assert chosen.shape == (6000, 3)
    assert all(len(set(row)) == 3 for row in chosen)
    for place in range(3):
        share = np.bincount(chosen[:, place], minlength=4) / 6000
        np.testing.assert_allclose(share, 0.25, atol=0.03)


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_another_count_is_refused(count):
    with pytest.raises(ValueError, match=f"decoded_frames={count!r} must be 1 or more, or None"):
        checked_count(count)
