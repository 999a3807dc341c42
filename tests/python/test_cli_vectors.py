"""The vectors that real Metaxy made, through the command line: tables on disk, and the commands as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import ROOT
from deltalake import DeltaTable, write_deltalake

VECTORS = Path(os.environ.get("METAXY_VECTORS") or ROOT / "testdata" / "vectors")
STATUSES = ("new", "stale", "orphaned")
VERSIONS = ("metaxy_provenance_by_field", "metaxy_provenance", "metaxy_data_version_by_field", "metaxy_data_version")
SCALARS = {
    "string": pa.string(), "int64": pa.int64(), "int32": pa.int32(), "float64": pa.float64(), "bool": pa.bool_(),
    "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"),
}

# Where Metaxy fails or leaves the answer to chance; docs/compatibility.md says for each what is done here, and why.
DIFFERENT = {
    "three_parents_without_select_fails", "chained_deleted_at_right_fails", "identity_different_ids_current",
    "required_null_field_value", "optional_missing_table_error", "expansion_stale_orphan_new", "struct_key_collision",
    "table_name_collision_bug", "new_field_in_parent", "parent_twice", "shared_internal_column",
    "filter_in_numbers_of_another_type", "read_columns_without_an_id",
}
# Where a command line, or rows as JSON lines, cannot say the same: a flag that implies the other one, ids that are not
# among the columns, versions that are numbers, columns that are objects.
NO_COMMAND = {
    "read_feature_version_error", "read_columns_without_an_id", "write_integer_versions", "write_more_members_and_columns",
}
# What only the library can be asked for: samples that are handed in, predicates, filters of one table, no comparison.
LIBRARY = {"samples", "staleness_predicates", "filters", "target_filters", "skip_comparison", "df"}


def load(group: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(VECTORS.glob(f"{group}_*.json"))]


def arrow_type(text: str) -> pa.DataType:
    """The Arrow type that a vector's column type names."""
    if text.startswith("list<"):
        return pa.list_(arrow_type(text[5:-1]))
    if text.startswith("struct<"):
        return pa.struct([(name, arrow_type(kind)) for name, kind in (m.split(":", 1) for m in members(text[7:-1]))])
    return SCALARS[text]


def members(text: str) -> list[str]:
    """Splits "a:int64,b:struct<c:string,d:date>" at the commas that are not within a member."""
    found = [""]
    for c in text:
        if c == "," and found[-1].count("<") == found[-1].count(">"):
            found.append("")
        else:
            found[-1] += c
    return found


def arrow_value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if pa.types.is_date(kind) else value


def write_table(path: Path, table: dict[str, Any]) -> None:
    """Writes a vector's table as Metaxy's Delta store lays it out."""
    schema = pa.schema([(name, arrow_type(kind)) for name, kind in table["columns"]])
    rows = [{f.name: arrow_value(row.get(f.name), f.type) for f in schema} for row in table["rows"]]
    write_deltalake(path, pa.Table.from_pylist(rows, schema=schema))


def write_project(folder: Path, case: dict[str, Any], truncation: int) -> None:
    """A configuration and a feature file for a case."""
    features = [{**f["spec"], "schema": f["schema"]} for f in case["features"]]
    (folder / "features.json").write_text(json.dumps({"features": features}))
    (folder / "metaxy.toml").write_text(
        f"project = {json.dumps(case['project'])}\nhash_truncation_length = {truncation}\n"
        "[stores.dev]\n"
        'type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"\n'
        "[stores.dev.config]\n"
        f"root_path = {json.dumps(str(folder / 'store'))}\n"
        f"hash_algorithm = {json.dumps(case.get('hash_algorithm', 'xxhash32'))}\n"
        "[ext.metaxy_pipes]\n"
        'features = ["features.json"]\n'
    )


