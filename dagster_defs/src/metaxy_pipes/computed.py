"""Assets that run the binary."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.events import NO_EXTRAS, EventExtras
from metaxy_pipes.execution import Result, run_pipes
from metaxy_pipes.shards import ShardLauncher, run_shards
from metaxy_pipes.specs import DEFAULT_CHECK, SpecOptions, asset_key, asset_spec, check_spec
from metaxy_pipes.subprocess_shards import SubprocessShards

DEFAULT_CLIENT_KEY = "pipes_client"


@dataclass(frozen=True)
class RunOptions:
    """How the computing assets run; `metaxy_pipes_assets` says what each member means."""

    args: Sequence[str] = ()
    client_key: str = DEFAULT_CLIENT_KEY
    client_args: Mapping[str, Any] = field(default_factory=dict)
    check_name: str = DEFAULT_CHECK
    retry_policy: dg.RetryPolicy | None = None
    backfill_policy: dg.BackfillPolicy | None = None
    op_tags: Mapping[str, Any] = field(default_factory=dict)
    pool: str | None = None
    shards: int = 1
    shard_launcher: ShardLauncher | None = None


@dataclass(frozen=True)
class Builder:
    """Makes asset definitions that run the binary."""

    command: Command
    graph: Description
    specs: SpecOptions
    run: RunOptions
    processors: Mapping[str, Sequence[str]]
    deps: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    events: EventExtras = NO_EXTRAS

    def computed(self, features: Sequence[Feature]) -> dg.AssetsDefinition:
        """One asset definition that computes the features in one process."""
        keys = {f.key: asset_key(f, self.specs.key_prefix) for f in features}
        name = "__".join(keys[features[0].key].path) if len(features) == 1 else self._name()

        @dg.multi_asset(
            name=identifier(name),
            specs=[asset_spec(f, self.graph, self.specs, extra_deps=self.deps.get(f.key, ())) for f in features],
            check_specs=[check_spec(f, keys[f.key], self.run.check_name) for f in features],
            can_subset=len(features) > 1,
            required_resource_keys={self.run.client_key},
            partitions_def=self.specs.partitions_def,
            backfill_policy=self._backfill_policy(),
            retry_policy=self.run.retry_policy,
            op_tags=dict(self.run.op_tags),
            pool=self.run.pool,
        )
        def compute(context: dg.AssetExecutionContext) -> Iterator[Result]:
            wanted = {f: key for f, key in keys.items() if key in context.selected_asset_keys}
            client = getattr(context.resources, self.run.client_key)
            run, how = run_pipes, {}
            if self.run.shards > 1:
                run, how = run_shards, {"launcher": self._launcher(client), "count": self.run.shards}
            yield from run(
                context,
                client,
                command=self._argv(list(wanted)),
                extras=self._extras(context, wanted),
                env=self.command.env,
                check_name=self.run.check_name,
                events=self.events,
                **how,
                **self.client_args(),
            )

        return compute

    def _launcher(self, client: Any) -> ShardLauncher:
        """What starts the shards: by default, what the client does for one process."""
        if self.run.shard_launcher is not None:
            return self.run.shard_launcher
        if isinstance(client, dg.PipesSubprocessClient):
            return SubprocessShards.of(client)
        if callable(of := getattr(client, "shard_launcher", None)):
            return of(**self.client_args())
        raise dg.DagsterInvalidDefinitionError(
            f"{self.run.shards} shards by a {type(client).__name__}: give shard_launcher, which starts them"
        )

    def client_args(self) -> dict[str, Any]:
        """What the client's `run` takes beside the command."""
        arguments = dict(self.run.client_args)
        if self.command.cwd is not None:
            arguments.setdefault("cwd", self.command.cwd)
        return arguments

    def _backfill_policy(self) -> dg.BackfillPolicy | None:
        if self.specs.partitions_def is None:
            return None
        return self.run.backfill_policy or dg.BackfillPolicy.multi_run()

    def _argv(self, features: Sequence[str]) -> list[str]:
        processor = self.processors.get(features[0]) if len(features) == 1 else None
        tail = ["--", *processor] if processor else []
        return self.command.argv("run", *features, *self.run.args, *tail)

    def _extras(self, context: dg.AssetExecutionContext, wanted: Mapping[str, dg.AssetKey]) -> dict[str, Any]:
        extras: dict[str, Any] = {
            "features": {feature: key.to_escaped_user_string() for feature, key in wanted.items()},
            "checks": {feature: self.run.check_name for feature in wanted},
        }
        if self.specs.partitions_def is not None:
            by = self.specs.partition_by
            if by is not None:
                extras["partition_by"] = by if isinstance(by, str) else dict(by)
            if context.has_partition_key_range and len(context.partition_keys) > 1:
                extras["partitions"] = list(context.partition_keys)
        return {"metaxy_pipes": extras}

    def _name(self) -> str:
        return "_".join(["metaxy_pipes", *self.specs.key_prefix, self.graph.project or "features"])


def identifier(name: str) -> str:
    """A name that Dagster takes for an op."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
