import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid.models.base.trainer import draw_noise, replica_key
from kerasvid.models.navsynth import Navsynth

STAGES = {"network": 2, "codes": 3}


def make_model(**overrides):
    """A small model of three videos, of 3 epochs' updates a stage at most."""
    keras.utils.set_random_seed(0)
    small = {"image_shape": (8, 8, 3), "frames": 4, "videos": 4}
    decoder = {"dense_units": (), "seed_channels": 8, "channels": (8,), "upsampling": (2,),
               "patch": 2}  # fmt: skip
    return Navsynth.from_preset("debug", **{**small, "decoder": decoder, **overrides})


def batch_of(videos, rows=None):
    rows = np.arange(len(videos)) if rows is None else np.asarray(rows)
    return {"video": videos, "index": rows, "identity": rows, "label": rows}


def state_of(model):
    """Every number of the codes, the generator and the recurrent network."""
    networks = model.network_variables()
    tables = model.tables().values()
    return {
        "codes": [v.numpy() for table in tables for v in (table.codes, table.momentum)],
        "generator": [v.numpy() for v in networks["generator"]],
        "recurrent": [v.numpy() for v in networks["recurrent"]],
    }


def changed(before, after):
    return {
        name
        for name in before
        if any((a != b).any() for a, b in zip(before[name], after[name], strict=True))
    }


@pytest.fixture
def clips(moving_squares):
    """uint8 `[4, 4, 8, 8, 3]`."""
    return moving_squares(4, 4, size=8)


def test_a_joint_step_moves_networks_and_codes(clips):
    model = make_model()
    model.compile("sgd", code_rate=1.0, jit_compile=False)
    before = state_of(model)
    model.fit(batch_of(clips), verbose=0)
    assert changed(before, state_of(model)) == {"codes", "generator", "recurrent"}


def test_the_triplet_loss_takes_a_step_of_its_own(clips):
    objective = {"levels": 2, "static_weight": 0.1, "triplet_weight": 0.3}
    model = make_model(objective=objective, triplet_step=True)
    networks = {"generator": keras.optimizers.SGD(0.05), "recurrent": keras.optimizers.SGD(0.02)}
    model.compile(networks, code_rate=0.2, code_momentum=0.5, jit_compile=False)
    model.fit(tf.data.Dataset.from_tensors(batch_of(clips)), verbose=0)
    trained = state_of(model)

    other = make_model(objective=objective)  # the same weights
    video = tf.cast(clips, tf.float32) / 127.5 - 1.0
    key = replica_key(model._noise_seed, tf.constant(0))
    noise = draw_noise(model.training_noise_shapes(4), 4, key)
    momentum = {name: 0.0 for name in other.tables()}
    for of_triplet in (False, True):
        codes = {name: table.codes.value for name, table in other.tables().items()}
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(codes)
            batch = {"video": video, "codes": codes, "label": None}
            terms, _ = other.compute_losses(batch, noise, tf.constant(0.0), training=True)
            loss = 0.3 * terms["triplet_loss"]
            if not of_triplet:
                loss = terms["reconstruction_loss"] + 0.1 * terms["static_loss"]
            loss = tf.reduce_mean(loss)
        of_networks = other.network_variables()
        for name, rate in (("generator", 0.05), ("recurrent", 0.02)):
            if name == "recurrent" or not of_triplet:
                gradients = tape.gradient(loss, of_networks[name], unconnected_gradients="zero")
                for variable, gradient in zip(of_networks[name], gradients, strict=True):
                    variable.assign_sub(rate * gradient)
        for name, table in other.tables().items():
            gradient = tape.gradient(loss, codes[name], unconnected_gradients="zero")
            momentum[name] = 0.5 * momentum[name] + gradient
            table.codes.assign(table.project(codes[name] - 0.2 * momentum[name]))
    by_hand = state_of(other)
    for name in ("generator", "recurrent"):
        for value, expected in zip(trained[name], by_hand[name], strict=True):
            np.testing.assert_allclose(value, expected, atol=2e-6)
    for name, table in model.tables().items():
        expected = other.tables()[name].codes
        np.testing.assert_allclose(table.codes, expected, atol=2e-5)


