"""The alternating step, by hand on the model whose networks have 1, 2 and 4 weights.

Gradients by hand are central differences of the losses in float64.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base import gan
from kerasvid.models.base.trainer import draw_noise
from kerasvid.models.rjgan import RJGAN

GENERATOR, IMAGE, VIDEO = "generator", "image_discriminator", "video_discriminator"
RATE = 0.5
# A model with batch norm and the networks of the paper, as small as they come.
SMALL = {
    "image_shape": (8, 8, 3),
    "frames": 2,
    "decoder": {
        "dense_units": (),
        "seed_channels": 8,
        "channels": (8,),
        "upsampling": (1,),
        "normalization": "batch",
    },
    "image_discriminator": {"channels": (8,), "patch": 2, "spectral": True},
    "video_discriminator": {"channels": (8,), "patch": 2, "temporal_kernel": 2, "score": "full"},
}


@pytest.fixture
def draws(monkeypatch):
    """What `draw_noise` gave, in order: of each part the noise and both random inputs."""
    recorded = []

    def recording(shapes, batch, key):
        values = draw_noise(shapes, batch, key)
        recorded.append({name: value.numpy() for name, value in values.items()})
        return values

    monkeypatch.setattr(gan, "draw_noise", recording)
    return recorded


@pytest.fixture
def eagerly():
    """Functions run eagerly: every call is one of Python's."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def pixels(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(-0.5, 0.5, shape), tf.float32)


def compiled(model, rate=RATE, **kwargs):
    model.compile(keras.optimizers.SGD(rate), jit_compile=False, **kwargs)
    return model


def weights_of(model):
    """g, the weights of D_I and those of D_V, in float64."""
    networks = model.network_variables().values()
    return [np.float64(variables[0].numpy()).ravel() for variables in networks]


# === By hand ===


def softplus_mean(rows, w, sign):
    """The mean of -log D(x) (sign -1) or -log(1 - D(x)) (sign 1) with D(x) = sigma(w . x)."""
    rows = np.float64(rows).reshape(-1, len(w))
    return np.mean(np.logaddexp(0.0, sign * rows @ w))


def derivative(function, point, step=1e-5):
    bumps = step * np.eye(len(point))
    return np.array([(function(point + b) - function(point - b)) / (2 * step) for b in bumps])


def chosen(clips, random_inputs):
    order = np.argmax(random_inputs, axis=-1)  # [B, K]
    return np.concatenate([clip[picks] for clip, picks in zip(clips, order, strict=True)])


def step_by_hand(weights, parts, draws, image_prior_weight=1.0):
    """Weights and losses after a step on the parts of a batch, one after the other."""
    g, a, b = (np.array(w) for w in weights)
    for number, clips in enumerate(parts):
        noise, random_inputs, again = draws[3 * number : 3 * number + 3]
        fake, image = g * noise["clip"], g * noise["summary"]
        real_frames = chosen(clips.numpy(), random_inputs["real_frames"])
        fake_frames = chosen(fake, random_inputs["fake_frames"])

        def image_loss(w, real=real_frames, fake=fake_frames, image=image):
            on_real, on_fake = softplus_mean(real, w, -1), softplus_mean(fake, w, 1)
            on_image = softplus_mean(image, w, 1)
            return (1 + image_prior_weight) * on_real + on_fake + image_prior_weight * on_image

        def video_loss(w, real=clips, fake=fake):
            return softplus_mean(real, w, -1) + softplus_mean(fake, w, 1)

        losses = {IMAGE: image_loss(a), VIDEO: video_loss(b)}
        stale = a, b
        a, b = a - RATE * derivative(image_loss, a), b - RATE * derivative(video_loss, b)

    def generator_loss(g):
        frames = chosen(g * noise["clip"], again["fake_frames"])
        on_image = softplus_mean(g * noise["summary"], a, -1)
        on_clips = softplus_mean(g * noise["clip"], b, -1)
        return softplus_mean(frames, a, -1) + on_clips + image_prior_weight * on_image

    losses[GENERATOR] = generator_loss(g)
    updated = g - RATE * derivative(generator_loss, g), a, b
    a, b = stale  # which `generator_loss` sees from here on
    return updated, losses, g - RATE * derivative(generator_loss, g)


# === Alternation ===


