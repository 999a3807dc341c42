"""Runs of the whole program against a folder and MinIO: the same tables, two runners at once, kill -9 in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Minio, Project
from deltalake import DeltaTable

FEATURES = [
    {"key": "video/raw", "id_columns": ["id"], "fields": ["audio", "frames"]},
    {
        "key": "video/caption",
        "id_columns": ["id"],
        "deps": ["video/raw"],
        "fields": [{"key": "text", "deps": [{"feature": "video/raw", "fields": ["audio"]}]}],
    },
]

# Answers each sample after a pause, and notes it in a file, so that a test can count how often it was called.
PROCESSOR = """
import json, os, sys, time
for line in sys.stdin:
    sample = json.loads(line)
    time.sleep(float(os.environ.get("PAUSE", "0")))
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(sample["id"] + "\\n")
    print(json.dumps({"id": sample["id"], "text": "caption of " + sample["path"]}), flush=True)
"""

# What differs from one run to the next by its nature.
VOLATILE = {"metaxy_created_at", "metaxy_updated_at", "metaxy_materialization_id"}


def samples(count: int, version: str = "1") -> list[dict]:
    return [
        {"id": f"v{i:04}", "path": f"/in/{i}.mp4", "metaxy_provenance_by_field": {"audio": f"a{i}-{version}", "frames": f"f{i}-{version}"}}
        for i in range(count)
    ]


def prepare(project: Project, count: int) -> None:
    project.write_features(FEATURES)
    (project.folder / "processor.py").write_text(PROCESSOR)
    project.environment["CALLS"] = str(project.folder / "calls.txt")
    assert project.ingest("video/raw", samples(count)) == f"new={count} stale=0 unchanged=0 removed=0"


def run_arguments(*extra: str) -> list[str]:
    return ["run", "video/caption", "--concurrency", "2", *extra, "--", sys.executable, "processor.py"]


def calls(project: Project) -> Counter[str]:
    path = project.folder / "calls.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def table(project: Project) -> list[dict]:
    rows = project.rows("read", "video/caption")
    return sorted(({k: v for k, v in r.items() if k not in VOLATILE} for r in rows), key=lambda r: r["id"])


def physical_ids(project: Project, minio: Minio | None = None) -> list[str]:
    """The ids of all rows in the table's files, as delta-rs sees them."""
    options = minio.storage_options() if minio else None
    found = DeltaTable(f"{project.store}/video/caption.delta", storage_options=options).to_pyarrow_table(columns=["id"])
    return sorted(found.column("id").to_pylist())


def test_minio_gives_the_same_tables_as_a_folder(project: Project, minio_project: Project, tmp_path: Path) -> None:
    tables = []
    for p, folder in ((project, tmp_path / "a"), (minio_project, tmp_path / "b")):
        folder.mkdir()
        p.folder = folder
        prepare(p, 40)
        p.run(*run_arguments())
        assert p.ingest("video/raw", samples(5, "2")).startswith("new=0 stale=5 ")
        p.run(*run_arguments())
        assert calls(p).total() == 45
        tables.append(table(p))
    assert tables[0] == tables[1]
    assert len(tables[0]) == 40


