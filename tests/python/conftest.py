"""What the tests of the whole program share: the binary, a real MinIO, and small projects to run it in."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from minio_server import Minio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def binary() -> Path:
    """The product, as `make build` has built it."""
    path = ROOT / "bin" / "metaxy-pipes"
    if not path.exists():
        pytest.fail("bin/metaxy-pipes is missing: run `make build`")
    return path


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """A MinIO server with one bucket, `metaxy`, for the whole test session."""
    with Minio(tmp_path_factory.mktemp("minio"), "metaxy") as server:
        yield server


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
