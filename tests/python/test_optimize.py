"""Tables after optimize and vacuum, read by delta-rs, Polars, DuckDB and real Metaxy, and while they run."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import metaxy as mx
import polars as pl
import pyarrow as pa
import pytest
from conftest import Project
from deltalake import DeltaTable, write_deltalake
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

CONFIG = """store = "shared"
project = "proj"

[stores.shared]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.shared.config]
root_path = "{root}"
"""

FEATURES = [
    {"key": "video", "id_columns": ["id"], "fields": ["frames"]},
    {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["frames"]},
]

READERS: dict[str, Callable[[Path], pa.Table]] = {
    "delta-rs": lambda path: DeltaTable(path).to_pyarrow_table(),
    "polars": lambda path: pl.scan_delta(str(path)).collect().to_arrow(compat_level=pl.CompatLevel.oldest()),
    "duckdb": lambda path: duckdb.from_arrow(DeltaTable(path).to_pyarrow_dataset()).to_arrow_table(),
}


class Video:
    """A table that Metaxy, delta-rs and we write in turn."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.folder / "store"
        self.path = self.root / "video.delta"
        config = project.folder / "metaxy.toml"
        config.write_text(CONFIG.format(root=self.root))
        project.store = ""  # the configuration names it
        project.write_features(FEATURES)
        mx.MetaxyConfig.load(str(config))
        for spec in FEATURES:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "proj"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)

    def ours(self, ids: list[str], version: str) -> None:
        rows = [{"id": i, "path": f"{i}/{version}", "metaxy_provenance_by_field": {"frames": version}} for i in ids]
        source = self.project.folder / "rows.jsonl"
        source.write_text("".join(json.dumps(r) + "\n" for r in rows))
        self.project.run("ingest", "video", "--from", str(source))

    def theirs(self, ids: list[str], version: str) -> None:
        frame = pl.DataFrame({"id": ids, "path": [f"{i}/{version}" for i in ids]}).with_columns(
            pl.struct(frames=pl.lit(version)).alias("metaxy_provenance_by_field")
        )
        with DeltaMetadataStore(self.root).open("w") as store:
            store.write("video", frame)

    def read_by_metaxy(self) -> list[dict]:
        with DeltaMetadataStore(self.root).open("r") as store:
            return sorted(store.read("video").collect().to_polars().select("id", "path").to_dicts(), key=lambda r: r["id"])

    def read_by_us(self) -> list[dict]:
        return sorted(({"id": r["id"], "path": r["path"]} for r in self.project.rows("read", "video")), key=lambda r: r["id"])


@pytest.fixture
def video(project: Project) -> Iterator[Video]:
    with mx.FeatureGraph().use():
        yield Video(project)


def rows_of(table: pa.Table) -> list[tuple]:
    """All rows of a table, history included, whatever their order."""
    return sorted(zip(table["id"].to_pylist(), table["path"].to_pylist(), table["metaxy_updated_at"].to_pylist(), strict=True))


def test_every_reader_sees_the_same_after_optimize_and_vacuum(video: Video) -> None:
    """Rows of three writers, updates among them, in a dozen files, become one sorted file; nothing else changes."""
    for n in range(4):
        ids = [f"v{(7 * i) % 20:02}" for i in range(n, n + 10)]
        video.theirs(ids, f"metaxy{n}")
        video.ours(ids[::2], f"ours{n}")
        write_deltalake(video.path, DeltaTable(video.path).to_pyarrow_table().slice(0, 1), mode="append")
    before = rows_of(DeltaTable(video.path).to_pyarrow_table())
    current = video.read_by_metaxy()
    version = DeltaTable(video.path).version()
    assert len(DeltaTable(video.path).file_uris()) == 12

    done = video.project.run("optimize", "video")
    assert "removed=12 added=1" in done.stderr
    video.project.run("vacuum", "video", "--retain", "0", "--yes")
    files = list(video.path.glob("*.parquet"))
    assert len(files) == 1, "the small files are gone"
    ids = pl.read_parquet(files[0])["id"].to_list()
    assert ids == sorted(ids)

    table = DeltaTable(video.path)
    assert table.version() == version + 1
    assert table.history(1)[0]["operation"] == "OPTIMIZE"
    for name, read in READERS.items():
        assert rows_of(read(video.path)) == before, name
    assert video.read_by_metaxy() == current
    assert video.read_by_us() == current

    # And the others go on with it.
    video.theirs(["v00", "new"], "later")
    DeltaTable(video.path).optimize.compact()
    DeltaTable(video.path).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    DeltaTable(video.path).create_checkpoint()
    assert video.read_by_us() == video.read_by_metaxy()
    assert {"id": "new", "path": "new/later"} in video.read_by_us()


