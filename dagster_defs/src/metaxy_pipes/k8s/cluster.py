"""Calls of the API server that outlast its absence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import kubernetes
import urllib3
from kubernetes.client import ApiException

TRANSIENT = {408, 429, 500, 502, 503, 504}
NOT_FOUND, CONFLICT = 404, 409
REQUEST_TIMEOUT = (10, 60)
PAUSE = 1.0


class Cluster:
    """A cluster, as the loaded configuration names it.

    Args:
        log: told when the API server cannot be reached, and when it is back.
        patience: for how many seconds in a row it may be away before a call fails.

    """

    def __init__(self, log: Any, patience: float = 300) -> None:
        self.core = kubernetes.client.CoreV1Api()
        self.batch = kubernetes.client.BatchV1Api()
        self._log = log
        self._patience = patience

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the function returns; it is called again while the API server is away or overloaded."""
        until, told = time.monotonic() + self._patience, False
        while True:
            try:
                result = function(*args, _request_timeout=REQUEST_TIMEOUT, **kwargs)
            except Exception as err:
                if not transient(err) or time.monotonic() > until:
                    raise
                if not told:
                    self._log.warning(f"the API server of Kubernetes does not answer, trying again: {reason(err)}")
                    told = True
                time.sleep(PAUSE)
            else:
                if told:
                    self._log.info("the API server of Kubernetes answers again")
                return result

    def create(self, create: Callable[..., Any], read: Callable[..., Any], namespace: str, body: Any, name: str) -> Any:
        """Creates an object whose name nobody else uses, also when the answer to an earlier try was lost."""
        try:
            return self.call(create, namespace, body)
        except ApiException as err:
            if err.status != CONFLICT:
                raise
        return self.call(read, name, namespace)

    def find(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What is read, or None if it is not there (any more)."""
        try:
            return self.call(read, *args, **kwargs)
        except ApiException as err:
            if err.status != NOT_FOUND:
                raise
        return None

    def warnings(self, namespace: str, uid: str) -> list[str]:
        """The warnings that Kubernetes has noted about an object, the oldest first, such as of a volume that is not there."""
        found = self.call(self.core.list_namespaced_event, namespace, field_selector=f"involvedObject.uid={uid},type=Warning")
        return [f"{event.reason}: {event.message}" for event in found.items]


def transient(err: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    if isinstance(err, ApiException):
        return (err.status or 0) in TRANSIENT
    return isinstance(err, (urllib3.exceptions.HTTPError, OSError))


def reason(err: BaseException) -> str:
    """What an error of the client says, in one line: its text holds all headers of the answer."""
    if isinstance(err, ApiException):
        try:
            return f"{err.status} {json.loads(err.body)['message']}"
        except (TypeError, ValueError, KeyError):
            return f"{err.status} {err.reason}"
    return f"{type(err).__name__}: {err}"
