"""Dagster cannot be told: what was computed is committed all the same, and the exit status and stderr say what is missing."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import zlib
from pathlib import Path

from conftest import Project

FEATURES = [{"key": "doc", "id_columns": ["id"]}, {"key": "doc/words", "id_columns": ["id"], "deps": ["doc"]}]

PROCESSOR = """
import json, os, shutil, sys
for line in sys.stdin:
    s = json.loads(line)
    shutil.rmtree(os.environ["REMOVE"], ignore_errors=True)
    print(json.dumps({"id": s["id"], "words": 3}), flush=True)
"""


def encoded(value: dict) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def prepare(p: Project, messages: Path) -> None:
    p.write_features(FEATURES)
    (p.folder / "processor.py").write_text(PROCESSOR)
    p.ingest("doc", [{"id": "a"}, {"id": "b"}])
    p.environment["DAGSTER_PIPES_CONTEXT"] = encoded({"data": {"run_id": "r", "asset_keys": ["doc/words"], "extras": {}}})
    p.environment["DAGSTER_PIPES_MESSAGES"] = encoded({"path": str(messages)})
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
