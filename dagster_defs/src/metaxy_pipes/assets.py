"""Assets for the features of one graph."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.execution import Result, run_pipes
from metaxy_pipes.ingest import Ingest, ingest_asset
from metaxy_pipes.specs import DEFAULT_CHECK, SpecOptions, asset_key, asset_spec, check_spec

DEFAULT_CLIENT_KEY = "pipes_client"


@dataclass(frozen=True)
class RunOptions:
    """How the computing assets run; `metaxy_pipes_assets` says what each member means."""

    args: Sequence[str] = ()
    client_key: str = DEFAULT_CLIENT_KEY
    client_args: Mapping[str, Any] = field(default_factory=dict)
    check_name: str = DEFAULT_CHECK
    retry_policy: dg.RetryPolicy | None = None
    op_tags: Mapping[str, Any] = field(default_factory=dict)
    pool: str | None = None


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
    one_process: bool = False,
    group_name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    kinds: Collection[str] = ("parquet",),
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    partitions_def: dg.PartitionsDefinition | None = None,
    partition_by: str | Mapping[str, str] | None = None,
    automation_condition: dg.AutomationCondition | None = None,
    run_args: Sequence[str] = (),
    client_key: str = DEFAULT_CLIENT_KEY,
    client_args: Mapping[str, Any] | None = None,
    check_name: str = DEFAULT_CHECK,
    retry_policy: dg.RetryPolicy | None = None,
    op_tags: Mapping[str, Any] | None = None,
    pool: str | None = None,
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The features of a graph as assets.

    A feature with a processor, compiled into the binary or given here, becomes an asset that runs it. A feature
    in `ingest` becomes an asset that feeds it. Every other feature is computed elsewhere and becomes an external
    asset.

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
        one_process: put all features with a compiled-in processor into one asset definition that computes them
            in one process, in topological order; any subset can be materialized.
        group_name: the group of the assets; None means Dagster's default.
        key_prefix: put before the asset key of every feature.
        kinds: kinds beside those of the description (`metaxy`, and `go` for a compiled-in processor); Dagster
            allows three in all.
        tags: tags beside `metaxy/project` and `metaxy/feature`.
        metadata: metadata beside what the description gives.
        partitions_def: partitions of the computed features; None means unpartitioned.
        partition_by: the column, or the column of each dimension, that the partition key selects by.
        automation_condition: when Dagster should materialize by itself.
        run_args: further arguments of `run`, such as `("--max-failed", "5%")`.
        client_key: the resource that holds the Pipes client.
        client_args: what else the client's `run` takes, such as `image` on Kubernetes.
        check_name: name of the check that fails when a sample could not be computed.
        retry_policy: Dagster's; a retry goes on with what is not committed yet.
        op_tags: tags of the ops, for example for the run launcher.
        pool: a concurrency pool of the ops.

    """
    specs = SpecOptions(
        group_name=group_name,
        key_prefix=(key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix or ()),
        kinds=tuple(kinds),
        tags=tags or {},
        metadata=metadata or {},
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
        op_tags=op_tags or {},
        pool=pool,
    )
    command = Command.of(binary, features=features, config=config, store=store, env=env, cwd=cwd)
    graph = _description(describe, command)
    builder = _Builder(command, graph, specs, run, processors or {})
    sources = {key: Ingest.of(value) for key, value in (ingest or {}).items()}
    _check_names(graph, select, processors, sources)
    chosen = [f for f in graph if select is None or f.key in select]
    together = [f for f in chosen if one_process and f.processor and f.key not in builder.processors]
    definitions: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for feature in chosen:
        if feature in together:
            continue
        if feature.key in sources:
            definitions.append(ingest_asset(feature, graph, builder.specs, command, sources[feature.key]))
        elif feature.processor or feature.key in builder.processors:
            definitions.append(builder.computed([feature]))
        else:
            definitions.append(asset_spec(feature, graph, builder.specs, computed=False))
    if together:
        definitions.append(builder.computed(together))
    return definitions


