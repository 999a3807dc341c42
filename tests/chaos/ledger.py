"""What must be in the tables, whatever happened."""

from __future__ import annotations

import datetime
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from .places import Place
from .processor import parts

FUTURE = datetime.datetime(2150, 1, 1, tzinfo=datetime.UTC)


class Violation(Exception):
    """A promise is broken."""


class Ledger:
    """Keeps what was seen, and compares it with the table as delta-rs reads it."""

    def __init__(self, feature: str, place: Place, log: Path) -> None:
        self.feature, self.place, self.log = feature, place, log
        self.sources: dict[str, str] = {}  # what the root feature holds: id to body
        self.ever: set[tuple[str, str]] = set()  # all that it held at any time
        self.seen: Counter[tuple] = Counter()  # the rows of the last look
        self.forged: Counter[tuple] = Counter()  # rows that the story itself has written

    def table(self) -> DeltaTable | None:
        try:
            return DeltaTable(f"{self.place.uri}/{self.feature}.delta", storage_options=self.place.storage_options)
        except TableNotFoundError:
            return None

    def rows(self) -> list[dict]:
        table = self.table()
        return table.to_pyarrow_table().to_pylist() if table else []

    def forge(self, rng: random.Random, share: float) -> None:
        """Writes some current rows once more, as a writer does whose clock is far ahead."""
        table = self.table()
        if table is None:
            return
        data = table.to_pyarrow_table()
        rows = data.to_pylist()
        alive = sorted(i for i in latest(rows).values() if rows[i]["metaxy_deleted_at"] is None)
        picked = sorted(rng.sample(alive, int(len(alive) * share)))
        if not picked:
            return
        chosen = data.take(picked)
        for name in ("metaxy_created_at", "metaxy_updated_at"):
            i = chosen.schema.get_field_index(name)
            chosen = chosen.set_column(i, chosen.schema.field(i), pa.array([FUTURE] * chosen.num_rows, chosen.schema.field(i).type))
        i = chosen.schema.get_field_index("metaxy_materialization_id")
        chosen = chosen.set_column(i, chosen.schema.field(i), pa.array(["forged"] * chosen.num_rows, chosen.schema.field(i).type))
        write_deltalake(table, chosen, mode="append")
        self.forged.update(identity(r) for r in chosen.to_pylist())

    def check(self, processed: dict[str, int]) -> None:
        """processed is, for each run that told it, how many samples it says are committed."""
        rows = self.rows()
        now = Counter(identity(r) for r in rows)
        if lost := self.seen - now:
            raise Violation(f"{lost.total()} rows that were committed are gone: {list(lost)[:3]}")
        self.seen = now
        done = {tuple(json.loads(line)) for line in self.log.read_text().splitlines()} if self.log.exists() else set()
        ours = [r for r in rows if r["metaxy_deleted_at"] is None and r["metaxy_materialization_id"] != "forged"]
        for r in ours:
            sample, _, body = r["made"].partition(":")
            if sample != r["id"] or (sample, body) not in self.ever:
                raise Violation(f"a row is wrong: {r}")
            if (sample, body) not in done:
                raise Violation(f"a row is there that was never processed: {r}")
        if doubled := {k: n for k, n in Counter((r["id"], r.get("n"), r["made"]) for r in ours).items() if n > 1}:
            raise Violation(f"rows are there more than once: {doubled}")
        self.check_whole(ours)
        by_run: dict[str, set[str]] = defaultdict(set)
        for r in ours:
            by_run[r["metaxy_materialization_id"]].add(r["id"])
        for run, n in processed.items():
            if len(by_run[run]) != n:
                raise Violation(f"{run} says processed={n}, and {len(by_run[run])} samples of it are in the table")

    def check_whole(self, ours: list[dict]) -> None:
        """The rows of an expanded sample are there all, or none."""
        if self.feature != "part":
            return
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for r in ours:
            found[r["id"], r["made"].partition(":")[2]].add(r["n"])
        for (sample, body), ns in found.items():
            if ns != set(range(parts({"id": sample, "body": body}))):
                raise Violation(f"sample {sample} {body} has only the rows {sorted(ns)}")

    def check_current(self, current: list[dict]) -> None:
        """At the end, the current rows are those of the sources, and of nothing else."""
        got = Counter((r["id"], r.get("n"), r["made"]) for r in current)
        want: Counter[tuple] = Counter()
        for sample, body in self.sources.items():
            ns = range(parts({"id": sample, "body": body})) if self.feature == "part" else [None]
            want.update((sample, n, f"{sample}:{body}") for n in ns)
        if got != want:
            raise Violation(f"the current rows differ: {list((got - want).items())[:5]} should not be, {list((want - got).items())[:5]} should")
        rows = self.rows()
        alive = Counter((*k, rows[i]["made"]) for k, i in latest(rows).items() if rows[i]["metaxy_deleted_at"] is None)
        if alive != want:
            raise Violation(f"delta-rs sees other current rows: {list((alive - want).items())[:5]}, {list((want - alive).items())[:5]}")


def latest(rows: list[dict]) -> dict[tuple, int]:
    """Which row of each id counts, by Metaxy's rule: the newest."""
    found: dict[tuple, int] = {}
    for i, r in enumerate(rows):
        key = (r["id"], r.get("n"))
        if key not in found or _time(r) > _time(rows[found[key]]):
            found[key] = i
    return found


def _time(r: dict) -> datetime.datetime:
    return r["metaxy_deleted_at"] or r["metaxy_updated_at"]


def identity(r: dict) -> tuple:
    """Tells a physical row from all others of its table."""
    return (r["id"], r.get("n"), r["made"], r["metaxy_provenance"], r["metaxy_materialization_id"], r["metaxy_updated_at"], r["metaxy_deleted_at"])
