"""Plays the runner by a script, for tests of what Dagster makes of it.

`actor.py SCRIPT VERB ARGUMENT...`: the script is a JSON object. For `run`, `features` has what to report for each
feature, `exit` the exit status, `signal` a signal to die by, `seen` a file for what was given.
"""

import json
import os
import sys

from dagster_pipes import open_dagster_pipes


def main():
    with open(sys.argv[1]) as file:
        script = json.load(file)
    verb, arguments = sys.argv[2], sys.argv[3:]
    if verb == "describe":
        with open(script["describe"]) as file:
            print(file.read())
        return script.get("describe_exit", 0)
    if verb == "ingest":
        note(script, {"argv": arguments})
        print(script.get("stderr", "new=1 stale=2 unchanged=3 removed=4"), file=sys.stderr)
        return script.get("exit", 0)
    return status(arguments[0]) if verb == "status" else run(script, arguments)


def status(feature):
    with open_dagster_pipes() as pipes:
        told = {"feature": feature, "rows": 6, "table": True, "data_version": "v6"}
        pipes.report_custom_message({"metaxy_pipes": {"status": [told]}})
    return 0


def run(script, arguments):
    if script.get("silent"):
        return 0
    with open_dagster_pipes() as pipes:
        seen = {"argv": arguments, "extras": pipes.extras, "env": os.environ.get("ACTOR")}
        seen["partition_key"] = pipes.partition_key if pipes.is_partition_step else None
        note(script, seen)
        assets = pipes.get_extra("metaxy_pipes")["features"]
        for feature, acts in script.get("features", {}).items():
            if feature in assets:
                act(pipes, feature, assets[feature], acts)
        if "signal" in script:
            os.kill(os.getpid(), script["signal"])
        if script.get("raise"):
            raise ValueError(script["raise"])
        return script.get("exit", 0)


def act(pipes, feature, key, acts):
    counts = acts.get("counts", {})
    failures = acts.get("failures", [])
    pipes.report_custom_message(
        {"metaxy_pipes": {"feature": feature, "asset_key": key, **counts, "failures": failures}}
    )
    if "check" in acts:
        pipes.report_asset_check("samples_processed", acts["check"], asset_key=key)
    if acts.get("materialize", True):
        metadata = {f"metaxy/{name}": count for name, count in counts.items()}
        pipes.report_asset_materialization(metadata, data_version="v1", asset_key=key)


def note(script, seen):
    if "seen" in script:
        with open(script["seen"], "w") as file:
            json.dump(seen, file)


if __name__ == "__main__":
    sys.exit(main())
