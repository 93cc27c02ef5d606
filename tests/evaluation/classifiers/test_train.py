"""Training and test data of classifiers."""

import numpy as np
import tensorflow as tf

from kerasvid.data import load_info
from kerasvid.evaluation.classifiers import train
from kerasvid.evaluation.classifiers.train import ClassifierData, make_classifier_config


def test_without_a_held_out_split_a_quarter_of_the_videos_is_never_learned_from(
    square, write_walks, tmp_path
):
    folder = write_walks(tmp_path / "walks", {"train": range(40)})
    config = make_classifier_config(load_info(folder), frames=3, batch_size=8)
    data = ClassifierData(folder, config)
    held = set(np.flatnonzero(data.held_out))
    assert len(held) == 10 and data.split == "train"
    assert len({index % 4 for index in held}) > 1  # no class of videos that lie in turn
    pipeline = train.make_pipeline(folder, "train", 8, 3, seed=0)
    for batch, (_, _, weights) in zip(
        pipeline.take(5), data.training_batches().take(5), strict=True
    ):
        learned = [index not in held for index in batch["index"].numpy()]
        np.testing.assert_array_equal(weights["action"].numpy(), learned)
    shown = [clips for clips, _ in data.held_out_batches()]
    counts = sum(map(len, shown))
    assert counts == 10 * data.rounds and data.rounds == 26
    starts = {square(i)[s : s + 3].tobytes() for i in held for s in (0, 1)}
    assert {clip.tobytes() for clips in shown for clip in clips} == starts
    assert data.described().startswith("10 of 40 training videos, drawn with seed 0, 26 random")


def test_for_clips_of_the_training_split_half_of_the_videos_is_never_learned_from(walks):
    config = make_classifier_config(load_info(walks), frames=3, batch_size=8, split="train")
    data = ClassifierData(walks, config)
    assert data.held_out.sum() == 48 and data.split == "train"
    assert data.described().startswith("48 of 96 training videos, drawn with seed 0")
    pipeline = train.make_pipeline(walks, "train", 8, 3, seed=0)
    for batch, (_, _, weights) in zip(
        pipeline.take(5), data.training_batches().take(5), strict=True
    ):
        learned = ~data.held_out[batch["index"].numpy()]
        np.testing.assert_array_equal(weights["action"].numpy(), learned)


def test_unknown_labels_have_no_weight(write_walks, tmp_path):
    label = lambda i: -1 if i % 3 == 0 else i % 2  # noqa: E731
    folder = write_walks(tmp_path / "walks", label=label)
    data = ClassifierData(
        folder, make_classifier_config(load_info(folder), frames=3, batch_size=16)
    )
    pipeline = train.make_pipeline(folder, "train", 16, 3, seed=0)
    for batch, (clips, labels, weights) in zip(
        pipeline.take(3), data.training_batches().take(3), strict=True
    ):
        known = batch["label"].numpy() >= 0
        assert 0 < known.sum() < 16
        np.testing.assert_array_equal(weights["action"].numpy(), known)
        np.testing.assert_array_equal(
            labels["action"].numpy()[known], batch["label"].numpy()[known]
        )
        assert (weights["colour"].numpy() == 1).all() and labels["action"].numpy().min() == 0
        assert clips.dtype == tf.float32 and clips.shape == (16, 3, 16, 16, 3)


def test_a_head_without_labels_is_left_out(write_walks, tmp_path):
    folder = write_walks(tmp_path / "walks", known=False)
    assert ClassifierData(folder, make_classifier_config(load_info(folder), frames=3)).heads == {
        "action": 2
    }


def test_confusion_has_a_row_for_each_true_and_a_column_for_each_predicted_class(
    write_walks, tmp_path
):
    label = lambda i: -1 if i % 5 == 0 else i % 2  # noqa: E731
    folder = write_walks(tmp_path / "walks", length=3, label=label)
    data = ClassifierData(folder, make_classifier_config(load_info(folder), frames=3))

    class Stubborn:
        """Answers "right" for all, and the colour of the middle."""

        def probabilities(self, shown):
            blue = shown.max(axis=(1, 2, 3))[:, 2] > 100
            says = np.stack([~blue, blue], axis=1).astype(np.float32)
            return {"action": np.tile(np.float32([0.2, 0.8]), [len(shown), 1]), "colour": says}

    result = train.measure_classifier(Stubborn(), data)
    numbers = np.arange(96, 116)
    right = int(((numbers % 5 > 0) & (numbers % 2 == 1)).sum())
    np.testing.assert_array_equal(result.confusion["action"], [[0, 16 - right], [0, right]])
    np.testing.assert_array_equal(result.confusion["colour"], [[10, 0], [0, 10]])
    assert result.accuracy == {"action": right / 16, "colour": 1.0} and result.clips == 20
    assert result.held_out == "the 20 videos of the split 'test', 1 random window each"


def test_the_same_seed_gives_the_same_classifier(walks):
    options = {"network": {"discriminator": {"channels": (4,)}}, "precision": "float32"}
    config = make_classifier_config(load_info(walks), "frame", steps=2, batch_size=4, **options)
    one, two = (train.train_classifier(ClassifierData(walks, config)) for _ in range(2))
    assert one.weights_digest() == two.weights_digest()
