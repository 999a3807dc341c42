"""The project that `init` writes, built, run by hand as its README says, and run by Dagster."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

MODULE = "github.com/metaxy-pipes/metaxy-pipes"


@pytest.fixture(scope="module")
def project(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project. This checkout takes the place of the module that `go mod tidy` would find."""
    folder = tmp_path_factory.mktemp("new") / "My Notes"
    subprocess.run([binary, "init", folder], check=True, capture_output=True)
    (folder / "go.mod").open("a").write(f"require {MODULE} v0.0.0\nreplace {MODULE} => {ROOT}\n")
    shutil.copy(ROOT / "go.sum", folder / "go.sum")
    return folder


def readme_commands(project: Path) -> list[str]:
    return (project / "README.md").read_text().split("```")[1].strip().splitlines()


def test_the_commands_of_its_readme(project: Path) -> None:
    environment = {**os.environ, "GOFLAGS": "-mod=mod -trimpath", "GOPROXY": "off", "CGO_ENABLED": "0"}
    tidy, *commands = readme_commands(project)
    assert tidy == "go mod tidy"
    for line in commands:
        done = subprocess.run(line, shell=True, cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if " run" in line:
            assert done.stderr.splitlines()[-1] == "new=3 stale=0 orphaned=0 processed=3 failed=0"
    assert done.stderr.splitlines()[-1] == "rows=3"
    assert '"words":5' in done.stdout


def test_its_definitions_in_dagster(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "dagster_defs" / "src")
    with (project / "notes.jsonl").open("a") as notes:
        notes.write('{"id": "more", "text": "one more"}\n')
    defs = runpy.run_path(str(project / "definitions.py"))["defs"]
    result = defs.get_implicit_global_asset_job_def().execute_in_process()
    assert result.success
    counts = {e.asset_key.path[-1]: e.materialization.metadata for e in result.get_asset_materialization_events()}
    assert counts["length"]["metaxy/processed"].value == 1
