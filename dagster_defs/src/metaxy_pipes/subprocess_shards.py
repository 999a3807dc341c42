"""Shards as processes of this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from subprocess import Popen, TimeoutExpired

import dagster as dg
from dagster import (
    PipesContextInjector,
    PipesMessageReader,
    PipesTempFileContextInjector,
    PipesTempFileMessageReader,
)

from metaxy_pipes.shards import Shard


class SubprocessShards:
    """Starts every shard as a process beside this one.

    Args:
        context_injector: None means a temporary file.
        message_reader: None means a temporary file.
        env: added to this process's environment.
        cwd: working directory of shards that have none; None means this process's.
        termination_timeout_seconds: how long the processes may take to commit what they hold when the step is interrupted;
            then they are killed.

    """

    def __init__(
        self,
        *,
        context_injector: PipesContextInjector | None = None,
        message_reader: PipesMessageReader | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        termination_timeout_seconds: float = 20,
    ) -> None:
        self.context_injector = context_injector or PipesTempFileContextInjector()
        self.message_reader = message_reader or PipesTempFileMessageReader()
        self.env = dict(env or {})
        self.cwd = cwd
        self.termination_timeout_seconds = termination_timeout_seconds

    @staticmethod
    def of(client: dg.PipesSubprocessClient) -> SubprocessShards:
        """Shards that run as a client runs a command."""
        return SubprocessShards(
            context_injector=client.context_injector,
            message_reader=client.message_reader,
            env=client.env,
            cwd=client.cwd,
            termination_timeout_seconds=client.termination_timeout_seconds,
        )

    def run(self, context: dg.AssetExecutionContext, shards: Sequence[Shard]) -> None:
        """Starts the processes and waits for them; see `ShardLauncher`."""
        running: list[tuple[Shard, Popen[bytes]]] = []
        try:
            for shard in shards:
                try:
                    running.append((shard, self._start(shard)))
                except OSError as err:
                    shard.error = f"start {shard.command[0]}: {err}"
            for shard, process in running:
                shard.status = process.wait()
        except BaseException:
            context.log.info("interrupted: %s processes are told to commit what they hold", len(running))
            self._stop(running)
            raise

    def _start(self, shard: Shard) -> Popen[bytes]:
        environment = {**os.environ, **self.env, **shard.env}
        return Popen(list(shard.command), cwd=shard.cwd or self.cwd, env=environment)

    def _stop(self, running: Sequence[tuple[Shard, Popen[bytes]]]) -> None:
        """Sends SIGINT to all at once, and SIGKILL to those that are still there at the deadline."""
        for _, process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        until = time.monotonic() + self.termination_timeout_seconds
        for shard, process in running:
            try:
                shard.status = process.wait(timeout=max(0.0, until - time.monotonic()))
            except TimeoutExpired:
                process.kill()
                shard.status = process.wait()
                shard.error = f"killed: not ended {self.termination_timeout_seconds:g} s after it was interrupted"
