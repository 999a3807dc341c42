"""Tables that the Go store writes, read by other readers of Delta tables, and the reverse."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

ROOT = Path(__file__).resolve().parents[2]
UTC = dt.timezone.utc


@pytest.fixture(scope="session")
def tablewriter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program that writes and reads the tables."""
    path = tmp_path_factory.mktemp("bin") / "tablewriter"
    subprocess.run(["go", "build", "-o", path, "./internal/interop/tablewriter"], cwd=ROOT, check=True)
    return path


@pytest.fixture
def store(tablewriter: Path, tmp_path: Path) -> Path:
    """A store with the tables `types` and `history`."""
    subprocess.run([tablewriter, "write", tmp_path], check=True)
    return tmp_path


def read_by_go(tablewriter: Path, store: Path, feature: str) -> tuple[list[str], list[list[Any]]]:
    """The column names and the rows that the Go store reads."""
    done = subprocess.run([tablewriter, "read", store, feature], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    columns, *rows = [json.loads(line) for line in done.stdout.split("\n") if line]
    return columns, rows


def plain(value: Any) -> Any:
    """The JSON form of a value that the Go program builds too."""
    match value:
        case dt.datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if value.tzinfo else "")
        case dt.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case decimal.Decimal():
            return f"{value:f}"
        case dict():
            return {key: plain(member) for key, member in value.items()}
        case list() | tuple():
            return [plain(element) for element in value]
    return value


def plain_rows(table: pa.Table) -> list[list[Any]]:
    """The rows of an Arrow table, in the order of their ids."""
    return [[plain(value) for value in row.values()] for row in table.sort_by("id").to_pylist()]


TYPES = [
    ["", -128, -(2**15), -(2**31), -(2**63), 1.5, 1e300, True, "00ff", "1970-01-01", "1960-01-01T00:00:00.000001Z",
     "2024-02-29T23:59:59.999999", "-99999999.99", {"a": "x", "b": {"c": 1}}, ["a", None, ""], [[1], None, []],
     [["k", "v"], ["l", None]]],
    ["a", 127, 2**15 - 1, 2**31 - 1, 2**63 - 1, -0.25, 0.1, False, "", "2024-02-29", "2024-02-29T23:59:59.999999Z",
     "1960-01-01T00:00:00.000001", "0.01", {"a": None, "b": None}, [], [], []],
    ["nothing", *[None] * 16],
    ["é🎬\"'\\\n", *[None] * 16],
]


def history(start: int = 0) -> list[list[Any]]:
    """The rows of the table `history`."""
    rows = []
    for n in range(start, 13):
        member = f"y{n}" if n >= 7 else None
        for name in "ab":
            rows.append([f"{n:02}{name}", {"x": f"x{n}", "y": member}, n if n >= 5 else None])
    return rows


READERS = {
    "delta-rs": lambda path: DeltaTable(path).to_pyarrow_table(),
    "polars": lambda path: pl.scan_delta(str(path)).collect().to_arrow(compat_level=pl.CompatLevel.oldest()),
    "duckdb": lambda path: duckdb.from_arrow(DeltaTable(path).to_pyarrow_dataset()).to_arrow_table(),
}


@pytest.mark.parametrize("reader", READERS)
def test_types_are_read(store: Path, reader: str) -> None:
    assert plain_rows(READERS[reader](store / "types.delta")) == TYPES


@pytest.mark.parametrize("reader", READERS)
def test_history_is_read(store: Path, reader: str) -> None:
    assert plain_rows(READERS[reader](store / "history.delta")) == history()


def test_duckdb_reads_the_files(store: Path) -> None:
    files = str(store / "types.delta" / "*.parquet")
    table = duckdb.sql(f"select * from read_parquet('{files}') order by id").to_arrow_table()
    assert plain_rows(table) == TYPES


def test_go_reads_its_own(store: Path, tablewriter: Path) -> None:
    assert read_by_go(tablewriter, store, "types")[1] == TYPES
    assert read_by_go(tablewriter, store, "history")[1] == history()


@pytest.mark.parametrize("reader", READERS)
def test_checkpoint_is_read_alone(store: Path, reader: str) -> None:
    """The log before the checkpoint is gone, as after a clean-up."""
    path = store / "history.delta"
    for n in range(10):
        (path / "_delta_log" / f"{n:020}.json").unlink()
    assert plain_rows(READERS[reader](path)) == history()


def test_checkpoint_says_what_delta_rs_says(store: Path) -> None:
    """Our checkpoint and the one that delta-rs makes of the same version hold the same state."""
    ours, theirs = store / "history.delta", store / "theirs.delta"
    shutil.copytree(ours, theirs)
    for n in range(10, 13):
        for path in (ours, theirs):
            (path / "_delta_log" / f"{n:020}.json").unlink()
    name = f"{9:020}.checkpoint.parquet"
    (theirs / "_delta_log" / name).unlink()
    (theirs / "_delta_log" / "_last_checkpoint").unlink()
    DeltaTable(theirs).create_checkpoint()
    states = [pq.read_table(path / "_delta_log" / name) for path in (ours, theirs)]
    for column in ("metaData", "protocol"):
        values = [[row for row in state.column(column).to_pylist() if row] for state in states]
        assert values[0] == values[1]
    adds = [{a["path"]: a for a in state.column("add").to_pylist() if a} for state in states]
    assert adds[0].keys() == adds[1].keys()
    for path, add in adds[0].items():
        for member in ("size", "modificationTime", "partitionValues"):
            assert add[member] == adds[1][path][member]
        assert json.loads(add["stats"]) == json.loads(adds[1][path]["stats"])


