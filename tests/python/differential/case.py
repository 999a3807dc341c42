"""What a case is, and its tables as Polars frames."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import polars as pl

# A case is an object of
#   algorithm, truncation   how rows are hashed
#   graphs                  lists of feature specs: the project's features, and how they were changed later
#   types                   the type of each column, by name
#   narrow                  features whose `vid` is a shorter integer than the others'
#   steps                   what happens, in this order:
#     write    by, feature, rows, store     rows of a root feature, with metaxy_provenance_by_field; store: "fallback"
#     advance  by, feature, share, salt, …  most of what resolve says is computed and written
#     delete   by, feature, where, hard, …  where: conditions, or none for all rows
#     graph    index                        the features are those of another graph from now on
#     read     feature, options             both read the table and must agree
#     compute  feature                      both compute the provenance of rows that are joined by hand
#     resolve  feature, options, samples    both resolve the feature and must agree
Case = dict[str, Any]

BY_FIELD = "metaxy_provenance_by_field"
DATA_BY_FIELD = "metaxy_data_version_by_field"

SIMPLE: dict[str, Any] = {
    "string": pl.String, "int64": pl.Int64, "int32": pl.Int32, "float64": pl.Float64, "bool": pl.Boolean,
    "date": pl.Date, "timestamp": pl.Datetime("us", "UTC"), "list": pl.List(pl.Int64),
    "struct": pl.Struct({"a": pl.Int64, "b": pl.Struct({"c": pl.String})}),
}


def load(path: Path) -> Case:
    return json.loads(path.read_text())


def dump(case: Case) -> str:
    return json.dumps(case, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def features(case: Case, graph: int = 0) -> dict[str, dict[str, Any]]:
    return {spec["key"]: spec for spec in case["graphs"][graph]}


def fields(spec: dict[str, Any]) -> list[Any]:
    """A spec without fields has one."""
    return spec.get("fields", ["default"])


def struct_key(field: Any) -> str:
    return (field if isinstance(field, str) else field["key"]).replace("/", "_")


def value(kind: str, v: Any) -> Any:
    """A value of a column as Polars takes it; dates and times are text in a case."""
    if v is None:
        return None
    if kind == "date":
        return datetime.date.fromisoformat(v)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(v)
    return v


def frame(case: Case, spec: dict[str, Any], rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a case as a frame: every column that a row has, by-field columns as structs of the feature's fields."""
    columns = list(dict.fromkeys(c for row in rows for c in row))
    series = []
    for c in columns:
        if c in (BY_FIELD, DATA_BY_FIELD):
            members = dict.fromkeys([m for row in rows for m in row.get(c) or {}] or [struct_key(f) for f in fields(spec)])
            kind: Any = pl.Struct(dict.fromkeys(members, pl.String))
            values = [row.get(c) for row in rows]
        elif c.startswith("metaxy_"):
            kind, values = pl.String, [row.get(c) for row in rows]
        else:
            short = c == "vid" and spec["key"] in case.get("narrow", [])
            kind = pl.Int32 if short else SIMPLE[case["types"][c]]
            values = [value(case["types"][c], row.get(c)) for row in rows]
        series.append(pl.Series(c, values, dtype=kind))
    return pl.DataFrame(series)