def test_codes_descend_along_the_gradient_of_the_loss(clips):
    model = make_model(objective={"levels": 2, "static_weight": 0.0, "triplet_weight": 0.3})
    model.compile(keras.optimizers.SGD(0.0), code_rate=0.2, code_momentum=0.5, jit_compile=False)
    static, transient = model.static_codes, model.transient_codes
    video = tf.cast(clips, tf.float32) / 127.5 - 1.0
    with tf.GradientTape() as tape:
        codes = {"static": static.codes.value, "transient": transient.codes.value}
        tape.watch(codes)
        batch = {"video": video, "codes": codes, "label": None}
        noise = {"static_frame": tf.zeros([4, 4])}
        terms, _ = model.compute_losses(batch, noise, tf.constant(0.0), training=True)
        loss = tf.reduce_mean(terms["loss"])
    gradients = tape.gradient(loss, codes)
    expected = {}
    for name, gradient in gradients.items():
        moved = codes[name].numpy() - 0.2 * gradient.numpy()
        norms = np.sqrt(np.sum(moved**2, axis=-1, keepdims=True))
        expected[name] = moved / np.maximum(norms, 1.0)
    model.fit(batch_of(clips), verbose=0)
    for name, table in model.tables().items():
        np.testing.assert_allclose(table.codes, expected[name], atol=1e-6)
        np.testing.assert_allclose(table.momentum, gradients[name], atol=1e-6)


def test_videos_outside_the_batch_keep_their_codes_to_the_bit(clips):
    model = make_model()
    model.compile("adam", code_rate=1.0, jit_compile=False)
    model.fit(batch_of(clips), verbose=0)
    before = [v.numpy() for t in model.tables().values() for v in (t.codes, t.momentum)]
    model.fit(batch_of(clips[:2], [3, 1]), verbose=0)
    after = [v.numpy() for t in model.tables().values() for v in (t.codes, t.momentum)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new[[0, 2]], old[[0, 2]])
        assert (new[[1, 3]] != old[[1, 3]]).any()


@pytest.mark.parametrize(
    ("replicas", "jit_compile"),
    [
        (1, False),
        *(pytest.param(*values, marks=pytest.mark.slow) for values in ((2, False), (1, True))),
    ],
)
def test_each_stage_leaves_the_others_weights_alone(strategy_of, clips, replicas, jit_compile):
    with strategy_of(replicas).scope():
        model = make_model(stages=STAGES)
        model.compile("adam", code_rate=1.0, jit_compile=jit_compile)
    data = tf.data.Dataset.from_tensor_slices(batch_of(clips)).batch(2)  # two steps an epoch
    for epoch in range(7):
        before = state_of(model)
        model.fit(data, verbose=0)
        moved = changed(before, state_of(model))
        network = epoch % 5 < 2
        assert moved == ({"generator"} if network else {"codes", "recurrent"}), epoch


def test_running_statistics_move_with_the_generator_alone(clips):
    decoder = {"dense_units": (), "seed_channels": 4, "channels": (4,), "upsampling": (2,),
               "patch": 2, "normalization": "batch"}  # fmt: skip
    model = make_model(stages={"network": 1, "codes": 1}, decoder=decoder)
    model.compile("adam", code_rate=1.0, jit_compile=False)
    for moves in (True, False):
        before = [v.numpy() for v in model.decoder.non_trainable_variables]
        model.fit(batch_of(clips), verbose=0)
        after = [v.numpy() for v in model.decoder.non_trainable_variables]
        assert len(before) == 4
        assert all((a != b).any() == moves for a, b in zip(before, after, strict=True))


