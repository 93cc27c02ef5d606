"""What figures ask of a model, by its protocols; files are tested elsewhere."""

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base import protocols, video_generator
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.registry import model_class
from kerasvid.visualization import figures
from kerasvid.visualization.figures import FIGURES, FigureInputs, between_images, figures_of

ROWS = {"index": np.array([4, 2]), "identity": np.array([0, 1]), "label": np.array([2, 3])}


def clip(value, frames=4):
    return np.full([frames, 8, 8, 3], value, np.uint8)


class Encoder(protocols.Swappable):
    """Shows a pair as 10 times its content plus its motion."""

    def reconstruct(self, videos):
        return videos + 1

    def swap(self, content_of, motion_of):
        return (10 * content_of + motion_of).astype(np.uint8)


class Memory(Encoder, protocols.ExchangeableCodes):
    """Has learned codes: of persons by identity, of actions by label."""

    static_by, transient_by, frames = "identity", "label", 4

    def recall(self, index, identity, label):
        return np.stack([clip(i) for i in index])

    def exchange(self, identity, action, label):
        assert list(action) == list(label)
        return np.stack([clip(100 + 10 * i + a) for i, a in zip(identity, action, strict=True)])

    def interpolate_frames(self, first, last, count, index, identity, label):
        return np.stack([clip(50 + i, count) for i in index])


class Between(InBetween):
    """Fills a clip with twice the sum of its ends, or with the sum where the temperature is 0.

    Args:
        noisy: whether it takes noise.
    """

    def __init__(self, noisy=True):
        self.noisy, self.seeds = noisy, []

    def between_noise(self, batch, frames):
        return {"noise": np.zeros([batch, 2])} if self.noisy else {}

    def between(self, first, last, frames, seed=0, temperature=1.0, label=None):
        self.seeds.append(seed)
        level = (first + last) * (2 if temperature else 1)
        return np.repeat(level[:, None], frames, axis=1).astype(np.uint8)


@pytest.fixture
def held_out():
    return np.stack([clip(1), clip(2)])


def test_clips_are_encoded_or_recalled_by_their_rows(held_out):
    encoded = FigureInputs(Encoder(), held_out, rows=ROWS).reconstructed()
    assert list(encoded[:, 0, 0, 0, 0]) == [2, 3]
    recalled = FigureInputs(Memory(), held_out, rows=ROWS).reconstructed()
    assert list(recalled[:, 0, 0, 0, 0]) == [4, 2]


def test_clips_are_swapped_or_their_rows_exchanged(held_out):
    content, motion = np.array([0, 0]), np.array([0, 1])
    swapped = FigureInputs(Encoder(), held_out, rows=ROWS).swapped(content, motion)
    assert list(swapped[:, 0, 0, 0, 0]) == [11, 12]
    exchanged = FigureInputs(Memory(), held_out, rows=ROWS).swapped(content, motion)
    assert list(exchanged[:, 0, 0, 0, 0]) == [102, 103]


def test_swaps_have_a_row_a_content_and_a_column_a_motion(held_out):
    animation = FIGURES["swaps"].draw(FigureInputs(Encoder(), held_out, scale=1)).animation
    levels = [value for value in range(256) if (animation == value).any()]
    assert {1, 2, 11, 12, 21, 22} <= set(levels)


def test_frames_between_stand_between_their_frames(held_out):
    assert figures_of(Memory, ["frames_between"]) and not figures_of(Encoder, ["frames_between"])
    animation = (
        FIGURES["frames_between"].draw(FigureInputs(Memory(), held_out, rows=ROWS)).animation
    )
    shown = [(frame == 4).any() for frame in animation]
    assert shown == [True, False, False, False, True]  # frames 1 and 3, and three between
    assert all((frame == 54).any() for frame in animation[1:-1])


def test_each_identity_does_each_action_and_new_pairs_are_framed(held_out):
    model = Memory()
    model.row_counts = {"identity": 2, "label": 3}
    trained = {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)}
    inputs = FigureInputs(model, held_out, scale=1, rows=ROWS, trained_pairs=lambda: trained)
    figure = FIGURES["exchange"].draw(inputs)
    middles = figure.image[18 + 2 + 4 :: 10, 2 + 4 :: 10, 0]  # under the caption
    assert middles.tolist() == [[100, 101, 102], [110, 111, 112]]
    corners = figure.image[18 + 2 :: 10, 2::10]
    framed = (corners == figures.FRAMED).all(axis=-1)
    assert framed.tolist() == [[False, False, True], [False, False, False]]
    assert figure.remark == ("the first 2 identities and 3 actions: 6 pairs, 1 not in the training")


