"""Beginning a run with what another has learned."""

import keras

from kerasvid.layers.code_table import CodeTable


def adopt_weights(model: keras.Model, source: keras.Model) -> tuple[list[str], list[str]]:
    """Copies the weights of the parts that two models have in common.

    A part is a layer that a model holds under a name, such as `decoder` (G_I) or
    `image_discriminator` (D_I); it is copied whole, where all its weights have the same shapes, or
    not at all. So an RJGAN begins with the image generator of an image GAN, or the reverse.
    Optimizers begin anew, and so does the momentum of learned codes.

    Args:
        model: whose weights are replaced.
        source: whose are copied.

    Returns:
        The names of the parts that were copied, and of the model's others.

    Raises:
        ValueError: the models have no part in common.

    Example:
        >>> adopt_weights(RJGAN.from_preset("base"), image_gan)
        (['decoder', 'image_discriminator'], ['residual', 'video_discriminator'])
    """
    own, theirs = parts_of(model), parts_of(source)
    alike = [name for name in own if name in theirs and _shapes(own[name]) == _shapes(theirs[name])]
    if not alike:
        differing = [name for name in own if name in theirs]
        why = f"{', '.join(differing)} of other sizes" if differing else "no part in common"
        raise ValueError(
            f"a {type(source).__name__} lends a {type(model).__name__} nothing: {why}."
        )
    for name in alike:
        own[name].set_weights(theirs[name].get_weights())
        if isinstance(own[name], CodeTable):
            own[name].forget_momentum()
    return alike, [name for name in own if name not in alike]


def parts_of(model: keras.Model) -> dict[str, keras.Layer]:
    """The layers with weights that a model holds under a name of its own, in alphabetical order."""
    held = {name: value for name, value in vars(model).items() if isinstance(value, keras.Layer)}
    return {name: held[name] for name in sorted(held) if held[name].weights}


def _shapes(layer: keras.Layer) -> list[tuple]:
    return [tuple(weight.shape) for weight in layer.weights]
