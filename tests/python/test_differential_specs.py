"""Specs with random damage: what Metaxy accepts is accepted here with the same version hashes, what it refuses is refused."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from differential import theirs
from differential.ours import Ours, OurError

SPECS = 1000
PARENT = {"key": "a", "id_columns": ["id"], "fields": ["x", "y"]}
WHOLE: dict[str, Any] = {
    "key": "t/u",
    "id_columns": ["id"],
    "deps": [
        {
            "feature": "a", "select": ["c"], "rename": {"c2": "d"}, "filters": ["c > 1"], "optional": True,
            "fields_mapping": {"mapping": {"type": "default", "match_suffix": True, "exclude_fields": ["y"]}},
            "lineage": {"relationship": {"type": "N:1", "on": ["id"]}},
        }
    ],
    "fields": [{"key": "x", "code_version": "1", "deps": [{"feature": "a", "fields": ["x"]}]}, "y/z"],
    "metadata": {"k": [1, None]},
    "description": "d",
}
VALUES: list[Any] = [
    None, "", "x", "a/b", ["a"], ["a", "b"], {}, [], 0, 1, True, 1.5, "__METAXY_ALL_DEP__", {"type": "all"}, {"type": "none"},
    {"type": "specific", "mapping": {"x": ["x"]}}, {"type": "1:1"}, {"type": "1:N", "on": ["id"]}, {"parts": ["a"]}, {"root": ["a"]},
    "a-b", "A", "a__b", "a\n", ["a/b"], [["a"]], "metaxy_provenance",
]


def damaged(seed: int) -> dict[str, Any]:
    """The whole spec with one or two of its values replaced, left out or added."""
    rng, spec = random.Random(seed), copy.deepcopy(WHOLE)
    for _ in range(rng.choice([1, 1, 1, 2])):
        *way, last = rng.choice(list(places(spec)))
        parent = at(spec, tuple(way))
        dice = rng.random()
        if dice < 0.2:
            parent.pop(last)
        elif dice < 0.25 and isinstance(parent, dict):
            parent["extra"] = 1
        else:
            parent[last] = copy.deepcopy(rng.choice(VALUES))
    return spec


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(child, (*way, key))


def excused(spec: dict[str, Any]) -> bool:
    """docs/compatibility.md, "Where we refuse what Metaxy accepts"; and one feature cannot be declared twice."""
    keys = [at(spec, way) for way in places(spec) if way[-1] in ("key", "feature") or way[-2:-1] == ("fields",)]
    return (
        spec.get("deps") in ({}, "")
        or isinstance(spec.get("id_columns"), (dict, str))
        or any(key in ([], {"parts": []}, {"root": []}) for key in keys)
        or spec.get("key") in ("a", ["a"], {"parts": ["a"]}, {"root": ["a"]})
    )


def at(node: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        node = node[key]
    return node


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with Ours(tmp_path_factory.mktemp("specs")) as helper:
        yield helper


def test_damaged_specs(ours: Ours) -> None:
    theirs.configure(64)
    seen: Counter[str] = Counter()
    wrong = []
    for spec in map(damaged, range(SPECS)):
        try:
            graph = theirs.graph_of([PARENT, spec])
            with graph.use():
                want = theirs.versions(graph)
        except Exception:  # noqa: BLE001: it refuses, for whatever reason
            want = None
        try:
            got = ours.ask(Op="graph", Specs=[PARENT, spec], Truncation=64)["graph"]
        except OurError:
            got = None
        seen["refused" if want is None else "accepted"] += 1
        if got != want and not (got is None and excused(spec)):
            wrong.append((json.dumps(spec), want and want["project_version"], got and got["project_version"]))
    assert not wrong, f"{len(wrong)} of {SPECS}: {wrong[:3]}"
    assert min(seen["refused"], seen["accepted"]) > SPECS / 5, seen
