"""Makes the vectors/*_own_*.json: what real Metaxy answers in cases that the other vectors leave out.

    .venv/bin/python testdata/make_vectors.py

The format is that of the others. A case is a graph, writes that make the tables, and one operation.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "python"))

import polars as pl  # noqa: E402
from differential import theirs  # noqa: E402

UTC = datetime.UTC
BY_FIELD, DATA_BY_FIELD = "metaxy_provenance_by_field", "metaxy_data_version_by_field"
Operation = dict[str, Any]


class Case:
    """A graph and a store that are being filled."""

    def __init__(self, folder: Path, specs: list[dict[str, Any]], algorithm: str, truncation: int) -> None:
        theirs.configure(truncation)
        self.specs, self.algorithm, self.truncation = specs, algorithm, truncation
        self.graph = theirs.graph_of(specs)
        self.folder, self.other = folder / "store", folder / "fallback"
        self.store = theirs.Theirs(self.folder, algorithm)
        self.fallback = theirs.Theirs(self.other, algorithm)

    def write(self, feature: str, frame: pl.DataFrame, *, away: bool = False) -> None:
        (self.fallback if away else self.store).write(feature, frame, "run")

    def compute(self, feature: str, **columns: Any) -> None:
        """Writes what is new, with further columns."""
        new = self.store.resolve(feature, {})["new"]
        self.store.write(feature, new.with_columns(**columns), "run")

    def tables(self, folder: Path) -> dict[str, Any]:
        paths = {s["key"]: folder / f"{s['key']}.delta" for s in self.specs}
        return {key: dumped(pl.read_delta(str(path))) for key, path in paths.items() if path.exists()}


def name_of(kind: Any) -> str:
    simple = {pl.String: "string", pl.Int64: "int64", pl.Int32: "int32", pl.Float64: "float64", pl.Boolean: "bool", pl.Date: "date", pl.Null: "null"}
    if isinstance(kind, pl.Struct):
        return "struct<" + ",".join(f"{f.name}:{name_of(f.dtype)}" for f in kind.fields) + ">"
    if isinstance(kind, pl.List):
        return f"list<{name_of(kind.inner)}>"
    if isinstance(kind, pl.Datetime):
        return "timestamp"
    return simple[type(kind) if not isinstance(kind, type) else kind]


def plain(v: Any) -> Any:
    if isinstance(v, datetime.datetime):
        return v.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    return [plain(x) for x in v] if isinstance(v, list) else v


def dumped(frame: pl.DataFrame) -> dict[str, Any]:
    rows = [{k: plain(v) for k, v in row.items()} for row in frame.to_dicts()]
    rows.sort(key=lambda r: json.dumps(r, sort_keys=True))
    return {"columns": [[c, name_of(t)] for c, t in frame.schema.items()], "rows": rows}


def answered(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        return call()
    except Exception as err:  # noqa: BLE001: any failure of Metaxy's is an answer
        return {"error": {"type": type(err).__name__, "message_first_line": str(err).splitlines()[0]}}


def resolved(case: Case, op: Operation) -> dict[str, Any]:
    samples = op.get("samples")
    options = {k: op[k] for k in ("filters", "global_filters", "target_filters", "staleness_predicates", "skip_comparison") if k in op}
    store = theirs.Theirs(case.folder, case.algorithm, case.other if case.other.exists() else None)
    return {s: dumped(f) for s, f in store.resolve(op["feature"], options, samples).items()}


def read(case: Case, op: Operation) -> dict[str, Any]:
    options = {k: v for k, v in op.items() if k not in ("op", "feature")}
    return {"frame": dumped(theirs.Theirs(case.folder, case.algorithm, case.other if case.other.exists() else None).read(op["feature"], options))}


def written(case: Case, op: Operation) -> dict[str, Any]:
    with case.store.open() as store:
        store.write(
            op["feature"], op["df"], materialization_id=op.get("materialization_id"), preserve_feature_version=op.get("preserve_feature_version", False)
        )
    return {"table": case.tables(case.folder)[op["feature"]]}


def deleted(case: Case, op: Operation) -> dict[str, Any]:
    store = theirs.Theirs(case.folder, case.algorithm, case.other if case.other.exists() else None)
    with store.open() as s:
        s.delete(op["feature"], filters=theirs.parsed(op["filters"]) or None, soft=op.get("soft", True), with_feature_history=op.get("with_feature_history", False))
    return {"table": case.tables(case.folder)[op["feature"]]}


def computed(case: Case, op: Operation) -> dict[str, Any]:
    return {"frame": dumped(case.store.compute(op["feature"], op["df"]))}


OPERATIONS = {"resolve_update": resolved, "read": read, "write": written, "delete": deleted, "compute_provenance": computed}


def clock(expected: dict[str, Any], before: dict[str, Any], feature: str) -> str | None:
    """When a write was made: the newest time in the table that was not there before."""
    known = json.dumps(before.get(feature, {}))
    times = [r[c] for r in expected.get("table", {}).get("rows", []) for c in ("metaxy_updated_at", "metaxy_deleted_at") if r[c]]
    return max((t for t in times if t not in known), default=None)


def save(group: str, name: str, why: str, specs: list[dict[str, Any]], fill: Callable[[Case], Operation], algorithm: str = "xxhash64", truncation: int = 64) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case = Case(Path(folder), specs, algorithm, truncation)
        with case.graph.use():
            op = fill(case)
            versions = {s["key"]: case.graph.get_feature_version(s["key"]) for s in specs}
            tables, away = case.tables(case.folder), case.tables(case.other)
            expected = answered(lambda: OPERATIONS[op["op"]](case, op))
            out = {
                "group": group, "name": name, "description": why, "hash_algorithm": algorithm, "hash_truncation_length": truncation,
                "project": theirs.PROJECT,
                "features": [{"spec": json.loads(case.graph.get_feature_definition(s["key"]).spec.model_dump_json()), "schema": {}, "project": theirs.PROJECT} for s in specs],
                "feature_versions": versions, "project_version": case.graph.get_project_version(theirs.PROJECT), "tables": tables,
                **({"fallback_tables": away} if away else {}),
                "operation": {k: dumped(v) if isinstance(v, pl.DataFrame) else v for k, v in op.items()}, "expected": expected,
            }
            if now := clock(expected, tables, op["feature"]):
                out["now"] = now
    path = HERE / "vectors" / f"{group}_own_{name}.json"
    path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
    print(path.name, next(iter(expected.items()))[0], expected.get("error", {}).get("type", ""), {k: len(v["rows"]) for k, v in expected.items() if k != "error"})


# The cases.

def root(key: str, ids: list[str] | None = None, fields: list[Any] | None = None) -> dict[str, Any]:
    return {"key": key, "id_columns": ids or ["id"], "fields": fields or ["x", "y"]}


def child(key: str, deps: list[Any], ids: list[str] | None = None, fields: list[Any] | None = None) -> dict[str, Any]:
    return {"key": key, "id_columns": ids or ["id"], "deps": [d if isinstance(d, dict) else {"feature": d} for d in deps], "fields": fields or ["x", "q"]}


def lineage(kind: str, on: list[str] | None) -> dict[str, Any]:
    return {"relationship": {"type": kind, "on": on}}


def rows(ids: dict[str, list[Any]], *, fields: tuple[str, ...] = ("x", "y"), types: dict[str, Any] | None = None, version: str = "v", **columns: list[Any]) -> pl.DataFrame:
    count = len(next(iter(ids.values())))
    by_field = [{f: f"{version}{f}{i}" for f in fields} for i in range(count)]
    return pl.DataFrame({**ids, **columns, BY_FIELD: by_field}, schema_overrides=types or {})


ID_TYPES: dict[str, tuple[list[Any], Any]] = {
    "bool": ([True, False], pl.Boolean),
    "int32": ([3, -1, 10], pl.Int32),
    "int64": ([2**53 + 1, 2**53, -5], pl.Int64),
    "float64": ([1.5, -2.25, 1e300], pl.Float64),
    "date": ([datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), datetime.date(2001, 1, 1)], pl.Date),
    "timestamp": ([datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)], pl.Datetime("us", "UTC")),
    "string": (["b", "é", "", "a|b", "🎬"], pl.String),
}


def id_types() -> None:
    """New, stale and orphaned for ids of each type; and groups in the order of such ids."""
    for kind, (values, dtype) in ID_TYPES.items():
        types = {"id": dtype, "n": dtype}

        def identity(c: Case, values: list[Any] = values, types: dict[str, Any] = types) -> Operation:
            c.write("a", rows({"id": values}, types=types))
            c.compute("t")
            c.store.delete("a", None, hard=False)
            c.write("a", rows({"id": values[:1]}, types=types, version="w"))
            return {"op": "resolve_update", "feature": "t"}

        def grouped(c: Case, values: list[Any] = values, types: dict[str, Any] = types) -> Operation:
            ids = {"g": ["1"] * len(values) + ["2"], "n": [*values, values[0]]}
            c.write("a", rows(ids, types={"n": types["n"]}))
            return {"op": "resolve_update", "feature": "t"}

        save("rows", f"ids_{kind}", f"ids of type {kind}: one is stale, the others are orphaned", [root("a"), child("t", ["a"])], identity)
        save(
            "rows", f"group_order_{kind}", f"a group in the order of ids of type {kind}",
            [root("a", ["g", "n"]), child("t", [{"feature": "a", "lineage": lineage("N:1", ["g"])}], ["g"])], grouped,
        )


def main() -> None:
    id_types()

    # Ids.
    def widths(c: Case) -> Operation:
        c.write("a", rows({"id": [1, 2, 3]}, types={"id": pl.Int32}))
        c.write("b", rows({"id": [2, 3, 4]}, types={"id": pl.Int64}))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "int32_joins_int64", "ids of two widths join", [root("a"), root("b"), child("t", [{"feature": "a", "select": []}, {"feature": "b", "select": []}])], widths)

    def null_ids(c: Case) -> Operation:
        c.write("a", rows({"g": [None, None, "1"], "n": [1, 2, None]}, types={"g": pl.String, "n": pl.Int64}))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "null_group", "rows whose group is null, and a null id in a group", [root("a", ["g", "n"]), child("t", [{"feature": "a", "lineage": lineage("N:1", ["g"])}], ["g"])], null_ids)

    def mixed(c: Case) -> Operation:
        ids = {"a": ["1", "1", "2", "2"], "d": [datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)] * 2, "f": [True, False, False, True]}
        c.write("p", rows(ids))
        c.compute("t")
        c.write("p", rows({k: v[:2] for k, v in ids.items()}, version="w"))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "three_ids_of_three_types", "string, date and bool together", [root("p", ["a", "d", "f"]), child("t", ["p"], ["a", "d", "f"])], mixed, "wyhash", 12)

    # Columns of the user.
    nested = {"s": [{"a": 1, "b": {"c": "x"}}, {"a": None, "b": None}, None], "l": [[1, 2], [], None], "d": [datetime.date(2024, 1, 1)] * 3, "t": [datetime.datetime(2024, 1, 1, tzinfo=UTC)] * 3}

    def flow(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2", "3"]}, **nested))
        c.compute("t")
        c.write("a", rows({"id": ["1"]}, version="w", **{k: v[:1] for k, v in nested.items()}))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "nested_columns_flow", "structs in structs, lists, dates and times, renamed and selected", [root("a"), child("t", [{"feature": "a", "rename": {"s": "s2", "d": "d2"}, "select": ["s2", "l", "d2", "t"]}])], flow)

    # Conditions.
    flags = {"b": [True, False, None, True], "s": ["a", "b'c", None, "é"], "i": [1, 2, 3, None]}
    for name, condition in {
        "bool_column": "b", "not_bool_column": "NOT b", "bool_is_not_true": "b IS NOT TRUE", "in_strings": "s IN ('a', 'b''c')",
        "not_in_numbers": "i NOT IN (1, 2)", "in_with_null": "i IN (1, NULL)", "three_valued": "NOT (i > 1 AND b)",
    }.items():
        def filtered(c: Case, condition: str = condition) -> Operation:
            c.write("a", rows({"id": ["1", "2", "3", "4"]}, types={"i": pl.Int32}, **flags))
            return {"op": "resolve_update", "feature": "t"}

        save("rows", f"filter_{name}", f"a dependency's filter: {condition}", [root("a"), child("t", [{"feature": "a", "filters": [condition]}])], filtered)

        def flagged(c: Case, condition: str = condition) -> Operation:
            c.write("a", rows({"id": ["1", "2", "3", "4"]}))
            c.store.write("t", c.store.resolve("t", {})["new"].sort("id").with_columns(**{k: pl.Series(v) for k, v in flags.items()}), "run")
            return {"op": "resolve_update", "feature": "t", "staleness_predicates": [condition]}

        save("rows", f"stale_if_{name}", f"a staleness predicate: {condition}", [root("a"), child("t", ["a"])], flagged)

    def all_filters(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2", "3", "4"]}, **flags))
        c.compute("t", status=pl.lit("ok"))
        c.write("a", rows({"id": ["1", "2", "3"]}, version="w", **{k: v[:3] for k, v in flags.items()}))
        return {"op": "resolve_update", "feature": "t", "filters": {"a": ["i >= 2"], "t": ["id != '3'"]}, "global_filters": ["id != '4'"], "target_filters": ["status = 'ok'"]}

    save("rows", "filters_of_every_kind", "filters of a parent, of the feature, global ones and of the target", [root("a"), child("t", ["a"])], all_filters)

    def skipping(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}, **{k: v[:2] for k, v in flags.items()}))
        c.compute("t")
        return {"op": "resolve_update", "feature": "t", "skip_comparison": True, "global_filters": ["id = '2'"]}

    save("rows", "skip_comparison_with_filters", "all that passes the filter is new", [root("a"), child("t", ["a"])], skipping)

    # Samples.
    def samples_for_child(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}))
        c.compute("t")
        return {"op": "resolve_update", "feature": "t", "samples": rows({"id": ["1", "3"]}, fields=("x", "q"), note=["n", None])}

    save("rows", "samples_for_child", "given samples take the parents' place", [root("a"), child("t", ["a"])], samples_for_child)

    def samples_for_parts(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}))
        new = c.store.resolve("t", {})["new"]
        c.store.write("t", new.join(pl.DataFrame({"part": [0, 1]}), how="cross"), "run")
        return {"op": "resolve_update", "feature": "t", "samples": rows({"id": ["1", "1"], "part": [1, 2]}, fields=("x", "q"))}

    expanded = [root("a"), child("t", [{"feature": "a", "lineage": lineage("1:N", ["id"])}], ["id", "part"])]
    save("rows", "samples_for_expansion", "given children of an expanded parent: Metaxy compares by the parent", expanded, samples_for_parts)

    def integer_members(c: Case) -> Operation:
        c.write("a", pl.DataFrame({"id": ["1", "2"], BY_FIELD: [{"x": 7, "y": -1}, {"x": 2**60, "y": 0}]}))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "integer_versions_of_parent", "versions of a parent that are integers", [root("a"), child("t", ["a"])], integer_members)

    # Versions.
    def override(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}).with_columns(pl.Series(DATA_BY_FIELD, [{"x": "own", "y": "own"}, None], dtype=pl.Struct({"x": pl.String, "y": pl.String}))))
        c.compute("b", **{DATA_BY_FIELD: pl.struct(x=pl.lit("same"), q=pl.lit("same"))})
        c.compute("t")
        c.write("a", rows({"id": ["1", "2"]}, version="w"))
        return {"op": "resolve_update", "feature": "b"}

    save("rows", "overridden_versions_then_real_ones", "a parent's own data versions, then none", [root("a"), child("b", ["a"]), child("t", ["b"])], override)

    def new_field(c: Case) -> Operation:
        old = Case(c.folder.parent, [root("a", fields=["x"])], c.algorithm, c.truncation)
        with old.graph.use():
            old.write("a", rows({"id": ["1"]}, fields=("x",)))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "new_field_in_parent", "the parent's table does not know a field yet", [root("a"), child("t", ["a"])], new_field)

    def versions_in_one_table(c: Case) -> Operation:
        for fields in (["x", {"key": "y", "code_version": "1"}], ["x", {"key": "y", "code_version": "2"}]):
            old = Case(c.folder.parent, [root("a", fields=fields), child("t", ["a"])], c.algorithm, c.truncation)
            with old.graph.use():
                old.write("a", rows({"id": ["1", "2"]}, version=str(fields[1]["code_version"])))
                old.compute("t")
        c.write("a", rows({"id": ["1"]}, version="3"))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "three_versions_in_one_table", "rows of older feature versions do not count", [root("a"), child("t", ["a"])], versions_in_one_table)

    # Where Metaxy fails.
    def chained(c: Case) -> Operation:
        for key in ("a", "b", "d"):
            c.write(key, rows({"id": ["1"]}))
        c.compute("c")
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "chained_deleted_at_right_fails", "a parent that has two parents itself, beside two others", [root("a"), root("b"), root("d"), child("c", ["a", "b"]), child("t", ["c", "d"])], chained)

    def optional_missing(c: Case) -> Operation:
        c.write("a", rows({"id": ["1"]}))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "optional_missing_table_error", "the table of an optional parent is missing", [root("a"), root("b"), child("t", ["a", {"feature": "b", "optional": True}])], optional_missing)

    def shared_column(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}, fields=("b_c",)))
        c.write("a_b", rows({"id": ["1", "2"]}, fields=("c",)))
        c.compute("t")
        c.write("a", rows({"id": ["1"]}, fields=("b_c",), version="w"))
        c.write("a_b", rows({"id": ["2"]}, fields=("c",), version="w"))
        return {"op": "resolve_update", "feature": "t"}

    save(
        "rows", "shared_internal_column", "a field b_c of parent a and a field c of parent a_b: Metaxy sees the changes of one only",
        [root("a", fields=["b_c"]), root("a_b", fields=["c"]), child("t", ["a", "a_b"], fields=["x"])], shared_column,
    )

    def one_table_name(c: Case) -> Operation:
        for key in ("p-q", "p_q"):
            c.write(key, rows({"id": ["1"]}, version=key))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "table_name_collision_bug", "two parents with one table name", [root("p-q"), root("p_q"), child("t", ["p-q", {"feature": "p_q", "select": []}])], one_table_name)

    def numbers_of_another_type(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2", "3", "4"]}, **flags))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "filter_in_numbers_of_another_type", "i IN (1.0, 3): Metaxy wants the column's own type", [root("a"), child("t", [{"feature": "a", "filters": ["i IN (1.0, 3)"]}])], numbers_of_another_type)

    def twice(c: Case) -> Operation:
        c.write("a", rows({"id": ["1"]}, c=[1]))
        return {"op": "resolve_update", "feature": "t"}

    save("rows", "parent_twice", "two dependencies on one feature", [root("a"), child("t", [{"feature": "a", "select": ["c"]}, {"feature": "a", "select": []}])], twice)

    # compute_provenance.
    def joined(c: Case) -> Operation:
        kind = pl.Struct({"x": pl.String, "y": pl.String})
        df = pl.DataFrame({"id": ["1", "2", "3"]}).with_columns(
            pl.Series(f"{DATA_BY_FIELD}__a", [{"x": "1", "y": "2"}, {"x": None, "y": "2"}, None], dtype=kind),
            pl.Series(f"{DATA_BY_FIELD}__v_b", [{"x": "1", "y": "2"}, None, {"x": None, "y": "9"}], dtype=kind),
            pl.Series("metaxy_data_version__a", ["da", "db", None]), pl.Series("n", [1, 2, None]),
        )
        return {"op": "compute_provenance", "feature": "t", "df": df}

    save("rows", "compute_with_nulls", "null versions of a required and of an optional parent", [root("a"), root("v/b"), child("t", ["a", {"feature": "v/b", "optional": True}])], joined)

    # Reading, writing and deleting.
    def history(c: Case) -> None:
        for n, fields in enumerate((["x", "y"], ["x", {"key": "y", "code_version": "2"}])):
            old = Case(c.folder.parent, [root("a", fields=fields)], c.algorithm, c.truncation)
            with old.graph.use():
                for version in "vw":
                    old.write("a", rows({"id": ["1", "2"]}, version=f"{version}{n}", c=[n, 5]))
                old.store.delete("a", ["id = '2'"], hard=False)

    two = [root("a", fields=["x", {"key": "y", "code_version": "2"}])]
    for flags in range(8):
        names = ("with_feature_history", "with_sample_history", "include_soft_deleted")
        options = {n: True for i, n in enumerate(names) if flags >> i & 1}

        def reading(c: Case, options: dict[str, bool] = options) -> Operation:
            history(c)
            return {"op": "read", "feature": "a", "filters": ["c < 5 OR id = '2'"], **options}

        save("store_ops", f"read_{'_'.join(n.split('_')[-2 if n.startswith('include') else 1] for n in options) or 'current'}_of_two_versions", f"two feature versions with two rows and a deletion each; {', '.join(options) or 'no flag'}", two, reading)

    def without_id(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"], "n": [1, 2]}, c=[7, 8]))
        return {"op": "read", "feature": "a", "columns": ["c", "id"]}

    save("store_ops", "read_columns_without_an_id", "columns without one of the ids: Metaxy fails", [root("a", ["id", "n"])], without_id)

    def from_fallback(c: Case) -> Operation:
        c.write("a", rows({"id": ["1", "2"]}, c=[7, 8]), away=True)
        return {"op": "delete", "feature": "a", "filters": ["c = 7"]}

    save("store_ops", "delete_soft_from_fallback", "tombstones of what another store has are written here", [root("a")], from_fallback)

    def integers(c: Case) -> Operation:
        return {"op": "write", "feature": "a", "df": pl.DataFrame({"id": ["1", "2"], BY_FIELD: [{"x": 7, "y": 1}, {"x": -2**60, "y": 0}]})}

    save("store_ops", "write_integer_versions", "versions that are integers", [root("a")], integers)

    def preserved(c: Case) -> Operation:
        df = rows({"id": ["1"]}).with_columns(metaxy_feature_version=pl.lit("old"), metaxy_project_version=pl.lit("older"), metaxy_created_at=pl.lit(datetime.datetime(2020, 1, 1, tzinfo=UTC)))
        return {"op": "write", "feature": "a", "df": df, "preserve_feature_version": True, "materialization_id": "m"}

    save("store_ops", "write_preserving_versions", "rows of an older version, copied", [root("a")], preserved, "md5", 10)

    def extra_member(c: Case) -> Operation:
        c.write("a", rows({"id": ["1"]}, c=[1]))
        return {"op": "write", "feature": "a", "df": rows({"id": ["1", "2"]}, fields=("x", "y", "z"), s=[{"a": 1, "b": {"c": "x"}}, None])}

    save("store_ops", "write_more_members_and_columns", "a member that the spec does not name, and a nested column", [root("a")], extra_member)


if __name__ == "__main__":
    main()
