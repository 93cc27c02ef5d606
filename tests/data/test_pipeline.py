import collections
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data.pipeline import make_pipeline
from kerasvid.data.records import finish_example, video_to_example

COUNT = 23  # videos in the training split, 6 frames each


def take(dataset, batches):
    return list(dataset.take(batches).as_numpy_iterator())


def indices(batches):
    return np.concatenate([batch["index"] for batch in batches]).tolist()


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def test_shapes_are_static(dataset):
    spec = make_pipeline(dataset, batch_size=4, frames=3).element_spec
    assert spec["video"] == tf.TensorSpec([4, 3, 8, 8, 3], tf.uint8)
    assert spec["index"] == spec["label"] == spec["identity"] == tf.TensorSpec([4], tf.int64)
    assert spec["attributes"] == tf.TensorSpec([4, 2], tf.int64)


def test_fields_and_pixels_belong_together(dataset):
    for batch in take(make_pipeline(dataset, batch_size=5, frames=3, stride=2, repeat=True), 9):
        index = batch["index"]
        np.testing.assert_array_equal(batch["video"][..., 0], np.broadcast_to(
            index[:, None, None, None], (5, 3, 8, 8)))  # fmt: skip
        assert set(np.diff(batch["video"][:, :, 0, 0, 1].astype(int)).ravel()) == {2}
        np.testing.assert_array_equal(batch["label"], index % 3)
        np.testing.assert_array_equal(batch["identity"], index)
        np.testing.assert_array_equal(batch["attributes"], np.stack([index % 2, index % 5], 1))


