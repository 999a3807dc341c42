"""Ids that nobody expects, columns that change, and files that are not what they seem: through the whole program."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project
from dagster import AssetExecutionContext, PipesSubprocessClient

FEATURES = [{"key": "doc", "id_columns": ["id"]}, {"key": "doc/words", "id_columns": ["id"], "deps": ["doc"]}]

LINES = """
import json, sys
for line in sys.stdin:
    s = json.loads(line)
    print(json.dumps({"id": s["id"], "length": len(s["id"])}, ensure_ascii=False), flush=True)
"""

ARROW = """
import sys
import pyarrow as pa
import pyarrow.compute as pc
reader, writer = pa.ipc.open_stream(sys.stdin.buffer), None
for batch in reader:
    ids = batch.column("id")
    answer = pa.record_batch({"id": ids, "length": pc.utf8_length(ids).cast(pa.int64())})
    writer = writer or pa.ipc.new_stream(sys.stdout.buffer, answer.schema)
    writer.write_batch(answer)
    sys.stdout.buffer.flush()
"""

MEGABYTE = ["x" * (1 << 20), "é" * (1 << 19), "🎬" * (1 << 18) + "/"]

STRANGE = ['a"b', "a'b; DROP TABLE doc", "a\nb", "a\r\n", "../../etc/passwd", "/", "..", "\0", "a\0b", "🎬", "", " ", "null", "\u2028\u2029", "{}", "%2F%00",
           "\x1b[31m", "\ufeff", "é", "e\u0301", "-- -x", "=cmd()", "\x7f", "\\", "\\u0000", "$(id)", "`id`", "\U0010ffff"]


@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("ids", [MEGABYTE, STRANGE], ids=["megabyte", "strange"])
def test_ids(project: Project, arrow: bool, ids: list[str]) -> None:
    """Ids go through ingest, resolve, an external processor, Dagster, read and delta-rs as they are; people see them shortened."""
    project.write_features(FEATURES)
    (project.folder / "processor.py").write_text(ARROW if arrow else LINES)
    assert project.ingest("doc", [{"id": i} for i in ids]) == f"new={len(ids)} stale=0 unchanged=0 removed=0"
    assert sorted(r["id"] for r in project.rows("resolve", "doc/words")) == sorted(ids)
    command = project.command("run", "doc/words", *(["--batch-arrow"] if arrow else []), "--", sys.executable, "processor.py")

    @dg.asset(key=["doc", "words"])
    def words(context: AssetExecutionContext, pipes: PipesSubprocessClient) -> Any:
        return pipes.run(context=context, command=command, cwd=str(project.folder), env=dict(os.environ)).get_materialize_result()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([words], resources={"pipes": PipesSubprocessClient()}, instance=instance)
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["metaxy/processed"].value == len(ids)
    shown = [r.data["id"] for r in metadata["dagster/table"].value.records]
    assert shown
    assert max(len(i.encode()) for i in shown) < 200
    assert len(json.dumps({k: str(v) for k, v in metadata.items()})) < 100_000
    rows = project.rows("read", "doc/words")
    assert sorted((r["id"], r["length"]) for r in rows) == sorted((i, len(i)) for i in ids)
    stored = pl.read_delta(str(Path(project.store) / "doc" / "words.delta"))
    assert sorted(stored["id"].to_list()) == sorted(ids)
    assert project.run("resolve", "doc/words").stderr.splitlines()[-1] == "new=0 stale=0 orphaned=0"


def test_null_and_duplicate_ids(project: Project) -> None:
    """Rows without an id, or with one that another row has, are refused, and nothing is written."""
    project.write_features(FEATURES)
    for rows, says in (([{"id": "a"}, {"id": None}], 'row 2: the id column "id" has no value'), ([{"v": 1}], 'the id column "id" is missing'),
                       ([{"id": "a"}, {"id": "b"}, {"id": "a"}], "row 3 has the same id as row 1")):
        (project.folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        stderr = project.run("ingest", "doc", "--from", "rows.jsonl", status=1).stderr
        assert says in stderr
        assert "rows.jsonl" in stderr
    assert not Path(project.store).exists()


def test_columns_change_between_commits(project: Project) -> None:
    """A column keeps its type; what does not fit is refused by row and column; new columns are null in older rows."""
    project.write_features(FEATURES)
    project.ingest("doc", [{"id": "a", "n": 1}])
    project.ingest("doc", [{"id": "b", "n": 2, "more": "x"}])
    for row, says in (({"id": "c", "n": "text"}, '"n"'), ({"id": 5, "n": 1}, '"id"')):
        (project.folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
        stderr = project.run("ingest", "doc", "--from", "rows.jsonl", status=1).stderr
        assert "row 1" in stderr
        assert says in stderr
    assert [(r["id"], r["n"], r["more"]) for r in project.rows("read", "doc")] == [("a", 1, None), ("b", 2, "x")]


def place(project: Project, file: Path) -> Path:
    """Puts a file in the place of the only data file of doc, with the log saying its size; returns its path."""
    table = Path(project.store) / "doc.delta"
    (target,) = table.glob("*.parquet")
    shutil.copy(file, target)
    log = table / "_delta_log" / "00000000000000000000.json"
    log.write_text(re.sub(r'"size":\d+', f'"size":{file.stat().st_size}', log.read_text()))
    return target


def test_swapped_file(project: Project) -> None:
    """A file of another feature, with as many rows and as large as the log says, is not read as one without rows of this one."""
    project.write_features([*FEATURES, {"key": "other", "id_columns": ["id"]}])
    project.ingest("doc", [{"id": "a"}, {"id": "b"}])
    project.ingest("other", [{"id": "a"}, {"id": "b"}])
    (other,) = (Path(project.store) / "other.delta").glob("*.parquet")
    name = place(project, other).name
    for command in (["read", "doc"], ["resolve", "doc/words"], ["verify", "doc"], ["run", "doc/words", "--", "true"]):
        done = project.run(*command, status=1)
        assert name in done.stderr
        assert "another file lies in its place" in done.stderr
        assert command[0] == "run" or done.stdout == ""
    assert not (Path(project.store) / "doc" / "words.delta").exists()


# Runs a command and writes its peak memory into a file. A process of its own: Linux counts as a child's what its parent had at the
# fork, and the tests of a whole session have more than what is measured.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:], stdout=subprocess.DEVNULL)
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def peak(project: Project, *args: str) -> tuple[int, int, bytes]:
    """Runs a command and returns its exit status, its peak memory in bytes, and its stderr."""
    kilobytes = project.folder / "peak"
    command = [sys.executable, "-S", "-c", MEASURE, str(kilobytes), *project.command(*args)]
    done = subprocess.run(command, cwd=project.folder, env={**os.environ, **project.environment}, stderr=subprocess.PIPE, check=False)
    return done.returncode, int(kilobytes.read_text()) << 10, done.stderr


def test_dictionary_bomb(project: Project) -> None:
    """A file of a few kilobytes whose column stands for 20 GB is read a few rows at a time."""
    project.write_features(FEATURES)
    project.ingest("doc", [{"id": "a", "text": "t"}])
    (file,) = (Path(project.store) / "doc.delta").glob("*.parquet")
    rows = pq.read_table(file).take([0] * 20_000)
    ids = pa.array([f"{i:05}" for i in range(20_000)])
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["0" * (1 << 20)]))
    rows = rows.set_column(rows.schema.get_field_index("id"), "id", ids).set_column(rows.schema.get_field_index("text"), "text", text)
    bomb = project.folder / "bomb.parquet"
    pq.write_table(rows, bomb, compression="zstd", store_schema=False, write_statistics=False, dictionary_pagesize_limit=4 << 20)
    assert bomb.stat().st_size < 1 << 20
    log = Path(project.store) / "doc.delta" / "_delta_log" / "00000000000000000000.json"
    log.write_text(re.sub(r',"stats":"(?:[^"\\]|\\.)*"', "", log.read_text()))
    place(project, bomb)
    status, memory, stderr = peak(project, "read", "doc", "--columns", "id,text", "--limit", "3", "--format", "jsonl")
    assert status == 0, stderr
    assert stderr.splitlines()[-1] == b"rows=3"
    assert memory < 700 << 20


def test_giant_log(project: Project) -> None:
    """A commit of one line of 1 GB is refused by name before it is in memory."""
    project.write_features(FEATURES)
    project.ingest("doc", [{"id": "a"}])
    name = "00000000000000000001.json"
    with (Path(project.store) / "doc.delta" / "_delta_log" / name).open("wb") as f:
        f.write(b'{"commitInfo":{"x":"')
        f.truncate(1 << 30)
    status, memory, stderr = peak(project, "read", "doc")
    assert status == 1
    assert name.encode() in stderr
    assert b"more than 67108864 bytes" in stderr
    assert memory < 500 << 20
