"""What Dagster learns of tables without computing anything: checks, observations, and the sensor's ticks."""

import json
import sys
from pathlib import Path

import dagster as dg
import pytest

from metaxy_pipes import Description, build_definitions, increment_sensor

sys.path.insert(0, str(Path(__file__).resolve().parent / "programs"))

from clips import RAW, UPPER, Clips  # noqa: E402

IDS = ["a1", "a2", "b1", "b2"]


@pytest.fixture
def clips(tmp_path, binary):
    made = Clips(tmp_path / "clips").write(IDS)
    made.rule()
    return made


def definitions(clips, **arguments):
    command = clips.command
    return build_definitions(
        command.binary,
        features=command.features,
        store=command.store,
        processors={"clips/upper": clips.processor},
        **arguments,
    )


def run(defs, selection, instance):
    merged = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("look", selection=selection)]))
    return merged.resolve_job_def("look").execute_in_process(instance=instance, raise_on_error=False)


def checked(defs, instance):
    """Runs the checks that run by themselves, and returns what they say."""
    keys = [k for k in defs.resolve_asset_graph().asset_check_keys if k.name != "samples_processed"]
    result = run(defs, dg.AssetSelection.checks(*keys), instance)
    assert result.success
    return {(e.asset_key, e.check_name): e for e in result.get_asset_check_evaluations()}


def test_checks_of_tables(clips, instance):
    defs = definitions(clips, table_check=True, max_orphaned="25%")
    results = checked(defs, instance)
    assert set(results) == {(RAW, "table_current"), (UPPER, "table_current"), (UPPER, "few_orphans")}
    assert not results[RAW, "table_current"].passed and not results[UPPER, "table_current"].passed
    assert results[UPPER, "table_current"].severity == dg.AssetCheckSeverity.ERROR

    clips.ingest()
    clips.call("run", "clips/upper", "--", *clips.processor)
    results = checked(defs, instance)
    assert all(e.passed for e in results.values())
    assert results[UPPER, "table_current"].metadata["dagster/row_count"].value == 4

    clips.write([*IDS[1:], "c1"])  # one is gone, one is new
    clips.call("ingest", "clips/raw", "--from", str(clips.rows), "--prune")
    results = checked(defs, instance)
    behind = results[UPPER, "table_current"]
    assert (behind.passed, behind.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert behind.description == "1 samples are new and 0 are stale."
    assert results[UPPER, "few_orphans"].passed, "one of four is 25%"
    assert not checked(definitions(clips, max_orphaned=0), instance)[UPPER, "few_orphans"].passed
    assert sorted(clips.called()) == IDS, "checks compute nothing"


def test_a_table_that_cannot_be_read_fails_the_check_step(clips, instance):
    clips.ingest()
    for log in (clips.home / "store" / "clips" / "raw.delta" / "_delta_log").glob("*.json"):
        log.write_text("{")
    check = dg.AssetCheckKey(RAW, "table_current")
    result = run(definitions(clips, table_check=True), dg.AssetSelection.checks(check), instance)
    assert not result.success
    (event,) = [e for e in result.all_events if e.is_step_failure]
    assert "clips/raw" in event.step_failure_data.user_failure_data.description


@pytest.mark.parametrize("wrong", ["five", "-1", "1.5", "%"])
def test_a_threshold_of_another_form_is_refused(clips, wrong):
    with pytest.raises(ValueError, match="expected a count"):
        definitions(clips, max_orphaned=wrong)


def test_an_observation_changes_when_the_rows_do(clips, instance):
    hourly = dg.AutomationCondition.on_cron("@hourly")
    defs = definitions(clips, observe=["clips/raw"], observe_condition=hourly)
    node = defs.resolve_asset_graph().get(RAW)
    assert node.is_observable and node.automation_condition == hourly
    versions = []
    for ids in ([], IDS, IDS, ["a1", "a2"]):
        if ids:
            clips.write(ids)
            clips.call("ingest", "clips/raw", "--from", str(clips.rows), "--prune")
        result = run(defs, dg.AssetSelection.assets(RAW), instance)
        assert result.success
        seen = result.get_asset_observation_events()[0].asset_observation_data.asset_observation
        assert seen.metadata["dagster/row_count"].value == len(ids)
        versions.append(seen.tags["dagster/data_version"])
    assert versions[0] == "empty" and versions[1] == versions[2] and len(set(versions)) == 3


def test_an_automation_condition_asks_when_the_parent_has_changed(clips, instance):
    """Dagster's own automation, by the data versions: an ingest that finds nothing new asks for nothing."""
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    defs = definitions(clips, ingest={"clips/raw": str(clips.rows)}, automation_condition=changed)
    cursor, asked = None, []
    for ids in (None, IDS, IDS, [*IDS, "c1"]):
        if ids is not None:
            clips.write(ids)
            assert run(defs, dg.AssetSelection.assets(RAW), instance).success
        result = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
        cursor = result.cursor
        asked.append(result.get_num_requested(UPPER))
    assert asked == [0, 1, 0, 1]


def tick(defs, cursor, instance):
    """One evaluation: the run requests, the reason for none, and the next cursor."""
    (sensor,) = defs.sensors
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
    data = sensor.evaluate_tick(context)
    return data.run_requests or [], data.skip_message, data.cursor


def test_the_sensor_asks_once_for_each_increment(clips, instance):
    clips.ingest()
    defs = definitions(clips, sensor=True)
    (request,), _, cursor = tick(defs, None, instance)
    assert request.asset_selection == [UPPER]
    assert (request.tags["metaxy/new"], request.tags["metaxy/stale"]) == ("4", "0")

    requests, said, cursor = tick(defs, cursor, instance)
    assert requests == [] and said == "clips/upper: 4 new, 0 stale, not asked for again"

    clips.rule(b2={"error": "no sound"})
    clips.call("run", "clips/upper", "--max-failed", "1", "--", *clips.processor)
    requests, said, cursor = tick(defs, cursor, instance)
    assert requests == [] and said.startswith("clips/upper: 1 new"), "a failed sample does not start runs again and again"

    clips.write([*IDS, "c1"])
    clips.ingest()
    (request,), _, cursor = tick(defs, cursor, instance)
    assert request.tags["metaxy/new"] == "2"
    clips.rule()
    clips.call("run", "clips/upper", "--", *clips.processor)
    requests, said, _ = tick(defs, cursor, instance)
    assert requests == [] and said == "clips/upper: nothing to do"


def test_the_sensor_tries_failed_samples_again_if_told_to(clips, instance):
    clips.ingest()
    defs = definitions(clips, sensor={"retry_failed_after_seconds": 0, "run_tags": {"team": "clips"}})
    for cursor in (None, "not of ours", json.dumps({"clips/upper": 3})):
        requests, _, after = tick(defs, cursor, instance)
        assert len(requests) == 1 and requests[0].tags["team"] == "clips"
        assert len(tick(defs, after, instance)[0]) == 1
    defs = definitions(clips, sensor={"minimum_samples": 5})
    assert tick(defs, None, instance)[0] == []


def test_the_sensor_says_what_is_missing(clips, instance):
    defs = definitions(clips, sensor=True)
    requests, said, _ = tick(defs, None, instance)
    assert requests == [] and "clips/raw" in said


def test_a_sensor_without_features_is_refused(clips):
    with pytest.raises(ValueError, match="no feature has parents"):
        increment_sensor("nothing", clips.command, Description.parse({"features": []}))
