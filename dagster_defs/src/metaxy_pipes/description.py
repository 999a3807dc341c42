"""What `metaxy-pipes describe` prints, as plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


DEFAULT_STORE_KIND = "delta"


class DescriptionError(ValueError):
    """The description is not one of metaxy-pipes, or lacks something that definitions need."""


@dataclass(frozen=True)
class Column:
    """A column of a feature's table; an empty type means that it is not known."""

    name: str
    type: str = ""
    description: str | None = None


@dataclass(frozen=True)
class ColumnSource:
    """The upstream column that a column's values come from."""

    feature: str
    column: str


@dataclass(frozen=True)
class Feature:
    """One feature of the graph. Versions and names are the binary's, never computed here."""

    key: str
    table: str
    feature_version: str
    code_version: str
    project: str | None = None
    description: str | None = None
    root: bool = False
    external: bool = False
    processor: str | None = None
    kinds: tuple[str, ...] = ("metaxy",)
    table_uri: str | None = None
    deps: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    column_lineage: Mapping[str, tuple[ColumnSource, ...]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the key, which are the parts of the asset key by default."""
        return tuple(self.key.split("/"))

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Feature:
        """Reads one member of the description's `features`."""
        key = raw.get("key")
        if not isinstance(key, str) or not key:
            raise DescriptionError(f"feature without a key: {json.dumps(raw)[:200]}")
        try:
            return Feature(
                key=key,
                table=raw["table_name"],
                feature_version=raw["feature_version"],
                code_version=raw["code_version"],
                project=raw.get("project") or None,
                description=raw.get("description") or None,
                root=bool(raw.get("root", not raw.get("deps"))),
                external=bool(raw.get("external", False)),
                processor=raw.get("processor") or None,
                kinds=tuple(raw.get("kinds") or ("metaxy",)),
                table_uri=raw.get("table_uri") or None,
                deps=tuple(dep["feature"] for dep in raw.get("deps") or ()),
                id_columns=tuple(raw.get("id_columns") or ()),
                columns=tuple(_column(c) for c in raw.get("columns") or ()),
                column_lineage=_lineage(raw.get("column_lineage") or ()),
                metadata=raw.get("metadata") or {},
                info=raw.get("info") or {},
            )
        except (KeyError, TypeError, AttributeError) as err:
            raise DescriptionError(f"feature {key}: missing or malformed member: {err!r}") from err


def _column(raw: Mapping[str, Any]) -> Column:
    return Column(raw["name"], raw.get("type") or "", raw.get("description") or None)


def _lineage(raw: Sequence[Mapping[str, Any]]) -> dict[str, tuple[ColumnSource, ...]]:
    return {
        entry["column"]: tuple(ColumnSource(source["feature"], source["column"]) for source in entry["from"])
        for entry in raw
    }


@dataclass(frozen=True)
class Description:
    """A project's features in topological order."""

    features: tuple[Feature, ...]
    project: str | None = None
    project_version: str | None = None
    store: Mapping[str, Any] | None = None

    @property
    def store_kind(self) -> str:
        """The Dagster kind of the store's tables."""
        return (self.store or {}).get("kind") or DEFAULT_STORE_KIND

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __getitem__(self, key: str) -> Feature:
        for feature in self.features:
            if feature.key == key:
                return feature
        known = ", ".join(f.key for f in self.features) or "none"
        raise DescriptionError(f"unknown feature {key!r}; the description has: {known}")

    @staticmethod
    def of(given: Description | str | os.PathLike[str]) -> Description:
        """A description from itself or from the file that holds it."""
        return given if isinstance(given, Description) else Description.load(given)

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Description:
        """Reads the whole description, decoded from JSON."""
        features = raw.get("features") if isinstance(raw, Mapping) else None
        if not isinstance(features, list):
            raise DescriptionError("no list `features`: expected what `metaxy-pipes describe` prints")
        return Description(
            features=tuple(Feature.parse(f) for f in features),
            project=raw.get("project") or None,
            project_version=raw.get("project_version") or None,
            store=raw.get("store") or None,
        )

    @staticmethod
    def loads(text: str | bytes) -> Description:
        """Reads the description from JSON text."""
        try:
            raw = json.loads(text)
        except ValueError as err:
            raise DescriptionError(f"not JSON: {err}") from err
        return Description.parse(raw)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Description:
        """Reads a checked-in description, as `metaxy-pipes describe > features.json` makes it."""
        try:
            return Description.loads(Path(path).read_bytes())
        except DescriptionError as err:
            raise DescriptionError(f"{os.fspath(path)}: {err}") from err
