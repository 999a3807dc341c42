"""examples/kubernetes on a real cluster: the one that KUBECONFIG names. `make test-k8s` runs it, `make test` does not.

K8S_IMPORT is the command that brings an image's tar file to the nodes, such as `kind load image-archive`. Pods use the host's
network, since the MinIO of the test listens there: the cluster has to have one node, on this machine.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import ROOT, Minio, binary, minio  # noqa: F401
from image import write_image
from proxy import Proxy
from world import World, kubectl, until

PROGRAMS = {"steps": "./examples/minimal", "trouble": "./tests/kubernetes/trouble"}
MAX_IMAGE = 40 << 20
CHATTY_RUNS = int(os.environ.get("K8S_CHATTY_RUNS", "2"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tags of the images with the programs, on the cluster's node."""
    folder, tags = tmp_path_factory.mktemp("image"), {}
    for name, package in PROGRAMS.items():
        build = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / name), package]
        subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, "CGO_ENABLED": "0"})
        archive, tags[name] = folder / f"{name}.tar", f"docker.io/library/metaxy-pipes-{name}:test"
        write_image(archive, tags[name], folder / name)
        assert archive.stat().st_size < MAX_IMAGE
        subprocess.run([*shlex.split(os.environ["K8S_IMPORT"]), str(archive)], check=True, stdout=subprocess.DEVNULL)
    return tags


@pytest.fixture
def world(minio: Minio, binary: Path, monkeypatch: pytest.MonkeyPatch, images: dict[str, str]) -> Iterator[World]:  # noqa: F811
    made = World(minio, binary, monkeypatch, images)
    yield made
    made.close()


class Meanwhile:
    """Something that is done beside a run, whose failure is the test's."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self._what, self._error = what, None
        self._thread = threading.Thread(target=self._do)

    def _do(self) -> None:
        try:
            self._what()
        except BaseException as err:
            self._error = err
            os.kill(os.getpid(), signal.SIGINT)  # so that a run that waits for it ends

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: Any) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive(), "what is done beside the run does not end"
        if self._error is not None:
            raise self._error


# The example itself


def test_a_pod_computes_and_reports(world: World) -> None:
    world.write(*["x" * i for i in range(40)])
    first, again = world.materialize(world.example()), world.materialize(world.example())
    assert first.success and first.counts() == {"new": 40, "processed": 40} and first.checks == [True], first.failure
    assert again.success and again.counts() == {} and again.rows() == 40, again.failure
    assert world.ids() == world.all()
    assert world.canary not in first.log() + again.log() + repr(first.materializations)


def test_an_indexed_job_is_one_materialization(world: World) -> None:
    world.set("STEPS_SHARDS", "3")
    world.write(*["x" * (i % 50) for i in range(90)])
    first, again = world.materialize(world.example()), world.materialize(world.example())
    assert first.success and first.counts() == {"new": 90, "processed": 90} and first.checks == [True], first.failure
    assert again.success and again.counts() == {} and again.rows() == 90, again.failure
    assert world.ids() == world.all()
    versions = [told.materializations[0].tags["dagster/data_version"] for told in (first, again)]
    assert versions[0] == versions[1]
    assert first.materializations[0].metadata["metaxy/shards"].value == 3
    assert json.loads(kubectl("get", "jobs", "-o", "json"))["items"] == []


# Pods that do not start


@pytest.mark.parametrize("shards", [1, 2])
def test_a_missing_image(world: World, shards: int) -> None:
    world.write("x")
    told = world.materialize(world.troubled(shards, pod=world.pod(image="docker.io/library/metaxy-pipes-missing:1", image_pull_policy="Never")))
    assert not told.success and "ErrImageNeverPull" in told.failure and "metaxy-pipes-missing:1" in told.failure
    pulled = world.materialize(world.troubled(shards, pod=world.pod(image="127.0.0.1:1/missing:1")))
    assert not pulled.success and ("ErrImagePull" in pulled.failure or "ImagePullBackOff" in pulled.failure)
    assert "127.0.0.1:1/missing:1" in pulled.failure


@pytest.mark.parametrize("shards", [1, 2])
def test_a_missing_secret(world: World, shards: int) -> None:
    world.write("x")
    pod = world.pod(env_from=[{"secret_ref": {"name": "nowhere"}}])
    told = world.materialize(world.troubled(shards, pod=pod))
    assert not told.success and "CreateContainerConfigError" in told.failure and 'secret "nowhere" not found' in told.failure


@pytest.mark.parametrize("shards", [1, 2])
def test_a_missing_service_account(world: World, shards: int) -> None:
    world.write("x")
    told = world.materialize(world.troubled(shards, pod={**world.pod(), "service_account_name": "nobody"}))
    assert not told.success and 'serviceaccount "nobody" not found' in told.failure


# Pods that end badly


def test_a_pod_that_is_deleted(world: World) -> None:
    world.write("a", "b", "wait")

    def delete() -> None:
        until("two commits", lambda: world.ids() == ["000", "001"])
        kubectl("delete", "pod", world.running(), "--now", "--wait=false")

    with Meanwhile(delete):
        told = world.materialize(world.troubled())
    assert not told.success and "was deleted" in told.failure
    world.write("a", "b", "c")
    after = world.materialize(world.troubled())
    assert after.success and after.counts()["processed"] == 1 and world.ids() == world.all(), after.failure


def test_a_pod_without_time_to_say_anything(world: World) -> None:
    """What a node that is gone looks like: the pod's object vanishes at once."""
    world.write("a", "wait")

    def delete() -> None:
        until("a commit", lambda: world.ids() == ["000"])
        kubectl("delete", "pod", world.running(), "--force", "--grace-period=0", "--wait=false")

    with Meanwhile(delete):
        told = world.materialize(world.troubled())
    assert not told.success and "was deleted" in told.failure
    assert world.ids() == ["000"]


