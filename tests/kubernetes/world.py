"""What a test has of the cluster: a store in MinIO with texts, and a service account and a secret for the pods."""

from __future__ import annotations

import copy
import json
import os
import runpy
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from conftest import ROOT, Minio

from metaxy_pipes import build_definitions

EXAMPLE = ROOT / "examples" / "kubernetes"
LENGTH = dg.AssetKey(["text", "length"])
CALM = ("--concurrency", "1", "--flush-rows", "1", "--grace", "2s")
REPLACED = {
    "FAILURES": "batch.kubernetes.io/job-index-failure-count",
    "DISRUPTIONS": "batch.kubernetes.io/job-index-ignored-failure-count",
}


def kubectl(*words: str, **options: Any) -> str:
    done = subprocess.run(["kubectl", *words], check=False, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def until(said: str, holds: Callable[[], Any], seconds: float = 40) -> Any:
    """Waits for what holds, and returns it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {said}"
        time.sleep(0.1)
    return found


class World:
    """A store in MinIO with texts, and what the pods need of the cluster."""

    def __init__(self, minio: Minio, binary: Path, monkeypatch: pytest.MonkeyPatch, images: dict[str, str]) -> None:
        self.name = "steps-" + uuid.uuid4().hex[:8]
        self.store = f"s3://metaxy/{self.name}"
        self.minio, self.binary, self.images = minio, binary, images
        self.environment = {**os.environ, **minio.environment()}
        self.bodies: dict[str, str] = {}
        self.canary = "canary" + uuid.uuid4().hex
        kubectl("create", "serviceaccount", self.name)
        secrets = {**minio.environment(), "API_KEY": self.canary}
        kubectl("create", "secret", "generic", self.name, *[f"--from-literal={k}={v}" for k, v in secrets.items()])
        self.set = monkeypatch.setenv
        for key, value in {
            "STEPS_IMAGE": images["steps"], "STEPS_STORE": self.store, "STEPS_SECRET": self.name,
            "STEPS_SERVICE_ACCOUNT": self.name, "STEPS_HOST_NETWORK": "1", "STEPS_POLL_SECONDS": "0.5",
        }.items():
            monkeypatch.setenv(key, value)

    def close(self) -> None:
        kubectl("delete", "serviceaccount,secret", self.name)

    def write(self, *bodies: str) -> None:
        """Feeds the texts 000, 001 and so on."""
        self.bodies = {f"{i:03}": body for i, body in enumerate(bodies)}
        lines = "".join(json.dumps({"id": i, "body": body}) + "\n" for i, body in self.bodies.items())
        self.command("ingest", "text", "--from", "-", input=lines)

    def write_shards(self, *parts: list[str]) -> list[list[str]]:
        """Feeds texts of which each shard has some: all that it has get the first of its bodies, but the last one of them,
        which comes last in a shard. Returns the ids of each shard."""
        count = sum(map(len, parts))
        store, self.store = self.store, self.store + "-alike"
        try:
            self.write(*["x"] * count)
            ids = [self._shard(i, len(parts)) for i in range(len(parts))]
        finally:
            self.store = store
        assert all(len(found) > 1 for found in ids), ids
        last = {found[-1]: part[-1] for found, part in zip(ids, parts, strict=True)}
        self.write(*[last.get(f"{i:03}", "x") for i in range(count)])
        return ids

    def _shard(self, index: int, count: int) -> list[str]:
        rows = self.command("resolve", "text/length", "--shard", f"{index}/{count}", "--format", "jsonl").splitlines()
        return sorted(json.loads(row)["id"] for row in rows)

    def command(self, *words: str, **options: Any) -> str:
        argv = [self.binary, "--store", self.store, "--features", str(ROOT / "tests/kubernetes/features.json"), *words]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ids(self) -> list[str]:
        """The samples that are computed; one that was committed twice appears twice."""
        argv = ("read", "text/length", "--columns", "id", "--history", "--format", "jsonl")
        try:
            rows = self.command(*argv).splitlines()
        except AssertionError as err:
            assert "table" in str(err), err
            return []
        return sorted(json.loads(row)["id"] for row in rows)

    def all(self) -> list[str]:
        return sorted(self.bodies)

    def example(self) -> dg.Definitions:
        """The definitions of examples/kubernetes, as the environment has them."""
        return runpy.run_path(str(EXAMPLE / "definitions.py"))["defs"]

    def pod(self, **changes: Any) -> dict[str, Any]:
        """The example's pod with the troubled program, which knows whether it takes the place of another pod."""
        spec = copy.deepcopy(runpy.run_path(str(EXAMPLE / "definitions.py"))["POD"])
        (container,) = spec["containers"]
        container["image"] = self.images["trouble"]
        container["env"] = [
            {"name": name, "value_from": {"field_ref": {"field_path": f"metadata.annotations['{key}']"}}}
            for name, key in REPLACED.items()
        ]
        spec["termination_grace_period_seconds"] = 20
        container.update(changes)
        return spec

    def troubled(self, shards: int = 1, client: Any = None, pod: Any = None, args: Any = CALM, **more: Any) -> dg.Definitions:
        """Definitions of the troubled program."""
        settings = {"type": "k8s", "poll_interval": 0.5, "start_patience": 3.0, "base_pod_spec": pod or self.pod()}
        return build_definitions(
            ["/steps"], store=self.store, describe=EXAMPLE / "described.json", client={**settings, **(client or {})},
            shards=shards, run_args=args, **more,
        )

    def materialize(self, defs: dg.Definitions) -> Told:
        job = dg.define_asset_job("pod", selection=[LENGTH])
        with dg.DagsterInstance.ephemeral() as instance:
            made = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("pod")
            try:
                made.execute_in_process(instance=instance, raise_on_error=False)
            except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
                pass
            (run,) = instance.get_runs()
            return Told(run.is_success, instance.all_logs(run.run_id))

    def running(self) -> str:
        """The name of the only pod of the test that runs, once there is one."""
        return until("a pod that runs", lambda: self.pods("Running"))[0]

    def pods(self, phase: str) -> list[str]:
        found = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
        return [
            p["metadata"]["name"]
            for p in found
            if p["spec"]["serviceAccountName"] == self.name and p["status"]["phase"] == phase
        ]


class Told:
    """What Dagster has recorded of a run."""

    def __init__(self, success: bool, entries: Any) -> None:
        self.success = success
        self.entries = list(entries)
        events = [e.dagster_event for e in self.entries if e.dagster_event]
        self.materializations = [e.step_materialization_data.materialization for e in events if e.is_step_materialization]
        self.observations = [e.asset_observation_data.asset_observation for e in events if e.is_asset_observation]
        checks = [e.event_specific_data for e in events if e.event_type_value == "ASSET_CHECK_EVALUATION"]
        self.checks = [c.passed for c in checks]
        self.failure = "".join(e.step_failure_data.error_display_string for e in events if e.is_step_failure)

    def log(self) -> str:
        return "\n".join(e.user_message for e in self.entries)

    def counts(self) -> dict[str, int]:
        """Of the only materialization."""
        (made,) = self.materializations
        names = ("new", "stale", "orphaned", "processed", "failed")
        return {n: made.metadata[f"metaxy/{n}"].value for n in names if made.metadata[f"metaxy/{n}"].value}

    def rows(self) -> int:
        (made,) = self.materializations
        return made.metadata["dagster/row_count"].value
