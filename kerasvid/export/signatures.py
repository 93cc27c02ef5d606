"""Signatures of an exported model: its public methods as functions of named tensors.

A model's methods take numpy arrays and draw noise from seeds. Files for other programs hold the
same computations from tensors to tensors, in two forms:

- `noise_signatures(model)`: random inputs are named standard Gaussians. TFLite and ONNX have no
  stateless random operations, so their files hold this form, and parity is measured on it.
- `seed_signatures(...)` of these: the random input is one seed a row. This form is served: row i
  depends on its own seed and inputs alone, and equals `model.generate(1, seed=seed[i])[0]`.

| signature | inputs beside noise or seeds | outputs | models |
|---|---|---|---|
| `decode` | (`first`, `last`) | `video` float32 in [-1, 1] | all |
| `image` | | `image` | `ImagePrior` |
| `encode` | `video` | the posterior means by name, float32 | `Encoder` |
| `reconstruct` | `video` | `video` | `Encoder` |
| `swap` | `content_of`, `motion_of` | `video` | `Swappable` |
| `interpolate` | two noises or seeds, `fraction` | `video` | `VideoGenerator` |
| `between` | `first`, `last`, `temperature` | `video` | `InBetween` |
| `exchange` | `identity`, `action` | `video` | `ExchangeableCodes` |
| `recall` | `index`, `identity` or `label` | `video` | `LatentCodeModel` |

Pixels are uint8 except in `decode`. A generator that is conditional on a label takes `label`, too.

A model that makes videos of a class has the noise `category`, of which the largest entry is the
class. Beside seeds that is an int64 `label`, -1 where the seed draws the class; beside `seed_from`
and `seed_to` there are `label_from` and `label_to`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasvid.data.pixels import as_floats
from kerasvid.layers.endpoints import check_endpoints
from kerasvid.models.base.categories import CATEGORY, UNKNOWN
from kerasvid.models.base.in_between import InBetween
from kerasvid.models.base.latent_codes import LatentCodeModel
from kerasvid.models.base.protocols import Encoder, ExchangeableCodes, ImagePrior, Swappable
from kerasvid.models.base.row_noise import LARGEST_SEED, noise_of_seeds
from kerasvid.models.base.video_generator import as_pixels, spherical

# Prefixes of the noise, and endings of the seeds, that `interpolate` goes between.
ENDPOINTS = ("from", "to")


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A named input or output, and the limits of its numbers if there are any."""

    shape: tuple[int, ...]  # without the batch axis
    dtype: tf.DType
    meaning: str
    least: float | None = None
    most: float | None = None


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of named tensors with the batch axis first.

    Args:
        function: from named tensors to a dict of tensors; traceable, without Python state.
        inputs, outputs: by name.
        summary: description in one line.
        noise: names of the inputs that are standard Gaussians.
        iterative: whether it finds codes by gradient descent, in a loop that TFLite and ONNX files
            cannot hold.

    Example:
        >>> decode = noise_signatures(model)["decode"]
        >>> decode(**model.sample_noise(4, seed=1))["video"]  # float32 [4, T, H, W, C]
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
        """A concrete function of the inputs, of any batch size if `None`."""
        specs = {
            name: tf.TensorSpec([batch, *each.shape], each.dtype, name)
            for name, each in self.inputs.items()
        }
        return tf.function(self.__call__, autograph=False).get_concrete_function(**specs)

    def as_json(self, batch: int = -1) -> dict[str, Any]:
        """The summary, and the type, shape, meaning and range of each input and output."""
        facts: dict[str, Any] = {"summary": self.summary}
        for side in ("inputs", "outputs"):
            facts[side] = {}
            for name, each in getattr(self, side).items():
                shape = [batch, *each.shape]
                fact = {"dtype": each.dtype.name, "shape": shape, "meaning": each.meaning}
                limits = {} if each.least is None else {"range": [each.least, each.most]}
                facts[side][name] = {**fact, **limits}
        return facts


def noise_signatures(model: keras.Model, frames: int | None = None) -> dict[str, Signature]:
    """The signatures by name, with named Gaussians as random inputs.

    Args:
        model: a model of this library in float32 (`load_for_export`).
        frames: T of the videos, also of those that are read; by default the model's own.

    Raises:
        ValueError: the model cannot make clips of this length.
    """
    frames = model.frames if frames is None else frames
    if isinstance(model, LatentCodeModel):
        model.refresh_priors()
    make = _in_between if isinstance(model, InBetween) else _drawn
    return {**make(model, frames), **_encoded(model, frames), **_learned(model, frames)}


