"""How the binary is called."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metaxy_pipes.description import Description


class CommandError(RuntimeError):
    """The binary could not be started, or refused; the message has what it said."""


@dataclass(frozen=True)
class Command:
    """A metaxy-pipes binary with its global flags.

    Args:
        binary: the words that start it, for example `("bin/metaxy-pipes",)`.
        features: feature files; none means what the configuration or the binary itself says.
        config: path of a `metaxy.toml`; None means that the binary looks for one.
        store: name or URI of a store; None means the configuration's.
        env: variables added to the process's environment, for `describe` too.
        cwd: working directory; None means Dagster's.

    """

    binary: tuple[str, ...]
    features: tuple[str, ...] = ()
    config: str | None = None
    store: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None

    @staticmethod
    def of(
        binary: str | os.PathLike[str] | Sequence[str],
        *,
        features: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        config: str | os.PathLike[str] | None = None,
        store: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Command:
        """Makes a Command from the forms that people write."""
        words = (os.fspath(binary),) if isinstance(binary, (str, os.PathLike)) else tuple(binary)
        if not words:
            raise ValueError("binary is empty: expected a path, or a command as a list of words")
        paths = (features,) if isinstance(features, (str, os.PathLike)) else tuple(features)
        return Command(
            binary=words,
            features=tuple(os.fspath(p) for p in paths),
            config=None if config is None else os.fspath(config),
            store=None if store is None else os.fspath(store),
            env=dict(env or {}),
            cwd=None if cwd is None else os.fspath(cwd),
        )

    def argv(self, verb: str, *arguments: str) -> list[str]:
        """The words of one call, with the global flags before the verb's arguments."""
        words = [*self.binary, verb]
        if self.config is not None:
            words += ["--config", self.config]
        if self.store is not None:
            words += ["--store", self.store]
        for path in self.features:
            words += ["--features", path]
        return [*words, *arguments]

    def environment(self) -> dict[str, str]:
        """The environment of a call outside of Pipes."""
        return {**os.environ, **self.env}

    def describe(self) -> Description:
        """Asks the binary for its features."""
        argv = self.argv("describe")
        try:
            done = subprocess.run(argv, env=self.environment(), cwd=self.cwd, capture_output=True, check=False)
        except OSError as err:
            raise CommandError(f"start {argv[0]}: {err}") from err
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise CommandError(f"{' '.join(argv)}: exit status {done.returncode}: {said}")
        return Description.loads(done.stdout)
