"""What equal means: the same rows with the same types, by the rules of docs/compatibility.md."""

from __future__ import annotations

import json
from typing import Any, Protocol

import polars as pl

from .ours import OurError

# The rules by which the two sides may differ: rows of docs/compatibility.md. A test shows that each is needed.
RULES = {
    "null versions": True,  # Null version of a required parent's field
    "children": True,  # Expansion of which some children are rewritten; Orphaned parent of an expansion
    "optional tables": True,  # The table of an optional parent is missing
    "new fields": True,  # A field that is new in a parent
    "three parents": True,  # Three or more parents without `select`; A parent that has two parents itself, …
}

STATUSES = ("new", "stale", "orphaned")


class Difference(Exception):
    """What the two sides do not agree about: `kind` in a word or two, the text with both answers."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def canonical(frame: pl.DataFrame) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True, default=str, ensure_ascii=False) for row in frame.to_dicts())


def types(frame: pl.DataFrame) -> dict[str, Any]:
    """Columns with their types; the members of a struct have no order."""

    def plain(t: Any) -> Any:
        return sorted((f.name, str(plain(f.dtype))) for f in t.fields) if isinstance(t, pl.Struct) else str(t)

    return {name: plain(t) for name, t in frame.schema.items()}


def same(what: str, theirs: pl.DataFrame, ours: pl.DataFrame, *, ordered: bool = False) -> None:
    """Raises a Difference unless both have the same columns (in the same order, if so asked) and the same rows."""
    if set(theirs.columns) != set(ours.columns) or (ordered and theirs.columns != ours.columns):
        raise Difference(f"columns of {what}", f"\n  metaxy {theirs.columns}\n  ours   {ours.columns}")
    if types(theirs) != types(ours) and len(theirs):
        raise Difference(f"types of {what}", f"\n  metaxy {types(theirs)}\n  ours   {types(ours)}")
    a, b = canonical(theirs), canonical(ours)
    if a != b:
        missing, extra = difference(a, b), difference(b, a)
        raise Difference(f"rows of {what}", f"{len(a)} and {len(b)}\n  only metaxy {missing[:4]}\n  only ours   {extra[:4]}")


def difference(a: list[str], b: list[str]) -> list[str]:
    rest = list(b)
    return [x for x in a if not (x in rest and rest.remove(x) is None)]


def increments(
    spec: dict[str, Any], theirs: dict[str, pl.DataFrame], ours: dict[str, pl.DataFrame], *,
    stored: pl.DataFrame | None, given: bool, unresolvable: int,
) -> None:
    """Compares what both resolve a feature to. Stored is what both read of its table; given samples are not computed from
    parents."""
    theirs, ours = dict(theirs), dict(ours)
    by = compared_by(spec)
    if not given and RULES["null versions"]:
        for s in ("new", "stale"):
            theirs[s] = resolvable(theirs[s])
    for s in STATUSES:
        theirs[s], ours[s] = (f.drop("metaxy_deleted_at", "metaxy_deleted_at_right", strict=False) for f in (theirs[s], ours[s]))
    if expands(spec) and stored is not None and RULES["children"]:
        children_decide(by, theirs, ours, stored, certain=not unresolvable)
    for s in STATUSES:
        if s == "orphaned" and expands(spec) and RULES["children"]:
            continue
        same(s, theirs[s], ours[s])


def resolvable(frame: pl.DataFrame) -> pl.DataFrame:
    """Such samples are in no part of our increment."""
    return frame.filter(pl.col("metaxy_provenance").is_not_null())


def children_decide(
    by: list[str], theirs: dict[str, pl.DataFrame], ours: dict[str, pl.DataFrame], stored: pl.DataFrame, *, certain: bool
) -> None:
    """Compares what can be compared of an expansion.

    Metaxy compares with any one child of a parent. Where children differ, ours must be stale, which is certain if no
    sample is unresolvable. Of orphaned parents Metaxy returns any one child, we all of them.
    """
    differ = stored.group_by(by).agg(pl.col("metaxy_provenance").n_unique().alias("_several")).filter(pl.col("_several") > 1).select(by)
    known = pl.concat([ours["new"].select(by), ours["orphaned"].select(by)])
    for row in differ.join(known, on=by, how="anti", nulls_equal=True).filter(~pl.any_horizontal(pl.col(by).is_null())).to_dicts():
        if certain and row not in ours["stale"].select(by).to_dicts():
            raise Difference("children", f"{row} has children of several provenances and is not stale")
    for side in (theirs, ours):
        side["stale"] = side["stale"].join(differ, on=by, how="anti", nulls_equal=True)
    a, b = (side["orphaned"].select(by).unique() for side in (theirs, ours))
    same("orphaned parents", a, b)
    every = stored.join(b, on=by, how="semi", nulls_equal=True)
    if canonical(every.select(by)) != canonical(ours["orphaned"].select(by)):
        raise Difference("orphaned children", f"\n  stored {canonical(every)}\n  ours   {canonical(ours['orphaned'])}")


def expands(spec: dict[str, Any]) -> bool:
    return any(lineage(d)["type"] == "1:N" for d in spec.get("deps") or [])


def lineage(dep: dict[str, Any]) -> dict[str, Any]:
    return (dep.get("lineage") or {}).get("relationship") or {"type": "1:1"}


def compared_by(spec: dict[str, Any]) -> list[str]:
    """The columns that tell a feature's samples apart before they are computed."""
    return [c for c in spec["id_columns"] if c != "part"] if expands(spec) else list(spec["id_columns"])


def errors(spec: dict[str, Any], theirs: Exception | None, ours: Exception | None, tables: Tables) -> bool:
    """Whether both refused, in which case there is nothing more to compare. Only one refusing is a Difference, unless
    compatibility.md says why."""
    if theirs is not None and (isinstance(ours, OurError) or excused(spec, theirs, tables)):
        return True
    if theirs is None and ours is None:
        return False
    raise Difference("error", f"\n  metaxy {theirs!r:.300}\n  ours   {ours!r:.300}")


def excused(spec: dict[str, Any], err: Exception, tables: Tables) -> bool:
    """Where Metaxy fails and we need not."""
    parents = spec.get("deps") or []
    required = {d["feature"] for d in parents if not d.get("optional")}
    name, first = type(err).__name__, str(err).splitlines()[0]
    if name == "FeatureNotFoundError" and RULES["optional tables"]:
        return all(tables.exists(p) for p in required) and any(not tables.exists(d["feature"]) for d in parents)
    if name == "NarwhalsError" and RULES["new fields"]:
        return any(first in tables.unknown_members(d["feature"]) for d in parents)
    return name == "DuplicateError" and "metaxy_deleted_at_right" in str(err) and RULES["three parents"]


class Tables(Protocol):
    """What there is in the store."""

    def exists(self, feature: str) -> bool:
        """Whether the feature has a table."""

    def unknown_members(self, feature: str) -> set[str]:
        """Members of by-field columns that the feature should have and its table does not."""
