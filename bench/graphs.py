"""The two graphs of Metaxy's paper, and one whose tables have many columns, for real Metaxy and, as features.json, for metaxy-pipes."""

from __future__ import annotations

import json
from pathlib import Path

import metaxy as mx

SIMPLE = ("simple/root", "simple/leaf")
WIDE = ("wide/left", "wide/right", "wide/leaf")
MEDIA = ("media/clip", "media/crop")


def specs(name: str) -> list[mx.FeatureSpec]:
    """The specs of one graph: `simple` (a root of two fields, a leaf of one) or `wide` (two roots of four, a leaf of two),
    or `media`, which is as simple and has other columns."""
    if name in ("simple", "media"):
        root, leaf = SIMPLE if name == "simple" else MEDIA
        return [
            mx.FeatureSpec(key=root, id_columns=["sample_uid"], fields=["audio", "frames"]),
            mx.FeatureSpec(key=leaf, id_columns=["sample_uid"], deps=[mx.FeatureDep(feature=root)], fields=["text"]),
        ]
    left, right, leaf = WIDE
    return [
        mx.FeatureSpec(key=left, id_columns=["sample_uid"], fields=["a", "b", "c", "d"]),
        mx.FeatureSpec(key=right, id_columns=["sample_uid"], fields=["e", "f", "g", "h"]),
        mx.FeatureSpec(
            key=leaf,
            id_columns=["sample_uid"],
            deps=[mx.FeatureDep(feature=left), mx.FeatureDep(feature=right)],
            fields=["x", "y"],
        ),
    ]


def register(name: str) -> None:
    """Declares the graph's features in Metaxy's active graph."""
    for spec in specs(name):
        type("F_" + spec.key.table_name, (mx.BaseFeature,), {"__annotations__": {"sample_uid": str}, "__module__": __name__}, spec=spec)


def write_features(name: str, path: Path) -> None:
    """Writes the graph as a feature file of metaxy-pipes."""
    path.write_text(json.dumps({"features": [s.model_dump(mode="json") for s in specs(name)]}, indent=1))
