"""The Python steps, with Metaxy as usual."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import metaxy as mx
import metaxy.ext.dagster as mxd
import narwhals as nw
import polars as pl

BOOK, WORDS, CARD = "library/book", "library/words", "library/card"


def shelf() -> Path:
    """Where books come in: a folder of JSON files with a title and a text."""
    return Path(os.environ.get("LIBRARY_SHELF") or Path(__file__).resolve().parents[1] / "shelf")


@mxd.metaxify()
@dg.asset(metadata={"metaxy/feature": BOOK}, group_name="library")
def book(context: dg.AssetExecutionContext, store: dg.ResourceParam[mx.MetadataStore]) -> Iterator[dg.MaterializeResult]:
    """Writes the books that are new or have changed, and forgets those that are gone."""
    found = [{"book": path.stem, **json.loads(path.read_text())} for path in sorted(shelf().glob("*.json"))]
    versions = [{field: hashlib.md5(b[field].encode()).hexdigest() for field in ("title", "text")} for b in found]
    samples = pl.DataFrame(found).with_columns(pl.Series("metaxy_provenance_by_field", versions))
    with store.open("w"):
        write(context, store, BOOK, store.resolve_update(BOOK, samples=nw.from_native(samples)))
        yield from mxd.generate_materialize_results(context, store)


# metaxify draws the edges of the asset graph. Only `deps` makes a step of the same job wait for others.
@mxd.metaxify()
@dg.asset(metadata={"metaxy/feature": CARD}, group_name="library", deps=[dg.AssetKey(f.split("/")) for f in (BOOK, WORDS)])
def card(context: dg.AssetExecutionContext, store: dg.ResourceParam[mx.MetadataStore]) -> Iterator[dg.MaterializeResult]:
    """Writes the card of every book that the increment names."""
    line = pl.format("{}: {} words, the longest is {}", "title", "words", "longest").alias("line")
    with store.open("w"):
        write(context, store, CARD, store.resolve_update(CARD), line)
        yield from mxd.generate_materialize_results(context, store)


def write(
    context: dg.AssetExecutionContext, store: mx.MetadataStore, feature: str, increment: mx.Increment, *columns: pl.Expr
) -> None:
    """Writes new and stale samples with further columns, and deletes the orphaned ones."""
    fresh = pl.concat([increment.new.to_polars(), increment.stale.to_polars()], how="diagonal_relaxed")
    orphaned = increment.orphaned["book"].to_list()
    context.log.info("%s: %d to write, %d to delete", feature, len(fresh), len(orphaned))
    if len(fresh):
        store.write(feature, fresh.with_columns(*columns))
    if orphaned:
        store.delete(feature, filters=nw.col("book").is_in(orphaned))
