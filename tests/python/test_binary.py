"""The product as a file: small enough to be fetched by every pod, and free of what its image would have to bring."""

from __future__ import annotations

import subprocess
from pathlib import Path

LARGEST = 40_000_000


def test_the_binary_is_small_and_static(binary: Path) -> None:
    """A static ELF program has no interpreter, so it runs in an image from scratch."""
    assert binary.stat().st_size < LARGEST
    image = binary.read_bytes()
    assert image[:4] == b"\x7fELF", "on Linux the product is an ELF file"
    header_at, header_size, headers = (
        int.from_bytes(image[32:40], "little"),
        int.from_bytes(image[54:56], "little"),
        int.from_bytes(image[56:58], "little"),
    )
    kinds = [int.from_bytes(image[header_at + i * header_size :][:4], "little") for i in range(headers)]
    loadable, interpreter = 1, 3
    assert loadable in kinds
    assert interpreter not in kinds, "the program is linked dynamically; build it with CGO_ENABLED=0"


def test_the_binary_runs_without_an_environment(binary: Path) -> None:
    """Nothing of the user's environment is needed to start."""
    run = subprocess.run([str(binary), "version"], env={}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "go1" in run.stdout
