"""Features as asset specs, named and tagged as Metaxy's own Dagster integration does it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_pipes.columns import KeyOf, column_lineage, column_schema
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.events import StoreLink, link

ATTRIBUTES = "dagster/attributes"
DEFAULT_CHECK = "samples_processed"
TAG_LENGTH = 63


@dataclass(frozen=True)
class SpecOptions:
    """What all assets of one call have in common; `metaxy_pipes_assets` says what each member means."""

    group_name: str | None = None
    key_prefix: Sequence[str] = ()
    kinds: Collection[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    store_link: StoreLink | None = None
    partitions_def: dg.PartitionsDefinition | None = None
    partition_by: str | Mapping[str, str] | None = None
    automation_condition: dg.AutomationCondition | None = None


def asset_key(feature: Feature, key_prefix: Sequence[str] = ()) -> dg.AssetKey:
    """The feature's asset key: the one its metadata asks for, else the parts of its own key."""
    wanted = _attributes(feature).get("asset_key")
    parts = feature.parts if wanted is None else dg.AssetKey.from_coercible(wanted).path
    return dg.AssetKey([*key_prefix, *parts])


def code_version(feature: Feature) -> str:
    """The asset's code version; the runner refuses to run when its own differs."""
    return f"metaxy:{feature.code_version}"


def asset_spec(
    feature: Feature,
    description: Description,
    options: SpecOptions,
    *,
    computed: bool = True,
    extra_deps: Sequence[Any] = (),
) -> dg.AssetSpec:
    """The spec of a feature; a feature that is not computed here has no partitions and no automation condition."""
    key_of = _key_of(description, options.key_prefix)
    kinds = (description.store_kind,) if options.kinds is None else options.kinds
    arguments: dict[str, Any] = {
        "deps": _deps(feature, key_of, extra_deps),
        "description": feature.description,
        "group_name": options.group_name,
        "kinds": {*feature.kinds, *kinds},
        "tags": {**_tags(feature), **options.tags},
        "metadata": {**_metadata(feature, key_of, options, computed), **options.metadata},
        "code_version": code_version(feature),
    }
    if computed:
        arguments["partitions_def"] = options.partitions_def
        arguments["automation_condition"] = options.automation_condition
    attributes = {k: v for k, v in _attributes(feature).items() if k != "asset_key"}
    for member in ("tags", "metadata"):
        if member in attributes:
            attributes[member] = {**arguments[member], **attributes[member]}
    if "kinds" in attributes:
        attributes["kinds"] = {*feature.kinds, *attributes["kinds"]}
    return dg.AssetSpec(key_of(feature.key), **{**arguments, **attributes})


def _deps(feature: Feature, key_of: KeyOf, extra_deps: Sequence[Any]) -> list[dg.AssetDep]:
    """A dependency on each parent, and the others; one of those on a parent's asset takes its place."""
    deps = {key_of(dep): dg.AssetDep(key_of(dep)) for dep in feature.deps}
    for extra in extra_deps:
        dep = extra if isinstance(extra, dg.AssetDep) else dg.AssetDep(extra)
        deps[dep.asset_key] = dep
    return list(deps.values())


def check_spec(feature: Feature, key: dg.AssetKey, name: str = DEFAULT_CHECK) -> dg.AssetCheckSpec:
    """The check that fails when a sample of the feature could not be computed."""
    return dg.AssetCheckSpec(
        name, asset=key, description=f"Every new and stale sample of {feature.key} was computed and committed."
    )


def _tags(feature: Feature) -> dict[str, str]:
    tags = {"metaxy/feature": feature.table}
    if feature.project:
        tags["metaxy/project"] = feature.project
    return tags


def event_tags(feature: Feature) -> dict[str, str]:
    """The tags of a materialization or an observation of the feature, as Metaxy names and cuts them."""
    return {
        "metaxy/feature": feature.table,
        "metaxy/feature_version": feature.feature_version[:TAG_LENGTH],
        "metaxy/feature_code_version": feature.code_version[:TAG_LENGTH],
    }


def _key_of(description: Description, key_prefix: Sequence[str]) -> KeyOf:
    """Finds asset keys; a parent that is not described, because it is another project's, keeps its own parts."""
    keys = {f.key: asset_key(f, key_prefix) for f in description}
    return lambda feature: keys.get(feature) or dg.AssetKey([*key_prefix, *feature.split("/")])


def _metadata(feature: Feature, key_of: KeyOf, options: SpecOptions, computed: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "metaxy/feature": feature.key,
        "metaxy/feature_version": feature.feature_version,
        "metaxy/code_version": feature.code_version,
    }
    if feature.info:
        metadata["metaxy/info"] = dg.MetadataValue.json(dict(feature.info))
    schema, lineage = column_schema(feature), column_lineage(feature, key_of)
    if feature.table_uri is not None:
        metadata["dagster/uri"] = dg.MetadataValue.text(feature.table_uri)
        metadata.update(link(options.store_link, feature.table_uri))
    if schema is not None:
        metadata["dagster/column_schema"] = schema
    if lineage is not None:
        metadata["dagster/column_lineage"] = lineage
    if computed and options.partition_by is not None:
        by = options.partition_by
        metadata["partition_by"] = by if isinstance(by, str) else dict(by)
    return metadata


def _attributes(feature: Feature) -> Mapping[str, Any]:
    attributes = feature.metadata.get(ATTRIBUTES) or {}
    if not isinstance(attributes, Mapping):
        raise ValueError(
            f"feature {feature.key}: metadata {ATTRIBUTES!r} is a {type(attributes).__name__}, expected an object "
            "of asset attributes such as asset_key, group_name, owners"
        )
    return attributes
