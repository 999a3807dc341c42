"""The Component: a folder with a defs.yaml becomes assets that run, and what `dg scaffold` writes loads as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from metaxy_pipes import MetaxyPipesComponent

BINARY = Path(__file__).resolve().parents[2] / "bin" / "metaxy-pipes"
TYPE = "metaxy_pipes.MetaxyPipesComponent"
PROCESSOR = "import json, sys\nfor line in sys.stdin: print(json.dumps({'id': json.loads(line)['id'], 'words': 1}), flush=True)\n"


@pytest.fixture
def binary() -> str:
    if not BINARY.exists():
        pytest.fail("bin/metaxy-pipes is missing: run `make build`")
    return str(BINARY)


def test_what_is_scaffolded_loads(binary: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(MetaxyPipesComponent, scaffold_params={"binary": binary})
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, defs):
            assert isinstance(component, MetaxyPipesComponent)
            graph = defs.resolve_asset_graph()
            assert graph.get(dg.AssetKey(["note", "length"])).parent_keys == {dg.AssetKey("note")}
            assert graph.get(dg.AssetKey("note")).group_name == "notes"


def test_its_assets_run(binary: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(MetaxyPipesComponent)
        (path / "notes.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
        (path / "count.py").write_text(PROCESSOR)
        attributes = {
            "binary": binary, "features": ["features.yaml"], "store": "data", "table_check": True,
            "ingest": {"note": "notes.jsonl"}, "processors": {"note/length": ["python3", "count.py"]},
        }
        (path / "defs.yaml").write_text(json.dumps({"type": TYPE, "attributes": attributes}))
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, defs):
            result = defs.get_implicit_global_asset_job_def().execute_in_process()
        counts = {e.asset_key.path[-1]: e.materialization.metadata for e in result.get_asset_materialization_events()}
        assert counts["length"]["metaxy/processed"].value == 2
        assert (path / "data").is_dir(), "relative paths are those of the component's folder"


def test_an_unknown_attribute_is_refused(binary: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(MetaxyPipesComponent)
        (path / "defs.yaml").write_text(json.dumps({"type": TYPE, "attributes": {"binary": binary, "fetures": []}}))
        with pytest.raises(Exception) as caught, sandbox.load_component_and_build_defs(defs_path=path):
            pass
    told, error = "", caught.value
    while error is not None:
        told, error = told + str(error), error.__cause__ or error.__context__
    assert "fetures" in told


PROJECT_FILE = """
[project]
name = "films"
version = "0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "films"
"""
DEFINITIONS = """
from pathlib import Path
from dagster import definitions, load_from_defs_folder

@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


def test_the_dg_program_scaffolds_it(binary: str, tmp_path: Path) -> None:
    """`dg` finds the Component by its entry point, writes the folder, and lists the assets that it loads from there."""
    (tmp_path / "pyproject.toml").write_text(PROJECT_FILE)
    module = tmp_path / "src" / "films"
    (module / "defs").mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "definitions.py").write_text(DEFINITIONS)

    def dg_program(*words: str) -> str:
        program = Path(sys.executable).with_name("dg")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
        done = subprocess.run([program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    dg_program("scaffold", "defs", TYPE, "notes", "--binary", binary, "--store", "rows")
    written = module / "defs" / "notes"
    assert sorted(p.name for p in written.iterdir()) == ["defs.yaml", "features.yaml"]
    assert "store: rows" in (written / "defs.yaml").read_text()
    listed = json.loads(dg_program("list", "defs", "--json"))
    assert sorted(a["asset_key"] for a in listed["assets"]) == ["note", "note/length"]
