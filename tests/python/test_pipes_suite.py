"""Dagster's cross-language Pipes cases, by the Go adapter, over every pair of context and channel."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from azure.storage.blob import BlobServiceClient
from conftest import ROOT, Minio
from dagster._core.pipes.utils import PipesBlobStoreMessageReader
from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader
from dagster_gcp.pipes import PipesGCSContextInjector, PipesGCSMessageReader
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from minio_server import wait_until_live

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports, hundreds
    from dagster_azure.pipes import PipesAzureBlobStorageContextInjector, PipesAzureBlobStorageMessageReader

INTERVAL = 0.1
BUCKET = "metaxy"
AZURITE = ROOT / ".tools" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the adapter, freshly built."""
    binary = tmp_path_factory.mktemp("adapter") / "adapter"
    subprocess.run(["go", "build", "-o", binary, "./pipes/internal/adapter"], cwd=ROOT, check=True)
    return str(binary)


@pytest.fixture(autouse=True)
def quiet_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(command: Sequence[Any], url: str, folder: Path) -> Iterator[None]:
    """Runs a server as long as the block does."""
    process = subprocess.Popen(
        [str(part) for part in command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_live(url, process)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulator of Google Cloud Storage with one bucket."""
    server = ROOT / ".tools" / "bin" / "fake-gcs-server"
    if not server.exists():
        pytest.fail(".tools/bin/fake-gcs-server is missing: run `make setup`")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [server, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port,
               "-external-url", address, "-public-host", f"127.0.0.1:{port}", "-log-level", "error"]
    with serving(command, f"{address}/storage/v1/b?project=test", tmp_path_factory.mktemp("gcs")):
        gcs_client(address).create_bucket(BUCKET)
        yield address


def gcs_client(address: str) -> storage.Client:
    return storage.Client(
        project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": address},
    )


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an emulator of Azure Blob Storage with one container."""
    node = shutil.which("node")
    if node is None or not AZURITE.exists():
        pytest.skip("Azurite is missing: `make setup` installs it where npm is")
    port, account = free_port(), "devstoreaccount1"
    # The key of every Azurite (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    connection = (f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};"
                  f"BlobEndpoint=http://127.0.0.1:{port}/{account};")
    command = [node, AZURITE, "--blobPort", port, "--silent", "--inMemoryPersistence", "--skipApiVersionCheck",
               "--disableTelemetry"]
    with serving_tcp(command, port, tmp_path_factory.mktemp("azurite")):
        BlobServiceClient.from_connection_string(connection).create_container(BUCKET)
        yield connection


@contextmanager
def serving_tcp(command: Sequence[Any], port: int, folder: Path) -> Iterator[None]:
    """Like serving, for a server that answers plain requests with an error."""
    process = subprocess.Popen(
        [str(part) for part in command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


class FolderInjector(dg.PipesContextInjector):
    """Puts the context into a file, as Dagster's injectors of DBFS and of volumes do by calls of Databricks."""

    def __init__(self, mount: Path):
        self.mount = mount

    @contextmanager
    def inject_context(self, context: Any) -> Iterator[dict]:
        folder = Path(tempfile.mkdtemp(dir=self.mount))
        (folder / "context.json").write_text(json.dumps(context))
        yield {"path": str(folder / "context.json")}

    def no_messages_debug_text(self) -> str:
        return "Attempted to inject context by a folder."


class FolderReader(PipesBlobStoreMessageReader):
    """Reads chunks from a folder, as Dagster's readers of DBFS and of volumes do by calls of Databricks."""

    def __init__(self, mount: Path, strip: bool, include_stdio: bool = False):
        super().__init__(interval=INTERVAL)
        self.mount, self.strip, self.include_stdio = mount, strip, include_stdio

    @contextmanager
    def get_params(self) -> Iterator[dict]:
        self.folder = Path(tempfile.mkdtemp(dir=self.mount))
        path = "/" + str(self.folder.relative_to(self.mount)) if self.strip else str(self.folder)
        yield {"path": path, "include_stdio_in_messages": self.include_stdio}

    def messages_are_readable(self, params: Any) -> bool:
        return True

    def download_messages_chunk(self, index: int, params: Any) -> str | None:
        chunk = self.folder / f"{index}.json"
        return chunk.read_text() if chunk.exists() else None

    def no_messages_debug_text(self) -> str:
        return "Attempted to read messages from a folder."


class DbfsInjector(FolderInjector):
    @contextmanager
    def inject_context(self, context: Any) -> Iterator[dict]:
        with super().inject_context(context) as params:
            yield {"path": "/" + str(Path(params["path"]).relative_to(self.mount))}


@pytest.fixture
def channels(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Makes a context injector, a message reader and the environment of a kind."""

    def make(kind: str, include_stdio: bool = False) -> tuple[Any, Any, dict[str, str]]:
        if kind == "default":
            reader = dg.PipesTempFileMessageReader(include_stdio_in_messages=include_stdio)
            return dg.PipesTempFileContextInjector(), reader, {}
        if kind == "environment":
            return dg.PipesEnvContextInjector(), dg.PipesTempFileMessageReader(), {}
        if kind == "s3":
            minio: Minio = request.getfixturevalue("minio")
            s3 = boto3.client(
                "s3", endpoint_url=minio.endpoint, aws_access_key_id=minio.access_key,
                aws_secret_access_key=minio.secret_key, region_name="us-east-1",
            )
            reader = PipesS3MessageReader(
                bucket=BUCKET, client=s3, interval=INTERVAL, include_stdio_in_messages=include_stdio,
            )
            return PipesS3ContextInjector(bucket=BUCKET, client=s3), reader, minio.environment()
        if kind == "gcs":
            address = request.getfixturevalue("gcs")
            client = gcs_client(address)
            reader = PipesGCSMessageReader(
                bucket=BUCKET, client=client, interval=INTERVAL, include_stdio_in_messages=include_stdio,
            )
            return PipesGCSContextInjector(bucket=BUCKET, client=client), reader, {"STORAGE_EMULATOR_HOST": address}
        if kind == "azure":
            connection = request.getfixturevalue("azure")
            service = BlobServiceClient.from_connection_string(connection)
            reader = PipesAzureBlobStorageMessageReader(
                container=BUCKET, client=service, interval=INTERVAL, include_stdio_in_messages=include_stdio,
            )
            injector = PipesAzureBlobStorageContextInjector(container=BUCKET, client=service)
            return injector, reader, {"AZURE_STORAGE_CONNECTION_STRING": connection}
        if kind == "volumes":
            return FolderInjector(tmp_path), FolderReader(tmp_path, False, include_stdio), {}
        assert kind == "dbfs"
        return DbfsInjector(tmp_path), FolderReader(tmp_path, True, include_stdio), {"ADAPTER_DBFS": str(tmp_path)}

    return make


class Launched:
    """What came of a launch of the adapter under real Dagster."""

    def __init__(self, command: Sequence[str], *, injector: Any = None, reader: Any = None, extras: Any = None,
                 env: dict[str, str] | None = None, checks: Sequence[dg.AssetCheckSpec] = ()):
        @dg.asset(check_specs=checks)
        def my_asset(context: dg.AssetExecutionContext) -> Any:
            client = dg.PipesSubprocessClient(context_injector=injector, message_reader=reader)
            invocation = client.run(context=context, command=command, extras=extras, env=env)
            self.messages = list(invocation.get_custom_messages())
            yield from invocation.get_results()

        with dg.DagsterInstance.ephemeral() as instance:
            self.result = dg.materialize([my_asset], instance=instance, raise_on_error=False)
            self.logs = instance.all_logs(self.result.run_id)

    @property
    def job(self) -> str:
        return "__ephemeral_asset_job__"

    def texts(self) -> list[str]:
        return [e.user_message or "" for e in self.logs]

    def assert_whole(self) -> None:
        """Everything arrived, and the reader had nothing to complain of."""
        assert self.result.success, [t for t in self.texts() if "rror" in t]
        everything = "\n".join(self.texts() + [e.dagster_event.message or "" for e in self.logs if e.dagster_event])
        for complaint in ("did not receive", "after closed", "framework exception", "closed with exception"):
            assert complaint not in everything


JOB = "--job-name=__ephemeral_asset_job__"
BLOBS = ["s3", "gcs", "azure", "dbfs", "volumes"]
EXTRAS = [
    {},
    {"foo": "bar"},
    {"a": 1, "b": 1.5, "big": 12345678901234567890123, "no": None, "yes": True, "empty": ""},
    {"nested": {"list": [1, "two", None, {"three": [3.0]}]}, "text": "Ünï🎬 \u2028 <&> \"quoted\" \\ \n"},
]
PAYLOADS = [None, True, 0, -1.5, 1e300, 12345678901234567890123, "", "text Ünï🎬", [], {}, [[], {}, None], {"a": {"b": [1, 2.0, "c"]}}]


@pytest.mark.parametrize(
    ("context", "messages"),
    # Dagster's readers of chunks take three seconds each, so not every pair is tried.
    [("environment", "default"), ("default", "default"), ("environment", "gcs")]
    + [(kind, "default") for kind in BLOBS] + [(kind, kind) for kind in BLOBS],
)
def test_components(adapter: str, channels: Any, context: str, messages: str) -> None:
    injector, _, env = channels(context)
    _, reader, more = channels(messages)
    command = [adapter, "--env", "--full", JOB]
    if context in BLOBS:
        command += ["--context-loader", context]
    if messages in BLOBS:
        command += ["--message-writer", messages]
    launched = Launched(command, injector=injector, reader=reader, env={**env, **more})
    launched.assert_whole()
    assert launched.messages == ["Hello from external process!"]


@pytest.mark.parametrize("kind", ["environment", "default"])
@pytest.mark.parametrize("extras", EXTRAS)
def test_extras(adapter: str, channels: Any, tmp_path: Path, kind: str, extras: dict) -> None:
    (tmp_path / "extras.json").write_text(json.dumps(extras))
    injector, _, env = channels(kind)
    command = [adapter, "--full", "--env", f"--extras={tmp_path / 'extras.json'}", JOB]
    Launched(command, injector=injector, extras=extras, env=env).assert_whole()


def test_wrong_extras_are_noticed(adapter: str, tmp_path: Path) -> None:
    """The adapter does compare: other extras than the expected ones fail the step."""
    (tmp_path / "extras.json").write_text('{"n": 1.0}')
    launched = Launched([adapter, "--env", f"--extras={tmp_path / 'extras.json'}"], extras={"n": 1})
    assert not launched.result.success


@pytest.mark.parametrize("kind", ["default", "azure"])
def test_error_reporting(adapter: str, channels: Any, kind: str) -> None:
    injector, reader, env = channels(kind)
    options = [] if kind == "default" else ["--context-loader", kind, "--message-writer", kind]
    launched = Launched([adapter, "--full", "--throw-error", *options], injector=injector, reader=reader, env=env)
    assert not launched.result.success
    (event,) = [e.dagster_event for e in launched.logs
                if e.dagster_event and "closed with exception" in (e.dagster_event.message or "")]
    error = event.engine_event_data.error
    assert error.message == "Very bad error has happened!"
    assert error.cause.cls_name == "expected"
    assert any("main.run" in frame for frame in error.stack)


def test_message_log(adapter: str) -> None:
    launched = Launched([adapter, "--full", "--logging"])
    launched.assert_whole()
    levels = {e.user_message: e.level for e in launched.logs if not e.dagster_event}
    for level, number in {"Debug": 10, "Info": 20, "Warning": 30, "Error": 40, "Critical": 50}.items():
        assert levels[f"{level} message"] == number


@pytest.mark.parametrize("payload", PAYLOADS)
def test_custom_message(adapter: str, tmp_path: Path, payload: Any) -> None:
    (tmp_path / "payload.json").write_text(json.dumps({"payload": payload}))
    launched = Launched([adapter, "--full", "--env", JOB, "--custom-payload-path", str(tmp_path / "payload.json")])
    launched.assert_whole()
    assert launched.messages == [payload]
    assert type(launched.messages[0]) is type(payload)


METADATA = {
    "text": dg.MetadataValue.text("hello"),
    "url": dg.MetadataValue.url("http://someurl.com"),
    "path": dg.MetadataValue.path("file://some/path"),
    "notebook": dg.MetadataValue.notebook("notebook"),
    "json_object": dg.MetadataValue.json({"key": "value"}),
    "json_array": dg.MetadataValue.json([{"key": "value"}]),
    "md": dg.MetadataValue.md("**markdown**"),
    "bool_true": dg.MetadataValue.bool(True),
    "bool_false": dg.MetadataValue.bool(False),
    "float": dg.MetadataValue.float(1.0),
    "int": dg.MetadataValue.int(100),
    "dagster_run": dg.MetadataValue.dagster_run("db892d7f-0031-4747-973d-22e8b9095d9d"),
    "asset": dg.MetadataValue.asset(dg.AssetKey(["foo", "bar"])),
    "null": dg.MetadataValue.null(),
}


@pytest.mark.parametrize("version", [None, "alpha"])
@pytest.mark.parametrize("key", [None, "my_asset"])
def test_asset_materialization(adapter: str, tmp_path: Path, version: str | None, key: str | None) -> None:
    report = {name: v for name, v in {"dataVersion": version, "assetKey": key}.items() if v}
    (tmp_path / "asset.json").write_text(json.dumps(report))
    launched = Launched([adapter, "--full", "--env", JOB, "--report-asset-materialization", str(tmp_path / "asset.json")])
    launched.assert_whole()
    (event,) = launched.result.asset_materializations_for_node("my_asset")
    assert {name: event.metadata[name] for name in METADATA} == METADATA
    assert event.tags.get("dagster/data_version_is_user_provided") == ("true" if version else None)
    assert version is None or event.tags["dagster/data_version"] == version


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("severity", ["WARN", "ERROR"])
@pytest.mark.parametrize("key", [None, "my_asset"])
def test_asset_check(adapter: str, tmp_path: Path, passed: bool, severity: str, key: str | None) -> None:
    report = {"passed": passed, "severity": severity, "checkName": "my_check", **({"assetKey": key} if key else {})}
    (tmp_path / "check.json").write_text(json.dumps(report))
    launched = Launched(
        [adapter, "--full", "--env", JOB, "--report-asset-check", str(tmp_path / "check.json")],
        checks=[dg.AssetCheckSpec("my_check", asset="my_asset")],
    )
    launched.assert_whole()
    (check,) = launched.result.get_asset_check_evaluations()
    assert (check.passed, check.severity.name) == (passed, severity)
    assert check.metadata == METADATA


@pytest.mark.parametrize("kind", ["default", "s3", "volumes"])
def test_output_is_forwarded(adapter: str, channels: Any, capfd: Any, kind: str) -> None:
    injector, reader, env = channels(kind, include_stdio=True)
    options = [] if kind == "default" else ["--context-loader", kind, "--message-writer", kind]
    launched = Launched([adapter, "--output", *options], injector=injector, reader=reader, env=env)
    launched.assert_whole()
    out, err = capfd.readouterr()
    # Once from the process itself, whose streams the tests share, and once as a message.
    assert out.count("on stdout\n") == 2
    assert err.count("on stderr\n") == 2


def test_command_line(adapter: str) -> None:
    """Both options as two tokens and joined, with nothing in the environment."""
    from dagster_pipes import decode_param, encode_param

    for joined in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "messages")
            params = {
                "--dagster-pipes-context": encode_param({"data": {"extras": {}, "job_name": secrets.token_hex(4)}}),
                "--dagster-pipes-messages": encode_param({"path": path}),
            }
            job = decode_param(params["--dagster-pipes-context"])["data"]["job_name"]
            options = [f"{k}={v}" for k, v in params.items()] if joined else [x for kv in params.items() for x in kv]
            done = subprocess.run([adapter, *options, "--full", "--job-name", job], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            methods = [json.loads(line)["method"] for line in Path(path).read_text().splitlines()]
            assert methods == ["opened", "report_custom_message", "closed"]
