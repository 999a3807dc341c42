"""A MinIO server of this machine, for tests, benchmarks and pictures; `make setup` builds it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

SERVER = Path(__file__).resolve().parents[1] / ".tools" / "bin" / "minio"
PATIENCE_SECONDS = 60


class Minio:
    """A server over a folder, with secrets of its own. It can be killed and started again, and has its data then."""

    def __init__(self, folder: Path, *buckets: str) -> None:
        """Makes the buckets; the server is not started yet."""
        self.folder = folder
        for bucket in buckets:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.endpoint = f"http://{self.address}"
        self.access_key, self.secret_key = "test" + secrets.token_hex(8), secrets.token_hex(16)
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts the server, unless it runs, and returns when it answers."""
        if self._process is not None:
            return
        if not SERVER.exists():
            raise RuntimeError(f"{SERVER.relative_to(SERVER.parents[2])} is missing: run `make setup`")
        self._process = subprocess.Popen(
            [SERVER, "server", "--quiet", "--address", self.address, str(self.folder)],
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.folder), "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
                "MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key,
            },
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_until_live(f"{self.endpoint}/minio/health/ready", self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends the server without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def environment(self) -> dict[str, str]:
        """The AWS variables under which the binary finds this server."""
        return {**self._credentials(), "AWS_ENDPOINT_URL_S3": self.endpoint}

    def storage_options(self) -> dict[str, str]:
        """The same for delta-rs."""
        return {**self._credentials(), "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true"}

    def _credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": "us-east-1"}


def wait_until_live(url: str, process: subprocess.Popen) -> None:
    """Returns when the URL answers; raises after a minute, or when the process has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{Path(str(process.args[0])).name} did not start (exit status {process.poll()})")
