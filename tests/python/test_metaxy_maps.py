"""Versions by field kept as maps, as Metaxy does with enable_map_datatype: read like structs, and what is appended stays a map.

Metaxy's map mode needs an older Polars than the rest of the tests, so the tables are made of those that it wrote as structs: the
same rows, with the two columns in the Arrow and Delta type that map mode gives them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import duckdb
import metaxy as mx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import Project
from deltalake import DeltaTable, write_deltalake
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

FEATURES = [
    {"key": "video", "id_columns": ["id"], "fields": ["audio", "frames", {"key": "more/text"}]},
    {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["audio", {"key": "frames", "code_version": "2"}]},
    {"key": "video/faces", "id_columns": ["id"], "deps": ["video/crop"], "fields": [{"key": "frames"}]},
]
CONFIG = """project = "films"
hash_truncation_length = 64
[stores.dev]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
config = {root_path = "store", hash_algorithm = "xxhash64"}
"""
STEP = "import json, sys\nfor line in sys.stdin:\n    s = json.loads(line)\n    print(json.dumps({'id': s['id'], 'path': s['path']}), flush=True)\n"
BY_FIELD = ["metaxy_provenance_by_field", "metaxy_data_version_by_field"]
MAP = pa.map_(pa.string(), pa.string())


def as_maps(table: pa.Table) -> pa.Table:
    """The rows with maps in place of structs; every member is an entry, also a null one."""
    for name in BY_FIELD:
        at = table.column_names.index(name)
        values = [None if row is None else list(row.items()) for row in table.column(at).to_pylist()]
        table = table.set_column(at, name, pa.array(values, MAP))
    return table


def write_root(folder: Path, versions: dict[int, str]) -> None:
    """Real Metaxy writes samples of the root."""
    with mx.FeatureGraph().use(), mx.MetaxyConfig.load(str(folder / "metaxy.toml")).use():
        for spec in FEATURES[:1]:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": int}, "__module__": __name__, "__metaxy_project__": "films"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        rows = [
            {"id": i, "path": f"{i}.mp4", "metaxy_provenance_by_field": {"audio": f"a{v}", "frames": f"f{i}", "more_text": None if i == 5 else v}}
            for i, v in versions.items()
        ]
        with DeltaMetadataStore(folder / "store", hash_algorithm=mx.HashAlgorithm.XXHASH64).open("w") as store:
            store.write("video", pl.DataFrame(rows))
    mx.MetaxyConfig.reset()


def to_maps(folder: Path, table: str) -> None:
    """Makes the same table with maps of one with structs."""
    path = folder / "store" / table
    rows = as_maps(DeltaTable(str(path)).to_pyarrow_table())
    shutil.rmtree(path)
    write_deltalake(str(path), rows, mode="append")


def by_field_types(folder: Path, table: str) -> list[str]:
    fields = {f["name"]: f["type"] for f in json.loads(DeltaTable(str(folder / "store" / table)).schema().to_json())["fields"]}
    return [fields[name]["type"] for name in BY_FIELD]


def answers(project: Project) -> dict:
    """All that the commands say of a store, without times."""
    out: dict = {}
    for feature in ("video/crop", "video/faces"):
        out["resolve", feature] = sorted(map(json.dumps, project.rows("resolve", feature, "--columns", "path")))
        out["explain", feature] = json.loads(project.run("explain", feature, "1", "2", "--format", "json").stdout)
    for feature in ("video", "video/crop"):
        rows = project.rows("read", feature)
        out["read", feature] = sorted(json.dumps({k: v for k, v in r.items() if not k.endswith(("_at", "_id"))}) for r in rows)
    return out


def test_maps_read_and_append_like_structs(project: Project, tmp_path: Path) -> None:
    project.store = ""
    worlds = {}
    for kind in ("struct", "map"):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "metaxy.toml").write_text(CONFIG)
        (folder / "step.py").write_text(STEP)
        worlds[kind] = Project(project.binary, folder, "")
        worlds[kind].write_features(FEATURES)
        write_root(folder, {i: "x" for i in range(6)})
    maps, structs = worlds["map"], worlds["struct"]

    # Tables of Metaxy: the root, and crop, which was computed from four of its samples.
    for w in worlds.values():
        w.run("run", "video/crop", "--limit", "4", "--", sys.executable, "step.py")
        write_root(w.folder, {2: "y", 9: "z"})
    for table in ("video.delta", "video/crop.delta"):
        to_maps(maps.folder, table)
        assert by_field_types(maps.folder, table) == ["map", "map"]
    assert answers(maps) == answers(structs)
    assert len(maps.rows("resolve", "video/crop")) > 2

    # What is appended stays a map, and has the entries that Metaxy would have written.
    for w in worlds.values():
        w.run("run", "video/crop", "--orphaned", "delete", "--", sys.executable, "step.py")
        w.run("run", "video/faces", "--", sys.executable, "step.py")
        assert w.ingest("video", [{"id": 20, "path": "new.mp4", "metaxy_provenance_by_field": {"audio": "a", "frames": "f", "more_text": "t"}}]) == (
            "new=1 stale=0 unchanged=0 removed=0"
        )
    for table in ("video.delta", "video/crop.delta"):
        assert by_field_types(maps.folder, table) == ["map", "map"]
        stored = [DeltaTable(str(w.folder / "store" / table)).to_pyarrow_table() for w in (maps, structs)]
        stored[1] = as_maps(stored[1])
        same = [c for c in stored[0].column_names if not c.endswith(("_at", "materialization_id"))]
        plain = [sorted(map(repr, t.select(same).to_pylist())) for t in stored]
        assert plain[0] == plain[1]
    assert by_field_types(maps.folder, "video/faces.delta") == ["struct", "struct"]  # a table that we create
    assert answers(maps) == answers(structs)
    for feature in ("video/crop", "video/faces"):
        done = [w.run("resolve", feature).stderr.splitlines()[-1] for w in worlds.values()]
        assert done[0] == done[1]

    # Written and deleted by hand, too.
    for w in worlds.values():
        (w.folder / "own.jsonl").write_text(
            json.dumps({"id": 30, "path": "own.mp4", "metaxy_provenance_by_field": {"audio": "1", "frames": "2", "more_text": "3"}}) + "\n"
        )
        w.run("write", "video", "--from", "own.jsonl")
        w.run("delete", "video", "--filter", "id = 20", "--yes")
    assert by_field_types(maps.folder, "video.delta") == ["map", "map"]
    assert answers(maps) == answers(structs)
    assert {30} == {r["id"] for r in maps.rows("read", "video", "--filter", "id >= 20")}

    # With enable_map_datatype, tables that we create have maps as well, so that Metaxy's map mode can append to them.
    (maps.folder / "metaxy.toml").write_text("enable_map_datatype = true\n" + CONFIG.replace('"store"', '"new"'))
    samples = [{"id": i, "path": "p", "metaxy_provenance_by_field": {"audio": f"{i}", "frames": "f", "more_text": "t"}} for i in range(3)]
    maps.ingest("video", samples)
    maps.run("run", "video/crop", "--", sys.executable, "step.py")
    assert maps.run("resolve", "video/crop").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"
    for table in ("video.delta", "video/crop.delta"):
        fields = {f["name"]: f["type"] for f in json.loads(DeltaTable(str(maps.folder / "new" / table)).schema().to_json())["fields"]}
        want = {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": True}
        assert [fields[name] for name in BY_FIELD] == [want, want]

    # Others read it: Arrow sees maps with keys that are never null, and DuckDB finds the entries.
    files = DeltaTable(str(maps.folder / "store" / "video.delta")).file_uris()
    for file in files:
        kind = pq.read_schema(file).field(BY_FIELD[0]).type
        assert kind.equals(MAP) and not kind.key_field.nullable and kind.item_field.nullable, (file, kind)
    found = duckdb.sql(f"select metaxy_provenance_by_field['frames'] from read_parquet({files!r}) where id = 30").fetchall()
    assert [row[0] if not isinstance(row[0], list) else row[0][0] for row in found] == ["2"]
