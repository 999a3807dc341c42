"""Graphs in one store with real Metaxy: each reads the snapshots that the other has pushed, and sees when there is no new one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import Minio, Project

CONFIG = """store = "dev"
project = "films"
entrypoints = ["films_features"]

[stores.dev]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.dev.config]
root_path = "store"
"""

# The same graph twice: as Metaxy declares it, and as a feature file.
PYTHON = '''
import metaxy as mx

class Raw(mx.BaseFeature, spec=mx.FeatureSpec(key="video/raw", id_columns=["id"], fields=["audio", "frames"])):
    """Videos – as they come."""
    __metaxy_project__ = "films"
    id: str
    path: str | None = None

class Crop(mx.BaseFeature, spec=mx.FeatureSpec(
    key="video/crop", id_columns=["id"], deps=[mx.FeatureDep(feature="video/raw", rename={"path": "source"})],
    fields=[mx.FieldSpec(key="audio"), mx.FieldSpec(key="frames", code_version="%s")],
    metadata={"owner": "m\\u00fcller", "weights": [1.0, 2, 1e-7]},
)):
    __metaxy_project__ = "films"
    id: str
    source: str | None = None
'''


class Films:
    """A project that both sides work on, with a store in its folder."""

    def __init__(self, project: Project, code_version: str = "1") -> None:
        self.project = project
        self.folder = project.folder
        project.store = ""
        (self.folder / "metaxy.toml").write_text(CONFIG)
        self.declare(code_version)

    def declare(self, code_version: str) -> None:
        """Writes the Python package, and the same as a feature file with the schemas that Metaxy makes."""
        (self.folder / "films_features.py").write_text(PYTHON % code_version)
        script = (
            "import json, metaxy as mx; mx.init()\n"
            "out = []\n"
            "for d in mx.current_graph().feature_definitions_by_key.values():\n"
            "    out.append({**d.spec.model_dump(mode='json'), 'schema': d.feature_schema})\n"
            "print(json.dumps({'features': out}))"
        )
        (self.folder / "features.json").write_text(self.python("-c", script).stdout)

    def python(self, *args: str) -> subprocess.CompletedProcess:
        env = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run([sys.executable, *args], cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    def metaxy(self, *args: str) -> subprocess.CompletedProcess:
        """Metaxy's own command line."""
        return self.python("-c", f"import sys; sys.argv = {['metaxy', *args]!r}; from metaxy.cli.app import main; main()")

    def ours(self, *args: str, features: bool = True, status: int = 0) -> subprocess.CompletedProcess:
        command = [str(self.project.binary), *(["--features", "features.json"] if features else []), *args]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done

    def recorded(self) -> pl.DataFrame:
        return pl.read_delta(str(self.folder / "store" / "metaxy-system" / "feature_versions.delta")).sort("recorded_at")


@pytest.fixture
def films(project: Project) -> Films:
    return Films(project)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_metaxy_pushes_and_we_read(films: Films) -> None:
    version = last_line(films.metaxy("push", "--tags.git_commit", "abc").stdout)
    pushed = films.ours("push")
    assert pushed.stdout == version + "\n"
    assert pushed.stderr.splitlines()[-1] == "Snapshot already recorded (no changes)"
    assert films.recorded().height == 2

    [snapshot] = json.loads(films.ours("history", features=False).stdout)["snapshots"]
    assert (snapshot["project"], snapshot["project_version"], snapshot["feature_count"]) == ("films", version, 2)
    assert snapshot["tags"] == {"git_commit": "abc"}

    # The graph that the store holds is the graph, where no features are named.
    graph = json.loads(films.ours("graph", features=False).stdout)
    assert graph == json.loads(films.ours("graph").stdout)
    assert graph["project_version"] == version

    films.declare("2")
    changed = json.loads(films.ours("push", "--format", "json").stdout)
    assert (changed["already_pushed"], changed["recorded"], changed["project"]) == (False, 2, "films")
    assert last_line(films.metaxy("push").stdout) == changed["project_version"] != version
    assert films.recorded().height == 4