@pytest.mark.parametrize("image_prior_weight", [1.0, 0.4])
def test_the_generator_is_updated_through_the_updated_discriminators(
    linear_gan, draws, image_prior_weight
):
    model = compiled(linear_gan({"image_prior_weight": image_prior_weight}), seed=3)
    start, clips = weights_of(model), pixels(4, 2, 1, 2, 1) + 0.5
    logs = model.train_step({"video": clips})
    expected, losses, too_early = step_by_hand(start, [clips], draws, image_prior_weight)
    for weight, by_hand, before in zip(weights_of(model), expected, start, strict=True):
        np.testing.assert_allclose(weight, by_hand, atol=1e-5)
        assert np.abs(weight - before).max() > 0.01
    assert np.abs(weights_of(model)[0] - too_early) > 1e-3
    # The generator's loss is that through the updated ones as well.
    for network, loss in losses.items():
        assert float(logs[f"{network}_loss"]) == pytest.approx(loss, rel=0, abs=1e-5)
    assert float(logs["loss"]) == pytest.approx(sum(losses.values()), abs=1e-4)
    assert set(logs) == set(model.term_names)


def test_every_update_of_the_discriminators_sees_its_part_of_the_batch(linear_gan, draws):
    model = compiled(linear_gan({"discriminator_steps": 2}), seed=3)
    start, clips = weights_of(model), pixels(6, 2, 1, 2, 1) + 0.5
    logs = model.train_step({"video": clips})
    assert len(draws) == 2 * 3
    assert {len(value) for each in draws for value in each.values()} == {3}
    expected, losses, _ = step_by_hand(start, [clips[:3], clips[3:]], draws)
    for weight, by_hand in zip(weights_of(model), expected, strict=True):
        np.testing.assert_allclose(weight, by_hand, atol=1e-5)
    assert float(logs["generator_loss"]) == pytest.approx(losses[GENERATOR], abs=1e-5)
    counts = [int(model.optimizer_of(p).iterations.numpy()) for p in (GENERATOR, IMAGE, VIDEO)]
    assert counts == [1, 2, 2]


def test_a_batch_that_the_discriminator_steps_do_not_divide_is_refused(linear_gan):
    model = compiled(linear_gan({"discriminator_steps": 2}))
    before = weights_of(model)
    message = "discriminator_steps=2: the batch has 5 rows of 'video'"
    with pytest.raises(ValueError, match=message) as error:
        model.train_step({"video": pixels(5, 2, 1, 2, 1)})
    assert "\n" not in str(error.value)
    for one, other in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("discriminator_steps", [1, 2])
