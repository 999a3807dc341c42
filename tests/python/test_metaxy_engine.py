"""Random worlds, resolved by real Metaxy and by our engine: lineage, filters, optional parents, staleness predicates."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import metaxy as mx
import polars as pl
from conftest import ROOT
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore
from metaxy.models.filter_expression import parse_filter_string

WORLDS = 130
ALGORITHMS = ["xxhash32", "xxhash64", "xxh3_64", "wyhash", "sha256", "md5"]
STATUSES = ["new", "stale", "orphaned"]
VERSIONS = ["metaxy_provenance_by_field", "metaxy_provenance", "metaxy_data_version_by_field", "metaxy_data_version"]
PREDICATE = "__stale_by_predicate"


@dataclass
class World:
    """A store, a graph of roots and one child, and how the child is resolved."""

    folder: Path
    rng: random.Random
    specs: list[dict[str, Any]] = field(default_factory=list)
    algorithm: str = ""
    truncation: int = 64
    keys: list[Any] = field(default_factory=list)
    kind: str = ""
    child: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def compare(self) -> list[str]:
        """The columns that Metaxy compares samples by."""
        ids: list[str] = list(self.child["id_columns"])
        return [c for c in ids if c != "part"]


def lineage(kind: str, on: list[str] | None) -> dict[str, Any]:
    return {"relationship": {"type": kind, "on": on}}


def make_world(folder: Path, seed: int) -> World:
    rng = random.Random(seed)
    w = World(folder, rng, algorithm=rng.choice(ALGORITHMS), truncation=rng.choice([8, 16, 64]))
    w.keys = rng.choice([["a", "b", "é", "x y", ""], [1, 2, 3, 10, -4]])
    w.specs = [
        {"key": "video/raw", "id_columns": ["vid"], "fields": ["x", "y"]},
        {"key": "other", "id_columns": ["vid"], "fields": ["x", {"key": "z", "code_version": "2"}]},
        {"key": "seg", "id_columns": ["vid", "n"], "fields": ["x", "s/t"]},
    ]
    w.kind = rng.choice(["identity", "join", "left", "outer", "group", "group_join", "group_left", "expand", "expand_join"])
    raw: dict[str, Any] = {"feature": "video/raw"}
    other: dict[str, Any] = {"feature": "other", "select": rng.choice([["c_other"], []])}
    grouped: dict[str, Any] = {"feature": "seg", "lineage": lineage("N:1", rng.choice([["vid"], None]))}
    if rng.random() < 0.4:
        raw["rename"] = {"c_raw": "renamed"}
    if rng.random() < 0.4:
        raw["filters"] = [condition(rng, raw.get("rename", {}).get("c_raw", "c_raw"))]
    if rng.random() < 0.3:
        grouped["filters"] = [condition(rng, "c_seg")]
    ids, deps = ["vid"], [raw]
    if w.kind == "join":
        deps = [raw, other]
    elif w.kind == "left":
        deps = rng.choice([[raw, {**other, "optional": True}], [{**other, "optional": True}, raw]])
    elif w.kind == "outer":
        deps = [{**raw, "optional": True}, {**other, "optional": True}]
    elif w.kind == "group":
        deps = [grouped]
    elif w.kind == "group_join":
        deps = [grouped, other]
    elif w.kind == "group_left":
        deps = [raw, {**grouped, "lineage": lineage("N:1", ["vid"]), "select": ["n"], "optional": True}]
    elif w.kind.startswith("expand"):
        ids, deps = ["vid", "part"], [{**raw, "lineage": lineage("1:N", ["vid"])}]
        if w.kind == "expand_join":
            deps.append(other)
    fields = rng.choice([["x"], ["x", {"key": "t", "code_version": "9"}], ["s/t", "x", "q"]])
    w.child = {"key": "child", "id_columns": ids, "deps": deps, "fields": fields}
    w.specs.append(w.child)
    return w


def condition(rng: random.Random, column: str) -> str:
    bound = rng.randrange(10)
    return rng.choice([f"{column} > {bound}", f"NOT {column} = {bound}", f"{column} IN (1, 2, 3, {bound}) OR {column} >= 8", f"{column} IS NOT NULL"])


def rows(w: World, key: str, column: str, fields: list[str], ids: list[dict[str, Any]], nulls: bool) -> pl.DataFrame:
    def version() -> str | None:
        return None if nulls and w.rng.random() < 0.15 else w.rng.choice(["1", "2", "a|b", "é", ""])

    return pl.DataFrame(
        [
            {**i, column: w.rng.randrange(10), "metaxy_provenance_by_field": {f: version() for f in fields}}
            for i in ids
        ],
        schema_overrides={column: pl.Int64, "metaxy_provenance_by_field": pl.Struct({f: pl.String for f in fields})},
    )


def write_roots(w: World, store: DeltaMetadataStore, share: float) -> None:
    """Writes a share of the samples of each root. Nulls only where they leave a version that can be computed."""
    vids = [{"vid": k} for k in w.keys]
    segs = [{"vid": k, "n": n} for k in w.keys for n in (2, 9, 10)]
    optional = {d["feature"] for d in w.child["deps"] if d.get("optional")}
    plan = [("video/raw", "c_raw", ["x", "y"], vids), ("other", "c_other", ["x", "z"], vids), ("seg", "c_seg", ["x", "s_t"], segs)]
    for key, column, fields, ids in plan:
        some = [i for i in ids if w.rng.random() < share] or ids[:1]
        w.rng.shuffle(some)
        store.write(key, rows(w, key, column, fields, some, nulls=key == "seg" or key in optional))


def write_child(w: World, store: DeltaMetadataStore) -> None:
    """Writes most of the increment, with two parts of each sample where it is expanded, and a status."""
    inc = store.resolve_update("child")
    frame = pl.concat([inc.new.to_polars(), inc.stale.to_polars()], how="diagonal").unique(w.compare, keep="first", maintain_order=True)
    frame = frame.filter(pl.Series([w.rng.random() < 0.8 for _ in range(len(frame))], dtype=pl.Boolean))
    if "part" in w.child["id_columns"]:
        frame = frame.join(pl.DataFrame({"part": [0, 1]}), how="cross")
    status = pl.Series("status", [w.rng.choice(["ok", "failed", None]) for _ in range(len(frame))], dtype=pl.String)
    if len(frame):
        store.write("child", frame.with_columns(status))


def options(w: World) -> dict[str, Any]:
    """Some of the things that a resolve can be told."""
    out: dict[str, Any] = {}
    if w.rng.random() < 0.3:
        out["Filters"] = {key: [condition(w.rng, c)] for key, c in [("seg", "c_seg"), ("other", "c_other")] if w.rng.random() < 0.6}
    if w.rng.random() < 0.2:
        literal = "'a'" if isinstance(w.keys[0], str) else "1"
        out["GlobalFilters"] = [f"vid != {literal}"]
    if w.rng.random() < 0.2:
        out["TargetFilters"] = ["status = 'ok' OR status IS NULL"]
    if w.rng.random() < 0.4:
        out["StaleIf"] = w.rng.choice([["status = 'failed'"], ["status = 'failed'", "status IS NULL"]])
    if w.rng.random() < 0.1:
        out["SkipComparison"] = True
    # Metaxy looks at any one of a sample's parts, at our side all count.
    if "part" in w.child["id_columns"]:
        out.pop("StaleIf", None)
        out.pop("TargetFilters", None)
    return out


def parsed(texts: list[str] | None) -> list[Any]:
    return [parse_filter_string(t) for t in texts or []]


def metaxy_increment(w: World) -> dict[str, pl.DataFrame]:
    """Fills the store and returns what Metaxy makes of it."""
    mx.MetaxyConfig.set(mx.MetaxyConfig(project="proj", hash_truncation_length=w.truncation))
    with mx.FeatureGraph().use():
        for spec in w.specs:
            model = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"vid": str}, "__module__": __name__, "__metaxy_project__": "proj"}
            type("F_" + model.key.table_name, (mx.BaseFeature,), namespace, spec=model)
        with DeltaMetadataStore(w.folder, hash_algorithm=mx.HashAlgorithm(w.algorithm)).open("w") as store:
            write_roots(w, store, 0.8)
            if w.rng.random() < 0.9:
                write_child(w, store)
            write_roots(w, store, 0.3)
            if w.rng.random() < 0.4:
                store.delete(w.rng.choice(["video/raw", "other", "seg"]), filters=parsed([condition(w.rng, "vid") if isinstance(w.keys[0], int) else "vid = 'b'"]))
            w.options = options(w)
            o = w.options
            inc = store.resolve_update(
                "child",
                filters={k: parsed(v) for k, v in o.get("Filters", {}).items()} or None,
                global_filters=parsed(o.get("GlobalFilters")) or None,
                target_filters=parsed(o.get("TargetFilters")) or None,
                staleness_predicates=parsed(o.get("StaleIf")) or None,
                skip_comparison=o.get("SkipComparison", False),
            )
            return {s: getattr(inc, s).to_polars() for s in STATUSES}


def wanted(w: World, status: str, frame: pl.DataFrame) -> list[str]:
    """The columns to compare: all but times, run ids and what is always null. Of an orphaned sample with parts Metaxy
    returns any one part."""
    if status == "orphaned" and "part" in w.child["id_columns"]:
        return w.compare
    return [c for c in frame.columns if not c.startswith("metaxy_") or c in VERSIONS]


def canonical(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def our_increments(worlds: list[World], columns: list[dict[str, list[str]]]) -> list[dict[str, Any]]:
    requests = [
        {
            "Store": str(w.folder), "Algorithm": w.algorithm, "Truncation": w.truncation, "Specs": w.specs,
            "Feature": "child", "Columns": c, **w.options,
        }
        for w, c in zip(worlds, columns, strict=True)
    ]
    done = subprocess.run(
        ["go", "run", "./tests/resolvejson"], cwd=ROOT, check=True, capture_output=True, text=True,
        input="\n".join(json.dumps(r) for r in requests),
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_engine_agrees_with_metaxy_on_random_worlds(tmp_path: Path) -> None:
    worlds = [make_world(tmp_path / str(seed), seed) for seed in range(WORLDS)]
    theirs = [metaxy_increment(w) for w in worlds]
    columns = [{s: wanted(w, s, frame) for s, frame in inc.items()} for w, inc in zip(worlds, theirs, strict=True)]
    ours = our_increments(worlds, columns)
    seen: dict[str, int] = {}
    wrong = []
    for seed, (w, inc, c, answer) in enumerate(zip(worlds, theirs, columns, ours, strict=True)):
        assert "error" not in answer, f"world {seed} ({w.kind}): {answer['error']}\n{json.dumps(w.child)}"
        for status in STATUSES:
            want, got = canonical(inc[status].select(c[status]).to_dicts()), canonical(answer["rows"][status])
            if status == "orphaned" and c[status] == w.compare:
                want, got = sorted(set(want)), sorted(set(got))
            if want != got:
                wrong.append(f"world {seed} ({w.kind}, {w.options}): {status}\n  metaxy {want}\n  ours   {got}\n  {json.dumps(w.child)}")
            seen[status] = seen.get(status, 0) + len(want)
        seen[w.kind] = seen.get(w.kind, 0) + 1
        for option in w.options:
            seen[option] = seen.get(option, 0) + 1
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong[:5])
    assert min(seen.get(s, 0) for s in [*STATUSES, "expand", "group", "outer"]) >= 10, seen
    assert min(seen.get(o, 0) for o in ["Filters", "GlobalFilters", "TargetFilters", "StaleIf", "SkipComparison"]) >= 5, seen
