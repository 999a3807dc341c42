"""Materializes clips/upper in a process of its own, which a test can interrupt.

`materialize_upper.py HOME DAGSTER [SHARDS]`
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dagster as dg
from clips import UPPER, Clips


def main():
    home, dagster_home = sys.argv[1:3]
    shards = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with dg.DagsterInstance.local_temp(dagster_home, overrides={"telemetry": {"enabled": False}}) as instance:
        result = dg.materialize(
            Clips(Path(home)).assets(shards=shards),
            selection=[UPPER],
            instance=instance,
            resources={"pipes_client": dg.PipesSubprocessClient()},
            raise_on_error=False,
        )
        return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
