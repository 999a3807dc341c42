"""Shards of tables that Metaxy has written: in no order, until `optimize` sorts them; and what Metaxy sees of that."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Iterator

import metaxy as mx
import polars as pl
import pytest
from conftest import Project
from deltalake import DeltaTable
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

ROWS = 120_000
SHARDS = 8

PROCESSOR = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"]}), flush=True)
"""


def frame(numbers: list[int], version: str) -> pl.DataFrame:
    """Samples with ids of 70 characters, of which a page holds few, and versions that do not compress."""
    versions = [f"{version}-{n * 0x9E3779B97F4A7C15 % 2**64:016x}" for n in numbers]
    return pl.DataFrame({"id": [f"v{n:08}-{'-' * 60}" for n in numbers], "path": "in", "frames": versions}).select(
        "id", "path", pl.struct("frames").alias("metaxy_provenance_by_field")
    )


@pytest.fixture
def metaxys(project: Project) -> Iterator[Project]:
    """A parent and its feature by Metaxy, neither in the order of the ids; a tenth of the parent has changed since."""
    root = project.folder / "store"
    config = project.folder / "metaxy.toml"
    config.write_text(CONFIG.format(root=root))
    project.store = ""  # the configuration names it
    project.write_features(FEATURES)
    (project.folder / "processor.py").write_text(PROCESSOR)
    numbers = list(range(ROWS))
    random.Random(1).shuffle(numbers)
    with mx.FeatureGraph().use():
        mx.MetaxyConfig.load(str(config))
        for spec in FEATURES:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "proj"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        with DeltaMetadataStore(root).open("w") as store:
            store.write("video", frame(numbers, "1"))
            store.write("video/crop", store.resolve_update("video/crop").new)
            store.write("video", frame(numbers[: ROWS // 10], "2"))
        yield project


def by_metaxy(p: Project) -> tuple[set[str], set[str], set[str]]:
    """The ids that Metaxy finds new, stale and orphaned."""
    with DeltaMetadataStore(p.folder / "store").open("r") as store:
        found = store.resolve_update("video/crop")
        frames = (found.new, found.stale, found.orphaned)
        return tuple(set(f.collect().to_polars()["id"]) if hasattr(f, "collect") else set(f.to_polars()["id"]) for f in frames)


def shard(p: Project, i: int, n: int) -> tuple[list[str], int]:
    """The ids of a shard and the bytes that it reads."""
    done = p.run("resolve", "video/crop", "--shard", f"{i}/{n}", "--columns", "id", "--format", "jsonl", "--stats")
    ids = re.findall(r'"id":\s?"([^"]+)"', done.stdout)
    return ids, int(re.search(r"bytes_read=(\d+)", done.stderr)[1])


def test_optimize_has_shards_read_their_part(metaxys: Project) -> None:
    new, stale, orphaned = by_metaxy(metaxys)
    assert (len(new), len(stale), len(orphaned)) == (0, ROWS // 10, 0)

    whole, every = shard(metaxys, 0, 1)
    assert set(whole) == stale
    _, read = shard(metaxys, 3, SHARDS)
    assert read > every / 2, "each shard reads all ids and versions"

    for feature in ("video", "video/crop"):
        assert "added=1" in metaxys.run("optimize", feature).stderr
    _, every = shard(metaxys, 0, 1)
    parts = [shard(metaxys, i, SHARDS) for i in range(SHARDS)]
    assert Counter(id_ for ids, _ in parts for id_ in ids) == Counter(stale)
    # Beside its part, the ends of both files, and of four columns the pages in which its interval begins and ends.
    for ids, read in parts:
        assert len(ids) < ROWS / 10 / SHARDS * 2
        assert read <= every / SHARDS + 2 * (16 << 10) + 4 * 2 * (40 << 10)
    assert max(read for _, read in parts) < every / 3

    # Metaxy sees what it saw, and what the shards write then is all that there was to do.
    assert by_metaxy(metaxys) == (new, stale, orphaned)
    for i in range(SHARDS):
        metaxys.run("run", "video/crop", "--shard", f"{i}/{SHARDS}", "--", sys.executable, "processor.py")
    assert by_metaxy(metaxys) == (set(), set(), set())
    assert len(DeltaTable(metaxys.folder / "store" / "video" / "crop.delta").to_pyarrow_table()) == ROWS + len(stale)
