"""Resolves the leaf of a prepared store with real Metaxy, in a process of its own, and prints the increment's counts. It can write
the new and stale samples to a Parquet file too, with the columns that bench/resolve.py has metaxy-pipes print."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import metaxy as mx
import polars as pl
from graphs import register, specs
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

PRINTED = [
    "sample_uid",
    "metaxy_provenance_by_field",
    "metaxy_provenance",
    "metaxy_data_version_by_field",
    "metaxy_data_version",
    "path",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", help="of those in graphs.py")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", nargs="?", help="where the store is; by default in the folder")
    parser.add_argument("--write", type=Path, help="a Parquet file to write")
    args = parser.parse_args()
    mx.MetaxyConfig.load(str(args.folder / "metaxy.toml"))
    register(args.graph)
    with DeltaMetadataStore(args.store or args.folder / "store").open("r") as store:
        inc = store.resolve_update(specs(args.graph)[-1].key)
    if args.write:
        pl.concat(rows.to_polars().select(PRINTED) for rows in (inc.new, inc.stale)).write_parquet(args.write)
    print(f"new={len(inc.new)} stale={len(inc.stale)} orphaned={len(inc.orphaned)}", file=sys.stderr)


if __name__ == "__main__":
    main()
