import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasvid import losses
from kerasvid.models.base.video_generator import as_pixels
from kerasvid.models.navsynth import OBJECTIVE, Navsynth

PAIRS = {"static_by": "identity", "transient_by": "label", "identities": 3, "classes": 4}


def make_model(**overrides):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (16, 16, 3), "videos": 5}
    return Navsynth.from_preset("debug", **{**sizes, **overrides})


@pytest.fixture(scope="module")
def model():
    """A model of 8 frames that tests may read, not train."""
    return make_model()


@pytest.fixture(scope="module")
def shared():
    """A model whose static code all videos share, likewise."""
    return make_model(static_by="shared")


@pytest.fixture(scope="module")
def pairs():
    """A model of 3 identities and 4 actions that tests may read, not train."""
    return make_model(**PAIRS, conditional=True)


@pytest.fixture(scope="module")
def labelled():
    """A model whose codes are by video and whose generator takes one of 4 labels; likewise."""
    return make_model(classes=4, conditional=True)


def one_line(error):
    return "\n" not in str(error.value)


def terms_of(model, video, codes, noise):
    """The terms of a training step, `[B]` each."""
    batch = {"video": video, "codes": codes, "label": None}
    return model.compute_losses(batch, noise, tf.constant(0.0), training=True)[0]


# === The objective ===


def test_the_loss_is_equation_six(model, moving_squares):
    video = tf.cast(moving_squares(2, 8), tf.float32) / 127.5 - 1.0
    rows = tf.constant([4, 1])
    codes = {"static": model.static_codes(rows), "transient": model.transient_codes(rows)}
    noise = tf.random.stateless_normal([2, 8], [1, 2])
    terms = terms_of(model, video, codes, {"static_frame": noise})

    outputs = model.motion_output(model.motion(codes["transient"]))
    frames = [model.decoder(tf.concat([codes["static"], outputs[:, t]], axis=-1)) for t in range(8)]
    decoded = tf.stack(frames, axis=1)
    by_frame = losses.pyramid_loss(video, decoded, 2).numpy()
    reconstruction = by_frame.mean(axis=1)
    static = [by_frame[i, t] for i, t in enumerate(noise.numpy().argmax(axis=1))]
    triplet = losses.triplet_loss(outputs, 2.0, 2, 2).numpy()
    np.testing.assert_allclose(terms["reconstruction_loss"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(terms["static_loss"], static, rtol=1e-4)
    np.testing.assert_allclose(terms["triplet_loss"], triplet, rtol=1e-4)
    expected = reconstruction + 0.01 * np.array(static) + 0.01 * triplet
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)


def test_a_step_decodes_some_frames_and_the_triplets_see_all(model, moving_squares):
    some = Navsynth.from_config({**model.get_config(), "decoded_frames": 3})
    some.set_weights(model.get_weights())
    assert model.training_noise_shapes(8) == {"static_frame": (8,)}
    assert some.training_noise_shapes(8) == {"static_frame": (8,), "decoded_frames": (8,)}
    assert some.training_noise_shapes(3) == {"static_frame": (3,)}

    video = tf.cast(moving_squares(2, 8), tf.float32) / 127.5 - 1.0
    rows = tf.constant([4, 1])
    codes = {"static": model.static_codes(rows), "transient": model.transient_codes(rows)}
    frame, order = (tf.random.stateless_normal([2, 8], [1, seed]) for seed in (2, 3))
    terms = terms_of(some, video, codes, {"static_frame": frame, "decoded_frames": order})
    decoded = model.decoded(model.latents_of(codes, None))
    by_frame = losses.pyramid_loss(video, decoded, 2).numpy()
    chosen = np.argsort(order, axis=1)[:, :3]
    by_frame = np.take_along_axis(by_frame, chosen, axis=1)  # [B, 3]
    np.testing.assert_allclose(terms["reconstruction_loss"], by_frame.mean(axis=1), rtol=1e-4)
    expected = [by_frame[i, t] for i, t in enumerate(frame.numpy()[:, :3].argmax(axis=1))]
    np.testing.assert_allclose(terms["static_loss"], expected, rtol=1e-4)
    whole = terms_of(model, video, codes, {"static_frame": frame})
    np.testing.assert_allclose(terms["triplet_loss"], whole["triplet_loss"], rtol=1e-5)


def test_networks_take_scaled_codes_and_tables_hold_them_in_the_ball(model):
    scaled = Navsynth.from_config({**model.get_config(), "scaled_codes": True})
    scaled.set_weights(model.get_weights())
    static, transient = (
        model.static_codes(tf.constant([2])),
        model.transient_codes(tf.constant([2])),
    )
    assert np.linalg.norm(static) <= 1.0 + 1e-6
    larger = {"static": 8**0.5 * static, "transient": 4**0.5 * transient}
    seen = scaled.latents_of({"static": static, "transient": transient}, None)
    np.testing.assert_allclose(seen, model.latents_of(larger, None), rtol=1e-5, atol=1e-6)
    shown = as_pixels(model.decode(model.latents_of(larger, None)))
    difference = np.abs(scaled.recall(index=[2]).astype(int) - shown)
    assert difference.max() <= 1
    assert (scaled.exchange([2], [2]) == scaled.recall(index=[2])).all()


def test_an_evaluation_decodes_all_frames(model, moving_squares):
    batch = {"video": tf.constant(moving_squares(2, 8)), "index": tf.constant([4, 1])}
    found = []
    for count in (None, 2):
        same = Navsynth.from_config({**model.get_config(), "decoded_frames": count})
        same.set_weights(model.get_weights())
        same.compile("adam", jit_compile=False, run_eagerly=True)
        found.append(same.test_step(batch))
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-5)


