"""Writes features.json, the graph as the Go step reads it: Metaxy's own specs and schemas.

Run it when a feature changes, and check the file in. The definitions do not load with an old one.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPORTED = HERE / "features.json"
sys.path.insert(0, str(HERE))

import metaxy as mx  # noqa: E402


def exported(graph: mx.FeatureGraph) -> str:
    """The features of a graph as JSON."""
    definitions = [graph.get_feature_definition(key) for key in graph.topological_sort_features()]
    features = [{**json.loads(d.spec.model_dump_json()), "schema": d.feature_schema} for d in definitions]
    return json.dumps({"features": features}, indent=1) + "\n"


if __name__ == "__main__":
    mx.init(HERE / "metaxy.toml")
    EXPORTED.write_text(exported(mx.current_graph()))