def test_every_epoch_is_every_video_once_in_another_order(dataset):
    stream = indices(
        take(make_pipeline(dataset, batch_size=5, frames=2, repeat=True), 3 * COUNT // 5)
    )
    epochs = [stream[:COUNT], stream[COUNT : 2 * COUNT]]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert epochs[0] != epochs[1] and epochs[0] != sorted(epochs[0])


def test_a_small_shuffle_buffer_still_gives_every_video_once(dataset):
    stream = indices(
        take(make_pipeline(dataset, batch_size=1, frames=2, shuffle_buffer=3, repeat=True), COUNT)
    )
    assert sorted(stream) == list(range(COUNT))


def test_windows_differ_between_epochs(dataset):
    starts = collections.defaultdict(set)
    for batch in take(make_pipeline(dataset, batch_size=COUNT, frames=2, repeat=True), 8):
        for index, start in zip(batch["index"], batch["video"][:, 0, 0, 0, 1], strict=True):
            starts[index].add(int(start))
    assert np.mean([len(found) for found in starts.values()]) > 3  # of 5 possible starts


def test_the_stream_depends_on_the_seed_and_not_on_global_seeds(dataset):
    keras.utils.set_random_seed(1)
    first = take(make_pipeline(dataset, batch_size=4, frames=3, seed=7, repeat=True), 12)
    keras.utils.set_random_seed(2)
    assert_same(
        first, take(make_pipeline(dataset, batch_size=4, frames=3, seed=7, repeat=True), 12)
    )
    other = take(make_pipeline(dataset, batch_size=4, frames=3, seed=8, repeat=True), 12)
    assert indices(first) != indices(other)


def test_iterating_twice_gives_the_same(dataset):
    pipeline = make_pipeline(dataset, batch_size=4, frames=3, repeat=True)
    assert_same(take(pipeline, 12), take(pipeline, 12))


# 23 videos by 5: step 5 is in the second epoch, 23 is the start of an epoch again.
@pytest.mark.parametrize("start", [1, 4, 5, 9, 23, 30])
def test_a_resumed_stream_is_the_rest_of_the_uninterrupted_one(dataset, start):
    whole = take(make_pipeline(dataset, batch_size=5, frames=3, seed=4, repeat=True), start + 6)
    resumed = take(
        make_pipeline(dataset, batch_size=5, frames=3, seed=4, start_step=start, repeat=True), 6
    )
    assert_same(whole[start:], resumed)


def test_batches_are_repeated_in_succession(dataset):
    options = {"batch_size": 5, "frames": 3, "seed": 4, "repeat": True}
    once = take(make_pipeline(dataset, **options), 3)
    thrice = take(make_pipeline(dataset, **options, batch_repeats=3), 9)
    assert_same(thrice, [batch for batch in once for _ in range(3)])


@pytest.mark.parametrize("start", [1, 3, 14, 16])
def test_a_resumed_stream_of_repeats_is_the_rest_of_the_whole_one(dataset, start):
    options = {"batch_size": 5, "frames": 3, "seed": 4, "repeat": True, "batch_repeats": 3}
    whole = take(make_pipeline(dataset, **options), start + 5)
    assert_same(whole[start:], take(make_pipeline(dataset, start_step=start, **options), 5))


def test_a_pipeline_of_repeats_ends_too(dataset):
    pipeline = make_pipeline(dataset, "test", batch_size=3, frames=4, batch_repeats=4, start_step=2)
    assert int(pipeline.cardinality()) == len(list(pipeline)) == 6


def test_evaluation_keeps_the_order_and_ends(dataset):
    pipeline = make_pipeline(
        dataset, "test", batch_size=3, frames=4, pick="start", repeat=False, shuffle=False
    )
    batches = list(pipeline.as_numpy_iterator())
    assert indices(batches) == [0, 1, 2, 3, 4, 5]
    assert int(pipeline.cardinality()) == 2
    for batch in batches:
        np.testing.assert_array_equal(batch["video"][0, :, 0, 0, 1], [0, 1, 2, 3])
        assert np.all(batch["video"][..., 2] == 200)  # blue marks the test split


def test_the_order_of_evaluation_runs_across_shards(dataset):
    pipeline = make_pipeline(dataset, batch_size=1, frames=1, repeat=False, shuffle=False)
    assert indices(pipeline.as_numpy_iterator()) == list(range(COUNT))


def test_the_remainder_can_be_kept(dataset):
    pipeline = make_pipeline(
        dataset, "test", batch_size=3, frames=4, repeat=False, shuffle=False, drop_remainder=False
    )
    assert [len(batch["index"]) for batch in pipeline] == [3, 3, 1]
    assert int(pipeline.cardinality()) == 3


def test_a_pipeline_ends_unless_it_is_asked_to_repeat(dataset):
    pipeline = make_pipeline(dataset, "test", batch_size=3, frames=4)
    assert int(pipeline.cardinality()) == len(list(pipeline)) == 2


def test_endless_streams_have_infinite_cardinality(dataset):
    cardinality = make_pipeline(dataset, batch_size=3, frames=4, repeat=True).cardinality()
    assert int(cardinality) == tf.data.INFINITE_CARDINALITY


def test_ends_and_single_frames(dataset):
    batch = take(make_pipeline(dataset, batch_size=4, pick="endpoints", repeat=True), 1)[0]
    np.testing.assert_array_equal(batch["video"][:, :, 0, 0, 1], [[0, 5]] * 4)
    frames = [
        frame
        for batch in take(make_pipeline(dataset, batch_size=COUNT, pick="frame", repeat=True), 4)
        for frame in batch["video"][:, :, 0, 0, 1].ravel()
    ]
    assert len(frames) == 4 * COUNT and set(frames) == set(range(6))


@pytest.fixture
def flipped_clips(make_dataset, numbered_video):
    """A function of the flips: clips of noise of six epochs, as they are and flipped."""
    noise, draw = [], np.random.default_rng(0)
    for index in range(COUNT):
        video = numbered_video(index)
        frames = draw.integers(0, 256, video.frames.shape, np.uint8)
        noise.append(
            finish_example(video_to_example(dataclasses.replace(video, frames=frames)), index)
        )
    folder = make_dataset("noise", noise)

    def clips(*flips):
        options = {"batch_size": COUNT, "frames": 4, "repeat": True, "seed": 3}
        return [
            np.concatenate([batch["video"] for batch in take(make_pipeline(folder, **each), 6)])
            for each in (options, {**options, "flips": flips})
        ]

    return clips


@pytest.mark.parametrize(("kind", "axis"), [("time", 1), ("horizontal", 3)])
def test_a_flip_turns_half_of_the_clips_along_its_axis(flipped_clips, kind, axis):
    plain, turned = flipped_clips(kind)
    same = (turned == plain).all((1, 2, 3, 4))
    np.testing.assert_array_equal(turned[~same], np.flip(plain, axis)[~same])
    assert 0.35 < np.mean(same) < 0.65


def test_two_flips_are_drawn_independently(flipped_clips):
    plain, turned = flipped_clips("horizontal", "time")
    axes = [(), (1,), (3,), (1, 3)]
    found = [(turned == np.flip(plain, each)).all((1, 2, 3, 4)) for each in axes]
    np.testing.assert_array_equal(np.sum(found, 0), 1)
    assert all(0.1 < np.mean(each) < 0.4 for each in found)


@pytest.mark.parametrize("flips", ["time", ["vertical"], ["time", "time"]])
def test_unknown_flips_are_refused(dataset, flips):
    with pytest.raises(ValueError, match="use a list of horizontal, time, each once"):
        make_pipeline(dataset, batch_size=2, frames=4, flips=flips)


def test_batches_are_sharded_between_workers_by_element(dataset):
    options = make_pipeline(dataset, batch_size=4, frames=3).options()
    policy = options.experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA and options.deterministic
