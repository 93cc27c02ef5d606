"""Models whose training can be computed by hand."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.layers.discriminators import DiscriminatorOutput
from kerasvid.models.base.gan import AdversarialModel
from kerasvid.models.base.gan_losses import AdversarialTerms
from kerasvid.models.base.trainer import Trainer
from kerasvid.models.base.video_generator import VideoGenerator
from kerasvid.models.mocogan import MoCoGAN
from kerasvid.models.rjgan import RJGAN


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

    def compute_gradients(self, batch, noise, step):
        videos = tf.reshape(batch["video"], [-1, self.size])  # [B, D]
        rows = videos + self.noise_weight * noise["noise"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.linalg.matvec(rows, tf.convert_to_tensor(self.w)))
            scaled = self.scaled(loss)
        return {"loss": loss}, tape.gradient(scaled, self.trainable_variables), {}

    def test_step(self, data):
        return self.tracked({"loss": tf.reduce_mean(self.video_of(data))})


@pytest.fixture(scope="session")
def linear_model():
    """The class `LinearModel`: called with the size of a video, and the weight of its noise."""
    return LinearModel


class LinearDiscriminator(keras.layers.Layer):
    """Logits W^T x of frames or clips, `patches` of them and then those of the categories.

    It remembers its inputs in `seen`, where it runs eagerly.
    """

    normalization, spectral = "none", True  # for the check of bounded gradients

    def __init__(self, patches: int = 1, categories: int = 0):
        super().__init__(dtype="float32")
        self.patches, self.categories = patches, categories
        self.seen = []

    def build(self, shape):
        columns = self.patches + self.categories
        self.w = self.add_weight((int(np.prod(shape[1:])), columns), "ones", name="w")
        self.built = True

    def check_length(self, frames):
        """Takes clips of any length."""

    def call(self, inputs, training=False):
        self.seen.append(inputs)
        logits = tf.matmul(tf.reshape(inputs, [-1, self.w.shape[0]]), self.w)  # [B, P + K]
        classes = logits[:, self.patches :] if self.categories else None
        by_patch = None if classes is None else tf.repeat(classes[:, None], self.patches, axis=1)
        return DiscriminatorOutput(logits[:, : self.patches], classes, by_patch)


class Gain(keras.layers.Layer):
    """A layer of one weight g."""

    def __init__(self):
        super().__init__(dtype="float32", autocast=False)
        self.g = self.add_weight((), "ones", name="g")
        self.built = True

    def call(self, inputs):
        return tf.convert_to_tensor(self.g) * inputs


class LinearGAN(VideoGenerator, AdversarialModel):
    """Clips g * noise of two frames of two pixels, and linear discriminators.

    Its losses are those of RJGAN with an image prior, whose images are g * noise too, and those of
    MoCoGAN without. The generator is the last of its layers: networks are known by name, not order.

    Args:
        objective: as of any adversarial model.
        image_prior: whether it has a fixed image prior; never with categories.
        patches: logits of each discriminator.
        categories: K of the category code.
    """

    def __init__(
        self, objective=None, image_prior: bool = True, patches: int = 1, categories: int = 0
    ):
        super().__init__(
            image_shape=(1, 2, 1),
            frames=2,
            image_discriminator=False,
            video_discriminator=False,
            categories=categories,
            objective=objective,
        )
        self.image_prior = image_prior and not categories
        self.image_discriminator = LinearDiscriminator(patches)
        self.video_discriminator = LinearDiscriminator(patches, categories)
        self.gain = Gain()
        self.build_networks()
        self.image_discriminator.w.assign(np.linspace(-0.7, 0.4, 2 * patches).reshape(2, -1))
        columns = patches + categories
        self.video_discriminator.w.assign(np.linspace(0.9, -0.6, 4 * columns).reshape(4, -1))

    def noise_shapes(self, frames: int) -> dict[str, tuple[int, ...]]:
        shapes = {"clip": (frames, *self.image_shape), "summary": self.image_shape}
        return {**shapes, "category": (self.categories,)} if self.categories else shapes

    category_of = MoCoGAN.category_of

    def fakes(self, noise, frames, training):
        image = {"image": self.gain(noise["summary"])} if self.image_prior else {}
        category = {"category": noise["category"]} if self.categories else {}
        return {"video": self.gain(noise["clip"]), **image, **category}

    def discriminator_losses(self, batch, fakes, terms):
        model = RJGAN if self.image_prior else MoCoGAN
        return model.discriminator_losses(self, batch, fakes, terms)

    def generator_losses(self, batch, fakes, terms):
        model = RJGAN if self.image_prior else MoCoGAN
        return model.generator_losses(self, batch, fakes, terms)


@pytest.fixture(scope="session")
def linear_gan():
    """The class `LinearGAN`, whose networks have 1, 2 and 4 weights."""
    return LinearGAN


class Sample(NamedTuple):
    """Inputs of a `LinearGAN`'s losses in numpy: four real and four generated clips and more."""

    batch: dict
    images: np.ndarray
    fakes: dict
    random_inputs: dict

    def discriminator_losses(self, model, batch=None, fakes=None, step=0.0, training=True):
        """The losses of the discriminators, by network."""
        batch, fakes, terms = self._inputs(model, batch, fakes, step, training)
        losses = model.discriminator_losses(batch, fakes, terms)
        return {network: float(loss) for network, loss in losses.items()}

    def generator_loss(self, model, fakes=None, batch=None, step=0.0):
        """The loss of the generator."""
        batch, fakes, terms = self._inputs(model, batch, fakes, step, True)
        return float(model.generator_losses(batch, fakes, terms)["generator_loss"])

    def needed_random_inputs(self, model):
        """The Gaussians that the model asks for."""
        names = [*model.random_input_shapes(2), *model.image_random_input_shapes()]
        return {name: tf.constant(self.random_inputs[name]) for name in names}

    def _inputs(self, model, batch, fakes, step, training):
        random_inputs = model.scaled_noise(
            self.needed_random_inputs(model), tf.constant(step, tf.float32)
        )
        terms = AdversarialTerms(model.objective, random_inputs, training)
        batch = self.batch if batch is None else batch
        return tensors(batch), tensors(self.fakes if fakes is None else fakes), terms

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
        "image": (4, 1, 2, 1),
        "real_frames": (4, 2, 2),
        "fake_frames": (4, 1, 2),
        "mixing": (4, 2),
        "real_video_noise": (4, 2, 1, 2, 1),
        "fake_video_noise": (4, 2, 1, 2, 1),
        "fake_image_noise": (4, 1, 2, 1),
        "real_image_noise": (5, 1, 2, 1),
        "image_mixing": (5,),
        "r1_first": (4, 1),
        "real_video_change": (4, 10),
        "fake_video_change": (4, 10),
        "fake_image_change": (4, 10),
        "real_image_change": (5, 10),
    }
    generator = np.random.default_rng(1)
    drawn = {name: generator.normal(size=s).astype("float32") for name, s in shapes.items()}
    batch = {"video": drawn.pop("real")}
    fakes = {"video": drawn.pop("fake"), "image": drawn.pop("image")}
    return Sample(batch, drawn.pop("images") + 1.0, fakes, drawn)
