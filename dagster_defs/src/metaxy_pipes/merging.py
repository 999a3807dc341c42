"""One report from those of several processes that have shared the samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from metaxy_pipes.reports import COUNTS, Report

SUMMED = tuple(f"metaxy/{name}" for name in COUNTS)
FOUND = ("new", "stale", "orphaned")
STORAGE = "metaxy/storage_"
DURATION, RATE = "metaxy/duration_seconds", "metaxy/samples_per_second"
FAILURES = "metaxy/failures"


def merged_reports(parts: Iterable[Sequence[Report]]) -> list[Report]:
    """A report for each feature, with the counts added up and all failures listed, in the order of first mention.

    Args:
        parts: what each shard has reported. A shard that speaks of a feature more than once was started again.

    """
    by_feature: dict[str, list[Report]] = {}
    for reports in parts:
        for feature in dict.fromkeys(r.feature for r in reports):
            by_feature.setdefault(feature, []).append(attempted([r for r in reports if r.feature == feature]))
    return [
        Report(
            feature=feature,
            asset_key=reports[0].asset_key,
            counts={n: sum(r.counts[n] for r in reports if n in r.counts) for n in COUNTS if any(n in r.counts for r in reports)},
            failures=tuple(f for r in reports for f in r.failures),
            error="\n".join(r.error for r in reports if r.error) or None,
        )
        for feature, reports in by_feature.items()
    ]


def attempted(reports: Sequence[Report]) -> Report:
    """One report of a feature from those of attempts that came one after another.

    What there was to do is what the first one found, since the others found the rest of it; what is done is the sum; what has
    failed is what the last one could not do either.
    """
    first, last = reports[0], reports[-1]
    counts = {**last.counts, **{n: first.counts[n] for n in FOUND if n in first.counts}}
    if "processed" in counts:
        counts["processed"] = sum(r.counts.get("processed", 0) for r in reports)
    return replace(last, counts=counts)


def merged_materialization(
    final: dg.MaterializeResult, parts: Sequence[dg.MaterializeResult], shards: int, report: Report | None = None
) -> dg.MaterializeResult:
    """The report of the whole table, with the counts of those who have done the work.

    The duration is that of the slowest one.

    Args:
        final: what is reported of the table.
        parts: what each shard has reported of it.
        shards: how many shards there are.
        report: the counts, which know of attempts that did not come to an end; None means the sums of the parts'.

    """
    metadata = dict(final.metadata or {})
    told = [dict(part.metadata or {}) for part in parts]
    for name in {n for values in told for n in values if n in SUMMED or n.startswith(STORAGE)}:
        metadata[name] = dg.MetadataValue.int(_sum(name, [metadata, *told] if name.startswith(STORAGE) else told))
    for name, count in (report.counts if report else {}).items():
        metadata[f"metaxy/{name}"] = dg.MetadataValue.int(count)
    duration = max((_number(values.get(DURATION)) for values in told), default=0.0)
    metadata[DURATION] = dg.MetadataValue.float(duration)
    metadata.pop(RATE, None)
    if duration > 0:
        processed = _sum("metaxy/processed", [metadata])
        metadata[RATE] = dg.MetadataValue.float(round(processed / duration, 3))
    metadata["metaxy/shards"] = dg.MetadataValue.int(shards)
    return dg.MaterializeResult(
        asset_key=final.asset_key,
        metadata=metadata,
        check_results=final.check_results,
        data_version=final.data_version,
        tags=final.tags,
    )


def merged_check(final: dg.AssetCheckResult, parts: Sequence[dg.AssetCheckResult]) -> dg.AssetCheckResult:
    """The check, which fails if it fails for one of the parts."""
    told = [dict(part.metadata or {}) for part in parts]
    metadata: dict[str, Any] = dict(final.metadata or {})
    metadata.update({n: dg.MetadataValue.int(_sum(n, told)) for n in SUMMED if any(n in values for values in told)})
    tables = [values[FAILURES] for values in told if isinstance(values.get(FAILURES), dg.TableMetadataValue)]
    if tables:
        records = [record for table in tables for record in table.records]
        metadata[FAILURES] = dg.MetadataValue.table(records, schema=tables[0].schema)
    return dg.AssetCheckResult(
        passed=all(part.passed for part in (final, *parts)),
        asset_key=final.asset_key,
        check_name=final.check_name,
        severity=final.severity,
        metadata=metadata,
    )


def _sum(name: str, told: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(_number(values.get(name))) for values in told)


def _number(value: Any) -> float:
    return getattr(value, "value", value) or 0
