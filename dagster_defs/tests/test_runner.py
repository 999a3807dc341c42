"""Real Dagster, the real runner, and a processor that does what the test says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.pipes.subprocess import DagsterPipesExecutionError

PROGRAMS = Path(__file__).resolve().parent / "programs"
sys.path.insert(0, str(PROGRAMS))

import again  # noqa: E402
from clips import RAW, UPPER, Clips  # noqa: E402

IDS = ["a1", "a2", "b1", "b2"]
COUNTS = ("new", "stale", "orphaned", "processed", "failed")


@pytest.fixture
def clips(tmp_path, binary):
    return Clips(tmp_path / "clips").write(IDS)


@pytest.fixture
def ingested(clips):
    clips.ingest()
    return clips


def counts(result, key=UPPER):
    for event in result.get_asset_materialization_events():
        if event.asset_key == key:
            metadata = event.materialization.metadata
            return {name: metadata[f"metaxy/{name}"].value for name in COUNTS if metadata[f"metaxy/{name}"].value}
    return None


def observed(result):
    (event,) = result.get_asset_observation_events()
    metadata = event.asset_observation_data.asset_observation.metadata
    return {name: metadata[f"metaxy/{name}"].value for name in COUNTS}


def checks(result):
    return {e.asset_key: e.passed for e in result.get_asset_check_evaluations()}


def description_of_failure(result):
    (event,) = [e for e in result.all_events if e.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def test_first_run_and_nothing_to_do(clips, materialize):
    first = materialize(clips.assets())
    assert first.success
    raw = [e for e in first.get_asset_materialization_events() if e.asset_key == RAW]
    assert raw[0].materialization.metadata["metaxy/new"].value == 4
    assert counts(first) == {"new": 4, "processed": 4}
    assert checks(first) == {UPPER: True}
    (made,) = [e.materialization for e in first.get_asset_materialization_events() if e.asset_key == UPPER]
    assert made.metadata["metaxy/feature"].value == "clips/upper"
    assert made.metadata["dagster/row_count"].value == 4
    assert {r.data["text"] for r in made.metadata["dagster/table"].records} == {f"CLIP {i.upper()}" for i in IDS}
    assert "text" in [c.name for c in made.metadata["dagster/column_schema"].schema.columns]
    assert clips.committed() == IDS

    clips.rule()
    second = materialize(clips.assets())
    assert second.success and counts(second) == {} and clips.called() == []
    (again,) = [e.materialization for e in second.get_asset_materialization_events() if e.asset_key == UPPER]
    assert again.tags["dagster/data_version"] == made.tags["dagster/data_version"]


def test_a_changed_sample_is_stale(clips, materialize):
    assert materialize(clips.assets()).success
    clips.rows.write_text(clips.rows.read_text().replace("clip a2", "another clip"))
    clips.rule()
    assert counts(materialize(clips.assets())) == {"stale": 1, "processed": 1}
    assert clips.called() == ["a2"]


def test_a_tolerated_failure(ingested, materialize):
    ingested.rule(a2={"error": "no sound"})
    result = materialize(ingested.assets(run_args=("--max-failed", "1")), selection=[UPPER])
    assert result.success
    assert counts(result) == {"new": 4, "processed": 3, "failed": 1}
    assert checks(result) == {UPPER: False}
    assert ingested.committed() == ["a1", "b1", "b2"]

    ingested.rule()
    assert counts(materialize(ingested.assets(), selection=[UPPER])) == {"new": 1, "processed": 1}
    assert ingested.called() == ["a2"]


def test_a_failure_that_is_not_tolerated(ingested, materialize):
    ingested.rule(b2={"error": "no sound"})
    result = materialize(ingested.assets(), selection=[UPPER])
    assert not result.success
    assert counts(result) is None
    assert observed(result) == {"new": 4, "stale": 0, "orphaned": 0, "processed": 3, "failed": 1}
    assert checks(result) == {UPPER: False}
    said = description_of_failure(result)
    assert "exit status 3" in said and "id=b2" in said and "no sound" in said
    assert ingested.committed() == ["a1", "a2", "b1"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_crash_keeps_what_is_committed(ingested, materialize, number):
    """SIGQUIT is how Go itself crashes: every goroutine's stack, and exit status 2."""
    ingested.rule(b1={"signal": int(number), "committed": ingested.table()})
    result = materialize(ingested.assets(), selection=[UPPER])
    assert not result.success and counts(result) is None
    said = description_of_failure(result)
    assert ("killed by signal 9" if number == signal.SIGKILL else "exit status 2") in said
    kept = ingested.committed()
    assert kept and set(kept) < set(IDS)

    ingested.rule()
    assert materialize(ingested.assets(), selection=[UPPER]).success
    assert sorted(ingested.called()) == sorted(set(IDS) - set(kept))
    assert ingested.committed() == IDS