def test_properties_and_history(store: Path) -> None:
    table = DeltaTable(store / "types.delta")
    assert table.metadata().configuration == {"metaxy.test": "ü \"'"}
    assert table.history()[0]["run"] == "interop"
    assert table.history()[0]["operation"] == "WRITE"
    assert len(DeltaTable(store / "history.delta").history()) == 13


@pytest.mark.parametrize("table", ["types", "history"])
def test_statistics_hold(store: Path, table: str) -> None:
    """The statistics in the log enclose the values that the files really have."""
    delta = DeltaTable(store / f"{table}.delta")
    rows = delta.to_pyarrow_table()
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    assert sum(a["num_records"] for a in actions) == rows.num_rows
    checked = 0
    for name in rows.column_names:
        values = [v for v in rows.column(name).to_pylist() if v is not None]
        lows = [a.get(f"min.{name}") for a in actions]
        if not values or any(low is None for low in lows) or isinstance(values[0], (dict, list)):
            continue
        assert min(lows) <= min(values) and max(values) <= max(a[f"max.{name}"] for a in actions)
        assert sum(a[f"null_count.{name}"] for a in actions) == rows.num_rows - len(values)
        checked += 1
    assert checked >= {"types": 10, "history": 1}[table]


def test_polars_prunes_by_our_statistics(store: Path) -> None:
    frame = pl.scan_delta(str(store / "types.delta"))
    late = dt.datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)
    assert frame.filter(pl.col("at") >= late).select("id").collect()["id"].to_list() == ["a"]
    assert frame.filter(pl.col("id") >= "é").select("id").collect().height == 1


def test_delta_rs_appends_to_our_table(store: Path, tablewriter: Path) -> None:
    path = store / "history.delta"
    more = pa.table({"id": ["zz"], "s": [{"x": "1", "y": "2", "z": "3"}], "new": [7], "newer": [[1.5]]})
    write_deltalake(path, more, mode="append", schema_mode="merge")
    DeltaTable(path).create_checkpoint()
    columns, rows = read_by_go(tablewriter, store, "history")
    assert columns == ["id", "s", "new", "newer"]
    old = [[i, {**s, "z": None}, new, None] for i, s, new in history()]
    assert rows == [*old, ["zz", {"x": "1", "y": "2", "z": "3"}, 7, [1.5]]]


def test_we_append_to_a_table_of_delta_rs(tmp_path: Path, tablewriter: Path) -> None:
    """The Go program appends its thirteen commits to a table that is there already, over a checkpoint of delta-rs."""
    path = tmp_path / "history.delta"
    write_deltalake(path, pa.table({"other": [1], "id": ["0"]}))
    DeltaTable(path).create_checkpoint()
    subprocess.run([tablewriter, "write", tmp_path], check=True)
    columns, rows = read_by_go(tablewriter, tmp_path, "history")
    assert columns == ["other", "id", "s", "new"]
    assert rows == [[1, "0", None, None], *[[None, *row] for row in history()]]
    assert plain_rows(DeltaTable(path).to_pyarrow_table()) == rows
    assert DeltaTable(path).version() == 13


def test_delta_rs_deletes_and_compacts_our_table(store: Path, tablewriter: Path) -> None:
    path = store / "history.delta"
    DeltaTable(path).delete("id < '05'")
    assert read_by_go(tablewriter, store, "history")[1] == history(5)
    DeltaTable(path).optimize.compact()
    assert sorted(read_by_go(tablewriter, store, "history")[1]) == history(5)
    DeltaTable(path).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert sorted(read_by_go(tablewriter, store, "history")[1]) == history(5)


def test_rows_that_we_delete(store: Path, tablewriter: Path) -> None:
    """Readers of every kind see no row that was taken out: from the log, from our checkpoint, from one of delta-rs, and
    in the order of before; and delta-rs deletes, appends and vacuums in turn with us."""
    path = store / "history.delta"
    rows = history()

    def delete(by: str, gone: str) -> None:
        if by == "go":
            subprocess.run([tablewriter, "delete", store, "history", gone], check=True)
        else:
            DeltaTable(path).delete(f"id = '{gone}'")
        rows[:] = [row for row in rows if row[0] != gone]

    def check(log: str) -> None:
        for name, read in READERS.items():
            assert plain_rows(read(path)) == sorted(rows, key=lambda row: row[0]), (log, name)
        assert sorted(read_by_go(tablewriter, store, "history")[1], key=lambda row: row[0]) == sorted(rows, key=lambda r: r[0])

    for gone in ("03a", "03b", "07b", "12a"):
        delete("go", gone)
        check(f"{gone} deleted by us")
    assert read_by_go(tablewriter, store, "history")[1] == rows
    entry = DeltaTable(path).history()[0]
    assert (entry["operation"], entry["operationParameters"]) == ("DELETE", {"predicate": "id = '12a'"})
    DeltaTable(path).create_checkpoint()
    for log in (path / "_delta_log").glob("*.json"):
        if int(log.name[:20]) < DeltaTable(path).version():
            log.unlink()
    check("a checkpoint of delta-rs")
    assert read_by_go(tablewriter, store, "history")[1] == rows  # in the order of before
    delete("delta-rs", "05a")
    delete("go", "05b")
    check("deleted in turn")
    for _ in range(12):  # over a checkpoint of ours
        write_deltalake(path, pa.table({"id": ["zz"], "s": [{"x": "1", "y": None}], "new": [7]}), mode="append")
        subprocess.run([tablewriter, "delete", store, "history", "zz"], check=True)
    assert list((path / "_delta_log").glob("*.checkpoint.parquet"))
    check("a checkpoint of ours")
    DeltaTable(path).vacuum(0, enforce_retention_duration=False, dry_run=False)
    check("vacuum by delta-rs")
    assert {f.name for f in path.glob("*.parquet")} == {Path(uri).name for uri in DeltaTable(path).file_uris()}
