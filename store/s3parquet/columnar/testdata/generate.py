"""Writes the Parquet files of this folder with pyarrow, Polars and delta-rs, in the forms in which we meet them.

Run it with the project's Python from any folder: .venv/bin/python store/s3parquet/columnar/testdata/generate.py
Each file has the rows of rows() and is compared, column by column, with rows.json.
"""

import datetime as dt
import decimal
import json
import pathlib
import shutil
import tempfile

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
N = 300

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("version", pa.string()),
        ("n", pa.int64()),
        ("i", pa.int32()),
        ("f", pa.float64()),
        ("yes", pa.bool_()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("price", pa.decimal128(12, 2)),
        ("by_field", pa.struct([("audio", pa.string()), ("frames", pa.string())])),
        ("tags", pa.list_(pa.string())),
        ("grid", pa.list_(pa.list_(pa.int64()))),
    ]
)


def row(i: int) -> dict:
    if i % 10 == 9:
        return {name: None for name in SCHEMA.names} | {"id": f"video-{i:05d}"}
    return {
        "id": f"video-{i:05d}",
        "version": f"v{i // 100}",
        "n": i * 1_000_003 - 7,
        "i": -i,
        "f": i / 8,
        "yes": i % 3 == 0,
        "day": dt.date(2026, 1, 1) + dt.timedelta(days=i),
        "at": dt.datetime(2026, 9, 23, 18, 7, 35, 123456, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=i),
        "price": decimal.Decimal(i * 37 - 500) / 100,
        "by_field": {"audio": f"{i * 7919 % 1000:03d}", "frames": None if i % 4 == 0 else "same"},
        "tags": [None, "🎬", ""][: i % 4] if i % 5 else [],
        "grid": [[i, None], None, []][: i % 4],
    }


def rows() -> pa.Table:
    return pa.Table.from_pylist([row(i) for i in range(N)], schema=SCHEMA)


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dt.datetime):
        text = value.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")
        return text
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return f"{value.normalize():f}"
    return value


def delta(table: pa.Table, name: str, **options) -> None:
    with tempfile.TemporaryDirectory() as folder:
        deltalake.write_deltalake(folder, table, **options)
        (part,) = deltalake.DeltaTable(folder).file_uris()
        shutil.copy(part.removeprefix("file://"), HERE / name)


def main() -> None:
    table = rows()
    with open(HERE / "rows.json", "w") as out:
        for r in table.to_pylist():
            out.write(json.dumps(plain(r), ensure_ascii=False) + "\n")
    no_dict = {"use_dictionary": False}
    forms = {
        "dictionary": {},
        "plain": no_dict,
        "v2": {"data_page_version": "2.0", "compression": "zstd"},
        "uncompressed": {"compression": "none"},
        "gzip": {"compression": "gzip"},
        "brotli": {"compression": "brotli"},
        "lz4": {"compression": "lz4"},
        "index": {"write_page_index": True, "data_page_size": 200, "write_batch_size": 20},
        "checksums": {"write_page_checksum": True},
        "groups": {"row_group_size": 37},
        "int96": {"use_deprecated_int96_timestamps": True},
        "millis": {"coerce_timestamps": "ms", "allow_truncated_timestamps": True},
        "legacy_lists": {"use_compliant_nested_type": False},
        "integer_decimal": {"store_decimal_as_integer": True},
        "old": {"version": "1.0"},
        "delta": no_dict
        | {
            "column_encoding": {
                "id": "DELTA_BYTE_ARRAY",
                "version": "DELTA_LENGTH_BYTE_ARRAY",
                "n": "DELTA_BINARY_PACKED",
                "i": "DELTA_BINARY_PACKED",
                "f": "BYTE_STREAM_SPLIT",
                "yes": "RLE",
                "at": "DELTA_BINARY_PACKED",
            },
            "data_page_version": "2.0",
        },
    }
    for name, options in forms.items():
        pq.write_table(table, HERE / f"pyarrow_{name}.parquet", **options)
    (HERE / "empty").mkdir(exist_ok=True)
    pq.write_table(table.slice(0, 0), HERE / "empty" / "pyarrow.parquet")
    pl.from_arrow(table.slice(0, 0)).write_parquet(HERE / "empty" / "polars.parquet")
    pl.from_arrow(table).write_parquet(HERE / "polars.parquet")
    pl.from_arrow(table).write_parquet(HERE / "polars_small.parquet", row_group_size=50, data_page_size=500)
    delta(table, "deltars.parquet")
    delta(
        table,
        "deltars_plain.parquet",
        writer_properties=deltalake.WriterProperties(
            compression="ZSTD",
            default_column_properties=deltalake.ColumnProperties(dictionary_enabled=False),
            data_page_size_limit=300,
            write_batch_size=16,
        ),
    )


if __name__ == "__main__":
    main()
