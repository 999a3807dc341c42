"""Dagster's ECS client with a command, as the other clients have one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from dagster_aws.pipes import PipesECSClient


class EcsCommandClient(PipesECSClient):
    """Runs a command in a container of an ECS task.

    Args:
        ecs: arguments of `boto3.client("ecs")`; None means the usual AWS sources.
        client: a boto3 client, instead of one made from `ecs`.
        context_injector: as for PipesECSClient.
        message_reader: as for PipesECSClient.
        forward_termination: as for PipesECSClient.

    """

    def __init__(
        self,
        ecs: Mapping[str, Any] | None = None,
        client: Any = None,
        context_injector: Any = None,
        message_reader: Any = None,
        forward_termination: bool = True,
    ) -> None:
        super().__init__(
            client=client or boto3.client("ecs", **(ecs or {})),
            context_injector=context_injector,
            message_reader=message_reader,
            forward_termination=forward_termination,
        )

    def run(
        self,
        *,
        context: Any,
        command: Sequence[str],
        run_task_params: Mapping[str, Any],
        extras: dict[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        pipes_container_name: str | None = None,
        waiter_config: Any = None,
    ) -> Any:
        """Runs the command in the container `pipes_container_name`, or in the only one of the task definition."""
        params = copy.deepcopy(dict(run_task_params))
        name = pipes_container_name or self._only_container(params["taskDefinition"])
        overrides = params.setdefault("overrides", {}).setdefault("containerOverrides", [])
        override = next((o for o in overrides if o.get("name") == name), None)
        if override is None:
            override = {"name": name}
            overrides.append(override)
        override["command"] = list(command)
        override.setdefault("environment", []).extend({"name": k, "value": v} for k, v in (env or {}).items())
        return super().run(
            context=context,
            run_task_params=params,  # ty: ignore[invalid-argument-type]
            extras=extras,
            pipes_container_name=pipes_container_name,
            waiter_config=waiter_config,
        )

    def _only_container(self, task_definition: str) -> str:
        described = self._client.describe_task_definition(taskDefinition=task_definition)
        names = [c["name"] for c in described["taskDefinition"]["containerDefinitions"]]
        if len(names) != 1:
            raise ValueError(f"{task_definition} has the containers {names}; say in which one: pipes_container_name")
        return names[0]
