import pytest

from kerasvid.training.devices import PRECISIONS, make_strategy, resolve_precision


def test_a_named_precision_stays_and_auto_is_one_of_them():
    assert resolve_precision("mixed_float16") == "mixed_float16"
    assert resolve_precision("auto") in PRECISIONS


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision='flaot32' is unknown"):
        resolve_precision("flaot32")


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "is not set"),
        ("{", "is not JSON"),
        ("[]", "is not one of the cluster"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "has no 'task'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "has no 'index'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "has no 'ps'"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "is not one of the cluster",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
            "'b' is not an address",
        ),
        (
            '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
            "'a:1' is not an address of its own",
        ),
    ],
)
def test_a_wrong_tf_config_is_refused_in_one_line_with_an_example(monkeypatch, text, fault):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=f"^TF_CONFIG.*{fault}") as error:
        make_strategy("multi_worker")
    assert "\n" not in str(error.value) and '"index": 0}}' in str(error.value)


def test_a_cluster_of_one_worker_is_its_own_devices(monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    )
    monkeypatch.setattr("tensorflow.config.set_logical_device_configuration", lambda *_: None)
    strategy = make_strategy("multi_worker")
    assert type(strategy).__name__ == "MirroredStrategy" and strategy.num_replicas_in_sync == 1
