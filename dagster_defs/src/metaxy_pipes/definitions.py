"""The shortest way from a binary to a code location."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from metaxy_pipes.assets import DEFAULT_CLIENT_KEY, metaxy_pipes_assets


def build_definitions(
    binary: str | os.PathLike[str] | Sequence[str],
    *,
    client: Any = None,
    resources: Mapping[str, Any] | None = None,
    client_key: str = DEFAULT_CLIENT_KEY,
    **asset_args: Any,
) -> dg.Definitions:
    """Definitions with the features of a graph as assets and the client that runs them.

    Args:
        binary: the binary, or the command that starts it as a list of words.
        client: the Pipes client; None means a PipesSubprocessClient.
        resources: further resources.
        client_key: the name under which the client is a resource.
        asset_args: everything else that `metaxy_pipes_assets` takes.

    """
    return dg.Definitions(
        assets=metaxy_pipes_assets(binary, client_key=client_key, **asset_args),
        resources={client_key: client or dg.PipesSubprocessClient(), **(resources or {})},
    )
