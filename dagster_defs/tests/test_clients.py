"""Pipes clients by configuration, and what is kept of a client when its session is remembered."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import docker
import pytest
from dagster_docker import PipesDockerClient
from dagster_k8s import PipesK8sClient
from dagster_k8s.pipes import PipesK8sPodLogsMessageReader

from metaxy_pipes import build_definitions, make_client
from metaxy_pipes.capture import capturing
from metaxy_pipes.ecs import EcsCommandClient

PROJECT = Path(__file__).resolve().parents[2]
CROP = dg.AssetKey(["video", "crop"])
COUNTS = {"new": 3, "stale": 0, "orphaned": 0, "processed": 1, "failed": 2}


def test_arguments_go_to_the_client_or_to_its_run():
    client, arguments = make_client("subprocess")
    assert isinstance(client, dg.PipesSubprocessClient) and arguments == {}
    client, arguments = make_client({"type": "k8s", "image": "i:1", "namespace": "n", "poll_interval": 2.0})
    assert isinstance(client, PipesK8sClient) and client.poll_interval == 2.0
    assert arguments == {"image": "i:1", "namespace": "n"}
    client, arguments = make_client(
        {"type": "docker", "image": "i:1", "message_reader": "dagster.PipesTempFileMessageReader"}
    )
    assert isinstance(client, PipesDockerClient) and arguments == {"image": "i:1"}
    assert isinstance(client.message_reader, dg.PipesTempFileMessageReader)
    client, _ = make_client({"type": "dagster.PipesSubprocessClient", "cwd": "/"})
    assert client.cwd == "/"


def test_channels_on_s3():
    s3 = {"region_name": "eu-central-1", "endpoint_url": "http://localhost:1"}
    part = {"type": "s3", "bucket": "b", "s3": s3}
    client, _ = make_client({"type": "k8s", "image": "i", "message_reader": part, "context_injector": part})
    assert (client.message_reader.bucket, client.context_injector.bucket) == ("b", "b")
    assert client.message_reader.client.meta.endpoint_url == "http://localhost:1"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"type": "k8s", "imgae": "x"}, "unknown 'imgae'; it takes"),
        ({"type": "k8s", "command": ["x"]}, "unknown 'command'"),
        ("nowhere.Client", "nowhere.Client: "),
        ("lambda", "lambda: "),
        ({"type": "k8s", "message_reader": {"bucket": "b"}}, "message_reader: no type"),
    ],
)
def test_what_is_wrong_is_named(config, says):
    with pytest.raises((ValueError, dg.DagsterInvalidDefinitionError), match=says.replace("(", r"\(")):
        make_client(config)


def test_a_remembered_client_keeps_its_kind_and_the_original():
    """The Kubernetes client reads a pod's log only for a reader of its own class."""
    client = PipesK8sClient()
    twin, capture = capturing(client)
    assert capture is not None and twin is not client
    assert isinstance(twin.message_reader, PipesK8sPodLogsMessageReader)
    assert twin.message_reader is not client.message_reader
    assert type(client.message_reader) is PipesK8sPodLogsMessageReader
    assert capturing(SimpleNamespace(run=print)) == (SimpleNamespace(run=print), None)


