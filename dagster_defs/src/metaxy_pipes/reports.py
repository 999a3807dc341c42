"""What the runner says about a feature at the end of its work, also when the run fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

MESSAGE_KEY = "metaxy_pipes"
COUNTS = ("new", "stale", "orphaned", "processed", "failed")


@dataclass(frozen=True)
class SampleFailure:
    """A sample that could not be computed."""

    id: Mapping[str, Any]
    error: str

    def __str__(self) -> str:
        return f"{', '.join(f'{k}={v}' for k, v in self.id.items())}: {self.error}"


@dataclass(frozen=True)
class Report:
    """The counts of one feature in one run and the first samples that failed."""

    feature: str
    asset_key: dg.AssetKey | None
    counts: Mapping[str, int]
    failures: tuple[SampleFailure, ...] = ()
    error: str | None = None

    def __str__(self) -> str:
        counts = ", ".join(f"{self.counts[name]} {name}" for name in COUNTS if name in self.counts)
        return f"{self.feature}: {counts or 'no counts'}"

    def metadata(self) -> dict[str, Any]:
        """The report as metadata of an event, under the names that materializations use."""
        values: dict[str, Any] = {"metaxy/feature": self.feature}
        values.update({f"metaxy/{name}": count for name, count in self.counts.items()})
        if self.failures:
            values["metaxy/failures"] = dg.MetadataValue.table(
                [
                    dg.TableRecord({**{name: str(value) for name, value in f.id.items()}, "error": f.error})
                    for f in self.failures
                ]
            )
        return values

    @staticmethod
    def parse(payload: Any) -> Report | None:
        """Reads one custom message; None if it is somebody else's."""
        raw = payload.get(MESSAGE_KEY) if isinstance(payload, Mapping) else None
        if not isinstance(raw, Mapping) or not isinstance(raw.get("feature"), str):
            return None
        key = raw.get("asset_key")
        return Report(
            feature=raw["feature"],
            asset_key=dg.AssetKey.from_escaped_user_string(key) if isinstance(key, str) and key else None,
            counts={name: raw[name] for name in COUNTS if isinstance(raw.get(name), int)},
            failures=tuple(
                SampleFailure(f.get("id") or {}, str(f.get("error", "")))
                for f in raw.get("failures") or ()
                if isinstance(f, Mapping)
            ),
            error=raw.get("error") or None,
        )


def parse_reports(payloads: Iterable[Any]) -> list[Report]:
    """The reports among custom messages, in order."""
    return [report for report in map(Report.parse, payloads) if report is not None]
