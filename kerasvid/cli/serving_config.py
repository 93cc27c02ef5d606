"""Writes models.config: the models and versions that a server loads, and their labels.

    kerasvid export serving-config --models_dir=export/models
    kerasvid export serving-config --policy=specific --stable=rjvae:1 --canary=rjvae:2

Beside it, the files for a server in a container are written if they are missing: compose.yaml,
batching.config, monitoring.config and a README.md that explains them.
"""

import os

from absl import flags

from kerasvid.cli.command import Define, one_line_errors
from kerasvid.export.serving import configuration

FLAGS = _F = flags.FlagValues()
define = Define(_F)
define.string("models_dir", "export/models", "Folder of NAME/VERSION/saved_model.pb.")
define.string("out", None, "File to write; <models_dir>/models.config by default.")
define.string("base_path", "/models", "Path of the models' folder on the server.")
define.enum("policy", "latest", configuration.POLICIES, "Choice of the versions to load.")
define.integer("count", 1, "Number of the newest versions to load, with --policy=latest.", 1)
define.list("stable", [], "Model:version pairs with the label stable; the newest by default.")
define.list("canary", [], "Model:version pairs with the label canary.")
define.list("keep", [], "Further model:version pairs to load, with --policy=specific.")


def main(argv: list[str]) -> None:
    with one_line_errors(ValueError, OSError):
        found = configuration.find_models(_F.models_dir)
        pairs = (_one_each("stable"), _one_each("canary"), _pairs("keep"))
        models = configuration.choose_versions(found, _F.policy, _F.count, *pairs)
        path = _F.out or os.path.join(_F.models_dir, "models.config")
        text = configuration.config_text(models, _F.base_path, _F.count)
        print("\n".join(configuration.write_config(path, text)))
        for model in models:
            labels = "".join(f", {label} is {v}" for label, v in sorted(model.labels.items()))
            loaded = f"{model.policy}, loads {[*model.loaded]} of {[*model.versions]}"
            print(f"{model.name}: {loaded}{labels}")


def _pairs(flag: str) -> list[tuple[str, int]]:
    """The pairs of a flag such as `rjvae:1,cvae:3`."""
    pairs = []
    for text in _F[flag].value or ():
        name, _, version = text.partition(":")
        if not (name and version.isascii() and version.isdigit()):
            raise ValueError(f"--{flag}: {text!r} is malformed. Write model:version, as rjvae:1.")
        pairs.append((name, int(version)))
    return pairs


def _one_each(flag: str) -> dict[str, int]:
    pairs = _pairs(flag)
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"--{flag}: a model is named twice. Give one version of each model.")
    return dict(pairs)
