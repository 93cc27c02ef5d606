"""What a run was asked for: `RunConfig`, which `config.json` stores, and how settings fill it."""

import dataclasses
import hashlib
import json
import math
import os
import shlex
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasvid.data import DatasetError, DatasetInfo, SplitInfo, load_info, make_pipeline
from kerasvid.data.pipeline import check_images_fit, window_span
from kerasvid.data.shards import read_split, shortest_video
from kerasvid.io import parse_sealed_json, sealed_json
from kerasvid.layers.fitted_priors import MixturePrior, gaussian_mixture
from kerasvid.models.base.code_priors import CodePriors
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.train_config import TrainConfig
from kerasvid.models.base.vae import VariationalModel
from kerasvid.models.base.video_generator import WithPresets
from kerasvid.models.registry import model_class
from kerasvid.naming import constructor_arguments, nearest_names
from kerasvid.training.devices import resolve_precision

LARGEST_SEED = 2**31 - 1
# Fields that may change when a run is resumed: they do not change what is computed. The data set
# is compared by its digest, not by its path.
FREE = ("data_folder", "dataset", "images", "images_folder", "preset",
        "training.steps", "training.max_divergence", "jit_compile", "strategy", "deterministic",
        "log_every", "sample_every", "checkpoint_every", "keep_at")  # fmt: skip
