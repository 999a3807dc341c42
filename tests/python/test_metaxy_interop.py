"""One store shared with real Metaxy: each reads what the other wrote and comes to the same increment."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import metaxy as mx
import polars as pl
import pytest
from conftest import Project
from deltalake.exceptions import CommitFailedError
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

CONFIG = """store = "shared"
project = "proj"
hash_truncation_length = {truncation}

[stores.shared]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.shared.config]
root_path = "{root}"
hash_algorithm = "{algorithm}"
"""

FEATURES = [
    {"key": "video/raw", "id_columns": ["id"], "fields": ["audio", "frames"]},
    {"key": "scene/cuts", "id_columns": ["id"], "fields": [{"key": "cuts", "code_version": "7"}]},
    {
        "key": "video/crop",
        "id_columns": ["id"],
        "deps": [{"feature": "video/raw", "rename": {"path": "source"}}],
        "fields": ["audio", {"key": "frames", "code_version": "2"}],
    },
    {
        "key": "video/summary",
        "id_columns": ["id"],
        "deps": [{"feature": "video/crop", "select": ["source"]}, {"feature": "scene/cuts", "select": ["count"]}],
        "fields": [
            {"key": "text", "deps": [{"feature": "video/crop", "fields": ["audio"]}, {"feature": "scene/cuts", "fields": ["cuts"]}]},
            {"key": "faces", "deps": [{"feature": "video/crop", "fields": ["frames"]}]},
        ],
    },
]

SETTINGS = [("xxhash32", 8), ("xxhash64", 64), ("xxh3_64", 64), ("wyhash", 16), ("sha256", 64), ("md5", 12)]


class Shared:
    """A store that both sides use: Metaxy in this process, ours as a program."""

    def __init__(self, project: Project, algorithm: str, truncation: int) -> None:
        self.project = project
        self.root = project.folder / "store"
        config = project.folder / "metaxy.toml"
        config.write_text(CONFIG.format(root=self.root, algorithm=algorithm, truncation=truncation))
        project.store = ""  # the configuration names it
        project.write_features(FEATURES)
        mx.MetaxyConfig.load(str(config))
        for spec in FEATURES:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": int}, "__module__": __name__, "__metaxy_project__": "proj"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        self.algorithm = mx.HashAlgorithm(algorithm)

    def store(self) -> DeltaMetadataStore:
        return DeltaMetadataStore(self.root, hash_algorithm=self.algorithm)

    def metaxy_increment(self, feature: str) -> dict[str, list[dict]]:
        with self.store().open("r") as store:
            inc = store.resolve_update(feature)
        return {status: plain(getattr(inc, status).to_polars()) for status in ("new", "stale", "orphaned")}

    def our_increment(self, feature: str, columns: list[str]) -> dict[str, list[dict]]:
        found: dict[str, list[dict]] = {"new": [], "stale": [], "orphaned": []}
        for row in self.project.rows("resolve", feature, *(["--columns", ",".join(columns)] if columns else [])):
            found[row.pop("status")].append(row)
        return {status: canonical(rows) for status, rows in found.items()}


@pytest.fixture(params=SETTINGS, ids=lambda s: f"{s[0]}-{s[1]}")
def shared(request: pytest.FixtureRequest, project: Project) -> Iterator[Shared]:
    with mx.FeatureGraph().use():
        yield Shared(project, *request.param)


def plain(frame: pl.DataFrame) -> list[dict]:
    """A frame's rows as our JSON has them: times as text."""

    def value(v: object) -> object:
        return v.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(v, datetime) else v

    return canonical([{k: value(v) for k, v in row.items()} for row in frame.to_dicts()])


def canonical(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda r: json.dumps(r, sort_keys=True))


def root_rows(ids: list[int], version: str, *, column: str, fields: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"id": i, column: f"{column}-{i}-{version}", "metaxy_provenance_by_field": {f: f"{f}{i}{version}" for f in fields}} for i in ids]
    )