def test_the_triplet_loss_reaches_the_recurrent_network_alone(model, moving_squares):
    video = tf.cast(moving_squares(1, 8), tf.float32) / 127.5 - 1.0
    codes = {
        "static": model.static_codes(tf.constant([0])),
        "transient": model.transient_codes(tf.constant([0])),
    }
    with tf.GradientTape() as tape:
        tape.watch(codes)
        loss = terms_of(model, video, codes, {"static_frame": tf.zeros([1, 8])})["triplet_loss"]
    networks = model.network_variables()
    sources = {"generator": networks["generator"], "recurrent": networks["recurrent"], **codes}
    gradients = tape.gradient(loss, sources)
    assert all(each is None for each in gradients["generator"]) and gradients["static"] is None
    assert all(each is not None for each in gradients["recurrent"])
    assert gradients["transient"] is not None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"objective": {"margn": 1.0}}, r"no 'margn': did you mean 'margin'"),
        (
            {"objective": {"levels": 2, "margin": -1.0}},
            r"objective.margin=-1.0 must be a number, 0 or more",
        ),
        (
            {"objective": {"levels": 2, "margin": float("nan")}},
            r"objective.margin=nan must be a number, 0 or",
        ),
        ({"objective": {"levels": 2.0}}, r"objective.levels=2.0 must be an integer, 1 or more"),
        (
            {"objective": {"levels": 2, "positive_range": 0}},
            r"objective.positive_range=0 must be an integer, 1 or more",
        ),
        ({"videos": 0}, r"videos=0 must be 1 or more: use a data set"),
        ({"videos": None}, r"videos=None must be 1 or more: use a data set"),
        ({"frames": 3}, r"Clips of 3 frames have no triplets"),
        ({"rank": 9}, r"rank=9 must be from 1 to 4, or None"),
        ({"static_by": "person"}, r"static_by='person'"),
        ({"static_by": "identity"}, r"identities=0 must be 1 or more: .* a known identity"),
        ({"conditional": True}, r"classes=0 must be 1 or more: .* a known label"),
    ],
)
def test_invalid_arguments_raise_one_line(overrides, message):
    with pytest.raises(ValueError, match=message) as error:
        make_model(**overrides)
    assert one_line(error)


# === Learned codes ===


def test_recalling_is_decoding_the_rows(model):
    videos = model.recall(index=[3, 0])
    again = model.recall(index=[0], identity=[7], label=[9])
    assert videos.shape == (2, 8, 16, 16, 3) and videos.dtype == np.uint8
    assert np.abs(videos[1:].astype(int) - again).max() <= 1


def test_pairs_are_recalled_by_identity_and_action(pairs):
    recalled = pairs.recall(identity=[2, 0], label=[1, 3])
    np.testing.assert_array_equal(recalled, pairs.exchange(identity=[2, 0], action=[1, 3]))