def test_without_codes_of_identities_and_actions_none_are_exchanged(held_out):
    model = Memory()
    model.static_by = "index"
    with pytest.raises(ValueError, match="Train with static_by=identity and transient_by=label"):
        FIGURES["exchange"].draw(FigureInputs(model, held_out, rows=ROWS))


def test_in_between_videos_are_below_their_real_clips():
    real = np.stack([clip(10), clip(20)])
    real[:, -1] = 40
    figure = FIGURES["between"].draw(FigureInputs(Between(), real, scale=1))
    assert figures_of(Between) == ["between"]
    assert figures_of(Encoder) == ["reconstructions", "swaps"]
    cells = figure.image[18 + 5 :: 10, 5::10, 0]  # under the caption
    assert cells.tolist() == [
        [10, 10, 10, 40], [100] * 4, [10, 20, 30, 40],
        [20, 20, 20, 40], [120] * 4, [20, 27, 33, 40],
    ]  # fmt: skip


def distances(filled, real):
    """The L2 distances of clips `[B, T]` of one level a frame, 8x8x3 pixels each."""
    squares = np.square((np.asarray(filled, float) - real) / 255).sum(axis=1) * 8 * 8 * 3
    return np.sqrt(squares)


def numbers(filled, real, linear=None):
    """The remark's numbers, and in how many clips these are nearer than linear interpolations."""
    ours = distances(filled, real)
    found = f"{ours.mean():.2f} ± {ours.std():.2f}"
    if linear is None:
        return found
    return f"{found}, {sum(ours < distances(linear, real))} nearer"


def test_the_remark_has_the_distances_over_more_clips():
    levels = np.array([[10, 10, 10, 40]] * 10 + [[0, 60, 60, 30]] * 7)
    more = levels[..., None, None, None] * np.ones([8, 8, 3]).astype(np.uint8)
    asked, model = [], Between()
    inputs = FigureInputs(
        model, more[:2].astype(np.uint8), seed=5,
        compared=lambda count: asked.append(count) or (more.astype(np.uint8), "17 clips"),
    )  # fmt: skip
    remark = FIGURES["between"].draw(inputs).remark
    sums = (levels[:, :1] + levels[:, -1:]) * np.ones(4)
    linear = np.round(np.linspace(levels[:, 0], levels[:, -1], 4, axis=1))
    assert asked == [100] and model.seeds == [5, *[5, 6, 7] * 2]  # no noise twice in a measure
    assert remark == (
        f"L2 distance over 17 clips: linear interpolation {numbers(linear, levels)}; samples "
        f"{numbers(2 * sums, levels, linear)}; at temperature 0 {numbers(sums, levels, linear)}"
    )
    assert remark.endswith("7 nearer")


def test_a_model_without_noise_has_one_distance():
    real = np.stack([clip(10), clip(20)])
    remark = FIGURES["between"].draw(FigureInputs(Between(noisy=False), real)).remark
    assert "; model " in remark
    assert "samples" not in remark


def test_several_videos_between_two_images_make_a_figure():
    figure = between_images(Between(), clip(3)[0], clip(4)[0], count=2, frames=5, scale=1)
    assert figure.animation.shape[0] == 5 and figure.image.shape[:2] == (2 * 10 + 2, 5 * 10 + 2)
    assert (figure.image[5, 5::10] == 14).all() and (figure.image[15, 5::10] == 14).all()


def test_interpolations_have_the_frames_that_are_asked_for():
    model = model_class("glo").from_preset("debug", image_shape=(8, 8, 3), frames=4, videos=3)
    figure = FIGURES["interpolations"].draw(FigureInputs(model, count=2, frames=3))
    assert len(figure.animation) == 3


class Noise(video_generator.VideoGenerator, protocols.SummaryPrior, protocols.Recombinable):
    """A frame is 10 times its content plus its motion; its summary frame is the content."""

    summary_noise, frames = "content", 3

    def sample_noise(self, batch, frames=None, seed=0):
        content = 1.0 + tf.range(batch, dtype=tf.float32)[:, None] + 10.0 * (seed > 0)
        return {"content": content, "motion": tf.fill([batch, frames or self.frames], 1.0 + seed)}

    def recombined_noise(self, content_of, motion_of):
        return {**motion_of, "content": content_of["content"]}

    def image_of(self, noise):
        return shades(noise["content"][:, 0])

    def render(self, noise, frames=None):
        return video_generator.as_pixels(shades(10.0 * noise["content"] + noise["motion"]))


def shades(levels):
    """Frames of 8x8 pixels in [-1, 1] of levels `[B, ...]` of a byte."""
    return tf.tile(
        (levels / 127.5 - 1.0)[..., None, None, None], [1] * len(levels.shape) + [8, 8, 3]
    )


