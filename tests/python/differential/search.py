"""`make interop`: plays cases with fresh seeds until the time is up. What differs is made small and kept as a file, which the
tests replay from then on."""

from __future__ import annotations

import argparse
import itertools
import secrets
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

from .case import Case, dump
from .compare import Difference
from .generate import generate
from .ours import ROOT, Ours
from .run import play
from .shrink import shrink

KEPT = ROOT / "testdata" / "differential"
SHRINK_SECONDS = 300.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, help="play this one only")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, Ours(Path(folder)) as ours:
        return search(ours, Path(folder), given.seconds, given.seed)


def search(ours: Ours, folder: Path, seconds: float, seed: int | None = None) -> int:
    """Returns the exit status: 1 if the two sides differed in some case."""
    begin, seen, found = time.monotonic(), Counter[str](), Counter[str]()
    first = secrets.randbits(48) if seed is None else seed
    for number in itertools.count(first) if seed is None else [seed]:
        if time.monotonic() - begin > seconds:
            break
        seen["cases"] += 1
        case = generate(number)
        try:
            play(case, folder / "case", ours, seen)
        except Difference as d:
            found[d.kind] += 1
            print(f"seed {number}: {d}\n{' '.join(d.__notes__)}", file=sys.stderr)
            if found[d.kind] == 1:
                print(f"kept as {keep(case, d.kind, ours, folder)}", file=sys.stderr)
        except Exception as err:
            err.add_note(f"the case of seed {number} cannot be played: a flaw of the generator")
            raise
    print(f"{seen['cases']} cases from seed {first}: " + " ".join(f"{k}={v}" for k, v in sorted(seen.items())))
    print("no difference" if not found else f"differences: {dict(found)}")
    return 1 if found else 0


def keep(case: Case, kind: str, ours: Ours, folder: Path) -> Path:
    """Shrinks the case and writes it where the tests find it."""
    small = shrink(case, lambda c: differs(c, folder / "shrink", ours) == kind, SHRINK_SECONDS)
    text = dump(small)
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{kind.replace(' ', '_')}_{zlib.crc32(text.encode()):08x}.json"
    path.write_text(text)
    return path


def differs(case: Case, folder: Path, ours: Ours) -> str | None:
    """The kind of difference that a case shows; None too if it cannot be played at all."""
    try:
        play(case, folder, ours)
    except Difference as d:
        return d.kind
    except Exception:  # noqa: BLE001: a case without some of its parts may fail anywhere
        return None
    return None


if __name__ == "__main__":
    sys.exit(main())
