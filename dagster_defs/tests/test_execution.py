"""What Dagster records of a run, whatever the runner does. The runner is played by actor.py."""

import json
import signal

import dagster as dg
import pytest

from metaxy_pipes import metaxy_pipes_assets

CROP = dg.AssetKey(["video", "crop"])
FACE = dg.AssetKey(["video", "face-crop"])
DONE = {"new": 3, "stale": 1, "orphaned": 0, "processed": 4, "failed": 0}
BAD = {"new": 3, "stale": 0, "orphaned": 0, "processed": 1, "failed": 2}
FAILURES = [{"id": {"id": "v1"}, "error": "no sound"}, {"id": {"id": "v2"}, "error": "no frames"}]


def computed(command, **arguments):
    made = metaxy_pipes_assets(command, **arguments)
    return [a for a in made if isinstance(a, dg.AssetsDefinition)]


def step_failure(result):
    (event,) = [e for e in result.all_events if e.is_step_failure]
    return event.step_failure_data


def observations(result):
    return {e.asset_key: e.asset_observation_data.asset_observation for e in result.get_asset_observation_events()}


def materializations(result):
    return {e.asset_key: e.materialization for e in result.get_asset_materialization_events()}


def checks(result):
    return {e.asset_key: e.passed for e in result.get_asset_check_evaluations()}


def seen(path):
    return json.loads(path.read_text())


def test_success(actor, materialize, tmp_path):
    script = {"video/crop": {"counts": DONE, "check": True}}
    command = actor(features=script, seen=str(tmp_path / "seen"))
    result = materialize(computed(command, select=["video/crop"], env={"ACTOR": "e"}, run_args=["--limit", "9"]))
    assert result.success
    made = materializations(result)[CROP]
    assert made.metadata["metaxy/processed"].value == 4
    assert made.tags["dagster/data_version"] == "v1"
    assert checks(result) == {CROP: True}
    given = seen(tmp_path / "seen")
    assert given["argv"] == ["video/crop", "--limit", "9"]
    assert given["extras"]["metaxy_pipes"] == {
        "features": {"video/crop": "video/crop"},
        "checks": {"video/crop": "samples_processed"},
    }
    assert given["env"] == "e"


def test_tolerated_failures_fail_the_check_only(actor, materialize):
    command = actor(features={"video/crop": {"counts": BAD, "failures": FAILURES, "check": False}})
    result = materialize(computed(command, select=["video/crop"]))
    assert result.success
    assert checks(result) == {CROP: False}
    assert materializations(result)[CROP].metadata["metaxy/failed"].value == 2
    assert observations(result) == {}


def test_too_many_failures(actor, materialize):
    script = {"video/crop": {"counts": BAD, "failures": FAILURES, "materialize": False}}
    result = materialize(computed(actor(features=script, exit=3), select=["video/crop"]))
    assert not result.success
    failure = step_failure(result)
    description = failure.user_failure_data.description
    assert "exit status 3" in description
    assert "video/crop: 3 new, 0 stale, 0 orphaned, 1 processed, 2 failed" in description
    assert "id=v1: no sound" in description and "id=v2: no frames" in description
    assert failure.user_failure_data.metadata["exit_status"].value == 3
    seen_counts = observations(result)[CROP].metadata
    assert {name: seen_counts[f"metaxy/{name}"].value for name in BAD} == BAD
    shown = [record.data for record in seen_counts["metaxy/failures"].records]
    assert shown == [{"id": "v1", "error": "no sound"}, {"id": "v2", "error": "no frames"}]
    assert checks(result) == {CROP: False}
    assert materializations(result) == {}


def test_a_finished_feature_is_materialized_although_the_next_one_fails(actor, materialize):
    script = {
        "video/crop": {"counts": DONE, "check": True},
        "video/face-crop": {"counts": BAD, "failures": FAILURES, "check": False, "materialize": False},
    }
    result = materialize(computed(actor(features=script, exit=3), one_process=True))
    assert not result.success
    assert set(materializations(result)) == {CROP}
    assert set(observations(result)) == {FACE}
    assert checks(result) == {CROP: True, FACE: False}


def test_only_the_first_failures_are_listed(actor, materialize):
    many = [{"id": {"id": f"v{i}"}, "error": "x"} for i in range(30)]
    script = {"video/crop": {"counts": {"failed": 700}, "failures": many, "materialize": False}}
    result = materialize(computed(actor(features=script, exit=3), select=["video/crop"]))
    description = step_failure(result).user_failure_data.description
    assert "Failed samples (10 of 700)" in description
    assert "id=v9" in description and "id=v10" not in description


def test_an_exception_is_told(actor, materialize):
    result = materialize(computed(actor(**{"raise": "read log: entry 7 is damaged"}), select=["video/crop"]))
    description = step_failure(result).user_failure_data.description
    assert "exit status 1" in description and "entry 7 is damaged" in description


def test_killed(actor, materialize):
    script = {"video/crop": {"counts": BAD, "materialize": False}}
    result = materialize(computed(actor(features=script, signal=int(signal.SIGKILL)), select=["video/crop"]))
    failure = step_failure(result).user_failure_data
    assert "killed by signal 9" in failure.description
    assert failure.metadata["exit_status"].value == -9
    assert observations(result)[CROP].metadata["metaxy/processed"].value == 1


