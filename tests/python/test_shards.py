"""Eight processes with a shard each, all at once, in a folder and on MinIO; and what it costs to see that nothing has changed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import polars as pl
import pytest
from conftest import Project

FEATURES = [
    {"key": "clip/raw", "id_columns": ["id"]},
    {"key": "clip/crop", "id_columns": ["id"], "deps": ["clip/raw"]},
]

PROCESSOR = """
import json, sys
for line in sys.stdin:
    sample = json.loads(line)
    print(json.dumps({"id": sample["id"], "crop": sample["path"] + "/cropped"}), flush=True)
"""

RUN = ["run", "clip/crop", "--stats", "--", sys.executable, "processor.py"]


@pytest.fixture(params=["folder", "minio"])
def clips(request: pytest.FixtureRequest) -> Project:
    p: Project = request.getfixturevalue("project" if request.param == "folder" else "minio_project")
    p.write_features(FEATURES)
    (p.folder / "processor.py").write_text(PROCESSOR)
    return p


def ingest(p: Project, rows: int) -> list[str]:
    """Puts clips into one sorted file, whose pages have few of the long ids."""
    ids = [f"clip-{n:08}-" + "-" * 100 for n in range(rows)]
    versions = [{"default": f"{n * 2654435761 % 2**32:08x}"} for n in range(rows)]
    pl.DataFrame({"id": ids, "path": "in", "metaxy_provenance_by_field": versions}).write_parquet(p.folder / "clips.parquet")
    p.run("ingest", "clip/raw", "--from", "clips.parquet")
    return ids


def usage(stderr: str) -> dict[str, int]:
    """What `--stats` prints."""
    line = re.findall(r"^storage: (.*)$", stderr, re.M)[-1]
    return {name: int(n) for name, n in (word.split("=") for word in line.split())}


def test_eight_shards_at_once(clips: Project) -> None:
    ids = ingest(clips, 12_000)
    shards = [clips.start(*RUN[:2], "--shard", f"{i}/8", *RUN[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for i in range(8)]
    for shard in shards:
        _, stderr = shard.communicate(timeout=240)
        assert shard.returncode == 0, stderr.decode()[-3000:]
        assert usage(stderr.decode())["writes"] >= 2, "a data file and its commit"
    rows = clips.rows("read", "clip/crop", "--history", "--columns", "id,crop")
    assert Counter(r["id"] for r in rows) == Counter(ids)
    assert {r["crop"] for r in rows} == {"in/cropped"}
    assert clips.run("resolve", "clip/crop").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"


def test_nothing_changed_costs_the_same_for_any_table(clips: Project) -> None:
    """Tables of ten and of ten thousand samples: the logs are looked at, and no row."""
    asked = []
    for rows in (10, 10_000):
        ingest(clips, rows)
        clips.run(*RUN)
        done = clips.run("resolve", "clip/crop", "--stats")
        assert done.stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"
        asked.append(usage(done.stderr))
    assert asked[0]["lists"] == asked[1]["lists"]
    for u in asked:  # of each table the pointer to a checkpoint, the checkpoint, and at most nine commits behind it
        assert u["reads"] <= 2 * (1 + 1 + 9), u
        assert u["bytes_read"] < 64 << 10, "the rows have a hundred times that"
