"""Random cases. A seed gives the same case on every machine."""

from __future__ import annotations

import copy
import random
from typing import Any

from . import theirs
from .case import BY_FIELD, DATA_BY_FIELD, Case, struct_key

ALGORITHMS = ["xxhash32", "xxhash64", "xxh3_64", "wyhash", "sha256", "md5"]
KEYS = ["video/raw", "seg", "audio-x/y2", "text", "crop", "face/big-one", "n/2", "sum_up"]
FIELDS = ["x", "y", "s/x", "t/s/x", "q-r", "default"]
PARTIES = ["metaxy", "ours"]

# The ids of each type, in an order that is not theirs.
IDS: dict[str, list[Any]] = {
    "string": ["b", "é", "a", "", "x y", "Z", "🎬", "10", "9"],
    "int64": [3, 1, -4, 10, 2, 2**53 + 1, 0],
    "int32": [3, 1, -4, 10, 2, 0],
    "bool": [True, False],
    "date": ["2024-02-29", "1969-12-31", "2001-01-01", "2030-05-05"],
    "timestamp": ["2024-02-29T12:00:00.000001+00:00", "1969-12-31T23:59:59.999999+00:00", "2001-01-01T00:00:00+00:00"],
    "float64": [1.5, -2.0, 0.1, 1e300, 3.0],
}
VALUES: dict[str, list[Any]] = {
    "string": ["a", "b'c", "", "é", None],
    "int64": [0, 1, 2, 3, 7, -1, 2**60, None],
    "int32": [0, 1, 2, 3, None],
    "float64": [0.5, 1.0, -2.25, 3.0, None],
    "bool": [True, False, None],
    "date": ["2024-02-29", "1999-01-01", None],
    "timestamp": ["2024-02-29T12:00:00.000001+00:00", None],
    "list": [[1, 2], [], [None], None],
    "struct": [{"a": 1, "b": {"c": "x"}}, {"a": None, "b": None}, None],
}
LITERALS: dict[str, list[str]] = {
    "string": ["'a'", "'b''c'", "''", "'é'"], "int64": ["0", "2", "-1", "7"], "int32": ["0", "2", "3"],
    "float64": ["0.5", "1.0", "-2.25"], "bool": ["TRUE", "FALSE"],
}
TEXTS = ["", "a", "Z", "é", "🎬", 'say "hi"', "back\\slash", "line\n\ttab", "\x00\x1f\x7f", "\u2028", "a/b", "<&>"]
VERSIONS = ["1", "2", "3", "a|b", "é", ""]


def generate(seed: int) -> Case:
    """A case that Metaxy can play without failing for reasons of its own."""
    rng = random.Random(seed)
    while True:
        maker = Maker(rng)
        graph = maker.graph()
        if valid(graph):
            return maker.case(graph)


def valid(specs: list[dict[str, Any]]) -> bool:
    """Whether every version of the graph can be computed: a field needs a parent field, for example."""
    theirs.configure(64)
    try:
        with theirs.graph_of(specs).use() as graph:
            theirs.versions(graph)
        return True
    except Exception:  # noqa: BLE001: whatever Metaxy does not like
        return False


