"""Context and messages through S3: real Dagster, MinIO, and a run of the binary, as in a pod that shares no disk."""

import json
import os
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from conftest import Minio
from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader

CHANNEL = "METAXY_EXT__METAXY_PIPES__PIPES_CHANNEL"
FEATURES = {"features": [
    {"key": "note", "id_columns": ["id"], "fields": ["text"]},
    {"key": "note/copy", "id_columns": ["id"], "deps": ["note"], "fields": ["text"]},
]}
COPY = "import json, sys\nfor line in sys.stdin: print(json.dumps({'id': json.loads(line)['id']}), flush=True)\n"


@pytest.fixture
def project(tmp_path: Path, binary: Path) -> Path:
    """Two notes that are not copied yet."""
    (tmp_path / "features.json").write_text(json.dumps(FEATURES))
    (tmp_path / "notes.jsonl").write_text('{"id": "a"}\n{"id": "é🎈"}\n')
    (tmp_path / "copy.py").write_text(COPY)
    assert os.spawnl(
        os.P_WAIT, binary, binary, "--store", str(tmp_path / "data"), "--features", str(tmp_path / "features.json"),
        "ingest", "note", "--from", str(tmp_path / "notes.jsonl"),
    ) == 0
    return tmp_path


def materialize(project: Path, binary: Path, minio: Minio, bucket: str, **environment: str) -> Any:
    """Materializes note/copy, with the context and the messages in a bucket."""
    s3 = boto3.client(
        "s3", endpoint_url=minio.endpoint, aws_access_key_id=minio.access_key,
        aws_secret_access_key=minio.secret_key, region_name="us-east-1",
    )

    @dg.asset(key=["note", "copy"])
    def copy(context: dg.AssetExecutionContext, pipes_client: dg.PipesSubprocessClient) -> Any:
        command = [
            str(binary), "run", "note/copy", "--store", str(project / "data"),
            "--features", str(project / "features.json"), "--", "python3", str(project / "copy.py"),
        ]
        return pipes_client.run(context=context, command=command, env=environment).get_materialize_result()

    client = dg.PipesSubprocessClient(
        context_injector=PipesS3ContextInjector(bucket=bucket, client=s3),
        message_reader=PipesS3MessageReader(bucket=bucket, client=s3, interval=0.1),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([copy], resources={"pipes_client": client}, instance=instance, raise_on_error=False)


def test_everything_arrives(project: Path, binary: Path, minio: Minio) -> None:
    result = materialize(project, binary, minio, "metaxy", **minio.environment(), **{CHANNEL: "s3"})
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["metaxy/processed"].value == 2


def test_credentials_that_are_refused_fail_the_run(project: Path, binary: Path, minio: Minio) -> None:
    result = materialize(project, binary, minio, "metaxy", **{**minio.environment(), CHANNEL: "s3", "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert not result.success


def test_without_the_setting_the_payload_is_refused_by_name(project: Path, binary: Path, minio: Minio, capfd: Any) -> None:
    result = materialize(project, binary, minio, "metaxy", **minio.environment())
    assert not result.success
    assert "pipes_channel" in capfd.readouterr().err
