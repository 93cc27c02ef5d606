"""Altered data sets: each is refused by name, or gives exactly the batches of the original.

The campaign is seeded. It edits every field of dataset.json, with its old digest and with a new
one, flips every bit of it, and damages, swaps, removes and doubles shards.
"""

import collections
import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, Video, load_info, make_pipeline
from kerasvid.data.records import FORMAT, FORMAT_VERSION, finish_example, video_to_example
from kerasvid.data.shards import write_info, write_split
from kerasvid.io import one_line
from tfrecords_tools.verify import verify

pytestmark = pytest.mark.slow

SEED = 20
VALUES = (
    None, True, -1, 0, 1, 3, 5, 2**31, 2**63, 10**40, 1e400, float("nan"), 0.5, "", "x", "train",
    "../train", "\ud800", [], [0], ["a"], ["a", "a"], {}, {"train": 5}, [[]],
)  # fmt: skip
# What a message about an edit with a new digest names: a file, or the split of the folder.
CAUSES = ("dataset.json", ".tfrecord", "no split 't", "of 'train' has", "of 'test' has")
SIDE, COUNTS = 2, {"train": 4, "test": 2}


def write(folder):
    """Raw videos of 2 or 3 frames 2x2x1 in two shards and one, each with pixels of its own."""
    os.makedirs(folder)
    splits = {}
    for split, count in COUNTS.items():
        pairs = []
        for k in range(count):
            frames = np.full([2 + k % 2, SIDE, SIDE, 1], 10 * k + (split == "test"), np.uint8)
            video = Video(frames, f"{split}-{k}", 8.0, k % 2, k % 2, (k % 3,))
            pairs.append((finish_example(video_to_example(video, "raw"), k), len(frames)))
        splits[split] = write_split(folder, split, pairs, 2)
    names = {"class_names": ("a", "b"), "identity_names": ("c", "d")}
    attributes = {"attribute_names": ("e",), "attribute_sizes": (3,)}
    info = DatasetInfo(
        "tiny", "1", SIDE, SIDE, 1, 8.0, "raw", **names, **attributes, licence="CC0", splits=splits
    )
    write_info(folder, info)


def batches(folder, **options):
    """All batches of an epoch of both splits."""
    found = []
    for split in COUNTS:
        pipeline = make_pipeline(folder, split, 2, frames=2, seed=3, repeat=False, **options)
        found += [{k: v.tolist() for k, v in b.items()} for b in pipeline.as_numpy_iterator()]
    return found


@dataclasses.dataclass
class Campaign:
    """Counts what happened to each kind of mutation, and collects what must not happen."""

    folder: str
    original: list
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    wrong: list = dataclasses.field(default_factory=list)

    def check(self, kind, what, names=("",), verified=True, **options):
        """Checks the folder; every message names the folder and one of `names`."""
        try:
            outcome = "same" if batches(self.folder, **options) == self.original else "OTHER DATA"
        except (DatasetError, ValueError, tf.errors.OpError) as error:
            line = one_line(str(error))
            named = line.startswith(self.folder) and any(name in line for name in names)
            clear = named and len(line) < 600 and "Traceback" not in line
            outcome = "refused" if clear else f"UNCLEAR {line[:300]}"
        except Exception as error:
            outcome = f"TRACEBACK {type(error).__name__}: {error}"
        self.kinds[kind, outcome.partition(" ")[0]] += 1
        if outcome not in ("same", "refused"):
            self.wrong.append((kind, what, outcome))
        if verified:
            with self.noted(kind, what):
                faults = verify(self.folder).faults
                unclear = [f for f in faults if "\n" in f or not f.startswith(self.folder)]
                if unclear or (outcome == "refused" and not faults):
                    self.wrong.append((kind, what, f"verify: {faults}"))

    @contextlib.contextmanager
    def noted(self, kind, what):
        try:
            yield
        except Exception as error:
            self.wrong.append((kind, what, f"verify raises {type(error).__name__}: {error}"))

    def finish(self, least):
        print(dict(self.kinds))
        assert not self.wrong, f"{len(self.wrong)} of {self.kinds.total()}: {self.wrong[:5]}"
        assert self.kinds.total() >= least


@pytest.fixture(scope="module")
def campaign_of(tmp_path_factory):
    """A function that writes a data set and gives a campaign on it."""

    def make(name):
        folder = str(tmp_path_factory.mktemp("mutations") / name)
        write(folder)
        assert verify(folder).faults == []
        return Campaign(folder, batches(folder))

    return make


def with_digest(fields):
    """The text of dataset.json with a right digest for these fields, whatever they are."""
    rest = {k: v for k, v in fields.items() if k not in ("format", "format_version", "digest")}
    digest = hashlib.sha256(json.dumps(json.loads(json.dumps(rest))).encode()).hexdigest()
    return json.dumps(
        {"format": FORMAT, "format_version": FORMAT_VERSION, **rest, "digest": digest}
    )


def places(value, path=()):
    """The paths of all values inside a value of JSON."""
    if not isinstance(value, (dict, list)):
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        yield from places(child, (*path, key))


def parent_of(fields, path):
    for part in path[:-1]:
        fields = fields[part]
    return fields