@pytest.mark.parametrize("place", ["folder", "minio"])
def test_two_runners_at_once(place: str, request: pytest.FixtureRequest) -> None:
    p: Project = request.getfixturevalue("project" if place == "folder" else "minio_project")
    minio = request.getfixturevalue("minio") if place == "minio" else None
    prepare(p, 120)
    p.environment["PAUSE"] = "0.005"
    runners = [
        p.start(*run_arguments("--flush-rows", "10"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)
    ]
    for runner in runners:
        output, _ = runner.communicate(timeout=120)
        assert runner.returncode == 0, output[-3000:]
    assert physical_ids(p, minio) == [s["id"] for s in samples(120)]
    assert p.run("resolve", "video/caption").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"


@pytest.mark.parametrize("place", ["folder", "minio"])
def test_kill_in_the_middle_then_run_again(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    p: Project = request.getfixturevalue("project" if place == "folder" else "minio_project")
    prepare(p, 150)
    p.environment["PAUSE"] = "0.01"
    runner = p.start(*run_arguments("--flush-rows", "10"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while calls(p).total() < 70 and time.monotonic() < deadline:
        time.sleep(0.01)
    runner.send_signal(signal.SIGKILL)
    assert runner.wait() == -signal.SIGKILL
    done = {r["id"] for r in table(p)}
    assert 10 <= len(done) < 150, "the run should have been killed in the middle"
    for row in table(p):
        assert row["text"] == f"caption of /in/{int(row['id'][1:])}.mp4"

    before = calls(p)
    p.environment["PAUSE"] = "0"
    p.run(*run_arguments("--flush-rows", "10"))
    repeated = [i for i in done if calls(p)[i] > before[i]]
    assert repeated == [], "a committed sample was processed again"

    clean = Project(p.binary, tmp_path / "clean", str(tmp_path / "clean" / "store"))
    clean.folder.mkdir()
    prepare(clean, 150)
    clean.run(*run_arguments())
    assert table(p) == table(clean)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_no_processor_outlives_its_runner(project: Project) -> None:
    prepare(project, 4)
    (project.folder / "processor.py").write_text("import os, time\nopen(os.environ['CALLS'], 'a').write(f'{os.getpid()}\\n')\ntime.sleep(3600)\n")
    runner = project.start(*run_arguments(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(calls(project)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    runner.kill()
    runner.wait()
    pids = [int(p) for p in calls(project)]
    assert len(pids) == 2
    while (left := [p for p in pids if Path(f"/proc/{p}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


def test_only_what_depends_on_a_change_runs_again(project: Project) -> None:
    prepare(project, 10)
    project.run(*run_arguments())
    frames_only = [{**s, "metaxy_provenance_by_field": {**s["metaxy_provenance_by_field"], "frames": "other"}} for s in samples(10)]
    assert project.ingest("video/raw", frames_only).startswith("new=0 stale=10 ")
    done = project.run(*run_arguments())
    assert done.stderr.splitlines()[-1].startswith("new=0 stale=0 orphaned=0 processed=0 failed=0")
    assert calls(project).total() == 10


def test_cancel_keeps_what_is_done(project: Project) -> None:
    prepare(project, 200)
    project.environment["PAUSE"] = "0.01"
    runner = project.start(*run_arguments("--flush-rows", "1000", "--grace", "10s"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while calls(project).total() < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(runner.pid, signal.SIGINT)
    _, stderr = runner.communicate(timeout=60)
    assert runner.returncode == 130, stderr.decode()[-3000:]
    done = table(project)
    assert 20 <= len(done) < 200
    assert sorted(calls(project)) == [r["id"] for r in done], "each processed sample is committed"


def test_hostile_ids(project: Project) -> None:
    ids = ["a'b", 'a"b', "a\nb", "a/b", "../../etc", "😀", "a\\b", "", " ", "a\u0000b", "x" * 10_000]
    rows = [{**samples(1)[0], "id": i} for i in ids]
    project.write_features(FEATURES)
    (project.folder / "processor.py").write_text(PROCESSOR.replace('calls.write(sample["id"] + "\\n")', "pass"))
    project.environment["CALLS"] = str(project.folder / "calls.txt")
    project.ingest("video/raw", rows)
    project.run(*run_arguments())
    assert sorted(r["id"] for r in project.rows("read", "video/caption")) == sorted(ids)
    assert json.loads(json.dumps(sorted(ids))) == physical_ids(project)


def test_failed_samples_are_listed_counted_and_tried_again(project: Project) -> None:
    prepare(project, 6)
    failing = PROCESSOR.replace("    print(", '    if sample["id"] == "v0002" and os.environ.get("BROKEN"):\n        print(json.dumps({"id": "v0002", "error": "no sound"}), flush=True)\n        continue\n    print(')
    (project.folder / "processor.py").write_text(failing)
    project.environment["BROKEN"] = "1"
    done = project.run(*run_arguments(), status=3)
    assert done.stderr.splitlines()[-1].startswith("new=6 stale=0 orphaned=0 processed=5 failed=1")
    assert 'id="v0002": no sound' in done.stderr
    assert status_of(project) == {"rows": 5, "new": 1, "failed": 1}
    assert physical_ids(project) == [s["id"] for s in samples(6) if s["id"] != "v0002"]

    tolerated = project.run(*run_arguments("--max-failed", "1"))
    assert tolerated.stderr.splitlines()[-1].startswith("new=1 stale=0 orphaned=0 processed=0 failed=1")
    project.environment["BROKEN"] = ""
    project.run(*run_arguments())
    assert status_of(project) == {"rows": 6, "new": 0, "failed": 0}
    assert physical_ids(project) == [s["id"] for s in samples(6)]


def status_of(project: Project) -> dict[str, int]:
    (caption,) = json.loads(project.run("status", "video/caption", "--format", "json").stdout)["features"]
    return {name: caption[name] for name in ("rows", "new", "failed")}


def test_restore(project: Project) -> None:
    """A table goes back to an older version, and its samples are processed again; delta-rs sees the same."""
    prepare(project, 20)
    project.run(*run_arguments())
    first = table(project)
    assert project.ingest("video/raw", samples(20, "2")).startswith("new=0 stale=20 ")
    project.run(*run_arguments())
    assert project.run("resolve", "video/caption").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"
    second, before = table(project), calls(project).total()
    assert project.run("restore", "video/caption", "--to", "0", status=4).stderr.count("--yes") == 1
    done = project.run("restore", "video/caption", "--to", "0", "--yes")
    assert done.stderr.splitlines()[-1] == "version=2"
    assert table(project) == first
    assert physical_ids(project) == [s["id"] for s in samples(20)]
    assert project.run("resolve", "video/caption").stderr.splitlines()[-1] == "new=0 stale=20 orphaned=0"
    project.run("restore", "video/caption", "--to", "1", "--yes")
    assert table(project) == second
    assert project.run("resolve", "video/caption").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"
    project.run("restore", "video/raw", "--to", "0", "--yes")
    assert project.run("resolve", "video/caption").stderr.splitlines()[-1] == "new=0 stale=20 orphaned=0"
    assert calls(project).total() == before
    assert "vacuum" not in project.run("restore", "video/caption", "--to", "9", "--yes", status=4).stderr
