"""Resolve on a real MinIO, by metaxy-pipes and by real Metaxy: seconds, CPU seconds, peak memory, and the requests and bytes that
metaxy-pipes counts (`--stats`); then the eight shards of one increment, and how little is asked when nothing has changed.

The server is on the same machine and takes a part of its two cores, for both programs alike.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
from resolve import HERE, Cost, best, generate, measure, ours, prepare, ratio

SERVER = HERE.parent / ".tools" / "bin" / "minio"
BUCKET = "bench"


@contextlib.contextmanager
def minio(data: Path) -> Iterator[None]:
    """A MinIO server with an empty bucket, which this process and its children find by AWS variables."""
    (data / BUCKET).mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    access, secret = "bench" + secrets.token_hex(8), secrets.token_hex(16)
    env = {"PATH": os.environ["PATH"], "HOME": str(data), "MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([SERVER, "server", "--quiet", "--address", address, str(data)], env=env, **quiet)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ALLOW_HTTP": "true",
    }
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{address}/minio/health/live", timeout=1)
                break
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("MinIO does not start")
            time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


def move(store: Path, prefix: str) -> None:
    """Puts the tables of a prepared store into the bucket, and has its configuration say so."""
    client = boto3.client("s3")
    folder = store / "store"
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        client.upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")
    shutil.rmtree(folder)
    config = store / "metaxy.toml"
    config.write_text(re.sub(r'root_path = ".*"', f'root_path = "s3://{BUCKET}/{prefix}"', config.read_text()))


def theirs(graph: str, store: Path, prefix: str) -> Cost:
    return measure([sys.executable, str(HERE / "metaxy_resolve.py"), graph, str(store), f"s3://{BUCKET}/{prefix}"], store)


def line(what: str, c: Cost) -> str:
    read = f"{c.read:9.1f} {c.requests:9}" if c.requests else f"{'':19}"
    return f"{what:44} {c.wall:8.2f} {c.cpu:8.2f} {c.memory:9.0f} {read}   {c.counts}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--graphs", nargs="+", default=["simple", "wide"], choices=["simple", "wide"])
    args = parser.parse_args()
    if not SERVER.exists():
        raise SystemExit(f"{SERVER.relative_to(HERE.parent)} is missing: run `make setup`")
    print(f"resolve of {args.rows:,} samples on MinIO, best of {args.runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':44} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9} {'MiB read':>9} {'requests':>9}   counts")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder, minio(Path(folder) / "minio"):
        for graph in args.graphs:
            for files in ("metaxy", "sorted"):
                store, prefix = Path(folder) / f"{graph}-{files}", f"{graph}-{files}"
                prepare(store, graph, args.rows, files, "full")
                move(store, prefix)
                other, mine = [], []
                for _ in range(args.runs):
                    other.append(theirs(graph, store, prefix))
                    mine.append(ours(graph, store))
                a, b = best(other), best(mine)
                if a.counts != b.counts:
                    raise SystemExit(f"{graph}: Metaxy says {a.counts}, metaxy-pipes says {b.counts}")
                print(line(f"{graph}, files {files}, stale: Metaxy", a))
                print(line(f"{graph}, files {files}, stale: metaxy-pipes", b))
                print(ratio("  ratio", a, b), flush=True)
                if files == "sorted":
                    parts = [ours(graph, store, "--shard", f"{i}/8") for i in range(8)]
                    print(line("  the shard of 8 that reads most", max(parts, key=lambda c: c.read)), flush=True)
        for rows in (args.rows // 10, args.rows):
            store = Path(folder) / f"settled-{rows}"
            generate(store, "simple", rows, "-settled", "-changed", "0")
            move(store, store.name)
            print(line(f"simple, {rows:,}, nothing changed", best([ours("simple", store) for _ in range(args.runs)])), flush=True)


if __name__ == "__main__":
    main()
