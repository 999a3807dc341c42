"""How long it takes from exec to the `opened` message, as Dagster sees it: the best of the runs, with a store in a folder and
with one on MinIO.

The message channel is a named pipe, so that the moment is seen without polling. The step is a whole one: configuration,
feature file, store with a table, one sample to process by an external program.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from minio_server import Minio  # noqa: E402

BINARY = Path(__file__).resolve().parent.parent / "bin" / "metaxy-pipes"
FEATURES = {
    "features": [
        {"key": "video", "id_columns": ["id"], "fields": ["default"]},
        {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["default"]},
    ]
}


def encode(value: object) -> str:
    """A bootstrap payload of Dagster Pipes."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def once(folder: Path, store: str) -> float:
    """Starts the program once and returns the milliseconds until the message was there."""
    channel = folder / "messages"
    os.mkfifo(channel)
    context = {"asset_keys": ["video/crop"], "run_id": "bench", "extras": {}}
    env = os.environ | {"DAGSTER_PIPES_CONTEXT": encode({"data": context}), "DAGSTER_PIPES_MESSAGES": encode({"path": str(channel)})}
    command = [str(BINARY), "run", "video/crop", "--dry-run", "--store", store, "--features", str(folder / "features.json")]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with channel.open() as messages:
        first = messages.readline()
        took = (time.perf_counter() - began) * 1000
        messages.read()
    _, errors = process.communicate()
    channel.unlink()
    if process.returncode != 0 or json.loads(first)["method"] != "opened":
        raise SystemExit(f"exit {process.returncode}, first message {first!r}\n{errors}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Minio(Path(name) / "minio", "bench") as server:
        os.environ |= server.storage_options()
        folder = Path(name)
        (folder / "features.json").write_text(json.dumps(FEATURES))
        (folder / "rows.jsonl").write_text('{"id":"a"}\n')
        for where, store in (("a folder", str(folder / "store")), ("MinIO", "s3://bench/store")):
            ingest = ["ingest", "video", "--from", "rows.jsonl", "--store", store, "--features", "features.json"]
            subprocess.run([str(BINARY), *ingest], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            times = sorted(once(folder, store) for _ in range(args.runs))
            print(f"start-up, store in {where}: exec to `opened` {times[0]:.1f} ms (median {times[len(times) // 2]:.1f} ms of {args.runs})")
    print(f"binary {BINARY.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
