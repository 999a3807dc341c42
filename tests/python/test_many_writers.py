"""Eight runners, real Metaxy, delta-rs and whatever tidies up, all on one table at the same time, while others read it."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import metaxy as mx
import polars as pl
import pytest
from conftest import Minio, Project
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from metaxy.ext.polars.handlers.delta import DeltaMetadataStore

FEATURES = [
    {"key": "clip/raw", "id_columns": ["id"]},
    {"key": "clip/crop", "id_columns": ["id"], "deps": ["clip/raw"]},
]

CONFIG = """store = "shared"
project = "crowd"
hash_truncation_length = 64

[stores.shared]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.shared.config]
root_path = "{root}"
hash_algorithm = "xxh3_64"
storage_options = {options}
"""

PROCESSOR = """
import json, sys, time
for line in sys.stdin:
    sample = json.loads(line)
    time.sleep(0.004)
    print(json.dumps({"id": sample["id"], "crop": "crop of " + sample["path"]}), flush=True)
"""

SAMPLES = 240  # before the runners start
BATCHES = 12  # that each of the other writers adds meanwhile


class Crowd:
    """What works on the table at once. The first error of any of them is kept."""

    def __init__(self, root: str, options: dict[str, str] | None) -> None:
        self.root, self.options = root, options
        self.errors: list[str] = []
        self.over = threading.Event()
        self.threads: list[threading.Thread] = []
        self.reads = 0

    def go(self, what: Callable[[], None]) -> None:
        def work() -> None:
            try:
                what()
            except Exception as e:
                self.errors.append(f"{what.__name__}: {type(e).__name__}: {e}")

        context = contextvars.copy_context()  # Metaxy keeps its graph in one
        self.threads.append(threading.Thread(target=context.run, args=(work,)))
        self.threads[-1].start()

    def crop(self) -> DeltaTable:
        return DeltaTable(f"{self.root}/clip/crop.delta", storage_options=self.options)

    def delta_rs(self) -> None:
        """Appends rows of another version of the feature, as another program does."""
        like = self.crop().to_pyarrow_table().slice(0, 1)
        for i in range(BATCHES):
            row = {**like.to_pylist()[0], "id": f"rs-{i}", "metaxy_feature_version": "of delta-rs"}
            data = like.from_pylist([row], like.schema)
            again(lambda: write_deltalake(f"{self.root}/clip/crop.delta", data, mode="append", storage_options=self.options))
            time.sleep(0.1)

    def metaxy(self) -> None:
        """Feeds the parent, and writes samples of the child itself."""
        for i in range(BATCHES):
            with DeltaMetadataStore(self.root, hash_algorithm=mx.HashAlgorithm.XXH3_64, storage_options=self.options).open("w") as store:
                again(lambda: store.write("clip/raw", frame([f"mx-{i}"], path="in")))
                again(lambda: store.write("clip/crop", frame([f"solo-{i}"], crop="by metaxy")))
            time.sleep(0.05)

    def reader(self) -> None:
        """Reads whole versions: what was there once stays there."""
        seen: set[str] = set()
        while not self.over.is_set():
            ids = set(self.crop().to_pyarrow_table(columns=["id"]).column("id").to_pylist())
            if lost := seen - ids:
                self.errors.append(f"rows are gone: {sorted(lost)[:5]}")
            seen = ids
            self.reads += 1

    def our_reader(self, project: Project) -> Callable[[], None]:
        def our_reader() -> None:
            while not self.over.is_set():
                project.rows("read", "clip/crop", "--columns", "id,crop")

        return our_reader

    def tidy(self, project: Project) -> Callable[[], None]:
        """Runs the commands that rewrite tables, where this build has them."""
        known = project.run("--help").stdout
        commands = [c for c in (["optimize", "clip/crop"], ["vacuum", "clip/crop"]) if f"  {c[0]} " in known]

        def tidy() -> None:
            while not self.over.is_set():
                for c in commands:
                    project.run(*c)
                time.sleep(0.3)

        return tidy


def again(write: Callable[[], None]) -> None:
    """Repeats what delta-rs gives up after it has lost 15 races in a row."""
    while True:
        try:
            return write()
        except CommitFailedError:
            time.sleep(0.05)


def frame(ids: list[str], **columns: str) -> pl.DataFrame:
    return pl.DataFrame([{"id": i, "metaxy_provenance_by_field": {"default": "1"}, **columns} for i in ids])


@pytest.mark.parametrize("place", ["folder", "minio"])
def test_many_writers(place: str, request: pytest.FixtureRequest) -> None:
    p: Project = request.getfixturevalue("project" if place == "folder" else "minio_project")
    minio: Minio | None = request.getfixturevalue("minio") if place == "minio" else None
    root, options = p.store, {**minio.storage_options(), "AWS_S3_ALLOW_UNSAFE_RENAME": "false"} if minio else None
    toml = "{" + ", ".join(f'{k} = "{v}"' for k, v in (minio.storage_options() if minio else {}).items()) + "}"
    config = p.folder / "metaxy.toml"
    config.write_text(CONFIG.format(root=root, options=toml))
    p.store = ""  # the configuration names it
    p.write_features(FEATURES)
    (p.folder / "processor.py").write_text(PROCESSOR)
    with mx.FeatureGraph().use():
        mx.MetaxyConfig.load(str(config))
        for spec in FEATURES:
            parsed = mx.FeatureSpec.model_validate(spec)
            type("Crowd_" + parsed.key.table_name, (mx.BaseFeature,),
                 {"__annotations__": {"id": str}, "__module__": __name__, "__metaxy_project__": "crowd"}, spec=parsed)
        ids = [f"s{i:04}" for i in range(SAMPLES)]
        p.ingest("clip/raw", [{"id": i, "path": "in", "metaxy_provenance_by_field": {"default": "1"}} for i in ids])
        p.run(*run_arguments("--limit", "1"))
        crowd = Crowd(root, options)
        for writer in (crowd.delta_rs, crowd.metaxy, crowd.reader, crowd.our_reader(p), crowd.tidy(p)):
            crowd.go(writer)
        shards = [["--shard", f"{i}/4"] for i in range(4)] + [[]] * 4
        runners = [p.start(*run_arguments("--flush-rows", "5", *s), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for s in shards]
        for r in runners:
            _, stderr = r.communicate(timeout=240)
            assert r.returncode == 0, stderr.decode()[-3000:]
        for t in crowd.threads[:2]:
            t.join(240)
        crowd.over.set()
        for t in crowd.threads:
            t.join(60)
        assert crowd.errors == []
        assert crowd.reads > 3
    p.run(*run_arguments())  # what Metaxy has fed after the runners had resolved
    assert p.run("resolve", "clip/crop").stderr.splitlines()[-1].startswith("new=0 stale=0 ")
    added = [f"{kind}-{i}" for kind in ("mx", "rs", "solo") for i in range(BATCHES)]
    rows = crowd.crop().to_pyarrow_table().to_pylist()
    assert Counter(r["id"] for r in rows) == Counter([*ids, *added])
    assert {r["crop"] for r in rows if r["id"].startswith(("s0", "mx"))} == {"crop of in"}
    log = Path(root, "clip/crop.delta/_delta_log")
    if place == "folder":  # no commit took another's place
        entries = [json.loads(line) for f in sorted(log.glob("*.json")) for line in f.read_text().splitlines()]
        assert sum("commitInfo" in e for e in entries) == len(list(log.glob("*.json"))) >= SAMPLES // 5


def run_arguments(*extra: str) -> list[str]:
    return ["run", "clip/crop", "--concurrency", "2", *extra, "--", sys.executable, "processor.py"]
