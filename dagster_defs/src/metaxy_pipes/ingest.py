"""Root features as assets that feed them."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Description, Feature
from metaxy_pipes.events import link
from metaxy_pipes.specs import SpecOptions, asset_key, asset_spec, event_tags
from metaxy_pipes.status import ask_in_step

SUMMARY = re.compile(r"^(?=.*\bunchanged=\d)(?:\w+=\d+\s*)+$")
GRACE_SECONDS = 20
WRITTEN = "metaxy/materialized_in_run"


@dataclass(frozen=True)
class Ingest:
    """Where the samples of a root feature come from.

    Args:
        source: what `ingest --from` takes: a JSONL, CSV or Parquet file, a folder, or `s3://bucket/prefix/*.mp4`.
        args: further arguments of `ingest`, such as `("--version", "audio=audio_md5", "--prune")`.
        deps: assets that make the source.

    """

    source: str
    args: Sequence[str] = ()
    deps: Sequence[Any] = ()

    @staticmethod
    def of(value: "str | Sequence[str] | Ingest") -> "Ingest":
        """An Ingest from a source alone, or from a source followed by arguments."""
        if isinstance(value, Ingest):
            return value
        if isinstance(value, str):
            return Ingest(value)
        if not value:
            raise ValueError("ingest: no source: expected what `ingest --from` takes")
        return Ingest(value[0], tuple(value[1:]))


def ingest_asset(
    feature: Feature,
    description: Description,
    options: SpecOptions,
    command: Command,
    source: Ingest,
    deps: Sequence[Any] = (),
) -> dg.AssetsDefinition:
    """An asset that runs `ingest` where the step runs, and is materialized with its counts and what the table holds then."""
    key = asset_key(feature, options.key_prefix)
    spec = asset_spec(feature, description, options, computed=False, extra_deps=(*source.deps, *deps))

    @dg.multi_asset(name=f"ingest__{key.to_python_identifier()}", specs=[spec])
    def ingest(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        by = ("--materialization-id", context.run.run_id)
        counts = _run(context, command, command.argv("ingest", feature.key, "--from", source.source, *by, *source.args))
        (status,) = ask_in_step(context, dg.PipesSubprocessClient(), command, [feature.key])
        metadata = {**status.metadata(), **link(options.store_link, status.uri or "")}
        metadata.update({f"metaxy/{name}": count for name, count in counts.items()})
        return dg.MaterializeResult(
            asset_key=key,
            metadata={"metaxy/info": dict(feature.info), **metadata, WRITTEN: counts["new"] + counts["stale"]},
            data_version=dg.DataVersion(status.data_version or "empty"),
            tags=event_tags(feature),
        )

    return ingest


def _run(context: dg.AssetExecutionContext, command: Command, argv: Sequence[str]) -> Mapping[str, int]:
    """Runs `ingest`, passes its stderr to the step's log and returns the counts of its last line."""
    process = subprocess.Popen(
        argv,
        env=command.environment(),
        cwd=command.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        with process.stderr as stream:
            for line in stream:
                lines.append(line.rstrip("\n"))
                context.log.info(lines[-1])
        process.wait()
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        process.terminate()
        process.wait(timeout=GRACE_SECONDS)
        raise
    if process.returncode != 0:
        raise dg.Failure(f"ingest failed with exit status {process.returncode}:\n" + "\n".join(lines[-20:]))
    return parse_summary(lines)


def parse_summary(lines: Sequence[str]) -> dict[str, int]:
    """The counts of ingest's summary line, `new=N stale=N unchanged=N removed=N`."""
    for line in reversed(lines):
        if SUMMARY.match(line.strip()):
            return {name: int(count) for name, count in (pair.split("=") for pair in line.split())}
    raise dg.Failure("ingest printed no summary line; expected `new=N stale=N unchanged=N removed=N` on stderr")
