"""A thread that reads a pod's log while another one looks after the pod."""

from __future__ import annotations

import threading
from typing import Any

from dagster import PipesMessageReader

from metaxy_pipes.k8s.cluster import Cluster
from metaxy_pipes.k8s.pod_log import LAST_LINES_TIMEOUT, PodLogReader

MARGIN = 10


class Follower:
    """Reads the log of a container from now on, if the reader is one of pod logs; otherwise it does nothing."""

    def __init__(self, reader: PipesMessageReader, cluster: Cluster, pod: Any, container: str, log: Any) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._pod, self._log = pod.metadata.name, log
        if isinstance(reader, PodLogReader):
            arguments = (cluster, pod.metadata.name, pod.metadata.namespace, container, self._ended, log)
            self._thread = threading.Thread(target=reader.follow, args=arguments, name=f"log of {self._pod}", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Reads what is left of the log, which nothing is added to any more."""
        self._ended.set()
        if self._thread is None:
            return
        self._thread.join(LAST_LINES_TIMEOUT + MARGIN)
        if self._thread.is_alive():
            self._log.warning(f"the log of pod {self._pod} is still being read; its last messages may be missing")
        self._thread = None
