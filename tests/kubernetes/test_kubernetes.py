"""examples/kubernetes on a real cluster: the one that KUBECONFIG names. `make test-k8s` runs it, `make test` does not.

K8S_IMPORT is the command that brings an image's tar file to the nodes, such as `kind load image-archive`. Pods use the host's
network, since the MinIO of the test listens there: the cluster has to have one node, on this machine.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from conftest import ROOT, Minio, minio  # noqa: F401
from image import write_image

TAG = "docker.io/library/metaxy-pipes-test:1"
MAX_IMAGE = 40 << 20


def kubectl(*words: str, **options: Any) -> str:
    return subprocess.run(["kubectl", *words], check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image of examples/minimal, on the cluster's node."""
    folder = tmp_path_factory.mktemp("image")
    build = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "steps"), "./examples/minimal"]
    subprocess.run(build, cwd=ROOT, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    write_image(folder / "image.tar", TAG, folder / "steps")
    assert (folder / "image.tar").stat().st_size < MAX_IMAGE
    subprocess.run([*shlex.split(os.environ["K8S_IMPORT"]), str(folder / "image.tar")], check=True)
    return TAG


class World:
    """A store in MinIO with texts, and what the pods need of the cluster."""

    def __init__(self, minio: Minio, binary: Path, monkeypatch: pytest.MonkeyPatch, image: str) -> None:  # noqa: F811
        self.name = "steps-" + uuid.uuid4().hex[:8]
        self.store = f"s3://metaxy/{self.name}"
        self.environment = {**os.environ, **minio.environment()}
        self.binary = binary
        kubectl("create", "serviceaccount", self.name)
        literals = [f"--from-literal={k}={v}" for k, v in minio.environment().items()]
        kubectl("create", "secret", "generic", self.name, *literals)
        self.set = monkeypatch.setenv
        for folder in ("dagster_defs/src", "examples/kubernetes"):
            monkeypatch.syspath_prepend(ROOT / folder)
        for key, value in {
            "STEPS_IMAGE": image, "STEPS_STORE": self.store, "STEPS_SECRET": self.name,
            "STEPS_SERVICE_ACCOUNT": self.name, "STEPS_HOST_NETWORK": "1",
        }.items():
            monkeypatch.setenv(key, value)

    def write_texts(self, count: int) -> None:
        lines = "".join(json.dumps({"id": f"{i:06}", "body": "x" * (i % 50)}) + "\n" for i in range(count))
        self.command("ingest", "text", "--from", "-", input=lines)

    def command(self, *words: str, **options: Any) -> str:
        argv = [self.binary, "--store", self.store, "--features", str(ROOT / "tests" / "kubernetes" / "features.json"), *words]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, **options, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ids(self) -> list[str]:
        rows = self.command("read", "text/length", "--columns", "id", "--format", "jsonl").splitlines()
        return sorted(json.loads(row)["id"] for row in rows)

    def materialize(self, file: str = "definitions.py") -> Any:
        defs = runpy.run_path(str(ROOT / "examples" / "kubernetes" / file))["defs"]
        job = dg.define_asset_job("pod", selection=[dg.AssetKey(["text", "length"])])
        with dg.DagsterInstance.ephemeral() as instance:
            made = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("pod")
            return made.execute_in_process(instance=instance, raise_on_error=False)


@pytest.fixture
def world(minio: Minio, binary: Path, monkeypatch: pytest.MonkeyPatch, image: str) -> Iterator[World]:  # noqa: F811
    w = World(minio, binary, monkeypatch, image)
    yield w
    kubectl("delete", "serviceaccount,secret", w.name)


@pytest.fixture(scope="session")
def binary() -> Path:
    path = ROOT / "bin" / "metaxy-pipes"
    if not path.exists():
        pytest.fail("bin/metaxy-pipes is missing: run `make build`")
    return path


def test_a_pod_computes_and_reports(world: World) -> None:
    world.write_texts(40)
    first, again = world.materialize(), world.materialize()
    for result, processed in ((first, 40), (again, 0)):
        assert result.success
        (event,) = result.get_asset_materialization_events()
        assert event.materialization.metadata["metaxy/processed"].value == processed
        assert [c.passed for c in result.get_asset_check_evaluations()] == [True]
    assert world.ids() == [f"{i:06}" for i in range(40)]


def test_a_missing_image_fails_the_run(world: World) -> None:
    world.write_texts(1)
    world.set("STEPS_IMAGE", "docker.io/library/metaxy-pipes-missing:1")
    result = world.materialize()
    assert not result.success
    assert "ImagePull" in str(failure(result)) or "ErrImage" in str(failure(result))


def test_an_indexed_job_is_one_materialization(world: World) -> None:
    world.write_texts(90)
    first, again = world.materialize("indexed_job.py"), world.materialize("indexed_job.py")
    for result, processed in ((first, 90), (again, 0)):
        assert result.success
        (event,) = result.get_asset_materialization_events()
        metadata = event.materialization.metadata
        assert (metadata["metaxy/processed"].value, metadata["dagster/row_count"].value) == (processed, 90)
    assert world.ids() == [f"{i:06}" for i in range(90)]
    versions = [r.get_asset_materialization_events()[0].materialization.tags["dagster/data_version"] for r in (first, again)]
    assert versions[0] == versions[1]


def failure(result: Any) -> list[str]:
    return [str(e.event_specific_data.error) for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