class Docker:
    """What the client needs of Docker: a container is its command, run here, with one log of both streams."""

    def __init__(self):
        self.containers = self
        self.asked = None
        self.stopped = False

    def create(self, **params):
        self.asked = params
        return self

    def start(self):
        environment = {**os.environ, **self.asked["environment"]}
        self.process = subprocess.Popen(
            self.asked["command"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def logs(self, **_):
        yield from self.process.stdout

    def wait(self):
        return {"StatusCode": self.process.wait()}

    def stop(self):
        self.stopped = True


def on_docker(actor, monkeypatch, instance, **script):
    played = Docker()
    monkeypatch.setattr("docker.client.from_env", lambda: played)
    client = {"type": "docker", "image": "steps:1", "container_kwargs": {"network": "n"}}
    defs = build_definitions(actor(**script), client=client, select=["video/crop"], env={"ACTOR": "e"})
    job = defs.get_implicit_global_asset_job_def()
    return played, job.execute_in_process(instance=instance, raise_on_error=False)


def test_docker_runs_the_command(actor, monkeypatch, instance, tmp_path):
    script = {"video/crop": {"counts": {**COUNTS, "failed": 0}, "check": True}}
    played, result = on_docker(actor, monkeypatch, instance, features=script, seen=str(tmp_path / "seen"))
    assert result.success
    assert result.get_asset_materialization_events()[0].materialization.metadata["metaxy/new"].value == 3
    assert (played.asked["image"], played.asked["network"], played.stopped) == ("steps:1", "n", True)
    assert '"env": "e"' in (tmp_path / "seen").read_text()


def test_a_failure_in_docker_keeps_what_was_reported(actor, monkeypatch, instance):
    failures = [{"id": {"id": "v1"}, "error": "no sound"}]
    script = {"video/crop": {"counts": COUNTS, "failures": failures, "materialize": False}}
    _, result = on_docker(actor, monkeypatch, instance, features=script, exit=3)
    assert not result.success
    (event,) = [e for e in result.all_events if e.is_step_failure]
    said = event.step_failure_data.user_failure_data.description
    assert "exit status 3" in said and "id=v1: no sound" in said
    (seen,) = result.get_asset_observation_events()
    assert seen.asset_observation_data.asset_observation.metadata["metaxy/failed"].value == 2


@pytest.fixture
def daemon():
    """A Docker daemon, where there is one."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as err:
        pytest.skip(f"no Docker daemon: {err}")
    return client


def test_a_real_container(daemon, instance, tmp_path):
    """The program of examples/minimal in an image of nothing else; its store is a folder of this machine."""
    program, data = tmp_path / "image" / "steps", tmp_path / "data"
    build = ["go", "build", "-o", str(program), "./examples/minimal"]
    subprocess.run(build, cwd=PROJECT, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
    (program.parent / "Dockerfile").write_text("FROM scratch\nCOPY steps /steps\n")
    image, _ = daemon.images.build(path=str(program.parent), rm=True)
    (tmp_path / "texts.jsonl").write_text('{"id": "a", "body": "one"}\n{"id": "b", "body": "three"}\n')
    subprocess.run([program, "ingest", "text", "--from", tmp_path / "texts.jsonl", "--store", data], check=True)
    (tmp_path / "described.json").write_bytes(
        subprocess.run([program, "describe", "--portable"], capture_output=True, check=True).stdout
    )
    container = {"volumes": [f"{data}:/data"], "user": f"{os.getuid()}:{os.getgid()}"}
    defs = build_definitions(
        "/steps",
        store="/data",
        describe=tmp_path / "described.json",
        client={"type": "docker", "image": image.id, "container_kwargs": container},
    )
    result = defs.get_implicit_global_asset_job_def().execute_in_process(instance=instance, raise_on_error=False)
    assert result.success
    (made,) = result.get_asset_materialization_events()
    assert made.materialization.metadata["metaxy/processed"].value == 2


class Ecs:
    """What the client needs of ECS: a task is the overridden command, run here."""

    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self, *containers):
        self.containers = list(containers)
        self.asked = None
        self.status = None

    def describe_task_definition(self, taskDefinition):  # noqa: N803
        return {"taskDefinition": {"containerDefinitions": [{"name": name} for name in self.containers]}}

    def run_task(self, **params):
        self.asked = params
        (container,) = [c for c in params["overrides"]["containerOverrides"] if "command" in c]
        environment = {pair["name"]: pair["value"] for pair in container["environment"]}
        self.status = subprocess.run(container["command"], env={**os.environ, **environment}, check=False).returncode
        return self.describe_tasks()

    def describe_tasks(self, **_):
        containers = [{"name": name, "runtimeId": name, "exitCode": self.status} for name in self.containers]
        return {"tasks": [{"taskArn": "arn:task/1", "clusterArn": "arn:cluster/c", "containers": containers}]}

    def get_waiter(self, _):
        return SimpleNamespace(wait=lambda **_: None)


def on_ecs(actor, ecs, instance, params, **script):
    client = EcsCommandClient(client=ecs, message_reader=dg.PipesTempFileMessageReader())
    arguments = {"run_task_params": params}
    defs = build_definitions(
        actor(**script), client=client, client_args=arguments, select=["video/crop"], env={"ACTOR": "e"}
    )
    job = defs.get_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_ecs_runs_the_command(actor, instance, tmp_path):
    ecs, params = Ecs("steps"), {"taskDefinition": "td", "cluster": "c"}
    script = {"video/crop": {"counts": {**COUNTS, "failed": 0}, "check": True}}
    result = on_ecs(actor, ecs, instance, params, features=script, seen=str(tmp_path / "seen"))
    assert result.success
    assert result.get_asset_materialization_events()[0].materialization.metadata["metaxy/new"].value == 3
    assert '"env": "e"' in (tmp_path / "seen").read_text()
    (container,) = ecs.asked["overrides"]["containerOverrides"]
    assert container["command"][0] == sys.executable and Path(container["command"][1]).name == "actor.py"
    assert params == {"taskDefinition": "td", "cluster": "c"}, "what is configured serves every run"


def test_a_failure_on_ecs_keeps_what_was_reported(actor, instance):
    failures = [{"id": {"id": "v1"}, "error": "no sound"}]
    script = {"video/crop": {"counts": COUNTS, "failures": failures, "materialize": False}}
    result = on_ecs(actor, Ecs("steps"), instance, {"taskDefinition": "td"}, features=script, exit=3)
    assert not result.success
    (event,) = [e for e in result.all_events if e.is_step_failure]
    assert "id=v1: no sound" in event.step_failure_data.user_failure_data.description
    (seen,) = result.get_asset_observation_events()
    assert seen.asset_observation_data.asset_observation.metadata["metaxy/failed"].value == 2


def test_one_of_several_containers_has_to_be_named(actor, instance):
    result = on_ecs(actor, Ecs("steps", "proxy"), instance, {"taskDefinition": "td"})
    assert not result.success
    (event,) = [e for e in result.all_events if e.is_step_failure]
    assert "pipes_container_name" in event.step_failure_data.user_failure_data.description
