"""What the tests of the whole program share: the binary, a real MinIO, and small projects to run it in."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def binary() -> Path:
    """The product, as `make build` has built it."""
    path = ROOT / "bin" / "metaxy-pipes"
    if not path.exists():
        pytest.fail("bin/metaxy-pipes is missing: run `make build`")
    return path


@dataclass
class Minio:
    """A running MinIO server and how to reach it."""

    endpoint: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The AWS variables under which the binary finds this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
        }

    def storage_options(self) -> dict[str, str]:
        """The same for delta-rs."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """A MinIO server with one bucket, `metaxy`, for the whole test session."""
    server = ROOT / ".tools" / "bin" / "minio"
    if not server.exists():
        pytest.fail(".tools/bin/minio is missing: run `make setup`")
    data = tmp_path_factory.mktemp("minio")
    (data / "metaxy").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    access, secret = "test" + secrets.token_hex(8), secrets.token_hex(16)
    process = subprocess.Popen(
        [server, "server", "--quiet", "--address", address, str(data)],
        env={"PATH": os.environ["PATH"], "HOME": str(data), "MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_live(f"http://{address}/minio/health/live", process)
        yield Minio(f"http://{address}", access, secret)
    finally:
        process.kill()
        process.wait()


def wait_until_live(url: str, process: subprocess.Popen) -> None:
    """Returns when the URL answers; fails after a minute, or when the process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"MinIO did not start (exit status {process.poll()})")


@dataclass
class Project:
    """A folder with feature files, and the binary run in it against one store."""

    binary: Path
    folder: Path
    store: str
    environment: dict[str, str] = field(default_factory=dict)

    def write_features(self, features: list[dict]) -> None:
        (self.folder / "features.json").write_text(json.dumps({"features": features}))

    def command(self, *args: str) -> list[str]:
        base = [str(self.binary), "--features", "features.json"]
        return base + (["--store", self.store] if self.store else []) + [str(a) for a in args]

    def start(self, *args: str, **kwargs) -> subprocess.Popen:
        return subprocess.Popen(self.command(*args), cwd=self.folder, env={**os.environ, **self.environment}, **kwargs)

    def run(self, *args: str, status: int = 0) -> subprocess.CompletedProcess:
        """Runs a command and checks its exit status."""
        done = subprocess.run(
            self.command(*args), cwd=self.folder, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == status, f"{args} exited with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done

    def rows(self, *args: str) -> list[dict]:
        """The objects that a command prints as JSON lines."""
        return [json.loads(line) for line in self.run(*args, "--format", "jsonl").stdout.splitlines()]

    def ingest(self, feature: str, rows: list[dict]) -> str:
        """Feeds a root feature from a file of rows and returns the summary line."""
        source = self.folder / "rows.jsonl"
        source.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return self.run("ingest", feature, "--from", "rows.jsonl").stderr.splitlines()[-1]


@pytest.fixture
def project(binary: Path, tmp_path: Path) -> Project:
    """A project whose store is a local folder."""
    return Project(binary, tmp_path, str(tmp_path / "store"))


@pytest.fixture
def minio_project(binary: Path, tmp_path: Path, minio: Minio) -> Project:
    """A project whose store is a prefix of its own on MinIO."""
    return Project(binary, tmp_path, f"s3://metaxy/{secrets.token_hex(8)}", minio.environment())
