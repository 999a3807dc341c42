"""Features as inputs of Python assets: the rows that `read` prints, as each kind of frame, whole and by partition."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaxy_pipes import CommandError, FeatureLoader, MetaxyPipesIOManager, Rows
from metaxy_pipes.selection import selections

sys.path.insert(0, str(Path(__file__).resolve().parent / "programs"))

from clips import RAW, Clips  # noqa: E402

UTC = dt.timezone.utc
BERLIN = dt.timezone(dt.timedelta(hours=1))
VERSION = {"default": "1"}
ODD = "it's \"odd\", é😀"


@pytest.fixture
def clips(tmp_path, binary):
    """A table with days, times and numbers, some rows of which were replaced or deleted."""
    made = Clips(tmp_path / "clips").write([])
    rows = [
        {"id": f"c{i}", "day": dt.date(2026, 1, 1 + i), "at": dt.datetime(2026, 1, 1 + i, 23, 30, tzinfo=UTC), "n": i,
         "text": ODD if i == 2 else f"t{i}", "odd, name": str(i % 2)}
        for i in range(4)
    ]  # fmt: skip
    for change in ({}, {"text": "newer"}):
        table = [{**r, **(change if r["id"] == "c1" else {}), "metaxy_provenance_by_field": VERSION} for r in rows]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "rows.parquet")
        made.call("write", "clips/raw", "--from", str(tmp_path / "rows.parquet"))
    made.call("delete", "clips/raw", "--filter", "id = 'c3'", "--yes")
    return made


def ids(frame):
    if isinstance(frame, pl.DataFrame):
        return sorted(frame["id"].to_list())
    return sorted(frame["id"].to_pylist())


def test_every_kind_holds_the_rows_that_read_prints(clips):
    loader = FeatureLoader(clips.command)
    printed = [json.loads(line) for line in clips.call("read", "clips/raw", "--format", "jsonl").splitlines()]
    want = sorted((r["id"], r["text"], r["n"], r["metaxy_data_version"]) for r in printed)
    assert [row[:2] for row in want] == [("c0", "t0"), ("c1", "newer"), ("c2", ODD)]
    columns = ["id", "text", "n", "metaxy_data_version"]
    rows = Rows("clips/raw", columns=columns)
    frame, table = loader.polars(rows), loader.arrow(rows)
    assert frame.columns == columns and table.column_names == columns
    assert sorted(frame.rows()) == want
    assert sorted(tuple(r.values()) for r in table.to_pylist()) == want
    assert sorted(loader.duckdb(rows).fetchall()) == want
    connection = duckdb.connect()
    relation = loader.duckdb("clips/raw", connection)
    assert relation.filter("n > 0").aggregate("count(*)").fetchall() == [(2,)]
    assert loader.polars("clips/raw").schema["at"] == pl.Datetime("us", "UTC")


def test_filters_versions_and_columns_with_commas(clips):
    loader = FeatureLoader(clips.command)
    assert ids(loader.polars(Rows("clips/raw", filters=["n > 0", "n < 2"]))) == ["c1"]
    assert ids(loader.arrow(Rows("clips/raw", at="1"))) == ["c0", "c1", "c2", "c3"]
    assert loader.polars(Rows("clips/raw", columns=["odd, name"])).columns == ["odd, name"]
    assert loader.polars(Rows("clips/raw", filters=["n > 99"])).is_empty()
    with pytest.raises(CommandError, match="clips/gone"):
        loader.polars("clips/gone")


def window(first, last, zone=UTC):
    return dt.datetime.combine(first, dt.time(), zone), dt.datetime.combine(last, dt.time(), zone)


@pytest.mark.parametrize(
    ("by", "keys", "span", "want"),
    [
        ("text", ["t0", ODD], None, ["c0", "c2"]),
        ("n", ["1", "2"], None, ["c1", "c2"]),
        ("day", ["2026-01-02"], None, ["c1"]),
        ("day", ["2026-01-02"], window(dt.date(2026, 1, 2), dt.date(2026, 1, 3)), ["c1"]),
        ("at", ["2026-01-02"], window(dt.date(2026, 1, 2), dt.date(2026, 1, 3)), ["c1"]),
        ("at", ["2026-01-02"], window(dt.date(2026, 1, 2), dt.date(2026, 1, 3), BERLIN), ["c0"]),
        ({"b": "odd, name", "a": "day"}, ["2026-01-01|0", "2026-01-02|0", "2026-01-03|0"], None, ["c0", "c2"]),
        ("text", ["nothing"], None, []),
    ],
)
def test_partitions(clips, by, keys, span, want):
    loader = FeatureLoader(clips.command)
    for columns in (["id"], None):
        rows = Rows("clips/raw", columns=columns, partitions=selections(by, keys, span))
        assert ids(loader.polars(rows)) == want
        assert ids(loader.arrow(rows)) == want


def test_a_key_of_too_few_dimensions_is_refused():
    with pytest.raises(ValueError, match="expected 2 values"):
        selections({"a": "x", "b": "y"}, ["one"], None)


def loaded(clips, annotation, *, partitions_def=None, partition_key=None, by=None, static=None, instance=None):
    """What an input with this annotation is, in real Dagster."""
    got = []
    metadata = {"metaxy/feature": "clips/raw", "partition_by": by, "metaxy/partition": static}
    spec = dg.AssetSpec(
        RAW, metadata={k: v for k, v in metadata.items() if v is not None}, partitions_def=partitions_def
    )

    def reader(raw):
        got.append(raw)

    reader.__annotations__ = {"raw": annotation, "return": None}
    asset = dg.asset(ins={"raw": dg.AssetIn(RAW, input_manager_key="features")}, partitions_def=partitions_def)(reader)
    command = clips.command
    manager = MetaxyPipesIOManager(binary=command.binary[0], features=list(command.features), store=command.store)
    resources = {"features": manager}
    selection = [asset]
    result = dg.materialize(
        [asset, spec], resources=resources, selection=selection, partition_key=partition_key, instance=instance
    )
    assert result.success
    return got[0]


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame, pa.Table, duckdb.DuckDBPyRelation])
def test_an_input_is_what_it_is_annotated_with(clips, annotation):
    got = loaded(clips, annotation)
    assert isinstance(got, annotation)
    as_polars = {
        pl.DataFrame: lambda: got,
        pl.LazyFrame: lambda: got.collect(),
        pa.Table: lambda: pl.from_arrow(got),
        duckdb.DuckDBPyRelation: lambda: got.pl(),
    }
    assert ids(as_polars[annotation]()) == ["c0", "c1", "c2"]


def test_inputs_of_partitioned_assets(clips, instance):
    days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
    got = loaded(clips, pl.DataFrame, partitions_def=days, partition_key="2026-01-02", by="at", instance=instance)
    assert ids(got) == ["c1"]
    numbers = dg.StaticPartitionsDefinition(["0", "1", "2"])
    got = loaded(clips, pa.Table, partitions_def=numbers, partition_key="2", by="n", instance=instance)
    assert ids(got) == ["c2"]
    both = dg.MultiPartitionsDefinition({"day": days, "odd": dg.StaticPartitionsDefinition(["0", "1"])})
    key = dg.MultiPartitionKey({"day": "2026-01-03", "odd": "0"})
    got = loaded(
        clips, pl.DataFrame, partitions_def=both, partition_key=key, by={"day": "day", "odd": "odd, name"}, instance=instance
    )
    assert ids(got) == ["c2"]


def test_a_slice_of_a_feature(clips):
    assert ids(loaded(clips, pl.DataFrame, static={"n": [0, 2]})) == ["c0", "c2"]
    assert ids(loaded(clips, pl.DataFrame, static={"n": [0, 2], "text": "t0"})) == ["c0"]


WITHOUT_METAXY = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("metaxy", "narwhals"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, PROGRAMS)
import dagster as dg
import polars as pl
from clips import RAW, Clips
from pathlib import Path
from metaxy_pipes import MetaxyPipesIOManager, metaxy_pipes_assets

clips = Clips(Path(HOME))

@dg.asset(ins={"raw": dg.AssetIn(RAW, input_manager_key="features")})
def reader(raw: pl.DataFrame):
    print("ids:", sorted(raw["id"]))

command = clips.command
manager = MetaxyPipesIOManager(binary=command.binary[0], features=list(command.features), store=command.store)
resources = {"features": manager, "pipes_client": dg.PipesSubprocessClient()}
assert dg.materialize([reader, *clips.assets()], selection=[reader], resources=resources).success
try:
    import metaxy
except ModuleNotFoundError:
    print("there is no Metaxy")
"""


def test_metaxy_need_not_be_installed(clips):
    """An input and the definitions, in an interpreter that has neither Metaxy nor what it is built on."""
    programs = Path(__file__).resolve().parent / "programs"
    script = WITHOUT_METAXY.replace("PROGRAMS", repr(str(programs))).replace("HOME", repr(str(clips.home)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["ids: ['c0', 'c1', 'c2']", "there is no Metaxy"], done.stderr[-2000:]
