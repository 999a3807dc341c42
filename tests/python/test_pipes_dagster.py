"""The Go implementation of Dagster Pipes under real Dagster, and beside Python's own implementation."""

import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.metadata.table import TableColumnLineage
from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_pipes import encode_param

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="needs the Go toolchain")


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """The path of the probe program, freshly built."""
    binary = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(["go", "build", "-o", binary, "./pipes/internal/probe"], cwd=REPOSITORY, check=True)
    return str(binary)


@pytest.fixture(autouse=True)
def quiet_dagster(monkeypatch):
    """No instance of the developer's is touched, and nobody is told."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")


CHECKS = [dg.AssetCheckSpec("present", asset="out"), dg.AssetCheckSpec("fresh", asset="out")]


def launch(
    probe,
    scenario,
    *,
    keys=("out",),
    code_version=None,
    partitions=None,
    partition_key=None,
    checks=(),
    extras=None,
    sent=None,
):
    """Materializes assets by running a scenario of the probe; returns the result and the instance's log entries."""
    # Outputs have names of their own, since an asset's key may have characters that a name may not.
    outs = {f"out{i}": dg.AssetOut(key=key, code_version=code_version) for i, key in enumerate(keys)}

    @dg.multi_asset(outs=outs, check_specs=checks, partitions_def=partitions)
    def step(context: dg.AssetExecutionContext):
        run = dg.PipesSubprocessClient().run(context=context, command=[probe, scenario], extras=extras)
        if sent is not None:
            sent.extend(run.get_custom_messages())
        return run.get_results()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([step], instance=instance, raise_on_error=False, partition_key=partition_key)
        return result, instance.all_logs(result.run_id)


def engine_errors(logs, text):
    """The errors of the engine events whose message has the given text."""
    events = [e.dagster_event for e in logs if e.dagster_event and text in (e.dagster_event.message or "")]
    return [e.engine_event_data.error for e in events]


def assert_reader_was_happy(logs):
    assert engine_errors(logs, "framework exception") == []
    messages = "\n".join(e.user_message or "" for e in logs)
    assert "did not receive" not in messages
    assert "after closed" not in messages


def test_every_message(probe, capfd):
    sent = []
    result, logs = launch(probe, "everything", checks=CHECKS, sent=sent)
    assert result.success
    assert_reader_was_happy(logs)

    assert sent == [{"rows": 3, "big": 18446744073709551615, "text": "Ünï🎬"}]
    levels = {e.user_message: e.level for e in logs if not e.dagster_event}
    assert levels["fine grained"] == 10
    assert levels['informed key="a value" n=1'] == 20
    assert levels["warned g.inside=true"] == 30
    assert levels["erred err=boom"] == 40
    assert levels["critical"] == 50
    out, err = capfd.readouterr()
    assert "forwarded to stdout\n" in out
    assert "forwarded to stderr\n" in err

    checks = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert checks["present"].passed and checks["present"].severity == dg.AssetCheckSeverity.ERROR
    assert checks["present"].metadata == {"n": dg.MetadataValue.int(1)}
    assert not checks["fresh"].passed and checks["fresh"].severity == dg.AssetCheckSeverity.WARN


def test_every_metadata_type(probe):
    result, logs = launch(probe, "everything", checks=CHECKS)
    assert_reader_was_happy(logs)
    (event,) = result.asset_materializations_for_node("step")
    assert event.tags["dagster/data_version"] == "v-1"
    assert event.tags["dagster/data_version_is_user_provided"] == "true"

    columns = [
        dg.TableColumn(
            "id", "string", "who", dg.TableColumnConstraints(nullable=False, unique=True, other=["not blank"])
        ),
        dg.TableColumn("score", "double", tags={"unit": "points"}),
    ]
    value = dg.MetadataValue
    moment = datetime.datetime(2024, 2, 29, 12, 30, 0, 250000, tzinfo=datetime.timezone.utc)
    want = {
        "text": value.text('plain\nÜber 🎬 \u2028 \u0085 <&> "quoted"'),
        "url": value.url("https://dagster.io/?a=1&b=2"),
        "path": value.path("s3://bucket/key"),
        "notebook": value.notebook("/n.ipynb"),
        "md": value.md("# title"),
        "json": value.json({"a": [1, "x", None, True, 2.5]}),
        "json_list": value.json([1, 2]),
        "float": value.float(1.0),
        "fraction": value.float(0.1),
        "large": value.float(1e21),
        "zero": value.float(0.0),
        "int": value.int(-9007199254740993),
        "uint": value.int(18446744073709551615),
        "huge": value.int(123456789012345678901234567890),
        "bool": value.bool(True),
        "run": value.dagster_run("c0ffee00-0000-4000-8000-000000000000"),
        "asset": value.asset(dg.AssetKey(["up", "stream"])),
        "null": value.null(),
        "moment": value.timestamp(moment),
        "table": value.table(
            [dg.TableRecord({"id": "a", "score": 1.0}), dg.TableRecord({"id": "b", "score": None})],
            dg.TableSchema(columns),
        ),
        "schema": value.table_schema(dg.TableSchema(columns)),
        "lineage": value.column_lineage(
            TableColumnLineage({"score": [dg.TableColumnDep(dg.AssetKey(["up", "s/t"]), "raw")]})
        ),
        "infer_text": value.text("guess"),
        "infer_int": value.int(7),
        "infer_float": value.float(7.0),
        "infer_bool": value.bool(False),
        "infer_null": value.null(),
        "infer_json": value.json(["a", 1]),
    }
    got = {name: event.metadata[name] for name in want}
    assert got == want
    assert isinstance(got["float"].value, float) and isinstance(got["infer_float"].value, float)