def edits(fields):
    """Copies of the fields with one value replaced, removed, renamed, doubled or swapped."""
    for path in list(places(fields)):
        for value in VALUES:
            edited = copy.deepcopy(fields)
            parent_of(edited, path)[path[-1]] = value
            yield f"{path} = {value!r}", edited
        edited = copy.deepcopy(fields)
        removed = parent_of(edited, path).pop(path[-1])
        yield f"{path} removed", edited
        edited = copy.deepcopy(fields)
        parent = parent_of(edited, path)
        if isinstance(parent, list):
            parent.append(removed)
            yield f"{path} doubled", edited
            edited = copy.deepcopy(fields)
            parent_of(edited, path).reverse()
            yield f"{path} reversed", edited
        else:
            parent[f"{path[-1]}x"] = parent.pop(path[-1])
            yield f"{path} renamed", edited


def moved_shards(fields):
    """Edits of several fields at once, which leave the counts right."""
    for first, second in (("train", "test"), ("test", "train")):
        edited = copy.deepcopy(fields)
        one, other = edited["splits"][first], edited["splits"][second]
        shard = one["shards"].pop()
        one["count"] -= shard["count"]
        yield f"last shard of {first} removed with its count", copy.deepcopy(edited)
        other["shards"].append(shard)
        other["count"] += shard["count"]
        yield f"last shard of {first} moved to {second}", copy.deepcopy(edited)
        for split in (one, other):
            for number, each in enumerate(split["shards"]):
                name = first if split is one else second
                each["file"] = f"{name}-{number:05d}-of-{len(split['shards']):05d}.tfrecord"
        yield f"last shard of {first} moved to {second} and renamed", edited
    edited = copy.deepcopy(fields)
    edited["splits"] = dict(zip(("test", "train"), edited["splits"].values(), strict=True))
    yield "splits exchanged", edited
    for change in (-1, 1):
        edited = copy.deepcopy(fields)
        edited["splits"]["train"]["count"] += change
        edited["splits"]["train"]["shards"][1]["count"] += change
        yield f"count of train and of its last shard {change:+d}", edited


def test_no_edit_of_the_description_is_trusted(campaign_of):
    campaign = campaign_of("edited")
    path = pathlib.Path(campaign.folder, "dataset.json")
    fields = json.loads(path.read_text())
    changes = [*edits(fields), *moved_shards(fields)]
    for number, (what, edited) in enumerate(changes):
        path.write_text(json.dumps(edited))
        campaign.check("edit, old digest", what, ["dataset.json"])
        # The digest states that a person meant the edit; types and ranges still hold.
        if what.startswith("(") and number % 9 and "digest" not in what:
            continue
        path.write_text(with_digest(edited))
        campaign.check("edit, new digest", what, CAUSES)
    campaign.finish(1000)
    same = campaign.kinds["edit, old digest", "same"]
    assert same <= len(VALUES), f"{same} edits with an old digest changed nothing"


def test_no_flipped_bit_of_the_description_changes_the_data(campaign_of):
    campaign = campaign_of("flipped")
    path = pathlib.Path(campaign.folder, "dataset.json")
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            campaign.check("bit of dataset.json", (place, bit), ["dataset.json"])
    campaign.finish(8 * len(content))


def shard_mutations(content, other, chance):
    """Altered contents of a shard: bits, bytes, ends, parts and the content of another shard."""
    for _ in range(40):
        place, altered = chance.randrange(len(content)), bytearray(content)
        altered[place] ^= 1 << chance.randrange(8)
        yield f"bit of byte {place}", bytes(altered)
    for _ in range(10):
        first, last = sorted(chance.sample(range(len(content) + 1), 2))
        yield f"cut off at {first}", content[:first]
        yield f"without {first} to {last}", content[:first] + content[last:]
        yield (
            f"zeros from {first} to {last}",
            content[:first] + bytes(last - first) + content[last:],
        )
        yield f"{first} to {last} twice", content[:last] + content[first:]
    yield "empty", b""
    yield "other shard", other
    yield "both shards", content + other
    yield "first record removed", content[len(content) // 2 :]
    yield "records exchanged", content[len(content) // 2 :] + content[: len(content) // 2]


@pytest.mark.parametrize("checked", [True, False])
def test_no_damage_of_a_shard_goes_unsaid(campaign_of, checked):
    campaign, chance = campaign_of(f"shards-{checked}"), random.Random(SEED)
    files = sorted(pathlib.Path(campaign.folder).glob("*.tfrecord"))
    contents = {file: file.read_bytes() for file in files}
    for number, file in enumerate(files):
        other = contents[files[(number + 1) % len(files)]]
        for step, (what, altered) in enumerate(shard_mutations(contents[file], other, chance)):
            if not checked and step % 4:
                continue
            file.write_bytes(altered)
            verified = checked and step % 4 == 0
            name = f"{file.name}: {what}"
            campaign.check("shard", name, [".tfrecord"], verified, verify=checked)
        file.unlink()
        campaign.check("shard", f"{file.name} removed", [file.name], verify=checked)
        for make in (os.mkfifo, os.mkdir):
            make(file)
            campaign.check("shard", f"{file.name} by {make.__name__}", [file.name], verify=checked)
            file.rmdir() if file.is_dir() else file.unlink()
        file.write_bytes(contents[file])
    for one, other in ((0, 1), (1, 2), (0, 2)):
        files[one].write_bytes(contents[files[other]])
        files[other].write_bytes(contents[files[one]])
        campaign.check("shard", f"{one} and {other} exchanged", [".tfrecord"], verify=checked)
        for file in (files[one], files[other]):
            file.write_bytes(contents[file])
    shutil.copy(files[0], f"{files[0]}-copy")
    campaign.check("shard", "a copy beside the shards", verify=checked)
    os.remove(f"{files[0]}-copy")
    assert batches(campaign.folder) == campaign.original and load_info(campaign.folder)
    campaign.finish(50)
