"""The runner's own cost: an empty step over SAMPLES samples, everything included from the resolve to the last commit.

Four ways to process them: a typed Go function a row at a time, Go on Arrow batches, and an external program that speaks JSON
lines or Arrow streams (written in Go, so that it is not what is measured). The parent's file is sorted by id, as ingest leaves
it; batches are shown for one in another order too, whose rows each commit has to sort. Each figure is of a whole process, the
best of the runs. Memory at twice as many samples tells whether it is flat.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from minio_server import Minio  # noqa: E402

WAYS = {"rows": 200_000, "batches": 1_000_000, "external": 50_000, "arrow": 50_000}


def measure(command: list[str]) -> tuple[float, float, float]:
    """Runs the step and returns samples per second, CPU seconds and peak memory in MiB, of the runner; the CPU with its children."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=os.environ | {"GOGC": "200"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        found = re.search(rb"rate=(\d+)", out.read())
    if process.returncode != 0 or not found:
        raise SystemExit(f"{command} exited with {process.returncode}")
    return float(found[1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    print(f"an empty step over {args.samples:,} samples; best of {args.runs} runs, {os.cpu_count()} cores")
    print(f"{'':10} {'samples/s':>10} {'bar':>10} {'CPU s':>7} {'peak MiB':>9} {'at twice as many':>17}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = folder / "runner"
        subprocess.run(["go", "build", "-o", program, "./bench/runner"], cwd=HERE.parent, check=True)
        stores = {}
        for n in (args.samples, 2 * args.samples):
            stores[n] = folder / str(n)
            subprocess.run([program, "prepare", stores[n], str(n)], check=True)
        shuffled = folder / "shuffled"
        subprocess.run([program, "shuffle", shuffled, str(args.samples)], check=True)
        best = max(once(program, "batches", shuffled, folder) for _ in range(args.runs))
        print(f"{'– shuffled':10} {best[0]:10,.0f} {'':10} {best[1]:7.2f} {best[2]:9.0f}")
        for way, bar in WAYS.items():
            results = {n: [once(program, way, store, folder) for _ in range(args.runs)] for n, store in stores.items()}
            best = max(results[args.samples])
            memory = min(r[2] for r in results[2 * args.samples])
            print(f"{way:10} {best[0]:10,.0f} {bar:10,} {best[1]:7.2f} {best[2]:9.0f} {memory:17.0f}")
        with Minio(folder / "minio", "bench") as server:
            os.environ |= server.environment()
            for way in ("rows", "batches"):
                results = []
                for i in range(args.runs):
                    store = f"s3://bench/{way}-{i}"
                    subprocess.run([program, "prepare", store, str(args.samples)], check=True)
                    results.append(measure([str(program), way, store]))
                best = max(results)
                print(f"{'– MinIO, ' + way:18} {best[0]:10,.0f} {best[1]:7.2f} {best[2]:9.0f}", flush=True)


def once(program: Path, way: str, store: Path, folder: Path) -> tuple[float, float, float]:
    """Processes all samples of a fresh copy of a store."""
    copy = folder / "copy"
    shutil.copytree(store, copy)
    try:
        return measure([str(program), way, str(copy)])
    finally:
        shutil.rmtree(copy)


if __name__ == "__main__":
    main()
