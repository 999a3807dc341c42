"""Tables with many large columns beside the few that decide: what is read of them, in bytes, whoever has written the files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import metaxy as mx
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project
from deltalake import DeltaTable, write_deltalake
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

CONFIG = """store = "wide"
project = "wide"

[stores.wide]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.wide.config]
root_path = "{root}"
"""

FEATURES = [
    {"key": "video", "id_columns": ["id"], "fields": ["frames", "audio"]},
    {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["crop"]},
]

ROWS = 20_000
TEXTS = [f"text{n:02}" for n in range(15)]
VECTORS = [f"vector{n:02}" for n in range(15)]
LONG = 1_000  # characters of the column `transcript`

# The columns that decide, of the parent and of the feature itself.
OF_BOTH = ("id", "metaxy_updated_at", "metaxy_deleted_at", "metaxy_feature_version")
DECIDE = {"video": (*OF_BOTH, "metaxy_data_version_by_field.frames", "metaxy_data_version_by_field.audio"), "video/crop": (*OF_BOTH, "metaxy_provenance")}

PROCESSOR = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "crop": line[:200]}))
"""


@pytest.fixture(scope="module")
def samples() -> pl.DataFrame:
    """Samples with thirty columns of 100 characters or 32 numbers and one of long texts, none of which compresses."""
    text = os.urandom(LONG // 2 * ROWS).hex()
    texts = pl.Series([text[100 * n : 100 * n + 100] for n in range(ROWS)])
    vectors = pl.Series(np.random.default_rng(1).random((ROWS, 32), dtype=np.float32)).cast(pl.List(pl.Float32))
    versions = [{"frames": text[16 * n : 16 * n + 16], "audio": text[16 * n + 8 : 16 * n + 24]} for n in range(ROWS)]
    return pl.DataFrame(
        {"id": [f"v{n:08}" for n in range(ROWS)]}
        | dict.fromkeys(TEXTS, texts)
        | dict.fromkeys(VECTORS, vectors)
        | {"transcript": [text[LONG * n : LONG * n + LONG] for n in range(ROWS)]}
        | {"metaxy_provenance_by_field": versions}
    )


def by_metaxy(project: Project, samples: pl.DataFrame) -> None:
    with DeltaMetadataStore(project.folder / "store").open("w") as store:
        store.write("video", samples)


def again(write: Callable[[Path, pa.Table], None]) -> Callable[[Project, pl.DataFrame], None]:
    """The rows that Metaxy has made, written by another program."""

    def by_another(project: Project, samples: pl.DataFrame) -> None:
        by_metaxy(project, samples)
        made = project.folder / "store" / "video.delta"
        rows = DeltaTable(made).to_pyarrow_table()
        made.rename(project.folder / "made.delta")
        write(made, rows)

    return by_another


def by_us(project: Project, samples: pl.DataFrame) -> None:
    samples.write_parquet(project.folder / "samples.parquet")
    project.run("ingest", "video", "--from", "samples.parquet")


WRITERS = {
    "metaxy": by_metaxy,
    "delta-rs": again(lambda path, rows: write_deltalake(path, rows)),
    "polars": again(lambda path, rows: pl.from_arrow(rows).write_delta(path)),
    "metaxy-pipes": by_us,
}


@pytest.fixture(params=WRITERS)
def wide(request: pytest.FixtureRequest, project: Project, samples: pl.DataFrame) -> Iterator[Project]:
    config = project.folder / "metaxy.toml"
    config.write_text(CONFIG.format(root=project.folder / "store"))
    project.store = ""  # the configuration names it
    project.write_features(FEATURES)
    with mx.FeatureGraph().use():
        mx.MetaxyConfig.load(str(config))
        for spec in FEATURES:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "wide"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        WRITERS[request.param](project, samples)
        yield project


def sizes(project: Project, feature: str) -> dict[str, int]:
    """The bytes of each column in the files of a table."""
    out: dict[str, int] = {}
    for file in DeltaTable(project.folder / "store" / f"{feature}.delta").file_uris():
        meta = pq.read_metadata(file)
        for group in range(meta.num_row_groups):
            for n in range(meta.num_columns):
                column = meta.row_group(group).column(n)
                out[column.path_in_schema] = out.get(column.path_in_schema, 0) + column.total_compressed_size
    return out


def resolve(project: Project, *flags: str) -> tuple[int, str]:
    """How many bytes a resolve reads, and its counts."""
    err = project.run("resolve", "video/crop", "--stats", "--format", "jsonl", *flags).stderr
    return int(re.search(r"bytes_read=(\d+)", err)[1]), err.splitlines()[-1]


def test_what_is_read(wide: Project) -> None:
    """Deciding reads what decides. Of a few samples in the middle, the pages are read that they lie in."""
    (wide.folder / "processor.py").write_text(PROCESSOR)
    wide.run("run", "video/crop", "--", sys.executable, "processor.py")
    wide.run("delete", "video/crop", "--filter", "id = 'v00009001' OR id = 'v00009002'", "--yes")
    wide.run("optimize", "video/crop")  # the end of each file is read, which is much of a small one

    columns = {feature: sizes(wide, feature) for feature in DECIDE}
    needed = sum(columns[feature][name] for feature, names in DECIDE.items() for name in names)
    decided, counts = resolve(wide, "--only", "orphaned")
    assert counts == "new=2 stale=0 orphaned=0"
    assert decided <= 1.2 * needed
    assert needed < sum(columns["video"].values()) / 50

    # Others make pages of 1 MiB, and a dictionary before them; two samples side by side may lie in two pages.
    ids, _ = resolve(wide)
    ours = is_ours(wide)
    for name in ("transcript", "vector03", "text11") if ours else ("transcript",):
        few, counts = resolve(wide, "--columns", name)
        assert counts == "new=2 stale=0 orphaned=0"
        assert 0 < few - ids <= (2 * 72 << 10 if ours else 3.25 * 2**20)
    if ours:
        assert ids - decided <= 6 * 72 << 10, "three columns of versions are fetched"


def is_ours(project: Project) -> bool:
    files = DeltaTable(project.folder / "store" / "video.delta").file_uris()
    return "metaxy" in pq.read_metadata(files[0]).created_by
