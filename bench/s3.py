"""Resolve on a real MinIO, by metaxy-pipes and by real Metaxy: seconds, CPU seconds, peak memory, and the requests and bytes that
metaxy-pipes counts (`--stats`); then the eight shards of one increment, and how little is asked when nothing has changed.

The server is on the same machine and takes a part of its two cores, for both programs alike.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from minio_server import Minio  # noqa: E402
from resolve import HERE, Cost, best, generate, measure, ours, prepare, ratio  # noqa: E402

BUCKET = "bench"


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
    print(f"resolve of {args.rows:,} samples on MinIO, best of {args.runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':44} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9} {'MiB read':>9} {'requests':>9}   counts")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder, Minio(Path(folder) / "minio", BUCKET) as server:
        os.environ |= server.storage_options()  # for both programs and boto3
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