def test_dagsters_retry_does_not_repeat_what_is_committed(ingested, materialize):
    ingested.rule(b1={"error": "busy"})
    result = materialize(ingested.assets(retry_policy=dg.RetryPolicy(max_retries=1)), selection=[UPPER])
    assert not result.success
    calls = ingested.called()
    assert {i: calls.count(i) for i in calls} == {"a1": 1, "a2": 1, "b1": 2, "b2": 1}
    assert ingested.committed() == ["a1", "a2", "b2"]


def test_dagsters_retry_goes_on_after_a_crash(ingested, materialize):
    ingested.rule(b1={"signal": int(signal.SIGKILL), "committed": ingested.table(), "once": True})
    result = materialize(ingested.assets(retry_policy=dg.RetryPolicy(max_retries=1)), selection=[UPPER])
    assert result.success
    left = counts(result)["new"]
    assert left < len(IDS)
    assert len(ingested.called()) == len(["a1", "a2", "b1"]) + left
    assert ingested.committed() == IDS


def test_user_code_that_asks_for_a_retry(ingested, materialize):
    """An asset written by hand raises RetryRequested; the second attempt does what the first left."""
    ingested.rule(b1={"signal": int(signal.SIGKILL), "committed": ingested.table(), "once": True})
    attempts = []

    @dg.asset(key=UPPER)
    def upper(context: dg.AssetExecutionContext, pipes_client: dg.PipesSubprocessClient):
        attempts.append(context.op_execution_context.retry_number)
        argv = ingested.command.argv("run", "--concurrency", "1", "--flush-rows", "1", "--", *ingested.processor)
        try:
            return pipes_client.run(context=context, command=argv).get_materialize_result()
        except DagsterPipesExecutionError as err:
            raise dg.RetryRequested(max_retries=1) from err

    result = materialize([upper])
    assert result.success and attempts == [0, 1]
    assert 0 < counts(result)["new"] < len(IDS)
    (made,) = [e.materialization for e in result.get_asset_materialization_events()]
    assert made.metadata["metaxy/materialized_in_run"].value == len(IDS), "what the first attempt has committed is of this run"
    assert ingested.committed() == IDS


def test_a_run_that_is_executed_again_from_its_failure(ingested, instance, monkeypatch):
    monkeypatch.setenv("CLIPS_HOME", str(ingested.home))
    ingested.rule(b2={"error": "no sound"})
    job = dg.reconstructable(again.upper_job)
    with dg.execute_job(job, instance, raise_on_error=False) as first:
        assert not first.success
    assert ingested.committed() == ["a1", "a2", "b1"]
    ingested.rule()
    options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
    with dg.execute_job(job, instance, reexecution_options=options) as second:
        assert second.success
        assert counts(second) == {"new": 1, "processed": 1}
    assert instance.get_run_by_id(second.run_id).parent_run_id == first.run_id
    assert ingested.called() == ["b2"] and ingested.committed() == IDS


