"""Makes the tables in tables/ with delta-rs, and expected.json with what delta-rs reads from each.

Run it with the locked Python environment: python make_tables.py. The catalogue below says what each table proves.
The data files get new names with each run, so the tables are checked in and made anew only on purpose.
"""

import datetime as dt
import decimal
import json
import pathlib
import shutil

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake

HERE = pathlib.Path(__file__).parent
UTC = dt.timezone.utc


def rows(*ids, **columns):
    table = {"id": list(ids)}
    for name, make in columns.items():
        table[name] = [make(i) for i in ids]
    return pa.table(table)


def commits(path):
    """Several commits, no checkpoint: files come in commit order, not in the order of their names."""
    for n in range(4):
        write_deltalake(path, rows(f"a{n}", f"b{n}", n=lambda _, n=n: n), mode="append")


def checkpoint(path):
    """A checkpoint of delta-rs and commits after it; the log before the checkpoint is gone."""
    for n in range(7):
        write_deltalake(path, rows(f"a{n}", n=lambda _, n=n: n), mode="append")
        if n == 4:
            DeltaTable(path).create_checkpoint()
    for n in range(4):
        (pathlib.Path(path) / "_delta_log" / f"{n:020}.json").unlink()


def only_checkpoint(path):
    """Nothing but a checkpoint of delta-rs is left of the log."""
    for n in range(3):
        write_deltalake(path, rows(f"a{n}", n=lambda _, n=n: n), mode="append",
                        configuration={"delta.deletedFileRetentionDuration": "interval 2 days"})
    DeltaTable(path).create_checkpoint()
    for n in range(3):
        (pathlib.Path(path) / "_delta_log" / f"{n:020}.json").unlink()


def evolution(path):
    """Columns and struct members that come later are null in earlier rows."""
    write_deltalake(path, rows("a", s=lambda _: {"x": "1"}), mode="append")
    write_deltalake(path, rows("b", s=lambda _: {"y": "2"}, new=lambda _: 1.5), mode="append", schema_mode="merge")
    write_deltalake(path, rows("c", late=lambda _: [True, None]), mode="append", schema_mode="merge")


def partitioned(path):
    """Partition values of several types, with null and with characters that paths escape."""
    table = pa.table({
        "id": [str(i) for i in range(6)],
        "text": ["plain", "a/b c%d", "ü=?#&:", None, "..a", 'q"\'\\'],
        "day": pa.array([dt.date(2024, 1, i + 1) for i in range(5)] + [None]),
        "n": pa.array([1, -2, None, 4, 5, 2**62], pa.int64()),
        "ok": [True, False, None, True, False, True],
        "at": pa.array([dt.datetime(2024, 1, 1, 1, 2, 3, 4 * i, UTC) for i in range(6)], pa.timestamp("us", "UTC")),
    })
    write_deltalake(path, table, partition_by=["text", "day", "n", "ok", "at"])


def overwritten(path):
    """Removed files: an overwrite, then an append."""
    write_deltalake(path, rows("a", "b"))
    write_deltalake(path, rows("c", "d"), mode="overwrite")
    write_deltalake(path, rows("e"), mode="append")


def deleted(path):
    """Rows deleted by rewriting their file, a checkpoint with the tombstone, and an application's transaction."""
    write_deltalake(path, rows("a", "b", "c"))
    write_deltalake(path, rows("d", "e"), mode="append",
                    commit_properties=CommitProperties(app_transactions=[Transaction("app", 7, 8)]))
    DeltaTable(path).delete("id = 'b'")
    DeltaTable(path).create_checkpoint()


def compacted(path):
    """Small files made one by delta-rs."""
    for n in range(3):
        write_deltalake(path, rows(f"a{n}"), mode="append")
    DeltaTable(path).optimize.compact()


def types(path):
    """Every type that a table can have, with nulls and extremes; two row groups."""
    moments = [dt.datetime(1, 1, 1, tzinfo=UTC), dt.datetime(2024, 2, 29, 23, 59, 59, 999999, UTC), None]
    clocks = [m and m.replace(tzinfo=None) for m in moments]
    table = pa.table({
        "id": ["é🎬", "", "x" * 100],
        "i8": pa.array([-128, 127, None], pa.int8()),
        "i16": pa.array([-(2**15), 2**15 - 1, None], pa.int16()),
        "i32": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "i64": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "f32": pa.array([1.5, -0.0, None], pa.float32()),
        "f64": pa.array([1e300, 0.1, None], pa.float64()),
        "flag": [True, False, None],
        "blob": pa.array([b"", b"\x00\xff", None], pa.binary()),
        "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
        "at": pa.array(moments, pa.timestamp("us", "UTC")),
        "clock": pa.array(clocks, pa.timestamp("us")),
        "money": pa.array([decimal.Decimal("-99999999.99"), decimal.Decimal("0.01"), None], pa.decimal128(10, 2)),
        "wide": pa.array([decimal.Decimal(10**37), decimal.Decimal(-1), None], pa.decimal128(38, 0)),
        "record": pa.array([{"a": "x", "b": {"c": 1}}, {"a": None, "b": None}, None],
                           pa.struct([("a", pa.string()), ("b", pa.struct([("c", pa.int64())]))])),
        "list": pa.array([["a", None], [], None], pa.list_(pa.string())),
        "lists": pa.array([[[1], None, []], [], None], pa.list_(pa.list_(pa.int64()))),
        "map": pa.array([[("k", "v"), ("l", None)], [], None], pa.map_(pa.string(), pa.string())),
    })
    write_deltalake(path, table, writer_properties=WriterProperties(max_row_group_size=2))


TABLES = [commits, checkpoint, only_checkpoint, evolution, partitioned, overwritten, deleted, compacted, types]


def plain(value):
    """The JSON form of a value that the Go test builds too."""
    match value:
        case dt.datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + ("Z" if value.tzinfo else "")
        case dt.date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case decimal.Decimal():
            return f"{value:f}"
        case dict():
            return {k: plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
    return value


def main():
    shutil.rmtree(HERE / "tables", ignore_errors=True)
    expected = {}
    for make in TABLES:
        path = HERE / "tables" / f"{make.__name__}.delta"
        path.mkdir(parents=True)
        make(str(path))
        table = DeltaTable(str(path))
        read = table.to_pyarrow_table().sort_by("id")
        expected[make.__name__] = {
            "proves": make.__doc__,
            "version": table.version(),
            "columns": read.column_names,
            "rows": [[plain(v) for v in row.values()] for row in read.to_pylist()],
        }
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
