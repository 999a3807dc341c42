"""A clock that is set while a program runs, as an administrator or NTP sets one.

Nothing outside can do that to one process: a time namespace does not cover the wall clock, and Go asks the kernel past the C
library. So the programs are built with a `time.Now` of which the wall clock jumps when CHAOS_CLOCK says so; all else, and what
the kernel stamps on files, is as ever. The value is `MILLISECONDS:SECONDS,…`: after so long, the clock is off by so much.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

VARIABLE = "CHAOS_CLOCK"
LINE = "\tmono -= startNano\n"

ADDED = """package time

import "syscall"

// A clockStep says by how many seconds the wall clock is off from a moment on, in nanoseconds after the start.
type clockStep struct{ after, off int64 }

var clockSteps = readClockSteps()

func readClockSteps() (steps []clockStep) {
	text, _ := syscall.Getenv("CHAOS_CLOCK")
	number, sign, first := int64(0), int64(1), int64(0)
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == ',':
			if text != "" {
				steps = append(steps, clockStep{first * int64(Millisecond), sign * number})
			}
			number, sign = 0, 1
		case text[i] == ':':
			first, number = number, 0
		case text[i] == '-':
			sign = -1
		default:
			number = number*10 + int64(text[i]-'0')
		}
	}
	return steps
}

func clockOff(mono int64) (off int64) {
	for _, s := range clockSteps {
		if mono >= s.after {
			off = s.off
		}
	}
	return off
}
"""


def overlay(folder: Path) -> Path:
    """The file for `go build -overlay` that makes programs whose clock can be set."""
    root = Path(subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip())
    original = root / "src" / "time" / "time.go"
    text = original.read_text()
    if text.count(LINE) != 1:
        raise RuntimeError("time.Now of this Go is not as expected")
    patched, added = folder / "time.go", folder / "clock.go"
    patched.write_text(text.replace(LINE, LINE + "\tsec += clockOff(mono)\n"))
    added.write_text(ADDED)
    out = folder / "overlay.json"
    out.write_text(json.dumps({"Replace": {str(original): str(patched), str(original.parent / "chaos_clock.go"): str(added)}}))
    return out


def draw_steps(rng: random.Random) -> str:
    """What becomes of a runner's clock: most often nothing; else it is wrong from the start, set, or set back."""
    off = rng.choice([-1, -30, -3600, -86400, 2, 3600])
    after = rng.randint(1, 1500)
    return rng.choice(["", "", f"0:{off}", f"{after}:{off}", f"0:{abs(off)},{after}:{-abs(off)}"])
