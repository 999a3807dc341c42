"""Tells stories until the time is over: PYTHONPATH=tests python -m chaos --seconds 60. A failing one is told again by its seed."""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from .clock import overlay
from .ledger import Violation
from .places import ROOT
from .plan import draw, harden
from .story import Story, describe


def build(folder: Path, clocks: bool) -> tuple[Path, Path]:
    """The product, as `make build` has made it, and the program with compiled-in steps; or both with a clock that can be set."""
    how = ["-overlay", overlay(folder)] if clocks else []
    packages = ["./tests/chaosstep", *(["./cmd/metaxy-pipes"] if clocks else [])]
    subprocess.run(["go", "build", *how, "-o", f"{folder}/", *packages], cwd=ROOT, check=True)
    return (folder if clocks else ROOT / "bin") / "metaxy-pipes", folder / "chaosstep"


class Teller:
    """Tells stories, several at once, and adds up what was done in them."""

    def __init__(self, seeds: list[int], seconds: float, first: int, keep: bool, hard: bool) -> None:
        self.todo, self.next, self.keep, self.hard = seeds, first, keep, hard
        self.deadline = time.monotonic() + seconds if seconds else None
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.failed: list[int] = []

    def seed(self) -> int | None:
        """The seed of the next story; None when there is none."""
        with self.lock:
            if self.todo:
                return self.todo.pop(0)
            if self.deadline is None or time.monotonic() > self.deadline or self.failed:
                return None
            self.next += 1
            return self.next

    def work(self, folder: Path, binaries: tuple[Path, Path]) -> None:
        while (seed := self.seed()) is not None:
            plan = draw(seed)
            if self.hard:
                harden(plan)
            begin = time.monotonic()
            place = folder / f"story-{seed}"
            place.mkdir()
            story = None
            try:
                story = Story(plan, place, binaries)
                counts, problem = story.tell(), None
            except Exception as e:
                counts, problem = {}, str(e) if isinstance(e, Violation) else traceback.format_exc()
            with self.lock:
                self.counts.update({"stories": 1, **counts})
                took = f"{time.monotonic() - begin:.1f} s"
                if problem:
                    self.failed.append(seed)
                    print(f"story {seed} FAILED after {took}: {problem}\n{describe(plan)}\nits files: {place}\n"
                          f"again: make chaos SEED={seed}", flush=True)
                else:
                    print(f"story {seed}: {plan.feature} on {plan.place}, {took}, {counts}", flush=True)
            if not problem and not self.keep:
                shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seconds", type=float, default=0, help="tell random stories for so long")
    parser.add_argument("--seeds", default="", help="tell these stories: 1,2,5-9")
    parser.add_argument("--jobs", type=int, default=2, help="stories at the same time")
    parser.add_argument("--keep", action="store_true", help="keep the files of good stories too")
    parser.add_argument("--hard", action="store_true", help="with clocks that are set, and long stops")
    o = parser.parse_args()
    seeds = []
    for part in filter(None, o.seeds.split(",")):
        low, _, high = part.partition("-")
        seeds += range(int(low), int(high or low) + 1)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    teller = Teller(seeds, o.seconds, random.SystemRandom().randrange(10**6) * 1000, o.keep, o.hard)
    binaries = build(folder, o.hard)
    workers = [threading.Thread(target=teller.work, args=(folder, binaries)) for _ in range(o.jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(", ".join(f"{v} {k}" for k, v in sorted(teller.counts.items())))
    if not teller.failed and not o.keep:
        shutil.rmtree(folder, ignore_errors=True)
    if teller.failed:
        print("FAILED:", ", ".join(f"story {s}" for s in teller.failed))
    return 1 if teller.failed else 0


if __name__ == "__main__":
    sys.exit(main())
