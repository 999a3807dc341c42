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


def test_licences(binary: Path) -> None:
    """What the binary is made of, and under which licences, is what docs/licences.txt says; none is among them that it may not carry."""
    done = subprocess.run(["go", "run", "./licences", binary], cwd=ROOT / "tools", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") > 30
    assert done.stdout == (ROOT / "docs/licences.txt").read_text(), "make licences, and review the diff"


def test_licence_that_is_not_known(binary: Path, tmp_path: Path) -> None:
    """A module whose licence cannot be looked at, or may not be carried, is named."""
    tool = tmp_path / "licences"
    subprocess.run(["go", "build", "-o", tool, "./licences"], cwd=ROOT / "tools", check=True)
    program = tmp_path / "program"
    (program / "left").mkdir(parents=True)
    (program / "go.mod").write_text("module program\n\ngo 1.24\n\nrequire example.org/left v0.0.0\n\nreplace example.org/left => ./left\n")
    (program / "main.go").write_text('package main\n\nimport "example.org/left"\n\nfunc main() { left.Left() }\n')
    (program / "left" / "go.mod").write_text("module example.org/left\n\ngo 1.24\n")
    (program / "left" / "left.go").write_text("package left\n\nfunc Left() {}\n")
    subprocess.run(["go", "build", "-o", "program", "."], cwd=program, check=True)
    for text, says in ((None, "no licence is known"), ("GNU General\n  Public License, version 3", "may not carry what is under GPL")):
        if text:
            (program / "left" / "LICENSE").write_text(text)
        done = subprocess.run([tool, "program"], cwd=program, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout
        assert "./left: " in done.stderr
        assert says in done.stderr, done.stderr
