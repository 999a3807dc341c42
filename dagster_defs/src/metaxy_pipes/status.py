"""What the runner's `status` says of a feature: asked from a step through a Pipes client, or directly."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from metaxy_pipes.capture import capturing
from metaxy_pipes.command import Command, CommandError
from metaxy_pipes.reports import MESSAGE_KEY


@dataclass(frozen=True)
class Status:
    """The state of one feature's table. What cannot be known is None.

    `store`, `columns` and `preview` are there only when a step has asked.
    """

    feature: str
    rows: int = 0
    new: int | None = None
    stale: int | None = None
    orphaned: int | None = None
    failed: int | None = None
    data_version: str | None = None
    last_materialized: str | None = None
    feature_version: str = ""
    table: bool = False
    uri: str | None = None
    problem: str | None = None
    store: Mapping[str, Any] | None = None
    columns: Sequence[Mapping[str, str]] = ()
    preview_columns: Sequence[Mapping[str, str]] = ()
    preview: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def increment(self) -> int:
        """How many samples a run would process."""
        return (self.new or 0) + (self.stale or 0)

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Status:
        """Reads one member of what `status` prints or tells."""
        known = {name: raw[name] for name in Status.__dataclass_fields__ if raw.get(name) is not None}
        return Status(**{**known, "feature": str(raw["feature"])})

    def metadata(self) -> dict[str, Any]:
        """The state as metadata of an event, under the names that materializations use."""
        values: dict[str, Any] = {"metaxy/feature": self.feature, "dagster/row_count": self.rows}
        for name in ("new", "stale", "orphaned", "failed"):
            if (count := getattr(self, name)) is not None:
                values[f"metaxy/{name}"] = count
        if self.uri:
            values["dagster/uri"] = dg.MetadataValue.text(self.uri)
        if self.store:
            values["metaxy/store"] = dg.MetadataValue.json(dict(self.store))
        if self.columns:
            values["dagster/column_schema"] = _schema(self.columns)
        if self.preview_columns:
            records = [dg.TableRecord(dict(row)) for row in self.preview]
            values["dagster/table"] = dg.MetadataValue.table(records, schema=_schema(self.preview_columns))
        if self.problem:
            values["metaxy/problem"] = self.problem
        return values


def _schema(columns: Sequence[Mapping[str, str]]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name=c["name"], type=c.get("type") or "unknown") for c in columns])


def ask(command: Command, features: Sequence[str] = (), *, timeout: float | None = None) -> list[Status]:
    """Asks the binary where this process runs; no features means all of the graph."""
    argv = command.argv("status", *features, "--format", "json")
    try:
        done = subprocess.run(
            argv, env=command.environment(), cwd=command.cwd, capture_output=True, check=False, timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        raise CommandError(f"start {argv[0]}: {err}") from err
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CommandError(f"{' '.join(argv)}: exit status {done.returncode}: {said}")
    return [Status.parse(raw) for raw in json.loads(done.stdout)["features"]]


def ask_in_step(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    client: Any,
    command: Command,
    features: Sequence[str],
    client_args: Mapping[str, Any] | None = None,
) -> list[Status]:
    """Asks through the Pipes client of a step, wherever that runs the binary."""
    twin, capture = capturing(client)
    arguments = dict(client_args or {})
    if command.cwd is not None:
        arguments.setdefault("cwd", command.cwd)
    argv = command.argv("status", *features, "--format", "json")
    try:
        invocation = twin.run(context=context, command=argv, env=dict(command.env), **arguments)
    except dg.DagsterExecutionInterruptedError:
        raise
    except Exception as err:
        said = capture.exception if capture is not None else None
        raise dg.Failure(f"{' '.join(argv)}: {said or err}") from err
    for message in invocation.get_custom_messages():
        told = message.get(MESSAGE_KEY) if isinstance(message, Mapping) else None
        if isinstance(told, Mapping) and isinstance(told.get("status"), list):
            return [Status.parse(raw) for raw in told["status"]]
    raise dg.Failure(
        f"{argv[0]} ended well, but told no status. Is it a metaxy-pipes binary, and does it get Dagster's "
        "DAGSTER_PIPES_CONTEXT and DAGSTER_PIPES_MESSAGES variables?",
        allow_retries=False,
    )
