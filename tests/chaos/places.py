"""Where the store of a story lives: a folder, a small disk that can be full, or a MinIO that can be killed."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Place:
    """A folder. Nothing can be done to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder / "store")
        self.environment: dict[str, str] = {}
        self.storage_options: dict[str, str] | None = None

    def break_it(self) -> None:
        """Makes writing (or everything) fail."""

    def mend(self) -> None:
        """Undoes break_it."""

    def close(self) -> None:
        """Removes what the place has started or mounted."""


class SmallDisk(Place):
    """A folder on a disk that can be full. That takes root; without it, the folder cannot be written to instead."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.mounted = os.geteuid() == 0 and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.disk], capture_output=True).returncode
        self.uri = str(self.disk / "store")
        self.ballast = self.disk / "ballast"

    def break_it(self) -> None:
        if not self.mounted:
            for path in [self.disk, *(p for p in self.disk.rglob("*") if p.is_dir())]:
                path.chmod(0o500)
            return
        with open(self.ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass

    def mend(self) -> None:
        if not self.mounted:
            for path in [self.disk, *(p for p in self.disk.rglob("*") if p.is_dir())]:
                path.chmod(0o700)
            return
        self.ballast.unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self.disk], check=True)


class Minio(Place):
    """A MinIO server of its own, which is killed and comes back with its data."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "minio"
        (self.data / "chaos").mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.access, self.secret = "chaos" + secrets.token_hex(8), secrets.token_hex(16)
        self.uri = "s3://chaos/store"
        common = {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": "us-east-1"}
        self.environment = {**common, "AWS_ENDPOINT_URL_S3": f"http://{self.address}"}
        self.storage_options = {**common, "AWS_ENDPOINT_URL": f"http://{self.address}", "AWS_ALLOW_HTTP": "true"}
        self.server: subprocess.Popen | None = None
        self.mend()

    def break_it(self) -> None:
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def mend(self) -> None:
        if self.server:
            return
        self.server = subprocess.Popen(
            [ROOT / ".tools/bin/minio", "server", "--quiet", "--address", self.address, str(self.data)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "MINIO_ROOT_USER": self.access,
                 "MINIO_ROOT_PASSWORD": self.secret, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.server.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.address}/minio/health/ready", timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"MinIO did not start (exit status {self.server.poll()})")

    def close(self) -> None:
        self.break_it()


PLACES = {"folder": Place, "disk": SmallDisk, "minio": Minio}