def test_an_exchange_keeps_the_static_code_and_takes_the_motion(model):
    codes = model.learned_codes()
    latents = model.joined(
        tf.constant(codes["static"][[1]]), model.outputs(tf.constant(codes["transient"][[4]]))
    )
    expected = np.round((model.decode(latents).numpy() + 1.0) * 127.5)
    difference = model.exchange(identity=[1], action=[4]).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_an_exchange_takes_the_label_where_codes_are_by_video(model, pairs, labelled):
    shown = labelled.exchange(identity=[2, 3], action=[2, 3], label=[1, 0])
    np.testing.assert_array_equal(shown, labelled.recall(index=[2, 3], label=[1, 0]))
    assert (shown != labelled.recall(index=[2, 3], label=[0, 1])).any()
    with pytest.raises(
        ValueError,
        match=r"^label is missing. The generator is conditional: give a label for each action",
    ) as error:
        labelled.exchange(identity=[2], action=[3])
    assert one_line(error)
    with pytest.raises(ValueError, match=r"label=\[4\] must be integers from 0 to 3"):
        labelled.exchange(identity=[2], action=[3], label=[4])
    with pytest.raises(ValueError, match=r"identity 1, action 1, label 2\): give as many"):
        labelled.exchange(identity=[2], action=[3], label=[0, 1])
    # Ignored where the generator is not conditional; known where codes are by label.
    np.testing.assert_array_equal(model.exchange([1], [4], label=[-1]), model.exchange([1], [4]))
    np.testing.assert_array_equal(
        pairs.exchange([1, 0], [3, 2], label=[3, 2]), pairs.exchange([1, 0], [3, 2])
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.recall(identity=[0]), r"Give index, by which the codes are looked up"),
        (lambda m: m.recall(index=[5]), r"index=\[5\] must be integers from 0 to 4"),
        (lambda m: m.recall(index=[0.5]), r"index=\[0.5\] must be integers from 0 to 4"),
        (lambda m: m.exchange([0, 1], [0]), r"identity 2, action 1\): give as many"),
        (lambda m: m.interpolate_frames(3, 3, 1, index=[0]), r"first=3 and last=3 must be frames"),
        (lambda m: m.interpolate_frames(0, 3, 0, index=[0]), r"count=0 must be at least 1"),
        (
            lambda m: m.interpolate_frames(0, 3, 1, space="code", index=[0]),
            r"space='code' must be 'outputs' or 'codes'",
        ),
        (lambda m: m.generate(1, frames=9), r"frames=9: .* at most 8 frames"),
        (lambda m: m.generate_learned(0), r"batch=0 must be at least 1"),
    ],
)
def test_missing_rows_and_frames_raise_one_line(model, ask, message):
    with pytest.raises(ValueError, match=message) as error:
        ask(model)
    assert one_line(error)


def test_intermediate_frames_are_between_two_outputs(model):
    outputs = model.outputs(model.transient_codes(tf.constant([2]))).numpy()[0]
    ways = [outputs[1] + share * (outputs[4] - outputs[1]) for share in (0.25, 0.5, 0.75)]
    latents = model.joined(model.static_codes(tf.constant([2])), tf.constant(np.array([ways])))
    expected = np.round((model.decode(latents).numpy() + 1.0) * 127.5)
    difference = model.interpolate_frames(1, 4, 3, index=[2]) - expected
    assert difference.shape == (1, 3, 16, 16, 3) and np.abs(difference).max() <= 1


def test_codes_between_two_codes_follow_the_codes_before_them(model, monkeypatch):
    codes = model.learned_codes()
    static, path = codes["static"][2], codes["transient"][2]
    between = [path[1] + share * (path[4] - path[1]) for share in (0.25, 0.5, 0.75)]
    sequence = np.concatenate([path[:2], between, path[4:]])
    outputs = model.outputs(tf.constant(sequence[None])).numpy()[0]
    expected = [[*static, *output] for output in outputs[2:5]]
    shown = []
    monkeypatch.setattr(model, "pixels", lambda latents: shown.append(latents.numpy()))
    for space in ("codes", "outputs"):
        model.interpolate_frames(1, 4, 3, space=space, index=[2])
    np.testing.assert_allclose(shown[0], [expected], atol=1e-6)
    assert np.abs(shown[1] - shown[0]).max() > 1e-3


