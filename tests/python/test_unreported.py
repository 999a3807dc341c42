"""Dagster cannot be told: what was computed is committed all the same, and the exit status and stderr say what is missing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Minio, Project
from test_secrets import session

FEATURES = [{"key": "doc", "id_columns": ["id"]}, {"key": "doc/words", "id_columns": ["id"], "deps": ["doc"]}]

PROCESSOR = """
import json, os, shutil, sys
for line in sys.stdin:
    s = json.loads(line)
    shutil.rmtree(os.environ["REMOVE"], ignore_errors=True)
    if "FILL" in os.environ:
        try:
            with open(os.environ["FILL"] + s["id"], "wb", buffering=0) as f:
                while f.write(bytes(4096)): pass
        except OSError:
            pass
    print(json.dumps({"id": s["id"], "words": 3}), flush=True)
"""


def encoded(value: dict) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def prepare(p: Project, messages: Path | dict) -> None:
    p.write_features(FEATURES)
    (p.folder / "processor.py").write_text(PROCESSOR)
    p.ingest("doc", [{"id": "a"}, {"id": "b"}])
    p.environment["DAGSTER_PIPES_CONTEXT"] = encoded({"data": {"run_id": "r", "asset_keys": ["doc/words"], "extras": {}}})
    p.environment["DAGSTER_PIPES_MESSAGES"] = encoded(messages if isinstance(messages, dict) else {"path": str(messages)})
    p.environment["REMOVE"] = str(p.folder / "nothing")


def run(p: Project, status: int) -> str:
    stderr = p.run("run", "doc/words", "--", sys.executable, "processor.py", status=status).stderr
    for name in ("DAGSTER_PIPES_CONTEXT", "DAGSTER_PIPES_MESSAGES"):
        del p.environment[name]
    return stderr


def assert_nothing_left(p: Project) -> None:
    assert [r["id"] for r in p.rows("read", "doc/words")] == ["a", "b"]
    assert p.run("resolve", "doc/words").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"


def test_message_file_vanishes(project: Project) -> None:
    folder = project.folder / "messages"
    folder.mkdir()
    prepare(project, folder / "m.jsonl")
    project.environment["REMOVE"] = str(folder)
    stderr = run(project, 1)
    assert "has been removed or replaced meanwhile" in stderr
    assert stderr.splitlines()[-1] == "new=2 stale=0 orphaned=0 processed=2 failed=0"
    assert_nothing_left(project)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a disk that can be filled has to be mounted, which is refused here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_message_disk_full(project: Project, small_disk: Path) -> None:
    """The disk of the messages file becomes full in the middle of the run, by the processor."""
    messages = small_disk / "m.jsonl"
    prepare(project, messages)
    project.environment["FILL"] = str(small_disk / "filler")
    stderr = run(project, 1)
    assert "no space left on device" in stderr
    assert "2 samples are committed, but Dagster could not be told" in stderr
    assert stderr.splitlines()[-1] == "new=2 stale=0 orphaned=0 processed=2 failed=0"
    first = json.loads(messages.read_text().splitlines()[0])
    assert first["method"] == "opened"
    assert_nothing_left(project)


def test_message_prefix_refused(minio_project: Project, minio: Minio) -> None:
    """The credentials may write the tables, and not the messages."""
    p = minio_project
    prepare(p, {"bucket": "metaxy", "key_prefix": "refused/messages"})
    prefix = p.store.removeprefix("s3://metaxy/")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::metaxy"]},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [f"arn:aws:s3:::metaxy/{prefix}/*"]}]}
    root = dict(p.environment)
    p.environment |= session(minio, policy) | {"METAXY_EXT__METAXY_PIPES__PIPES_CHANNEL": "s3"}
    stderr = run(p, 1)
    assert "s3://metaxy/refused/messages/1.json" in stderr
    assert "AccessDenied" in stderr
    assert stderr.splitlines()[-1] == "new=2 stale=0 orphaned=0 processed=2 failed=0"
    p.environment = {k: v for k, v in root.items() if not k.startswith("DAGSTER_PIPES")}
    assert_nothing_left(p)


def test_lines_longer_than_a_container_log_takes(project: Project) -> None:
    """On stdout, where container runtimes cut lines at 16 KiB: ids of 100 kB and 3,000 columns are shortened, and all arrives."""
    project.write_features(FEATURES)
    (project.folder / "processor.py").write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    s = json.loads(line)\n"
        "    if s['id'][0] == 'b': print(json.dumps({'id': s['id'], 'error': 'no ' + s['id']}), flush=True)\n"
        "    else: print(json.dumps({'id': s['id']} | {f'a_rather_long_name_{i}': i for i in range(3000)}), flush=True)\n")
    project.ingest("doc", [{"id": c * 100_000} for c in "abc"])
    project.environment["DAGSTER_PIPES_CONTEXT"] = encoded({"data": {"run_id": "r", "asset_keys": ["doc/words"], "extras": {}}})
    project.environment["DAGSTER_PIPES_MESSAGES"] = encoded({"stdio": "stdout"})
    done = project.run("run", "doc/words", "--max-failed", "1", "--", sys.executable, "processor.py")
    assert done.stderr.splitlines()[-1] == "new=3 stale=0 orphaned=0 processed=2 failed=1"
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) < 16 << 10
    methods = [json.loads(line)["method"] for line in lines]
    assert methods[0] == "opened"
    assert methods[-1] == "closed"
    (event,) = [json.loads(line)["params"] for line in lines if '"report_asset_materialization"' in line]
    assert event["metadata"]["metaxy/processed"]["raw_value"] == 2
    assert event["metadata"]["metaxy/failed"]["raw_value"] == 1


def test_reader_goes_away(project: Project) -> None:
    """The pipe of messages breaks after the first one, as a full disk does: no later message can be sent."""
    fifo = project.folder / "fifo"
    os.mkfifo(fifo)
    prepare(project, fifo)
    first = []

    def read_one() -> None:
        with open(fifo, "rb", buffering=0) as f:
            first.append(f.readline())

    reader = threading.Thread(target=read_one)
    reader.start()
    stderr = run(project, 1)
    reader.join()
    assert b'"opened"' in first[0]
    assert "send" in stderr
    assert "broken pipe" in stderr
    assert "2 samples are committed, but Dagster could not be told" in stderr
    assert stderr.splitlines()[-1] == "new=2 stale=0 orphaned=0 processed=2 failed=0"
    assert_nothing_left(project)


def test_nowhere_to_report_to(project: Project) -> None:
    """A run that cannot even begin to report computes nothing, so that no money is spent unseen."""
    for messages, says in ((Path("/dev/full"), "no space left on device"), (project.folder / "no" / "such", "no such file")):
        prepare(project, messages)
        stderr = run(project, 1)
        assert says in stderr
        assert stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0 processed=0 failed=0"
        assert not (Path(project.store) / "doc" / "words.delta").exists()