def test_one_pass_of_the_generator_serves_all_networks(linear_gan, eagerly, discriminator_steps):
    model = linear_gan({"discriminator_steps": discriminator_steps})
    rows, fakes = [], model.fakes

    def counted(noise, frames, training):
        rows.append(noise["clip"].shape[0])
        return fakes(noise, frames, training)

    model.fakes = counted
    compiled(model).train_step({"video": pixels(4, 2, 1, 2, 1)})
    assert rows == [4 // discriminator_steps] * discriminator_steps
    # All of the clips went to D_V and back: one pass is no half of the work left out.
    assert model.video_discriminator.seen[-1].shape[0] == 4 // discriminator_steps


def test_every_update_draws_its_own_frames_and_every_step_its_own_noise(linear_gan, draws):
    model = compiled(linear_gan({"discriminator_steps": 2}))
    for _ in range(2):
        model.train_step({"video": pixels(4, 2, 1, 2, 1)})
    values = [value.ravel() for each in draws for value in each.values()]
    firsts = [value[0] for value in values]
    assert len(set(firsts)) == len(firsts) == 2 * 2 * (2 + 2 + 2)


def test_images_get_instance_noise_and_the_penalty_too(linear_gan, eagerly):
    model = compiled(linear_gan({"instance_noise_std": (0.5, 0.5), "gradient_penalty": 1.0}))
    model.image_discriminator.seen.clear()
    images = pixels(3, 1, 2, 1)
    model.train_step({"video": pixels(4, 2, 1, 2, 1), "image": images})
    shown, _, _, between = model.image_discriminator.seen[:4]
    assert len(shown) == len(between) == 2 * 4 + 3
    assert (np.abs(shown[-3:] - images) > 1e-6).all()
    assert (np.abs(between[-3:] - shown[-3:]) > 1e-6).all()


# === Networks ===


def test_each_discriminator_has_gradients_of_its_own_weights_alone(linear_gan, sample):
    model = compiled(linear_gan())
    random_inputs = sample.needed_random_inputs(model)

    def gradients():
        batch = {"video": tf.constant(sample.batch["video"])}
        return model.discriminator_step(batch, sample.fakes, random_inputs)[1]

    before = gradients()
    assert {network: len(own) for network, own in before.items()} == {
        IMAGE: 1,
        VIDEO: 1,
    }
    for changed, other in ((IMAGE, VIDEO), (VIDEO, IMAGE)):
        getattr(model, changed).w.assign_add(getattr(model, changed).w + 0.3)
        after = gradients()
        np.testing.assert_array_equal(after[other][0], before[other][0])
        assert (np.abs(after[changed][0] - before[changed][0]) > 1e-4).any()
        before = after


def test_an_update_changes_all_weights_of_its_network_and_no_others(moving_squares):
    keras.utils.set_random_seed(0)
    model = RJGAN.from_preset("debug", **SMALL)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    networks = model.network_variables()
    assert list(networks) == [GENERATOR, IMAGE, VIDEO]
    owned = [id(v) for variables in networks.values() for v in variables]
    assert sorted(owned) == sorted(id(v) for v in model.trainable_variables)
    batch = {"video": tf.constant(moving_squares(4, 2, size=8))}
    for mover in networks:
        for name in networks:
            model.optimizer_of(name).learning_rate.assign(RATE if name == mover else 0.0)
        start = {name: [v.numpy() for v in variables] for name, variables in networks.items()}
        model.train_step(batch)
        for name, variables in networks.items():
            for variable, before in zip(variables, start[name], strict=True):
                assert (variable.numpy() != before).any() == (name == mover), variable.path


def test_a_step_iterates_the_spectra_once_after_the_update(moving_squares):
    keras.utils.set_random_seed(0)
    model = RJGAN.from_preset("debug", **SMALL)
    compiled(model, rate=0.1)
    layers = [*model.image_discriminator.convolutions, model.image_discriminator.output_layer]
    for layer in layers:  # a new model is normalised already
        kernel = layer.normalized_kernel().numpy()
        norm = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
        assert norm == pytest.approx(1.0, abs=0.02)
    before = [layer.singular.numpy().astype("float64") for layer in layers]
    model.train_step({"video": tf.constant(moving_squares(4, 2, size=8))})
    for layer, u in zip(layers, before, strict=True):
        kernel = layer.kernel.numpy().astype("float64")  # as the step left it
        matrix = kernel.reshape(-1, kernel.shape[-1])
        v = matrix @ u
        expected = matrix.T @ v / np.linalg.norm(matrix.T @ v)
        np.testing.assert_allclose(layer.singular.numpy(), expected, atol=1e-5)
        if len(u) > 1:  # of a single output there is but one direction
            assert np.abs(expected - u / np.linalg.norm(u)).max() > 1e-3


# === Compiling ===


def test_one_optimizer_is_copied_to_every_network(linear_gan):
    model = linear_gan()
    model.compile(keras.optimizers.Adam(0.25, beta_1=0.3))
    optimizers = [model.optimizer_of(network) for network in model.network_variables()]
    assert len({id(optimizer) for optimizer in optimizers}) == 3
    assert optimizers[0] is model.optimizer
    for optimizer, size in zip(optimizers, (1, 2, 4), strict=True):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (float(optimizer.learning_rate), optimizer.beta_1) == (0.25, 0.3)
        assert sum(v.shape.num_elements() for v in optimizer._momentums) == size


@pytest.mark.parametrize(
    "names", [(GENERATOR, IMAGE), (GENERATOR, IMAGE, VIDEO, "other"), ("model",), ()]
)
def test_optimizers_of_too_few_or_unknown_networks_are_refused(linear_gan, names):
    with pytest.raises(ValueError, match=f"one to each of {GENERATOR}, {IMAGE}, {VIDEO}") as error:
        linear_gan().compile(dict.fromkeys(names, "sgd"))
    assert "\n" not in str(error.value)
    assert ", ".join(names) in str(error.value)


def test_compile_arguments_of_several_networks_round_trip(linear_gan):
    model = linear_gan()
    rates = {GENERATOR: 0.5, IMAGE: 0.25, VIDEO: 0.125}
    optimizers = {name: keras.optimizers.SGD(rate) for name, rate in rates.items()}
    model.compile(optimizers, jit_compile=False, clip_norm=2.0, seed=9)
    restored = linear_gan()
    restored.compile_from_config(model.get_compile_config())
    assert restored.get_compile_config() == model.get_compile_config()
    for name, rate in rates.items():
        assert float(restored.optimizer_of(name).learning_rate) == rate


def test_in_float16_every_network_has_its_loss_scaled_and_trains_the_same(linear_gan, precision):
    clips, ways = pixels(4, 2, 1, 2, 1), []
    for policy in ("float32", "mixed_float16"):
        precision(policy)
        model = compiled(linear_gan(), clip_norm=1.0)
        model.train_step({"video": clips})
        ways.append(weights_of(model))
        scaled = [model.optimizer_of(network) for network in model.network_variables()]
        kinds = {isinstance(o, keras.optimizers.LossScaleOptimizer) for o in scaled}
        assert kinds == {policy == "mixed_float16"}
    for full, half in zip(*ways, strict=True):
        np.testing.assert_allclose(half, full, atol=1e-5)
    assert len({id(optimizer) for optimizer in scaled}) == 3
    assert [int(optimizer.inner_optimizer.iterations.numpy()) for optimizer in scaled] == [1, 1, 1]


@pytest.mark.parametrize("network", [GENERATOR, IMAGE, VIDEO])
def test_the_gradients_of_each_network_are_clipped_by_themselves(linear_gan, network):
    clips, moves = pixels(4, 2, 1, 2, 1) + 0.5, {}
    for clip_norm in (None, 1e-3):
        model = linear_gan()
        rates = {name: RATE if name == network else 0.0 for name in (GENERATOR, IMAGE, VIDEO)}
        optimizers = {name: keras.optimizers.SGD(rate) for name, rate in rates.items()}
        model.compile(optimizers, jit_compile=False, clip_norm=clip_norm)
        start = np.concatenate(weights_of(model))
        model.train_step({"video": clips})
        moves[clip_norm] = np.concatenate(weights_of(model)) - start
    norm = np.linalg.norm(moves[None])
    assert norm > 0.01
    np.testing.assert_allclose(moves[1e-3], moves[None] / norm * RATE * 1e-3, atol=2e-7)


# === Resuming and evaluating ===


def test_two_fits_of_a_step_are_one_fit_of_two_to_the_bit(moving_squares):
    videos = moving_squares(8, 2, size=8)
    model = RJGAN.from_preset("debug", **SMALL)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False, seed=5)
    optimizers = [model.optimizer_of(network) for network in model.network_variables()]
    state = [*model.weights, *(v for optimizer in optimizers for v in optimizer.variables)]
    start, ends = [v.numpy() for v in state], []
    for parts in ([videos], [videos[:4], videos[4:]]):
        for variable, value in zip(state, start, strict=True):
            variable.assign(value)
        for part in parts:
            model.fit({"video": part}, batch_size=4, shuffle=False, verbose=0)
        ends.append([v.numpy() for v in state])
    for variable, before, one, other in zip(state, start, *ends, strict=True):
        np.testing.assert_array_equal(one, other)
        if (
            "rate" not in variable.path
            and variable is not model.image_discriminator.output_layer.singular
        ):
            assert (one != before).any(), variable.path
    assert int(model.steps_taken.numpy()) == 2


