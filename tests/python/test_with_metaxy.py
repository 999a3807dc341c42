"""examples/with_metaxy in real Dagster: a Go step between two Python steps, which does exactly what Metaxy itself says."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dagster as dg
import metaxy as mx
import metaxy.ext.dagster as mxd
import polars as pl
import pytest
from conftest import ROOT

EXAMPLE = ROOT / "examples" / "with_metaxy"
BOOK, WORDS, CARD = "library/book", "library/words", "library/card"
ROOT_PATH = "METAXY_STORES__DEV__CONFIG__ROOT_PATH"
VERSIONS = ["metaxy_provenance_by_field", "metaxy_provenance", "metaxy_data_version_by_field", "metaxy_data_version"]


sys.path.insert(0, str(ROOT / "dagster_defs" / "src"))

from metaxy_pipes import Command  # noqa: E402


@pytest.fixture(scope="module")
def code_location() -> Iterator[ModuleType]:
    """The example's definitions, loaded once, with a feature graph of their own."""
    if not (ROOT / "bin" / "words").exists():
        pytest.fail("bin/words is missing: run `make build`")
    sys.path.insert(0, str(EXAMPLE))
    try:
        with mx.FeatureGraph().use():
            yield importlib.import_module("definitions")
    finally:
        sys.path.remove(str(EXAMPLE))


