"""Tells one story: feeds a root feature, runs its child under fire, and checks what is left after each round."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

from .clock import VARIABLE
from .ledger import Ledger, Violation
from .places import PLACES, ROOT
from .plan import Action, Plan, Round, Runner

FEATURES = {"features": [
    {"key": "src", "id_columns": ["id"]},
    {"key": "out", "id_columns": ["id"], "deps": ["src"]},
    {"key": "part", "id_columns": ["id", "n"], "deps": [{"feature": "src", "lineage": {"relationship": {"type": "1:N", "on": ["id"]}}}]},
]}
PATIENCE = 180  # seconds for a run that nothing disturbs any more; on a busy machine processors alone take long to start
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
CALM = ["--concurrency", "2", "--orphaned", "delete", "--flush-rows", "50"]


class Running:
    """A runner that was started, and what becomes of it."""

    def __init__(self, process: subprocess.Popen, run_id: str, stderr: Path, spec: Runner) -> None:
        self.process, self.run_id, self.stderr, self.spec = process, run_id, stderr, spec
        self.signals: list[str] = []

    def send(self, what: str, sig: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(sig)
            self.signals.append(what)

    def processed(self) -> int | None:
        """What the last line says that was processed; None if it was not printed."""
        found = re.findall(r"^new=\d+ stale=\d+ orphaned=\d+ processed=(\d+) failed=\d+", self.stderr.read_text(errors="replace"), re.M)
        return int(found[-1]) if found else None


class Story:
    def __init__(self, plan: Plan, folder: Path, binaries: tuple[Path, Path]) -> None:
        self.plan, self.folder = plan, folder
        self.product, self.compiled = binaries
        self.place = PLACES[plan.place](folder)
        self.log = folder / "processed.jsonl"
        self.temp = folder / "temp"
        self.temp.mkdir()
        (folder / "features.json").write_text(json.dumps(FEATURES))
        self.ledger = Ledger(plan.feature, self.place, self.log)
        self.rng = random.Random(plan.seed + 1)  # of what the plan leaves open: which samples
        self.next_id = self.next_version = self.next_run = 0
        self.counts = {"rounds": 0, "runs": 0, "kill": 0, "term": 0, "int": 0, "stop": 0, "long stops": 0, "clocks set": 0, "break": 0, "ingests killed": 0, "tidying killed": 0}

    def tell(self) -> dict[str, int]:
        """Returns what was done. Raises Violation when something does not hold."""
        try:
            for r in self.plan.rounds:
                self.round(r)
                self.counts["rounds"] += 1
            self.finish()
        finally:
            self.place.mend()
            for process in self.left_behind():
                os.kill(process, signal.SIGKILL)
            self.place.close()
        answers = Path(f"{self.log}.faults")
        bad = len(answers.read_text().splitlines()) if answers.exists() else 0
        return {**self.counts, "rows checked": self.ledger.seen.total(), "faults of processors": bad}

    def environment(self) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DAGSTER", "METAXY"))}
        return {**keep, **self.place.environment, "TMPDIR": str(self.temp), "CHAOS_LOG": str(self.log), "CHAOS_STORY": str(self.folder)}

    def command(self, binary: Path, *args: str) -> list[str]:
        return [str(binary), "--store", self.place.uri, "--features", "features.json", *args]

    # One round.

    def round(self, r: Round) -> None:
        self.change(r)
        self.ingest(r)
        if r.forged:
            self.ledger.forge(self.rng, r.forged)
        started = [self.start(spec) for spec in r.runners]
        tidying = threading.Thread(target=self.tidy, args=(r.tidy,))
        tidying.start()
        self.act(r.actions, started)
        for one in started:
            self.wait(one)
        tidying.join()
        self.check(started)

    def tidy(self, patience: list[float]) -> None:
        """Runs optimize and vacuum in turn, each for so long. They may fail, say on a full disk; what matters is what they leave."""
        for i, seconds in enumerate(patience):
            process = subprocess.Popen(self.command(self.product, ["optimize", "vacuum"][i % 2], self.plan.feature), cwd=self.folder,
                                       env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.counts["tidying killed"] += 1

    def change(self, r: Round) -> None:
        """Changes what the sources are."""
        sources = self.ledger.sources
        ids = sorted(sources)
        self.next_version += 1
        for i in self.rng.sample(ids, int(len(ids) * r.removed)):
            del sources[i]
        ids = sorted(sources)
        changed = self.rng.sample(ids, int(len(ids) * r.changed))
        for _ in range(r.new):
            changed.append(f"s{self.next_id:05}")
            self.next_id += 1
        for i in changed:
            sources[i] = f"v{self.next_version}"
            self.ledger.ever.add((i, sources[i]))

    def ingest(self, r: Round) -> None:
        sources = self.ledger.sources
        (self.folder / "rows.jsonl").write_text("".join(json.dumps({"id": i, "body": b}) + "\n" for i, b in sorted(sources.items())))
        command = self.command(self.product, "ingest", "src", "--from", "rows.jsonl", "--prune")
        if r.kill_ingest is not None:
            p = subprocess.Popen(command, cwd=self.folder, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(r.kill_ingest)
            p.kill()
            p.wait()
            self.counts["ingests killed"] += 1
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            raise Violation(f"ingest exits with {done.returncode}: {done.stderr[-2000:]}")
        numbers = dict(kv.split("=") for kv in done.stderr.splitlines()[-1].split())
        if int(numbers["new"]) + int(numbers["stale"]) + int(numbers["unchanged"]) != len(sources):
            raise Violation(f"ingest of {len(sources)} rows says {numbers}")

    def start(self, spec: Runner) -> Running:
        self.next_run += 1
        run_id = f"run-{self.next_run:03}"
        binary, tail = self.compiled, []
        if spec.kind != "compiled":
            binary = self.product
            tail = ["--", sys.executable, str(ROOT / "tests/chaos/processor.py"), self.plan.feature, spec.kind]
            if spec.kind == "arrow":
                tail = ["--batch-arrow", *tail]
        environment = self.environment()
        environment["CHAOS_PLAN"] = json.dumps({"seed": self.plan.seed * 1000 + self.next_run, "pause": spec.pause, "faults": spec.faults})
        environment[VARIABLE] = spec.clock
        environment["DAGSTER_PIPES_CONTEXT"] = encoded({"data": {"run_id": run_id, "retry_number": 0, "extras": {}}})
        environment["DAGSTER_PIPES_MESSAGES"] = encoded({"path": str(self.folder / f"{run_id}.messages")})
        stderr = self.folder / f"{run_id}.stderr"
        with open(stderr, "wb") as err:
            process = subprocess.Popen(self.command(binary, "run", self.plan.feature, *spec.flags, *tail), cwd=self.folder,
                                       env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        self.counts["runs"] += 1
        self.counts["clocks set"] += bool(spec.clock)
        return Running(process, run_id, stderr, spec)

    def act(self, actions: list[Action], started: list[Running]) -> None:
        """Does what the plan says, at its time; what lasts is undone at its time."""
        begin = time.monotonic()
        todo = [(a.at, a, False) for a in actions] + [(a.at + a.lasts, a, True) for a in actions if a.lasts]
        broken = 0
        for at, action, undo in sorted(todo, key=lambda t: t[0]):
            time.sleep(max(0, begin + at - time.monotonic()))
            target = started[action.runner]
            if action.what == "break":
                broken += -1 if undo else 1
                if undo and not broken:
                    self.place.mend()
                elif not undo:
                    self.place.break_it()
            elif action.what == "stop":
                target.send("cont" if undo else "stop", signal.SIGCONT if undo else signal.SIGSTOP)
            else:
                target.send(action.what, SIGNALS[action.what])
            if not undo:
                self.counts[action.what] += 1
                self.counts["long stops"] += action.what == "stop" and action.lasts >= 5
        for one in started:  # a later stop may lie behind an earlier one's end
            one.send("cont", signal.SIGCONT)
        self.place.mend()

    def wait(self, one: Running) -> None:
        try:
            status = one.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            one.process.send_signal(signal.SIGQUIT)  # Go prints what everybody is doing
            one.process.wait()
            raise Violation(f"{one.run_id} does not end: {one.stderr.read_text(errors='replace')[-6000:]}") from None
        allowed = {0, 1, 3, 130}
        allowed |= {-SIGNALS[s] for s in one.signals if s in SIGNALS}  # also before the handler is set
        if status not in allowed:
            raise Violation(f"{one.run_id} exits with {status} after {one.signals}: {one.stderr.read_text(errors='replace')[-6000:]}")
        if status == 0 and one.processed() is None and all(f["name"] != "exit" for f in one.spec.faults):
            raise Violation(f"{one.run_id} exits with 0 without a summary")

    # What holds after each round.

    def check(self, started: list[Running]) -> None:
        deadline = time.monotonic() + 15
        while (left := self.left_behind()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            raise Violation("processes outlive their runner: " + "; ".join(Path(f"/proc/{p}/cmdline").read_text() for p in left))
        if files := [str(p) for p in self.temp.rglob("*")]:
            raise Violation(f"files are left in TMPDIR: {files}")
        hard = self.counts["kill"] + self.counts["break"] + self.counts["ingests killed"] + self.counts["tidying killed"]
        if any(f["name"] == "exit" for r in self.plan.rounds for s in r.runners if s.kind == "compiled" for f in s.faults):
            hard += 1
        if not hard and (files := [str(p) for p in self.folder.rglob(".metaxy-tmp-*")]):
            raise Violation(f"temporary files are left although nothing was killed: {files}")
        self.ledger.check({one.run_id: n for one in started if (n := one.processed()) is not None})

    def left_behind(self) -> list[int]:
        """The processes of this story that still run."""
        found = []
        mark = f"CHAOS_STORY={self.folder}\0".encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if mark in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
            except OSError:
                pass
        return found

    def finish(self) -> None:
        """An undisturbed run brings everything up to date, and the next one finds nothing to do."""
        for expected in (None, 0):
            calm = self.start(Runner("lines", CALM, [], 0))
            self.wait(calm)
            if calm.process.returncode != 0 or expected is not None and calm.processed() != expected:
                raise Violation(f"an undisturbed run exits with {calm.process.returncode}, processed={calm.processed()}, "
                                f"expected {expected}: {calm.stderr.read_text(errors='replace')[-6000:]}")
            self.check([calm])
        read = subprocess.run(self.command(self.product, "read", self.plan.feature, "--format", "jsonl"), cwd=self.folder,
                              env=self.environment(), capture_output=True, text=True, timeout=PATIENCE)
        if read.returncode:
            raise Violation(f"read exits with {read.returncode}: {read.stderr[-2000:]}")
        self.ledger.check_current([json.loads(line) for line in read.stdout.splitlines()])


def encoded(value: dict) -> str:
    """A bootstrap value of Dagster Pipes."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def describe(plan: Plan) -> str:
    return json.dumps(dataclasses.asdict(plan))
