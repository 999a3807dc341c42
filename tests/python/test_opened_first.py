"""Dagster hears that a step has begun before its store is asked for anything, and why it could not go on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import Project
from test_unreported import encoded

FEATURES = [
    {"key": "video", "id_columns": ["id"], "fields": ["default"]},
    {"key": "video/crop", "id_columns": ["id"], "deps": ["video"], "fields": ["default"]},
]


def launched(messages: Path) -> dict[str, str]:
    """What the environment of a process has that Dagster launches, whose messages go to a file."""
    context = {"asset_keys": ["video/crop"], "run_id": "r", "extras": {}}
    return {"DAGSTER_PIPES_CONTEXT": encoded({"data": context}), "DAGSTER_PIPES_MESSAGES": encoded({"path": str(messages)})}


def methods(messages: Path) -> list[str]:
    return [json.loads(line)["method"] for line in messages.read_text().splitlines()] if messages.exists() else []


def test_a_silent_store_is_asked_after_opened(project: Project, tmp_path: Path) -> None:
    """S3 takes the connection and never answers: the message is there all the same, and SIGTERM still ends the step."""
    messages = tmp_path / "messages"
    project.write_features(FEATURES)
    project.store = "s3://bucket/store"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        keys = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "r"}
        project.environment |= launched(messages) | keys
        process = project.start("run", "video/crop", "--dry-run", stderr=subprocess.PIPE, text=True)
        connection, _ = server.accept()  # the store is being asked
        with connection:
            assert methods(messages) == ["opened"]
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert methods(messages)[-1] == "closed" and methods(messages).count("closed") == 1


@pytest.mark.parametrize(
    ("store", "status", "says"),
    [("gs://bucket/store", 1, 'scheme "gs" is not supported'), ("", 4, "no store"), ("s3://bucket/store", 1, "no TLS")],
)
def test_dagster_learns_why_a_store_does_not_open(project: Project, tmp_path: Path, store: str, status: int, says: str) -> None:
    messages = tmp_path / "messages"
    project.write_features(FEATURES)
    project.store = store
    project.environment |= {"AWS_ENDPOINT_URL": "http://192.0.2.1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    alone = project.run("run", "video/crop", status=status).stderr
    assert says in alone
    project.environment |= launched(messages)
    reported = project.run("run", "video/crop", status=status).stderr
    assert reported == alone, "said once, and no summary of nothing"
    assert methods(messages)[0] == "opened"
    closed = json.loads(messages.read_text().splitlines()[-1])
    assert closed["method"] == "closed" and says in closed["params"]["exception"]["message"]


def test_a_parent_without_a_table_is_named(project: Project, tmp_path: Path) -> None:
    """The run says what to do, to Dagster too."""
    messages = tmp_path / "messages"
    project.write_features(FEATURES)
    project.environment |= launched(messages)
    says = "there is no table of video: ingest it first, or check --store"
    assert f"error: {says}\n" in project.run("run", "video/crop", "--", "cat", status=1).stderr
    closed = json.loads(messages.read_text().splitlines()[-1])
    assert closed["method"] == "closed" and closed["params"]["exception"]["message"] == says
