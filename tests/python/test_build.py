"""The product is static, small, and the same bytes wherever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_build_is_reproducible(binary: Path, tmp_path: Path) -> None:
    """Two copies of the sources, in folders of different names, give one binary."""
    files = subprocess.run(["git", "ls-files", "*.go", "*.mod", "*.sum", "*.tmpl", "*.toml", "*.yaml", "*.md", "*.py"], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout.split("\n")
    digests = set()
    for name in ("a", "another/place"):
        copy = tmp_path / name
        for f in filter(None, files):
            (copy / f).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / f).exists():
                shutil.copyfile(ROOT / f, copy / f)
        subprocess.run(["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", "product", "./cmd/metaxy-pipes"], cwd=copy,
                       env={**os.environ, "CGO_ENABLED": "0"}, check=True)
        digests.add((copy / "product").read_bytes())
    assert len(digests) == 1
    assert str(tmp_path).encode() not in digests.pop()


def test_binary_is_static_and_small(binary: Path) -> None:
    body = binary.read_bytes()
    assert b"/ld-linux" not in body
    assert len(body) < 40 << 20
