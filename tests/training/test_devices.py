import json
import os
import pathlib
import subprocess

import kubernetes_validate
import numpy as np
import pytest
import tensorflow as tf
import yaml

from kerasvid.training.devices import (
    PRECISIONS,
    cluster_of,
    make_strategy,
    one_machine_strategy,
    over_devices,
    resolve_precision,
    without_strategy,
)

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_STEP_NODELIST": "node[9-10],gpu1",
    "SLURM_STEP_TASKS_PER_NODE": "2,1(x2)",
}
PODS = {
    "JOB_COMPLETION_INDEX": "1",
    "KERASVID_WORKERS": "2",
    "KERASVID_WORKER_HOST": "train-{}.train",
}


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


# === Rows shared by devices ===


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("rows", [1, 4, 5])
def test_devices_share_rows_and_give_them_back_in_order(strategy_of, replicas, rows):
    seen = []

    def function(numbers, factors):
        seen.append(numbers.shape[0])
        return {"product": numbers * factors[:, 0], "pair": [tf.stack([numbers, numbers], 1)]}

    strategy = strategy_of(replicas)
    with strategy.scope():
        weight = tf.Variable(2.0)
        shared = over_devices(lambda *arrays: function(weight * arrays[0], arrays[1]))
    numbers, factors = np.arange(rows, dtype=np.float32), np.full([rows, 1], 3.0, np.float32)
    for _ in range(2):
        result = shared(numbers, factors)
        np.testing.assert_array_equal(result["product"], 6.0 * numbers)
        np.testing.assert_array_equal(result["pair"][0], np.stack([2.0 * numbers] * 2, 1))
    assert seen == [-(-rows // replicas)] * replicas  # traced once on each device


def test_a_function_without_strategy_runs_on_one_device_and_its_error_is_raised(strategy_of):
    def replicas():
        return tf.distribute.get_strategy().num_replicas_in_sync

    def fail():
        raise KeyError("weights")

    with strategy_of(2).scope():
        assert replicas() == 2 and without_strategy(replicas) == 1
        with pytest.raises(KeyError, match="weights"):
            without_strategy(fail)
    assert without_strategy(replicas) == 1


@pytest.mark.parametrize("name", ["multi_worker", "miror"])
def test_several_machines_do_not_share_rows(name):
    with pytest.raises(ValueError, match=rf"--strategy={name}: use none, mirrored or mirrored:N"):
        one_machine_strategy(name)


# === Clusters ===


def test_the_processes_of_a_slurm_step_are_workers_in_their_order():
    found = json.loads(cluster_of({**SLURM, "KERASVID_PORT": "7000"}))
    hosts = ["node9:7000", "node9:7001", "node10:7000", "gpu1:7000"]
    assert found == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 2}}


def test_the_pods_of_an_indexed_job_are_workers():
    found = json.loads(cluster_of(PODS))
    assert found["cluster"] == {"worker": ["train-0.train:20000", "train-1.train:20000"]}
    assert found["task"] == {"type": "worker", "index": 1}


def test_tf_config_wins_and_without_a_cluster_there_is_none():
    assert cluster_of({**SLURM, **PODS, "TF_CONFIG": "{}"}) == "{}"
    assert cluster_of({"SLURM_JOB_ID": "7"}) == ""  # a job without srun


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({**SLURM, "SLURM_PROCID": "x"}, "SLURM_PROCID='x' must be a whole number"),
        ({**SLURM, "SLURM_PROCID": "4"}, "names 4 workers, but this is number 4 from 0"),
        (
            {**SLURM, "SLURM_STEP_NODELIST": "node[9-"},
            r"'node\[9-'.*: no hosts of a Slurm job step",
        ),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2"}, "no hosts of a Slurm job step. Start it by"),
        ({**PODS, "KERASVID_WORKERS": ""}, "KERASVID_WORKERS='' must be a whole number"),
        ({**PODS, "KERASVID_WORKER_HOST": "train"}, "must be the name of a pod with {} in place"),
        ({**SLURM, "KERASVID_PORT": "65535"}, "KERASVID_PORT=65535: no ports from there on"),
        ({**PODS, "KERASVID_PORT": "-1"}, "KERASVID_PORT='-1' must be a whole number"),
    ],
)
def test_incomplete_variables_of_a_cluster_are_one_line(environment, message):
    with pytest.raises(ValueError, match=message) as error:
        cluster_of(environment)
    assert "\n" not in str(error.value)


def test_the_job_of_kubernetes_is_valid_and_its_pods_find_each_other():
    service, job = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    for each in (service, job):
        kubernetes_validate.validate(each, "1.31", strict=True)
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    found = json.loads(cluster_of({**variables, "JOB_COMPLETION_INDEX": "0"}))
    name, port = job["metadata"]["name"], service["spec"]["ports"][0]["port"]
    domain = service["metadata"]["name"]
    hosts = [f"{name}-{number}.{domain}:{port}" for number in range(spec["completions"])]
    assert found["cluster"]["worker"] == hosts and spec["parallelism"] == spec["completions"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert spec["template"]["spec"]["subdomain"] == domain


@pytest.fixture
def sbatch(tmp_path):
    """A function that runs the batch script where srun ends with a status: the calls of Slurm."""
    calls = tmp_path / "calls"

    def run(status: int, *flags: str) -> tuple[int, list[str], str]:
        for name, end in (("srun", status), ("scontrol", 0)):
            program = tmp_path / name
            program.write_text(
                f'#!/bin/sh\necho "{name} $* $KERASVID_PORT" >> {calls}\nexit {end}\n'
            )
            program.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, "PATH": path, "SLURM_JOB_ID": "123"}
        done = subprocess.run(["bash", DEPLOY / "slurm.sbatch", *flags], env=variables,
                              capture_output=True, text=True)  # fmt: skip
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, lines, done.stderr

    return run


@pytest.mark.parametrize(("status", "queued"), [(0, False), (1, False), (143, True)])
def test_a_slurm_job_that_saved_in_time_is_queued_again(sbatch, status, queued):
    ended, (step, *rest), _ = sbatch(status, "--model=rjvae", "--set", "frames=2")
    flags = "kerasvid train --strategy=multi_worker --model=rjvae --set frames=2 20123"
    assert ended == status and step.endswith(flags)
    assert rest == (["scontrol requeue 123 20123"] if queued else [])


def test_a_slurm_job_without_flags_says_what_it_needs(sbatch):
    ended, calls, err = sbatch(0)
    assert (ended, calls) == (2, []) and "give the flags of kerasvid train" in err
