"""Resolve by metaxy-pipes and by real Metaxy on the same files: seconds, CPU seconds, peak memory, and their ratios.

Each figure is of a whole process, start included, and the best of the runs; the two take turns. The stores are made by
Metaxy (Delta, its default hash settings) in a temporary folder: roots, a leaf computed from them, then a tenth of the
first root changed. Both have to print the same counts.
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
LEAF = {"simple": "simple/leaf", "wide": "wide/leaf"}


@dataclass
class Cost:
    """What one process took: wall clock and CPU in seconds, peak resident memory in MiB, and the counts it printed."""

    wall: float
    cpu: float
    memory: float
    counts: str


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
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, found[-1])


def compare(graph: str, rows: int, runs: int, folder: Path) -> tuple[Cost, Cost]:
    """Prepares a store and returns the best cost of Metaxy and of metaxy-pipes."""
    store = folder / graph
    subprocess.run(
        [sys.executable, HERE / "prepare.py", "--graph", graph, "--rows", str(rows), "--out", store], check=True, stdout=subprocess.DEVNULL
    )
    theirs_command = [sys.executable, str(HERE / "metaxy_resolve.py"), graph, str(store)]
    ours_command = [str(BINARY), "resolve", LEAF[graph], "--config", "metaxy.toml", "--features", "features.json"]
    ours_command += ["--columns", "path", "--format", "parquet"]
    theirs, ours = [], []
    for _ in range(runs):
        theirs.append(measure(theirs_command, store))
        ours.append(measure(ours_command, store))
    if {c.counts for c in theirs} != {c.counts for c in ours}:
        raise SystemExit(f"{graph}: Metaxy says {theirs[0].counts}, metaxy-pipes says {ours[0].counts}")
    shutil.rmtree(store)
    return best(theirs), best(ours)


def best(costs: list[Cost]) -> Cost:
    return Cost(min(c.wall for c in costs), min(c.cpu for c in costs), min(c.memory for c in costs), costs[0].counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--graphs", nargs="+", default=["simple", "wide"], choices=["simple", "wide"])
    args = parser.parse_args()
    print(f"resolve of {args.rows:,} samples, a tenth of them stale; best of {args.runs} runs, {os.cpu_count()} cores")
    print(f"{'graph':8} {'':14} {'seconds':>9} {'CPU s':>9} {'peak MiB':>9}   counts")
    with tempfile.TemporaryDirectory() as folder:
        for graph in args.graphs:
            theirs, ours = compare(graph, args.rows, args.runs, Path(folder))
            for name, c in (("Metaxy", theirs), ("metaxy-pipes", ours)):
                print(f"{graph:8} {name:14} {c.wall:9.2f} {c.cpu:9.2f} {c.memory:9.0f}   {c.counts}")
            print(
                f"{graph:8} {'ratio':14} {theirs.wall / ours.wall:8.1f}x {theirs.cpu / ours.cpu:8.1f}x {theirs.memory / ours.memory:8.1f}x"
            )


if __name__ == "__main__":
    main()
