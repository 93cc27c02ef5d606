"""What an exported model can be asked to do: its public verbs as functions of named tensors.

A model's verbs take numpy arrays and draw noise from seeds. Files for other programs hold the same
computations from tensors to tensors, in two forms:

- `noise_verbs(model)`: chance comes in as named standard Gaussians. TFLite and ONNX have no
  stateless random operations, so this is the form that they hold, and what parity is checked on.
- `seed_verbs(model)`: chance comes in as one seed a row. This is the form that is served: row i
  depends on its own seed and inputs alone, and equals `model.generate(1, seed=seed[i])[0]`.

| verb | inputs beside chance | outputs | of models that have |
|---|---|---|---|
| `decode` | (`first`, `last`) | `video` float32 in [-1, 1] | all |
| `image` | | `image` | `generate_images` |
| `encode` | `video` | the posterior means by name, float32 | `encode` |
| `reconstruct` | `video` | `video` | `reconstruct` |
| `swap` | `content_of`, `motion_of` | `video` | `swap` |
| `interpolate` | two lots of chance, `fraction` | `video` | `interpolate` |
| `between` | `first`, `last`, `temperature` | `video` | `between` |
| `exchange` | `identity`, `action` | `video` | `exchange` |
| `recall` | `index`, `identity` or `label` | `video` | `recall` |

Pixels are uint8 but for `decode`, and `label` comes in where a conditional generator asks for it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.layers.endpoints import check_endpoints
from kerasvid.models.base.row_noise import LARGEST_SEED, noise_of_seeds
from kerasvid.models.base.video_generator import as_pixels, spherical

# Prefixes of the two lots of noise, or the two seeds, that `interpolate` goes between.
WAYS = ("from", "to")


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A named input or output.

    Args:
        shape: behind the batch axis.
        dtype: of its numbers.
        meaning: what it is, in a few words.
        least, most: its range, where it has one.
    """

    shape: tuple[int, ...]
    dtype: tf.DType
    meaning: str
    least: float | None = None
    most: float | None = None

    def spec(self, name: str, batch: int | None = None) -> tf.TensorSpec:
        """`[batch, *shape]`, any batch where `None`."""
        return tf.TensorSpec([batch, *self.shape], self.dtype, name)

    def row(self) -> tf.TensorSpec:
        """One row, without the batch axis."""
        return tf.TensorSpec(self.shape, self.dtype)


