"""Reading, writing and deleting through the command line: the vectors that real Metaxy made, and one store with it."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import metaxy as mx
import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest
from conftest import Project
from deltalake import DeltaTable
from test_cli_vectors import DIFFERENT, call, load, plain, same_project, write_project, write_table
from test_metaxy_interop import Shared, root_rows

# What the command line says otherwise, or cannot say: a feature version asks for the history by itself; what is no object
# cannot be a by-field column of another type; docs/cli.md says so.
OTHERWISE = {"read_feature_version_error"}
# What JSON cannot say: versions that are integers, columns of structs.
TYPED = {"write_integer_versions", "write_more_members_and_columns"}
CASES = [c for c in load("store_ops") if same_project(c) and c["name"] not in OTHERWISE | TYPED | DIFFERENT]
NOW = re.compile(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def masked(rows: list[dict[str, Any]], columns: list[str], now: str) -> Counter[tuple[str, ...]]:
    """Rows that compare equal whatever the clock said when they were written."""

    def mask(value: Any) -> Any:
        if isinstance(value, datetime):
            value = value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        recent = isinstance(value, str) and NOW.fullmatch(value) and abs(
            (datetime.fromisoformat(value) - datetime.now(timezone.utc)).total_seconds()) < 3600
        return "NOW" if value == now or recent else value

    return Counter(tuple(plain(mask(row.get(c))) for c in columns) for row in rows)


def read_arguments(o: dict[str, Any]) -> list[str]:
    flags = {"with_sample_history": "--sample-history", "with_feature_history": "--feature-history",
             "include_soft_deleted": "--include-deleted"}
    out = [flag for name, flag in flags.items() if o.get(name)]
    out += [x for text in o.get("filters") or [] for x in ("--filter", text)]
    if o.get("columns"):
        out += ["--columns", ",".join(o["columns"])]
    if o.get("feature_version"):
        out += ["--feature-version", o["feature_version"]]
    return out


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_vector(case: dict[str, Any], binary: Path, tmp_path: Path) -> None:
    write_project(tmp_path, case, case["hash_truncation_length"])
    for key, table in case["tables"].items():
        write_table(tmp_path / "store" / f"{key}.delta", table)
    o, want = case["operation"], case["expected"]
    arguments = [o["op"], o["feature"]]
    match o["op"]:
        case "read":
            arguments += read_arguments(o)
        case "write":
            (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in o["df"]["rows"]))
            arguments += ["--from", "rows.jsonl"]
            arguments += ["--materialization-id", o["materialization_id"]] if o.get("materialization_id") else []
            arguments += ["--preserve-feature-version"] if o.get("preserve_feature_version") else []
        case "delete":
            ids = [f["spec"]["id_columns"][0] for f in case["features"] if f["spec"]["key"] == o["feature"]]
            arguments += read_arguments({**o, "filters": o.get("filters") or [f"{ids[0]} IS NOT NULL"]})
            arguments += ["--yes"] + (["--hard"] if o.get("soft") is False else [])
    done = call(binary, tmp_path, *arguments)
    if "error" in want:
        assert done.returncode in (1, 4), done.stderr
        assert done.stdout == ""
        return
    path = tmp_path / "store" / f"{o['feature']}.delta"
    if o["op"] == "delete" and not path.exists():
        assert done.returncode == 1
        return
    assert done.returncode == 0, done.stderr
    frame = want["frame"] if o["op"] == "read" else want["table"]
    columns = [name for name, _ in frame["columns"]]
    if o["op"] == "read":
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert set(rows[0] if rows else columns) == set(columns)
        assert done.stderr.splitlines()[-1] == f"rows={len(rows)}"
    else:
        rows = DeltaTable(path).to_pyarrow_table().to_pylist() if path.exists() else []
    assert masked(rows, columns, case.get("now", "")) == masked(frame["rows"], columns, case.get("now", ""))


@pytest.fixture
def shared(project: Project):
    with mx.FeatureGraph().use():
        yield Shared(project, "xxhash32", 8)


def theirs(shared: Shared, feature: str, **options: Any) -> Counter[tuple[str, ...]]:
    with shared.store().open("r") as store:
        frame = store.read(feature, **options).collect().to_polars()
    return masked(frame.to_dicts(), sorted(frame.columns), "")


def ours(shared: Shared, feature: str, *arguments: str) -> Counter[tuple[str, ...]]:
    rows = shared.project.rows("read", feature, *arguments)
    return masked(rows, sorted(rows[0]) if rows else [], "")


def assert_same_reads(shared: Shared, feature: str) -> None:
    """Every kind of read gives the same rows on both sides."""
    kinds: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        ({"include_soft_deleted": True}, ["--include-deleted"]),
        ({"with_sample_history": True}, ["--sample-history"]),
        ({"with_sample_history": True, "include_soft_deleted": True}, ["--sample-history", "--include-deleted"]),
        ({"with_feature_history": True}, ["--feature-history"]),
        ({"with_feature_history": True, "with_sample_history": True, "include_soft_deleted": True}, ["--history", "--include-deleted"]),
    ]
    for options, flags in kinds:
        assert ours(shared, feature, *flags) == theirs(shared, feature, **options), (options, flags)


def test_writes_and_deletes_in_turn(shared: Shared) -> None:
    """We write and delete, Metaxy writes and deletes, and after every step both read the same; delta-rs takes our removes,
    and our checkpoints after them."""
    project, path = shared.project, shared.root / "video" / "raw.delta"

    def write(ids: list[int], version: str) -> None:
        rows = root_rows(ids, version, column="path", fields=["audio", "frames"]).to_dicts()
        (project.folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        project.run("write", "video/raw", "--from", "rows.jsonl")

    def metaxy_write(ids: list[int], version: str) -> None:
        with shared.store().open("w") as store:
            store.write("video/raw", root_rows(ids, version, column="path", fields=["audio", "frames"]))

    def metaxy_delete(number: int, *, soft: bool) -> None:
        with shared.store().open("w") as store:
            store.delete("video/raw", nw.col("id") == number, soft=soft)

    steps = [
        lambda: metaxy_write(list(range(8)), "a"),
        lambda: write(list(range(4, 12)), "b"),
        lambda: project.run("delete", "video/raw", "--filter", "id = 5", "--yes"),
        lambda: metaxy_delete(6, soft=True),
        lambda: project.run("delete", "video/raw", "--filter", "id = 6", "--hard", "--yes"),
        lambda: metaxy_delete(7, soft=False),
        lambda: write([5, 6], "c"),
        lambda: project.run("delete", "video/raw", "--filter", "path = 'path-9-b'", "--filter", "id > 1", "--hard", "--yes"),
        lambda: DeltaTable(path).create_checkpoint(),
        lambda: metaxy_write([6, 20], "d"),
        lambda: project.run("delete", "video/raw", "--filter", "id = 20", "--yes"),
        lambda: metaxy_delete(20, soft=False),
        lambda: project.run("delete", "video/raw", "--filter", "id = 0", "--hard", "--yes"),
        lambda: project.run("delete", "video/raw", "--filter", "id < 3", "--hard", "--yes"),
    ]
    for step in steps:
        step()
        assert_same_reads(shared, "video/raw")
    assert list((path / "_delta_log").glob("*.checkpoint.parquet"))
    ids = {row["id"] for row in project.rows("read", "video/raw", "--columns", "id")}
    assert ids == {3, 4, 5, 6, 8, 10, 11}
    assert set(DeltaTable(path).to_pyarrow_table()["id"].to_pylist()) == ids


def test_read_and_write_are_inverse(shared: Shared) -> None:
    """What read prints can be written to another store, in every format, and reads the same there and for Metaxy."""
    project = shared.project
    with shared.store().open("w") as store:
        rows = root_rows([1, 2], "a", column="path", fields=["audio", "frames"])
        own = pl.Series([{"audio": "own", "frames": "own"}, None], dtype=rows["metaxy_provenance_by_field"].dtype)
        store.write("video/raw", rows.with_columns(metaxy_data_version_by_field=own, day=pl.lit("2024-02-29").str.to_date(), x=0.1))
    want = project.rows("read", "video/raw")
    for form in ("jsonl", "json", "csv", "parquet"):
        raw, target = project.folder / f"rows.{form}", project.folder / f"copy-{form}"
        command = project.command("read", "video/raw", "--format", form)
        raw.write_bytes(subprocess.run(command, cwd=project.folder, capture_output=True, check=True).stdout)
        project.run("--store", str(target), "write", "video/raw", "--from", str(raw), "--preserve-feature-version")
        got = project.rows("--store", str(target), "read", "video/raw")
        for row in (*got, *want):
            row.pop("metaxy_updated_at", None)
        assert got == want, form
        created = DeltaTable(target / "video" / "raw.delta").to_pyarrow_table().schema.field("metaxy_created_at")
        assert created.type == pa.timestamp("us", "UTC")


def test_rebase_is_that_of_metaxy(project: Project, tmp_path: Path) -> None:
    """The same rows, rebased by Metaxy and by us, are the same, and neither side has anything left to do."""
    rows = {name: [] for name in ("metaxy", "ours")}
    for name in rows:
        (tmp_path / name).mkdir()
        with mx.FeatureGraph().use():
            side = Shared(Project(project.binary, tmp_path / name, ""), "xxhash32", 8)
            with side.store().open("w") as store:
                store.write("video/raw", root_rows([1, 2, 3], "a", column="path", fields=["audio", "frames"]))
                inc = store.resolve_update("video/crop")
                crop = inc.new.to_polars()
                own = pl.Series([{"audio": "own", "frames": "own"}, None, None], dtype=crop["metaxy_provenance_by_field"].dtype)
                crop = crop.sort("id").with_columns(metaxy_data_version_by_field=own).drop("metaxy_data_version")
                store.write("video/crop", crop.with_columns(note=pl.lit("computed")), materialization_id="first")
                store.write("video/raw", root_rows([1], "b", column="path", fields=["audio", "frames"]))
                old = mx.current_graph().get_feature_version(mx.FeatureKey("video/crop"))
        features = json.loads((side.project.folder / "features.json").read_text())["features"]
        features[2]["fields"][1]["code_version"] = "3"
        side.project.write_features(features)
        with mx.FeatureGraph().use():
            for spec in features:
                parsed = mx.FeatureSpec.model_validate(spec)
                namespace = {"__annotations__": {"id": int}, "__module__": __name__, "__metaxy_project__": "proj"}
                type("G_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
            if name == "metaxy":
                with side.store().open("w") as store:
                    before = store.read("video/crop", with_feature_history=True, feature_version=old)
                    rebased = store.rebase("video/crop", before.collect())
                    store.write("video/crop", rebased, preserve_feature_version=True)
            else:
                done = side.project.run("rebase", "video/crop")
                assert done.stderr.splitlines()[-1] == "rows=3"
            with side.store().open("r") as store:
                frame = store.read("video/crop").collect().to_polars().sort("id")
                inc = store.resolve_update("video/crop")
            assert [len(x.to_polars()) for x in (inc.new, inc.stale, inc.orphaned)] == [0, 0, 0]
            assert side.project.rows("resolve", "video/crop") == []
        keep = [c for c in frame.columns if c not in ("metaxy_created_at", "metaxy_updated_at", "metaxy_project_version", "metaxy_deleted_at_right")]
        rows[name] = frame.select(sorted(keep)).to_dicts()
    for ours, metaxy in zip(rows["ours"], rows["metaxy"], strict=True):
        assert ours == metaxy


def test_killed_deletions(project: Project) -> None:
    """Hard deletions that are killed at any moment leave the table as it was or as it is after them; the next one ends as if
    nothing had happened, and older versions stay readable."""
    project.write_features([{"key": "video", "id_columns": ["id"]}])
    rows = "".join(json.dumps({"id": i, "text": str(i) * 9, "metaxy_provenance_by_field": {"default": str(i)}}) + "\n" for i in range(20_000))
    (project.folder / "rows.jsonl").write_text(rows)
    for _ in range(3):
        project.run("write", "video", "--from", "rows.jsonl")
    left, ended = 20_000, {True: 0, False: 0}
    rng = random.Random(5)
    for delay in [0, *(rng.uniform(0.01, 0.12) for _ in range(11))]:
        command = project.command("delete", "video", "--filter", f"id >= {left - 1000}", "--hard", "--yes")
        process = subprocess.Popen(command, cwd=project.folder, stderr=subprocess.DEVNULL, env={**os.environ, **project.environment})
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        done = process.wait() == 0
        ended[done] += 1
        ids = project.rows("read", "video", "--columns", "id")
        assert len(ids) == left - 1000 or (not done and len(ids) == left)
        left = len(ids)
    assert ended[False] > 0
    project.run("delete", "video", "--filter", "id >= 3", "--hard", "--yes")
    assert sorted(row["id"] for row in project.rows("read", "video", "--columns", "id")) == [0, 1, 2]
    table = DeltaTable(project.folder / "store" / "video.delta")
    assert table.to_pyarrow_table().num_rows == 9
    assert len(project.rows("read", "video", "--columns", "id", "--at", "2")) == 20_000
    assert len(project.rows("read", "video", "--sample-history", "--columns", "id", "--at", "0")) == 20_000
