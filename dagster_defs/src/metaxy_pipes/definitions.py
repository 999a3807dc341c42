"""The shortest way from a binary to a code location."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.assets import metaxy_pipes_assets
from metaxy_pipes.clients import make_client
from metaxy_pipes.command import Command
from metaxy_pipes.computed import DEFAULT_CLIENT_KEY, identifier
from metaxy_pipes.description import Description
from metaxy_pipes.sensor import increment_sensor


def build_definitions(
    binary: str | os.PathLike[str] | Sequence[str],
    *,
    features: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    config: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    describe: Description | str | os.PathLike[str] | None = None,
    client: Any = None,
    client_args: Mapping[str, Any] | None = None,
    client_key: str = DEFAULT_CLIENT_KEY,
    resources: Mapping[str, Any] | None = None,
    sensor: bool | Mapping[str, Any] = False,
    **asset_args: Any,
) -> dg.Definitions:
    """Definitions with the features of a graph as assets and the client that runs them.

    Args:
        binary: the binary, or the command that starts it as a list of words.
        features: feature files; none means what the configuration or the binary itself says.
        config: a `metaxy.toml`.
        store: name or URI of the store.
        env: added to the environment of the binary, also when it describes itself.
        cwd: working directory of the binary.
        describe: a description, or the file that holds one; None asks the binary now.
        client: a Pipes client, or what `make_client` takes: `"k8s"`, or `{"type": "docker", "image": ...}`. None means a
            PipesSubprocessClient.
        client_args: what else the client's `run` takes.
        client_key: the name under which the client is a resource.
        resources: further resources.
        sensor: True adds a sensor that materializes when samples are new or stale; an object has the arguments of
            `increment_sensor`.
        asset_args: everything else that `metaxy_pipes_assets` takes.

    """
    command = Command.of(binary, features=features, config=config, store=store, env=env, cwd=cwd)
    graph = Description.of(describe) if describe is not None else command.describe()
    arguments = dict(client_args or {})
    if client is None or isinstance(client, (str, Mapping)):
        client, configured = make_client(client or "subprocess")
        arguments = {**configured, **arguments}
    assets = metaxy_pipes_assets(
        command.binary,
        features=command.features,
        config=command.config,
        store=command.store,
        env=command.env,
        cwd=command.cwd,
        describe=graph,
        client_key=client_key,
        client_args=arguments,
        **asset_args,
    )
    return dg.Definitions(
        assets=[a for a in assets if not isinstance(a, dg.AssetChecksDefinition)],
        asset_checks=[a for a in assets if isinstance(a, dg.AssetChecksDefinition)],
        sensors=_sensors(sensor, command, graph, asset_args),
        resources={client_key: client, **(resources or {})},
    )


def _sensors(
    wanted: bool | Mapping[str, Any], command: Command, graph: Description, asset_args: Mapping[str, Any]
) -> list[dg.SensorDefinition]:
    if wanted is False:
        return []
    select = asset_args.get("select")
    computed = [
        f.key
        for f in graph
        if f.deps
        and (f.processor or f.key in (asset_args.get("processors") or {}))
        and (select is None or f.key in select)
    ]
    arguments: dict[str, Any] = {
        "name": f"{graph.project or 'metaxy'}_increments",
        "select": computed,
        "key_prefix": asset_args.get("key_prefix") or (),
    }
    if not isinstance(wanted, bool):
        arguments.update(wanted)
    name = identifier(arguments.pop("name"))
    return [increment_sensor(name, command, graph, **arguments)]
