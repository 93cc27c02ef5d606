"""Writes models.config: which models and versions a server loads, and what they are called.

kerasvid export serving-config --models_dir=export/models
kerasvid export serving-config --policy=specific --stable=rjvae:1 --canary=rjvae:2

A running server looks at the file again every half a minute (compose.yaml) and changes over.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from absl import flags

from kerasvid.cli.command import one_line_errors, refuse_arguments, run_app
from kerasvid.export.serving.signatures import nearest
from kerasvid.io import atomic_write, readable_os_errors

POLICIES = ("latest", "all", "specific")
MODEL_FILE = "saved_model.pb"
LARGEST_VERSION = 2**63 - 1

FLAGS = _F = flags.FlagValues()


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """An entry of models.config.

    Args:
        name: of the model and of its folder.
        versions: that the folder holds, in rising order.
        policy: `latest`, `all` or `specific`.
        loaded: versions that the server loads; with `latest` those that it loads today.
        labels: to versions among `loaded`.
    """

    name: str
    versions: tuple[int, ...]
    policy: str
    loaded: tuple[int, ...]
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def find_models(models_dir: str | os.PathLike) -> dict[str, tuple[int, ...]]:
    """The versions of each model in a folder, `NAME/VERSION/saved_model.pb`, in rising order.

    What has another form is passed over, but a version that is not whole is not: a server would
    try to load it.

    Raises:
        ValueError: there is no model, a version has no saved_model.pb, a name cannot be asked for.
        OSError: the folder cannot be read.
    """
    folder = pathlib.Path(models_dir)
    if not folder.is_dir():
        raise ValueError(f"{folder}: this folder is not there; give --models_dir.")
    found = {}
    for each in sorted(folder.iterdir()):
        numbered = [p for p in each.iterdir() if _is_version(p)] if each.is_dir() else []
        if not numbered:
            continue
        if {*"/:%?# \\"} & {*each.name} or not each.name.isprintable():
            raise ValueError(f"{each}: a model of this name cannot be asked for; rename the folder "
                             "to letters, digits, - and _.")  # fmt: skip
        for path in numbered:
            if not (path / MODEL_FILE).is_file():
                raise ValueError(f"{path}: has no {MODEL_FILE}; finish this version or remove it.")
        numbers = sorted(int(path.name) for path in numbered)
        twice = [number for number in numbers if numbers.count(number) > 1]
        if twice:
            raise ValueError(f"{each}: version {twice[0]} is there twice, with zeros before it.")
        found[each.name] = tuple(numbers)
    if not found:
        raise ValueError(f"{folder}: no model is there (NAME/VERSION/{MODEL_FILE}); export one "
                         "first: python -m kerasvid.cli.to_saved_model.")  # fmt: skip
    return found


def _is_version(path: pathlib.Path) -> bool:
    """As the server sees it: a folder whose name is a number."""
    name = path.name
    return name.isascii() and name.isdigit() and int(name) <= LARGEST_VERSION and path.is_dir()


def plan_models(
    found: Mapping[str, Sequence[int]],
    policy: str = "latest",
    count: int = 1,
    stable: Mapping[str, int] | None = None,
    canary: Mapping[str, int] | None = None,
    keep: Iterable[tuple[str, int]] = (),
) -> list[ServedModel]:
    """What the server is to load of the models that are there.

    Args:
        found: versions by name.
        policy: `latest` takes up new versions by itself and drops old ones, so that it has no
            labels; `all` loads whatever is there; `specific` what is labelled or in `keep`.
        count: how many of the newest versions `latest` loads.
        stable, canary: the version that has the label, by model. By default the newest one is
            stable, and none is a canary.
        keep: (model, version) pairs to load besides, as for a quick way back.

    Raises:
        ValueError: a model or version is not there, or a flag does not go with the policy.

    Example:
        >>> plan_models({"rjvae": (1, 2)}, "specific", stable={"rjvae": 1})[0].loaded
        (1,)
    """
    labels = {"stable": stable or {}, "canary": canary or {}}
    keep = list(keep)
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown; known: {', '.join(POLICIES)}.")
    if count != 1 and policy != "latest":
        raise ValueError(f"--count is of --policy=latest, not of {policy}.")
    if policy == "latest" and (stable or canary):
        raise ValueError("--stable, --canary: --policy=latest drops the version that a label is "
                         "on as soon as a newer one is there; take specific or all.")  # fmt: skip
    if keep and policy != "specific":
        raise ValueError(f"--keep is of --policy=specific, not of {policy}.")
    named = [(f"--{label}", *pair) for label, of in labels.items() for pair in of.items()]
    for flag, name, version in [*named, *(("--keep", *pair) for pair in keep)]:
        if name not in found:
            raise ValueError(f"{flag}: there is no model {name!r}{nearest(name, found)}; there "
                             f"are {', '.join(sorted(found))}.")  # fmt: skip
        if version not in found[name]:
            there = ", ".join(map(str, found[name]))
            raise ValueError(f"{flag}: {name} has no version {version}; it has {there}.")
    return [
        _planned(name, tuple(versions), policy, count, labels, keep)
        for name, versions in sorted(found.items())
    ]


def _planned(name, versions, policy, count, labels, keep) -> ServedModel:
    if policy == "latest":
        return ServedModel(name, versions, policy, versions[-count:])
    own = {label: of[name] for label, of in labels.items() if name in of}
    own = {"stable": versions[-1], **own}
    asked = {*own.values(), *(version for kept, version in keep if kept == name)}
    loaded = versions if policy == "all" else tuple(sorted(asked))
    return ServedModel(name, versions, policy, loaded, own)


def config_text(models: Sequence[ServedModel], base_path: str = "/models", count: int = 1) -> str:
    """The text form of a `ModelServerConfig`.

    Args:
        models: in the order in which they are to stand.
        base_path: of the models' folder as the server sees it, absolute.
        count: as `plan_models`.

    Raises:
        ValueError: `base_path` is not absolute.
    """
    if not (base_path.startswith("/") or "://" in base_path):
        raise ValueError(f"--base_path={base_path}: give the absolute path in the server, as "
                         "/models, or a remote one, as s3://bucket/models.")  # fmt: skip
    lines = ["model_config_list {"]
    for model in models:
        lines += [
            "  config {",
            f"    name: {_quoted(model.name)}",
            f"    base_path: {_quoted(base_path.rstrip('/') + '/' + model.name)}",
            '    model_platform: "tensorflow"',
            "    model_version_policy {",
            *(f"      {line}" for line in _policy_lines(model, count)),
            "    }",
        ]
        for label, version in sorted(model.labels.items()):
            lines += ["    version_labels {", f"      key: {_quoted(label)}",
                      f"      value: {version}", "    }"]  # fmt: skip
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _policy_lines(model: ServedModel, count: int) -> list[str]:
    if model.policy == "latest":
        return ["latest {", f"  num_versions: {count}", "}"]
    if model.policy == "all":
        return ["all {", "}"]
    return ["specific {", *(f"  versions: {version}" for version in model.loaded), "}"]


def _quoted(text: str) -> str:
    """A string of the text form; what is no ASCII as bytes in octal, as protobuf writes it."""
    raw = json.dumps(text, ensure_ascii=False)
    return "".join(c if ord(c) < 128 else "".join(f"\\{b:03o}" for b in c.encode()) for c in raw)


def write_config(path: str | os.PathLike, text: str) -> None:
    """Writes the file whole or not at all: a server may read it at any moment.

    Raises:
        OSError: it cannot be written.
    """
    with readable_os_errors(path), atomic_write(path) as temporary:
        pathlib.Path(temporary).write_text(text, "ascii")


def _define_flags() -> None:
    flags.DEFINE_string(
        "models_dir", "export/models", "NAME/VERSION/saved_model.pb are in it.", flag_values=_F
    )
    flags.DEFINE_string("out", None, "By default <models_dir>/models.config.", flag_values=_F)
    flags.DEFINE_string(
        "base_path", "/models", "The same folder as the server sees it.", flag_values=_F
    )
    flags.DEFINE_enum("policy", "latest", POLICIES, "Versions that are loaded.", flag_values=_F)
    flags.DEFINE_integer(
        "count", 1, "How many of the newest, with --policy=latest.", 1, flag_values=_F
    )
    flags.DEFINE_list(
        "stable", [], "Model:version pairs; by default the newest of each.", flag_values=_F
    )
    flags.DEFINE_list("canary", [], "Model:version pairs that are on trial.", flag_values=_F)
    flags.DEFINE_list(
        "keep", [], "Model:version pairs to load besides, with --policy=specific.", flag_values=_F
    )


def _pairs(flag: str) -> list[tuple[str, int]]:
    """Of a flag's `rjvae:1,cvae:3`."""
    pairs = []
    for text in _F[flag].value:
        name, _, version = text.partition(":")
        if not (name and version.isascii() and version.isdigit()):
            raise ValueError(f"--{flag}: {text!r} is no model:version, as rjvae:1.")
        pairs.append((name, int(version)))
    return pairs


def _one_each(flag: str) -> dict[str, int]:
    pairs = _pairs(flag)
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"--{flag}: a model is named twice; a label is on one version.")
    return dict(pairs)


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError):
        refuse_arguments(argv)
        models = plan_models(
            find_models(_F.models_dir), _F.policy, _F.count,
            _one_each("stable"), _one_each("canary"), _pairs("keep"),
        )  # fmt: skip
        path = _F.out or os.path.join(_F.models_dir, "models.config")
        write_config(path, config_text(models, _F.base_path, _F.count))
        print(path)
        for model in models:
            called = "".join(f", {label} is {v}" for label, v in sorted(model.labels.items()))
            print(f"{model.name}: {model.policy}, of {[*model.versions]} loads "
                  f"{[*model.loaded]}{called}")  # fmt: skip


if __name__ == "__main__":
    _define_flags()
    run_app(main, FLAGS, __doc__)
