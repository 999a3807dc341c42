"""The features as Dagster assets: `note` is fed from a file, `note/length` is computed by the Go program."""

from pathlib import Path

from metaxy_pipes import Ingest, build_definitions

HERE = Path(__file__).parent

defs = build_definitions(
    HERE / "bin" / "PROJECT_NAME",
    cwd=HERE,
    ingest={"note": Ingest("notes.jsonl", ("--prune",))},
    group_name="notes",
)