def only(rows: list[dict], columns: list[str]) -> list[dict]:
    return canonical([{c: r[c] for c in columns} for r in rows])


VERSIONS = ["metaxy_provenance_by_field", "metaxy_provenance", "metaxy_data_version_by_field", "metaxy_data_version"]


def assert_same_increment(shared: Shared, feature: str, columns: list[str]) -> dict[str, list[dict]]:
    theirs, ours = shared.metaxy_increment(feature), shared.our_increment(feature, columns)
    for status in ("new", "stale", "orphaned"):
        kept = ["id", *VERSIONS, *columns]
        assert only(ours[status], kept) == only(theirs[status], kept), f"{status} of {feature}"
    return ours


def test_increments_agree_on_tables_of_both(shared: Shared) -> None:
    rng = random.Random(7)
    ids = list(range(60))
    with shared.store().open("w") as store:
        store.write("video/raw", root_rows(ids, "a", column="path", fields=["audio", "frames"]))
        store.write("scene/cuts", root_rows(ids[:50], "a", column="count", fields=["cuts"]))
    crop = assert_same_increment(shared, "video/crop", ["source"])
    assert len(crop["new"]) == 60

    # We compute crop from what Metaxy wrote; Metaxy computes summary from what we wrote.
    processor = 'import json, sys\nfor line in sys.stdin:\n    s = json.loads(line)\n    print(json.dumps({"id": s["id"], "source": s["source"]}), flush=True)\n'
    (shared.project.folder / "crop.py").write_text(processor)
    shared.project.run("run", "video/crop", "--", sys.executable, "crop.py")
    assert shared.metaxy_increment("video/crop") == {"new": [], "stale": [], "orphaned": []}
    summary = assert_same_increment(shared, "video/summary", ["source", "count"])
    assert len(summary["new"]) == 50
    with shared.store().open("w") as store:
        store.write("video/summary", store.resolve_update("video/summary").new)
    assert shared.our_increment("video/summary", []) == {"new": [], "stale": [], "orphaned": []}

    # Then changes, additions and removals by Metaxy, seen alike by both.
    with shared.store().open("w") as store:
        store.write("video/raw", root_rows(rng.sample(ids, 15) + [100, 101], "b", column="path", fields=["audio", "frames"]))
        store.write("scene/cuts", root_rows(rng.sample(ids, 10), "b", column="count", fields=["cuts"]))
        store.delete("video/raw", mx_filter("id", [3, 4]))
    crop = assert_same_increment(shared, "video/crop", ["source"])
    assert {s: len(rows) for s, rows in crop.items()}["orphaned"] == 2
    assert len(crop["new"]) == 2
    shared.project.run("run", "video/crop", "--orphaned", "delete", "--", sys.executable, "crop.py")
    assert shared.metaxy_increment("video/crop") == {"new": [], "stale": [], "orphaned": []}
    assert_same_increment(shared, "video/summary", ["source", "count"])


