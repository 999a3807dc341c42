"""Which rows belong to a partition: the same rule by which the runner chooses the samples of a partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

TEXT_TYPES = ("string",)
INTEGER_TYPES = ("byte", "short", "integer", "long")


@dataclass(frozen=True)
class Selection:
    """The rows whose column is one of the keys or, in a column of times and with a window, lies in it."""

    column: str
    keys: tuple[str, ...]
    window: tuple[datetime, datetime] | None = None

    def filter_text(self, column_type: str) -> str | None:
        """The same as a filter of the command line; None if its grammar has no such filter for the column's type."""
        name = '"' + self.column.replace('"', '""') + '"'
        if column_type in TEXT_TYPES:
            return f"{name} IN ({', '.join(_quoted(key) for key in self.keys)})"
        if column_type in INTEGER_TYPES and all(key.lstrip("-").isdigit() for key in self.keys):
            return f"{name} IN ({', '.join(self.keys)})"
        return None

    def of_polars(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The rows of a Polars frame."""
        import polars as pl

        column, dtype = pl.col(self.column), frame.collect_schema()[self.column]
        if self.window is None or not dtype.is_temporal():
            return frame.filter(column.cast(pl.String).is_in(list(self.keys)))
        if dtype == pl.Date:
            first, end = days(self.window)
            return frame.filter((column >= first) & (column < end))
        zone = getattr(dtype, "time_zone", None)
        start, end = (pl.lit(_utc(t, naive=zone is None)) for t in self.window)
        return frame.filter((column >= start) & (column < end))

    def of_arrow(self, table: pa.Table) -> pa.Table:
        """The rows of an Arrow table."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = table[self.column]
        if self.window is None or not pa.types.is_temporal(column.type):
            return table.filter(pc.is_in(column.cast(pa.string()), value_set=pa.array(self.keys, pa.string())))
        if pa.types.is_date(column.type):
            bounds: Sequence[Any] = days(self.window)
        else:
            bounds = [_utc(t, naive=column.type.tz is None) for t in self.window]
        start, end = (pa.scalar(b, column.type) for b in bounds)
        return table.filter(pc.and_(pc.greater_equal(column, start), pc.less(column, end)))


def selections(
    by: str | Mapping[str, str] | None, keys: Sequence[str], window: tuple[datetime, datetime] | None
) -> list[list[Selection]]:
    """The rows of some partitions, as alternatives of conditions that must all hold.

    Args:
        by: the column, or the column of each dimension.
        keys: partition keys; the values of several dimensions are joined by `|` in the order of the dimensions' names.
        window: the time window of the partitions, if they are of time.

    """
    if by is None or not keys:
        return []
    if isinstance(by, str):
        return [[Selection(by, tuple(keys), window)]]
    columns = [by[dimension] for dimension in sorted(by)]
    alternatives = []
    for key in keys:
        values = key.split("|")
        if len(values) != len(columns):
            raise ValueError(f"partition {key!r}: expected {len(columns)} values joined by |, for the columns {columns}")
        alternatives.append([Selection(c, (v,), window) for c, v in zip(columns, values, strict=True)])
    return alternatives


def days(window: tuple[datetime, datetime]) -> tuple[date, date]:
    """The days whose beginning lies in a window: the first, and the one after the last."""
    return tuple(t.date() if t.time() == time() else t.date() + timedelta(days=1) for t in window)  # ty: ignore


def _utc(t: datetime, *, naive: bool) -> datetime:
    t = t.astimezone(timezone.utc)
    return t.replace(tzinfo=None) if naive else t


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
