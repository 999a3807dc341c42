"""Features that others write, as assets that Dagster observes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.events import EventExtras, link
from metaxy_pipes.specs import SpecOptions, asset_key, asset_spec, event_tags
from metaxy_pipes.status import ask_in_step


def observable_assets(
    features: Sequence[Feature],
    description: Description,
    options: SpecOptions,
    command: Command,
    *,
    name: str,
    client_key: str,
    client_args: Mapping[str, Any],
    extras: EventExtras,
    automation_condition: dg.AutomationCondition | None = None,
) -> dg.AssetsDefinition:
    """One definition that observes the tables of the features; any subset can be observed.

    The data version of an observation changes exactly when a sample's version does, so that what is downstream becomes
    stale in Dagster when, and only when, there can be something to do.
    """
    keys = {f.key: asset_key(f, options.key_prefix) for f in features}
    by_key = {f.key: f for f in features}
    specs = [
        asset_spec(f, description, options, computed=False).replace_attributes(
            automation_condition=automation_condition, skippable=False
        )
        for f in features
    ]

    @dg.multi_observable_source_asset(
        name=name, specs=specs, can_subset=len(features) > 1, required_resource_keys={client_key}
    )
    def observe(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        wanted = [f for f, key in keys.items() if key in context.selected_asset_keys]
        client = getattr(context.resources, client_key)
        for status in ask_in_step(context, client, command, wanted, client_args):
            if not status.table:
                context.log.warning(f"There is no table of {status.feature} yet.")
            metadata = {**status.metadata(), **link(extras.store_link, status.uri or "")}
            yield dg.ObserveResult(
                asset_key=keys[status.feature],
                data_version=dg.DataVersion(status.data_version or "empty"),
                metadata={"metaxy/info": dict(by_key[status.feature].info), **metadata},
                tags=event_tags(by_key[status.feature]),
            )

    return observe
