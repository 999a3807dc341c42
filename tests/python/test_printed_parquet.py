"""What `resolve --format parquet` prints, read by other programs: the rows that JSON lines have, and that Metaxy finds."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import metaxy as mx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project
from deltalake import DeltaTable, QueryBuilder, convert_to_deltalake
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

FEATURES = [
    {"key": "video", "id_columns": ["id"], "fields": ["frames", "audio"]},
    {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["crop", "voice"]},
]
ROWS = 150_000  # more than a row group has
READERS = ["polars", "duckdb", "pyarrow", "delta-rs"]


@pytest.fixture(scope="module")
def printed(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """The file, and the rows as JSON lines have them: texts of every length, none at all, some that repeat and some that do not."""
    folder = tmp_path_factory.mktemp("printed")
    project = Project(binary, folder, str(folder / "store"))
    project.write_features(FEATURES)
    chance = random.Random(1)
    notes = ["", None, "🎬 'quoted' \"twice\"\n", "x" * 3000, "plain"]
    rows = pl.DataFrame({"id": [f"v{n:06}" for n in range(ROWS)]}).with_columns(
        pl.Series("path", [f"s3://bucket/{n}.mp4" for n in range(ROWS)]),
        pl.Series("note", [chance.choice(notes) if chance.random() < 0.1 else str(chance.random()) for _ in range(ROWS)]),
        pl.Series("codec", [chance.choice(["h264", "av1"]) for _ in range(ROWS)]),
        pl.Series("size", [chance.randrange(2**60) for _ in range(ROWS)]),
    )
    rows.write_parquet(folder / "samples.parquet")
    project.run("ingest", "video", "--from", "samples.parquet")
    flags = ("resolve", "video/crop", "--columns", "*", "--format")
    lines, file = folder / "lines.jsonl", folder / "printed" / "rows.parquet"
    file.parent.mkdir()
    lines.write_text(project.run(*flags, "jsonl").stdout)
    with file.open("wb") as out:
        process = project.start(*flags, "parquet", stdout=out)
    assert process.wait() == 0
    return file, pl.read_ndjson(lines, infer_schema_length=None)


def read(reader: str, file: Path) -> pl.DataFrame:
    match reader:
        case "polars":
            return pl.read_parquet(file)
        case "duckdb":
            return duckdb.sql(f"SELECT * FROM '{file}'").pl()
        case "pyarrow":
            return pl.DataFrame(pl.from_arrow(pq.read_table(file)))
    convert_to_deltalake(str(file.parent))
    table = QueryBuilder().register("printed", DeltaTable(str(file.parent))).execute("SELECT * FROM printed").read_all()
    return pl.DataFrame(pl.from_arrow(pa.table(table)))


@pytest.mark.parametrize("reader", READERS)
def test_others_read_what_is_printed(printed: tuple[Path, pl.DataFrame], reader: str) -> None:
    file, want = printed
    got = read(reader, file).sort("id")
    assert got.columns == want.columns and len(got) == ROWS
    for column in want.columns:
        assert got[column].to_list() == want.sort("id")[column].to_list(), column


CONFIG = """store = "all"
project = "all"

[stores.all]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.all.config]
root_path = "{root}"
"""
JOINED = [
    {"key": "left", "id_columns": ["id"], "fields": ["a", "b"]},
    {"key": "right", "id_columns": ["id"], "fields": ["c", "d"]},
    {"key": "leaf", "id_columns": ["id"], "deps": ["left", "right"], "fields": ["x", "y"]},
    {"key": "alone", "id_columns": ["id"], "deps": ["left"], "fields": ["x"]},
]


def root(numbers: list[int], version: str, fields: list[str], column: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"v{n:08}" for n in numbers],
            column: [f"{column}/{n}.mp4" for n in numbers],
            "metaxy_provenance_by_field": [{f: f"{version}{f}{n}" for f in fields} for n in numbers],
        }
    )


@pytest.mark.parametrize("order", ["alike", "shuffled"])
def test_all_new_as_by_metaxy(project: Project, order: str) -> None:
    """Every sample is new: both parents are read from one end to the other if their rows come alike, and row by row if not. A part
    of the left one is there twice."""
    config = project.folder / "metaxy.toml"
    config.write_text(CONFIG.format(root=project.folder / "store"))
    project.store = ""  # the configuration names it
    project.write_features(JOINED)
    count = 60_000
    right = list(range(count))
    if order == "shuffled":
        random.Random(2).shuffle(right)
    with mx.FeatureGraph().use():
        mx.MetaxyConfig.load(str(config))
        for spec in JOINED:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "all"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        with DeltaMetadataStore(project.folder / "store").open("w") as store:
            store.write("left", root(list(range(count)), "1", ["a", "b"], "path"))
            store.write("right", root(right, "1", ["c", "d"], "source"))
            store.write("left", root(list(range(0, count, 10)), "2", ["a", "b"], "path"))
            increments = {leaf: store.resolve_update(leaf).new.to_polars() for leaf in ("leaf", "alone")}
    for leaf, want in increments.items():
        file = project.folder / f"{leaf}.parquet"
        with file.open("wb") as out:
            assert project.start("resolve", leaf, "--columns", "*", "--format", "parquet", stdout=out).wait() == 0
        got = pl.read_parquet(file).drop("status").sort("id")
        assert len(got) == count and got.columns[0] == "id"
        want = want.select(got.columns).sort("id")
        for column in got.columns:
            assert got[column].to_list() == want[column].to_list(), column
