"""Pipes clients by configuration: where the binary runs, without any code."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

# The clients that have a short name; others are named by their dotted path. The second is the extra to install.
CLIENTS = {
    "subprocess": ("dagster.PipesSubprocessClient", ""),
    "k8s": ("metaxy_pipes.k8s.K8sClient", "k8s"),
    "docker": ("dagster_docker.PipesDockerClient", "docker"),
    "ecs": ("metaxy_pipes.ecs.EcsCommandClient", "aws"),
}
PARTS = {
    "s3": ("dagster_aws.pipes", {"message_reader": "PipesS3MessageReader", "context_injector": "PipesS3ContextInjector"}),
}
NOT_FOR_RUN = ("self", "context", "command", "extras", "env")


def make_client(config: str | Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The client of a configuration, and what else its `run` takes.

    Args:
        config: the client's name, or an object with it in `type` and any argument of the client's class or of its `run`.
            Names are subprocess, k8s, docker, ecs, or the dotted path of a class. `message_reader` and `context_injector`
            are the dotted path of a class, or an object with it in `type` and its arguments; `s3` is short for Dagster's
            own, with `bucket` and the arguments of `boto3.client("s3")` in `s3`.

    """
    settings = {"type": config} if isinstance(config, str) else dict(config)
    name = settings.pop("type", "subprocess")
    path, extra = CLIENTS.get(name, (name, ""))
    made_by = _load(path, extra)
    takes, run_takes = _parameters(made_by), _parameters(made_by.run)
    for part in ("message_reader", "context_injector"):
        if part in settings:
            settings[part] = _part(part, settings[part])
    unknown = [k for k in settings if k not in takes and (k not in run_takes or k in NOT_FOR_RUN)]
    if unknown:
        known = sorted({*takes, *run_takes} - set(NOT_FOR_RUN))
        raise ValueError(f"client {name}: unknown {', '.join(map(repr, unknown))}; it takes {', '.join(known)}")
    constructed = {k: v for k, v in settings.items() if k in takes}
    return made_by(**constructed), {k: v for k, v in settings.items() if k not in takes}


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def _part(role: str, config: str | Mapping[str, Any]) -> Any:
    settings = {"type": config} if isinstance(config, str) else dict(config)
    name = settings.pop("type", None)
    if name is None:
        raise ValueError(f"{role}: no type; expected s3, or the dotted path of a class")
    if name not in PARTS:
        return _load(name, "")(**settings)
    module, classes = PARTS[name]
    made_by = _load(f"{module}.{classes[role]}", "aws")
    boto3 = importlib.import_module("boto3")
    return made_by(client=boto3.client("s3", **settings.pop("s3", {})), **settings)


def _load(path: str, extra: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as err:
        hint = f"; install metaxy-pipes[{extra}]" if extra else ""
        raise dg.DagsterInvalidDefinitionError(f"{path}: {err}{hint}") from err
