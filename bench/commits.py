"""Many small commits: what they cost a reader, and that `optimize` makes up for it.

A root feature gets its rows in COMMITS commits, and in another store the same rows, with the same times, sorted in one file. The
resolve of a leaf over both is compared, before and after `optimize`: the best of the runs, which take turns. Requests and
bytes are what --stats says. The checkpoints that the commits leave are counted too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BINARY = HERE.parent / "bin" / "metaxy-pipes"
FEATURES = {
    "features": [
        {"key": "video", "id_columns": ["id"], "fields": ["default"]},
        {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["default"]},
    ]
}


def timed(command: list[str | Path], folder: Path) -> tuple[float, float, str]:
    """Seconds, CPU seconds and standard error of a command."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read().decode()
    if process.returncode != 0:
        raise SystemExit(f"{command} exited with {process.returncode}:\n{text[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, text


def resolves(stores: list[str], runs: int, folder: Path) -> dict[str, tuple[float, float, str]]:
    """The best resolve of each store; the stores take turns."""
    best: dict[str, tuple[float, float, str]] = {}
    for _ in range(runs):
        for store in stores:
            command = [BINARY, "resolve", "video/crop", "--only", "orphaned", "--stats", "--features", "features.json", "--store", f"./{store}"]
            found = timed(command, folder)
            best[store] = min(best.get(store, found), found)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        (folder / "features.json").write_text(json.dumps(FEATURES))
        program = folder / "commits"
        subprocess.run(["go", "build", "-o", program, "./bench/commits"], cwd=HERE.parent, check=True)
        for kind in ("many", "once"):
            wall, _, _ = timed([program, kind, folder / kind, str(args.rows), str(args.commits)], folder)
            if kind == "many":
                print(f"{args.commits:,} commits of {args.rows // args.commits} rows: {args.commits / wall:.0f} commits/s")
        checkpoints = [p.stat().st_size for p in (folder / "many" / "video.delta" / "_delta_log").glob("*.checkpoint.parquet")]
        print(f"checkpoints: {len(checkpoints)}, {sum(checkpoints) / 1e6:.0f} MB; the largest {max(checkpoints) / 1e6:.1f} MB")
        shutil.copytree(folder / "many", folder / "optimized")
        wall, cpu, _ = timed([BINARY, "optimize", "video", "--features", "features.json", "--store", "./optimized"], folder)
        print(f"optimize: {wall:.2f} s, {cpu:.2f} s of CPU")
        best = resolves(["once", "many", "optimized"], args.runs, folder)
        print(f"{'resolve':10} {'seconds':>8} {'CPU s':>7} {'times':>6} {'requests':>9} {'MiB read':>9}")
        for store, (wall, cpu, log) in best.items():
            requests, read = re.findall(r"requests=(\d+).* bytes_read=(\d+)", log)[0]
            print(f"{store:10} {wall:8.3f} {cpu:7.2f} {wall / best['once'][0]:6.2f} {requests:>9} {int(read) / 2**20:9.1f}")


if __name__ == "__main__":
    main()
