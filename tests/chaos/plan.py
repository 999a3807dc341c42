"""What happens in a story, drawn from its seed alone, so that it can be told again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .clock import draw_steps

FAULTS = ["error", "crash", "crash after", "exit", "hang", "twice", "foreign", "garbage", "nothing", "torn"]
COMPILED = ["error", "crash", "crash after", "exit", "hang", "twice", "foreign", "nothing"]


@dataclass
class Runner:
    kind: str  # compiled, lines or arrow
    flags: list[str]
    faults: list[dict]
    pause: int  # of each sample, in microseconds
    clock: str = ""  # how its clock is set, see clock.draw_steps


@dataclass
class Action:
    at: float  # seconds after the runners have started
    what: str  # kill, term, int, stop or break
    runner: int = 0
    lasts: float = 0  # of stop and break


@dataclass
class Round:
    new: int
    changed: float  # share of the samples
    removed: float
    kill_ingest: float | None  # seconds after its start
    forged: float  # share of the stored samples that get a row from the future
    runners: list[Runner]
    actions: list[Action]
    tidy: list[float]  # how long each optimize and vacuum beside the runners may take before it is killed


@dataclass
class Plan:
    seed: int
    place: str
    feature: str
    rounds: list[Round] = field(default_factory=list)


def draw(seed: int) -> Plan:
    rng = random.Random(seed)
    p = Plan(seed, rng.choice(["folder", "folder", "minio", "minio", "disk"]), rng.choice(["out", "out", "part"]))
    p.rounds = [_round(rng, p, first=i == 0) for i in range(rng.randint(2, 4))]
    return p


def harden(p: Plan) -> None:
    """Sets the runners' clocks, and makes some stops long: longer than requests, attempts and samples may take."""
    rng = random.Random(-1 - p.seed)  # what else is drawn stays as it is
    for r in p.rounds:
        for runner in r.runners:
            runner.clock = draw_steps(rng)
        for action in r.actions:
            if action.what == "stop" and rng.random() < 0.3:
                action.lasts = rng.uniform(5, 25)


def _round(rng: random.Random, p: Plan, first: bool) -> Round:
    count = rng.choice([1, 1, 2, 3])
    shards = rng.random() < 0.5
    runners = [_runner(rng, p, i if shards and count > 1 else None, count) for i in range(count)]
    return Round(
        new=rng.randint(40, 200) if first else rng.choice([0, 0, 5, 30]),
        changed=0 if first else rng.choice([0, 0.1, 0.5, 1]),
        removed=0 if first else rng.choice([0, 0, 0.1]),
        kill_ingest=rng.uniform(0, 0.15) if rng.random() < 0.4 else None,
        forged=0 if first else rng.choice([0, 0, 0.2]),
        runners=runners,
        actions=sorted((_action(rng, p, count) for _ in range(rng.randint(0, 3))), key=lambda a: a.at),
        tidy=[rng.choice([rng.uniform(0, 0.2), 20]) for _ in range(rng.choice([0, 0, 2, 4]))],
    )


def _runner(rng: random.Random, p: Plan, shard: int | None, count: int) -> Runner:
    kind = rng.choice(["compiled", "lines", "lines", "arrow"] if p.feature == "out" else ["compiled", "lines"])
    flags = ["--concurrency", str(rng.choice([1, 2, 4])), "--flush-rows", str(rng.choice([1, 5, 20, 10_000])),
             "--retries", str(rng.choice([0, 0, 1])), "--sample-timeout", "3s" if kind == "arrow" else "700ms", "--grace", rng.choice(["1s", "300ms"]),
             "--flush-interval", rng.choice(["50ms", "10s"]), "--max-failed", "100%"]
    if kind == "compiled" or rng.random() < 0.3:  # of a large batch, one that hangs would take its time for each sample
        flags += ["--batch-size", str(rng.choice([1, 2, 7]))]
    if rng.random() < 0.3:
        flags += ["--orphaned", "delete"]
    if rng.random() < 0.2:
        flags += ["--limit", str(rng.choice([1, 20]))]
    if shard is not None:
        flags += ["--shard", f"{shard}/{count}"]
    names = rng.sample(COMPILED if kind == "compiled" else FAULTS, rng.choice([0, 1, 2, 3]))
    rates = {"hang": 8, "exit": 8} if kind == "compiled" else {"hang": 15}
    usual = [10, 20] if kind == "arrow" else [10, 50, 200]  # to start it anew takes a second
    faults = [{"name": n, "rate": rates.get(n, rng.choice(usual))} for n in names]
    return Runner(kind, flags, faults, rng.choice([0, 500, 5000]))


def _action(rng: random.Random, p: Plan, count: int) -> Action:
    what = rng.choice(["kill", "kill", "term", "int", "stop"] + (["break", "break"] if p.place != "folder" else []))
    lasts = rng.uniform(0.1, 1.5) if what in ("stop", "break") else 0
    return Action(rng.choice([rng.uniform(0, 0.3), rng.uniform(0, 1.5)]), what, rng.randrange(count), lasts)