def test_many_intermediate_frames_begin_and_end_near_their_frames(model):
    between = model.interpolate_frames(2, 6, 999, index=[0]).astype(int)
    ends = model.recall(index=[0])[:, [2, 6]]
    assert np.abs(between[:, [0, -1]] - ends).max() <= 1


def test_random_pairs_of_learned_codes_depend_on_the_seed(model, pairs):
    for each in (model, pairs):
        videos = each.generate_learned(4, seed=1)
        assert videos.shape == (4, 8, 16, 16, 3)
        np.testing.assert_array_equal(videos, each.generate_learned(4, seed=1))
        assert (videos != each.generate_learned(4, seed=2)).any()


def test_random_rows_do_not_depend_on_the_batch(model):
    alone = model.generate_learned(2, seed=-1).astype(int)
    assert np.abs(model.generate_learned(5, seed=-1)[:2] - alone).max() <= 1


def test_codes_without_training_videos_are_not_drawn():
    model = make_model(**{**PAIRS, "identities": 30})
    trained = {"static": [4, 17], "transient": [0, 3]}
    for name, rows in trained.items():
        table = model.tables()[name]
        table.descend(tf.constant(rows), 0.1 * table(tf.constant(rows)), 1.0, 0.0)
    seen = model.recall(identity=[4, 4, 17, 17], label=[0, 3, 0, 3]).astype(int)
    for video in model.generate_learned(12, seed=1).astype(int):
        assert np.abs(seen - video).max(axis=(1, 2, 3, 4)).min() <= 1
    start = model.encode(model.generate_learned(1), steps=0)
    mean = model.static_codes(tf.constant([4, 17])).numpy().mean(axis=0)
    np.testing.assert_allclose(start["static"][0], mean, atol=1e-6)


def test_labels_of_random_videos_do_not_depend_on_the_batch(labelled):
    alone = labelled.generate_learned(3, seed=2).astype(int)
    assert np.abs(labelled.generate_learned(9, seed=2)[:3] - alone).max() <= 1


def test_shorter_clips_are_the_start_of_longer_ones(model):
    whole = model.generate(2, seed=3)[:, :5].astype(int)
    assert np.abs(model.generate(2, frames=5, seed=3) - whole).max() <= 1


@pytest.mark.parametrize("rank", [None, 2])
def test_frames_lie_between_codes_where_the_rank_bounds_them(rank):
    model = make_model(rank=rank)
    space = "codes" if rank else "outputs"
    expected = model.interpolate_frames(1, 4, 3, space=space, index=[2])
    np.testing.assert_array_equal(model.interpolate_frames(1, 4, 3, index=[2]), expected)


# === A static code for the whole training set ===


def test_all_videos_share_one_static_code(shared, moving_squares):
    assert shared.static_codes.codes.shape == (1, 8)
    assert Navsynth.code_keys({"static_by": "shared", "transient_by": "index"}) == {"index"}
    video = {"video": moving_squares(5, 8), "index": np.arange(5)}
    batch, rows = shared.batch_and_rows(video, training=True)
    assert rows["static"].numpy().tolist() == [0] * 5
    np.testing.assert_array_equal(
        batch["codes"]["static"], np.repeat(shared.static_codes.codes, 5, 0)
    )
    assert shared.recall(index=[1, 2]).shape == (2, 8, 16, 16, 3)
    assert set(shared.noise_shapes(8)) == {"index"}
    codes = shared.codes(shared.sample_noise(3, seed=1))[..., :8]
    np.testing.assert_allclose(
        codes, np.broadcast_to(shared.static_codes.codes, (3, 8, 8)), atol=1e-6
    )
    shown = shared.exchange(identity=[0, 0], action=[1, 2])
    np.testing.assert_array_equal(shown, shared.recall(index=[1, 2]))


def test_rows_of_a_shared_code_exist_in_graphs_too(shared):
    rows = tf.function(lambda: shared.checked_rows("shared", tf.constant([0, 0])))()
    assert rows.numpy().tolist() == [0, 0]
    with pytest.raises(ValueError, match="All codes are shared: all videos would be the same"):
        make_model(static_by="shared", transient_by="shared")


