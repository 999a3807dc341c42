"""Resolve by metaxy-pipes and by real Metaxy on the same files: seconds, CPU seconds, peak memory, and their ratios.

Each figure is of a whole process, start included, and the best of the runs; the two take turns. There are two kinds of
files: those that Metaxy writes (Delta, one row group, in the order in which Polars joined), and those that metaxy-pipes
writes (sorted by id, by bench/generate). Each is resolved with no leaf (every sample is new) and with a leaf of whose first
root a tenth has changed since. Both programs have to print the same counts. Metaxy keeps the increment in memory; metaxy-pipes writes its rows out as Parquet. Where every
sample is new that is most of the work, so that both are shown with and without it: Metaxy writing the same columns of its increment to a
Parquet file, and metaxy-pipes printing one row.

After that come resolves of tables that record that nothing was left to do, by metaxy-pipes alone, beside its own full
resolve: nothing has changed since, or a little, with ids that lie together or apart.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BINARY = HERE.parent / "bin" / "metaxy-pipes"
GENERATE = HERE.parent / "bin" / "bench-generate"
LEAF = {"simple": "simple/leaf", "wide": "wide/leaf", "media": "media/crop"}


@dataclass
class Cost:
    """What one process took: wall clock and CPU in seconds, peak resident memory in MiB, bytes read in MiB and requests to the storage
    (ours only), and the counts it printed."""

    wall: float
    cpu: float
    memory: float
    read: float
    counts: str
    requests: int = 0


def measure(command: list[str], cwd: Path) -> Cost:
    """Runs a command and returns its cost; the counts are the last `new=…` line on its standard error."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read().decode(errors="replace")
    found = re.findall(r"^new=\d+ stale=\d+ orphaned=\d+", text, re.M)
    if process.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}:\n{text[-2000:]}")
    read, requests = re.findall(r"bytes_read=(\d+)", text), re.findall(r"requests=(\d+)", text)
    return Cost(
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        int(read[-1]) / 2**20 if read else 0,
        found[-1],
        int(requests[-1]) if requests else 0,
    )


def best(costs: list[Cost]) -> Cost:
    counts = {c.counts for c in costs}
    if len(counts) > 1:
        raise SystemExit(f"runs differ: {counts}")
    return Cost(min(c.wall for c in costs), min(c.cpu for c in costs), min(c.memory for c in costs), costs[0].read, costs[0].counts, costs[0].requests)


def ours(graph: str, store: Path, *flags: str, columns: str = "path") -> Cost:
    command = [str(BINARY), "resolve", LEAF[graph], "--config", "metaxy.toml", "--features", "features.json"]
    return measure([*command, "--columns", columns, "--format", "parquet", "--stats", *flags], store)


def theirs(graph: str, store: Path, *flags: str) -> Cost:
    return measure([sys.executable, str(HERE / "metaxy_resolve.py"), graph, str(store), *flags], store)


def generate(out: Path, graph: str, rows: int, *flags: str) -> None:
    subprocess.run([str(GENERATE), "-graph", graph, "-rows", str(rows), "-out", str(out), *flags], check=True)


def prepare(out: Path, graph: str, rows: int, files: str, leaf: str) -> None:
    """Makes a store, its files written by Metaxy or by us."""
    if files == "metaxy":
        command = [sys.executable, str(HERE / "prepare.py"), "--graph", graph, "--rows", str(rows), "--out", str(out), "--leaf", leaf]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    else:
        generate(out, graph, rows, "-order", files, "-leaf", leaf)


def line(what: str, c: Cost) -> str:
    read = f"{c.read:9.1f}" if c.read else f"{'':9}"
    return f"{what:44} {c.wall:8.2f} {c.cpu:8.2f} {c.memory:9.0f} {read}   {c.counts}"


def ratio(what: str, a: Cost, b: Cost) -> str:
    return f"{what:44} {a.wall / b.wall:7.1f}x {a.cpu / b.cpu:7.1f}x {a.memory / b.memory:8.1f}x"


def full(args: argparse.Namespace, folder: Path) -> None:
    """Resolves that look at all rows, beside Metaxy's."""
    for graph in args.graphs:
        for files in args.files:
            for state, leaf in (("new", "none"), ("stale", "full")):
                store = folder / f"{graph}-{files}-{state}"
                prepare(store, graph, args.rows, files, leaf)
                mine, other = [], []
                for _ in range(args.runs):
                    if not args.ours_only:
                        other.append(theirs(graph, store))
                    mine.append(ours(graph, store))
                what = f"{graph}, files {files}, {state}"
                if other:
                    if best(other).counts != best(mine).counts:
                        raise SystemExit(f"{what}: Metaxy says {other[0].counts}, metaxy-pipes says {mine[0].counts}")
                    print(line(f"{what}: Metaxy", best(other)))
                print(line(f"{what}: metaxy-pipes", best(mine)), flush=True)
                if other:
                    print(ratio("  ratio", best(other), best(mine)), flush=True)
                if state == "new" and other:
                    written = best([theirs(graph, store, "--write", "increment.parquet") for _ in range(args.runs)])
                    print(line("  Metaxy, its increment written as Parquet too", written))
                    print(ratio("  ratio to that", written, best(mine)), flush=True)
                if state == "new":
                    counted = best([ours(graph, store, "--limit", "1") for _ in range(args.runs)])
                    print(line("  metaxy-pipes without writing the rows", counted), flush=True)
                    if other:
                        print(ratio("  ratio", best(other), counted), flush=True)
                shutil.rmtree(store)


def changed(args: argparse.Namespace, folder: Path) -> None:
    """Resolves of what is recorded as settled, beside our own full one."""
    store = folder / "settled"
    generate(store, "simple", args.rows, "-changed", "0")
    whole = best([ours("simple", store) for _ in range(args.runs)])
    print(line("simple, files sorted, looking at all rows", whole), flush=True)
    shutil.rmtree(store)
    for share in (0, 0.0001, 0.01):
        for how in ("clustered", "scattered")[: 2 if share else 1]:
            generate(store, "simple", args.rows, "-settled", "-changed", str(int(args.rows * share)), "-changes", how)
            cost = best([ours("simple", store) for _ in range(args.runs)])
            what = f"  {share:.2%} changed since, {how}" if share else "  nothing changed since"
            print(line(what, cost))
            print(ratio("    ratio", whole, cost), flush=True)
            shutil.rmtree(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--graphs", nargs="+", default=["simple", "wide"], choices=["simple", "wide"])
    parser.add_argument("--files", nargs="+", default=["metaxy", "sorted"], choices=["metaxy", "sorted", "shuffled"])
    parser.add_argument("--ours-only", action="store_true", help="without Metaxy, which needs 1 GiB for each million samples")
    parser.add_argument("--skip-changed", action="store_true", help="only resolves that look at all rows")
    parser.add_argument("--only-changed", action="store_true", help="only resolves of what is recorded as settled, which are ours alone")
    args = parser.parse_args()
    if args.ours_only:
        args.files = [f for f in args.files if f != "metaxy"] or ["sorted"]
    print(f"resolve of {args.rows:,} samples, best of {args.runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':44} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9} {'MiB read':>9}   counts")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        if not args.only_changed:
            full(args, Path(folder))
        if not args.skip_changed:
            changed(args, Path(folder))


if __name__ == "__main__":
    main()
