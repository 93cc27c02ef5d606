"""Holds pairs of an identity and a label out of training, to measure on combinations never seen.

    kerasvid data hold-out-pairs --data_dir=data/sprites --out_dir=data/sprites-pairs \\
        --fraction=0.25 --seed=0

This is the data of the action exchange in section 4.3.2 of "Non-Adversarial Video Synthesis with
Learned Priors" (CVPR 2020): a new data set in which the split "train" has the videos of some pairs,
and "test" those of the others. Every identity and every label, which is the action, keeps a pair in
"train", so that a model can learn each apart; together it never saw those of a pair in "test".

--fraction is the share of the pairs that occur, not of the videos: all videos of a pair go to the
same split. They are taken from --splits, by default from the training split alone; several, as in
--splits=train,test, become one set of videos before it is divided anew.
"""

import collections
import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf
from absl import flags

from kerasvid.data.records import DatasetInfo, finish_example
from kerasvid.data.shards import load_info, write_info, write_split
from tfrecords_tools.conversion import ConversionError
from tfrecords_tools.converter_flags import run_command
from tfrecords_tools.dataset_folder import folder_in_making
from tfrecords_tools.derived.read_records import (
    check_choice,
    check_source,
    read_records,
    with_remark,
)
from tfrecords_tools.progress_line import ProgressLine

Pair = tuple[int, int]  # identity and label of a video
TRAIN, TEST = "train", "test"
_PASSES = 3  # over the records: to find the pairs, and to write each of the two splits


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

    Records are read and written one by one, no frame is decoded, and all but `index` stays as it
    is. Kept in memory are the pairs alone.

    Args:
        folder: of a data set whose videos have an identity and a label.
        out_dir: folder of the new data set.
        fraction: share of the pairs to hold out, above 0 and below 1, rounded to one pair or more.
        seed: of the choice of these pairs.
        splits: of the data set to read; the videos come in their order.
        overwrite: replace a data set that is already there.
        progress: show a line of progress on stderr.

    Returns:
        The description of the new data set, and the held-out pairs.

    Raises:
        DatasetError: the data set is absent, half-written or altered.
        ConversionError: see `choose_pairs`; there is no such split, a video has no identity or
            no label, or out_dir exists or cannot be written. Nothing is left then.

    Example:
        >>> info, held_out = hold_out_pairs("data/weizmann", "data/weizmann-pairs", fraction=0.4)
        >>> (identity, label) = min(held_out)
    """
    folder = os.fspath(folder)
    check_choice(fraction, seed)
    info = _take_splits(folder, load_info(folder), splits)
    total = _PASSES * sum(split.count for split in info.splits.values())
    with folder_in_making(out_dir, reads=folder, overwrite=overwrite) as building:
        check_source(folder, info)
        with ProgressLine(total, progress, "records read") as bar:
            pairs = _find_pairs(folder, info, bar)
            held_out = choose_pairs(pairs, fraction, seed)
            written = {
                split: write_split(building, split, _records(folder, info, kept, bar))
                for split, kept in ((TRAIN, pairs - held_out), (TEST, held_out))
            }
        choice = f"fraction={fraction}, seed={seed} and splits={','.join(info.splits)}"
        info = with_remark(info, f"by hold_out_pairs with {choice}")
        info = dataclasses.replace(info, name=f"{info.name}/pairs", splits=written)
        write_info(building, info)
    return info, held_out


def choose_pairs(pairs: Collection[Pair], fraction: float, seed: int) -> frozenset[Pair]:
    """The pairs to hold out; the others have every identity and every label.

    They are tried in a random order and held out while both have another pair left. So a larger
    fraction holds out the same pairs and further ones.

    Args:
        pairs: that occur.
        fraction: share of them to hold out, above 0 and below 1, rounded to one pair or more.
        seed: of the order, which follows from it and the pairs.

    Raises:
        ConversionError: the fraction or the seed is out of range, or the order ends before.

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
            f"no pair can be held out: each of {len(pairs)} is the only one of its identity or of "
            "its label; give a data set in which identities share labels."
        )
    if len(held_out) < wanted:
        raise ConversionError(
            f"fraction={fraction}: with seed={seed}, {len(held_out)} of {len(pairs)} pairs can be "
            "held out, so that training keeps every identity and label; give --fraction="
            f"{_shortest_share(len(held_out), len(pairs))} or less, or another seed."
        )
    return frozenset(held_out)


