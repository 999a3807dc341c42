"""An external processor that misbehaves on purpose, by the plan in CHAOS_PLAN (see tests/chaosstep/main.go, which follows the same).

Each sample that is really computed is noted in the file CHAOS_LOG, synced, before it is answered. The argument says which feature
is computed, and whether the samples come as JSON lines or as Arrow streams.
"""

from __future__ import annotations

import json
import os
import sys
import time


def fnv(text: str) -> int:
    """FNV-1a, 32 bits, as Go's hash/fnv has it."""
    h = 0x811C9DC5
    for byte in text.encode():
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    return h


def fault(plan: dict, sample: str) -> str:
    """How a sample is answered; the same in each attempt."""
    at = fnv(f"{plan['seed']}/{sample}") % 1000
    for f in plan["faults"]:
        if at < f["rate"]:
            return f["name"]
        at -= f["rate"]
    return ""


def parts(sample: dict) -> int:
    """How many rows a sample expands to: 1 to 4, by its body."""
    return 1 + fnv(sample["id"] + "/" + sample["body"]) % 4


def answer(feature: str, sample: dict, made: str | None = None) -> dict:
    made = made or f"{sample['id']}:{sample['body']}"
    if feature == "part":
        return {"id": sample["id"], "rows": [{"id": sample["id"], "n": n, "made": made} for n in range(parts(sample))]}
    return {"id": sample["id"], "made": made}


class Worker:
    def __init__(self) -> None:
        self.plan = json.loads(os.environ["CHAOS_PLAN"])
        self.log = os.open(os.environ["CHAOS_LOG"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)

    def note(self, sample: dict) -> None:
        os.write(self.log, json.dumps([sample["id"], sample["body"]]).encode() + b"\n")
        os.fsync(self.log)

    def work(self, sample: dict) -> str:
        """Computes a sample, or does not. Returns what the answer is to be spoilt by, or ""."""
        time.sleep(self.plan["pause"] / 1e6)
        what = fault(self.plan, sample["id"])
        if what:
            with open(os.environ["CHAOS_LOG"] + ".faults", "a") as f:
                f.write(what + "\n")
        if what == "crash":
            os.kill(os.getpid(), 9)
        if what == "exit":
            os._exit(0)
        if what == "hang":
            time.sleep(3600)
        if what != "error":
            self.note(sample)
        if what == "crash after":
            os._exit(7)
        return what


def lines(feature: str) -> None:
    worker = Worker()
    for line in sys.stdin:
        sample = json.loads(line)
        what = worker.work(sample)
        good = json.dumps(answer(feature, sample))
        out = {
            "error": json.dumps({"id": sample["id"], "error": "chaos: this sample fails"}),
            "twice": good + "\n" + json.dumps(answer(feature, sample, "WRONG")),
            "foreign": json.dumps(answer(feature, {**sample, "id": "nobody"}, "WRONG")),
            "garbage": "Loading checkpoint shards: 100%\n\x00\x1b[31m{",
            "nothing": json.dumps({"made": "WRONG"}),
            "torn": good[: len(good) // 2],
        }.get(what, good)
        if what == "torn":
            os.write(1, out.encode())
            os._exit(0)
        print(out, flush=True)


def arrow(feature: str) -> None:
    import pyarrow as pa

    assert feature == "out"
    worker = Worker()
    writer = None
    with pa.ipc.open_stream(sys.stdin.buffer) as reader:
        for batch in reader:
            ids, made, errors = [], [], []
            for sample in batch.to_pylist():
                what = worker.work(sample)
                if what == "garbage":
                    os.write(1, b"Loading checkpoint shards: 100%\n" * 10)
                if what == "torn":
                    os._exit(0)
                if what == "nothing":
                    continue
                if what == "foreign":
                    ids, made, errors = [*ids, "nobody"], [*made, "WRONG"], [*errors, None]
                    continue
                for _ in range(2 if what == "twice" else 1):
                    ids.append(sample["id"])
                    made.append(f"{sample['id']}:{sample['body']}" if what != "twice" else "WRONG")
                    errors.append("chaos: this sample fails" if what == "error" else None)
            out = pa.record_batch({"id": pa.array(ids, pa.string()), "made": pa.array(made, pa.string()), "error": pa.array(errors, pa.string())})
            writer = writer or pa.ipc.new_stream(sys.stdout.buffer, out.schema)
            writer.write_batch(out)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    {"lines": lines, "arrow": arrow}[sys.argv[2]](sys.argv[1])