class Maker:
    """The dice and what is known about the features so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.types = {"vid": rng.choice(["string", "string", "int64", *IDS]), "n": rng.choice(["int64", "string", *IDS]), "part": rng.choice(["int64", "int32"])}
        self.domains: dict[str, list[Any]] = {c: IDS[self.types[c]] for c in ("vid", "n")}
        self.columns: dict[str, list[str]] = {}  # of each feature's table, ids aside
        self.own: dict[str, list[str]] = {}
        self.carry: dict[str, bool] = {}
        self.specs: list[dict[str, Any]] = []

    def maybe(self, chance: float) -> bool:
        return self.rng.random() < chance

    # The graph.

    def graph(self) -> list[dict[str, Any]]:
        count = self.rng.choice([1, 2, 2, 3, 3, 3, 4, 5, 6, 8])
        keys = self.rng.sample(KEYS, count)
        roots = max(1, min(count - 1, self.rng.choice([1, 2, 2, 3])))
        for i, key in enumerate(keys):
            spec = self.root(key) if i < roots else self.child(key)
            self.specs.append(spec)
            if self.maybe(0.25):
                spec["metadata"] = {self.rng.choice(TEXTS): self.anything(3) for _ in range(self.rng.randint(0, 3))}
            if self.maybe(0.25):
                spec["description"] = self.rng.choice([*TEXTS, None])
        self.rng.shuffle(self.specs)
        return self.specs

    def anything(self, depth: int) -> Any:
        """Any JSON value, for metadata: it goes into hashes of the spec in a form that is Metaxy's own."""
        kind = self.rng.randrange(5 if depth else 3)
        if kind == 0:
            return self.rng.choice(TEXTS)
        if kind == 1:
            return self.rng.choice([0, -1, 2**63, -(10**30), True, False, None])
        if kind == 2:
            return self.rng.choice([0.1, -0.0, 1e16, 1e-7, 123456789012345.6, 5e-324, 1.7976931348623157e308, self.rng.uniform(-1, 1), 10.0 ** self.rng.randrange(-30, 30)])
        if kind == 3:
            return [self.anything(depth - 1) for _ in range(self.rng.randrange(3))]
        return {self.rng.choice(TEXTS): self.anything(depth - 1) for _ in range(self.rng.randrange(3))}

    def root(self, key: str) -> dict[str, Any]:
        ids = self.rng.choice([["vid"], ["vid"], ["vid", "n"], ["n", "vid"]])
        self.columns[key] = self.own_columns(key)
        return {"key": key, "id_columns": ids, "fields": self.fields()}

    def own_columns(self, key: str) -> list[str]:
        made = []
        for j in range(self.rng.choice([1, 1, 2, 3])):
            name = f"c{KEYS.index(key)}{'abc'[j]}"
            self.types[name] = self.rng.choice(list(VALUES))
            made.append(name)
        self.own[key] = made
        return list(made)

    def fields(self) -> list[Any]:
        some = self.rng.sample(FIELDS, self.rng.choice([1, 2, 2, 3]))
        return [f if self.maybe(0.6) else {"key": f, "code_version": self.rng.choice(["2", "", "é"])} for f in some]

    def child(self, key: str) -> dict[str, Any]:
        count = min(len(self.specs), self.rng.choice([1, 1, 1, 2, 2, 3]))
        parents = self.rng.sample(self.specs, count)
        if count > 1:
            parents = [p for p in parents if "vid" in p["id_columns"]] or parents[:1]
        count = len(parents)
        join = ["vid", "n"] if count == 1 and self.maybe(0.5) else ["vid"]
        expand = self.maybe(0.25)
        deps, ids, seen = [], None, set[str]()
        plain = 0
        for parent in parents:
            dep, output = self.dep(parent, join, expand, several=count > 1)
            visible = self.visible(parent, dep)
            if count > 1 and ((plain and self.maybe(0.8)) or seen & set(visible) or self.maybe(0.5)):
                visible = [c for c in visible if c not in seen and self.maybe(0.6)]
                dep["select"] = [*visible, *self.ordering(parent, dep)]
            elif "select" not in dep:
                plain += 1
            seen |= set(visible)
            ids = output if ids is None else [c for c in ids if c in output]
            deps.append(dep)
        if self.maybe(0.15) or (count > 1 and self.maybe(0.3)):
            for dep in self.rng.sample(deps, self.rng.randint(1, count)):
                dep["optional"] = True
        if self.expands({"deps": deps}):
            ids = [*ids, "part"]
        self.carry[key] = self.maybe(0.4)
        self.columns[key] = [*self.own_columns(key), *(sorted(seen) if self.carry[key] else [])]
        fields = [self.field(f, deps) for f in self.fields()]
        return {"key": key, "id_columns": ids, "deps": deps, "fields": fields}

    def dep(self, parent: dict[str, Any], join: list[str], expand: bool, several: bool) -> tuple[dict[str, Any], list[str]]:
        """A dependency, and the ids that it gives to the child."""
        dep: dict[str, Any] = {"feature": parent["key"]}
        ids = list(parent["id_columns"])
        renames: dict[str, str] = {}
        for c in self.columns[parent["key"]]:
            if self.maybe(0.15) and not c.startswith("r"):
                renames[c] = "r" + c
                self.types["r" + c] = self.types[c]
        if not several and "part" not in ids and self.maybe(0.1):
            renames[ids[0]] = "id_" + ids[0]
            self.types["id_" + ids[0]] = self.types[ids[0]]
            ids[0] = "id_" + ids[0]
        if renames:
            dep["rename"] = renames
        output = ids
        relation: dict[str, Any] | None = None
        if several:  # ids that do not join are renamed, so that they do not collide
            for c in parent["id_columns"]:
                if c not in join:
                    new = f"{c}_{KEYS.index(parent['key'])}"
                    renames[c], self.types[new] = new, self.types[c]
            dep["rename"] = renames
            ids = [renames.get(c, c) for c in parent["id_columns"]]
            output = ids
        if several or (len(ids) > 1 and self.maybe(0.4)):
            on = [c for c in ids if c in join[:1]] if several else [self.rng.choice(ids)]
            if ids != on:
                relation, output = {"type": "N:1", "on": on}, on
        elif self.maybe(0.1):
            relation, output = {"type": "N:1", "on": None}, ids
        if relation is None and expand and "part" not in ids and set(output) == set(ids):
            relation = {"type": "1:N", "on": ids}
        if relation:
            dep["lineage"] = {"relationship": relation}
        if self.maybe(0.25) and (condition := self.condition(self.visible(parent, dep))):
            dep[self.rng.choice(["filters", "sql_filters"])] = [condition]
        if self.maybe(0.4):
            dep["fields_mapping"] = {"mapping": self.mapping(parent)}
        if not several and self.maybe(0.3):
            visible = self.visible(parent, dep)
            dep["select"] = [*(c for c in visible if self.maybe(0.6)), *self.ordering(parent, dep)]
        return dep, output

    def ordering(self, parent: dict[str, Any], dep: dict[str, Any]) -> list[str]:
        """The ids that a selection must have: a group is ordered by the parent's ids, without which its order is left to
        chance."""
        relation = dep.get("lineage", {}).get("relationship", {"type": "1:1"})
        renames = dep.get("rename", {})
        return [] if relation["type"] == "1:1" else [renames.get(c, c) for c in parent["id_columns"] if renames.get(c, c) not in (relation["on"] or [])]

    def visible(self, parent: dict[str, Any], dep: dict[str, Any]) -> list[str]:
        """The user's columns that a dependency brings, under their names in the child."""
        renames = dep.get("rename", {})
        every = [renames.get(c, c) for c in self.columns[parent["key"]]]
        ids = {renames.get(c, c) for c in parent["id_columns"]}
        return [c for c in dep["select"] if c not in ids] if dep.get("select") is not None else every

    def mapping(self, parent: dict[str, Any]) -> dict[str, Any]:
        fields = [f if isinstance(f, str) else f["key"] for f in parent["fields"]]
        kind = self.rng.choice(["default", "default", "specific", "all", "none"])
        if kind == "default":
            return {"type": kind, "match_suffix": self.maybe(0.5), "exclude_fields": [f for f in fields if self.maybe(0.2)]}
        if kind == "specific":
            return {"type": kind, "mapping": {f: [p for p in [*fields, "gone"] if self.maybe(0.6)] for f in FIELDS if self.maybe(0.8)}}
        return {"type": kind}

    def field(self, field: Any, deps: list[dict[str, Any]]) -> Any:
        """Gives a field explicit parents, now and then."""
        if self.maybe(0.6):
            return field
        spec = {"key": field} if isinstance(field, str) else dict(field)
        if self.maybe(0.3):
            return {**spec, "deps": "__METAXY_ALL_DEP__"}
        chosen = self.rng.sample(deps, self.rng.randint(1, len(deps)))
        explicit = []
        for dep in chosen:
            parent = next(s for s in self.specs if s["key"] == dep["feature"])
            fields = [f if isinstance(f, str) else f["key"] for f in parent["fields"]]
            some = self.rng.sample(fields, self.rng.randint(1, len(fields)))
            explicit.append({"feature": dep["feature"], "fields": "__METAXY_ALL_DEP__" if self.maybe(0.3) else some})
        return {**spec, "deps": explicit}

    def condition(self, columns: list[str]) -> str | None:
        """A condition on columns that have literals."""
        usable = [c for c in columns if self.types[c] in LITERALS]
        if not usable:
            return None
        c = self.rng.choice(usable)
        kind = self.types[c]
        one, other = self.rng.choice(LITERALS[kind]), self.rng.choice(LITERALS[kind])
        choices = [f"{c} = {one}", f"{c} != {one}", f"{c} IS NOT NULL", f"{c} IS NULL OR {c} = {one}", f"NOT {c} = {one}", f"{c} IN ({one}, {other})"]
        if kind == "bool":
            choices = [c, f"NOT {c}", f"{c} = TRUE", f"{c} IS NOT TRUE", f"{c} IS NULL OR {c}"]
        elif kind != "string":
            choices += [f"{c} > {one}", f"{c} <= {one} OR {c} IS NULL", f"{c} >= {one} AND {c} < 5"]
        return self.rng.choice(choices)

    # What happens.

    def case(self, graph: list[dict[str, Any]]) -> Case:
        graphs = [graph]
        steps: list[dict[str, Any]] = []
        order = self.topological(graph)
        for spec in order:
            if "deps" not in spec:
                steps.append(self.write(spec, 0.8))
        for spec in order:
            if "deps" in spec and self.maybe(0.9):
                steps.append(self.advance(spec))
        steps.append(self.resolve(self.rng.choice(graph)))
        steps.append(self.compute(self.rng.choice(graph)))
        for _ in range(self.rng.choice([2, 3, 4, 6])):
            steps += self.event(graphs)
        for spec in graphs[-1]:
            steps.append({"op": "read", "feature": spec["key"]})
            if "deps" in spec:
                steps.append({"op": "resolve", "feature": spec["key"]})
        narrow = [s["key"] for s in graph if "deps" not in s and self.maybe(0.3)] if self.types["vid"] == "int64" else []
        if narrow:
            self.shorten(steps, narrow)
        if self.maybe(0.15):
            roots = [s["key"] for s in graph if "deps" not in s]
            away = set(self.rng.sample(roots, self.rng.randint(1, len(roots))))
            for s in steps:
                if s and s["op"] == "write" and s["feature"] in away and self.maybe(0.8):
                    s["store"] = "fallback"
        return {
            "narrow": narrow, "algorithm": self.rng.choice(ALGORITHMS), "truncation": self.rng.choice([8, 8, 12, 16, 64]),
            "graphs": graphs, "types": self.types, "steps": [s for s in steps if s],
        }

    def shorten(self, steps: list[dict[str, Any]], narrow: list[str]) -> None:
        """Leaves out the ids that do not fit where some parents have shorter integers."""
        for s in steps:
            for rows in ("rows", "samples"):
                if s and s.get(rows) and s["feature"] in narrow:
                    s[rows] = [r for r in s[rows] if abs(r.get("vid") or 0) < 2**31] or [{**s[rows][0], "vid": 1}]

    def topological(self, graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
        order: list[dict[str, Any]] = []
        while len(order) < len(graph):
            done = {s["key"] for s in order}
            order += [s for s in graph if s["key"] not in done and all(d["feature"] in done for d in s.get("deps", []))]
        return order

    def event(self, graphs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Something that happens, and a look at what it did."""
        graph = graphs[-1]
        spec = self.rng.choice(graph)
        kind = self.rng.choice(["change", "change", "change", "delete", "graph"])
        if kind == "graph" and self.maybe(0.6) and (new := self.evolved(graph)):
            graphs.append(new)
            events = [{"op": "graph", "index": len(graphs) - 1}]
            return [*events, self.resolve(self.rng.choice(new)), self.read(self.rng.choice(new))]
        if kind == "delete":
            where = self.condition([*spec["id_columns"], *self.columns[spec["key"]]]) if self.maybe(0.85) else None
            hard = self.maybe(0.25)
            event = {"op": "delete", "by": self.rng.choice(PARTIES), "feature": spec["key"], "hard": hard, "where": [where] if where else None}
            if self.maybe(0.2):
                event["with_feature_history"] = True
        elif "deps" in spec:
            event = self.advance(spec)
        else:
            event = self.write(spec, self.rng.choice([0.2, 0.5]))
        children = [s for s in graph if any(d["feature"] == spec["key"] for d in s.get("deps", []))]
        return [event, self.read(spec), self.resolve(self.rng.choice([spec, *children]))]

    def evolved(self, graph: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The graph after a change of code."""
        new = copy.deepcopy(graph)
        spec = self.rng.choice(new)
        fields = [f if isinstance(f, dict) else {"key": f} for f in spec["fields"]]
        kind = self.rng.choice(["bump", "bump", "bump", "add", "remove"])
        if kind == "bump":
            self.rng.choice(fields)["code_version"] = f"v{self.rng.randrange(100)}"
        elif kind == "remove" and len(fields) > 1:
            fields.pop()
        else:
            free = [f for f in FIELDS if f not in {x["key"] for x in fields}]
            fields.append({"key": self.rng.choice(free)})
        spec["fields"] = fields
        return new if valid(new) else None

    def write(self, spec: dict[str, Any], share: float) -> dict[str, Any]:
        """New rows of a root feature. Those of one write differ in their ids."""
        ids = [{}]
        for c in spec["id_columns"]:
            ids = [{**i, c: v} for i in ids for v in self.domains[c][:5 if len(spec["id_columns"]) > 1 else 9]]
        some = [i for i in ids if self.maybe(share)] or ids[:1]
        if self.maybe(0.05):
            some = [*some, dict.fromkeys(spec["id_columns"])]
        self.rng.shuffle(some)
        nulls = self.maybe(0.3)
        overrides, given = self.maybe(0.3), self.maybe(0.05)
        columns = [c for c in self.own[spec["key"]] if self.maybe(0.97)]
        rows = []
        for i in some:
            row = {**i, **{c: self.rng.choice(VALUES[self.types[c]]) for c in columns}}
            row[BY_FIELD] = {struct_key(f): None if nulls and self.maybe(0.2) else self.rng.choice(VERSIONS) for f in spec["fields"]}
            if overrides:
                own = {struct_key(f): f"d{self.rng.randrange(3)}" for f in spec["fields"]}
                row[DATA_BY_FIELD] = own if self.maybe(0.6) else None
            if given:
                row["metaxy_provenance"] = f"mine {self.rng.randrange(3)}"
            rows.append(row)
        for c in columns:
            if self.maybe(0.97):
                rows[0][c] = VALUES[self.types[c]][0]
        known = [c for c in columns if any(r[c] is not None for r in rows)]  # a column of nulls only has no type in Metaxy
        rows = [{c: v for c, v in r.items() if c not in columns or c in known} for r in rows]
        by = "metaxy" if any(r[c] is None for r in rows for c in spec["id_columns"]) else self.rng.choice(PARTIES)
        return {"op": "write", "by": by, "feature": spec["key"], "rows": rows}

    def advance(self, spec: dict[str, Any]) -> dict[str, Any]:
        step: dict[str, Any] = {
            "op": "advance", "by": self.rng.choice(PARTIES), "feature": spec["key"], "salt": self.rng.randrange(10**6),
            "share": self.rng.choice([0.5, 0.8, 1.0, 1.0]), "carry": self.carry[spec["key"]],
            "columns": {c: VALUES[self.types[c]] for c in self.own[spec["key"]]},
        }
        if self.maybe(0.3):
            step["override"], step["rehash"] = self.rng.choice([0.3, 1.0]), self.maybe(0.5)
        return step

    def read(self, spec: dict[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = {f: True for f in ("with_feature_history", "with_sample_history", "include_soft_deleted") if self.maybe(0.3)}
        if self.maybe(0.3) and (condition := self.condition([*spec["id_columns"], *self.columns[spec["key"]]])):
            options["filters"] = [condition]
        if self.maybe(0.15):
            options["columns"] = [self.rng.choice([*self.own[spec["key"]], "metaxy_provenance"]), *spec["id_columns"]]
        if options.get("with_feature_history") and self.maybe(0.5):
            options["version_of_graph"] = self.rng.choice([0, 0, 1])
        return {"op": "read", "feature": spec["key"], "options": options}

    def compute(self, spec: dict[str, Any]) -> dict[str, Any] | None:
        plain = all(d.get("lineage") is None and "rename" not in d for d in spec.get("deps", []))
        return {"op": "compute", "feature": spec["key"]} if "deps" in spec and plain else None

    def resolve(self, spec: dict[str, Any]) -> dict[str, Any]:
        key, options = spec["key"], {}
        parents = [d["feature"] for d in spec.get("deps", [])]
        expands = self.expands(spec)
        if self.maybe(0.2) and parents:
            chosen = {p: self.condition(self.columns[p]) for p in parents if self.maybe(0.6)}
            options["filters"] = {p: [c] for p, c in chosen.items() if c}
        if self.maybe(0.1) and not any(d.get("rename", {}).get("vid") for d in spec.get("deps", [])) and "vid" in spec["id_columns"] and self.types["vid"] in LITERALS:
            options["global_filters"] = [self.condition(["vid"])]
        if self.maybe(0.15) and not expands and (c := self.condition(self.own[key])):
            options["target_filters"] = [c]
        if self.maybe(0.25) and not expands:
            options["staleness_predicates"] = [c for c in (self.condition(self.own[key]) for _ in range(2)) if c]
        if self.maybe(0.07):
            options["skip_comparison"] = True
        step = {"op": "resolve", "feature": key, "options": {k: v for k, v in options.items() if v}}
        if not parents or self.maybe(0.1):
            step["samples"] = self.samples(spec)
            step["options"].pop("target_filters", None)
        return step

    def expands(self, spec: dict[str, Any]) -> bool:
        return any(d.get("lineage", {}).get("relationship", {}).get("type") == "1:N" for d in spec.get("deps", []))

    def samples(self, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """Samples as a user gives them: for a root, or instead of what the parents make."""
        base = {c: c.removeprefix("id_") for c in spec["id_columns"] if c != "part" or not self.expands(spec)}
        ids = [{}]
        for c, domain in base.items():
            ids = [{**i, c: v} for i in ids for v in (self.domains[domain][:4] if domain in self.domains else [0, 1])]
        some = [i for i in ids if self.maybe(0.6)] or ids[:1]
        own = self.maybe(0.3)
        rows = []
        for i in some:
            row = {**i, BY_FIELD: {struct_key(f): self.rng.choice(VERSIONS) for f in spec["fields"]}}
            if own:
                row[DATA_BY_FIELD] = {struct_key(f): "given" for f in spec["fields"]}
                row["metaxy_data_version"] = "given"
            rows.append(row)
        return rows
