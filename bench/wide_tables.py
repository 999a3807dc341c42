"""Resolve of tables that have thirty columns of long texts and vectors beside the few that decide, by metaxy-pipes and by real Metaxy
on the same files: what is read of them, in bytes, and how long it takes.

Both tables are written by Metaxy, and then sorted by `optimize`, which makes them files of metaxy-pipes. Nothing is recorded as
settled, so that each resolve looks at all rows: the feature has all samples, or lacks two whose ids lie side by side, or a hundred that lie
apart. metaxy-pipes writes those as Parquet with all their columns; Metaxy has them in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import metaxy as mx
import numpy as np
import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable
from graphs import MEDIA, register, write_features
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore
from prepare import CONFIG
from resolve import BINARY, Cost, best, ours, theirs

TEXTS = [f"text{n:02}" for n in range(15)]
VECTORS = [f"vector{n:02}" for n in range(15)]
CHARACTERS, NUMBERS = 100, 32  # of a text, of a vector
ID = "sample_uid"

# The columns that decide, of the parent and of the feature.
OF_BOTH = (ID, "metaxy_updated_at", "metaxy_deleted_at", "metaxy_feature_version")
DECIDE = (
    (*OF_BOTH, "metaxy_data_version_by_field.audio", "metaxy_data_version_by_field.frames"),
    (*OF_BOTH, "metaxy_provenance"),
)


def clips(rows: int) -> pl.DataFrame:
    """Samples whose columns do not compress."""
    text = os.urandom(CHARACTERS // 2 * rows).hex()
    texts = pl.Series([text[CHARACTERS * n : CHARACTERS * (n + 1)] for n in range(rows)])
    vectors = pl.Series(np.random.default_rng(1).random((rows, NUMBERS), dtype=np.float32)).cast(pl.List(pl.Float32))
    versions = pl.DataFrame({"audio": [t[:16] for t in texts], "frames": [t[16:32] for t in texts]}).to_struct("v")
    ids = pl.Series([f"sample_{n:010}" for n in range(rows)])
    return pl.DataFrame(
        {ID: ids} | dict.fromkeys(TEXTS, texts) | dict.fromkeys(VECTORS, vectors) | {"metaxy_provenance_by_field": versions}
    )


def tables(store: Path) -> list[DeltaTable]:
    return [DeltaTable(store / "store" / f"{key}.delta") for key in MEDIA]


def needed(store: Path) -> float:
    """The MiB of the columns that decide, as they lie in the files."""
    size = 0
    for table, names in zip(tables(store), DECIDE, strict=True):
        for file in table.file_uris():
            meta = pq.read_metadata(file)
            for group in range(meta.num_row_groups):
                columns = [meta.row_group(group).column(n) for n in range(meta.num_columns)]
                size += sum(c.total_compressed_size for c in columns if c.path_in_schema in names)
    return size / 2**20


def size(store: Path) -> float:
    """The MiB of both tables."""
    return sum(Path(file).stat().st_size for table in tables(store) for file in table.file_uris()) / 2**20


def optimize(store: Path, key: str) -> None:
    command = [str(BINARY), "optimize", key, "--config", "metaxy.toml", "--features", "features.json"]
    subprocess.run(command, cwd=store, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def connect(store: Path) -> DeltaMetadataStore:
    mx.MetaxyConfig.load(str(store / "metaxy.toml"))
    register("media")
    return DeltaMetadataStore(store / "store")


def parent(store: Path, rows: int) -> None:
    """Makes the parent with Metaxy, and beside the store all rows of the feature, in no order."""
    store.mkdir()
    (store / "metaxy.toml").write_text(CONFIG.format(root=store / "store"))
    write_features("media", store / "features.json")
    with connect(store).open("w") as s:
        s.write(MEDIA[0], clips(rows))
        new = s.resolve_update(MEDIA[1]).new.to_polars()
    crops = new.select(ID, *[c for c in new.columns if c.startswith("metaxy_")])
    crops.sample(fraction=1, shuffle=True, seed=1).write_parquet(store / "crops.parquet")


def feature(store: Path, lacks: set[str]) -> None:
    """Writes the feature's table anew, without some samples."""
    shutil.rmtree(store / "store" / f"{MEDIA[1]}.delta", ignore_errors=True)
    with connect(store).open("w") as s:
        s.write(MEDIA[1], pl.read_parquet(store / "crops.parquet").filter(~pl.col(ID).is_in(list(lacks))))


def elsewhere(function: Callable[..., None], *args: object) -> None:
    """Calls a function in a process of its own: the peak memory of a program begins with that of who has started it."""
    process = get_context("spawn").Process(target=function, args=args)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"{function.__name__} exited with {process.exitcode}")


def compare(store: Path, runs: int) -> tuple[Cost, Cost]:
    """Metaxy and metaxy-pipes in turn, whose counts have to be the same."""
    mine, other = [], []
    for _ in range(runs):
        other.append(theirs("media", store))
        mine.append(ours("media", store, columns=",".join(TEXTS + VECTORS)))
    a, b = best(other), best(mine)
    if a.counts != b.counts:
        raise SystemExit(f"Metaxy says {a.counts}, metaxy-pipes says {b.counts}")
    return a, b


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    print(f"resolve of {args.rows:,} samples with {len(TEXTS + VECTORS)} columns, best of {args.runs} runs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':34} {'Metaxy s':>8} {'ours s':>8} {'ratio':>7} {'CPU':>7} {'memory':>7} {'MiB read':>9} {'requests':>8}   counts")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        store = Path(folder) / "media"
        elsewhere(parent, store, args.rows)
        two = {f"sample_{n:010}" for n in range(args.rows // 2, args.rows // 2 + 2)}
        hundred = {f"sample_{n:010}" for n in range(7, args.rows, args.rows // 100)}
        for files in ("Metaxy", "us"):
            if files == "us":
                optimize(store, MEDIA[0])
            decided = 0.0
            for what, lacks in (("nothing to do", set()), ("two samples side by side", two), ("a hundred apart", hundred)):
                elsewhere(feature, store, lacks)
                if files == "us":
                    optimize(store, MEDIA[1])
                a, b = compare(store, args.runs)
                ratios = f"{a.wall / b.wall:6.1f}x {a.cpu / b.cpu:6.1f}x {a.memory / b.memory:6.1f}x"
                print(f"{f'files by {files}, {what}':34} {a.wall:8.2f} {b.wall:8.2f} {ratios} {b.read:9.2f} {b.requests:8}   {b.counts}")
                if not lacks:
                    decided, needs = b.read, needed(store)
                    print(f"  the columns that decide have {needs:.2f} MiB of {size(store):.0f}: read were {decided / needs:.2f} times as many", flush=True)
                else:
                    print(f"  read for the samples: {b.read - decided:.2f} MiB", flush=True)


if __name__ == "__main__":
    main()
