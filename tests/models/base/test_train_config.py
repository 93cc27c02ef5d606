import keras
import numpy as np
import pytest

from kerasvid.models.base.train_config import TrainConfig, WarmupCosine


def expected_rate(step, peak, warmup, decay, floor):
    rate = peak
    if decay:
        done = min(max((step - warmup) / (decay - warmup), 0.0), 1.0)
        rate = peak * (floor + (1 - floor) * (1 + np.cos(np.pi * done)) / 2)
    return rate * min((step + 1) / warmup, 1.0) if warmup else rate


@pytest.mark.parametrize(
    "arguments",
    [(1e-3, 100, 1000, 0.02), (0.5, 10, 50, 0.0), (2e-4, 0, 100, 0.1), (1e-3, 100, 0, 0.02)],
)
def test_the_rate_warms_up_and_decays_as_a_cosine(arguments):
    schedule = WarmupCosine(*arguments)
    for step in (0, 1, 5, 9, 10, 11, 49, 50, 99, 100, 101, 550, 999, 1000, 1001, 10**6):
        assert float(schedule(step)) == pytest.approx(expected_rate(step, *arguments), rel=1e-4)


def test_landmarks_of_the_rate():
    schedule = WarmupCosine(1.0, warmup_steps=10, decay_steps=110, floor=0.1)
    rates = [float(schedule(step)) for step in (0, 4, 9, 10, 60, 110, 5000)]
    np.testing.assert_allclose(rates, [0.1, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1], rtol=1e-5)


def test_a_schedule_round_trips_in_its_optimizer():
    training = TrainConfig(learning_rate=0.01, warmup_steps=7, decay_steps=90, ema_momentum=0.9)
    optimizer = training.make_optimizer()
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert restored.get_config() == optimizer.get_config()
    schedule = WarmupCosine(0.01, 7, 90, floor=0.3)
    assert WarmupCosine.from_config(schedule.get_config()).get_config() == {
        "peak": 0.01,
        "warmup_steps": 7,
        "decay_steps": 90,
        "floor": 0.3,
    }


def test_the_optimizer_has_the_rates_of_the_config():
    training = TrainConfig(learning_rate=0.01, warmup_steps=1, beta_2=0.95, epsilon=1e-5)
    optimizer = training.make_optimizer()
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert (optimizer.beta_2, optimizer.epsilon) == (0.95, 1e-5)
    assert optimizer.use_ema
    assert optimizer.ema_momentum == 0.99
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    assert not TrainConfig(ema_momentum=0.0).make_optimizer().use_ema


def test_every_network_gets_an_optimizer_and_the_first_the_average():
    training = TrainConfig(
        learning_rate=0.01, warmup_steps=10, decay_steps=90, discriminator_rate=0.5, beta_1=0.3
    )
    optimizers = training.make_optimizers(["generator", "one", "two"])
    assert list(optimizers) == ["generator", "one", "two"]
    assert len({id(optimizer) for optimizer in optimizers.values()}) == 3
    assert optimizers["generator"].use_ema
    assert optimizers["generator"].ema_momentum == training.ema_momentum
    for name in ("one", "two"):
        other = optimizers[name]
        assert not other.use_ema
        assert (other.beta_1, other.beta_2) == (0.3, training.beta_2)
        for step in (0, 9, 50, 200):
            first, second = (optimizers[n]._learning_rate(step) for n in ("generator", name))
            assert float(second) == pytest.approx(0.5 * float(first), rel=1e-6)


def test_all_networks_have_one_rate_by_default():
    optimizers = TrainConfig(learning_rate=0.01, warmup_steps=0).make_optimizers(
        ["generator", "one"]
    )
    rates = [float(optimizer.learning_rate) for optimizer in optimizers.values()]
    assert rates == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 2.5),
        ("frames", 0),
        ("stride", True),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("warmup_steps", -1),
        ("decay_steps", "abc"),
        ("beta_2", 1.0),
        ("epsilon", 0.0),
        ("ema_momentum", -0.1),
        ("clip_norm", float("inf")),
        ("discriminator_rate", 0.0),
        ("discriminator_rate", "fast"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_name_of_its_field(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.* must be .*") as error:
        TrainConfig(**{name: value})
    assert "\n" not in str(error.value)


def test_unknown_flips_are_refused():
    with pytest.raises(ValueError, match=r"^flips=\['vertical'\]: use a list of horizontal, time"):
        TrainConfig(flips=["vertical"])
