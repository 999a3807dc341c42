"""Features for downstream Python code, as Polars, Arrow, pandas or DuckDB, without Metaxy.

The rows are those of the binary's `read`: the newest of each sample that is not deleted, of the current feature version.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaxy_pipes.command import Command, CommandError
from metaxy_pipes.selection import Selection

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class Rows:
    """Which rows and columns of a feature to load.

    Args:
        feature: the feature's key.
        columns: the columns, in this order; None means all.
        filters: conditions in Metaxy's filter grammar, which must all hold.
        at: the table as it was at a version or a time, as `read --at` takes it.
        partitions: what `selections` makes: alternatives of conditions that must all hold; empty means all rows.

    """

    feature: str
    columns: Sequence[str] | None = None
    filters: Sequence[str] = ()
    at: str | None = None
    partitions: Sequence[Sequence[Selection]] = ()


@dataclass(frozen=True)
class FeatureLoader:
    """Loads features with the binary of a Command, which must run where this does."""

    command: Command

    def polars(self, rows: Rows | str) -> pl.DataFrame:
        """The rows as a Polars frame."""
        import polars as pl

        rows = _rows(rows)
        with self._read(rows) as file:
            frame = pl.scan_parquet(file)
            if rows.partitions:
                parts = [_all(frame, part, "of_polars") for part in rows.partitions]
                frame = parts[0] if len(parts) == 1 else pl.concat(parts)
            return frame.select(rows.columns or pl.all()).collect()

    def arrow(self, rows: Rows | str) -> pa.Table:
        """The rows as an Arrow table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = _rows(rows)
        with self._read(rows) as file:
            table = pq.read_table(file)
        if rows.partitions:
            table = pa.concat_tables([_all(table, part, "of_arrow") for part in rows.partitions])
        return table.select(list(rows.columns)) if rows.columns else table

    def pandas(self, rows: Rows | str) -> pd.DataFrame:
        """The rows as a pandas frame."""
        return self.arrow(rows).to_pandas()

    def duckdb(
        self, rows: Rows | str, connection: duckdb.DuckDBPyConnection | None = None
    ) -> duckdb.DuckDBPyRelation:
        """The rows as a DuckDB relation; None makes a connection of its own."""
        import duckdb

        return (connection or duckdb.connect()).from_arrow(self.arrow(rows))

    @contextmanager
    def _read(self, rows: Rows) -> Iterator[Path]:
        """A Parquet file with the rows, and with the columns that partitions look at."""
        argv = ["--format", "parquet"]
        if rows.columns:
            wanted = [*rows.columns, *(s.column for part in rows.partitions for s in part)]
            argv += [word for column in dict.fromkeys(wanted) for word in ("--columns", _csv(column))]
        argv += [word for condition in rows.filters for word in ("--filter", condition)]
        if rows.at is not None:
            argv += ["--at", rows.at]
        command = self.command.argv("read", rows.feature, *argv)
        with tempfile.TemporaryDirectory(prefix="metaxy-pipes-") as folder:
            file = Path(folder) / "rows.parquet"
            try:
                with file.open("wb") as out:
                    done = subprocess.run(
                        command,
                        env=self.command.environment(),
                        cwd=self.command.cwd,
                        stdout=out,
                        stderr=subprocess.PIPE,
                        check=False,
                    )
            except OSError as err:
                raise CommandError(f"start {command[0]}: {err}") from err
            if done.returncode != 0:
                said = done.stderr.decode("utf-8", "replace").strip()
                raise CommandError(f"{' '.join(command)}: exit status {done.returncode}: {said}")
            yield file


def _rows(rows: Rows | str) -> Rows:
    return Rows(rows) if isinstance(rows, str) else rows


def _all(frame: Any, part: Sequence[Selection], method: str) -> Any:
    for selection in part:
        frame = getattr(selection, method)(frame)
    return frame


def _csv(column: str) -> str:
    """A column as the command line takes it, where commas separate names."""
    return '"' + column.replace('"', '""') + '"' if set(column) & set(',"\n') else column