def test_cancellation(ingested, tmp_path):
    """Dagster passes SIGINT on; what is done is committed, and the runner says why it ended."""
    waiting = tmp_path / "waiting"
    ingested.rule(b1={"wait": str(waiting), "committed": ingested.table()})
    dagster_home = tmp_path / "interrupted"
    dagster_home.mkdir()
    step = [sys.executable, str(PROGRAMS / "materialize_upper.py"), str(ingested.home), str(dagster_home)]
    with subprocess.Popen(step, stderr=subprocess.PIPE, text=True) as process:
        wait_for(waiting, process)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0, said
    kept = ingested.committed()
    assert kept and "b1" not in kept

    with dg.DagsterInstance.local_temp(str(dagster_home), overrides={"telemetry": {"enabled": False}}) as instance:
        (run,) = instance.get_runs()
        events = [e.dagster_event for e in instance.all_logs(run.run_id) if e.dagster_event]
    assert not run.is_success
    closed = [e for e in events if e.is_engine_event and "closed with exception" in (e.message or "")]
    assert closed and "interrupt" in closed[0].engine_event_data.error.message.lower()
    assert [e.asset_key for e in events if e.is_asset_observation] == [UPPER]

    ingested.rule()
    ingested.call("run", "clips/upper", "--", *ingested.processor)
    assert sorted(ingested.called()) == sorted(set(IDS) - set(kept))
    assert ingested.committed() == IDS


def wait_for(file, process):
    until = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until, f"{file} does not come"
        time.sleep(0.02)


def test_partitions(ingested, materialize):
    days = dg.StaticPartitionsDefinition(["a", "b"])
    assets = ingested.assets(partitions_def=days, partition_by="day")
    for day, ids in (("b", ["b1", "b2"]), ("a", ["a1", "a2"])):
        ingested.rule()
        result = materialize(assets, selection=[UPPER], partition_key=day)
        assert result.success
        assert counts(result) == {"new": 2, "processed": 2}
        assert sorted(ingested.called()) == ids
    assert ingested.committed() == IDS


def test_dynamic_partitions(ingested, materialize, instance):
    days = dg.DynamicPartitionsDefinition(name="days")
    instance.add_dynamic_partitions("days", ["b"])
    assets = ingested.assets(partitions_def=days, partition_by="day")
    assert counts(materialize(assets, selection=[UPPER], partition_key="b")) == {"new": 2, "processed": 2}
    assert ingested.committed() == ["b1", "b2"]


def test_another_code_version_than_dagster_has_loaded(ingested, materialize):
    assets = ingested.assets()
    ingested.rule()
    ingested.write(IDS, code="2")
    result = materialize(assets, selection=[UPPER])
    assert not result.success
    assert "code version" in description_of_failure(result)
    assert ingested.called() == [] and ingested.committed() == []


def test_an_asset_written_by_hand(ingested, materialize):
    """Dagster's own client and nothing of ours: the asset key names the feature."""
    ingested.rule()

    @dg.asset(key=UPPER)
    def upper(context: dg.AssetExecutionContext, pipes_client: dg.PipesSubprocessClient):
        argv = ingested.command.argv("run", "--", *ingested.processor)
        return pipes_client.run(context=context, command=argv).get_materialize_result()

    result = materialize([upper])
    assert result.success
    assert counts(result) == {"new": 4, "processed": 4}
    assert ingested.committed() == IDS


def test_an_asset_written_by_hand_under_another_name_with_a_check(ingested, materialize):
    ingested.rule(a1={"error": "no sound"})
    check = dg.AssetCheckSpec("whole", asset="shouting")

    @dg.asset(check_specs=[check])
    def shouting(context: dg.AssetExecutionContext, pipes_client: dg.PipesSubprocessClient):
        extras = {"metaxy_pipes": {"features": {"clips/upper": "shouting"}, "checks": {"clips/upper": "whole"}}}
        argv = ingested.command.argv("run", "clips/upper", "--max-failed", "50%", "--", *ingested.processor)
        yield from pipes_client.run(context=context, command=argv, extras=extras).get_results()

    result = materialize([shouting])
    assert result.success
    assert counts(result, dg.AssetKey("shouting")) == {"new": 4, "processed": 3, "failed": 1}
    assert checks(result) == {dg.AssetKey("shouting"): False}


def test_a_missing_upstream_table_is_named(clips, materialize):
    result = materialize(clips.assets(), selection=[UPPER])
    assert not result.success
    assert "clips/raw" in description_of_failure(result)