def call(binary: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def same_project(case: dict[str, Any]) -> bool:
    """Feature files know one project, and no external features."""
    return all(f["project"] == case["project"] and not f.get("external") for f in case["features"])


GRAPHS = [c for c in load("graph") if same_project(c)]
ROWS = [c for c in load("rows") if same_project(c) and not LIBRARY & set(c["operation"]) and not c.get("fallback_tables")]


STORE_OPS = [
    c for c in load("store_ops") if same_project(c) and not c.get("fallback_tables") and c["name"] not in NO_COMMAND
]


def test_there_are_cases() -> None:
    assert os.environ.get("METAXY_VECTORS") or (len(GRAPHS) > 15 and len(ROWS) > 60 and len(STORE_OPS) > 30)


@pytest.mark.parametrize("case", GRAPHS, ids=lambda c: c["name"])
@pytest.mark.parametrize("truncation", [64, 16, 8])
def test_graph(case: dict[str, Any], truncation: int, binary: Path, tmp_path: Path) -> None:
    want = case["expected"][str(truncation)]
    write_project(tmp_path, case, truncation)
    done = call(binary, tmp_path, "graph", "--format", "json")
    if any("error" in f for f in want["features"].values()) or "error" in want:
        assert (done.returncode, done.stdout) == (4, "")
        return
    if case["name"] == "parent_sort_order":  # two features with one table name
        assert done.returncode == 4
        return
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["project_version"] == want["project_version"]
    for f in got["features"]:
        expected = want["features"][f["key"]]
        for version in ("feature_version", "feature_spec_version", "definition_version", "code_version"):
            assert f[version] == expected[version], (f["key"], version)
        assert {x["key"]: x["version"] for x in f["fields"]} == expected["field_versions"]
        assert {x["key"]: x["deps"] for x in f["fields"]} == expected["resolved_parent_fields"]


def plain(value: Any) -> str:
    """A value as text that compares equal if JSON lines and the vectors say the same."""
    if isinstance(value, dict):
        return json.dumps({k: v for k, v in sorted(value.items()) if v is not None})
    return json.dumps(float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value)


@pytest.mark.parametrize("case", ROWS, ids=lambda c: c["name"])
def test_resolve(case: dict[str, Any], binary: Path, tmp_path: Path) -> None:
    write_project(tmp_path, case, case["hash_truncation_length"])
    for key, table in case["tables"].items():
        write_table(tmp_path / "store" / f"{key}.delta", table)
    done = call(binary, tmp_path, "resolve", case["operation"]["feature"], "--format", "jsonl", "--columns", "*")
    if case["name"] in DIFFERENT:
        assert case["name"] in (ROOT / "docs" / "compatibility.md").read_text()
        return
    want = case["expected"]
    if "error" in want:
        assert done.returncode in (1, 4), done.stdout
        assert done.stdout == ""
        assert done.stderr
        return
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for status in STATUSES:
        columns = [name for name, _ in want[status]["columns"] if not name.startswith("metaxy_") or name in VERSIONS]
        expected = Counter(tuple(plain(r.get(c)) for c in columns) for r in want[status]["rows"])
        got = Counter(tuple(plain(r.get(c)) for c in columns) for r in rows if r["status"] == status)
        assert got == expected, status
    counts = " ".join(f"{s}={len(want[s]['rows'])}" for s in STATUSES)
    assert done.stderr.splitlines()[-1] == counts


FLAGS = {
    "with_feature_history": "--feature-history", "with_sample_history": "--sample-history",
    "include_soft_deleted": "--include-deleted", "preserve_feature_version": "--preserve-feature-version",
}
TEXTS = {"feature_version": "--feature-version", "materialization_id": "--materialization-id"}


def arguments(operation: dict[str, Any]) -> list[str]:
    """The arguments that ask for an operation of a store."""
    out = [operation["op"], operation["feature"]]
    out += [flag for name, flag in FLAGS.items() if operation.get(name)]
    out += [word for name, flag in TEXTS.items() if operation.get(name) for word in (flag, operation[name])]
    out += [word for text in operation.get("filters") or [] for word in ("--filter", text)]
    if operation.get("columns"):
        out += ["--columns", ",".join(operation["columns"])]
    if operation["op"] == "delete":
        out += ["--yes"] + (["--hard"] if operation.get("soft") is False else [])
        out += [] if operation.get("filters") else ["--filter", "metaxy_updated_at IS NOT NULL"]
    return out


def comparable(row: dict[str, Any], columns: list[list[str]], now: Any) -> tuple[str, ...]:
    """A row as text, with the time of the operation, whatever it is, as "now"."""
    cells = []
    for name, kind in columns:
        value = row.get(name)
        if kind == "timestamp" and value is not None:
            time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            value = "now" if now(time) else time.astimezone(UTC).isoformat()
        cells.append(plain(value))
    return tuple(cells)


@pytest.mark.parametrize("case", STORE_OPS, ids=lambda c: c["name"])
def test_store(case: dict[str, Any], binary: Path, tmp_path: Path) -> None:
    operation, want = case["operation"], case["expected"]
    path = tmp_path / "store" / f"{operation['feature']}.delta"
    write_project(tmp_path, case, case["hash_truncation_length"])
    for key, table in case["tables"].items():
        write_table(tmp_path / "store" / f"{key}.delta", table)
    words = arguments(operation)
    if "df" in operation:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in operation["df"]["rows"]))
        words += ["--from", "rows.jsonl"]
    before = datetime.now(UTC)
    done = call(binary, tmp_path, *words)
    if "error" in want:
        assert done.returncode in (1, 4), done.stdout
        assert (done.stdout, bool(done.stderr)) == ("", True)
        return
    assert done.returncode == 0, done.stderr
    frame = want.get("frame") or want["table"]
    if "frame" in want:
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.stderr.splitlines()[-1] == f"rows={len(got)}"
    else:
        got = DeltaTable(path).to_pyarrow_table().to_pylist()
    now = datetime.fromisoformat(case["now"]) if "now" in case else None
    expected = Counter(comparable(row, frame["columns"], lambda t: t == now) for row in frame["rows"])
    assert Counter(comparable(row, frame["columns"], lambda t: t >= before) for row in got) == expected