def test_the_log_is_cleaned_up_for_every_reader(video: Video) -> None:
    """After months, the log begins at a checkpoint; delta-rs, Polars, DuckDB and Metaxy find all rows."""
    for n in range(25):
        video.ours([f"v{n:02}"], "1")
    before, current = rows_of(DeltaTable(video.path).to_pyarrow_table()), video.read_by_metaxy()
    long_ago = time.time() - 60 * 24 * 3600
    for path in video.path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    done = video.project.run("vacuum", "video")
    assert "files=0 " in done.stderr and not done.stderr.rstrip().endswith("log_files=0")
    assert not (video.path / "_delta_log" / f"{0:020}.json").exists()
    for name, read in READERS.items():
        assert rows_of(read(video.path)) == before, name
    assert video.read_by_metaxy() == current == video.read_by_us()
    video.theirs(["later"], "1")
    assert len(video.read_by_us()) == 26


@pytest.mark.parametrize("days", [2, 40])
def test_writers_tidy_the_log_for_every_reader(video: Video, days: int) -> None:
    """What our writer leaves of a log by itself after two days (some checkpoints) and after 40 (what has not expired): all
    readers find all rows, delta-rs every version that is left, and Metaxy goes on with the table."""
    video.theirs(["v00"], "1")
    DeltaTable(video.path).alter.set_table_properties({"delta.checkpointInterval": "1"})
    log = video.path / "_delta_log"
    wrote = 0

    def until(version: int) -> None:
        nonlocal wrote
        while DeltaTable(video.path).version() < version:
            wrote += 1
            video.ours([f"v{wrote:02}"], "1")

    until(14)
    ago = time.time() - days * 24 * 3600
    for path in log.iterdir():
        os.utime(path, (ago, ago))
    before = {v: rows_of(DeltaTable(video.path, version=v).to_pyarrow_table()) for v in range(2, 15)}
    until(19)
    commits = sorted(int(path.stem) for path in log.glob("*.json"))
    checkpoints = sorted(int(path.name[:20]) for path in log.glob("*.checkpoint.parquet"))
    assert commits == list(range(0 if days == 2 else 14, 20))
    first = 1 if days == 2 else 14  # delta-rs writes a checkpoint with the property
    assert checkpoints == sorted({first, *range(14, 20)})
    for version, rows in before.items():
        if version >= commits[0]:
            assert rows_of(DeltaTable(video.path, version=version).to_pyarrow_table()) == rows
    rows = rows_of(DeltaTable(video.path).to_pyarrow_table())
    assert len(rows) == wrote + 1
    for name, read in READERS.items():
        assert rows_of(read(video.path)) == rows, name
    assert video.read_by_metaxy() == video.read_by_us()
    video.theirs(["later"], "1")
    assert len(video.read_by_us()) == wrote + 2


def test_delta_rs_reads_and_writes_during_optimize(video: Video) -> None:
    """A delta-rs writer and a reader work while optimize runs again and again: no error, and no row is lost."""
    video.ours([f"v{i:03}" for i in range(50)], "1")
    sample = DeltaTable(video.path).to_pyarrow_table().slice(0, 1)
    problems: list[str] = []
    written = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            row = sample.set_column(0, "id", pa.array([f"w{written:03}"]))
            try:
                write_deltalake(video.path, row, mode="append")
                written += 1
            except Exception as e:  # noqa: BLE001: any error is a finding
                problems.append(f"writer: {e}")

    def read() -> None:
        seen = 50
        while not stop.is_set():
            rows = len(DeltaTable(video.path).to_pyarrow_table())
            if rows < seen:
                problems.append(f"a reader sees {rows} rows after {seen}")
            seen = rows

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for t in threads:
        t.start()
    try:
        moved = [video.project.run("optimize", "video").stderr for _ in range(8)]
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not problems
    assert any("removed=0" not in m for m in moved)
    ids = DeltaTable(video.path).to_pyarrow_table()["id"].to_pylist()
    assert sorted(ids) == sorted([f"v{i:03}" for i in range(50)] + [f"w{i:03}" for i in range(written)])