def test_a_pod_that_takes_too_much_memory(world: World) -> None:
    world.write("a", "b", "hog")
    told = world.materialize(world.troubled())
    assert not told.success and "OOMKilled, exit code 137" in told.failure and "its limit is 256Mi" in told.failure
    kept = world.ids()
    assert kept == ["000", "001"][: len(kept)], "what was in work is not done"
    world.write("a", "b", "c")
    after = world.materialize(world.troubled())
    assert after.success and after.counts()["processed"] == 3 - len(kept) and world.ids() == world.all(), after.failure


def evict(pod: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    kubectl("create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "-f", "-", input=json.dumps(body))


def test_a_pod_that_is_evicted(world: World) -> None:
    world.write("a", "b", "wait")

    def take() -> None:
        until("two commits", lambda: world.ids() == ["000", "001"])
        evict(world.running())

    with Meanwhile(take):
        told = world.materialize(world.troubled())
    assert not told.success and "EvictionByEvictionAPI" in told.failure
    (seen,) = told.observations
    assert seen.metadata["metaxy/processed"].value == 2, "how far it came is told"
    assert world.ids() == ["000", "001"]


def test_a_pod_outlives_a_run_that_is_cancelled_until_it_has_told(world: World) -> None:
    world.write("a", "b", "wait")

    def interrupt() -> None:
        until("two commits", lambda: world.ids() == ["000", "001"])
        os.kill(os.getpid(), signal.SIGINT)

    with Meanwhile(interrupt):
        told = world.materialize(world.troubled())
    assert not told.success
    (seen,) = told.observations
    assert seen.metadata["metaxy/processed"].value == 2
    assert world.ids() == ["000", "001"] and world.pods("Running") == []


# Shards that end badly


def test_a_shard_that_fails(world: World) -> None:
    world.write(*["x"] * 5, "fail no sound", *["x"] * 6)
    told = world.materialize(world.troubled(3))
    assert not told.success and "1 of 3 shards failed" in told.failure and "exit code 3" in told.failure
    assert "id=005: no sound" in told.failure and told.checks == [False]
    (seen,) = told.observations
    assert {n: seen.metadata[f"metaxy/{n}"].value for n in ("new", "processed", "failed")} == {"new": 12, "processed": 11, "failed": 1}
    assert world.ids() == [i for i in world.all() if i != "005"]


def test_shards_whose_pods_are_killed(world: World) -> None:
    """One for memory, one by deletion and one by a drain: Kubernetes starts each again, and nothing is lost or counted twice."""
    parts = world.write_shards(*[["a"] * 3 + [last] for last in ("hog", "wait", "wait")])
    before = sum(len(part) - 1 for part in parts)

    def take() -> None:
        until("what comes before", lambda: len(world.ids()) >= before)
        found = json.loads(kubectl("get", "pods", "-l", "job-name", "-o", "json"))["items"]
        index = "batch.kubernetes.io/job-completion-index"
        pods = {p["metadata"]["annotations"][index]: p for p in found if p["spec"]["serviceAccountName"] == world.name}
        kubectl("delete", "pod", pods["1"]["metadata"]["name"], "--wait=false")
        node = pods["2"]["spec"]["nodeName"]
        try:
            kubectl("cordon", node)
            evict(pods["2"]["metadata"]["name"])
        finally:
            kubectl("uncordon", node)

    with Meanwhile(take):
        told = world.materialize(world.troubled(3))
    assert told.success, told.failure
    assert world.ids() == world.all()
    assert told.materializations[0].metadata["metaxy/materialized_in_run"].value == told.rows() == len(world.all())
    log = told.log()
    assert "OOMKilled" in log and "EvictionByEvictionAPI" in log and log.count("is done") == 3
    # Who is killed for memory cannot tell what it had committed until then; the others can.
    counts, silent = told.counts(), len(parts[0]) - 1
    assert counts["new"] == counts["processed"] and 0 <= len(world.all()) - counts["processed"] <= silent


def test_shards_of_a_run_that_is_cancelled(world: World) -> None:
    parts = world.write_shards(["a"] * 4 + ["wait"], ["a"] * 4 + ["wait"])
    before = sorted(i for part in parts for i in part[:-1])

    def interrupt() -> None:
        until("what comes before", lambda: world.ids() == before)
        os.kill(os.getpid(), signal.SIGINT)

    with Meanwhile(interrupt):
        told = world.materialize(world.troubled(2))
    assert not told.success
    (seen,) = told.observations
    assert seen.metadata["metaxy/processed"].value == len(before)
    assert world.ids() == before and json.loads(kubectl("get", "jobs", "-o", "json"))["items"] == []


# Messages


@pytest.mark.parametrize("run", range(CHATTY_RUNS))
def test_everything_arrives_beside_constant_output(world: World, run: int) -> None:
    """With previews that would take 200 KB, and a process and its child that never stop printing to stdout and stderr."""
    world.write("chat", *["note 40000"] * 8, "sleep 500ms")
    told = world.materialize(world.troubled())
    assert told.success and told.counts() == {"new": 10, "processed": 10} and told.checks == [True], told.failure
    assert "dagster/table" in told.materializations[0].metadata


def test_a_log_whose_connection_is_cut(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("chat", *["sleep 400ms"] * 10)
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    server = config["clusters"][0]["cluster"]["server"]
    at = urlsplit(server)
    proxy = Proxy(at.hostname, at.port)
    config["clusters"][0]["cluster"]["server"] = f"https://{at.hostname}:{proxy.port}"
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    cuts = []

    def cut() -> None:
        for count in (1, 4, 7):
            until("progress", lambda: len(world.ids()) >= count)  # noqa: B023
            cuts.append(proxy.cut())

    with Meanwhile(cut):
        told = world.materialize(world.troubled(client={"kubeconfig_file": str(tmp_path / "kubeconfig")}))
    proxy.close()
    assert len(cuts) == 3 and all(cuts), cuts
    assert told.success and told.counts() == {"new": 11, "processed": 11} and told.checks == [True], told.failure
    assert told.log().count("successfully opened dagster pipes") == 1


@pytest.mark.parametrize("shards", [1, 3])
def test_messages_by_way_of_s3(world: World, shards: int) -> None:
    world.write("chat", *["note 40000"] * 8)
    pod = world.pod()
    pod["containers"][0]["env"].append({"name": "METAXY_EXT__METAXY_PIPES__PIPES_CHANNEL", "value": "s3"})
    m = world.minio
    s3 = {"endpoint_url": m.endpoint, "aws_access_key_id": m.access_key, "aws_secret_access_key": m.secret_key, "region_name": "us-east-1"}
    part = {"type": "s3", "bucket": "metaxy", "s3": s3}
    client = {"message_reader": {**part, "interval": 0.5}, "context_injector": part}
    told = world.materialize(world.troubled(shards, pod=pod, client=client))
    assert told.success and told.counts() == {"new": 9, "processed": 9} and told.checks == [True], told.failure
    assert world.ids() == world.all()


def test_secrets_stay_in_the_cluster(world: World) -> None:
    """By reference they reach the process, and nothing that leaves it or that Dagster or Kubernetes keeps of it."""
    world.write("a", "fail it", "chat")
    logs: list[str] = []
    pod = world.pod()

    def read() -> None:
        for name in {world.running()}:
            logs.append(kubectl("logs", "-f", name))
            logs.append(kubectl("get", "pod", name, "-o", "yaml"))

    with Meanwhile(read):
        told = world.materialize(world.troubled(pod=pod, client={"delete_pod_on_completion": False}))
    assert not told.success and "id=001: it" in told.failure and len(logs) == 2 and len(logs[0]) > 1000
    said = [told.log(), told.failure, repr(told.observations), *logs, kubectl("get", "events", "-o", "yaml")]
    for secret in (world.canary, world.minio.secret_key):
        assert [text for text in said if secret in text] == []
    kubectl("delete", "pod", *until("a pod that has failed", lambda: world.pods("Failed")))
