"""The calls of the Go probe's scenario "reference", made with Python's dagster_pipes."""

import datetime

from dagster_pipes import open_dagster_pipes


def typed(kind, value):
    return {"type": kind, "raw_value": value}


COLUMNS = [
    {
        "name": "id",
        "type": "string",
        "description": "who",
        "constraints": {"nullable": False, "unique": True, "other": ["not blank"]},
    },
    {"name": "score", "type": "double", "tags": {"unit": "points"}},
]
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 0, 250000, tzinfo=datetime.timezone.utc)
METADATA = {
    "text": typed("text", 'plain\nÜber 🎬 \u2028 \u0085 <&> "quoted"'),
    "url": typed("url", "https://dagster.io/?a=1&b=2"),
    "path": typed("path", "s3://bucket/key"),
    "notebook": typed("notebook", "/n.ipynb"),
    "md": typed("md", "# title"),
    "json": typed("json", {"a": [1, "x", None, True, 2.5]}),
    "json_list": typed("json", [1, 2]),
    "float": typed("float", 1.0),
    "fraction": typed("float", 0.1),
    "large": typed("float", 1e21),
    "zero": typed("float", 0.0),
    "int": typed("int", -9007199254740993),
    "uint": typed("int", 18446744073709551615),
    "huge": typed("int", 123456789012345678901234567890),
    "bool": typed("bool", True),
    "run": typed("dagster_run", "c0ffee00-0000-4000-8000-000000000000"),
    "asset": typed("asset", "up/stream"),
    "null": typed("null", None),
    "moment": typed("timestamp", MOMENT.timestamp()),
    "table": typed("table", {"records": [{"id": "a", "score": 1.0}, {"id": "b", "score": None}], "schema": COLUMNS}),
    "schema": typed("table_schema", {"columns": COLUMNS}),
    "lineage": typed(
        "table_column_lineage",
        {"deps_by_column": {"score": [{"asset_key": ["up", "s/t"], "column_name": "raw"}]}},
    ),
    "infer_text": "guess",
    "infer_int": 7,
    "infer_float": 7.0,
    "infer_bool": False,
    "infer_null": None,
    "infer_json": ["a", 1],
}

if __name__ == "__main__":
    with open_dagster_pipes() as pipes:
        pipes.log.info("hello Ünï🎬")
        pipes.log.warning("careful")
        pipes.report_asset_check("present", True)
        pipes.report_asset_check("fresh", False, "WARN", METADATA)
        pipes.report_custom_message([1, 2.5, "x", None, {"k": 18446744073709551615}])
        pipes.log_external_stream("stderr", "partial")
        pipes.report_asset_materialization(METADATA, "v-1")
