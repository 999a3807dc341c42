"""Column schema and column lineage of a feature as Dagster shows them."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg

from metaxy_pipes.description import Feature

KeyOf = Callable[[str], dg.AssetKey]


def column_schema(feature: Feature) -> dg.TableSchema | None:
    """The columns that the description knows; None if it knows none."""
    if not feature.columns:
        return None
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=c.name, type=c.type or "unknown", description=c.description) for c in feature.columns
        ]
    )


def column_lineage(feature: Feature, key_of: KeyOf) -> dg.TableColumnLineage | None:
    """The upstream columns of each column; upstream asset keys are made by key_of, so they have its prefix."""
    if not feature.column_lineage:
        return None
    return dg.TableColumnLineage(
        deps_by_column={
            column: [dg.TableColumnDep(asset_key=key_of(s.feature), column_name=s.column) for s in sources]
            for column, sources in feature.column_lineage.items()
        }
    )
