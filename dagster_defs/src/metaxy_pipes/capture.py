"""Keeps what a process reported before it failed.

Dagster's clients raise as soon as the process exits with another status than 0, and what it had reported until
then is gone with the session. So a session gets a copy of the client's message reader that remembers its handler. It is
of the reader's own class, because clients ask for it: that of Kubernetes only reads a pod's log for its own reader.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster import PipesMessageReader

from metaxy_pipes.reports import Report, parse_reports

READER_ATTRIBUTES = ("message_reader", "_message_reader")


class Capture:
    """What was reported in one session.

    Args:
        restartable: whether another process may go on in the session when one has failed. Then that one failed is not told to
            Dagster, for which it would end the session, before `release`.

    """

    def __init__(self, restartable: bool = False) -> None:
        self._restartable = restartable
        self._handler: Any = None
        self._held: Any = None
        self.exception: str | None = None
        self.exception_name: str | None = None

    @property
    def results(self) -> Sequence[dg.MaterializeResult | dg.AssetCheckResult]:
        """Materializations and check results that have arrived."""
        return self._handler.get_reported_results() if self._handler else ()

    @property
    def reports(self) -> list[Report]:
        """The runner's own reports that have arrived."""
        return parse_reports(self._handler.get_custom_messages()) if self._handler else []

    def release(self) -> None:
        """Tells Dagster how the last process has failed, if it has: no other one comes."""
        held, self._held = self._held, None
        if held is not None:
            self._handler.handle_message(held)

    def note(self, message: Any) -> bool:
        """Notes what a message says of a process's beginning and end; returns whether Dagster is to be told now."""
        if message.get("method") == "opened":
            self.exception = self.exception_name = self._held = None
        exception = (message.get("params") or {}).get("exception") if message.get("method") == "closed" else None
        if not exception:
            return True
        self.exception = str(exception.get("message", "")).strip()
        self.exception_name = exception.get("name")
        if self._restartable:
            self._held = message
        return not self._restartable

    def listen(self, reader: PipesMessageReader) -> PipesMessageReader:
        """A copy of a reader whose session is remembered here."""
        twin, of = copy.copy(reader), type(reader)

        @contextmanager
        def read_messages(twin: Any, handler: Any) -> Iterator[Any]:
            self._handler = handler
            with of.read_messages(twin, _Listening(handler, self)) as params:
                yield params

        members: dict[str, Any] = {"read_messages": read_messages, "__module__": of.__module__}
        if of.expected_writer_count is PipesMessageReader.expected_writer_count:
            members["expected_writer_count"] = 1  # what it is, without Dagster's warning about the member
        twin.__class__ = type(of.__name__, (of,), members)
        return twin


class _Listening:
    """A message handler that lets a capture note each message before it is passed on."""

    def __init__(self, handler: Any, capture: Capture) -> None:
        self._handler = handler
        self._capture = capture

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def handle_message(self, message: Any) -> None:
        if self._capture.note(message):
            self._handler.handle_message(message)


def capturing(client: Any) -> tuple[Any, Capture | None]:
    """A copy of a Pipes client whose next session is remembered, and what remembers it.

    The client itself is left alone, because steps may share it. None if the client has no message reader that
    could be replaced; then nothing is remembered.
    """
    for name in READER_ATTRIBUTES:
        reader = getattr(client, name, None)
        if isinstance(reader, PipesMessageReader):
            capture = Capture()
            twin = copy.copy(client)
            setattr(twin, name, capture.listen(reader))
            return twin, capture
    return client, None