def test_a_saved_model_continues_in_its_stage(clips, tmp_path):
    model = make_model(stages=STAGES)
    model.compile("adam", code_rate=1.0, jit_compile=False)
    model.fit(batch_of(clips), epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    before = state_of(restored)
    restored.fit(batch_of(clips), verbose=0)
    model.fit(batch_of(clips), verbose=0)
    assert changed(before, state_of(restored)) == {"codes", "recurrent"}
    assert not changed(state_of(model), state_of(restored))


def test_two_replicas_that_share_a_row_agree_with_one_and_keep_the_rank(strategy_of, clips):
    shared = {"static_by": "identity", "transient_by": "label", "identities": 2, "classes": 2}
    batch = batch_of(clips, [0, 1, 1, 0])
    data = tf.data.Dataset.from_tensor_slices(batch).batch(4, drop_remainder=True)
    found = []
    for replicas in (1, 2):
        with strategy_of(replicas).scope():
            # The random frame of the static loss is drawn by each replica.
            model = make_model(objective={"levels": 2, "static_weight": 0.0}, rank=2, **shared)
            model.compile(keras.optimizers.SGD(0.1), code_rate=0.5, jit_compile=False)
        model.fit(data, epochs=2, verbose=0)
        found.append(state_of(model))
        ranks = np.linalg.matrix_rank(model.transient_codes.codes.numpy(), tol=1e-5)
        assert list(ranks) == [2, 2]
    for name in found[0]:
        for one, two in zip(found[0][name], found[1][name], strict=True):
            np.testing.assert_allclose(one, two, atol=2e-6)


def test_a_step_holds_nothing_of_the_size_of_the_tables():
    model = make_model(videos=1009, rank=2)  # a prime
    model.compile("adam", code_rate=1.0, jit_compile=False)
    # Not compiled, so that its operations are in the graph.
    model._compiled = {"joint": functools.partial(model.gradients_of_stage, stage="joint")}
    video, index = tf.TensorSpec([3, 4, 8, 8, 3], tf.uint8), tf.TensorSpec([3], tf.int64)
    batch = {"video": video, "index": index}
    graph = tf.function(model.train_step).get_concrete_function(batch).graph
    functions = graph.as_graph_def().library.function
    assert all(function.signature.name.startswith("Assert") for function in functions)
    tensors = [output for node in graph.get_operations() for output in node.outputs]
    sizes = [
        tensor.shape.num_elements()
        for tensor in tensors
        if tensor.dtype != tf.resource and tensor.shape.is_fully_defined()
    ]
    assert 3 * 4 * 4 in sizes and not any(size and size % 1009 == 0 for size in sizes)


@pytest.mark.slow
def test_half_precision_unscales_the_gradient_of_the_codes(clips, precision):
    found = []
    for policy in ("float32", "mixed_float16"):
        precision(policy)
        model = make_model()
        model.compile(keras.optimizers.SGD(0.0), code_rate=0.5, jit_compile=False)
        model.fit(batch_of(clips), epochs=2, verbose=0)
        found.append(model.static_codes.momentum.numpy())
    assert np.abs(found[0] - found[1]).max() < 0.05 * np.abs(found[0]).max()


@pytest.mark.slow
def test_a_stage_of_codes_recovers_from_a_loss_scale_that_is_too_large(clips, precision):
    precision("mixed_float16")
    model = make_model(stages={"network": 1, "codes": 1000})
    model.compile("adam", code_rate=1.0, jit_compile=False)
    model.videos_seen.assign(4)  # the first stage is over
    for network in ("generator", "recurrent"):
        model.optimizer_of(network).dynamic_scale.assign(2.0**40)
    before = state_of(model)
    model.fit(batch_of(clips), epochs=40, verbose=0)
    assert changed(before, state_of(model)) == {"codes", "recurrent"}


# === Invalid batches and arguments ===


@pytest.mark.parametrize(("row", "keys"), [(7, "index"), (-1, "index"), (4, "label")])
def test_rows_without_codes_raise(clips, row, keys):
    own = {"transient_by": "label", "classes": 4} if keys == "label" else {}
    model = make_model(**own)
    model.compile("adam", jit_compile=False, run_eagerly=True)
    before = state_of(model)
    batch = {**batch_of(clips), keys: np.array([0, 1, 2, row])}
    message = f"{keys} of the batch must be from 0 to 3 .* make the model with the"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.fit(batch, verbose=0)
    assert not changed(before, state_of(model))


def test_more_videos_than_stages_count_raise(clips):
    pairs = {"static_by": "identity", "transient_by": "label", "identities": 4, "classes": 4}
    model = make_model(videos=3, stages=STAGES, **pairs)
    model.compile("adam", jit_compile=False)
    before = state_of(model)
    message = r"index of the batch must be from 0 to 2 .*: make the model with the videos of the tr"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.fit(batch_of(clips), verbose=0)
    assert not changed(before, state_of(model))
    model.fit(batch_of(clips[:3]), verbose=0)
    assert changed(before, state_of(model)) == {"generator"}


@pytest.mark.parametrize("videos", [None, 0])
def test_stages_need_the_number_of_videos_that_an_epoch_has(videos):
    pairs = {"static_by": "identity", "transient_by": "label", "identities": 4, "classes": 4}
    message = rf"^videos={videos} must be 1 or more: use a data set whose videos have"
    with pytest.raises(ValueError, match=message) as error:
        make_model(videos=videos, stages=STAGES, **pairs)
    assert "\n" not in str(error.value)


def test_a_conditional_generator_refuses_unknown_labels(clips):
    model = make_model(conditional=True, classes=3)
    batch = {**batch_of(clips), "label": np.array([0, 1, 2, -1])}
    batch["video"] = tf.constant(batch["video"])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"label of the batch must be from 0 to 2"
    ):
        model.batch_and_rows(batch, training=False)