@pytest.mark.parametrize("shared", [("xxh3_64", 64), ("xxhash32", 8)], indirect=True, ids=["xxh3_64-64", "xxhash32-8"])
def test_two_runners_and_metaxy_at_once(shared: Shared) -> None:
    """Three writers on one table, each with a commit per sample or two: no row is lost, and none is there twice."""
    ids = list(range(200))
    with shared.store().open("w") as store:
        store.write("video/raw", root_rows(ids, "a", column="path", fields=["audio", "frames"]))
        todo = store.resolve_update("video/crop").new.to_polars().sort("id")
    processor = """import json, sys, time
for line in sys.stdin:
    s = json.loads(line)
    time.sleep(0.05)
    print(json.dumps({"id": s["id"], "source": "ours"}), flush=True)
"""
    project = shared.project
    (project.folder / "crop.py").write_text(processor)
    command = ["run", "video/crop", "--flush-rows", "1", "--concurrency", "2", "--", sys.executable, "crop.py"]
    runners = [project.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    table = shared.root / "video" / "crop.delta"
    while not (table / "_delta_log").exists() and all(r.poll() is None for r in runners):
        time.sleep(0.01)
    with shared.store().open("w") as store:  # from the end, where the runners are not yet
        for last in range(200, 180, -2):
            write_patiently(store, "video/crop", todo[last - 2 : last].with_columns(source=pl.lit("theirs")))
    processed = 0
    for runner in runners:
        _, stderr = runner.communicate(timeout=300)
        assert runner.returncode == 0, stderr[-3000:]
        processed += int(stderr.splitlines()[-1].split("processed=")[1].split()[0])
    rows = pl.read_delta(str(table)).sort("id")
    assert rows["id"].to_list() == ids, "each sample has one row, whoever wrote it"
    assert rows["source"].to_list() == ["ours"] * 180 + ["theirs"] * 20
    assert processed == 180
    assert shared.metaxy_increment("video/crop") == {"new": [], "stale": [], "orphaned": []}
    assert shared.our_increment("video/crop", []) == {"new": [], "stale": [], "orphaned": []}


def write_patiently(store: DeltaMetadataStore, feature: str, rows: pl.DataFrame) -> None:
    """delta-rs gives up when others have committed first fifteen times in a row, which these runners can do."""
    for _ in range(20):
        try:
            store.write(feature, rows)
            return
        except CommitFailedError:
            time.sleep(0.1)
    pytest.fail("Metaxy could not commit")


def mx_filter(column: str, values: list[int]):
    import narwhals as nw

    return nw.col(column).is_in(values)


def test_metaxy_reads_our_tables_as_we_do(shared: Shared) -> None:
    rows = [{"id": i, "path": f"/v/{i}", "metaxy_provenance_by_field": {"audio": f"a{i}", "frames": f"f{i}"}} for i in range(20)]
    assert shared.project.ingest("video/raw", rows) == "new=20 stale=0 unchanged=0 removed=0"
    assert shared.project.ingest("video/raw", rows) == "new=0 stale=0 unchanged=20 removed=0"
    with shared.store().open("r") as store:
        theirs = plain(store.read("video/raw").collect().to_polars())
    assert canonical(shared.project.rows("read", "video/raw")) == theirs
    with shared.store().open("w") as store:
        store.write("video/raw", root_rows([1, 2], "b", column="path", fields=["audio", "frames"]))
        theirs = plain(store.read("video/raw").collect().to_polars())
    assert canonical(shared.project.rows("read", "video/raw")) == theirs
    assert len(theirs) == 20


def test_versions_of_the_graph_agree(shared: Shared) -> None:
    ours = json.loads(shared.project.run("graph", "--format", "json").stdout)
    graph = mx.FeatureGraph.get_active()
    assert [f["key"] for f in ours["features"]] == [str(k) for k in graph.topological_sort_features()]
    for feature in ours["features"]:
        definition = graph.get_feature_definition(feature["key"])
        assert feature["feature_version"] == graph.get_feature_version(feature["key"])
        assert feature["feature_spec_version"] == definition.spec.feature_spec_version
        assert {f["key"]: f["version"] for f in feature["fields"]} == graph.get_feature_version_by_field(feature["key"])


def test_a_store_with_other_hash_settings_is_refused(project: Project, tmp_path: Path) -> None:
    project.write_features(FEATURES)
    project.ingest("video/raw", [{"id": 1, "path": "p", "metaxy_provenance_by_field": {"audio": "a", "frames": "f"}}])
    (tmp_path / "metaxy.toml").write_text(CONFIG.format(root=project.store, algorithm="md5", truncation=12))
    project.store = ""
    refused = project.run("resolve", "video/crop", status=4)
    assert refused.stdout == ""
    assert "md5" in refused.stderr and "xxh3_64" in refused.stderr