class Library:
    """A shelf of books, a store, and the job over them."""

    def __init__(self, folder: Path, code_location: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shelf, self.store, self.code = folder / "shelf", folder / "store", code_location
        self.monkeypatch = monkeypatch
        self.shelf.mkdir()
        monkeypatch.setenv("LIBRARY_SHELF", str(self.shelf))
        self.use(self.store)

    def use(self, store: Path) -> None:
        """Makes Metaxy and the Go step use a store."""
        self.monkeypatch.setenv(ROOT_PATH, str(store))
        mx.MetaxyConfig.load(EXAMPLE / "metaxy.toml")

    def put(self, book: str, title: str, text: str) -> None:
        (self.shelf / f"{book}.json").write_text(json.dumps({"title": title, "text": text}))

    def remove(self, book: str) -> None:
        (self.shelf / f"{book}.json").unlink()

    def increment(self, feature: str) -> mx.Increment:
        """What Metaxy itself says has to be done."""
        with mx.MetaxyConfig.get().get_store("dev").open("r") as store:
            return store.resolve_update(feature)

    def foreseen(self, copy: Path) -> dict[str, list[dict]]:
        """What Metaxy will say of the Go step once the root has been written: found on a copy of the store."""
        if self.store.exists():
            shutil.copytree(self.store, copy)
        self.use(copy)
        resources = {"store": mxd.MetaxyStoreFromConfigResource(name="dev")}
        assert dg.materialize([self.code.book], resources=resources).success
        inc = self.increment(WORDS)
        self.use(self.store)
        return {status: versions(getattr(inc, status).to_polars()) for status in ("new", "stale", "orphaned")}

    def run(self) -> Ran:
        """Runs the job of all three assets once."""
        job = self.code.defs.resolve_job_def("catalogue")
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert result.success, [e.step_failure_data for e in result.all_events if e.is_step_failure]
        return Ran(self.store, result)


class Ran:
    """What one run of the job has written."""

    def __init__(self, store: Path, result: dg.ExecuteInProcessResult) -> None:
        self.store, self.id = store, result.run_id
        self.metadata = {
            "/".join(e.asset_key.path): e.materialization.metadata for e in result.get_asset_materialization_events()
        }

    def written(self, feature: str) -> pl.DataFrame:
        """The rows that this run has written to a table, tombstones aside."""
        return self.rows(feature).filter(pl.col("metaxy_deleted_at").is_null())

    def deleted(self, feature: str) -> list[str]:
        return sorted(self.rows(feature).filter(pl.col("metaxy_deleted_at").is_not_null())["book"].to_list())

    def rows(self, feature: str) -> pl.DataFrame:
        table = pl.read_delta(str(self.store / f"{feature}.delta"))
        return table.filter(pl.col("metaxy_materialization_id") == self.id)

    def books(self, feature: str) -> list[str]:
        return sorted(self.written(feature)["book"].to_list())

    def counts(self) -> dict[str, int]:
        names = ("new", "stale", "orphaned", "processed", "failed")
        return {name: self.metadata[WORDS][f"metaxy/{name}"].value for name in names}


def versions(frame: pl.DataFrame) -> list[dict]:
    return frame.select("book", *VERSIONS).sort("book").to_dicts() if len(frame) else []


@pytest.fixture
def library(tmp_path: Path, code_location: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Library:
    return Library(tmp_path, code_location, monkeypatch)


def test_the_go_step_does_what_metaxy_says(library: Library, tmp_path: Path) -> None:
    for n in range(40):
        library.put(f"b{n:02}", f"Title {n}", f"once upon a time {n}")
    everything = [f"b{n:02}" for n in range(40)]
    check(library, tmp_path / "1", new=everything, card=everything)
    check(library, tmp_path / "2")

    # Another text, another title, both; some are gone, some come in.
    library.put("b01", "Title 1", "quite another text")
    library.put("b02", "Title 2", "extraordinarily short")
    library.put("b03", "Another title", "once upon a time 3")
    library.put("b04", "Another title", "and another text")
    library.remove("b05")
    library.remove("b06")
    library.put("b40", "Title 40", "new in the library")
    changed = ["b01", "b02", "b04"]
    ran = check(
        library, tmp_path / "3", new=["b40"], stale=changed, orphaned=["b05", "b06"], card=[*changed, "b03", "b40"]
    )
    cards = dict(ran.written(CARD).select("book", "line").iter_rows())
    assert cards["b02"] == "Title 2: 2 words, the longest is extraordinarily"
    assert cards["b03"] == "Another title: 5 words, the longest is once"
    check(library, tmp_path / "4")

    # A book that comes back, and a text that is what it was at first.
    library.put("b05", "Title 5", "once upon a time 5")
    library.put("b01", "Title 1", "once upon a time 1")
    check(library, tmp_path / "5", new=["b05"], stale=["b01"], card=["b01", "b05"])
    check(library, tmp_path / "6")


def check(library: Library, copy: Path, *, card: tuple | list = (), **expected: list[str]) -> Ran:
    """Runs the job. The Go step must do what Metaxy foresees, which must be what is expected; the leaf follows."""
    foreseen = library.foreseen(copy)
    assert {s: [row["book"] for row in rows] for s, rows in foreseen.items()} == {
        "new": [], "stale": [], "orphaned": [], **expected
    }
    ran = library.run()
    todo = sorted(foreseen["new"] + foreseen["stale"], key=lambda row: row["book"])
    assert versions(ran.written(WORDS)) == todo
    assert ran.deleted(WORDS) == [row["book"] for row in foreseen["orphaned"]]
    counts = {status: len(rows) for status, rows in foreseen.items()}
    assert ran.counts() == {**counts, "processed": len(todo), "failed": 0}
    assert ran.books(CARD) == sorted(card)
    assert ran.deleted(CARD) == ran.deleted(WORDS)
    for feature in (WORDS, CARD):
        left = library.increment(feature)
        assert [len(getattr(left, s)) for s in ("new", "stale", "orphaned")] == [0, 0, 0], feature
    return ran


def test_our_assets_stand_in_the_graph_as_metaxys_do(library: Library) -> None:
    """The asset of the Go step has the key, parents, tags and code version that metaxify would have given it."""
    graph = library.code.defs.resolve_asset_graph()
    keys = {key: dg.AssetKey(key.split("/")) for key in (BOOK, WORDS, CARD)}
    assert graph.get_all_asset_keys() == set(keys.values())
    book, words, card = (graph.get(keys[key]) for key in (BOOK, WORDS, CARD))
    assert (book.parent_keys, words.parent_keys) == (set(), {keys[BOOK]})
    assert card.parent_keys == {keys[BOOK], keys[WORDS]}
    assert book.is_materializable and words.is_materializable and card.is_materializable

    python = mxd.metaxify()(dg.AssetSpec("words", metadata={"metaxy/feature": WORDS}))
    assert words.key == python.key
    assert words.parent_keys == {dep.asset_key for dep in python.deps}
    assert words.code_version == python.code_version
    assert words.description == python.description
    assert python.kinds <= words.kinds
    tags = {"metaxy/project": "library", "metaxy/feature": "library__words"}
    assert tags.items() <= python.tags.items() and tags.items() <= words.tags.items()
    assert words.metadata["metaxy/feature"] == python.metadata["metaxy/feature"] == WORDS
    version = mx.current_graph().get_feature_version(WORDS)
    assert words.metadata["metaxy/feature_version"] == version
    described = library.code.words[0].get_asset_spec(words.key).metadata["dagster/column_lineage"].deps_by_column
    lineage = python.metadata["dagster/column_lineage"].deps_by_column
    assert [d.column_name for d in described["book"]] == [d.column_name for d in lineage["book"]] == ["book"]


def test_the_job_waits_for_the_go_step(library: Library) -> None:
    """metaxify alone draws edges but does not order the steps of a job; the example's `deps` do."""
    job = library.code.defs.resolve_job_def("catalogue")
    order = {node.name: {d.node for d in deps.values()} for node, deps in job.dependencies.items() if deps}
    assert order["card"] == {"book", "library__words"}
    assert order["library__words"] == {"book"}


def test_versions_of_the_exported_graph(library: Library) -> None:
    """Also those that the schemas go into."""
    done = subprocess.run(
        [ROOT / "bin" / "words", "graph", "--config", EXAMPLE / "metaxy.toml", "--format", "json"],
        capture_output=True, text=True, check=True,
    )
    ours, graph = json.loads(done.stdout), mx.current_graph()
    assert ours["project_version"] == graph.get_project_version("library")
    assert [f["key"] for f in ours["features"]] == [str(k) for k in graph.topological_sort_features()]
    for f in ours["features"]:
        definition = graph.get_feature_definition(f["key"])
        assert f["feature_version"] == graph.get_feature_version(f["key"])
        assert f["definition_version"] == definition.feature_definition_version
        assert f["feature_spec_version"] == definition.spec.feature_spec_version


def test_a_pushed_graph_needs_no_file(library: Library, tmp_path: Path) -> None:
    """After Metaxy's own push the Go step finds the features in the store; what is old there is told by its version."""
    configuration = (EXAMPLE / "metaxy.toml").read_text()
    assert 'features = ["features.json"]\n' in configuration
    (tmp_path / "metaxy.toml").write_text(configuration.replace('features = ["features.json"]\n', ""))
    with mx.MetaxyConfig.get().get_store("dev").open("w") as store:
        mx.SystemTableStorage(store).push_graph_snapshot(project="library")
    command = Command.of(ROOT / "bin" / "words", config=tmp_path / "metaxy.toml")
    described = {f.key: f.feature_version for f in command.describe()}
    assert described == {key: mx.current_graph().get_feature_version(key) for key in (BOOK, WORDS, CARD)}
    library.put("b", "Title", "some text")
    library.run()
    done = subprocess.run(command.argv("resolve", WORDS), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr.splitlines()[-1]) == ("", "new=0 stale=0 orphaned=0")


def test_an_old_export_does_not_load(tmp_path: Path) -> None:
    """A code version that only Python knows must not let the Go step write under the old one."""
    project = tmp_path / "examples" / "with_metaxy"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    features = project / "library" / "features.py"
    before = features.read_text()
    features.write_text(before.replace('code_version="1"', 'code_version="2"'))
    assert features.read_text() != before
    load = [sys.executable, "-c", "import definitions"]
    path = os.pathsep.join([str(project), str(ROOT / "dagster_defs" / "src")])
    done = subprocess.run(load, cwd=project, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "features.json is not the graph of the Python features" in done.stderr