def test_frames_of_another_size_raise_one_line(clips):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match=r"frames are \(8, 8, 1\), .* takes \(8, 8, 3\). Resize"):
        model.fit(batch_of(clips[..., :1]), verbose=0)


def test_stages_need_one_step_per_execution():
    message = r"steps_per_execution=4 must be 1 for a model with stages"
    with pytest.raises(ValueError, match=message):
        make_model(stages=STAGES).compile("adam", steps_per_execution=4)
    make_model().compile("adam", steps_per_execution=4)


def test_batches_without_rows_raise_one_line(clips):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match=r'no "index", by which codes are') as error:
        model.fit(clips, verbose=0)
    assert "\n" not in str(error.value)


def test_clips_of_another_length_raise(clips):
    model = make_model()
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match=r"Clips of 3 frames, but the codes have 4"):
        model.fit(batch_of(clips[:, :3]), verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"code_rate": -0.1}, r"code_rate=-0.1 must be a number, 0 or more, or a schedule"),
        ({"code_rate": "fast"}, r"code_rate='fast' must be a number"),
        ({"code_rate": True}, r"code_rate=True must be"),
        ({"code_rate": float("inf")}, r"code_rate=inf must be"),
        ({"code_rate": {"a": 1}}, r"code_rate=\{'a': 1\} must be"),
        ({"code_momentum": 1.0}, r"code_momentum=1.0 must be at least 0 and less than 1"),
    ],
)
def test_an_invalid_rate_or_momentum_raises_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        make_model().compile("adam", **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"netwrok": 1, "codes": 2}, r"stages={'netwrok': 1, 'codes': 2} must give the epochs"),
        ({"network": 1}, r"epochs of both network and codes"),
        ({"network": 0, "codes": 2}, r"each 1 or more"),
    ],
)
def test_invalid_stages_raise(stages, message):
    with pytest.raises(ValueError, match=message):
        make_model(stages=stages)
