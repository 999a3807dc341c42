"""One materialization of features by n processes, each of which computes its shard of the samples.

A *launcher* starts the processes, wherever that is; this module opens a Pipes session for each of them, waits, and makes
one result of what they report. What a process has committed stays, whatever becomes of the others, and the next run does
only what is left: shards need no memory of each other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import dagster as dg
from dagster import PipesContextInjector, PipesMessageReader, open_pipes_session

from metaxy_pipes.capture import Capture
from metaxy_pipes.events import NO_EXTRAS, EventExtras
from metaxy_pipes.execution import (
    EXIT_SETUP,
    SHOWN_FAILURES,
    Result,
    exit_status,
    failed_checks,
    headline,
    nothing_reported,
    observations,
    run_pipes,
)
from metaxy_pipes.merging import merged_check, merged_materialization, merged_reports
from metaxy_pipes.reports import Report
from metaxy_pipes.specs import DEFAULT_CHECK

SEPARATOR = "--"


@dataclass
class Shard:
    """One of the processes: what a launcher starts it with, and how it ended.

    Args:
        index: which part of the samples, from 0.
        count: how many parts there are.
        command: the whole command line, `--shard` included.
        env: what the process needs in its environment, Dagster's two variables included. They win over other values.
        cwd: the working directory; None means the launcher's own.
        reader: reads the process's messages, for launchers that have to lead it to them, such as to a pod's log.
        status: the exit status, negative for a signal; None as long as the launcher has not told.
        error: why the process has no exit status, or what else is known of its end.

    """

    index: int
    count: int
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None
    reader: PipesMessageReader
    capture: Capture = field(repr=False)
    status: int | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the process ended well."""
        return self.status == 0 and self.error is None

    def __str__(self) -> str:
        return f"shard {self.index}/{self.count}"


class ShardLauncher(Protocol):
    """Starts the processes of shards.

    The injector and the reader say how a process gets its context and where its messages go, as in Dagster's own clients.
    """

    context_injector: PipesContextInjector
    message_reader: PipesMessageReader

    def run(self, context: dg.AssetExecutionContext, shards: Sequence[Shard]) -> None:
        """Starts a process for each shard, waits for all, and sets their `status`, or `error` where there is none.

        A shard that fails is no reason to stop another one. A process may be started again; it goes on with what is not
        committed. When the wait is interrupted (DagsterExecutionInterruptedError, or anything else), the processes get
        SIGINT or SIGTERM and some time to commit what they hold, before the exception is raised again.
        """


def run_shards(
    context: dg.AssetExecutionContext,
    client: Any,
    launcher: ShardLauncher,
    *,
    command: Sequence[str],
    count: int,
    extras: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    check_name: str = DEFAULT_CHECK,
    events: EventExtras = NO_EXTRAS,
    **client_args: Any,
) -> Iterator[Result]:
    """Runs a command as several shards and yields one result for each feature.

    When all have ended well, the command runs once more, by the client and with `--report-only`: it sees what all of them
    have committed, so that the data version, the number of rows and the preview are those of one process. The counts are the
    sums of the shards'. When a shard fails, each feature gets an observation with the sums, and the step ends with a Failure
    that names the shards and their first failed samples.

    Args:
        context: the step's context.
        client: the Pipes client for the report.
        launcher: starts the shards.
        command: the whole command line of an unsharded run.
        count: how many shards.
        extras: passed to the processes.
        env: added to the processes' environment.
        cwd: their working directory; None means the launcher's.
        check_name: the check that fails when a sample could not be computed, if the asset declares it.
        events: what is added to the materializations, and the tags of observations.
        client_args: what else the client's `run` takes.

    """
    if count < 1:
        raise ValueError(f"{count} shards: expected at least 1")
    shards: list[Shard] = []
    trouble: Exception | None = None
    try:
        with ExitStack() as sessions:
            for index in range(count):
                shards.append(_open(sessions, context, launcher, command, index, count, extras, env, cwd))
            try:
                launcher.run(context, shards)
            finally:
                for shard in shards:
                    shard.capture.release()
    except dg.DagsterExecutionInterruptedError:
        yield from observations(context, _Merged(shards), events)
        raise
    except Exception as err:
        trouble = err
    if trouble is not None or not all(s.ok for s in shards):
        seen = _Merged(shards)
        yield from observations(context, seen, events)
        yield from failed_checks(context, seen, check_name)
        raise failure(shards, trouble) from trouble
    _require_reports(context, shards)
    report = with_flags(command, "--report-only")
    arguments = {**client_args, **({} if cwd is None else {"cwd": cwd})}
    for result in run_pipes(
        context, client, command=report, extras=extras, env=env, check_name=check_name, events=events, **arguments
    ):
        yield _merge(result, shards)


def with_flags(command: Sequence[str], *flags: str) -> list[str]:
    """The command with more flags, which stand before an external processor's command."""
    words = list(command)
    at = words.index(SEPARATOR) if SEPARATOR in words else len(words)
    return [*words[:at], *flags, *words[at:]]


