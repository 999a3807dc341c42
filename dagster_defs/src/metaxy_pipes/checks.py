"""Asset checks that can run at any time: is a table readable and up to date, and are there too many orphans?"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from metaxy_pipes.command import Command
from metaxy_pipes.description import Feature
from metaxy_pipes.specs import asset_key
from metaxy_pipes.status import Status, ask_in_step

TABLE_CHECK = "table_current"
ORPHANS_CHECK = "few_orphans"


@dataclass(frozen=True)
class Threshold:
    """A number of samples, or a share of the rows."""

    count: int = 0
    percent: float | None = None

    @staticmethod
    def parse(text: int | str) -> "Threshold":
        """Reads `3` or `"5%"`."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(text))
        if not found or (not found[2] and "." in found[1]):
            raise ValueError(f"{text!r}: expected a count such as 3, or a share such as 5%")
        return Threshold(percent=float(found[1])) if found[2] else Threshold(int(found[1]))

    def of(self, rows: int) -> int:
        """How many of so many rows are still accepted."""
        return self.count if self.percent is None else math.floor(rows * self.percent / 100)


def table_checks(
    features: Sequence[Feature],
    command: Command,
    *,
    name: str,
    key_prefix: Sequence[str],
    client_key: str,
    client_args: Mapping[str, Any],
    current: bool,
    max_orphaned: int | str | None,
) -> dg.AssetChecksDefinition:
    """One definition with the checks of all features; any subset can be run."""
    keys = {f.key: asset_key(f, key_prefix) for f in features}
    threshold = None if max_orphaned is None else Threshold.parse(max_orphaned)
    specs = []
    for f in features:
        if current:
            text = f"The table of {f.key} can be read, and no sample of it is new or stale."
            specs.append(dg.AssetCheckSpec(TABLE_CHECK, asset=keys[f.key], description=text))
        if threshold is not None and not f.root:
            text = f"At most {max_orphaned} samples of {f.key} have lost their source."
            specs.append(dg.AssetCheckSpec(ORPHANS_CHECK, asset=keys[f.key], description=text))

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True, required_resource_keys={client_key})
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = context.selected_asset_check_keys
        wanted = [f for f, key in keys.items() if any(check.asset_key == key for check in selected)]
        client = getattr(context.resources, client_key)
        for status in ask_in_step(context.op_execution_context, client, command, wanted, client_args):
            key = keys[status.feature]
            if dg.AssetCheckKey(key, TABLE_CHECK) in selected:
                yield current_result(status, key)
            if threshold is not None and dg.AssetCheckKey(key, ORPHANS_CHECK) in selected:
                yield orphans_result(status, key, threshold)

    return check


def current_result(status: Status, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Fails when there is no table, or one that is behind; the latter is a warning."""
    text = None
    if not status.table:
        text = f"There is no table of {status.feature}."
    elif status.problem:
        text = status.problem
    elif status.increment:
        text = f"{status.new or 0} samples are new and {status.stale or 0} are stale."
    return dg.AssetCheckResult(
        passed=text is None,
        asset_key=key,
        check_name=TABLE_CHECK,
        severity=dg.AssetCheckSeverity.WARN if status.table and not status.problem else dg.AssetCheckSeverity.ERROR,
        description=text,
        metadata=_counts(status),
    )


def orphans_result(status: Status, key: dg.AssetKey, threshold: Threshold) -> dg.AssetCheckResult:
    """Fails with a warning when more samples than that are orphaned."""
    orphaned, accepted = status.orphaned or 0, threshold.of(status.rows)
    return dg.AssetCheckResult(
        passed=orphaned <= accepted,
        asset_key=key,
        check_name=ORPHANS_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{orphaned} of {status.rows} samples are orphaned; {accepted} are accepted.",
        metadata={**_counts(status), "metaxy/accepted": accepted},
    )


def _counts(status: Status) -> dict[str, Any]:
    shown = ("metaxy/feature", "metaxy/new", "metaxy/stale", "metaxy/orphaned", "dagster/row_count", "metaxy/problem")
    values = {name: value for name, value in status.metadata().items() if name in shown}
    return {**values, "metaxy/feature_version": status.feature_version}