@dataclasses.dataclass(frozen=True)
class Verb:
    """One of a model's verbs, as a function of named tensors with the batch axis first.

    Args:
        function: named tensors to a dict of tensors; no Python state, traceable.
        inputs: by name; those in `noise` are standard Gaussians.
        outputs: by name.
        summary: a line on what it does.
        noise: names of inputs that are standard Gaussians.
        iterative: whether it descends by gradients, in a loop that TFLite and ONNX cannot hold.

    Example:
        >>> verb = noise_verbs(model)["decode"]
        >>> verb(**model.sample_noise(4, seed=1))["video"]  # float32 [4, T, H, W, C]
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    summary: str
    noise: tuple[str, ...] = ()
    iterative: bool = False

    def __call__(self, **tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.function(**tensors)

    def traced(self, batch: int | None = None) -> Any:
        """A `tf.function` with the signature of the inputs, of any batch size where `None`."""
        specs = {name: each.spec(name, batch) for name, each in self.inputs.items()}

        def call(**tensors):
            return self.function(**tensors)

        return tf.function(call, autograph=False).get_concrete_function(**specs)


def noise_verbs(model: keras.Model, frames: int | None = None) -> dict[str, Verb]:
    """The verbs by name, with chance as named Gaussians.

    Args:
        model: with the public verbs of this library, in float32 (`load_for_export`).
        frames: T of what is made, the model's own where `None`; of what is read, too.

    Raises:
        ValueError: a model of fixed length has another one, or there are no two ends.
    """
    frames = model.frames if frames is None else frames
    if hasattr(model, "refresh_gaussians"):
        model.refresh_gaussians()
    verbs = _between_verbs(model, frames) if hasattr(model, "between") else _drawn(model, frames)
    return {**verbs, **_reading(model, frames), **_of_codes(model, frames)}


def seed_verbs(model: keras.Model, frames: int | None = None) -> dict[str, Verb]:
    """The verbs by name, with chance as an int64 seed a row; `decode` is `generate` then.

    Raises:
        ValueError: as `noise_verbs`.
    """
    return seeded(noise_verbs(model, frames))


def seeded(noisy: Mapping[str, Verb]) -> dict[str, Verb]:
    """Verbs of `noise_verbs` with seeds in place of noise, as `seed_verbs` gives them."""
    verbs = {}
    for name, verb in noisy.items():
        if name == "decode" and "between" in noisy:
            continue  # `between` is the verb of seeds
        verbs["generate" if name == "decode" else name] = _seeded(verb)
    if "generate" in verbs:
        drawn = verbs["generate"]
        verbs["generate"] = dataclasses.replace(
            drawn,
            function=lambda **tensors: {"video": as_pixels(drawn(**tensors)["video"])},
            outputs={"video": dataclasses.replace(drawn.outputs["video"], dtype=tf.uint8,
                                                  meaning="pixels", least=0, most=255)},
            summary="new videos, one a seed",
        )  # fmt: skip
    return verbs


# === Verbs of noise ===


def _pixels(model: keras.Model, *leading: int, meaning: str = "pixels") -> Tensor:
    return Tensor((*leading, *model.image_shape), tf.uint8, meaning, 0, 255)


def _gaussians(shapes: Mapping[str, tuple], prefix: str = "") -> dict[str, Tensor]:
    """Inputs of noise; that of the name `length` tells by its own how long a clip is to be."""
    what = {"length": "any numbers: as many as frames are wanted"}
    return {
        prefix + name: Tensor(tuple(shape), tf.float32, what.get(name, "standard Gaussian noise"))
        for name, shape in shapes.items()
    }


def _drawn(model: keras.Model, frames: int) -> dict[str, Verb]:
    """`decode`, `interpolate` and `image` of models that draw videos from noise alone."""
    shapes = model.noise_shapes(frames)
    noise, video = _gaussians(shapes), _pixels(model, frames)
    floats = Tensor(video.shape, tf.float32, "pixels", -1, 1)

    def decode(**noise):
        return {"video": model.decode(model.codes(noise))}

    def interpolate(fraction, **ends):
        start, end = ({n: ends[f"{way}_{n}"] for n in shapes} for way in WAYS)
        share = fraction[:, None]
        mixed = {n: spherical(start[n], end[n], share) for n in shapes}
        return {"video": as_pixels(decode(**mixed)["video"])}

    ends = {name: each for way in WAYS for name, each in _gaussians(shapes, f"{way}_").items()}
    fraction = Tensor((), tf.float32, "of the way", 0, 1)
    verbs = {
        "decode": Verb(decode, noise, {"video": floats}, "videos of noise", tuple(noise)),
        "interpolate": Verb(interpolate, {**ends, "fraction": fraction}, {"video": video},
                            "videos on the spherical way from one to another", tuple(ends)),
    }  # fmt: skip
    if hasattr(model, "generate_images"):
        needed = _gaussians(model.noise_shapes(1))
        verbs["image"] = Verb(
            lambda **noise: {"image": as_pixels(model.image_of(noise))},
            needed, {"image": _pixels(model)}, "the summary frame of a video", tuple(needed),
        )  # fmt: skip
    return verbs


def _between_verbs(model: keras.Model, frames: int) -> dict[str, Verb]:
    """`decode` and `between` of models that make the video between two frames."""
    check_endpoints(frames)
    noise, video = _gaussians(model.noise_shapes(frames)), _pixels(model, frames)
    floats = Tensor(video.shape, tf.float32, "pixels", -1, 1)
    ends = {name: _pixels(model, meaning=f"the {name} frame") for name in ("first", "last")}
    as_float = {
        name: dataclasses.replace(each, dtype=tf.float32, least=-1, most=1)
        for name, each in ends.items()
    }

    def decode(first, last, **noise):
        return {"video": model.infill(first, last, noise, frames)}

    def between(first, last, temperature, **noise):
        scaled = {
            name: value * tf.reshape(temperature, [-1, *[1] * (len(value.shape) - 1)])
            for name, value in noise.items()
        }
        return {"video": as_pixels(model.infill(as_floats(first), as_floats(last), scaled, frames))}

    warmth = {"temperature": Tensor((), tf.float32, "of the noise; 0 for the best guess", 0)}
    summary, names = "videos from a first to a last frame", tuple(noise)
    return {
        "decode": Verb(decode, {**as_float, **noise}, {"video": floats}, summary, names),
        "between": Verb(between, {**ends, **warmth, **noise}, {"video": video}, summary, names),
    }


def _label(model: keras.Model) -> dict[str, Tensor]:
    """The further input of a conditional generator."""
    if not getattr(model, "conditional", False):
        return {}
    return {"label": Tensor((), tf.int64, "number of the class", 0, model.classes - 1)}


def _reading(model: keras.Model, frames: int) -> dict[str, Verb]:
    """`encode`, `reconstruct` and `swap` of models that read videos."""
    verbs, video, label = {}, _pixels(model, frames), _label(model)
    descends = hasattr(model, "tables")
    if hasattr(model, "encode"):
        verbs["encode"] = Verb(
            lambda video, **more: model.encode(video, **more), {"video": video, **label}, {},
            "the latent codes of videos", iterative=descends,
        )  # fmt: skip
        outputs = verbs["encode"].traced().structured_outputs
        meaning = "codes found by descent" if descends else "posterior means"
        shapes = {n: Tensor(tuple(t.shape[1:]), t.dtype, meaning) for n, t in outputs.items()}
        verbs["encode"] = dataclasses.replace(verbs["encode"], outputs=shapes)
    if hasattr(model, "reconstruct"):
        verbs["reconstruct"] = Verb(
            lambda video, **more: {"video": model.reconstruct(video, **more)},
            {"video": video, **label}, {"video": video},
            "videos through their codes", iterative=descends,
        )  # fmt: skip
    if hasattr(model, "swap"):
        both = {"content_of": video, "motion_of": video, **label}
        verbs["swap"] = Verb(
            lambda **given: {"video": model.swap(**given)}, both, {"video": video},
            "the content of some videos with the motion of others", iterative=descends,
        )  # fmt: skip
    return verbs


def _of_codes(model: keras.Model, frames: int) -> dict[str, Verb]:
    """`recall` and `exchange` of models with learned codes."""
    if not hasattr(model, "recall"):
        return {}

    def rows(key: str) -> Tensor:
        return Tensor((), tf.int64, f"row of the codes by {key}", 0, model.rows_by(key) - 1)

    def shortened(pixels):
        return {"video": pixels[:, :frames]}

    video, label = _pixels(model, frames), _label(model)
    keys = {key: rows(key) for key in sorted({*model.row_keys.values(), *label})}
    verbs = {"recall": Verb(lambda **rows: shortened(model.recall(**rows)), keys,
                            {"video": video}, "training videos from their codes")}  # fmt: skip
    if hasattr(model, "exchange"):
        given = {"identity": rows(model.static_by), "action": rows(model.transient_by), **label}
        verbs["exchange"] = Verb(
            lambda **rows: shortened(model.exchange(**rows)), given, {"video": video},
            "the static code of some rows with the transient codes of others",
        )  # fmt: skip
    return verbs


# === Verbs of seeds ===


def _seeded(verb: Verb) -> Verb:
    """The verb with an int64 seed a row in place of every lot of noise."""
    if not verb.noise:
        return _with_unused_seed(verb) if "temperature" in verb.inputs else verb
    lots = (
        {name: name.partition("_")[0] for name in verb.noise} if "fraction" in verb.inputs else {}
    )
    seeds = {f"seed_{way}" for way in lots.values()} or {"seed"}
    what = Tensor((), tf.int64, "of which chance comes", 0, LARGEST_SEED)
    others = {name: each for name, each in verb.inputs.items() if name not in verb.noise}

    def function(**given):
        noise = {}
        for seed in sorted(seeds):
            prefix = "" if seed == "seed" else seed.removeprefix("seed_") + "_"
            own = [name for name in verb.noise if name.startswith(prefix)]
            shapes = {name.removeprefix(prefix): verb.inputs[name].shape for name in own}
            drawn = noise_of_seeds(shapes, given[seed])
            noise |= {prefix + name: value for name, value in drawn.items()}
        return verb(**noise, **{name: given[name] for name in others})

    inputs = {**{seed: what for seed in sorted(seeds)}, **others}
    return dataclasses.replace(verb, function=function, inputs=inputs, noise=())


def _with_unused_seed(verb: Verb) -> Verb:
    """A verb without chance that takes a seed all the same, as its kin do."""

    def function(seed, **given):
        noise_of_seeds({}, seed)
        return verb(**given)

    what = Tensor((), tf.int64, "changes nothing here: there is no chance", 0, LARGEST_SEED)
    return dataclasses.replace(verb, function=function, inputs={"seed": what, **verb.inputs})
