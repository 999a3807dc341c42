"""An external processor for tests: it answers every sample with its text in upper case.

`worker.py CALLS [RULES]`: CALLS gets a line for each sample that is taken. RULES is a JSON file, read for each sample,
from an id to what happens at it: `{"error": TEXT}`, `{"signal": N}` (sent to the runner), `{"wait": FILE}` (FILE gets
the runner's process id, then the worker hangs), each after the table at `committed` has a commit, if that is given. With `"once": true`
the rules are removed when the first of them is followed.
"""

import json
import os
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 60


def main():
    calls, rules = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    for line in sys.stdin:
        sample = json.loads(line)
        with calls.open("a") as file:
            file.write(sample["id"] + "\n")
        rule = json.loads(rules.read_text()).get(sample["id"], {}) if rules and rules.exists() else {}
        if "committed" in rule:
            wait_for_commit(Path(rule["committed"]))
        if rule.get("once"):
            rules.unlink()
        print(json.dumps(answer(sample, rule)), flush=True)


def answer(sample, rule):
    if "signal" in rule:
        os.kill(os.getppid(), rule["signal"])
        time.sleep(PATIENCE_SECONDS)
    if "wait" in rule:
        Path(rule["wait"]).write_text(str(os.getppid()))
        time.sleep(PATIENCE_SECONDS)
    if "error" in rule:
        return {"id": sample["id"], "error": rule["error"]}
    return {"id": sample["id"], "day": sample["day"], "text": sample["text"].upper()}


def wait_for_commit(table):
    until = time.monotonic() + PATIENCE_SECONDS
    while not list((table / "_delta_log").glob("*.json")):
        if time.monotonic() > until:
            raise TimeoutError(f"no commit in {table}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
