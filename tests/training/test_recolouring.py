import numpy as np
import tensorflow as tf

from kerasvid.training.recolouring import recoloured


def test_every_pixel_of_a_clip_is_mixed_by_the_matrix_of_its_clip():
    generator = np.random.default_rng(0)
    video = generator.uniform(-1, 1, [2, 3, 4, 5, 3]).astype(np.float32)
    chances = generator.normal(size=[2, 3, 3]).astype(np.float32)
    made = recoloured(tf.constant(video), tf.constant(chances), 0.7).numpy()
    for place in np.ndindex(2, 3, 4, 5):
        pixel = video[place].astype(float)
        expected = pixel + 0.7 / np.sqrt(3) * chances[place[0]].astype(float) @ pixel
        np.testing.assert_allclose(made[place], expected, atol=1e-5)


def test_no_deviation_leaves_the_colours():
    video = np.random.default_rng(0).uniform(-1, 1, [2, 3, 4, 4, 3]).astype(np.float32)
    np.testing.assert_array_equal(recoloured(tf.constant(video), tf.ones([2, 3, 3]), 0.0), video)