def test_we_push_and_metaxy_reads(films: Films) -> None:
    version = films.ours("push", "--tag", "git_commit=abc", "--tag", "note=ü").stdout.strip()
    again = films.metaxy("push")
    assert last_line(again.stdout) == version
    assert "already recorded" in again.stderr
    assert films.recorded().height == 2
    assert version in films.metaxy("history").stderr
    listed = json.loads(films.metaxy("list", "features", "--format", "json").stdout)
    assert {f["key"] for f in listed["features"]} == {"video/raw", "video/crop"}

    # Metaxy's rows of the same graph in a store of its own differ in nothing but times, tags and the class's path.
    (films.folder / "metaxy.toml").write_text(CONFIG.replace('root_path = "store"', 'root_path = "theirs"'))
    films.metaxy("push", "--tags.git_commit", "abc", "--tags.note", "ü")
    theirs = pl.read_delta(str(films.folder / "theirs" / "metaxy-system" / "feature_versions.delta"))
    ours = films.recorded()
    assert ours.schema == theirs.schema
    same = [c for c in ours.columns if c not in ("recorded_at", "feature_class_path")]
    assert ours.select(same).sort("feature_key").rows() == theirs.select(same).sort("feature_key").rows()
    script = (
        "import metaxy as mx\nfrom metaxy.metadata_store.system.storage import SystemTableStorage\n"
        "store = mx.init().get_store()\n"
        "with store.open('r'):\n"
        f"    g = SystemTableStorage(store).load_graph_from_snapshot('{version}', 'films')\n"
        "    print(g.get_project_version('films'))"
    )
    (films.folder / "metaxy.toml").write_text(CONFIG)
    assert films.python("-c", script).stdout.strip() == version

    films.declare("2")
    changed = last_line(films.metaxy("push").stdout)
    assert changed != version
    rendered = json.loads(films.metaxy("graph-diff", "render", version, "latest", "--format", "json").stdout)
    assert rendered["nodes"]["video/crop"]["status"] == "changed", rendered
    assert films.ours("push").stdout.strip() == changed


def test_a_graph_from_the_store_runs(films: Films) -> None:
    """A runner needs no feature files: the store holds the graph."""
    films.metaxy("push")
    (films.folder / "rows.jsonl").write_text("".join(json.dumps({"id": f"v{i}", "path": f"{i}.mp4"}) + "\n" for i in range(5)))
    films.ours("ingest", "video/raw", "--from", "rows.jsonl", features=False)
    resolved = films.ours("resolve", "video/crop", "--columns", "source", features=False)
    assert last_line(resolved.stderr) == "new=5 stale=0 orphaned=0"
    code = "import json, sys\nfor line in sys.stdin:\n    s = json.loads(line)\n    print(json.dumps({'id': s['id'], 'source': s['source']}), flush=True)\n"
    (films.folder / "crop.py").write_text(code)
    films.ours("run", "video/crop", "--", sys.executable, "crop.py", features=False)
    assert last_line(films.ours("resolve", "video/crop", features=False).stderr) == "new=0 stale=0 orphaned=0"
    described = json.loads(films.ours("describe", features=False).stdout)
    assert [f["key"] for f in described["features"]] == ["video/raw", "video/crop"]
    check = (
        "import metaxy as mx\nstore = mx.init().get_store()\n"
        "with store.open('r'):\n    inc = store.resolve_update('video/crop')\n"
        "    print(len(inc.new), len(inc.stale), len(inc.orphaned), store.read('video/crop').collect().to_polars()['source'].sort().to_list())"
    )
    assert films.python("-c", check).stdout.strip() == "0 0 0 ['0.mp4', '1.mp4', '2.mp4', '3.mp4', '4.mp4']"