def failure(shards: Sequence[Shard], trouble: Exception | None = None) -> dg.Failure:
    """The error of a step some of whose shards have failed, with the first failed samples of each."""
    failed = [s for s in shards if not s.ok]
    lines = [f"{len(failed)} of {len(shards)} shards failed. What is committed stays; the next run goes on with the rest."]
    if trouble is not None:
        lines.append(f"{type(trouble).__name__}: {trouble}")
    share = max(1, SHOWN_FAILURES // max(1, len(failed)))
    for shard in failed:
        lines += _story(shard, share)
    metadata: dict[str, Any] = {
        "shards": dg.MetadataValue.json({str(s.index): {"exit_status": s.status, "error": s.error} for s in shards})
    }
    for report in merged_reports(s.capture.reports for s in shards):
        metadata[report.feature] = dg.MetadataValue.json(
            {
                **report.counts,
                "failures": [{"id": dict(f.id), "error": f.error} for f in report.failures[:SHOWN_FAILURES]],
            }
        )
    return dg.Failure("\n".join(lines), metadata=metadata, allow_retries=all(_status(s) != EXIT_SETUP for s in failed))


def _story(shard: Shard, share: int) -> list[str]:
    """What became of a failed shard, and its first failed samples."""
    status, capture = _status(shard), shard.capture
    reasons = [headline(status)] if status else []
    reasons += [shard.error] if shard.error else []
    lines = [f"{str(shard).capitalize()}: {' '.join(reasons) or 'its end is not known.'}"]
    failures = [f"{r.feature} {f}" for r in capture.reports for f in r.failures]
    if capture.exception:  # whose further lines are the first failed samples
        lines.append(f"  {capture.exception.splitlines()[0] if failures else capture.exception}")
    lines += [f"  {report}" for report in capture.reports]
    lines += [f"    {line}" for line in failures[:share]]
    if (left := max(len(failures), sum(r.counts.get("failed", 0) for r in capture.reports)) - share) > 0:
        lines.append(f"    and {left} more")
    return lines


def _status(shard: Shard) -> int | None:
    """The exit status, or what the process itself has told of its end."""
    if shard.status is not None:
        return shard.status
    return exit_status(Exception(shard.error or ""), shard.capture.exception_name)


def _open(
    sessions: ExitStack,
    context: dg.AssetExecutionContext,
    launcher: ShardLauncher,
    command: Sequence[str],
    index: int,
    count: int,
    extras: Mapping[str, Any] | None,
    env: Mapping[str, str] | None,
    cwd: str | None,
) -> Shard:
    """A shard with a session of its own, which ends with the stack."""
    capture = Capture(restartable=True)
    reader = capture.listen(launcher.message_reader)
    session = sessions.enter_context(
        open_pipes_session(
            context=context,
            context_injector=copy.copy(launcher.context_injector),
            message_reader=reader,
            extras=_as_shard(extras),
        )
    )
    return Shard(
        index=index,
        count=count,
        command=with_flags(command, "--shard", f"{index}/{count}"),
        env={**(env or {}), **session.get_bootstrap_env_vars()},
        cwd=cwd,
        reader=reader,
        capture=capture,
    )


def _as_shard(extras: Mapping[str, Any] | None) -> dict[str, Any]:
    """The extras with the word that a shard need not say what the whole table holds: the last process does."""
    given = dict(extras or {})
    return {**given, "metaxy_pipes": {**given.get("metaxy_pipes", {}), "report_follows": True}}


class _Merged:
    """What all shards have reported, for what is said of a run that failed. No feature is materialized by a part of them."""

    results: Sequence[Any] = ()

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.reports: list[Report] = merged_reports(s.capture.reports for s in shards)


def _require_reports(context: dg.AssetExecutionContext, shards: Sequence[Shard]) -> None:
    wanted = set(context.selected_asset_keys)
    for shard in shards:
        silent = wanted - {r.asset_key for r in shard.capture.results if isinstance(r, dg.MaterializeResult)}
        if silent:
            raise nothing_reported(str(shard).capitalize(), silent)


def _merge(final: Result, shards: Sequence[Shard]) -> Result:
    """The last report of a feature or check, with the sums of the shards'."""
    if isinstance(final, dg.MaterializeResult):
        parts = [part for s in shards if (part := _last(s, final)) is not None]
        told = merged_reports([r for r in s.capture.reports if r.asset_key == final.asset_key] for s in shards)
        return merged_materialization(final, parts, len(shards), told[0] if told else None)
    if isinstance(final, dg.AssetCheckResult):
        return merged_check(final, [part for s in shards if (part := _last(s, final)) is not None])
    return final


def _last(shard: Shard, final: Result) -> Any:
    """What a shard has reported of the same thing; the last word, if its process was started again."""
    same = [r for r in shard.capture.results if type(r) is type(final) and r.asset_key == final.asset_key]
    if isinstance(final, dg.AssetCheckResult):
        same = [r for r in same if isinstance(r, dg.AssetCheckResult) and r.check_name == final.check_name]
    return same[-1] if same else None
