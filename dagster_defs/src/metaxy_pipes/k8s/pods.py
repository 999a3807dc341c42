"""What has become of a pod: its end in words, or why it does not start."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from metaxy_pipes.execution import ProcessFailure

# Why a container waits that will not start by itself, as a rule; the first two never do.
HOPELESS = {"InvalidImageName", "ErrImageNeverPull"}
STUCK = {
    *HOPELESS,
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "CreateContainerConfigError",  # a secret or config map that is not there
    "CreateContainerError",
    "CreatePodSandboxError",
    "RunContainerError",
    "CrashLoopBackOff",
}
SUCCEEDED, FAILED = "Succeeded", "Failed"
DISRUPTION = "DisruptionTarget"


class PodFailure(ProcessFailure):
    """A pod that did not start, was taken away, or whose process failed. What it had committed stays."""


INDEX = "batch.kubernetes.io/job-completion-index"


def index(pod: Any) -> int:
    """Which index of its Indexed Job a pod has; -1 for other pods."""
    return int((pod.metadata.annotations or {}).get(INDEX, -1))


def label(pod: Any) -> str:
    """The pod's name and node, as a message begins."""
    node = pod.spec.node_name
    return f"Pod {pod.metadata.name}" + (f" on {node}" if node else "")


def statuses(pod: Any, ignore: Collection[str] = ()) -> list[Any]:
    """The states of a pod's containers, those that run before the others first."""
    both = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    return [s for s in both if s.name not in ignore]


def waiting(pod: Any, ignore: Collection[str] = ()) -> tuple[str, str] | None:
    """Why a container of the pod does not start, as a reason and a sentence; None if nothing is known to be wrong."""
    for status in statuses(pod, ignore):
        state = status.state.waiting if status.state else None
        if state is not None and state.reason in STUCK:
            said = f": {state.message}" if state.message else ""
            return state.reason, f"{label(pod)}: container {status.name} does not start ({state.reason}){said}"
    return None


def started(pod: Any, container: str) -> bool:
    """Whether a container runs or has run, so that it has a log."""
    for status in pod.status.container_statuses or []:
        if status.name == container and status.state:
            return bool(status.state.running or status.state.terminated)
    return False


def ended(pod: Any, ignore: Collection[str] = ()) -> bool:
    """Whether all containers of the pod have ended for good."""
    if pod.status.phase in (SUCCEEDED, FAILED):
        return True
    found = [s for s in pod.status.container_statuses or [] if s.name not in ignore]
    wanted = [c for c in pod.spec.containers if c.name not in ignore]
    return len(found) == len(wanted) > 0 and all(s.state and s.state.terminated for s in found)


def failure(pod: Any, ignore: Collection[str] = ()) -> PodFailure | None:
    """Why a pod that has ended did not end well; None if it did."""
    reasons, code = [], None
    for status in statuses(pod, ignore):
        end = status.state.terminated if status.state else None
        if end is None or end.exit_code == 0:
            continue
        code = end.exit_code if code is None else code
        reasons.append(_container(pod, status.name, end))
    if pod.status.phase == FAILED and pod.status.reason:  # Evicted, DeadlineExceeded, NodeLost
        reasons.insert(0, f"{pod.status.reason}: {pod.status.message or 'no message'}")
    if said := disrupted(pod):
        reasons.insert(0, said)
    elif reasons and pod.metadata.deletion_timestamp:
        reasons.insert(0, "it was deleted")
    if not reasons and pod.status.phase != FAILED:
        return None
    return PodFailure(f"{label(pod)}: {'; '.join(reasons) or 'it failed without a reason'}.", status=code)


def gone(pod: Any) -> PodFailure:
    """The failure of a pod whose object is not there any more, by what was last seen of it."""
    seen = failure(pod)
    if disrupted(pod):
        how = "was taken away"
    elif pod.metadata.deletion_timestamp:
        how = "was deleted"
    else:
        how = "was deleted, or its node was,"
    last = f" Last seen: {seen}" if seen else ""
    return PodFailure(f"{label(pod)} {how} before it had ended.{last}", status=seen.status if seen else None)


def disrupted(pod: Any) -> str | None:
    """Who has taken the pod away: an eviction, a drain, a preemption, a taint, a node that shuts down."""
    for condition in pod.status.conditions or []:
        if condition.type == DISRUPTION and condition.status == "True":
            return f"{condition.reason}: {condition.message}".rstrip(". ")
    return None


def _container(pod: Any, name: str, end: Any) -> str:
    if end.reason == "OOMKilled":
        (limit,) = [_limit(c) for c in [*(pod.spec.init_containers or []), *pod.spec.containers] if c.name == name]
        return f"container {name} was killed for its memory (OOMKilled, exit code {end.exit_code}); its limit is {limit}"
    why = f" ({end.reason})" if end.reason and end.reason != "Error" else ""
    said = f": {end.message.strip()}" if end.message else ""
    return f"container {name} ended with exit code {end.exit_code}{why}{said}"


def _limit(container: Any) -> str:
    limits = container.resources.limits if container.resources else None
    return (limits or {}).get("memory", "that of its node")