def test_the_schedule_of_the_rnn_is_in_steps_though_it_has_two_updates():
    training = Navsynth.TRAINING["base"]
    model = make_model(triplet_step=True)
    made = training.make_optimizers(["generator", "recurrent"], model.updates_per_step())
    rates = [made[name]._learning_rate for name in ("generator", "recurrent")]
    for step in (50, 1_000, 4_000):
        assert float(rates[1](2 * step)) == pytest.approx(float(rates[0](step)), rel=2e-2)
    assert make_model().updates_per_step() == {}


def test_a_shared_code_learns_from_all_videos(moving_squares):
    model = make_model(static_by="shared")
    model.compile("adam", code_rate=1.0, jit_compile=False)
    before = model.static_codes.codes.numpy()
    model.fit({"video": moving_squares(5, 8), "index": np.arange(5)}, verbose=0)
    assert (model.static_codes.codes.numpy() != before).all()
    assert (model.generate(3, seed=1)[0] != model.generate(3, seed=1)[1]).any()


# === New codes ===


def test_new_codes_of_an_untrained_model_are_drawn_as_the_first_ones_were():
    model = make_model(videos=4000)
    assert model.noise_shapes(8) == {"index": (8 + 8 * 4,)}
    codes = model.codes(model.sample_noise(4000, seed=3)).numpy()[:, 0, :8]
    first = model.static_codes.codes.numpy()
    assert np.linalg.norm(codes, axis=1).max() <= 1.0 + 1e-5
    np.testing.assert_allclose(codes.std(axis=0), first.std(axis=0), rtol=0.08)
    np.testing.assert_allclose(codes.mean(axis=0), 0.0, atol=0.03)


def test_codes_at_rate_zero_stay_and_so_does_their_distribution(moving_squares):
    model = make_model()
    before, shapes = model.learned_codes(), model.noise_shapes(8)
    model.compile("adam", code_rate=0.0, jit_compile=False)
    weights = model.decoder.get_weights()
    model.fit({"video": moving_squares(5, 8), "index": np.arange(5)}, epochs=2, verbose=0)
    for name, codes in model.learned_codes().items():
        np.testing.assert_array_equal(codes, before[name])
    assert any((a != b).any() for a, b in zip(weights, model.decoder.get_weights(), strict=True))
    assert model.priors == {} and model.noise_shapes(8) == shapes


def test_samples_follow_codes_that_were_trained_since(moving_squares):
    model = make_model()
    before = model.generate(2, seed=1)
    model.compile("adam", code_rate=5.0, jit_compile=False)
    drawn = []  # in the course of training, too
    show = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: drawn.append(model.generate(2, seed=1))
    )
    batch = {"video": moving_squares(5, 8), "index": np.arange(5)}
    model.fit(batch, epochs=2, verbose=0, callbacks=[show])
    assert (model.generate(2, seed=1) != before).any() and (drawn[0] != before).any()
    codes = model.static_codes.codes.numpy()
    np.testing.assert_allclose(model.priors["index"].mean[:8], codes.mean(axis=0), atol=1e-6)


def test_encoding_finds_codes_of_a_generated_video(model):
    shown = model.exchange(identity=[1, 3], action=[2, 0])
    before = model.learned_codes()
    weights = [weight.numpy() for weight in model.weights]  # networks, momentum and counters, too
    start = model.decode(model.encode(shown, steps=0)["codes"])
    found = model.encode(shown, steps=200)
    target = shown / 127.5 - 1.0
    errors = [np.mean((np.asarray(v) - target) ** 2) for v in (start, model.decode(found["codes"]))]
    assert errors[1] < 0.2 * errors[0]
    assert np.linalg.norm(found["transient"], axis=-1).max() <= 1.0 + 1e-5
    for name, codes in model.learned_codes().items():
        np.testing.assert_array_equal(codes, before[name])
    for weight, old in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_codes_of_new_videos_are_of_the_rank_of_the_learned_ones(moving_squares):
    found = make_model(rank=2).encode(moving_squares(2, 8), steps=3)["transient"].numpy()
    assert list(np.linalg.matrix_rank(found, tol=1e-5)) == [2, 2]


def test_a_conditional_generator_needs_labels(pairs, moving_squares):
    videos = moving_squares(2, 8)
    with pytest.raises(ValueError, match="give a label for each video"):
        pairs.encode(videos, steps=1)
    assert pairs.encode(videos, steps=1, label=[0, 3])["codes"].shape == (2, 8, 8 + 4 + 4)