@pytest.mark.parametrize(("status", "attempts"), [(1, 3), (3, 3), (4, 1)])
def test_a_wrong_set_up_is_not_retried(actor, materialize, status, attempts):
    policy = dg.RetryPolicy(max_retries=2)
    result = materialize(computed(actor(exit=status), select=["video/crop"], retry_policy=policy))
    assert not result.success
    assert len([e for e in result.all_events if e.is_step_start or e.is_step_restarted]) == attempts


def test_a_program_that_reports_nothing_is_no_success(actor, materialize):
    result = materialize(computed(actor(silent=True), select=["video/crop"]))
    assert not result.success
    assert "reported nothing for video/crop" in step_failure(result).user_failure_data.description


def test_a_subset(actor, materialize, tmp_path):
    script = {name: {"counts": DONE, "check": True} for name in ("video/crop", "video/face-crop")}
    command = actor(features=script, seen=str(tmp_path / "seen"))
    result = materialize(computed(command, one_process=True), selection=[FACE])
    assert result.success
    assert set(materializations(result)) == {FACE}
    assert checks(result) == {FACE: True}
    assert seen(tmp_path / "seen")["argv"] == ["video/face-crop"]


def test_an_external_processor_is_the_tail_of_the_command(actor, materialize, tmp_path):
    command = actor(features={"transcript": {"counts": DONE, "check": True}}, seen=str(tmp_path / "seen"))
    processors = {"transcript": ["python", "t.py", "--model", "a b"]}
    made = computed(command, select=["transcript"], processors=processors, run_args=["--retries", "2"])
    assert materialize(made).success
    given = seen(tmp_path / "seen")
    assert given["argv"] == ["transcript", "--retries", "2", "--", "python", "t.py", "--model", "a b"]
    assert given["extras"]["metaxy_pipes"]["features"] == {"transcript": "texts/spoken"}


def test_partitions(actor, materialize, tmp_path):
    days = dg.StaticPartitionsDefinition(["mon", "tue"])
    command = actor(features={"video/crop": {"counts": DONE, "check": True}}, seen=str(tmp_path / "seen"))
    made = computed(command, select=["video/crop"], partitions_def=days, partition_by="day")
    result = materialize(made, partition_key="tue")
    assert result.success
    assert materializations(result)[CROP].partition == "tue"
    given = seen(tmp_path / "seen")
    assert given["partition_key"] == "tue"
    assert given["extras"]["metaxy_pipes"]["partition_by"] == "day"


def test_a_failed_partition_is_observed_as_such(actor, materialize):
    days = dg.StaticPartitionsDefinition(["mon", "tue"])
    command = actor(features={"video/crop": {"counts": BAD, "materialize": False}}, exit=3)
    made = computed(command, select=["video/crop"], partitions_def=days, partition_by="day")
    assert observations(materialize(made, partition_key="tue"))[CROP].partition == "tue"


def test_a_range_of_partitions_passes_all_keys(actor, materialize, tmp_path):
    """Dagster itself would tell a Pipes process only the first and the last."""
    days = dg.StaticPartitionsDefinition(["mon", "tue", "wed", "thu"])
    command = actor(features={"video/crop": {"counts": DONE, "check": True}}, seen=str(tmp_path / "seen"))
    made = computed(command, select=["video/crop"], partitions_def=days, partition_by="day")
    span = {"dagster/asset_partition_range_start": "mon", "dagster/asset_partition_range_end": "wed"}
    result = materialize(made, tags=span)
    assert result.success
    assert seen(tmp_path / "seen")["extras"]["metaxy_pipes"]["partitions"] == ["mon", "tue", "wed"]
    made = {e.materialization.partition for e in result.get_asset_materialization_events()}
    assert made == {"mon", "tue", "wed"}


def test_ingest(actor, materialize, instance, tmp_path):
    command = actor(seen=str(tmp_path / "seen"))
    sources = {"video/full": ["rows.jsonl", "--prune"]}
    result = materialize(computed(command, select=["video/full"], ingest=sources))
    assert result.success
    made = materializations(result)[dg.AssetKey(["video", "full"])]
    metadata = made.metadata
    counts = {name: metadata[f"metaxy/{name}"].value for name in ("new", "stale", "unchanged", "removed")}
    assert counts == {"new": 1, "stale": 2, "unchanged": 3, "removed": 4}
    (run,) = instance.get_runs()
    by = ["--materialization-id", run.run_id]
    assert seen(tmp_path / "seen")["argv"] == ["video/full", "--from", "rows.jsonl", *by, "--prune"]
    assert metadata["metaxy/materialized_in_run"].value == 3 and metadata["dagster/row_count"].value == 6
    assert made.tags["dagster/data_version"] == "v6"


@pytest.mark.parametrize(
    ("script", "says"),
    [({"exit": 1, "stderr": "row 3: id is null"}, "row 3: id is null"), ({"stderr": "hello"}, "no summary line")],
)
def test_ingest_that_fails(actor, materialize, script, says):
    result = materialize(computed(actor(**script), select=["video/full"], ingest={"video/full": "rows.jsonl"}))
    assert not result.success
    assert says in step_failure(result).user_failure_data.description