def seed_signatures(noisy: Mapping[str, Signature]) -> dict[str, Signature]:
    """The signatures of `noise_signatures` with an int64 seed a row in place of noise.

    `decode` becomes `generate`, or is left out where there is `between`.
    """
    signatures = {name: _seeded(each) for name, each in noisy.items() if name != "decode"}
    if "between" in noisy:
        return signatures
    floats = _seeded(noisy["decode"])
    video = dataclasses.replace(floats.outputs["video"], dtype=tf.uint8, least=0, most=255)
    generate = dataclasses.replace(
        floats,
        function=lambda **tensors: {"video": as_pixels(floats(**tensors)["video"])},
        outputs={"video": video},
        summary="new videos, one for each seed",
    )
    return {"generate": generate, **signatures}


# === Signatures of noise ===


def _pixels(model: keras.Model, *leading: int, meaning: str = "pixels") -> Tensor:
    return Tensor((*leading, *model.image_shape), tf.uint8, meaning, 0, 255)


def _as_floats(pixels: Tensor) -> Tensor:
    return dataclasses.replace(pixels, dtype=tf.float32, least=-1, most=1)


def _gaussians(model: Any, frames: int) -> dict[str, Tensor]:
    shapes, meaning = model.noise_shapes(frames), "standard Gaussian noise"
    return {name: Tensor(tuple(s), tf.float32, meaning) for name, s in shapes.items()}


def _drawn(model: keras.Model, frames: int) -> dict[str, Signature]:
    """`decode`, `interpolate` and `image` of models that draw videos from noise alone."""
    noise, video = _gaussians(model, frames), _pixels(model, frames)

    def decode(**noise):
        return {"video": model.decode(model.codes(noise, frames))}

    def interpolate(fraction, **endpoints):
        start, end = ({n: endpoints[f"{which}_{n}"] for n in noise} for which in ENDPOINTS)
        mixed = {n: spherical(start[n], end[n], fraction[:, None]) for n in noise}
        return {"video": as_pixels(decode(**mixed)["video"])}

    endpoints = {f"{which}_{n}": each for which in ENDPOINTS for n, each in noise.items()}
    fraction = Tensor((), tf.float32, "position between the two videos", 0, 1)
    floats = {"video": _as_floats(video)}
    signatures = {
        "decode": Signature(decode, noise, floats, "videos of noise", tuple(noise)),
        "interpolate": Signature(
            interpolate, {**endpoints, "fraction": fraction}, {"video": video},
            "videos between two others, by spherical interpolation", tuple(endpoints),
        ),
    }  # fmt: skip
    if isinstance(model, ImagePrior):
        prior, of_image = model, _gaussians(model, 1)
        signatures["image"] = Signature(
            lambda **noise: {"image": as_pixels(prior.image_of(noise))},
            of_image, {"image": _pixels(model)}, "new images", tuple(of_image),
        )  # fmt: skip
    return signatures


def _in_between(model: keras.Model, frames: int) -> dict[str, Signature]:
    """`decode` and `between` of models that make the video between two frames."""
    check_endpoints(frames)
    noise, video = _gaussians(model, frames), _pixels(model, frames)
    pixels = {name: _pixels(model, meaning=f"{name} frame") for name in ("first", "last")}
    floats = {name: _as_floats(each) for name, each in pixels.items()}

    def decode(first, last, **noise):
        return {"video": model.infill(first, last, noise, frames)}

    def between(first, last, temperature, **noise):
        scaled = {
            name: value * tf.reshape(temperature, [-1, *[1] * (len(value.shape) - 1)])
            for name, value in noise.items()
            if name != CATEGORY
        }
        scaled |= {name: value for name, value in noise.items() if name == CATEGORY}
        return {"video": as_pixels(model.infill(as_floats(first), as_floats(last), scaled, frames))}

    scale = Tensor(
        (), tf.float32, "standard deviation of the noise; 0 for the video of no noise", 0
    )
    summary, names = "videos from a first to a last frame", tuple(noise)
    inputs = {**pixels, "temperature": scale, **noise}
    outputs = {"video": _as_floats(video)}
    return {
        "decode": Signature(decode, {**floats, **noise}, outputs, summary, names),
        "between": Signature(between, inputs, {"video": video}, summary, names),
    }


def _label(model: keras.Model) -> dict[str, Tensor]:
    """The further input of a generator that is conditional on a label."""
    if not (isinstance(model, LatentCodeModel) and model.conditional):
        return {}
    return {"label": Tensor((), tf.int64, "number of the class", 0, model.classes - 1)}