def blocks(figure, rows, columns):
    """The levels of the frames of a figure, [blocks, rows, columns], under its captions."""
    height = 18 + 10 * rows + 2
    parts = np.split(figure.image, range(height, len(figure.image), height))
    return np.array([part[18 + 5 :: 10, 5::10, 0][:rows, :columns] for part in parts])


def test_a_block_of_redraws_has_one_content_and_a_motion_a_row():
    figure = FIGURES["redraws"].draw(FigureInputs(Noise(), count=8, scale=1))
    shown = blocks(figure, rows=4, columns=3)  # contents 1 and 2, motions 2 to 5
    expected = [[[10 * content + motion] * 3 for motion in (2, 3, 4, 5)] for content in (1, 2)]
    np.testing.assert_array_equal(shown, expected)
    assert figure.animation.shape == (3, 2 * 10 + 2, 4 * 10 + 2, 3)


def test_summaries_are_interpolated_with_the_motion_held_beside_their_frames(monkeypatch):
    monkeypatch.setattr(figures, "WAY", 3)
    figure = FIGURES["summary_interpolations"].draw(FigureInputs(Noise(), count=4, scale=1))
    (shown,) = blocks(figure, rows=3, columns=4)  # from content 1 to 11, motion 1
    np.testing.assert_array_equal(shown, [[1, 11, 11, 11], [6, 61, 61, 61], [11, 111, 111, 111]])
    assert figure.animation.shape == (3, 10 + 2, 3 * 10 + 2, 3)


def test_models_have_the_figures_of_their_noise():
    def of(name):
        return figures_of(model_class(name), ["summary_interpolations", "redraws"])

    assert of("rmocogan") == ["summary_interpolations", "redraws"]
    assert of("mocogan") == ["redraws"] and of("image_gan") == of("dsa") == []
    assert of("rjgan") == of("rjvae") == ["summary_interpolations"]


@pytest.mark.parametrize("name", ["rmocogan", "rjgan", "rjvae"])
def test_the_way_between_summaries_starts_and_ends_with_samples(name, monkeypatch):
    monkeypatch.setattr(figures, "WAY", 2)
    model = model_class(name).from_preset("debug", image_shape=(8, 8, 3), frames=3)
    inputs = FigureInputs(model, count=4, scale=1)
    animation = FIGURES["summary_interpolations"].draw(inputs).animation
    start, end = (model.sample_noise(1, seed=seed) for seed in (0, 1))
    for place, noise in enumerate(
        (start, {**start, model.summary_noise: end[model.summary_noise]})
    ):
        left = 2 + 10 * place
        shown = animation[:, 2:10, left : left + 8]
        assert np.abs(shown.astype(int) - model.render(noise)[0]).max() <= 1


class Shown(video_generator.VideoGenerator):
    """Shows its noise as a level, and finds any video from its mean."""

    frames, image_shape, weights = 2, (8, 8, 3), ()

    def noise_shapes(self, frames):
        return {"level": (2,)}

    def codes(self, noise, frames=None):
        return noise["level"]

    def decode(self, codes):
        return tf.tile(0.2 * codes[:, :1, None, None, None], [1, 2, 8, 8, 3])

    def has_gaussian_prior(self):
        return True

    def invert(self, videos, seed=0, label=None):
        mean = np.asarray(videos, np.float32).mean(axis=(1, 2, 3, 4)) / 127.5 - 1.0
        return {"level": tf.constant(mean[:, None] / 0.2)}


def test_a_film_comes_back_to_its_first_sample():
    """10 seconds of 8 frames a second of 2 frames a play: 40 plays of 4 stops."""
    model = Shown()
    shown = figures.walk(FigureInputs(model, count=3, seconds=10.0, fps=8.0))
    assert len(shown.animation) == 80
    levels = [
        float(tf.reduce_mean(model.decode(model.sample_noise(3, seed=stop)["level"])[0]))
        for stop in range(4)
    ]
    means = shown.animation[::2, 4, 4, 0] / 127.5 - 1.0  # of the first clip
    np.testing.assert_allclose(means[::10], levels, atol=0.01)
    assert np.abs(np.diff([*means, means[0]])).max() < 0.2  # no jump, also at the end


def test_a_film_may_be_truncated():
    shown = figures.walk(FigureInputs(Shown(), count=1, seconds=4.0, truncation=0.0))
    assert np.ptp(shown.animation[:, 4, 4, 0]) == 0  # the mean alone


def test_inversions_are_below_their_clips_with_their_mean_psnr():
    real = np.stack([np.full([2, 8, 8, 3], level, np.uint8) for level in (100, 180)])
    real[1, 0] += 10
    real[1, 1] -= 10
    figure = figures.inversions(FigureInputs(Shown(), real))
    errors = np.array([1e-10, np.square(10 / 127.5)])
    assert figure.remark == f"inversion: PSNR {np.mean(10 * np.log10(4 / errors)):.1f} dB"
