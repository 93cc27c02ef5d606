"""Holds pairs of an identity and a label out of training, to test on unseen combinations.

    kerasvid data hold-out-pairs --data_dir=data/sprites --out_dir=data/sprites-pairs \\
        --fraction=0.25 --seed=0

This is the data of the action exchange in section 4.3.2 of "Non-Adversarial Video Synthesis with
Learned Priors" (CVPR 2020). All videos of a pair go to the same split. Every identity and every
label keeps a pair in "train", so that a model can learn each of them, but not the pairs in "test".

--fraction is the share of the pairs, not of the videos. Several splits, as in --splits=train,test,
are joined first and then divided anew.
"""

import collections
import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from kerasvid.data.records import DatasetInfo, finish_example
from kerasvid.data.shards import check_shards, load_info, write_info, write_split
from tfrecords_tools.conversion import ConversionError, new_dataset_folder, progress_bar
from tfrecords_tools.converter_flags import describe_dataset, run_command
from tfrecords_tools.derived.read_records import (
    check_choice,
    division_flags,
    length_of,
    read_records,
    with_origin,
)

Pair = tuple[int, int]  # identity and label of a video
TRAIN, TEST = "train", "test"


def hold_out_pairs(
    folder: str | os.PathLike,
    out_dir: str | os.PathLike,
    fraction: float = 0.25,
    seed: int = 0,
    *,
    splits: Sequence[str] = (TRAIN,),
    overwrite: bool = False,
    progress: bool = True,
) -> tuple[DatasetInfo, frozenset[Pair]]:
    """Writes a data set with the held-out pairs in "test"; it appears when it is complete.

    Records are read and written one by one, and no frame is decoded. Only `index` changes.

    Args:
        folder: of a data set whose videos have an identity and a label.
        out_dir, overwrite, progress: as of `write_dataset`.
        fraction: share of the pairs to hold out, above 0 and below 1; at least one pair.
        seed: of the choice of these pairs.
        splits: of the data set to read, in the order of the videos.

    Returns:
        The description of the new data set, and the held-out pairs.

    Raises:
        DatasetError: the data set is missing, half-written or altered.
        ConversionError: as `choose_pairs`; a split is unknown, a video has no identity or no
            label, or out_dir exists or cannot be written. Nothing is written then.

    Example:
        >>> info, held_out = hold_out_pairs("data/weizmann", "data/weizmann-pairs", fraction=0.4)
    """
    folder = os.fspath(folder)
    check_choice(fraction, seed)
    info = load_info(folder)
    if not splits:
        raise ConversionError(
            f"{folder}: --splits is empty. Name one or more of {', '.join(info.splits)}."
        )
    for split in splits:
        if split not in info.splits:
            known = ", ".join(info.splits)
            raise ConversionError(f"{folder}: has no split {split!r}; give --splits of {known}.")
    info = dataclasses.replace(info, splits={split: info.splits[split] for split in splits})
    count = sum(split.count for split in info.splits.values())
    with new_dataset_folder(out_dir, reads=folder, overwrite=overwrite) as building:
        check_shards(folder, info, deep=True)
        # The records are read three times: to find the pairs, and to write each of the two splits.
        with progress_bar(3 * count, progress, "records") as bar:

            def read_all() -> Iterator[tf.train.Example]:
                for split in info.splits:
                    for example in read_records(folder, info, split):
                        bar.update()
                        yield example

            def records(kept: Collection[Pair]) -> Iterator[tuple[bytes, int]]:
                chosen = (example for example in read_all() if _pair(example) in kept)
                for index, example in enumerate(chosen):
                    yield finish_example(example, index), length_of(example)

            counts = collections.Counter(map(_pair, read_all()))
            if lacking := sum(number for pair, number in counts.items() if min(pair) < 0):
                raise ConversionError(
                    f"{folder}: {lacking} of {count} videos have no identity or no label; give a "
                    "data set in which all videos have both."
                )
            held_out = choose_pairs(counts, fraction, seed)
            kept = {TRAIN: counts.keys() - held_out, TEST: held_out}
            written = {name: write_split(building, name, records(kept[name])) for name in kept}
        choice = f"fraction={fraction}, seed={seed} and splits={','.join(info.splits)}"
        info = with_origin(info, f"by hold_out_pairs with {choice}")
        info = dataclasses.replace(info, name=f"{info.name}/pairs", splits=written)
        write_info(building, info)
    return info, held_out


def choose_pairs(pairs: Collection[Pair], fraction: float, seed: int) -> frozenset[Pair]:
    """Chooses the pairs to hold out; the others have every identity and every label.

    Pairs are tried in a random order, so a larger fraction holds out the same pairs and more.

    Raises:
        ConversionError: the fraction or the seed is out of range, or there are not enough pairs.

    Example:
        >>> len(choose_pairs([(0, 0), (0, 1), (1, 0), (1, 1)], fraction=0.5, seed=0))
        2
    """
    check_choice(fraction, seed)
    pairs = sorted(set(pairs))
    wanted = max(1, round(fraction * len(pairs)))
    identities = collections.Counter(identity for identity, _ in pairs)
    labels = collections.Counter(label for _, label in pairs)
    held_out: set[Pair] = set()
    for number in np.random.default_rng(seed).permutation(len(pairs)):
        identity, label = pairs[number]
        if len(held_out) < wanted and identities[identity] > 1 and labels[label] > 1:
            held_out.add((identity, label))
            identities[identity] -= 1
            labels[label] -= 1
    if not held_out:
        raise ConversionError(
            f"No pair can be held out: each of the {len(pairs)} pairs is the only one of its "
            "identity or of its label; give a data set in which identities share labels."
        )
    if len(held_out) < wanted:
        shares = (round(len(held_out) / len(pairs), digits) for digits in range(1, 20))
        possible = next(share for share in shares if round(share * len(pairs)) == len(held_out))
        raise ConversionError(
            f"fraction={fraction}: with seed={seed} only {len(held_out)} of {len(pairs)} pairs can "
            "be held out, because training keeps every identity and label; give --fraction="
            f"{possible} or less, or another seed."
        )
    return frozenset(held_out)


def _pair(example: tf.train.Example) -> Pair:
    """Identity and label of a record, -1 where unknown."""
    feature = example.features.feature
    identity, label = (feature[name].int64_list.value for name in ("identity", "label"))
    return (identity[0] if identity else -1, label[0] if label else -1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; a mistake of the user ends it with one line on stderr and status 1."""
    values = division_flags("Folder of the new data set.", 0.25, "pairs to hold out")
    text = "Splits of the data set to read."
    flags.DEFINE_list("splits", [TRAIN], text, flag_values=values)

    def work() -> list[str]:
        given = values.data_dir, values.out_dir, values.fraction, values.seed
        info, held_out = hold_out_pairs(*given, splits=values.splits, overwrite=values.overwrite)
        first = f"Held out {len(held_out)} pairs of an identity and a label."
        return [first, *describe_dataset(info, values.out_dir)]

    run_command(__doc__, values, ["data_dir", "out_dir"], work, arguments)
