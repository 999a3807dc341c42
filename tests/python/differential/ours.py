"""Our side: a helper process that does what it is asked for, for as long as the test runs."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[3]


class OurError(Exception):
    """What our side refused to do, and why."""


class Ours:
    """The helper process. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.binary = folder / "differential"
        subprocess.run(["go", "build", "-o", self.binary, "./tests/differential"], cwd=ROOT, check=True)

    def __enter__(self) -> Ours:
        self.process = subprocess.Popen([self.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def ask(self, **request: Any) -> dict[str, Any]:
        for name in ("Rows", "Samples"):
            if isinstance(request.get(name), pl.DataFrame):
                request[name] = packed(request[name])
        self.process.stdin.write(json.dumps({k: v for k, v in request.items() if v is not None}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the helper process has ended, status {self.process.wait()}, at {request}")
        answer = json.loads(line)
        if "error" in answer:
            raise OurError(answer["error"])
        answer["frames"] = {name: unpacked(text) for name, text in answer.get("frames", {}).items()}
        return answer


def packed(frame: pl.DataFrame) -> str:
    out = io.BytesIO()
    frame.write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
    return base64.b64encode(out.getvalue()).decode()


def unpacked(text: str) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(base64.b64decode(text)))