def test_evaluation_changes_no_weight_and_uses_the_end_of_the_schedules(linear_gan):
    logs = []
    for start, penalty in ((5.0, 10.0), (3.0, 20.0)):
        schedule = {"instance_noise_std": (start, 0.0), "instance_noise_steps": 9}
        model = compiled(linear_gan({"gradient_penalty": penalty, **schedule}))
        before = weights_of(model)
        data = {"video": pixels(4, 2, 1, 2, 1)}
        logs.append(model.evaluate(data, batch_size=4, verbose=0, return_dict=True))
        for one, other in zip(before, weights_of(model), strict=True):
            np.testing.assert_array_equal(one, other)
        assert int(model.steps_taken.numpy()) == 0
    assert set(logs[0]) == set(model.term_names)
    assert logs[1] == pytest.approx(logs[0], rel=1e-6)


# === Replicas ===


@pytest.mark.parametrize("categories", [0, 2], ids=["image prior", "categories"])
def test_two_replicas_equal_one_replica_with_the_whole_batch(
    linear_gan, strategy_of, monkeypatch, categories
):
    def same_in_every_row(shapes, batch, key):
        rows = {name: tf.random.stateless_normal([1, *s], [1, 2]) for name, s in shapes.items()}
        return {name: tf.repeat(row, batch, axis=0) for name, row in rows.items()}

    monkeypatch.setattr(gan, "draw_noise", same_in_every_row)
    objective = {"gradient_penalty": 1.0, "r1_weight": 1.0}
    clips, images, results = pixels(8, 2, 1, 2, 1), pixels(8, 1, 2, 1, seed=1), []
    labels = [0, 1, -1, 1, -1, -1, 0, -1]  # of the second batch, one replica sees no known one
    for replicas in (1, 2):
        with strategy_of(replicas).scope():
            model = compiled(linear_gan(objective, categories=categories), rate=0.2, clip_norm=2.0)
        start = weights_of(model)
        rows = {"video": clips, "image": images, "label": labels}
        data = tf.data.Dataset.from_tensor_slices(rows)
        logs = model.fit(data.batch(4, drop_remainder=True), verbose=0).history
        results.append((weights_of(model), logs))
    (one, one_logs), (two, two_logs) = results
    for first, second, before in zip(one, two, start, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
        assert np.abs(first - before).max() > 0.01
    for name in model.term_names:
        np.testing.assert_allclose(one_logs[name], two_logs[name], rtol=1e-4)