def _shortest_share(part: int, total: int) -> float:
    """The number of fewest digits that, as a share of `total`, is rounded to `part`."""
    shares = (round(part / total, digits) for digits in range(1, 20))
    return next(share for share in shares if round(share * total) == part)


def _take_splits(folder: str, info: DatasetInfo, splits: Sequence[str]) -> DatasetInfo:
    if not splits:
        raise ConversionError(f"{folder}: no split to read; give one of {', '.join(info.splits)}.")
    for split in splits:
        if split not in info.splits:
            raise ConversionError(
                f"{folder}: has no split {split!r} but {', '.join(info.splits)}; give --splits of "
                "these."
            )
    return dataclasses.replace(info, splits={split: info.splits[split] for split in splits})


def _find_pairs(folder: str, info: DatasetInfo, bar: ProgressLine) -> frozenset[Pair]:
    pairs: set[Pair] = set()
    lacking = 0
    for example in _read_all(folder, info, bar):
        pair = _pair(example)
        lacking += min(pair) < 0
        pairs.add(pair)
    if lacking:
        count = sum(split.count for split in info.splits.values())
        raise ConversionError(
            f"{folder}: {lacking} of {count} videos have no identity or no label; give a data set "
            "in which all videos have both."
        )
    return frozenset(pairs)


def _records(
    folder: str, info: DatasetInfo, kept: Collection[Pair], bar: ProgressLine
) -> Iterator[tuple[bytes, int]]:
    """Pairs of a record and its length for the videos of these pairs."""
    index = 0
    for example in _read_all(folder, info, bar):
        if _pair(example) in kept:
            length = example.features.feature["length"].int64_list.value[0]
            yield finish_example(example, index), length
            index += 1


def _read_all(folder: str, info: DatasetInfo, bar: ProgressLine) -> Iterator[tf.train.Example]:
    for split in info.splits:
        for example in read_records(folder, info, split):
            bar.advance()
            yield example


def _pair(example: tf.train.Example) -> Pair:
    """Identity and label of a record, -1 where unknown."""
    feature = example.features.feature
    identity, label = (feature[name].int64_list.value for name in ("identity", "label"))
    return (identity[0] if identity else -1, label[0] if label else -1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; every mistake ends it with one line on stderr and status 1."""
    values = flags.FlagValues()
    own = {"flag_values": values}
    flags.DEFINE_string("data_dir", None, "Folder of the data set to read.", **own)
    flags.DEFINE_string("out_dir", None, "Folder of the data set to make.", **own)
    flags.DEFINE_float("fraction", 0.25, "Share of the pairs to hold out.", **own)
    flags.DEFINE_integer("seed", 0, "Seed of the choice of these pairs.", 0, **own)
    flags.DEFINE_list("splits", [TRAIN], "Splits of the data set to take videos from.", **own)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --out_dir.", **own)

    def work() -> list[str]:
        info, held_out = hold_out_pairs(
            values.data_dir, values.out_dir, values.fraction, values.seed,
            splits=values.splits, overwrite=values.overwrite,
        )  # fmt: skip
        counts = ", ".join(f"{split.count} {name}" for name, split in info.splits.items())
        return [
            f"Held out {len(held_out)} pairs of an identity and a label.",
            f"{info.name}: {counts} clips in {values.out_dir}",
        ]

    run_command(__doc__, values, ["data_dir", "out_dir"], work, arguments)


if __name__ == "__main__":
    main()