def _description(given: Description | str | os.PathLike[str] | None, command: Command) -> Description:
    if given is None:
        return command.describe()
    return given if isinstance(given, Description) else Description.load(given)


def _check_names(
    graph: Description,
    select: Collection[str] | None,
    processors: Mapping[str, Sequence[str]] | None,
    sources: Mapping[str, Ingest],
) -> None:
    for name in [*(select or ()), *(processors or {})]:
        graph[name]
    for name in sources:
        if not graph[name].root:
            raise ValueError(f"ingest: {name} is no root feature; it is computed from {', '.join(graph[name].deps)}")


@dataclass(frozen=True)
class _Builder:
    """Makes asset definitions that run the binary."""

    command: Command
    graph: Description
    specs: SpecOptions
    run: RunOptions
    processors: Mapping[str, Sequence[str]]

    def computed(self, features: Sequence[Feature]) -> dg.AssetsDefinition:
        """One asset definition that computes the features in one process."""
        keys = {f.key: asset_key(f, self.specs.key_prefix) for f in features}
        name = "__".join(keys[features[0].key].path) if len(features) == 1 else self._name()

        @dg.multi_asset(
            name=_identifier(name),
            specs=[asset_spec(f, self.graph, self.specs) for f in features],
            check_specs=[check_spec(f, keys[f.key], self.run.check_name) for f in features],
            can_subset=len(features) > 1,
            required_resource_keys={self.run.client_key},
            partitions_def=self.specs.partitions_def,
            backfill_policy=dg.BackfillPolicy.multi_run() if self.specs.partitions_def else None,
            retry_policy=self.run.retry_policy,
            op_tags=dict(self.run.op_tags),
            pool=self.run.pool,
        )
        def compute(context: dg.AssetExecutionContext) -> Iterator[Result]:
            wanted = {f: key for f, key in keys.items() if key in context.selected_asset_keys}
            yield from run_pipes(
                context,
                getattr(context.resources, self.run.client_key),
                command=self._argv(list(wanted)),
                extras=self._extras(context, wanted),
                env=self.command.env,
                check_name=self.run.check_name,
                **self._client_args(),
            )

        return compute

    def _argv(self, features: Sequence[str]) -> list[str]:
        processor = self.processors.get(features[0]) if len(features) == 1 else None
        tail = ["--", *processor] if processor else []
        return self.command.argv("run", *features, *self.run.args, *tail)

    def _extras(self, context: dg.AssetExecutionContext, wanted: Mapping[str, dg.AssetKey]) -> dict[str, Any]:
        extras: dict[str, Any] = {
            "features": {feature: _escaped(key) for feature, key in wanted.items()},
            "checks": {feature: self.run.check_name for feature in wanted},
        }
        if self.specs.partitions_def is not None:
            _require_single_partition(context)
            by = self.specs.partition_by
            if by is not None:
                extras["partition_by"] = by if isinstance(by, str) else dict(by)
        return {"metaxy_pipes": extras}

    def _client_args(self) -> dict[str, Any]:
        arguments = dict(self.run.client_args)
        if self.command.cwd is not None:
            arguments.setdefault("cwd", self.command.cwd)
        return arguments

    def _name(self) -> str:
        return "_".join(["metaxy_pipes", *self.specs.key_prefix, self.graph.project or "features"])


def _escaped(key: dg.AssetKey) -> str:
    return key.to_escaped_user_string()


def _identifier(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


def _require_single_partition(context: dg.AssetExecutionContext) -> None:
    """Dagster tells a Pipes process nothing about a range of partitions, so it would compute all samples."""
    keys = context.partition_keys if context.has_partition_key_range else ()
    if len(keys) > 1:
        raise dg.Failure(
            f"one run over {len(keys)} partitions ({keys[0]} to {keys[-1]}): metaxy-pipes computes one partition "
            "in a run. Start the backfill with one run per partition.",
            allow_retries=False,
        )