def test_several_assets_with_odd_keys(probe):
    keys = [dg.AssetKey(["a/b", "c\\d"]), dg.AssetKey(["plain"]), dg.AssetKey(["Ünï", "🎬"])]
    result, logs = launch(probe, "versions", keys=keys)
    assert result.success
    assert_reader_was_happy(logs)
    got = {e.asset_key: e.tags["dagster/data_version"] for e in result.asset_materializations_for_node("step")}
    assert got == {key: "of " + key.to_escaped_user_string() for key in keys}


@pytest.mark.parametrize(
    ("partitions", "key", "window"),
    [
        (
            dg.DailyPartitionsDefinition("2024-01-01"),
            "2024-01-05",
            {"start": "2024-01-05T00:00:00+00:00", "end": "2024-01-06T00:00:00+00:00"},
        ),
        (
            dg.HourlyPartitionsDefinition("2024-03-10-00:00", timezone="America/New_York"),
            "2024-03-10-03:00",
            {"start": "2024-03-10T03:00:00-04:00", "end": "2024-03-10T04:00:00-04:00"},
        ),
        (dg.StaticPartitionsDefinition(["y|z"]), "y|z", None),
        (None, None, None),
    ],
)
def test_context(probe, partitions, key, window):
    sent = []
    extras = {"exact": {"n": 123456789012345678901234567890}, "text": "Ünï🎬"}
    result, logs = launch(
        probe,
        "context",
        keys=[dg.AssetKey(["x", "y/z"])],
        code_version="c1",
        partitions=partitions,
        extras=extras,
        sent=sent,
        partition_key=key,
    )
    assert result.success
    assert_reader_was_happy(logs)
    (got,) = sent
    partition_range = {"start": key, "end": key} if key else None
    assert got["context"] == {
        "run_id": result.run_id,
        "job_name": "__ephemeral_asset_job__",
        "retry_number": 0,
        "asset_keys": ["x/y\\/z"],
        "code_version_by_asset_key": {"x/y\\/z": "c1"},
        "provenance_by_asset_key": {"x/y\\/z": None},
        "partition_key": key,
        "partition_key_range": partition_range,
        "partition_time_window": window,
        "extras": extras,
    }
    assert got["exact"] == 123456789012345678901234567890
    assert (got["partition"] or None) == key
    assert got["window"] == window
    assert got["scope_errors"] == [key is None, key is None]


def test_failure_has_its_causes(probe):
    result, logs = launch(probe, "failure")
    assert not result.success
    assert_reader_was_happy(logs)
    (error,) = engine_errors(logs, "closed with exception")
    assert error.cls_name == "error"
    assert error.message == "crop sample v1: open input.mp4: file does not exist\nsecond reason"
    assert error.stack and all(frame.endswith("\n") for frame in error.stack)
    joined = error.cause
    assert (joined.cls_name, joined.stack) == ("error", [])
    assert joined.cause.cls_name == "PathError"
    assert joined.cause.message == "open input.mp4: file does not exist"
    assert joined.cause.cause.message == "file does not exist"
    assert joined.context.message == "second reason"
    assert "failed with code 1" in step_failure(result)


