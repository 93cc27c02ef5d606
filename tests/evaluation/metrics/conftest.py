"""Fixtures of the metrics' tests: random weights of narrow networks."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def random_i3d_values():
    """A function of the divisor and classes to weights by name, from which answers differ."""
    from kerasvid.evaluation.metrics.i3d import I3D

    def draw(divisor: int = 8, classes: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
        generator, values = np.random.default_rng(seed), {}
        for name, variable in I3D(divisor, classes).variables_by_name().items():
            shape = tuple(variable.shape)
            value = generator.normal(size=shape)
            if name.endswith("/w"):
                value *= (2.0 / np.prod(shape[:-1])) ** 0.5
            elif name.endswith("moving_variance"):
                value = 0.5 + value**2
            else:
                value *= 0.2
            values[name] = value.astype(np.float32)
        return values

    return draw


@pytest.fixture(scope="session")
def narrow_i3d_file(random_i3d_values, tmp_path_factory):
    """The path of an .npz file of weights of the divisor 8 and 5 classes."""
    path = tmp_path_factory.mktemp("i3d") / "narrow.npz"
    np.savez(path, **random_i3d_values())
    return path
