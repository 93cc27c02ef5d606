"""models.config: the models and versions that a server loads, and their labels.

A running server reads the file again every half a minute (compose.yaml) and changes over.
"""

import dataclasses
import importlib.resources
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.text_encoding import CEscape

from kerasvid.io import atomic_write
from kerasvid.naming import nearest_names

POLICIES = ("latest", "all", "specific")
MODEL_FILE = "saved_model.pb"
MAX_VERSION = 2**63 - 1
SERVER_FILES = ("compose.yaml", "batching.config", "monitoring.config", "README.md")


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """An entry of models.config."""

    name: str  # of the model and of its folder
    versions: tuple[int, ...]  # in the folder, rising
    policy: str  # one of `POLICIES`
    loaded: tuple[int, ...]  # versions that the server loads; with `latest` those of today
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)  # version by label


def find_models(models_dir: str | os.PathLike) -> dict[str, tuple[int, ...]]:
    """The versions of each model in a folder, `NAME/VERSION/saved_model.pb`, rising.

    Other files and folders are ignored.

    Raises:
        ValueError: there is no model, a version has no saved_model.pb, or a name has characters
            that addresses cannot hold.
        OSError: the folder cannot be read.
    """
    folder = pathlib.Path(models_dir)
    if not folder.is_dir():
        raise ValueError(f"{folder}: the folder does not exist. Give another --models_dir.")
    found = {}
    for model in sorted(path for path in folder.iterdir() if path.is_dir()):
        folders = [path for path in model.iterdir() if path.is_dir()]
        versions = [path for path in folders if re.fullmatch("[0-9]+", path.name)]
        versions = [path for path in versions if int(path.name) <= MAX_VERSION]  # as the server
        if not versions:
            continue
        if {*"/:%?# \\"} & {*model.name} or not model.name.isprintable():
            raise ValueError(f"{model}: an address cannot hold this name. Rename the folder to "
                             "letters, digits, - and _.")  # fmt: skip
        for path in versions:
            if not (path / MODEL_FILE).is_file():
                raise ValueError(f"{path}: has no {MODEL_FILE}. Export it again or remove it.")
        numbers = sorted(int(path.name) for path in versions)
        if len({*numbers}) < len(numbers):
            raise ValueError(f"{model}: two folders have the same number. Rename the one that "
                             "begins with 0.")  # fmt: skip
        found[model.name] = tuple(numbers)
    if not found:
        raise ValueError(f"{folder}: holds no model (NAME/VERSION/{MODEL_FILE}). Export one with "
                         "`kerasvid export saved-model`.")  # fmt: skip
    return found


def choose_versions(
    found: Mapping[str, Sequence[int]],
    policy: str = "latest",
    count: int = 1,
    stable: Mapping[str, int] | None = None,
    canary: Mapping[str, int] | None = None,
    keep: Iterable[tuple[str, int]] = (),
) -> list[ServedModel]:
    """The versions that the server is to load of the models in a folder.

    Args:
        found: versions by model, from `find_models`.
        policy: `latest` loads new versions by itself and drops old ones, so it has no labels;
            `all` loads every version; `specific` loads those that are labelled or in `keep`.
        count: number of the newest versions that `latest` loads.
        stable, canary: the version with this label, by model. By default the newest version is
            stable, and none is a canary.
        keep: further (model, version) pairs to load, for a quick way back.

    Raises:
        ValueError: a model or version does not exist, or a flag does not fit the policy.

    Example:
        >>> choose_versions({"rjvae": (1, 2)}, "specific", stable={"rjvae": 1})[0].loaded
        (1,)
    """
    keep, labels = list(keep), {"stable": stable or {}, "canary": canary or {}}
    if policy not in POLICIES:
        raise ValueError(f"Unknown policy {policy!r}: {nearest_names(policy, POLICIES)}.")
    if count != 1 and policy != "latest":
        raise ValueError(f"--count works with --policy=latest, not with {policy}.")
    if policy == "latest" and (stable or canary):
        raise ValueError("--stable, --canary: --policy=latest drops a labelled version as soon as "
                         "a newer one exists. Use --policy=specific or --policy=all.")  # fmt: skip
    if keep and policy != "specific":
        raise ValueError(f"--keep works with --policy=specific, not with {policy}.")
    named = [(f"--{label}", *pair) for label, of in labels.items() for pair in of.items()]
    for flag, name, version in [*named, *(("--keep", *pair) for pair in keep)]:
        if name not in found:
            raise ValueError(f"{flag}: unknown model {name!r}: {nearest_names(name, found)}.")
        if version not in found[name]:
            listing = ", ".join(map(str, found[name]))
            raise ValueError(f"{flag}: {name} has no version {version}. Give one of {listing}.")
    chosen = []
    for name, versions in sorted(found.items()):
        versions, own = tuple(versions), {}
        if policy == "latest":
            loaded = versions[-count:]
        else:
            own = {label: of[name] for label, of in labels.items() if name in of}
            own = {"stable": versions[-1], **own}
            asked = {*own.values(), *(version for kept, version in keep if kept == name)}
            loaded = versions if policy == "all" else tuple(sorted(asked))
        chosen.append(ServedModel(name, versions, policy, loaded, own))
    return chosen


def config_text(models: Sequence[ServedModel], base_path: str = "/models", count: int = 1) -> str:
    """The text form of a `ModelServerConfig` of `choose_versions`.

    Raises:
        ValueError: `base_path`, the models' folder on the server, is not absolute.
    """
    if not (base_path.startswith("/") or "://" in base_path):
        raise ValueError(f"--base_path={base_path}: the path is not absolute. Give the folder on "
                         "the server, as /models or s3://bucket/models.")  # fmt: skip
    lines = ["model_config_list {"]
    for model in models:
        name, folder = (CEscape(t, False) for t in (model.name, base_path.rstrip("/") + "/"))
        versions = " ".join(f"versions: {each}" for each in model.loaded)
        of_policy = {"latest": f"num_versions: {count}", "all": "", "specific": versions}
        lines += [
            "  config {",
            f'    name: "{name}"',
            f'    base_path: "{folder}{name}"',
            '    model_platform: "tensorflow"',
            f"    model_version_policy {{ {model.policy} {{ {of_policy[model.policy]} }} }}",
        ]
        for label, version in sorted(model.labels.items()):
            lines.append(f'    version_labels {{ key: "{label}" value: {version} }}')
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def write_config(path: str | os.PathLike, text: str) -> list[str]:
    """Writes models.config, and beside it those files for a server that are missing.

    Returns:
        The paths that were written. Each file appears whole, as a server may read it at any time.

    Raises:
        OSError: a file cannot be written.
    """
    folder, package = os.path.dirname(path), importlib.resources.files(__package__)
    texts = {os.fspath(path): text}
    for name in SERVER_FILES:
        beside = os.path.join(folder, name)
        if not os.path.exists(beside):
            texts[beside] = package.joinpath(name).read_text("utf-8")
    for name, content in texts.items():
        with atomic_write(name) as temporary:
            pathlib.Path(temporary).write_text(content, "utf-8")
    return [*texts]