def step_failure(result):
    (failure,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    return failure.event_specific_data.error.to_string()


def test_panic(probe):
    result, logs = launch(probe, "panic")
    assert not result.success
    assert_reader_was_happy(logs)
    (error,) = engine_errors(logs, "closed with exception")
    assert error.cls_name == "panic"
    assert "index out of range [3] with length 0" in error.message
    assert "main.panics" in error.stack[-1]
    assert any("main.main" in frame for frame in error.stack)
    assert "runtime.gopanic" not in "".join(error.stack)
    assert error.cause.cls_name == "boundsError"
    assert "failed with code 2" in step_failure(result)


def test_exit_without_close(probe):
    result, logs = launch(probe, "exit")
    assert not result.success
    assert engine_errors(logs, "framework exception") == []
    assert "leaving without a word" in [e.user_message for e in logs]
    assert "failed with code 7" in step_failure(result)


def test_many_goroutines(probe):
    result, logs = launch(probe, "parallel")
    assert result.success
    assert_reader_was_happy(logs)
    got = sorted(e.user_message for e in logs if (e.user_message or "").startswith("parallel "))
    assert got == sorted(f"parallel {worker}.{i}" for worker in range(8) for i in range(50))


def test_large_context_and_refused_message(probe):
    """A context of megabytes gets in, by file; a message as large is refused before it can stop the reader."""
    sent = []
    result, logs = launch(probe, "context", extras={"filler": "é" * (4 << 20)}, sent=sent)
    assert_reader_was_happy(logs)
    assert not result.success
    (error,) = engine_errors(logs, "closed with exception")
    assert "message is too large" in error.message


SIGNALS = [(signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")]


@pytest.mark.parametrize(("number", "name"), SIGNALS)
@pytest.mark.parametrize("scenario", ["wait", "stubborn"])
def test_signal_closes_with_exception(probe, tmp_path, scenario, number, name):
    ready = tmp_path / "ready"
    process, messages = open_by_hand(probe, scenario, tmp_path, {"PROBE_READY": str(ready)})
    wait_for(ready.exists)
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number
    *_, closed = messages()
    assert closed["method"] == "closed"
    exception = closed["params"]["exception"]
    assert exception["name"] == "SignalError"
    assert exception["message"].startswith(f"interrupted by {name}")
    assert [m["method"] for m in messages()].count("closed") == 1


def test_second_signal_exits_at_once(probe, tmp_path):
    ready = tmp_path / "ready"
    env = {"PROBE_READY": str(ready), "PROBE_GRACE": "1h"}
    process, messages = open_by_hand(probe, "stubborn", tmp_path, env)
    wait_for(ready.exists)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # a Ctrl-C that arrives twice at once is one signal
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGTERM)  # until one comes more than a second after the first
        time.sleep(0.2)
    assert process.wait(timeout=5) in (130, 143)
    assert messages()[-1]["params"]["exception"]["name"] == "SignalError"


CANCELLED = """
import subprocess
import sys
from pathlib import Path

import dagster as dg
import dagster._core.pipes.subprocess as pipes_subprocess

program, ready, waiting = sys.argv[1:]


class Popen(subprocess.Popen):
    def wait(self, timeout=None):
        # An interruption before this point would leave the child without a signal: Dagster catches it from here on.
        Path(waiting).touch()
        return super().wait(timeout)


pipes_subprocess.Popen = Popen


@dg.asset
def out(context: dg.AssetExecutionContext):
    client = dg.PipesSubprocessClient()
    return client.run(context=context, command=[program, "wait"], env={"PROBE_READY": ready}).get_materialize_result()


instance = dg.DagsterInstance.ephemeral()
try:
    dg.materialize([out], instance=instance)
finally:
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            error = event.event_specific_data.error if event and event.is_engine_event else None
            print("LOG", entry.user_message, error.message if error else "")
"""


def test_cancelled_run_is_told_why(probe, tmp_path):
    """Dagster's own cancellation: it sends SIGINT to the child and still reads what the child says."""
    ready, waiting = tmp_path / "ready", tmp_path / "waiting"
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", CANCELLED, probe, ready, waiting],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: ready.exists() and waiting.exists(), seconds=60)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    text = output.read_text()
    assert "LOG stopping: interrupted by SIGINT" in text
    assert "interrupted by SIGINT: context canceled" in text
    assert "framework exception" not in text


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


CONTEXT = {
    "asset_keys": ["out"],
    "code_version_by_asset_key": {"out": None},
    "provenance_by_asset_key": {"out": None},
    "partition_key": None,
    "partition_key_range": None,
    "partition_time_window": None,
    "run_id": "r",
    "job_name": None,
    "retry_number": 0,
    "extras": {},
}


def open_by_hand(program, scenario, folder, env=None, *, options=False):
    """Starts a program with Pipes parameters, without Dagster; returns the process and its messages so far."""
    file = folder / "messages"
    file.touch()
    context, messages = encode_param({"data": CONTEXT}), encode_param({"path": str(file)})
    command = [program, scenario]
    if options:
        command += ["--dagster-pipes-context", context, f"--dagster-pipes-messages={messages}"]
    else:
        env = {**(env or {}), "DAGSTER_PIPES_CONTEXT": context, "DAGSTER_PIPES_MESSAGES": messages}
    process = subprocess.Popen(command, env={**os.environ, **(env or {})})
    return process, lambda: [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("options", [False, True])
def test_same_messages_as_python(probe, tmp_path, options):
    process, messages = open_by_hand(probe, "reference", tmp_path, options=options)
    assert process.wait(timeout=20) == 0
    reference = tmp_path / "reference"
    reference.mkdir()
    program = REPOSITORY / "tests" / "python" / "pipes_reference.py"
    context, params = encode_param({"data": CONTEXT}), encode_param({"path": str(reference / "messages")})
    subprocess.run(
        [sys.executable, program],
        env={**os.environ, "DAGSTER_PIPES_CONTEXT": context, "DAGSTER_PIPES_MESSAGES": params},
        check=True,
    )
    want = [json.loads(line) for line in (reference / "messages").read_text().splitlines()]
    # Compared as text, in which 1, 1.0 and true differ.
    assert [exact(m) for m in messages()] == [exact(m) for m in want]


def exact(message):
    return json.dumps(message, sort_keys=True)


class StderrReader(dg.PipesMessageReader):
    """Reads messages among other output of a process, as the readers of container logs do, with their own function."""

    def __init__(self, kind):
        self.kind = kind
        self.handler = None

    @contextlib.contextmanager
    def read_messages(self, handler):
        self.handler = handler
        yield {self.kind: "stderr"}

    def feed(self, text):
        for line in text.splitlines():
            extract_message_or_forward_to_stdout(self.handler, line)

    def no_messages_debug_text(self):
        return "the messages are in stderr"


@pytest.mark.parametrize("kind", ["stdio", "buffered_stdio"])
@pytest.mark.parametrize("scenario", ["everything", "failure"])
def test_messages_among_other_output(probe, kind, scenario):
    """The channels of Kubernetes, Docker and Lambda, with an inline context."""
    reader = StderrReader(kind)

    @dg.asset(check_specs=CHECKS)
    def out(context: dg.AssetExecutionContext):
        with dg.open_pipes_session(context, dg.PipesEnvContextInjector(), reader) as session:
            env = {**os.environ, **session.get_bootstrap_env_vars()}
            run = subprocess.run([probe, scenario], env=env, stderr=subprocess.PIPE, text=True, check=False)
            reader.feed(run.stderr)
        assert run.returncode == (0 if scenario == "everything" else 1)
        yield from session.get_results()
        if scenario == "failure":
            yield dg.AssetCheckResult(check_name="present", passed=False)
            yield dg.AssetCheckResult(check_name="fresh", passed=False)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([out], instance=instance)
        logs = instance.all_logs(result.run_id)
    assert result.success
    assert_reader_was_happy(logs)
    if scenario == "everything":
        (event,) = result.asset_materializations_for_node("out")
        assert event.metadata["huge"].value == 123456789012345678901234567890
    else:
        (error,) = engine_errors(logs, "closed with exception")
        assert error.message.startswith("crop sample v1")


def test_nothing_is_written_without_dagster(probe, tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("DAGSTER")}
    run = subprocess.run([probe, "everything"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert run.stdout == ""
    assert "level=INFO msg=informed" in run.stderr
    assert "__dagster_pipes_version" not in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"DAGSTER_PIPES_CONTEXT": ""}, "environment variable DAGSTER_PIPES_CONTEXT: value is empty"),
        ({"DAGSTER_PIPES_CONTEXT": encode_param({"data": CONTEXT})}, "DAGSTER_PIPES_MESSAGES: it is missing"),
        ({"DAGSTER_PIPES_CONTEXT": "%%%", "DAGSTER_PIPES_MESSAGES": ""}, "DAGSTER_PIPES_CONTEXT: read base64"),
    ],
)
def test_broken_bootstrap_is_explained(probe, env, complaint):
    run = subprocess.run(
        [probe, "everything"], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert complaint in run.stderr
