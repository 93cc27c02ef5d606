"""What a training run is made of, resolved: the content of a run's `config.json`.

`key=value` from a command line to hyper-parameters of a model and of its training.
"""

import ast
import dataclasses
import functools
import hashlib
import json
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data import DatasetInfo, SplitInfo, load_info, make_pipeline
from kerasvid.data.pipeline import check_images_fit, window_span
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.registry import model_class
from kerasvid.naming import constructor_arguments, nearest_names
from kerasvid.training.devices import resolve_precision

LARGEST_SEED = 2**31 - 1

# What may change when a run is resumed: where and how long, not what is computed. What the data
# set is its digest tells, not the path that was typed.
FREE = ("data_folder", "dataset", "images", "images_folder", "preset", "training.steps",
        "jit_compile", "strategy", "deterministic",
        "log_every", "sample_every", "checkpoint_every")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A training run, resolved.

    Args:
        model: registered name.
        preset: that the hyper-parameters started from.
        hyperparameters: of the model, all of them.
        training: how it is trained.
        dataset: name of the data set.
        data_folder: where it lies.
        data_digest: of the shards of training and evaluation, so that other data is not taken for
            the same.
        precision: dtype policy, resolved.
        seed: of weights, noise and the order of videos.
        jit_compile: "auto", True or False.
        strategy: as `make_strategy` takes it.
        replicas: that share a batch; each draws its own noise.
        deterministic: only operations with reproducible results.
        init_from: folder of the run whose weights it begins with, or `None`; `make_config` makes the
            path absolute.
        images: data set of still images beside the videos, or `None`.
        images_folder: where it lies.
        log_every, sample_every, checkpoint_every: steps.
    """

    model: str
    preset: str
    hyperparameters: dict[str, Any]
    training: TrainConfig
    dataset: str
    data_folder: str
    data_digest: str
    precision: str
    seed: int
    jit_compile: str | bool = "auto"
    strategy: str = "none"
    replicas: int = 1
    deterministic: bool = False
    init_from: str | None = None
    images: str | None = None
    images_folder: str | None = None
    log_every: int = 50
    sample_every: int = 500
    checkpoint_every: int = 500

    @property
    def frames(self) -> int:
        """T of the training clips."""
        return self.training.frames or self.hyperparameters["frames"]

    @property
    def steps(self) -> int:
        """Updates in all."""
        return self.training.steps

    @property
    def data_is_known(self) -> bool:
        """Whether the data, with the images beside it, was there when the config was made."""
        return bool(self.data_digest) and (self.images is None or self.images_folder is not None)

    @property
    def image_batch(self) -> int:
        """Still images a step, where there are any beside the videos."""
        return self.training.image_batch or self.training.batch_size

    def span(self) -> int:
        """Frames of a video that a clip needs."""
        return window_span(self.frames, self.training.stride)

    def clips(
        self,
        split: str = "train",
        *,
        batch_size: int | None = None,
        frames: int | None = None,
        **options: Any,
    ) -> tf.data.Dataset:
        """The batches of a split of the run's data: the one way from a run to its videos.

        Args:
            split: of the data set.
            batch_size: videos a batch; the training's where `None`.
            frames: T of a clip; the training's where `None`.
            **options: further ones of `make_pipeline`; `pick` is the training's and `seed` the
                run's by default.

        Raises:
            DatasetError: the data is absent or damaged.
        """
        return make_pipeline(
            self.data_folder,
            split,
            self.training.batch_size if batch_size is None else batch_size,
            self.frames if frames is None else frames,
            self.training.stride,
            **{"pick": self.training.pick, "seed": self.seed, **options},
        )

    def to_json(self) -> str:
        """The text of `config.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON or lacks a field.
        """
        try:
            fields = json.loads(text)
            fields["training"] = TrainConfig(**fields["training"])
            return cls(**fields)
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"not the configuration of a run ({error})") from error

    def differences(self, other: "RunConfig") -> list[str]:
        """What `other` computes differently, as `key: ours (theirs)`; lengthening is no change."""
        ours, theirs = self._fixed(), other._fixed()
        return [
            f"{key} is {ours.get(key)} ({theirs.get(key)} asked for)"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]

    def _fixed(self) -> dict[str, Any]:
        fields = json.loads(self.to_json())  # tuples and lists are the same there
        fields["init_from"] = _resolved(self.init_from)
        fields["training"] = fields.pop("training")
        hyperparameters = fields.pop("hyperparameters")
        flat = _flat({**fields, **hyperparameters})
        return {key: value for key, value in flat.items() if key not in FREE}

    def make_model(self) -> keras.Model:
        """The model, with new weights, not compiled."""
        return model_class(self.model)(**self.hyperparameters, dtype=self.precision)

    def compile(self, model: keras.Model) -> None:
        """Compiles the model as the training says."""
        model.compile(
            self.training.make_optimizers(list(model.network_variables())),
            jit_compile=self.jit_compile,
            clip_norm=self.training.clip_norm or None,
            seed=self.seed,
            **(self.training.code_arguments() if hasattr(model, "tables") else {}),
        )


def make_config(
    model: str,
    dataset: str,
    data_folder: str,
    info: DatasetInfo | None,
    preset: str = "base",
    values: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    precision: str = "auto",
    **rest: Any,
) -> RunConfig:
    """Resolves a run: the preset, what replaces parts of it, and the size of the data's frames.

    Args:
        model: registered name.
        dataset: name of the data set.
        data_folder: where it lies.
        info: its description; `None` while it is not made yet, for a config that is only looked at.
        preset: of the model.
        values: by dotted key, as `parse_assignments` returns them.
        epochs: length of the run, instead of `steps`; without `info` it is checked alone.
        precision: dtype policy, or "auto" for what the device is fast at.
        **rest: further fields of `RunConfig`; `steps` or `batch_size` of `None` mean the
            training's.

    Raises:
        ValueError: a name or key is unknown, or the data does not fit.
    """
    cls = model_class(model)
    hyperparameters, training = apply_settings(cls, preset, values or {})
    hyperparameters["image_shape"] = (
        info.frame_shape if info else cls.hyperparameters()["image_shape"]
    )
    given = {name: rest.pop(name, None) for name in ("steps", "batch_size")}
    given = {name: value for name, value in given.items() if value is not None}
    training = dataclasses.replace(training, **given)
    train = training_split(info) if info else None
    if info:
        counts = {"videos": train.count, "identities": len(info.identity_names),
                  "classes": len(info.class_names)}  # fmt: skip
        hyperparameters |= {k: v for k, v in counts.items() if k in hyperparameters}
    if epochs is not None:
        if "steps" in given:
            raise ValueError("give --steps or --epochs, not both.")
        if not 0.0 < epochs < math.inf:
            raise ValueError(f"epochs={epochs} must be positive.")
        if train:
            steps = max(1, round(epochs * train.count / training.batch_size))
            training = dataclasses.replace(training, steps=steps)
    config = RunConfig(
        model=model,
        preset=preset,
        hyperparameters=hyperparameters,
        training=training,
        dataset=dataset,
        data_folder=data_folder,
        data_digest=digest_of(info, rest.get("images_folder")),
        precision=resolve_precision(precision),
        **{**rest, "init_from": _resolved(rest.get("init_from"))},
    )
    if values or config.images:
        _check_model(config, values or {}, info)
    _check_resources(config, train)
    return config


def _check_resources(config: RunConfig, train: SplitInfo | None) -> None:
    """Refuses what the random numbers, the replicas, the videos or the images cannot serve."""
    batch = config.training.batch_size
    if not 0 <= config.seed <= LARGEST_SEED:
        raise ValueError(f"seed={config.seed} must be from 0 to {LARGEST_SEED}.")
    _check_division(config, "batch_size", batch)
    least = model_class(config.model).shortest_clip(config.hyperparameters)
    if config.frames < least:
        raise ValueError(f"frames={config.frames}: {config.model} needs clips of {least} or more.")
    if config.images:
        _check_division(config, "training.image_batch", config.image_batch)
    if config.images_folder:
        count = training_split(load_info(config.images_folder)).count
        if config.image_batch > count:
            raise ValueError(
                f"training.image_batch={config.image_batch}: the split 'train' of "
                f"--images={config.images} has {count} images; use {count} or fewer."
            )
    if train is None:
        return
    if batch > train.count:
        raise ValueError(f"batch_size={batch}: the split 'train' of {config.dataset} has "
                         f"{train.count} videos; use {train.count} or fewer.")  # fmt: skip
    if config.span() > train.min_length:
        raise ValueError(
            f"frames={config.frames} with stride={config.training.stride} span {config.span()}, but the "
            f"shortest video of the split 'train' of {config.dataset} has {train.min_length}; set "
            "fewer frames or a smaller training.stride."
        )


def _check_division(config: RunConfig, name: str, size: int) -> None:
    """Refuses a batch that replicas, and the turns of the discriminators, cannot share equally."""
    turns = (config.hyperparameters.get("objective") or {}).get("discriminator_steps", 1)
    if size % (config.replicas * turns):
        sharers = f"{config.replicas} replica{'s' * (config.replicas > 1)}"
        if turns > 1:
            sharers += f" times objective.discriminator_steps={turns}, each of which sees a part"
        raise ValueError(f"{name}={size} cannot be shared by {sharers}; use a multiple of "
                         f"{config.replicas * turns}.")  # fmt: skip


def _check_model(config: RunConfig, values: Mapping[str, Any], info: DatasetInfo | None) -> None:
    """Makes the model once, to see whether what was set fits together."""
    try:
        model = config.make_model()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        given = " ".join(f"--set={key}={value}" for key, value in values.items())
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{given}: no {config.model} can be made of this ({why})") from error
    try:
        model.check_training_length(config.frames)
    except ValueError as error:
        raise ValueError(
            f"training.frames={config.frames}: {config.model} cannot learn from such clips ({error})"
        ) from error
    if config.images and getattr(model, "image_discriminator", None) is None:
        raise ValueError(
            f"--images={config.images}: {config.model} has no image discriminator to show them to; "
            "leave the flag out or train rjgan."
        )
    if info and (categories := getattr(model, "categories", 0)):
        _check_categories(config.dataset, categories, len(info.class_names))
    if config.images_folder:
        check_images_fit(config.images_folder, config.hyperparameters["image_shape"])


def _check_categories(dataset: str, categories: int, classes: int) -> None:
    """Refuses a category code that the labels of the videos cannot teach."""
    if not classes:
        raise ValueError(f"--set=categories={categories}: the videos of {dataset} have no labels "
                         "to tell categories by; leave it out.")  # fmt: skip
    if categories != classes:
        raise ValueError(f"--set=categories={categories}: the videos of {dataset} are of {classes} "
                         "classes; give as many.")  # fmt: skip


def digest_of(info: DatasetInfo | None, images_folder: str | None = None) -> str:
    """Of the shards of the training and the held-out split, and of the images beside them."""
    if info is None:
        return ""
    digest = hashlib.sha256()
    shards = [
        shard
        for split in ("train", held_out_split(info))
        for shard in (info.splits[split].shards if split else ())
    ]
    if images_folder:
        shards += training_split(load_info(images_folder)).shards
    for shard in shards:
        digest.update(shard.sha256.encode())
    return digest.hexdigest()[:16]


def training_split(info: DatasetInfo):
    """The split to train on.

    Raises:
        ValueError: there is no split "train".
    """
    if "train" not in info.splits:
        raise ValueError(f"the data set {info.name!r} has no split 'train', but "
                         f"{', '.join(info.splits)}: convert it again with one.")  # fmt: skip
    return info.splits["train"]


def held_out_split(info: DatasetInfo) -> str | None:
    """The split to evaluate on, or `None` where there is none."""
    return next((name for name in ("test", "validation", "val") if name in info.splits), None)


def _resolved(folder: str | None) -> str | None:
    """The one way to write a path; `None` of none."""
    return os.path.realpath(folder) if folder else None


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


TRAINING = "training."
# What a model tells its parts itself.
FROM_MODEL = ("image_shape", "categories")
# What the data set tells.
FROM_DATA = ("image_shape", "videos", "identities", "classes")


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Values by key; a value is JSON or a Python literal, and a string where it is neither.

    Example:
        >>> parse_assignments(["latent_dim=64", "encoder.channels=[64,128]", "posterior=full"])
        {'latent_dim': 64, 'encoder.channels': [64, 128], 'posterior': 'full'}

    Raises:
        ValueError: an assignment has no `=`, or a key stands twice.
    """
    values = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ValueError(f"--set={assignment}: write key=value, as in latent_dim=64.")
        if key in values:
            raise ValueError(f"--set={assignment}: {key} is set twice.")
        values[key] = _parse_value(text)
    return values


def _parse_value(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    return text


@functools.cache  # it makes a model
def known_keys(cls: type) -> dict[str, Any]:
    """Every key that `--set` takes for a model, with the type of its values.

    Args:
        cls: a model with `PRESETS`; an instance of its smallest one tells the nested keys.
    """
    example = cls.from_preset("debug")
    keys: dict[str, Any] = {}
    for name, kind in _argument_types(cls).items():
        nested = getattr(example, name, None)
        if isinstance(nested, keras.layers.Layer):
            nested = _argument_types(type(nested))
        elif isinstance(nested, Mapping):  # the model checks its parts
            nested = dict.fromkeys(nested, Any)
        if isinstance(nested, Mapping):
            keys.update({f"{name}.{k}": v for k, v in nested.items() if k not in FROM_MODEL})
        elif name not in FROM_DATA:
            keys[name] = kind
    keys.update({TRAINING + k: kind for k, kind in typing.get_type_hints(TrainConfig).items()})
    return keys


def _argument_types(cls: type) -> dict[str, Any]:
    """The annotations of a constructor's arguments that have a default."""
    return {name: kind for name, (kind, _) in constructor_arguments(cls).items()}


def apply_settings(
    cls: type, preset: str, values: Mapping[str, Any]
) -> tuple[dict[str, Any], TrainConfig]:
    """The hyper-parameters and the training of a preset, some of them replaced.

    Args:
        cls: the model's class.
        preset: name of one of its presets.
        values: by dotted key, as `parse_assignments` returns them.

    Raises:
        ValueError: the preset or a key is unknown, or a value is of a wrong type or out of
            its range; the message names near keys.
    """
    if preset not in cls.PRESETS:
        known = nearest_names(preset, cls.PRESETS)
        raise ValueError(f"{cls.__name__} has no preset {preset!r}: {known}.")
    chosen = {**cls.hyperparameters(), **cls.PRESETS[preset]}
    chosen.pop("image_shape", None)
    chosen = {k: dict(v) if isinstance(v, Mapping) else v for k, v in chosen.items()}
    training = cls.TRAINING[preset]
    keys = known_keys(cls) if values else {}
    for key, value in values.items():
        if key not in keys:
            meant = key.rpartition(".")[2]  # of the model, where it was looked for in a part
            near = nearest_names(meant if meant in keys else key, keys)
            raise ValueError(f"--set={key}=...: no such key: {near}.")
        _check_kind(key, value, keys[key])
        group, dot, name = key.partition(".")
        if key.startswith(TRAINING):
            training = _replaced(training, key, name, value)
        elif dot:
            chosen[group] = {**(chosen[group] or {}), name: value}
        else:
            chosen[key] = value
    return chosen, training


def _replaced(training: TrainConfig, key: str, name: str, value: Any) -> TrainConfig:
    try:
        return dataclasses.replace(training, **{name: value})
    except ValueError as error:
        raise ValueError(f"--set={key}={value}: {error}") from error


def _check_kind(key: str, value: Any, kind: Any) -> None:
    """Refuses a value of another type: text for a number, a number for a list."""
    if not _fits(value, kind):
        raise ValueError(f"--set={key}={value}: must be {_described(kind)}.")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value from the command line is of an annotated type."""
    if kind is Any:
        return True
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin in (Sequence, list, tuple):
        listed = isinstance(value, list | tuple)
        return listed and all(_fits(each, arguments[0]) for each in value)
    if origin is not None:
        return isinstance(value, origin)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _described(kind: Any) -> str:
    """A type in words: `a whole number or None`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments)
    if origin in (Sequence, list, tuple):
        return f"a list, each item {_described(arguments[0])}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return "None" if kind is type(None) else words.get(kind, str(kind))