FROM_DATA = ("image_shape", "videos", "identities", "classes")  # sizes that the data set sets
CONDITIONAL = "conditional"  # the setting that takes `categories` from the data
FROM_MODEL = ("image_shape", "categories")  # arguments of a layer that the model sets
MOST_LENGTHS = 64  # that stand for the lengths of all videos
TRAINING = "training."


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that a training run was asked for, resolved by `make_config`.

    Args:
        model: registered name.
        preset: name of the preset that the hyper-parameters started from.
        hyperparameters: all of the model's.
        training: how the model is trained.
        dataset, data_folder: name of the data set, and its folder.
        data_digest: of `digest_of`; "" while the data is not made yet. `clips` refuses other data.
        precision: dtype policy, resolved.
        seed: of weights, noise and data order.
        jit_compile: "auto", True or False.
        strategy: as `make_strategy` takes it.
        replicas: devices that share a batch; each draws its own noise.
        deterministic: whether only operations with reproducible results are used.
        init_from: absolute path of the run whose weights this run starts from, or `None`.
        images, images_folder: data set of images that are trained on beside the videos, and its
            folder; or `None`.
        images_digest: of the shards of these images, or "".
        log_every, sample_every, checkpoint_every: steps.
        keep_at: steps whose weights are kept, each in a folder of `RunFolder.kept`.

    Example:
        >>> config = RunFolder("runs/rjvae-sprites").load_config()
        >>> batch = next(iter(config.clips("test", pick="start")))
        >>> batch["video"].shape
        TensorShape([16, 8, 64, 64, 3])
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
    images_digest: str = ""
    log_every: int = 50
    sample_every: int = 500
    checkpoint_every: int = 500
    keep_at: list[int] = dataclasses.field(default_factory=list)

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
        """Whether the data set and the images existed when the config was made."""
        return bool(self.data_digest) and (self.images is None or self.images_folder is not None)

    @property
    def image_batch(self) -> int:
        """Images a step, for a run that trains on images beside the videos."""
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
        """Batches of clips of a split of the run's data.

        Args:
            split: name of the split.
            batch_size: videos a batch; by default as in training.
            frames: T of a clip; by default as in training.
            **options: of `make_pipeline`, such as `repeat`. `pick` and `seed` are as in training if
                they are not given.

        Returns:
            A dataset of dicts, as `make_pipeline`: "video" is uint8 `[B, T, H, W, C]`.

        Raises:
            DatasetError: the data set is absent, damaged, or not the one of the run.
        """
        self.check_data(load_info(self.data_folder))
        return make_pipeline(
            self.data_folder,
            split,
            self.training.batch_size if batch_size is None else batch_size,
            self.frames if frames is None else frames,
            self.training.stride,
            **{"pick": self.training.pick, "seed": self.seed, **options},
        )

    def check_data(self, info: DatasetInfo) -> None:
        """Raises `DatasetError` if the data set in `data_folder` is not the one of the run."""
        if (digest := digest_of(info)) != self.data_digest:
            raise DatasetError(
                f"{self.data_folder}: not the data set that the run was trained on (its digest is "
                f"{digest}, not {self.data_digest}). Restore it, or give --data_dir."
            )

    def command(self, public: bool = False) -> str:
        """The command line that trains such a run.

        Args:
            public: name folders without the path to them, which says where they are on a machine.

        Example:
            >>> RunFolder("runs/rjvae-sprites").load_config().command()
            'kerasvid train --model=rjvae --dataset=sprites --steps=1000 --set frames=8'
        """
        cls = model_class(self.model)
        chosen, training = apply_overrides(cls, self.preset, {})
        own, preset = (
            _flat(json.loads(json.dumps(each))) for each in (self.hyperparameters, chosen)
        )
        shown = public_name if public else str
        flags = {"model": self.model, "dataset": shown(self.dataset)}
        flags |= {"preset": self.preset} if self.preset != "base" else {}
        values = {k: v for k, v in own.items() if k not in FROM_DATA and v != preset.get(k)}
        if values.pop("categories", 0):
            values[CONDITIONAL] = True
        for field in dataclasses.fields(training):
            value = getattr(self.training, field.name)
            if value != getattr(training, field.name):
                if field.name in ("steps", "batch_size"):
                    flags[field.name] = str(value)
                else:
                    values[TRAINING + field.name] = value
        flags |= {"seed": str(self.seed)} if self.seed else {}
        for name in ("images", "init_from"):
            flags |= {name: shown(value)} if (value := getattr(self, name)) else {}
        given = [f"--{name}={value}" for name, value in flags.items()]
        for key, value in values.items():
            given += ["--set", f"{key}={json.dumps(value)}"]
        return shlex.join(["kerasvid", "train", *given])

    def flat(self) -> dict[str, Any]:
        """All settings by dotted name, such as "training.learning_rate"; in types of JSON."""
        fields = self.as_dict()
        return _flat({**fields.pop("hyperparameters"), **fields})

    def ended_at(self, step: int) -> "RunConfig":
        """The config of a run that is the first steps of this one."""
        training = dataclasses.replace(self.training, steps=step)
        return dataclasses.replace(self, training=training, keep_at=[])

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, in types of JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, fields: Any) -> "RunConfig":
        """The inverse of `as_dict`.

        Raises:
            ValueError: a field is missing or unknown.
        """
        try:
            return cls(**{**fields, "training": TrainConfig(**fields["training"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the configuration of a run ({error})") from error

    def to_json(self) -> str:
        """The text of `config.json`, with a checksum."""
        return sealed_json(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: the text is not JSON, is altered, or lacks a field.
        """
        try:
            fields = parse_sealed_json(text)
        except ValueError as error:
            raise ValueError(f"not the configuration of a run ({error})") from error
        return cls.from_dict(fields)

    def differences(self, other: "RunConfig") -> list[str]:
        """The fields that `other` would compute differently, as "latent_dim is 8, not 10".

        The number of steps is not compared: a run may be lengthened.
        """
        ours, theirs = self._compared(), other._compared()
        return [
            f"{key} is {ours.get(key)}, not {theirs.get(key)}"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]

    def _compared(self) -> dict[str, Any]:
        """The settings that count; one that the run's version did not have yet has its default."""
        defaults = json.loads(json.dumps(model_class(self.model).hyperparameters()))
        flat = {key: value for key, value in defaults.items() if not isinstance(value, dict)}
        known = self.hyperparameters.keys() | FROM_DATA
        flat = {key: value for key, value in flat.items() if key not in known}
        return {k: v for k, v in {**flat, **self.flat()}.items() if k not in FREE}

    def make_model(self) -> keras.Model:
        """Builds the model with new weights, not compiled.

        Raises:
            ValueError: the hyper-parameters do not fit together, or the model cannot be trained on
                clips of this length. The message names the settings that differ from the preset.
        """
        cls = model_class(self.model)
        try:
            model = cls(**self.hyperparameters, dtype=self.precision)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())[:200].rstrip(".")
            if self._preset_has_fault(why):
                size = "x".join(map(str, self.hyperparameters["image_shape"][:2]))
                advice = " Convert the videos with another --height and --width."
                raise ValueError(
                    f"{self.dataset} has frames of {self.image_size()}: {self.model} with "
                    f"--preset={self.preset} cannot be built for them ({why})."
                    + (advice if f"rames of {size}" in why else "")
                ) from error
            preset = _flat({**cls.hyperparameters(), **cls.PRESETS.get(self.preset, {})})
            flags = [
                f"--set={key}={value}"
                for key, value in _flat(self.hyperparameters).items()
                if key not in FROM_DATA and (key not in preset or preset[key] != value)
            ]
            raise ValueError(f"{' '.join(flags)}: {self.model} cannot be built ({why})") from error
        try:
            model.check_training_length(self.frames)
        except ValueError as error:
            raise ValueError(f"training.frames={self.frames}: {self.model} cannot be trained on "
                             f"such clips. {error}") from error  # fmt: skip
        return model

    def _preset_has_fault(self, fault: str) -> bool:
        """Whether the preset alone, with the sizes of the data, cannot be built for a reason."""
        cls = model_class(self.model)
        values, _ = apply_overrides(cls, self.preset, {})
        sizes = {key: self.hyperparameters[key] for key in FROM_DATA if key in values}
        try:
            cls(**{**values, **sizes}, dtype=self.precision)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            return " ".join(str(error).split())[:200].rstrip(".") == fault
        return False

    def image_size(self) -> str:
        """Height, width and channels of a frame, for people: "64x64x3"."""
        return "x".join(map(str, self.hyperparameters["image_shape"]))

    def compile(self, model: keras.Model) -> None:
        """Compiles the model as `training` says."""
        model.compile(
            self.training.make_optimizers([*model.network_variables()], model.updates_per_step()),
            jit_compile=self.jit_compile,
            clip_norm=self.training.clip_norm or None,
            seed=self.seed,
            **(self.training.code_arguments() if isinstance(model, LatentCodeModel) else {}),
        )


def public_name(name: str) -> str:
    """The last part of a path; the name of a known data set or an address as it is.

    Example:
        >>> public_name("/home/anna/walks"), public_name("sprites/lpc")
        ('walks', 'sprites/lpc')
    """
    is_path = os.path.isabs(name) or name.startswith((".", "~")) or os.path.isdir(name)
    return os.path.basename(os.path.normpath(name)) if is_path else name


def make_config(
    model: str,
    dataset: str,
    data_folder: str,
    info: DatasetInfo | None,
    preset: str = "base",
    values: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    precision: str = "auto",
    init_from: str | None = None,
    reads_data: bool = True,
    **rest: Any,
) -> RunConfig:
    """Resolves a run and checks it, without building the model.

    Args:
        model, dataset, data_folder, preset, init_from: as in `RunConfig`.
        info: description of the data set; `None` while it is not made yet.
        values: settings by dotted key, such as `{"encoder.channels": [8], "training.steps": 9}`.
        epochs: length of the run, instead of `steps`. Without `info` it is only checked.
        precision: dtype policy, or "auto" for what the device is fast at.
        reads_data: whether clips and batches must not be larger than the data.
        **rest: further fields of `RunConfig`, and `steps` and `batch_size`; `None` means the
            preset's.

    Raises:
        ValueError: a name or key is unknown, a value is out of its range, or the data does not fit.

    Example:
        >>> config = make_config("rjvae", "sprites", "data/sprites", load_info("data/sprites"),
        ...                      preset="debug", values={"latent_dim": 5}, seed=0)
    """
    hyperparameters, training = apply_overrides(model_class(model), preset, values or {})
    given = {name: rest.pop(name, None) for name in ("steps", "batch_size")}
    given = {name: value for name, value in given.items() if value is not None}
    training = dataclasses.replace(training, **given)
    if epochs is not None:
        if "steps" in given:
            raise ValueError("--steps and --epochs are both set. Set one of them.")
        if not 0.0 < epochs < math.inf:
            raise ValueError(f"epochs={epochs} is not positive. Set a number above 0.")
    if info:
        count = training_split(info).count
        sizes: dict[str, Any] = {"image_shape": info.frame_shape, "videos": count}
        sizes |= {"identities": len(info.identity_names), "classes": len(info.class_names)}
        hyperparameters |= {k: v for k, v in sizes.items() if k in hyperparameters}
        if hyperparameters.get("categories") == "data":
            if not info.class_names:
                raise ValueError(f"--set={CONDITIONAL}=true: the videos of {dataset} have no "
                                 "classes. Remove this setting.")  # fmt: skip
            hyperparameters["categories"] = len(info.class_names)
        if hyperparameters.get("lengths") == "data":
            hyperparameters["lengths"] = clip_lengths(data_folder, training.stride)
        if epochs is not None:
            updates = epochs * count / training.batch_size * training.batch_repeats
            steps = max(1, round(updates))
            training = dataclasses.replace(training, steps=steps)
    if hyperparameters.get("categories") == "data":  # not made yet: nothing is built of it
        hyperparameters["categories"] = 0
    config = RunConfig(
        model=model,
        preset=preset,
        hyperparameters=hyperparameters,
        training=training,
        dataset=dataset,
        data_folder=data_folder,
        data_digest=digest_of(info),
        images_digest=images_digest(rest.get("images_folder")),
        precision=resolve_precision(precision),
        init_from=os.path.realpath(init_from) if init_from else None,
        **rest,
    )
    _check_batches(config, info if reads_data else None)
    if info and reads_data:
        _check_data(config, info)
    return config


def _check_batches(config: RunConfig, info: DatasetInfo | None) -> None:
    """Refuses seeds, clips and batches that the model, the replicas or the data do not allow."""
    if not 0 <= config.seed <= LARGEST_SEED:
        raise ValueError(f"seed={config.seed} is out of range. Use 0 to {LARGEST_SEED}.")
    if wrong := [step for step in config.keep_at if not 0 < step <= config.steps]:
        raise ValueError(f"keep_at={wrong[0]}: the run has the steps 1 to {config.steps:,}. Set "
                         "one of them, or more steps.")  # fmt: skip
    shortest = model_class(config.model).shortest_clip(config.hyperparameters)
    if config.frames < shortest:
        raise ValueError(
            f"frames={config.frames} is too short: {config.model} needs {shortest} or more."
        )
    check_prior(config, info)
    if config.training.flips and issubclass(model_class(config.model), LatentCodeModel):
        raise ValueError(f"training.flips={list(config.training.flips)}: {config.model} learns a "
                         "code of each video as it is. Leave it out.")  # fmt: skip
    train = training_split(info) if info else None
    batches = [("videos", "batch_size", config.training.batch_size, config.dataset, train)]
    if config.images:
        name = f"--images={config.images}"
        if config.hyperparameters.get("image_discriminator", False) is False:
            raise ValueError(f"{name}: {config.model} has no image discriminator. Remove the flag "
                             "or train rjgan.")  # fmt: skip
        images = training_split(load_info(config.images_folder)) if config.images_folder else None
        batches.append(("images", "training.image_batch", config.image_batch, name, images))
    turns = (config.hyperparameters.get("objective") or {}).get("discriminator_steps", 1)
    for kind, name, size, data, split in batches:
        if size % (config.replicas * turns):
            parts = f"{config.replicas} replica{'s' * (config.replicas > 1)}"
            parts += f" times objective.discriminator_steps={turns}" if turns > 1 else ""
            raise ValueError(f"{name}={size} cannot be divided among {parts}. Use a multiple of "
                             f"{config.replicas * turns}.")  # fmt: skip
        if split and size > split.count:
            raise ValueError(f"{name}={size} is too large: the split 'train' of {data} has "
                             f"{split.count} {kind}. Use {split.count} or fewer.")  # fmt: skip


def check_prior(config: RunConfig, info: DatasetInfo | None = None) -> None:
    """Raises ValueError where a run asks for a prior or an encoder that it cannot have."""
    kind = config.training.prior
    if config.training.encoder_steps and not issubclass(model_class(config.model), LatentCodeModel):
        raise ValueError(f"training.encoder_steps={config.training.encoder_steps}: {config.model} "
                         "has no learned codes. Leave it out.")  # fmt: skip
    if kind and not issubclass(model_class(config.model), CodePriors):
        raise ValueError(f"training.prior={kind}: {config.model} has no codes to fit a prior "
                         "to. Leave it out.")  # fmt: skip
    if kind and issubclass(model_class(config.model), VariationalModel) and info:
        frames, stride = config.hyperparameters["frames"], config.training.stride
        shortest = training_split(info).min_length
        if window_span(frames, stride) > shortest:
            raise ValueError(
                f"training.prior={kind} is fitted to clips of the model's {frames} frames, but the "
                f"shortest training video has {shortest}. Set fewer frames."
            )
    if kind == MixturePrior.kind:
        try:
            gaussian_mixture()
        except RuntimeError as error:
            raise ValueError(str(error)) from error


def _check_data(config: RunConfig, info: DatasetInfo) -> None:
    """Refuses a clip, categories or images that the data does not have."""
    name, shortest = config.dataset, training_split(info).min_length
    if config.span() > shortest:
        raise ValueError(
            f"frames={config.frames} with stride={config.training.stride} needs {config.span()} "
            f"frames, but the shortest video of the split 'train' of {name} has {shortest}. Set "
            "fewer frames or a smaller training.stride."
            + shortest_video(config.data_folder, info, "train", config.span())
        )
    categories, classes = config.hyperparameters.get("categories", 0), len(info.class_names)
    if categories and categories != classes:
        advice = f"Set categories={classes}" if classes else "Remove this setting"
        raise ValueError(f"--set=categories={categories}: the videos of {name} have {classes} "
                         f"classes. {advice}.")  # fmt: skip
    if config.images_folder:
        check_images_fit(config.images_folder, info.frame_shape)


def clip_lengths(folder: str, stride: int) -> list[int]:
    """Lengths of the training videos, in frames of a clip of a stride: at most 64 quantiles."""
    videos = read_split(folder, load_info(folder), "train")
    lengths = videos.map(lambda record: record["length"]).as_numpy_iterator()
    frames = np.sort([1 + (int(length) - 1) // stride for length in lengths])
    count = min(len(frames), MOST_LENGTHS)
    places = (np.arange(count) + 0.5) * len(frames) / count
    return [int(each) for each in frames[places.astype(int)]]


def digest_of(info: DatasetInfo | None, splits: Sequence[str] | None = None) -> str:
    """Digest of the data that a run reads; "" without a description.

    It covers the names that labels, identities and attributes stand for, and the shards of some
    splits, by default of the training and the held-out split; null stands for a split without any.
    """
    if info is None:
        return ""
    names = splits or filter(None, ("train", held_out_split(info)))
    shards = {
        name: [shard.sha256 for shard in info.splits[name].shards] if name in info.splits else None
        for name in names
    }
    attributes = info.attribute_names, info.attribute_sizes
    read = {"shards": shards, "names": [info.class_names, info.identity_names, *attributes]}
    return hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]


def images_digest(folder: str | None) -> str:
    """Digest of the shards of a data set of images to train on; "" without one.

    Raises:
        ValueError: it has no split to train on.
    """
    if not folder:
        return ""
    info = load_info(folder)
    training_split(info)
    return digest_of(info, ["train"])


def training_split(info: DatasetInfo) -> SplitInfo:
    """The split to train on; raises ValueError if there is none."""
    if "train" not in info.splits:
        raise ValueError(f"The data set {info.name!r} has no split 'train', only "
                         f"{', '.join(info.splits)}. Convert it again with one.")  # fmt: skip
    return info.splits["train"]


def held_out_split(info: DatasetInfo) -> str | None:
    """The name of the split to evaluate on, or `None`."""
    return next((name for name in ("test", "validation", "val") if name in info.splits), None)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def known_keys(cls: Any) -> dict[str, Any]:
    """Every key that `--set` takes for a class of models, with the type of its values."""
    keys = {TRAINING + k: kind for k, kind in typing.get_type_hints(TrainConfig).items()}
    for name, kind in _argument_types(cls).items():
        if name not in cls.PARTS or not _fits({}, kind):
            keys[name] = kind
            continue
        part = cls.PARTS[name]
        nested = dict.fromkeys(part, Any) if isinstance(part, tuple) else _argument_types(part)
        keys.update({f"{name}.{k}": v for k, v in nested.items() if k not in FROM_MODEL})
    if "categories" in keys:
        keys.setdefault(CONDITIONAL, bool)
    return {key: kind for key, kind in keys.items() if key not in FROM_DATA}


def _argument_types(cls: type) -> dict[str, Any]:
    return {name: kind for name, (kind, _) in constructor_arguments(cls).items()}


def apply_overrides(
    cls: type[WithPresets], preset: str, values: Mapping[str, Any]
) -> tuple[dict[str, Any], TrainConfig]:
    """All hyper-parameters and the training of a preset, with values replaced by dotted key.

    Raises:
        ValueError: the preset or a key is unknown, or a value has a wrong type or range.

    Example:
        >>> hyperparameters, training = apply_overrides(RJVAE, "debug", {"encoder.channels": [8]})
    """
    if preset not in cls.PRESETS:
        known = nearest_names(preset, cls.PRESETS)
        raise ValueError(f"{cls.__name__} has no preset {preset!r}: {known}.")
    chosen = {**cls.hyperparameters(), **cls.PRESETS[preset]}
    chosen = {k: dict(v) if isinstance(v, Mapping) else v for k, v in chosen.items()}
    training, keys = cls.TRAINING[preset], known_keys(cls) if values else {}
    for key, value in values.items():
        group, dot, name = key.rpartition(".")
        if key == CONDITIONAL and key not in keys:
            raise ValueError(f"--set={key}={str(value).lower()}: {cls.__name__} makes no videos of "
                             "a class that is asked for. Remove this setting.")  # fmt: skip
        if key not in keys:
            near = nearest_names(name if name in keys else key, keys)
            raise ValueError(f"--set={key}=...: unknown key; {near}.")
        if not _fits(value, keys[key]):
            raise ValueError(f"--set={key}={value}: not {_described(keys[key])}.")
        if key.startswith(TRAINING):
            try:
                training = dataclasses.replace(training, **{name: value})
            except ValueError as error:
                raise ValueError(f"--set={key}={value}: {error}") from error
        elif key == CONDITIONAL and key not in chosen:
            given = values.get("categories")
            if given is not None and bool(given) != value:
                raise ValueError(f"--set={key}={str(value).lower()} and --set=categories={given} "
                                 "contradict each other. Remove one of them.")  # fmt: skip
            chosen["categories"] = (given or "data") if value else 0
        elif key == "categories" and values.get(CONDITIONAL) is not None:
            continue  # as CONDITIONAL has it
        elif dot:
            chosen[group] = {**(chosen[group] or {}), name: value}
        else:
            chosen[key] = value
    return chosen, training


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type."""
    if kind is Any:
        return True
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin in (Sequence, list, tuple):
        return isinstance(value, list | tuple) and all(_fits(v, arguments[0]) for v in value)
    if origin is not None:
        return isinstance(value, origin)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _described(kind: Any) -> str:
    """A type in words: "a whole number or None"."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(each) for each in arguments)
    if origin in (Sequence, list, tuple):
        return f"a list, each item {_described(arguments[0])}"
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return "None" if kind is type(None) else words.get(kind, str(kind))
