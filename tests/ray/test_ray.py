"""The same increment over a real Ray of this machine: n tasks, one materialization in real Dagster."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest
import ray
from ray_shards import RayShards

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "dagster_defs" / "tests" / "programs"))

from clips import TWENTY as IDS  # noqa: E402
from clips import UPPER, Clips, materialize_upper  # noqa: E402

SHARDS = 3


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=SHARDS, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 1024 * 1024)
    yield
    ray.shutdown()


@pytest.fixture
def clips(tmp_path):
    return Clips.of_four_days(tmp_path / "clips")


def materialize(clips, **arguments):
    return materialize_upper(clips.assets(shards=SHARDS, shard_launcher=RayShards(options={"num_cpus": 1}), **arguments))


def upper(result):
    (made,) = [e.materialization for e in result.get_asset_materialization_events()]
    return made


def counts(metadata):
    return {name: metadata[f"metaxy/{name}"].value for name in ("new", "processed", "failed")}


def description_of_failure(result):
    (event,) = [e for e in result.all_events if e.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def test_one_materialization(clips, tmp_path):
    result = materialize(clips)
    assert result.success
    made = upper(result)
    assert counts(made.metadata) == {"new": 20, "processed": 20, "failed": 0}
    assert made.metadata["metaxy/shards"].value == SHARDS
    assert clips.committed() == IDS and sorted(clips.called()) == IDS

    alone = Clips(tmp_path / "alone").write(IDS)
    alone.ingest()
    alone.call("run", "clips/upper", "--", *alone.processor)
    assert f'"data_version": "{made.tags["dagster/data_version"]}"' in alone.call("status", "clips/upper", "--format", "json")


def test_a_worker_that_is_killed(clips, tmp_path):
    """Ray starts its shard again, which goes on with what is not committed."""
    waiting = tmp_path / "waiting"
    clips.rule(b1={"wait": str(waiting), "committed": clips.table(), "once": True})
    killed = []

    def kill():
        until = time.monotonic() + 60
        while not (waiting.exists() and waiting.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        worker = psutil.Process(int(waiting.read_text())).parent()
        killed.append(worker.name())
        worker.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = materialize(clips)
    killer.join()
    assert len(killed) == 1 and killed[0].startswith("ray"), killed
    assert result.success
    assert clips.committed() == IDS, "nothing is lost, nothing doubled"
    assert clips.called().count("b1") == 2, "what was in work is computed again"
    assert upper(result).metadata["metaxy/materialized_in_run"].value == len(IDS)


def test_a_failing_shard(clips):
    clips.rule(a1={"error": "no sound"})
    result = materialize(clips)
    assert not result.success
    said = description_of_failure(result)
    assert f"1 of {SHARDS} shards failed" in said and "exit status 3" in said and "id=a1: no sound" in said
    assert clips.committed() == [i for i in IDS if i != "a1"]
    clips.rule()
    assert counts(upper(materialize(clips)).metadata) == {"new": 1, "processed": 1, "failed": 0}
    assert clips.called() == ["a1"]


def test_cancellation(clips, tmp_path):
    """What Ray cancels commits what it holds and tells how far it came, before the step ends."""
    waiting = tmp_path / "waiting"
    clips.rule(b1={"wait": str(waiting), "committed": clips.table()})

    def interrupt():
        until = time.monotonic() + 60
        while not (waiting.exists() and waiting.read_text()) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    seen = []
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            dg.materialize(
                clips.assets(shards=SHARDS, shard_launcher=RayShards(options={"num_cpus": 1})),
                selection=[UPPER],
                instance=instance,
                resources={"pipes_client": dg.PipesSubprocessClient()},
                raise_on_error=False,
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            pass
        (run,) = instance.get_runs()
        seen = [e.dagster_event for e in instance.all_logs(run.run_id) if e.dagster_event]
    assert not run.is_success
    kept = clips.committed()
    assert kept and "b1" not in kept
    (told,) = [e.asset_observation_data.asset_observation for e in seen if e.is_asset_observation]
    assert told.metadata["metaxy/processed"].value == len(kept)
    assert [p for p in psutil.process_iter(["cmdline"]) if str(clips.calls) in (p.info["cmdline"] or [])] == []


def test_the_example_loads(tmp_path):
    """definitions.py with the program of examples/minimal."""
    binary = tmp_path / "steps"
    subprocess.run(["go", "build", "-o", str(binary), "./examples/minimal"], cwd=PROJECT, check=True)
    step = "import definitions as d; print(sorted(k.to_user_string() for k in d.defs.resolve_all_asset_keys()))"
    env = {**os.environ, "STEPS_BINARY": str(binary), "STEPS_STORE": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-c", step], capture_output=True, text=True, check=False, env=env)
    assert done.stdout.strip() == "['text', 'text/length']", done.stderr
