"""Makes one store with real Metaxy: roots, the leaf computed from them unless it is to have none, then a tenth of the first root's rows changed."""

from __future__ import annotations

import argparse
from pathlib import Path

import metaxy as mx
import polars as pl
from graphs import register, specs, write_features
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

CONFIG = """store = "bench"
project = "bench"

[stores.bench]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.bench.config]
root_path = "{root}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", choices=["simple", "wide"], required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--leaf", choices=["full", "none"], default="full")
    args = parser.parse_args()

    args.out.mkdir(parents=True)
    store_path = args.out / "store"
    (args.out / "metaxy.toml").write_text(CONFIG.format(root=store_path))
    write_features(args.graph, args.out / "features.json")
    mx.MetaxyConfig.load(str(args.out / "metaxy.toml"))
    register(args.graph)
    roots = [s for s in specs(args.graph) if not s.deps]
    leaf = specs(args.graph)[-1]

    with DeltaMetadataStore(store_path).open("w") as store:
        for root in roots:
            store.write(root.key, rows(root, pl.arange(0, args.rows, eager=True), "v1", "path" if root is roots[0] else "source"))
        if args.leaf == "full":
            store.write(leaf.key, store.resolve_update(leaf.key).new)
        changed = pl.arange(0, args.rows, 10, eager=True)
        store.write(roots[0].key, rows(roots[0], changed, "v2", "path"))


def rows(root: mx.FeatureSpec, numbers: pl.Series, version: str, column: str) -> pl.DataFrame:
    """Rows of a root feature: an id, a column with a path, and a version for each field."""
    fields = [f.key.to_struct_key() for f in root.fields]
    text = numbers.cast(pl.String)
    return pl.DataFrame({"sample_uid": "sample_" + text.str.zfill(10), column: "s3://bucket/raw/" + text + ".mp4"}).with_columns(
        pl.struct(**{f: pl.concat_str(pl.lit(f"{version}_{f}_"), text) for f in fields}).alias("metaxy_provenance_by_field")
    )


if __name__ == "__main__":
    main()
