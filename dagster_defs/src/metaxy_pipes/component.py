"""The features of a graph as a Dagster Component: a folder with a `defs.yaml`, without any Python."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict

from metaxy_pipes.definitions import build_definitions

FEATURES = """\
# What `defs.yaml` beside this file makes assets of.
features:
  - key: note
    id_columns: [id]
    fields: [text]
  - key: note/length
    id_columns: [id]
    deps: [note]
    fields: [words]
"""


class ScaffoldParams(BaseModel):
    """What `dg scaffold defs` asks for."""

    model_config = ConfigDict(extra="forbid")

    binary: str = "metaxy-pipes"
    store: str = "data"


class MetaxyPipesScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a `defs.yaml` and a small graph that it loads."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The parameters, with their defaults."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Writes the files; a graph that is there stays."""
        params = request.params or ScaffoldParams()
        attributes = {"binary": params.binary, "features": ["features.yaml"], "store": params.store, "group_name": "notes"}
        dg.scaffold_component(request, attributes)
        features = Path(request.target_path) / "features.yaml"
        if not features.exists():
            features.write_text(FEATURES)


@dg.scaffold_with(MetaxyPipesScaffolder)
class MetaxyPipesComponent(dg.Component, dg.Model, dg.Resolvable):
    """The features of a graph as assets, as `build_definitions` makes them; its documentation says what the attributes mean.

    Paths are relative to the folder of the `defs.yaml`, which is also where the binary runs.
    """

    model_config = ConfigDict(extra="forbid")

    binary: str | list[str]
    features: list[str] = []
    config: str | None = None
    store: str | None = None
    env: dict[str, str] = {}
    describe: str | None = None
    select: list[str] | None = None
    processors: dict[str, list[str]] = {}
    ingest: dict[str, str | list[str]] = {}
    observe: bool | list[str] = False
    one_process: bool = False
    group_name: str | None = None
    key_prefix: str | list[str] | None = None
    kinds: list[str] | None = None
    tags: dict[str, str] = {}
    store_link: str | None = None
    run_args: list[str] = []
    client: str | dict[str, Any] | None = None
    table_check: bool = False
    max_orphaned: int | str | None = None
    sensor: bool | dict[str, Any] = False
    pool: str | None = None
    shards: int = 1

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions, from the description that is checked in, or else from the binary."""
        here = Path(context.path)
        arguments: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        first, *rest = [self.binary] if isinstance(self.binary, str) else self.binary
        arguments["binary"] = [_beside(here, first), *rest]
        if self.describe is not None:
            arguments["describe"] = here / self.describe
        return build_definitions(**_given(arguments), cwd=here)


def _beside(here: Path, program: str) -> str:
    """A path of a program as seen from the component's folder; a bare name is looked for in PATH."""
    return os.fspath(here / program) if "/" in program else program


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that say nothing."""
    return {name: value for name, value in arguments.items() if value is not None}
