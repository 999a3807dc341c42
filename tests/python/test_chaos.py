"""A fixed set of chaos stories; `make chaos` tells new ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_stories() -> None:
    """Runs that are killed, stopped, starved and lied to lose nothing, double nothing, and invent nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seeds", "1-10"], cwd=ROOT, env={**os.environ, "PYTHONPATH": "tests:tools"},
        capture_output=True, text=True, timeout=600,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-3000:]
    assert " 10 stories" in done.stdout, done.stdout[-1000:]
