"""Shards as Ray tasks: `metaxy_pipes.run_shards` starts them by this launcher, on the cluster that `ray.init` finds."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from dagster import PipesEnvContextInjector, PipesMessageReader, PipesTempFileMessageReader

from metaxy_pipes import Shard

PR_SET_PDEATHSIG = 1


class RayShards:
    """Starts every shard as a Ray task, which runs the binary on whatever node has room for it.

    Args:
        message_reader: where messages go; None means a temporary file, which only nodes on this machine can write. A
            cluster of several machines needs Dagster's PipesS3MessageReader, or another one for an object store.
        options: Ray's options of a task: `num_cpus`, `memory`, `resources`, `runtime_env`, `max_retries`.
        termination_timeout_seconds: how long a process may take to commit what it holds when the step is interrupted.

    """

    def __init__(
        self,
        *,
        message_reader: PipesMessageReader | None = None,
        options: Mapping[str, Any] | None = None,
        termination_timeout_seconds: float = 20,
    ) -> None:
        self.context_injector = PipesEnvContextInjector()
        self.message_reader = message_reader or PipesTempFileMessageReader()
        self.options = {"max_retries": 2, **(options or {})}
        self.termination_timeout_seconds = termination_timeout_seconds

    def run(self, context: Any, shards: Sequence[Shard]) -> None:
        """Starts the tasks and waits for them. Ray starts a task again whose worker died, not one whose process failed."""
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # so that nodes need no more than Ray and the binary
        task, timeout = ray.remote(_run), self.termination_timeout_seconds
        refs = [
            task.options(**self.options, name=str(s)).remote(list(s.command), dict(s.env), s.cwd, timeout) for s in shards
        ]
        try:
            for shard, ref in zip(shards, refs, strict=True):
                try:
                    shard.status = ref.future().result()  # not ray.get, which lets no exception through but KeyboardInterrupt
                except ray.exceptions.RayError as err:
                    shard.error = f"{type(err).__name__}: {err}"
        except BaseException:
            context.log.info("interrupted: %s Ray tasks are told to commit what they hold", len(refs))
            for ref in refs:
                ray.cancel(ref)
            ray.wait(refs, num_returns=len(refs), timeout=timeout)
            raise


def _run(command: list[str], env: dict[str, str], cwd: str | None, timeout: float) -> int:
    """The task: runs a shard's process, and ends with it."""
    process = subprocess.Popen(command, env={**os.environ, **env}, cwd=cwd, preexec_fn=_end_with_parent)
    try:
        while True:
            try:
                return process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                pass  # and look whether Ray has cancelled the task
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def _end_with_parent() -> None:
    """SIGTERM when the Ray worker dies (on Linux), so that its process does not compute beside the one that takes its place."""
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
