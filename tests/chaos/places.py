"""Where the store of a story lives: a folder, a small disk that can be full, or a MinIO that can be killed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from minio_server import Minio

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


class MinioPlace(Place):
    """A MinIO server of its own, which is killed and comes back with its data."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = Minio(folder / "minio", "chaos")
        self.uri = "s3://chaos/store"
        self.environment = self.server.environment()
        self.storage_options = self.server.storage_options()
        self.mend()

    def break_it(self) -> None:
        self.server.kill()

    def mend(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.break_it()


PLACES = {"folder": Place, "disk": SmallDisk, "minio": MinioPlace}
