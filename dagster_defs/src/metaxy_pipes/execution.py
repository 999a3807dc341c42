"""One run of the binary through a Pipes client, and what Dagster learns from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.capture import Capture, capturing
from metaxy_pipes.events import NO_EXTRAS, EventExtras
from metaxy_pipes.reports import Report
from metaxy_pipes.specs import DEFAULT_CHECK

Result = dg.MaterializeResult | dg.AssetCheckResult | dg.AssetObservation

EXIT_SAMPLES = 3
EXIT_SETUP = 4
SHOWN_FAILURES = 10


class ProcessFailure(Exception):
    """How a process ended that did not end well, in words that are worth reading beside its exit status.

    Args:
        message: what has become of it.
        status: its exit status, None if it has none.

    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def run_pipes(
    context: dg.AssetExecutionContext,
    client: Any,
    *,
    command: Sequence[str],
    extras: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    check_name: str = DEFAULT_CHECK,
    events: EventExtras = NO_EXTRAS,
    **client_args: Any,
) -> Iterator[Result]:
    """Runs the command through a Pipes client and yields what it reports.

    When it fails, the results that had arrived are yielded all the same (a feature that was finished is
    materialized, a failed check is shown), each unfinished feature gets an observation with its counts, and the
    step ends with a Failure that names the counts and the first failed samples.

    Args:
        context: the step's context.
        client: `PipesSubprocessClient`, or another client whose `run` takes a command.
        command: the whole command line.
        extras: passed to the process.
        env: added to the process's environment.
        check_name: the check that fails when a sample could not be computed, if the asset declares it.
        events: what is added to the materializations, and the tags of observations.
        client_args: what else the client's `run` takes, such as `image` on Kubernetes.

    """
    twin, capture = capturing(client)
    try:
        invocation = twin.run(
            context=context, command=list(command), extras=dict(extras or {}), env=dict(env or {}), **client_args
        )
    except dg.DagsterExecutionInterruptedError:
        if capture is not None:
            yield from observations(context, capture, events)
            yield from complete(context, capture.results, events)
        raise
    except Exception as err:
        if capture is None:
            raise
        yield from observations(context, capture, events)
        yield from complete(context, capture.results, events)
        yield from failed_checks(context, capture, check_name)
        raise failure(capture, err) from err
    results = invocation.get_results(implicit_materializations=False)
    yield from complete(context, results, events)
    silent = _selected(context) - {r.asset_key for r in results if isinstance(r, dg.MaterializeResult)}
    if silent:
        raise nothing_reported(command[0], silent)


def nothing_reported(who: str, about: Iterable[dg.AssetKey]) -> dg.Failure:
    """The failure of a process that ended well without a word about some assets."""
    names = ", ".join(sorted(key.to_user_string() for key in about))
    return dg.Failure(
        f"{who} ended well, but reported nothing for {names}. Is it a metaxy-pipes binary, and does it "
        "get Dagster's DAGSTER_PIPES_CONTEXT and DAGSTER_PIPES_MESSAGES variables?",
        allow_retries=False,
    )


def complete(
    context: dg.AssetExecutionContext, results: Sequence[Any], events: EventExtras
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """The results, with what this package adds to materializations."""
    only = _only(_selected(context))
    for result in results:
        yield events.materialization(result, only) if isinstance(result, dg.MaterializeResult) else result


def observations(
    context: dg.AssetExecutionContext, capture: Capture, events: EventExtras = NO_EXTRAS
) -> Iterator[dg.AssetObservation]:
    """The counts of every feature that was begun and not reported as materialized."""
    finished = {r.asset_key for r in capture.results if isinstance(r, dg.MaterializeResult)}
    partition = context.partition_key if context.has_partition_key else None
    for report in capture.reports:
        key = report.asset_key or _only(_selected(context))
        if key is None or key in finished:
            continue
        yield dg.AssetObservation(
            key,
            description=f"Run failed. {report}",
            metadata=report.metadata(),
            partition=partition,
            tags=dict(events.tags.get(key, {})),
        )


def failed_checks(
    context: dg.AssetExecutionContext, capture: Capture, check_name: str
) -> Iterator[dg.AssetCheckResult]:
    """A failed check for every feature with failed samples, because a runner that fails reports none itself."""
    reported = {(r.asset_key, r.check_name) for r in capture.results if isinstance(r, dg.AssetCheckResult)}
    for report in capture.reports:
        key = report.asset_key or _only(_selected(context))
        if key is None or not report.counts.get("failed"):
            continue
        check = dg.AssetCheckKey(key, check_name)
        if check in context.selected_asset_check_keys and (key, check_name) not in reported:
            yield dg.AssetCheckResult(passed=False, asset_key=key, check_name=check_name, metadata=report.metadata())


def failure(capture: Capture, err: BaseException) -> dg.Failure:
    """The failure to end the step with: what went wrong, counts, and the first failed samples."""
    status = exit_status(err, capture.exception_name)
    reports = capture.reports
    lines = [f"{type(err).__name__}: {err}" if status is None else headline(status)]
    if status is not None and isinstance(err, ProcessFailure):
        lines.append(str(err))
    failures = [f"{r.feature} {f}" for r in reports for f in r.failures]
    if capture.exception:  # whose further lines are the first failed samples
        lines.append(capture.exception.splitlines()[0] if failures else capture.exception)
    lines += [str(report) for report in reports]
    if failures:
        total = sum(r.counts.get("failed", 0) for r in reports)
        lines.append(f"Failed samples ({min(len(failures), SHOWN_FAILURES)} of {max(total, len(failures))}):")
        lines += [f"  {line}" for line in failures[:SHOWN_FAILURES]]
    return dg.Failure("\n".join(lines), metadata=_failure_metadata(status, reports), allow_retries=status != EXIT_SETUP)


def exit_status(err: BaseException, reported: str | None = None) -> int | None:
    """The status in a client's error, negative for a signal, or else what the runner's own error means.

    None if neither tells.
    """
    if isinstance(err, ProcessFailure) and err.status is not None:
        return err.status
    if found := re.search(r"failed with code (-?\d+)|'StatusCode': (\d+)|[Ee]xit code:? (\d+)", str(err)):
        return int(next(filter(None, found.groups())))
    return {"SamplesError": EXIT_SAMPLES, "SetupError": EXIT_SETUP}.get(reported or "")


def headline(status: int) -> str:
    """What an exit status other than 0 means, negative for a signal."""
    if status < 0:
        return f"The process was killed by signal {-status}. What it had committed stays; the next run goes on."
    if status == EXIT_SAMPLES:
        return "More samples failed than are tolerated (exit status 3). The others are committed."
    if status == EXIT_SETUP:
        return "The run is set up wrongly (exit status 4). Nothing was computed."
    return f"The process failed with exit status {status}. What it had committed stays; the next run goes on."


def _failure_metadata(status: int | None, reports: Sequence[Report]) -> dict[str, Any]:
    metadata: dict[str, Any] = {} if status is None else {"exit_status": status}
    for report in reports:
        metadata[report.feature] = dg.MetadataValue.json(
            {
                **report.counts,
                "failures": [{"id": dict(f.id), "error": f.error} for f in report.failures[:SHOWN_FAILURES]],
            }
        )
    return metadata


def _selected(context: dg.AssetExecutionContext) -> set[dg.AssetKey]:
    return set(context.selected_asset_keys)


def _only(keys: set[dg.AssetKey]) -> dg.AssetKey | None:
    return next(iter(keys)) if len(keys) == 1 else None
