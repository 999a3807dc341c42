"""Plays a case on a store of its own, and raises a Difference at the first step about which the two sides do not agree."""

from __future__ import annotations

import json
import shutil
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from . import compare, theirs
from .case import BY_FIELD, DATA_BY_FIELD, SIMPLE, Case, features, fields, frame, struct_key, value
from .compare import Difference
from .ours import Ours, OurError


def play(case: Case, folder: Path, ours: Ours, seen: Counter[str] | None = None) -> None:
    """Plays a case in an empty folder, which is removed."""
    try:
        Play(case, folder, ours, seen if seen is not None else Counter()).all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Play:
    """The state of a case that is being played."""

    def __init__(self, case: Case, folder: Path, ours: Ours, seen: Counter[str]) -> None:
        self.case, self.folder, self.ours, self.seen = case, folder, ours, seen
        self.main, self.other = folder / "store", folder / "fallback"
        fallback = any(s.get("store") == "fallback" for s in case["steps"])
        self.fallback = self.other if fallback else None
        self.theirs = theirs.Theirs(self.main, case["algorithm"], self.fallback)
        self.step = 0
        self.graph = 0
        self.specs = features(case)
        theirs.configure(case["truncation"])

    def ask(self, op: str, feature: str | None = None, **request: Any) -> dict[str, Any]:
        case = self.case
        return self.ours.ask(
            Op=op, Specs=case["graphs"][self.graph], Algorithm=case["algorithm"], Truncation=case["truncation"], Feature=feature,
            **{"Store": str(self.main), "Fallback": self.fallback and str(self.fallback), **request},
        )

    def all(self) -> None:
        self.count()
        current = self.use(0)
        try:
            for self.step, step in enumerate(self.case["steps"]):
                if step["op"] == "graph":
                    current.__exit__(None, None, None)
                    current = self.use(step["index"])
                    continue
                self.seen[f"{step['op']} by {step.get('by', 'both')}"] += 1
                getattr(self, step["op"])(step)
        except Difference as d:
            d.add_note(f"at step {self.step}: {json.dumps(self.case['steps'][self.step])[:600]}")
            raise
        finally:
            current.__exit__(None, None, None)

    def count(self) -> None:
        """Notes what the case is made of."""
        self.seen.update([self.case["algorithm"], f"cut to {self.case['truncation']}", f"{len(self.specs)} features"])
        for spec in self.specs.values():
            deps = spec.get("deps") or []
            self.seen.update(f"id {self.case['types'][c]}" for c in spec["id_columns"])
            self.seen["all optional"] += bool(deps) and all(d.get("optional") for d in deps)
            self.seen["several parents"] += len(deps) > 1
            for d in deps:
                self.seen[f"lineage {compare.lineage(d)['type']}"] += 1
                self.seen[f"mapping {d.get('fields_mapping', {}).get('mapping', {}).get('type')}"] += 1
                self.seen.update(f"dep {o}" for o in ("optional", "rename", "select") if o in d)
                self.seen["dep filters"] += "filters" in d or "sql_filters" in d
            for f in fields(spec):
                if isinstance(f, dict) and "deps" in f:
                    self.seen["field deps"] += 1

    def use(self, index: int) -> Any:
        """Makes both sides use a graph, whose version hashes must be equal."""
        self.graph, self.specs = index, features(self.case, index)
        graph = theirs.graph_of(self.case["graphs"][index])
        current = graph.use()
        current.__enter__()
        a, b = theirs.versions(graph), self.ask("graph")["graph"]
        if a != b:
            current.__exit__(None, None, None)
            raise Difference("versions of the graph", f"\n  metaxy {a}\n  ours   {b}")
        return current

    # compare.Tables

    def exists(self, feature: str) -> bool:
        return any(self.table(feature, f).exists() for f in (self.main, self.other))

    def table(self, feature: str, folder: Path) -> Path:
        return folder / f"{feature}.delta"

    def unknown_members(self, feature: str) -> set[str]:
        if not self.exists(feature):
            return set()
        table = self.table(feature, self.main if self.table(feature, self.main).exists() else self.other)
        known = pl.scan_delta(str(table)).collect_schema()[DATA_BY_FIELD]
        return {struct_key(f) for f in fields(self.specs[feature])} - {f.name for f in known.fields}

    # What changes the store.

    def write(self, step: dict[str, Any]) -> None:
        rows = frame(self.case, self.specs[step["feature"]], step["rows"])
        self.put(step["by"], step["feature"], rows, self.other if step.get("store") == "fallback" else self.main)

    def put(self, by: str, feature: str, rows: pl.DataFrame, folder: Path) -> None:
        run = f"run-{self.step}"
        if by == "ours":
            self.ask("write", feature, Rows=rows, MaterializationID=run, Store=str(folder))
        else:
            theirs.Theirs(folder, self.case["algorithm"]).write(feature, rows, run)

    def delete(self, step: dict[str, Any]) -> None:
        hard = step.get("hard", False)
        if not (self.table(step["feature"], self.main).exists() if hard else self.exists(step["feature"])):
            return
        flags = {f: step.get(f, False) for f in ("with_feature_history", "with_sample_history")}
        feature, where = step["feature"], step.get("where")
        both = {
            "ours": lambda: self.ask(
                "delete", feature, Where=where, Hard=hard, WithFeatureHistory=flags["with_feature_history"],
                WithSampleHistory=flags["with_sample_history"],
            ),
            "metaxy": lambda: self.theirs.delete(feature, where, hard=hard, **flags),
        }
        _, err = attempt(both[step["by"]])
        if err is not None:  # then the other side must refuse the condition too
            read = {"ours": lambda: self.theirs.read(feature, {"filters": where}), "metaxy": lambda: self.ask("read", feature, Where=where)}
            _, other = attempt(read[step["by"]])
            if other is None:
                raise Difference("error", f"only {step['by']}: {err!r:.300}")

    def advance(self, step: dict[str, Any]) -> None:
        """Writes a share of the new and stale samples, as whoever's turn it is resolves them."""
        feature, spec = step["feature"], self.specs[step["feature"]]
        both = {
            "metaxy": lambda: self.theirs.resolve(feature, {}),
            "ours": lambda: self.ask("resolve", feature)["frames"],
        }
        inc, err = attempt(both[step["by"]])
        if err is not None:
            other = "ours" if step["by"] == "metaxy" else "metaxy"
            found = {step["by"]: err, other: attempt(both[other])[1]}
            compare.errors(spec, found["metaxy"], found["ours"], self)
            return
        if not len(inc["new"]) + len(inc["stale"]):
            return
        by = compare.compared_by(spec)
        rows = pl.concat([inc["new"], inc["stale"]], how="diagonal_relaxed").unique(by, keep="first", maintain_order=True)
        dice = Dice(step["salt"], rows.select(by))
        rows = rows.filter(dice.below(step.get("share", 1.0)))
        if not len(rows):
            return
        if not step.get("carry"):
            rows = rows.select(*by, *(c for c in rows.columns if c in theirs_versions(rows)))
        rows = self.override(step, spec, rows)
        rows = self.computed(step, rows, by)
        self.put(step["by"], feature, rows, self.main)

    def override(self, step: dict[str, Any], spec: dict[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
        """Gives some of the samples data versions of their own."""
        if not step.get("override"):
            return rows
        dice = Dice(step["salt"] + 1, rows.select(compare.compared_by(spec)))
        members = list(dict.fromkeys(struct_key(f) for f in fields(spec)))
        own = [{m: f"own-{n % 3}" for m in members} if n % 100 < step["override"] * 100 else None for n in dice.numbers]
        series = pl.Series(DATA_BY_FIELD, own, dtype=pl.Struct(dict.fromkeys(members, pl.String)))
        rows = rows.with_columns(series)
        return rows.drop("metaxy_data_version") if step.get("rehash") else rows

    def computed(self, step: dict[str, Any], rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
        """Adds the feature's own columns, and its parts if it is expanded."""
        for column, domain in step.get("columns", {}).items():
            kind = self.case["types"][column]
            dice = Dice(step["salt"] + zlib.crc32(column.encode()) % 1000, rows.select(by))
            values = [value(kind, domain[n % len(domain)]) for n in dice.numbers]
            rows = rows.with_columns(pl.Series(column, values, dtype=SIMPLE[kind]))
        if compare.expands(self.specs[step["feature"]]):
            # As many parts as ever, so that no part of an earlier version is left.
            parts = [list(range(1 + n % 3)) for n in Dice(0, rows.select(by)).numbers]
            kind = SIMPLE[self.case["types"]["part"]]
            rows = rows.with_columns(pl.Series("part", parts, dtype=pl.List(kind))).explode("part")
        return rows

    # What compares.

    def read(self, step: dict[str, Any]) -> None:
        feature, options = step["feature"], dict(step.get("options", {}))
        if "version_of_graph" in options:
            graph = self.case["graphs"][min(options.pop("version_of_graph"), len(self.case["graphs"]) - 1)]
            options["feature_version"] = theirs.graph_of(graph).get_feature_version(feature)
        a, err = attempt(lambda: self.theirs.read(feature, options))
        b, refused = attempt(lambda: self.ask(
            "read", feature, Where=options.get("filters"), Columns=options.get("columns"),
            WithFeatureHistory=options.get("with_feature_history"), WithSampleHistory=options.get("with_sample_history"),
            IncludeSoftDeleted=options.get("include_soft_deleted"), FeatureVersion=options.get("feature_version"),
        )["frames"]["read"])
        if compare.errors(self.specs[feature], err, refused, self):
            self.seen["refused" if refused else "refused by metaxy"] += 1
            self.seen[f"refused {type(err).__name__}"] += 1
            return
        self.seen["rows read"] += len(a)
        # Metaxy puts the ids first only where it looks for the newest row of each.
        compare.same("read", a, b, ordered=not options.get("with_sample_history"))

    def compute(self, step: dict[str, Any]) -> None:
        """Both compute the provenance of parents' rows that are joined here, side by side and not by id."""
        feature, spec = step["feature"], self.specs[step["feature"]]
        parents = [d["feature"] for d in spec["deps"]]
        if not all(self.exists(p) and not self.unknown_members(p) for p in parents):
            return
        frames = [
            self.theirs.read(p, {}).select(pl.col(DATA_BY_FIELD).alias(f"{DATA_BY_FIELD}__{p.replace('/', '_')}")) for p in parents
        ]
        rows = pl.concat([f.head(min(len(f) for f in frames)) for f in frames], how="horizontal").with_row_index("row").cast({"row": pl.Int64})
        a, b = self.theirs.compute(feature, rows), self.ask("compute", feature, Rows=rows)["frames"]["compute"]
        self.seen["rows computed"] += len(a)
        compare.same("computed", a, b)

    def resolve(self, step: dict[str, Any]) -> None:
        feature, options, samples = step["feature"], step.get("options", {}), None
        spec = self.specs[feature]
        if "samples" in step:
            samples = frame(self.case, spec, step["samples"])
        a, err = attempt(lambda: self.theirs.resolve(feature, options, samples))
        b, refused = attempt(lambda: self.ask(
            "resolve", feature, Samples=samples, Filters=options.get("filters"), GlobalFilters=options.get("global_filters"),
            TargetFilters=options.get("target_filters"), StaleIf=options.get("staleness_predicates"),
            SkipComparison=options.get("skip_comparison"),
        ))
        if compare.errors(spec, err, refused, self):
            self.seen["refused" if refused else "refused by metaxy"] += 1
            self.seen[f"refused {type(err).__name__}"] += 1
            return
        for status in compare.STATUSES:
            self.seen[status] += len(b["frames"][status])
        for option in options:
            self.seen[option] += 1
        compare.increments(
            spec, a, b["frames"], stored=self.stored(feature, options), given=samples is not None,
            unresolvable=b.get("unresolvable", 0),
        )

    def stored(self, feature: str, options: dict[str, Any]) -> pl.DataFrame | None:
        """What the expected samples are compared with."""
        if not self.table(feature, self.main).exists() or options.get("skip_comparison"):
            return None
        filters = [*options.get("filters", {}).get(feature, []), *options.get("global_filters", []), *options.get("target_filters", [])]
        return self.theirs.read(feature, {"filters": filters})


def attempt(call: Any) -> tuple[Any, Any]:
    """What a call returns, and the error that it raised instead. Ours come as OurError, Metaxy's as whatever they are."""
    try:
        return call(), None
    except Exception as err:  # noqa: BLE001: which errors Metaxy raises is what is compared
        return None, err


def theirs_versions(frame: pl.DataFrame) -> list[str]:
    return [c for c in (BY_FIELD, "metaxy_provenance", DATA_BY_FIELD, "metaxy_data_version") if c in frame.columns]


class Dice:
    """A number for each sample that depends on its id and a salt alone, so that a shrunk case rolls the same."""

    def __init__(self, salt: int, ids: pl.DataFrame) -> None:
        self.numbers = [zlib.crc32(f"{salt}{json.dumps(row, default=str)}".encode()) >> 8 for row in ids.to_dicts()]

    def below(self, share: float) -> pl.Series:
        return pl.Series([n % 1000 < share * 1000 for n in self.numbers], dtype=pl.Boolean)