def test_a_conditional_generator_reconstructs_and_swaps_by_label(
    pairs, moving_squares, monkeypatch
):
    videos, label = moving_squares(2, 8), [0, 3]
    monkeypatch.setattr(pairs, "encode", functools.partial(pairs.encode, steps=3))
    codes = pairs.encode(videos, label=label)
    expected = np.round((pairs.decode(codes["codes"]).numpy() + 1.0) * 127.5)
    for shown in (
        pairs.reconstruct(videos, label=label),
        pairs.swap(videos, videos, label=label),
    ):
        assert shown.shape == (2, 8, 16, 16, 3) and np.abs(shown - expected).max() <= 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([99, 0], r"label=\[99, 0\] must be integers from 0 to 3"),
        ([0], r"Different numbers of videos \(videos 2, label 1\)"),
    ],
)
def test_labels_that_do_not_fit_raise_one_line(pairs, moving_squares, label, message):
    with pytest.raises(ValueError, match=message) as error:
        pairs.encode(moving_squares(2, 8), steps=1, label=label)
    assert one_line(error)


# === Presets ===

# Table 2 of the supplement, by data set: D_s, D_t, lambda_s, lambda_t, alpha, the rates of G, R and
# the codes, epochs of gamma and of (z, theta), l.
TABLE_2 = {
    "paper": (206, 50, 0.01, 0.01, 2, 6.25e-5, 6.25e-5, 12.5, 5, 300, 4),  # Chair-CAD
    "weizmann": (56, 200, 0.01, 0.1, 2, 6.25e-5, 6.25e-3, 12.5, 5, 700, 3),
    "golf": (56, 200, 0.01, 0.01, 2, 0.1, 0.1, 12.5, 10, 1000, 4),
}
VIDEOS = {"paper": 1476, "weizmann": 80, "golf": 500}


def sizes_of(name):
    return {**Navsynth.hyperparameters(), **Navsynth.PRESETS[name]}


@pytest.mark.parametrize("name", VIDEOS)
def test_published_steps_are_the_passes_of_the_release(name):
    training, (passes, updates) = Navsynth.TRAINING[name], TABLE_2[name][8:10]
    assert (training.batch_size, training.batch_repeats) == (1, updates)
    assert training.steps == passes * updates * VIDEOS[name]


@pytest.mark.parametrize("name", TABLE_2)
def test_published_presets_have_the_published_numbers(name):
    sizes, training = sizes_of(name), Navsynth.TRAINING[name]
    objective = {**OBJECTIVE, **(sizes["objective"] or {})}
    optimizers = training.make_optimizers(["generator", "recurrent"])
    codes = training.code_arguments()
    for step in (0, 10_000):  # constant rates
        rates = [float(optimizer._learning_rate(step)) for optimizer in optimizers.values()]
        found = (
            sizes["static_dim"], sizes["transient_dim"], objective["static_weight"],
            objective["triplet_weight"], objective["margin"], *rates,
            float(codes["code_rate"](step)), objective["levels"],
        )  # fmt: skip
        assert found == pytest.approx((*TABLE_2[name][:8], TABLE_2[name][10]), rel=1e-6)
    for optimizer in optimizers.values():
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.999, 1e-8)
        assert not optimizer.use_ema
    assert codes["code_momentum"] == 0.9
    # Alpha is the range of positives, too, and what is beyond it is negative.
    assert objective["positive_range"] == objective["negative_range"] == 2
    assert (sizes["image_shape"], sizes["frames"], sizes["units"]) == ((64, 64, 3), 16, 500)
    assert (sizes["rank"], sizes["decoded_frames"], sizes["scaled_codes"]) == (None, None, False)
    assert (sizes["stages"], sizes["triplet_step"]) == (None, True)  # as the release trains


def test_weizmann_has_a_static_code_a_person_and_transient_codes_an_action():
    sizes = sizes_of("weizmann")
    assert (sizes["static_by"], sizes["identities"]) == ("identity", 9)
    assert (sizes["transient_by"], sizes["classes"]) == ("label", 10)
    assert sizes["conditional"] and sizes["videos"] == VIDEOS["weizmann"]
    assert (Navsynth.TRAINING["weizmann"].pick, Navsynth.TRAINING["paper"].pick) == (
        "window",
        "start",
    )
