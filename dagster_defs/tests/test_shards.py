"""One materialization by several processes, in real Dagster with the real runner."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

PROGRAMS = Path(__file__).resolve().parent / "programs"
sys.path.insert(0, str(PROGRAMS))

from clips import TWENTY as IDS  # noqa: E402
from clips import UPPER, Clips  # noqa: E402

from metaxy_pipes import Shard, SubprocessShards, metaxy_pipes_assets  # noqa: E402
from metaxy_pipes.shards import with_flags  # noqa: E402

NAMES = ("new", "stale", "orphaned", "processed", "failed")
SHARDS = 4


@pytest.fixture
def clips(tmp_path, binary):
    return Clips.of_four_days(tmp_path / "clips")


def upper(result):
    """The only materialization."""
    (made,) = [e.materialization for e in result.get_asset_materialization_events()]
    return made


def counts(metadata):
    return {name: metadata[f"metaxy/{name}"].value for name in NAMES}


def observed(result):
    (event,) = result.get_asset_observation_events()
    return counts(event.asset_observation_data.asset_observation.metadata)


def failure(result):
    (event,) = [e for e in result.all_events if e.is_step_failure]
    return event.step_failure_data.user_failure_data


def test_one_materialization_as_by_one_process(clips, tmp_path, materialize):
    result = materialize(clips.assets(shards=SHARDS), selection=[UPPER])
    assert result.success
    made = upper(result)
    assert counts(made.metadata) == {"new": 20, "stale": 0, "orphaned": 0, "processed": 20, "failed": 0}
    assert made.metadata["metaxy/shards"].value == SHARDS
    assert made.metadata["dagster/row_count"].value == 20
    assert made.metadata["metaxy/materialized_in_run"].value == 20
    assert made.metadata["metaxy/samples_per_second"].value > 0
    assert clips.committed() == IDS and sorted(clips.called()) == IDS
    (check,) = result.get_asset_check_evaluations()
    assert check.passed and check.metadata["metaxy/processed"].value == 20

    alone = Clips.of_four_days(tmp_path / "alone")
    other = upper(materialize(alone.assets(), selection=[UPPER]))
    assert made.tags["dagster/data_version"] == other.tags["dagster/data_version"]
    assert set(made.metadata) - set(other.metadata) == {"metaxy/shards"}
    assert set(other.metadata) <= set(made.metadata), "nothing is shown of one process that is not of several"
    for name in ("dagster/column_schema", "metaxy/info", "metaxy/feature_version"):
        assert made.metadata[name] == other.metadata[name]
    (alones,) = materialize(alone.assets(), selection=[UPPER]).get_asset_check_evaluations()
    assert set(check.metadata) == set(alones.metadata)

    clips.rule()
    again = upper(materialize(clips.assets(shards=SHARDS), selection=[UPPER]))
    assert counts(again.metadata) == dict.fromkeys(NAMES, 0) and clips.called() == []
    assert again.tags["dagster/data_version"] == made.tags["dagster/data_version"]


def test_stale_samples_are_added_up(clips, materialize):
    assert materialize(clips.assets(shards=SHARDS), selection=[UPPER]).success
    text = clips.rows.read_text()
    for i in ("a1", "b2", "d4"):
        text = text.replace(f"clip {i}", f"another clip {i}")
    clips.rows.write_text(text)
    clips.ingest()
    clips.rule()
    made = upper(materialize(clips.assets(shards=SHARDS), selection=[UPPER]))
    assert counts(made.metadata) == {"new": 0, "stale": 3, "orphaned": 0, "processed": 3, "failed": 0}
    assert sorted(clips.called()) == ["a1", "b2", "d4"]


def test_a_failing_shard(clips, materialize):
    clips.rule(a1={"error": "no sound"}, a3={"error": "no frames"})
    result = materialize(clips.assets(shards=SHARDS), selection=[UPPER])
    assert not result.success and result.get_asset_materialization_events() == []
    left = [i for i in IDS if i not in ("a1", "a3")]
    assert clips.committed() == left, "the others' results stay"
    assert observed(result) == {"new": 20, "stale": 0, "orphaned": 0, "processed": 18, "failed": 2}
    assert [e.passed for e in result.get_asset_check_evaluations()] == [False]
    said = failure(result)
    lines = said.description.splitlines()
    assert "shards failed" in lines[0] and f"of {SHARDS}" in lines[0]
    assert "exit status 3" in said.description
    for told in ("clips/upper id=a1: no sound", "clips/upper id=a3: no frames"):
        (at,) = [n for n, line in enumerate(lines) if told in line]
        before = [line for line in lines[:at] if line.startswith("Shard ")]
        number = int(before[-1].removeprefix("Shard ").split("/")[0])
        assert said.metadata["shards"].data[str(number)]["exit_status"] == 3

    clips.rule()
    retried = materialize(clips.assets(shards=SHARDS), selection=[UPPER])
    assert counts(upper(retried).metadata)["processed"] == 2
    assert sorted(clips.called()) == ["a1", "a3"] and clips.committed() == IDS


def test_failures_that_are_tolerated(clips, materialize):
    clips.rule(a1={"error": "no sound"}, d3={"error": "no frames"})
    result = materialize(clips.assets(shards=SHARDS, run_args=("--max-failed", "2")), selection=[UPPER])
    assert result.success
    assert counts(upper(result).metadata) == {"new": 20, "stale": 0, "orphaned": 0, "processed": 18, "failed": 2}
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed and check.metadata["metaxy/failed"].value == 2
    shown = [record.data for record in check.metadata["metaxy/failures"].records]
    assert shown == [{"id": "a1", "error": "no sound"}, {"id": "d3", "error": "no frames"}]
    assert clips.called().count("a1") == 1, "the last report computes nothing again"


def test_a_killed_shard_and_dagsters_retry(clips, materialize):
    clips.rule(b1={"signal": int(signal.SIGKILL), "committed": clips.table(), "once": True})
    policy = dg.RetryPolicy(max_retries=1)
    result = materialize(clips.assets(shards=SHARDS, retry_policy=policy), selection=[UPPER])
    assert result.success
    made = upper(result)
    assert clips.committed() == IDS
    (restarted,) = [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
    assert "killed by signal 9" in str(restarted.event_specific_data.error)
    assert made.metadata["metaxy/materialized_in_run"].value == 20
    assert counts(made.metadata)["processed"] < 20


def test_a_program_that_cannot_be_started(clips, materialize):
    command = clips.command
    assets = metaxy_pipes_assets(
        [str(clips.home / "nowhere")],
        describe=command.describe(),
        processors={"clips/upper": clips.processor},
        select=["clips/upper"],
        shards=2,
    )
    said = failure(materialize([a for a in assets if isinstance(a, dg.AssetsDefinition)])).description
    assert "2 of 2 shards failed" in said and "Shard 0/2: start " in said and "nowhere" in said


def test_a_wrong_set_up_is_not_retried(clips, materialize):
    assets = clips.assets(shards=2, run_args=("--max-failed", "x"), retry_policy=dg.RetryPolicy(max_retries=2))
    result = materialize(assets, selection=[UPPER])
    assert not result.success and "exit status 4" in failure(result).description
    assert [e for e in result.all_events if e.is_step_restarted] == []


def test_partitions(clips, materialize):
    days = dg.StaticPartitionsDefinition(list("abcd"))
    assets = clips.assets(shards=2, partitions_def=days, partition_by="day")
    made = upper(materialize(assets, selection=[UPPER], partition_key="b"))
    assert made.partition == "b" and counts(made.metadata)["processed"] == 5
    assert made.metadata["dagster/partition_row_count"].value == 5
    assert clips.committed() == [i for i in IDS if i[0] == "b"]


class Dead:
    """A launcher that breaks after one of its shards."""

    def __init__(self):
        parts = SubprocessShards()
        self.context_injector, self.message_reader = parts.context_injector, parts.message_reader

    def run(self, context, shards):
        SubprocessShards().run(context, shards[:1])
        raise ConnectionError("the cluster is gone")


def test_a_launcher_that_breaks(clips, materialize):
    result = materialize(clips.assets(shards=2, shard_launcher=Dead()), selection=[UPPER])
    said = failure(result).description
    assert "ConnectionError: the cluster is gone" in said
    assert "Shard 1/2: its end is not known" in said and "Shard 0/2" not in said
    kept = clips.committed()
    assert observed(result)["processed"] == len(kept) and 0 < len(kept) < len(IDS)


def test_cancellation(clips, tmp_path):
    """The interruption reaches all shards: each commits what it holds and tells how far it came."""
    waiting = tmp_path / "waiting"
    waits = {i: {"wait": f"{waiting}-{i}"} for i in IDS if i.endswith("3")}
    clips.rule(**waits)
    home = tmp_path / "interrupted"
    home.mkdir()
    step = [sys.executable, str(PROGRAMS / "materialize_upper.py"), str(clips.home), str(home), "2"]
    with subprocess.Popen(step, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("waiting-*"))) < 2 or len(clips.called()) < 4:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0, said
    kept = clips.committed()
    assert kept and set(kept) <= set(IDS) - set(waits)

    with dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as instance:
        (run,) = instance.get_runs()
        events = [e.dagster_event for e in instance.all_logs(run.run_id) if e.dagster_event]
    closed = [e for e in events if e.is_engine_event and "closed with exception" in (e.message or "")]
    assert len(closed) == 2, "both shards have said why they end"
    (told,) = [e.asset_observation_data.asset_observation for e in events if e.is_asset_observation]
    assert told.metadata["metaxy/processed"].value == len(kept)
    assert told.metadata["metaxy/new"].value == len(IDS)

    clips.rule()
    clips.call("run", "clips/upper", "--", *clips.processor)
    assert sorted(clips.called()) == sorted(set(IDS) - set(kept))


def test_a_program_that_reports_nothing_is_no_success(actor, materialize):
    assets = metaxy_pipes_assets(actor(silent=True), select=["video/crop"], shards=2)
    said = failure(materialize([a for a in assets if isinstance(a, dg.AssetsDefinition)])).description
    assert "Shard 0/2 ended well, but reported nothing for video/crop" in said


def test_flags_stand_before_the_processors_command():
    assert with_flags(["b", "run", "f"], "--shard", "0/2") == ["b", "run", "f", "--shard", "0/2"]
    assert with_flags(["b", "run", "f", "--", "p", "--"], "-x") == ["b", "run", "f", "-x", "--", "p", "--"]


def test_a_client_without_a_launcher_is_told(clips, instance):
    assets = clips.assets(shards=2)
    result = dg.materialize(
        assets, selection=[UPPER], instance=instance, resources={"pipes_client": object()}, raise_on_error=False
    )
    (event,) = [e for e in result.all_events if e.is_step_failure]
    assert "give shard_launcher" in str(event.step_failure_data.error)
    with pytest.raises(ValueError, match="at least 1"):
        clips.assets(shards=0)


def test_a_shard_is_known_by_its_number():
    shard = Shard(1, 4, [], {}, None, SubprocessShards().message_reader, None)
    assert str(shard) == "shard 1/4" and not shard.ok
