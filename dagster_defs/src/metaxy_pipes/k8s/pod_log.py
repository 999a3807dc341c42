"""Messages from a pod's log, read to its end whatever happens to the connection."""

from __future__ import annotations

import calendar
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from dagster._core.pipes.utils import extract_message_or_forward_to_stdout
from dagster_k8s.pipes import PipesK8sPodLogsMessageReader
from kubernetes.client import ApiException

from metaxy_pipes.k8s.cluster import NOT_FOUND, REQUEST_TIMEOUT, Cluster, reason, transient

IDLE_TIMEOUT = 300  # seconds without a line after which the connection is taken for dead
LAST_LINES_TIMEOUT = 60  # seconds in which the log of a container that has ended has to be read
WINDOW = 30 * 10**9  # nanoseconds; lines of stdout and stderr are never further out of order
MESSAGE = '{"__dagster_pipes_version"'


class PodLogReader(PipesK8sPodLogsMessageReader):
    """Dagster's reader of pod logs, with its parameters, for a log that is read to its end.

    A connection that is cut is opened again, and each line is handled once. Each line stands for itself, whatever its
    time; a message that other output without a line end stands before is found all the same.
    """

    def follow(self, cluster: Cluster, name: str, namespace: str, container: str, ended: threading.Event, log: Any) -> None:
        """Handles every line of a container's log.

        Args:
            cluster: the cluster.
            name: the pod's name.
            namespace: its namespace.
            container: the container's name.
            ended: set when the container has ended, or the pod is gone; then the rest of the log is read.
            log: told when the log cannot be read to its end.

        """
        seen, deadline, trouble = Seen(), None, None
        while deadline is None or time.monotonic() < deadline:
            last = ended.is_set()
            if last and deadline is None:
                deadline = time.monotonic() + LAST_LINES_TIMEOUT
            try:
                self._read(cluster, name, namespace, container, seen, last)
                if last:
                    return
            except Exception as err:
                if isinstance(err, ApiException) and err.status == NOT_FOUND:
                    return  # with the pod; what was read until then is all there is
                if not transient(err) and not isinstance(err, ApiException):
                    raise
                trouble = err
            ended.wait(1.0) if not last else time.sleep(1.0)
        log.warning(f"the log of pod {name} could not be read to its end: {reason(trouble) if trouble else 'no answer'}")

    def _read(self, cluster: Cluster, name: str, namespace: str, container: str, seen: Seen, last: bool) -> None:
        """Reads the log from its beginning, and on until the connection ends; `last` says that nothing will be added."""
        handler = self._handler
        if handler is None:
            raise RuntimeError("a pod's log can be read within read_messages only")
        timeout = REQUEST_TIMEOUT if last else (REQUEST_TIMEOUT[0], IDLE_TIMEOUT)
        response = cluster.core.read_namespaced_pod_log(
            name, namespace, container=container, follow=not last, timestamps=True,
            _preload_content=False, _request_timeout=timeout,
        )
        try:
            for line in seen.new(lines(response.stream(), last)):
                for text in apart(line):
                    extract_message_or_forward_to_stdout(handler, text)
        finally:
            response.close()


class Seen:
    """Tells the lines that were handled already from those that were not, when a log is read again."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[int, int], None] = OrderedDict()  # time and hash of the lines in the window
        self._newest = 0

    def new(self, stamped: Iterable[str]) -> Iterator[str]:
        """The texts of the lines that were not seen before. Lines are remembered as they are passed on."""
        before = self._newest - WINDOW  # what is older was handled in an earlier reading
        for line in stamped:
            stamp, _, text = line.partition(" ")
            at = nanoseconds(stamp)
            if at is None:  # a runtime without times, or a piece; better twice than not at all
                yield line
                continue
            key = (at, hash(text))
            if at < before or key in self._recent:
                continue
            yield text
            self._recent[key] = None
            self._newest = max(self._newest, at)
            while next(iter(self._recent))[0] < self._newest - WINDOW:
                self._recent.popitem(last=False)


def lines(chunks: Iterable[bytes], last: bool) -> Iterator[str]:
    """The whole lines of a stream. A line without an end counts if nothing more can come."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
        for line in whole:
            yield line.decode(errors="replace")
    if rest and last:
        yield rest.decode(errors="replace")


def apart(line: str) -> Iterator[str]:
    """A line, or the output without a line end that stands in it before a message, and the message."""
    at = line.find(MESSAGE)
    if at > 0:
        yield line[:at]
        line = line[at:]
    yield line


def nanoseconds(stamp: str) -> int | None:
    """A time as Kubernetes writes it, in nanoseconds of Unix time; None if it is none."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", stamp)
    if not found:
        return None
    seconds = _seconds(found[1], found[3])
    return None if seconds is None else seconds * 10**9 + int((found[2] or "0").ljust(9, "0"))


@lru_cache(maxsize=16)
def _seconds(local: str, zone: str) -> int | None:
    try:
        seconds = calendar.timegm(time.strptime(local, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    if zone == "Z":
        return seconds
    offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return seconds - offset if zone[0] == "+" else seconds + offset
