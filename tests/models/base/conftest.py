"""Models whose training can be computed by hand."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import Verdict
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.base.trainer import Trainer
from kerasvid.models.base.video_generator import VideoGenerator


class LinearModel(Trainer):
    """Loss of a row: w . (x + noise_weight * noise). Its gradient does not depend on w.

    Args:
        size: T * H * W * C of the videos.
        noise_weight: of the Gaussian named "noise".
    """

    term_names = ("loss",)

    def __init__(self, size: int, noise_weight: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.noise_weight = size, noise_weight
        self.w = self.add_weight(shape=[size], initializer="zeros", dtype="float32", name="w")
        self.built = True

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        return {"noise": (self.size,)}

    def compute_gradients(self, video, noise, step):
        rows = tf.reshape(video, [-1, self.size]) + self.noise_weight * noise["noise"]  # [B, D]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.linalg.matvec(rows, tf.convert_to_tensor(self.w)))
            scaled = self.scaled(loss)
        return {"loss": loss}, tape.gradient(scaled, self.trainable_variables), {}


@pytest.fixture(scope="session")
def linear_model():
    """The class `LinearModel`: called with the size of a video, and the weight of its noise."""
    return LinearModel


class LinearJudge(keras.layers.Layer):
    """Logits W^T x of frames or clips, `patches` of realness and then those of the categories.

    It remembers what it was shown, where it runs eagerly.
    """

    normalization, spectral = "none", True  # of bounded slope, as far as anyone asks

    def __init__(self, patches: int = 1, categories: int = 0):
        super().__init__(dtype="float32")
        self.patches, self.categories = patches, categories
        self.seen = []

    def build(self, shape):
        columns = self.patches + self.categories
        self.w = self.add_weight((int(np.prod(shape[1:])), columns), "ones", name="w")
        self.built = True

    def check_length(self, frames):
        """Any length may be judged."""

    def call(self, inputs, training=False):
        self.seen.append(inputs)
        logits = tf.matmul(tf.reshape(inputs, [-1, self.w.shape[0]]), self.w)  # [B, P + K]
        classes = logits[:, self.patches :] if self.categories else None
        return Verdict(logits[:, : self.patches], classes)


class Gain(keras.layers.Layer):
    """A layer of one weight g."""

    def __init__(self):
        super().__init__(dtype="float32", autocast=False)
        self.g = self.add_weight((), "ones", name="g")
        self.built = True

    def call(self, inputs):
        return tf.convert_to_tensor(self.g) * inputs


class LinearGAN(VideoGenerator, AdversarialModel):
    """Clips g * noise of two frames of two pixels, stills likewise, and linear discriminators.

    The generator is the last of its layers: networks are told apart by name, not by order.

    Args:
        objective: as of any adversarial model.
        still: whether it has a fixed image prior.
        patches: logits of each discriminator.
        categories: K of the category code.
    """

    term_names = ("loss", "generator_loss")

    def __init__(self, objective=None, still: bool = True, patches: int = 1, categories: int = 0):
        super().__init__()
        self.image_shape, self.frames = (1, 2, 1), 2
        self.still, self.categories = still, categories
        self.set_objective(objective)
        self.image_discriminator = LinearJudge(patches)
        self.video_discriminator = LinearJudge(patches, categories)
        self.gain = Gain()
        self.build_networks()
        self.image_discriminator.w.assign(np.linspace(-0.7, 0.4, 2 * patches).reshape(2, -1))
        columns = patches + categories
        self.video_discriminator.w.assign(np.linspace(0.9, -0.6, 4 * columns).reshape(4, -1))

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        shapes = {"clip": (frames, *self.image_shape), "summary": self.image_shape}
        return {**shapes, "category": (self.categories,)} if self.categories else shapes

    def fakes(self, noise, training):
        still = {"still": self.gain(noise["summary"])} if self.still else {}
        return {"video": self.gain(noise["clip"]), **still}


@pytest.fixture(scope="session")
def linear_gan():
    """The class `LinearGAN`, whose networks have 1, 2 and 4 weights."""
    return LinearGAN


class Sample(NamedTuple):
    """What a `LinearGAN` discriminators, in numpy: four real and generated clips, stills, and chance."""

    batch: dict
    images: np.ndarray
    fakes: dict
    random_inputs: dict

    def judged(self, model, batch=None, fakes=None, step=0.0, training=True):
        """The losses of the discriminators, by network."""
        fakes, random_inputs, step = self._given(model, fakes, step)
        batch = tensors(self.batch if batch is None else batch)
        losses = model.discriminator_losses(batch, fakes, random_inputs, step, training=training)
        return {network: float(loss) for network, loss in losses.items()}

    def convinced(self, model, fakes=None, category=None, step=0.0):
        """The loss of the generator."""
        fakes, random_inputs, step = self._given(model, fakes, step)
        return float(model.generator_losses(fakes, category, random_inputs, step)["generator_loss"])

    def _given(self, model, fakes, step):
        """The model gets the Gaussians that it asks for."""
        names = [*model.random_input_shapes(2), *model.image_random_input_shapes()]
        asked = {name: self.random_inputs[name] for name in names}
        fakes = tensors(self.fakes if fakes is None else fakes)
        return fakes, tensors(asked), tf.constant(step, tf.float32)

    def frames(self, clips, name, draws=2):
        """S_1 by loops: the frames with the largest Gaussians of a name."""
        order = np.argmax(self.random_inputs[name][:, :draws], axis=-1)  # [B, K]
        return [
            clip[frame] for column in order.T for clip, frame in zip(clips, column, strict=True)
        ]


def tensors(values: dict) -> dict:
    return {name: tf.constant(value) for name, value in values.items()}


@pytest.fixture
def sample():
    """A `Sample` of Gaussian pixels."""
    shapes = {
        "real": (4, 2, 1, 2, 1),
        "images": (5, 1, 2, 1),
        "fake": (4, 2, 1, 2, 1),
        "still": (4, 1, 2, 1),
        "real_frames": (4, 2, 2),
        "fake_frame": (4, 1, 2),
        "share": (4, 2),
        "on_real": (4, 2, 1, 2, 1),
        "on_fake": (4, 2, 1, 2, 1),
        "on_still": (4, 1, 2, 1),
        "on_image": (5, 1, 2, 1),
        "image_share": (5,),
    }
    generator = np.random.default_rng(1)
    drawn = {name: generator.normal(size=s).astype("float32") for name, s in shapes.items()}
    batch = {"video": drawn.pop("real")}
    fakes = {"video": drawn.pop("fake"), "still": drawn.pop("still")}
    return Sample(batch, drawn.pop("images") + 1.0, fakes, drawn)
