"""The Indexed Job whose pods are the shards of a step."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from dagster_k8s.pipes import build_pod_body
from kubernetes import client as k8s

from metaxy_pipes.execution import EXIT_SAMPLES, EXIT_SETUP
from metaxy_pipes.k8s.pods import DISRUPTION
from metaxy_pipes.shards import SEPARATOR, Shard

INDEX = "$(JOB_COMPLETION_INDEX)"
STEP_LABEL = "metaxy-pipes/step"
BACKOFF_LIMIT = 3
TTL = 3600  # seconds; a Job whose step has vanished is kept for so long after its end


def job_body(
    name: str,
    shards: Sequence[Shard],
    *,
    labels: Mapping[str, str],
    image: str | None,
    base_pod_meta: Mapping[str, Any] | None,
    base_pod_spec: Mapping[str, Any] | None,
    job_spec: Mapping[str, Any],
) -> k8s.V1Job:
    """A Job with one index for each shard, all of whose pods are made by one template.

    A pod that a drain, an eviction or a preemption takes away is replaced without being counted; one that failed is, as
    often as `backoff_limit_per_index` says, unless another try would end the same way (failed samples, a wrong set-up).
    A pod is replaced only when it has ended, so that no two compute one shard.

    Args:
        name: the Job's name.
        shards: what the pods are started with; they differ by their index alone.
        labels: labels of the Job and its pods.
        image: the image, if `base_pod_spec` does not name it.
        base_pod_meta: metadata of the pods.
        base_pod_spec: specification of the pods.
        job_spec: fields of the Job's specification that take the place of those here, in snake_case or camelCase.

    """
    pod = build_pod_body(
        pod_name=name,
        image=image,
        command=template_command(shards),
        env_vars=template_env(shards),
        base_pod_meta={**(base_pod_meta or {}), "labels": {**((base_pod_meta or {}).get("labels") or {}), **labels}},
        base_pod_spec=copy.deepcopy(dict(base_pod_spec or {})),
    )
    pod.metadata.name = None
    container = pod.spec.containers[0].name
    spec = {
        "backoff_limit_per_index": BACKOFF_LIMIT,
        "parallelism": len(shards),
        "ttl_seconds_after_finished": TTL,
        "pod_failure_policy": {
            "rules": [
                {"action": "Ignore", "on_pod_conditions": [{"type": DISRUPTION, "status": "True"}]},
                {
                    "action": "FailIndex",
                    "on_exit_codes": {"container_name": container, "operator": "In", "values": [EXIT_SAMPLES, EXIT_SETUP]},
                },
            ]
        },
        **k8s_snake_case_dict(k8s.V1JobSpec, job_spec),
        "completion_mode": "Indexed",
        "completions": len(shards),
        "pod_replacement_policy": "Failed",
    }
    body = k8s_model_from_dict(k8s.V1Job, {"metadata": {"name": name, "labels": {**pod.metadata.labels, **labels}}})
    body.spec = k8s_model_from_dict(k8s.V1JobSpec, {**spec, "template": {}})
    body.spec.template = k8s.V1PodTemplateSpec(metadata=pod.metadata, spec=pod.spec)
    return body


def template_command(shards: Sequence[Shard]) -> list[str]:
    """The one command of all shards, in which Kubernetes puts each pod's index."""
    commands = [_template(s) for s in shards]
    if any(command != commands[0] for command in commands):
        raise ValueError(f"the shards of one Job have commands that differ by more than their index: {commands}")
    return commands[0]


def template_env(shards: Sequence[Shard]) -> dict[str, str]:
    """The one environment of all shards. What differs has a variable for each index, NAME_0, NAME_1 and so on, of which
    the runner takes that of its JOB_COMPLETION_INDEX."""
    env: dict[str, str] = {}
    for name in dict.fromkeys(n for s in shards for n in s.env):
        values = [s.env.get(name) for s in shards]
        if len(set(values)) == 1:
            env[name] = _escape(values[0] or "")
        else:
            env.update({f"{name}_{s.index}": _escape(s.env[name]) for s in shards if name in s.env})
    return env


def indexes(text: str | None) -> set[int]:
    """The numbers of a list such as 0,2-4, as a Job's status has them."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _template(shard: Shard) -> list[str]:
    """A shard's command with a place for the index, which stands after the last --shard that is the runner's own."""
    words = [_escape(word) for word in shard.command]
    own = words[: words.index(SEPARATOR)] if SEPARATOR in words else words
    at = len(own) - own[::-1].index("--shard")
    words[at] = f"{INDEX}/{shard.count}"
    return words


def _escape(word: str) -> str:
    """A word that Kubernetes puts no variable into."""
    return word.replace("$(", "$$(")
