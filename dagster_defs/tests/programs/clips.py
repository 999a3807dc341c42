"""A small project for tests with the runner itself: clips/raw is fed from a file, clips/upper is computed."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent
PROJECT = PROGRAMS.parents[2]
sys.path.insert(0, str(PROJECT / "dagster_defs" / "src"))

import dagster as dg  # noqa: E402

from metaxy_pipes import Command, metaxy_pipes_assets  # noqa: E402

DAYS = "abcd"
TWENTY = [f"{day}{n}" for day in DAYS for n in range(5)]
BINARY = PROJECT / "bin" / "metaxy-pipes"
RAW, UPPER = dg.AssetKey(["clips", "raw"]), dg.AssetKey(["clips", "upper"])
FEATURES = """
features:
  - key: clips/raw
    id_columns: [id]
  - key: clips/upper
    id_columns: [id]
    deps: [clips/raw]
    fields: [{key: default, code_version: "CODE"}]
"""


@dataclass(frozen=True)
class Clips:
    """A project in a folder of its own."""

    home: Path

    @property
    def rows(self):
        return self.home / "rows.jsonl"

    @property
    def calls(self):
        return self.home / "calls"

    @property
    def rules(self):
        return self.home / "rules.json"

    @property
    def command(self):
        return Command.of(BINARY, features=self.home / "features.yaml", store=self.home / "store")

    @property
    def processor(self):
        return [sys.executable, str(PROGRAMS / "worker.py"), str(self.calls), str(self.rules)]

    def write(self, ids, code="1"):
        """Writes the features and one clip for each id; ids that begin alike have the same day."""
        self.home.mkdir(exist_ok=True)
        (self.home / "features.yaml").write_text(FEATURES.replace("CODE", code))
        rows = [{"id": i, "day": i[0], "text": f"clip {i}"} for i in ids]
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return self

    @staticmethod
    def of_four_days(home, **arguments):
        """A project with five clips of each of four days, fed and not yet computed."""
        made = Clips(home).write(TWENTY, **arguments)
        made.ingest()
        made.rule()
        return made

    def rule(self, **rules):
        """Says what happens at some samples from now on, and forgets the earlier calls."""
        self.rules.write_text(json.dumps(rules))
        self.calls.write_text("")

    def assets(self, **arguments):
        """Both features as assets; what the runner holds back is small, so that tests see single commits."""
        command = self.command
        run_args = ("--concurrency", "1", "--flush-rows", "1", "--grace", "1s", *arguments.pop("run_args", ()))
        return metaxy_pipes_assets(
            command.binary,
            features=command.features,
            store=command.store,
            ingest={"clips/raw": str(self.rows)},
            processors={"clips/upper": self.processor},
            run_args=run_args,
            **arguments,
        )

    def ingest(self):
        """Feeds clips/raw without Dagster."""
        self.call("ingest", "clips/raw", "--from", str(self.rows))

    def committed(self):
        """The ids of clips/upper's current rows."""
        if not (self.home / "store" / "clips" / "upper.delta").exists():
            return []
        lines = self.call("read", "clips/upper", "--format", "jsonl").splitlines()
        return sorted(json.loads(line)["id"] for line in lines)

    def called(self):
        """The ids that the processor was called for since the last rule."""
        return self.calls.read_text().split() if self.calls.exists() else []

    def table(self):
        """Where clips/upper is stored."""
        return str(self.home / "store" / "clips" / "upper.delta")

    def call(self, verb, *arguments):
        """What a command prints."""
        done = subprocess.run(
            self.command.argv(verb, *arguments), capture_output=True, text=True, check=False, env={**os.environ}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def materialize_upper(assets, **arguments):
    """Materializes clips/upper in an instance of its own, without raising, and returns Dagster's result."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets,
            selection=[UPPER],
            instance=instance,
            resources={"pipes_client": dg.PipesSubprocessClient()},
            raise_on_error=False,
            **arguments,
        )