def _encoded(model: keras.Model, frames: int) -> dict[str, Signature]:
    """`encode`, `reconstruct` and `swap` of models that read videos."""
    if not isinstance(model, Encoder):
        return {}
    video, label = _pixels(model, frames), _label(model)
    iterative = isinstance(model, LatentCodeModel)
    encode = Signature(
        lambda video, **label: model.encode(video, **label),
        {"video": video, **label}, {}, "latent codes of videos", iterative=iterative,
    )  # fmt: skip
    meaning = "codes found by gradient descent" if iterative else "posterior means"
    codes = {
        name: Tensor(tuple(each.shape[1:]), each.dtype, meaning)
        for name, each in encode.traced().structured_outputs.items()
    }
    signatures = {
        "encode": dataclasses.replace(encode, outputs=codes),
        "reconstruct": Signature(
            lambda video, **label: {"video": model.reconstruct(video, **label)},
            encode.inputs, {"video": video}, "videos rebuilt from their codes", iterative=iterative,
        ),
    }  # fmt: skip
    if isinstance(model, Swappable):
        signatures["swap"] = Signature(
            lambda **given: {"video": model.swap(**given)},
            {"content_of": video, "motion_of": video, **label}, {"video": video},
            "the content of some videos with the motion of others", iterative=iterative,
        )  # fmt: skip
    return signatures


def _learned(model: keras.Model, frames: int) -> dict[str, Signature]:
    """`recall` and `exchange` of models with learned codes."""
    if not isinstance(model, LatentCodeModel):
        return {}
    video, label = _pixels(model, frames), _label(model)

    def rows(key: str) -> Tensor:
        return Tensor((), tf.int64, f"row of the codes by {key}", 0, model.count_of(key) - 1)

    def shortened(pixels):
        return {"video": pixels[:, :frames]}

    keys = {key: rows(key) for key in sorted({*model.row_counts, *label})}
    signatures = {
        "recall": Signature(
            lambda **rows: shortened(model.recall(**rows)),
            keys, {"video": video}, "training videos from their codes",
        )
    }  # fmt: skip
    if isinstance(model, ExchangeableCodes):
        given = {"identity": rows(model.static_by), "action": rows(model.transient_by), **label}
        signatures["exchange"] = Signature(
            lambda **rows: shortened(model.exchange(**rows)), given, {"video": video},
            "the static code of some rows with the transient codes of others",
        )  # fmt: skip
    return signatures


# === Signatures of seeds ===


def _with_labels(drawn: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """The noise `[B, K]` of classes, with the labels `[B]` that are not -1 in place of the drawn.

    An InvalidArgumentError where there is no such class.
    """
    count = drawn.shape[-1]
    message = f"label: give whole numbers from 0 to {count - 1}, or -1 for any class; got"
    fits = tf.reduce_all((label >= UNKNOWN) & (label < count))
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, label], summarize=8)]):
        asked = tf.one_hot(label, count)
    return tf.where(label[:, None] == UNKNOWN, drawn, asked)


def _seeded(signature: Signature) -> Signature:
    """The signature with an int64 seed a row in place of each set of noise."""
    # `between` takes a seed even if the model has no noise, so that all models are called alike.
    if not signature.noise and "temperature" not in signature.inputs:
        return signature
    prefixes = {"seed": ""}
    if "fraction" in signature.inputs:
        prefixes = {f"seed_{which}": f"{which}_" for which in ENDPOINTS}

    def function(**given):
        noise = {}
        for seed, prefix in prefixes.items():
            names = [name for name in signature.noise if name.startswith(prefix)]
            shapes = {name.removeprefix(prefix): signature.inputs[name].shape for name in names}
            drawn = noise_of_seeds(shapes, given.pop(seed))
            if CATEGORY in shapes:
                label = given.pop(seed.replace("seed", "label"))
                drawn[CATEGORY] = _with_labels(drawn[CATEGORY], label)
            noise |= {prefix + name: value for name, value in drawn.items()}
        return signature(**noise, **given)

    meaning = "random seed" if signature.noise else "without effect: this model has no noise"
    seed = Tensor((), tf.int64, meaning, 0, LARGEST_SEED)
    others = {n: each for n, each in signature.inputs.items() if n not in signature.noise}
    inputs = {**dict.fromkeys(prefixes, seed), **others}
    for name, prefix in prefixes.items():
        if (category := signature.inputs.get(f"{prefix}{CATEGORY}")) is not None:
            meaning, most = "number of the class; -1: drawn by the seed", category.shape[0] - 1
            label = Tensor((), tf.int64, meaning, UNKNOWN, most)
            inputs[name.replace("seed", "label")] = label
    return dataclasses.replace(signature, function=function, inputs=inputs, noise=())
