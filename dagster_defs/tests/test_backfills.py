"""Partitions in real Dagster with the real runner: one after the other, at once, and a range in one run."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "programs"))

from clips import TWENTY as IDS  # noqa: E402
from clips import Clips  # noqa: E402
from clips import materialize_upper as materialize  # noqa: E402

DAYS = dg.StaticPartitionsDefinition(list("abcd"))


@pytest.fixture
def clips(tmp_path, binary):
    return Clips.of_four_days(tmp_path / "clips")


def made(result):
    return {e.materialization.partition: e.materialization for e in result.get_asset_materialization_events()}


def counts(materialization):
    return [materialization.metadata[f"metaxy/{name}"].value for name in ("new", "processed", "failed")]


def test_a_backfill_whose_runs_are_at_work_at_once(clips):
    assets = clips.assets(partitions_def=DAYS, partition_by="day")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda day: materialize(assets, partition_key=day), "abcd"))
    assert all(r.success for r in results)
    assert [counts(m) for r in results for m in made(r).values()] == [[5, 5, 0]] * 4
    assert clips.committed() == IDS
    assert sorted(clips.called()) == IDS, "no sample is computed twice"
    assert len({m.tags["dagster/data_version"] for r in results for m in made(r).values()}) == 4

    again = materialize(assets, partition_key="b")
    (before,), (after,) = (made(r).values() for r in (results[1], again))
    assert counts(after) == [0, 0, 0]
    assert after.tags["dagster/data_version"] == before.tags["dagster/data_version"]
    assert after.metadata["dagster/partition_row_count"].value == 5
    assert after.metadata["dagster/row_count"].value == 20


def test_a_backfill_in_one_run(clips):
    policy = dg.BackfillPolicy.single_run()
    assets = clips.assets(partitions_def=DAYS, partition_by="day", backfill_policy=policy)
    span = {"dagster/asset_partition_range_start": "b", "dagster/asset_partition_range_end": "c"}
    clips.rule(c1={"error": "no sound"})
    result = materialize(assets, tags=span)
    assert not result.success and made(result) == {}
    assert clips.committed() == ["b0", "b1", "b2", "b3", "b4", "c0", "c2", "c3", "c4"]

    clips.rule()
    result = materialize(assets, tags=span)
    assert result.success
    assert set(made(result)) == {"b", "c"}
    assert all(counts(m) == [1, 1, 0] for m in made(result).values())
    assert clips.called() == ["c1"]


def test_days_are_matched_by_their_key(clips):
    """A column of text is compared with the key of a partition of time, not with its window."""
    rows = clips.rows.read_text()
    clips.rows.write_text(rows.replace('"day": "a"', '"day": "2026-01-02"'))
    clips.ingest()
    days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-05")
    result = materialize(clips.assets(partitions_def=days, partition_by="day"), partition_key="2026-01-02")
    assert result.success and clips.committed() == IDS[:5]
