"""Keeps what a process reported before it failed.

Dagster's clients raise as soon as the process exits with another status than 0, and what it had reported until
then is gone with the session. A Capture sits between the client's own message reader and its handler, and
remembers the handler.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster import PipesMessageReader

from metaxy_pipes.reports import Report, parse_reports


class Capture(PipesMessageReader):
    """A message reader that does what another one does, and remembers what was reported. For one session."""

    def __init__(self, inner: PipesMessageReader) -> None:
        self._inner = inner
        self._handler: Any = None
        self.exception: str | None = None

    @property
    def results(self) -> Sequence[dg.MaterializeResult | dg.AssetCheckResult]:
        """Materializations and check results that have arrived."""
        return self._handler.get_reported_results() if self._handler else ()

    @property
    def reports(self) -> list[Report]:
        """The runner's own reports that have arrived."""
        return parse_reports(self._handler.get_custom_messages()) if self._handler else []

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        """Reads with the inner reader."""
        self._handler = handler
        with self._inner.read_messages(_Listening(handler, self)) as params:
            yield params

    @property
    def expected_writer_count(self) -> int:
        """The inner reader's; asked for only if it says so itself, because Dagster warns of the member."""
        said = getattr(type(self._inner), "expected_writer_count", None)
        if said is getattr(PipesMessageReader, "expected_writer_count", None):
            return 1
        return self._inner.expected_writer_count

    def on_opened(self, opened_payload: Any) -> None:
        """Told to the inner reader."""
        self._inner.on_opened(opened_payload)

    def on_launched(self, launched_payload: Any) -> None:
        """Told to the inner reader."""
        self._inner.on_launched(launched_payload)

    def no_messages_debug_text(self) -> str:
        """The inner reader's."""
        return self._inner.no_messages_debug_text()


class _Listening:
    """A message handler that notes the exception of `closed` and passes every message on."""

    def __init__(self, handler: Any, capture: Capture) -> None:
        self._handler = handler
        self._capture = capture

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def handle_message(self, message: Any) -> None:
        if message.get("method") == "closed":
            exception = (message.get("params") or {}).get("exception")
            if exception:
                self._capture.exception = str(exception.get("message", "")).strip()
        self._handler.handle_message(message)


def capturing(client: Any) -> tuple[Any, Capture | None]:
    """A copy of a Pipes client whose next session is remembered, and what remembers it.

    The client itself is left alone, because steps may share it. None if the client has no message reader that
    could be replaced; then nothing is remembered.
    """
    reader = getattr(client, "message_reader", None)
    if not isinstance(reader, PipesMessageReader):
        return client, None
    capture = Capture(reader)
    twin = copy.copy(client)
    twin.message_reader = capture
    return twin, capture
