"""The other side: real Metaxy, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import metaxy as mx
import narwhals as nw
import polars as pl
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore
from metaxy.models.filter_expression import parse_filter_string

PROJECT = "proj"


def graph_of(specs: list[dict[str, Any]]) -> mx.FeatureGraph:
    """A graph of features without classes, and so without schemas."""
    graph = mx.FeatureGraph()
    for spec in specs:
        definition = mx.FeatureDefinition.from_stored_data(spec, {}, "none.None", PROJECT)
        graph.add_feature_definition(definition)
    return graph


def configure(truncation: int) -> None:
    mx.MetaxyConfig.set(mx.MetaxyConfig(project=PROJECT, hash_truncation_length=truncation, sync=False))


def versions(graph: mx.FeatureGraph) -> dict[str, Any]:
    """Every version hash, as our side names them."""
    order = [str(k) for k in graph.topological_sort_features()]
    found = {}
    for key in order:
        definition, plan = graph.get_feature_definition(key), graph.get_feature_plan(mx.FeatureKey(key))
        found[key] = {
            "feature_version": graph.get_feature_version(key),
            "feature_spec_version": definition.spec.feature_spec_version,
            "definition_version": definition.feature_definition_version,
            "code_version": definition.spec.code_version,
            "fields": graph.get_feature_version_by_field(key),
            "parents": {
                str(f.key): sorted(p.to_string() for p in plan.get_parent_fields_for_field(f.key))
                for f in definition.spec.fields
            },
        }
    return {"project_version": graph.get_project_version(PROJECT), "order": order, "features": found}


class Theirs:
    """Metaxy on a store."""

    def __init__(self, folder: Path, algorithm: str, fallback: Path | None = None) -> None:
        self.folder, self.algorithm = folder, mx.HashAlgorithm(algorithm)
        self.fallback = fallback

    @contextmanager
    def open(self, mode: str = "w") -> Iterator[DeltaMetadataStore]:
        others = [DeltaMetadataStore(self.fallback, hash_algorithm=self.algorithm)] if self.fallback else None
        with DeltaMetadataStore(self.folder, hash_algorithm=self.algorithm, fallback_stores=others).open(mode) as store:
            yield store

    def write(self, feature: str, rows: pl.DataFrame, run: str) -> None:
        with self.open() as store:
            store.write(feature, rows, materialization_id=run)

    def delete(self, feature: str, where: list[str] | None, *, hard: bool, **flags: bool) -> None:
        with self.open() as store:
            store.delete(feature, filters=parsed(where) if where else None, soft=not hard, **flags)

    def read(self, feature: str, options: dict[str, Any]) -> pl.DataFrame:
        o = dict(options)
        with self.open("r") as store:
            return store.read(feature, filters=parsed(o.pop("filters", None)) or None, **o).collect().to_polars()

    def resolve(self, feature: str, options: dict[str, Any], samples: pl.DataFrame | None = None) -> dict[str, pl.DataFrame]:
        with self.open("r") as store:
            inc = store.resolve_update(
                feature,
                samples=samples,
                filters={k: parsed(v) for k, v in options.get("filters", {}).items()} or None,
                global_filters=parsed(options.get("global_filters")) or None,
                target_filters=parsed(options.get("target_filters")) or None,
                staleness_predicates=parsed(options.get("staleness_predicates")) or None,
                skip_comparison=options.get("skip_comparison", False),
            )
        return {s: getattr(inc, s).to_polars() for s in ("new", "stale", "orphaned")}


    def compute(self, feature: str, rows: pl.DataFrame) -> pl.DataFrame:
        with self.open("r") as store:
            return store.compute_provenance(feature, nw.from_native(rows)).to_polars()


def parsed(texts: list[str] | None) -> list[Any]:
    return [parse_filter_string(t) for t in texts or []]
