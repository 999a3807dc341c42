"""Resolves the leaf of a prepared store with real Metaxy, in a process of its own, and prints the increment's counts.

Arguments: the graph, the folder, and where the store is if that is not in the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import metaxy as mx
from graphs import register, specs
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore


def main() -> None:
    graph, folder = sys.argv[1], Path(sys.argv[2])
    mx.MetaxyConfig.load(str(folder / "metaxy.toml"))
    register(graph)
    with DeltaMetadataStore(sys.argv[3] if len(sys.argv) > 3 else folder / "store").open("r") as store:
        inc = store.resolve_update(specs(graph)[-1].key)
    print(f"new={len(inc.new)} stale={len(inc.stale)} orphaned={len(inc.orphaned)}", file=sys.stderr)


if __name__ == "__main__":
    main()
