"""What the tests share: the package on the path, telemetry off, and programs to run."""

import json
import os
import sys
from pathlib import Path

os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parents[1]
sys.path.insert(0, str(TESTS.parent / "src"))

import dagster as dg  # noqa: E402
import pytest  # noqa: E402

from metaxy_pipes import Description  # noqa: E402


@pytest.fixture
def instance(tmp_path):
    """A Dagster instance of the test's own."""
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides={"telemetry": {"enabled": False}}) as made:
        yield made


@pytest.fixture
def description_file():
    """A checked-in description."""
    return TESTS / "data" / "describe.json"


@pytest.fixture
def description(description_file):
    """The checked-in description, read."""
    return Description.load(description_file)


@pytest.fixture
def actor(description_file, tmp_path):
    """Makes the command of a program that speaks Pipes like the runner and follows a script."""

    def make(**script):
        path = tmp_path / f"script-{len(list(tmp_path.glob('script-*')))}.json"
        path.write_text(json.dumps({"describe": str(description_file), **script}))
        return (sys.executable, str(TESTS / "programs" / "actor.py"), str(path))

    return make


@pytest.fixture
def materialize(instance):
    """Materializes without raising, and returns Dagster's result."""

    def run(assets, **arguments):
        return dg.materialize(
            assets,
            instance=instance,
            resources={"pipes_client": dg.PipesSubprocessClient(), **arguments.pop("resources", {})},
            raise_on_error=False,
            **arguments,
        )

    return run


@pytest.fixture
def binary():
    """The runner itself."""
    path = PROJECT / "bin" / "metaxy-pipes"
    assert path.exists(), "bin/metaxy-pipes is missing; build it with: make build"
    return path
