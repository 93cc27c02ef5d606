"""Clips cut out of longer generated videos, of lengths that the data has."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from kerasvid.models.base.gan import CUT
from kerasvid.models.registry import model_class

SMALL = {"image_shape": (16, 16, 3), "frames": 3}
RECURRENT = ("mocogan", "rmocogan", "rjgan")


@pytest.fixture(scope="module", params=RECURRENT)
def model(request):
    return model_class(request.param).from_preset("debug", lengths=[3, 8], **SMALL)


def noise_of(model, *uniform):
    """Noise of videos whose length and place are at these shares of their ranges."""
    shapes = model.training_noise_shapes(3)
    seeds = enumerate(sorted(shapes.items()))
    noise = {name: tf.random.stateless_normal([len(uniform), *s], [i, 7]) for i, (name, s) in seeds}
    return {**noise, CUT: tfp.distributions.Normal(0.0, 1.0).quantile(np.float32(uniform))}


def test_training_draws_noise_for_the_longest_video(model):
    shapes = model.training_noise_shapes(3)
    assert shapes.pop(CUT) == (2,)
    assert shapes == model.noise_shapes(8)
    assert model.training_noise_shapes(12).keys() - {CUT} == model.noise_shapes(12).keys()
    assert CUT not in model.noise_shapes(3)  # of generation


def test_a_clip_is_the_frames_of_a_video_of_the_drawn_length_from_the_drawn_place(model):
    noise = noise_of(model, (0.1, 0.9), (0.9, 0.01), (0.9, 0.5), (0.9, 0.99))
    videos, clips = model.codes(noise).numpy(), model.clip_codes(noise, 3).numpy()
    assert videos.shape[1] == 8
    # A video of 3 frames begins at 0; one of 8 at 0 to 5, a sixth of the range each.
    for video, clip, first in zip(videos, clips, (0, 0, 3, 5), strict=True):
        np.testing.assert_array_equal(clip, video[first : first + 3])
    assert np.abs(videos[3, :3] - clips[3]).max() > 1e-3


def test_lengths_and_places_are_equally_frequent(model):
    draws = 3000
    uniform = np.random.default_rng(0).uniform(1e-3, 1 - 1e-3, [draws, 2])
    noise = {CUT: tfp.distributions.Normal(0.0, 1.0).quantile(np.float32(uniform))}
    times = tf.tile(tf.range(8.0)[None, :, None], [draws, 1, 1])
    model.codes = lambda noise: times
    try:
        clips = model.clip_codes(noise, 3).numpy()
    finally:
        del model.codes
    firsts = np.bincount(clips[:, 0, 0].astype(int), minlength=6) / draws
    np.testing.assert_allclose(firsts, [1 / 2 + 1 / 12, *[1 / 12] * 5], atol=0.03)


def test_a_step_trains_on_clips_cut_out(model):
    clips = np.random.default_rng(0).integers(0, 256, [4, 3, 16, 16, 3], dtype=np.uint8)
    model.compile("adam")
    history = model.fit(clips, batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.generate(2).shape == (2, 3, 16, 16, 3)
    again = type(model).from_config(model.get_config())
    assert again.lengths == (3, 8)


@pytest.mark.parametrize("lengths", ["data", [0], [2.5]])
def test_wrong_lengths_are_refused_in_one_line(lengths):
    with pytest.raises(ValueError, match=r"lengths=.* must be whole numbers from 1") as error:
        model_class("mocogan").from_preset("debug", lengths=lengths, **SMALL)
    assert "\n" not in str(error.value)
