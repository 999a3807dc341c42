"""An IO manager that loads features as inputs of Python assets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Description, DescriptionError
from metaxy_pipes.loader import FeatureLoader, Rows
from metaxy_pipes.selection import selections

FORMATS = ("polars", "polars_lazy", "arrow", "pandas", "duckdb")
# Type annotations of inputs: module and name of the class.
ANNOTATED = {
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars_lazy",
    ("pyarrow", "Table"): "arrow",
    ("pandas", "DataFrame"): "pandas",
    ("duckdb", "DuckDBPyRelation"): "duckdb",
    ("_duckdb", "DuckDBPyRelation"): "duckdb",
}


class MetaxyPipesIOManager(dg.ConfigurableIOManager):
    """Loads the current rows of a feature as the type that an input is annotated with.

    An input of a partitioned asset gets the rows of its partitions, by the column in the upstream asset's metadata
    `partition_by`. The metadata of the input may ask for `columns` and `filters`.

    Args:
        binary: the binary.
        binary_args: the words that follow it in front of everything else, as where an interpreter starts it.
        features: feature files; none means what the configuration or the binary itself says.
        config: a `metaxy.toml`.
        store: name or URI of the store.
        env: added to the environment of the binary.
        cwd: working directory of the binary.
        format: what inputs without annotation are: polars, polars_lazy, arrow, pandas or duckdb.

    """

    binary: str
    binary_args: list[str] = []
    features: list[str] = []
    config: str | None = None
    store: str | None = None
    env: dict[str, str] = {}
    cwd: str | None = None
    format: str = "polars"

    @property
    def command(self) -> Command:
        """The binary with its flags."""
        return Command.of(
            [self.binary, *self.binary_args],
            features=self.features,
            config=self.config,
            store=self.store,
            env=self.env,
            cwd=self.cwd,
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Loads the feature that the upstream asset stands for."""
        command = self.command
        description = command.describe()
        upstream = _definition_metadata(context)
        feature = description[_feature_of(context, upstream, description)]
        asked = context.definition_metadata or {}
        parts = selections(upstream.get("partition_by"), *_partitions(context))
        static = upstream.get("metaxy/partition")
        if isinstance(static, Mapping):
            parts = _with_static(parts, static)
        types = {c.name: c.type for c in feature.columns}
        filters = list(asked.get("filters") or ())
        if len(parts) == 1:  # what the binary can leave out need not be loaded
            filters += filter(None, (s.filter_text(types.get(s.column, "")) for s in parts[0]))
        rows = Rows(feature.key, columns=asked.get("columns"), filters=filters, partitions=parts)
        loaded = self._load(FeatureLoader(command), rows, _format_of(context) or self.format)
        self._tell(context, description, feature.table_uri)
        return loaded

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Refuses anything but nothing: rows of features are written by the binary, which knows their provenance."""
        if obj is not None:
            raise dg.DagsterInvariantViolationError(
                f"{context.asset_key.to_user_string()}: this IO manager loads features and stores nothing; give the asset "
                "another io_manager_key, or write its rows with `metaxy-pipes write`"
            )

    def _load(self, loader: FeatureLoader, rows: Rows, format: str) -> Any:
        if format not in FORMATS:
            raise ValueError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
        if format == "polars_lazy":
            return loader.polars(rows).lazy()
        return getattr(loader, format)(rows)

    def _tell(self, context: dg.InputContext, description: Description, uri: str | None) -> None:
        """Adds where the rows came from to the input's event, as Metaxy's IO manager does."""
        if context.has_asset_partitions and len(list(context.asset_partition_keys)) != 1:
            return  # Dagster can attach it to one partition only
        store = dict(description.store or {})
        metadata: dict[str, Any] = {
            "name": store.get("name") or "",
            "metaxy/store": store.get("display") or "",
            "resolved_from": {**{k: store.get(k) for k in ("name", "type", "display")}, "uri": uri},
        }
        if uri is not None:
            metadata["dagster/uri"] = dg.MetadataValue.path(uri)
        context.add_input_metadata(metadata, description="Metadata Store Info")


def _definition_metadata(context: dg.InputContext) -> Mapping[str, Any]:
    upstream = context.upstream_output
    return (upstream.definition_metadata if upstream is not None else None) or {}


def _feature_of(context: dg.InputContext, upstream: Mapping[str, Any], description: Description) -> str:
    named = upstream.get("metaxy/feature")
    if isinstance(named, str):
        return named
    key = context.asset_key
    for feature in description:
        if list(feature.parts) == list(key.path):
            return feature.key
    raise DescriptionError(f"the asset {key.to_user_string()} has no metadata metaxy/feature, and no feature has its key")


def _format_of(context: dg.InputContext) -> str | None:
    annotated = getattr(context.dagster_type, "typing_type", None)
    module = (getattr(annotated, "__module__", None) or "").partition(".")[0]
    return ANNOTATED.get((module, getattr(annotated, "__name__", "")))


def _partitions(context: dg.InputContext) -> tuple[Sequence[str], tuple[datetime, datetime] | None]:
    """The partition keys of an input, none if it is of all partitions, and their time window."""
    if not context.has_asset_partitions:
        return (), None
    keys = list(context.asset_partition_keys)
    definition = context.asset_partitions_def
    if len(keys) > 1 and keys == list(definition.get_partition_keys(dynamic_partitions_store=context.instance)):
        return (), None
    window = None
    if isinstance(definition, dg.TimeWindowPartitionsDefinition) or _has_time(definition):
        window = (context.asset_partitions_time_window.start, context.asset_partitions_time_window.end)
    return keys, window


def _has_time(definition: dg.PartitionsDefinition) -> bool:
    if not isinstance(definition, dg.MultiPartitionsDefinition):
        return False
    return any(isinstance(d.partitions_def, dg.TimeWindowPartitionsDefinition) for d in definition.partitions_defs)


def _with_static(parts: Sequence[Sequence[Any]], static: Mapping[str, Any]) -> list[list[Any]]:
    conditions = []
    for column, value in static.items():
        values = value if isinstance(value, list) else [value]
        conditions += selections(column, [str(v) for v in values], None)[0]
    return [[*part, *conditions] for part in (parts or [[]])]
