"""Assets for the features of one graph."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.checks import table_checks
from metaxy_pipes.command import Command
from metaxy_pipes.computed import DEFAULT_CLIENT_KEY, Builder, RunOptions, identifier
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.events import EventExtras, StoreLink
from metaxy_pipes.ingest import Ingest, ingest_asset
from metaxy_pipes.observation import observable_assets
from metaxy_pipes.shards import ShardLauncher
from metaxy_pipes.specs import DEFAULT_CHECK, SpecOptions, asset_key, asset_spec, event_tags

Definition = dg.AssetsDefinition | dg.AssetSpec | dg.AssetChecksDefinition


def metaxy_pipes_assets(
    binary: str | os.PathLike[str] | Sequence[str],
    *,
    features: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    config: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    describe: Description | str | os.PathLike[str] | None = None,
    select: Collection[str] | None = None,
    processors: Mapping[str, Sequence[str]] | None = None,
    ingest: Mapping[str, str | Sequence[str] | Ingest] | None = None,
    deps: Mapping[str, Sequence[Any]] | None = None,
    observe: bool | Collection[str] = False,
    observe_condition: dg.AutomationCondition | None = None,
    one_process: bool = False,
    group_name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    kinds: Collection[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    store_link: StoreLink | None = None,
    partitions_def: dg.PartitionsDefinition | None = None,
    partition_by: str | Mapping[str, str] | None = None,
    automation_condition: dg.AutomationCondition | None = None,
    run_args: Sequence[str] = (),
    client_key: str = DEFAULT_CLIENT_KEY,
    client_args: Mapping[str, Any] | None = None,
    check_name: str = DEFAULT_CHECK,
    table_check: bool = False,
    max_orphaned: int | str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    op_tags: Mapping[str, Any] | None = None,
    pool: str | None = None,
    shards: int = 1,
    shard_launcher: ShardLauncher | None = None,
) -> list[Definition]:
    """The features of a graph as assets.

    A feature with a processor, compiled into the binary or given here, becomes an asset that runs it. A feature
    in `ingest` becomes an asset that feeds it. Every other feature is computed elsewhere and becomes an external
    asset, or one that Dagster observes.

    Args:
        binary: the binary, or the command that starts it as a list of words.
        features: feature files; none means what the configuration or the binary itself says.
        config: a `metaxy.toml`.
        store: name or URI of the store.
        env: added to the environment of the binary, also when it describes itself.
        cwd: working directory of the binary.
        describe: a description, or the file that holds one; None asks the binary now.
        select: keys of the features to define; None means all.
        processors: external processors: feature key to command.
        ingest: sources of root features: feature key to source.
        deps: further dependencies of features; one on the asset of a parent takes its place, so that it can have a
            partition mapping.
        observe: keys of the features that are computed elsewhere and observed; True means all of them.
        observe_condition: when Dagster should observe by itself.
        one_process: put all features with a compiled-in processor into one asset definition that computes them
            in one process, in topological order; any subset can be materialized.
        group_name: the group of the assets; None means Dagster's default.
        key_prefix: put before the asset key of every feature.
        kinds: kinds beside those of the description (`metaxy`, and `go` for a compiled-in processor); None means that
            of the store, `delta`. Dagster allows three in all.
        tags: tags beside `metaxy/project` and `metaxy/feature`.
        metadata: metadata beside what the description gives.
        store_link: turns the URI of a table in an object store into a link: a function, or a text with `{uri}`,
            `{bucket}` and `{path}` in it.
        partitions_def: partitions of the computed features; None means unpartitioned.
        partition_by: the column, or the column of each dimension, that the partition key selects by.
        automation_condition: when Dagster should materialize by itself.
        run_args: further arguments of `run`, such as `("--max-failed", "5%")`.
        client_key: the resource that holds the Pipes client.
        client_args: what else the client's `run` takes, such as `image` on Kubernetes.
        check_name: name of the check that fails when a sample could not be computed.
        table_check: add the check `table_current` to every asset: the table can be read, and no sample is new or stale.
        max_orphaned: add the check `few_orphans` to features with parents: a count, or a share of the rows as in "5%".
        retry_policy: Dagster's; a retry goes on with what is not committed yet.
        backfill_policy: None means a run for each partition.
        op_tags: tags of the ops, for example for the run launcher.
        pool: a concurrency pool of the ops.
        shards: how many processes share the samples of a feature; they make one materialization.
        shard_launcher: starts the processes of the shards; None means on the machine of the step.

    """
    command = Command.of(binary, features=features, config=config, store=store, env=env, cwd=cwd)
    graph = Description.of(describe) if describe is not None else command.describe()
    specs = SpecOptions(
        group_name=group_name,
        key_prefix=(key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix or ()),
        kinds=None if kinds is None else tuple(kinds),
        tags=tags or {},
        metadata=metadata or {},
        store_link=store_link,
        partitions_def=partitions_def,
        partition_by=partition_by,
        automation_condition=automation_condition,
    )
    run = RunOptions(
        args=tuple(run_args),
        client_key=client_key,
        client_args=client_args or {},
        check_name=check_name,
        retry_policy=retry_policy,
        backfill_policy=backfill_policy,
        op_tags=op_tags or {},
        pool=pool,
        shards=shards,
        shard_launcher=shard_launcher,
    )
    if shards < 1:
        raise ValueError(f"shards={shards}: expected at least 1")
    events = EventExtras({asset_key(f, specs.key_prefix): event_tags(f) for f in graph}, store_link)
    builder = Builder(command, graph, specs, run, processors or {}, deps or {}, events)
    sources = {key: Ingest.of(value) for key, value in (ingest or {}).items()}
    _check_names(graph, sources, [*(select or ()), *(processors or ()), *(deps or ()), *_listed(observe)])
    chosen = [f for f in graph if select is None or f.key in select]
    definitions = _definitions(builder, chosen, sources, observe, observe_condition, one_process)
    if chosen and (table_check or max_orphaned is not None):
        definitions.append(
            table_checks(
                chosen,
                command,
                name=_name(builder, chosen, "tables"),
                key_prefix=specs.key_prefix,
                client_key=client_key,
                client_args=builder.client_args(),
                current=table_check,
                max_orphaned=max_orphaned,
            )
        )
    return definitions


def _definitions(
    builder: Builder,
    chosen: Sequence[Feature],
    sources: Mapping[str, Ingest],
    observe: bool | Collection[str],
    observe_condition: dg.AutomationCondition | None,
    one_process: bool,
) -> list[Definition]:
    """The assets of the chosen features, by where each is computed."""
    definitions: list[Definition] = []
    together: list[Feature] = []
    observed: list[Feature] = []
    for feature in chosen:
        deps = builder.deps.get(feature.key, ())
        if one_process and feature.processor and feature.key not in builder.processors:
            together.append(feature)
        elif feature.key in sources:
            source = sources[feature.key]
            definitions.append(ingest_asset(feature, builder.graph, builder.specs, builder.command, source, deps))
        elif feature.processor or feature.key in builder.processors:
            definitions.append(builder.computed([feature]))
        elif observe is True or feature.key in _listed(observe):
            observed.append(feature)
        else:
            definitions.append(asset_spec(feature, builder.graph, builder.specs, computed=False, extra_deps=deps))
    if together:
        definitions.append(builder.computed(together))
    if observed:
        definitions.append(
            observable_assets(
                observed,
                builder.graph,
                builder.specs,
                builder.command,
                name=_name(builder, observed, "observe"),
                client_key=builder.run.client_key,
                client_args=builder.client_args(),
                extras=builder.events,
                automation_condition=observe_condition,
            )
        )
    return definitions


def _name(builder: Builder, features: Sequence[Feature], what: str) -> str:
    """The name of an op over several features; two calls over other features give other names."""
    return identifier("_".join(["metaxy_pipes", what, *builder.specs.key_prefix, features[0].table]))


def _listed(observe: bool | Collection[str]) -> Collection[str]:
    return () if isinstance(observe, bool) else observe


def _check_names(graph: Description, sources: Mapping[str, Ingest], names: Sequence[str]) -> None:
    for name in names:
        graph[name]
    for name in sources:
        if not graph[name].root:
            raise ValueError(f"ingest: {name} is no root feature; it is computed from {', '.join(graph[name].deps)}")