def test_pushes_of_both_at_once(films: Films) -> None:
    """Ours and Metaxy's at the same time: every one ends well, and what we push is recorded once."""
    films.ours("push")
    films.declare("2")
    commands = [[str(films.project.binary), "--features", "features.json", "push"] for _ in range(6)]
    running = [subprocess.Popen(c, cwd=films.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    versions = {p.communicate(timeout=60)[0] for p in running}
    assert len(versions) == 1 and all(p.returncode == 0 for p in running)
    assert films.recorded().height == 4
    assert last_line(films.metaxy("push").stdout) == versions.pop().strip()
    assert films.recorded().height == 4


SHOP = '''
import metaxy as mx

class Poster(mx.BaseFeature, spec=mx.FeatureSpec(
    key="shop/poster", id_columns=["id"], deps=[mx.FeatureDep(feature="video/crop")],
    fields=[mx.FieldSpec(key="image", deps=[mx.FieldDep(feature="video/crop", fields=["frames"])])],
)):
    __metaxy_project__ = "shop"
    id: str
'''


def test_lock_file_of_metaxy(films: Films) -> None:
    """A project that depends on another's features: `metaxy lock` writes them down, and both come to the same versions."""
    films.metaxy("push")
    (films.folder / "shop_features.py").write_text(SHOP)
    config = CONFIG.replace('"films"', '"shop"').replace("films_features", "shop_features")
    (films.folder / "metaxy.toml").write_text(config)
    films.metaxy("lock")
    lock = films.folder / "metaxy.lock"
    assert "video/raw" in lock.read_text()
    script = (
        "import json, metaxy as mx\nmx.init()\ng = mx.current_graph()\n"
        "print(json.dumps({k.to_string(): [g.get_feature_version(k), d.is_external] for k, d in g.feature_definitions_by_key.items()}))"
    )
    theirs = json.loads(films.python("-c", script).stdout)
    (films.folder / "features.json").write_text(
        json.dumps({"features": [{"key": "shop/poster", "id_columns": ["id"], "deps": ["video/crop"],
                                  "fields": [{"key": "image", "deps": [{"feature": "video/crop", "fields": ["frames"]}]}]}]})
    )
    for env in ({}, {"METAXY_SYNC": "false"}):
        os.environ.update(env)
        try:
            ours = json.loads(films.ours("graph").stdout)
        finally:
            for name in env:
                del os.environ[name]
        assert {f["key"]: [f["feature_version"], f["external"]] for f in ours["features"]} == theirs
    version = films.ours("push").stdout.strip()
    assert films.recorded().filter(pl.col("project") == "shop")["feature_key"].to_list() == ["shop/poster"]

    # What the other project pushes later counts, with a warning; or is refused when locked.
    films.declare("2")
    (films.folder / "metaxy.toml").write_text(CONFIG)
    films.metaxy("push")
    (films.folder / "metaxy.toml").write_text(config)
    (films.folder / "features.json").write_text(json.dumps({"features": [{"key": "shop/poster", "id_columns": ["id"], "deps": ["video/crop"]}]}))
    resolved = films.ours("graph")
    crop = next(f for f in json.loads(resolved.stdout)["features"] if f["key"] == "video/crop")
    assert crop["feature_version"] != theirs["video/crop"][0] and "another version in the store" in resolved.stderr
    assert version
    (films.folder / "metaxy.toml").write_text("locked = true\n" + config)
    refused = films.ours("graph", status=4)
    assert refused.stdout == "" and "external feature video/crop: declared is version " + theirs["video/crop"][0] in refused.stderr

    # The lock alone is a graph: a runner needs nothing else.
    (films.folder / "metaxy.toml").write_text("sync = false\n" + config)
    (films.folder / "rows.jsonl").write_text('{"id":"a","path":"a.mp4"}\n')
    films.ours("ingest", "video/raw", "--from", "rows.jsonl", features=False)
    (films.folder / "crop.py").write_text("import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'id': json.loads(line)['id']}), flush=True)\n")
    films.ours("run", "video/crop", "--", sys.executable, "crop.py", features=False)
    assert last_line(films.ours("resolve", "video/crop", features=False).stderr) == "new=0 stale=0 orphaned=0"


def test_diff_says_what_comes(films: Films) -> None:
    """What diff says before is what Metaxy resolves and what our run processes afterwards; Metaxy's diff has the same statuses."""
    code = "import json, sys\nfor line in sys.stdin:\n    s = json.loads(line)\n    print(json.dumps({'id': s['id']}), flush=True)\n"
    (films.folder / "step.py").write_text(code)
    (films.folder / "rows.jsonl").write_text("".join(json.dumps({"id": f"v{i}", "path": f"{i}.mp4"}) + "\n" for i in range(7)))
    before = films.ours("push").stdout.strip()
    films.ours("ingest", "video/raw", "--from", "rows.jsonl")
    films.ours("run", "video/crop", "--", sys.executable, "step.py")

    films.declare("2")
    diff = json.loads(films.ours("diff").stdout)
    crop = next(f for f in diff["features"] if f["feature"] == "video/crop")
    assert (crop["status"], crop["rows"], crop["stale"], crop["new"], crop["orphaned"]) == ("changed", 7, 7, 0, 0)
    assert [(f["field"], f["old_code_version"], f["new_code_version"]) for f in crop["fields"]] == [("frames", "1", "2")]
    assert diff["stale"] == 7 and diff["from"]["project_version"] == before

    films.metaxy("push")
    theirs = json.loads(films.metaxy("graph-diff", "render", before, "current", "--format", "json").stdout)
    ours = json.loads(films.ours("diff", before[:6], "latest").stdout)
    assert {f["feature"]: f["status"] for f in ours["features"]} == {k: n["status"] for k, n in theirs["nodes"].items()}
    assert {f["feature"]: [f["old_version"], f["new_version"]] for f in ours["features"]} == {
        k: [n["old_version"], n["new_version"]] for k, n in theirs["nodes"].items()
    }
    check = (
        "import metaxy as mx\nstore = mx.init().get_store()\n"
        "with store.open('r'):\n    inc = store.resolve_update('video/crop')\n    print(len(inc.new) + len(inc.stale))"
    )
    assert films.python("-c", check).stdout.strip() == "7"
    done = films.ours("run", "video/crop", "--", sys.executable, "step.py")
    assert "processed=7" in last_line(done.stderr), done.stderr
    diff = json.loads(films.ours("diff", before[:6], "latest").stdout)
    assert diff["stale"] == 0


def test_push_on_s3(binary: Path, tmp_path: Path, minio: Minio) -> None:
    """The table of graphs in a bucket: what we push, Metaxy has pushed already, and the reverse."""
    films = Films(Project(binary, tmp_path, ""))
    options = "".join(f'{name} = "{value}"\n' for name, value in minio.storage_options().items())
    root = f"s3://metaxy/{secrets.token_hex(8)}"
    config = CONFIG.replace('"store"', f'"{root}"') + "[stores.dev.config.storage_options]\n" + options
    (films.folder / "metaxy.toml").write_text(config)
    version = films.ours("push").stdout.strip()
    again = films.metaxy("push")
    assert last_line(again.stdout) == version and "already recorded" in again.stderr
    films.declare("2")
    changed = last_line(films.metaxy("push").stdout)
    assert films.ours("push").stdout.strip() == changed != version
    listed = json.loads(films.ours("history", features=False).stdout)["snapshots"]
    assert [s["project_version"] for s in listed] == [changed, version]
    diff = json.loads(films.ours("diff", version, "latest", features=False).stdout)
    assert {f["feature"]: f["status"] for f in diff["features"]} == {"video/raw": "unchanged", "video/crop": "changed"}
