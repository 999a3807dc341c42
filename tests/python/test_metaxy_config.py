"""metaxy.toml: what real Metaxy makes of a configuration is what we make of it, or refuse as it does."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import metaxy as mx
import polars as pl
import pytest
from conftest import ROOT, Project

DELTA = 'type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"\n'


def store(config: str = 'root_path = "store"', name: str = "dev", kind: str = DELTA) -> str:
    return f"[stores.{name}]\n{kind}[stores.{name}.config]\n{config}\n"


@dataclass
class Case:
    """Files, the environment, and the store to open; what_differs says why we differ on purpose, if we do."""

    name: str
    text: str | dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    store: str = ""
    what_differs: str = ""


S3_KEYS = """root_path = "s3://bucket/a/b/"
[stores.dev.config.storage_options]
aws_access_key_id = "id"
AWS_SECRET_ACCESS_KEY = "secret"
Aws_Session_Token = "token"
aws_region = "eu-west-1"
AWS_ENDPOINT_URL = "http://127.0.0.1:9"
allow_http = "true"
aws_virtual_hosted_style_request = "false"
conditional_put = "etag"
aws_s3_allow_unsafe_rename = "true"
"""

CASES = [
    Case("smallest", store()),
    Case("alias", store(kind='type = "metaxy.ext.polars.DeltaMetadataStore"\n')),
    Case("other default", 'store = "x"\n' + store(name="x")),
    Case("named", store(name="x") + store('root_path = "other"', name="y"), store="y"),
    Case("unknown name", store(), store="nothing"),
    Case("no default", 'store = "x"\n' + store()),
    Case("no store", 'project = "p"\n'),
    # root_path
    Case("absolute", store('root_path = "/tmp/a//b/../c/"')),
    Case("home", store('root_path = "~/a"')),
    Case("home alone", store('root_path = "~"')),
    Case("file URL", store('root_path = "file:///srv/a b%20c"')),
    Case("local URL", store('root_path = "local:///srv/a"')),
    Case("relative file URL", store('root_path = "file://a/b"')),
    Case("home in a URL", store('root_path = "local://~/a"')),
    Case("upwards", store('root_path = "../a/./b"')),
    Case("s3", store(S3_KEYS)),
    Case("no root", store('layout = "flat"')),
    Case("root is a number", store("root_path = 7")),
    Case("no config", f"[stores.dev]\n{DELTA}"),
    # the other settings of a store
    Case("flat", store('root_path = "a"\nlayout = "flat"')),
    Case("nested", store('root_path = "a"\nlayout = "nested"')),
    Case("bad layout", store('root_path = "a"\nlayout = "deep"')),
    *[Case(a, store(f'root_path = "a"\nhash_algorithm = "{a}"')) for a in ("xxhash32", "xxhash64", "xxh3_64", "wyhash", "sha256", "md5")],
    Case("bad algorithm", store('root_path = "a"\nhash_algorithm = "crc"')),
    Case("upper case algorithm", store('root_path = "a"\nhash_algorithm = "SHA256"')),
    Case("engine", store('root_path = "a"\nversioning_engine = "polars"')),
    Case("write options", store('root_path = "a"\ndelta_write_options = {max_workers = 2}')),
    Case("write options are no table", store('root_path = "a"\ndelta_write_options = 7')),
    Case("options are no table", store('root_path = "a"\nstorage_options = "x"')),
    Case("unknown setting", store('root_path = "a"\nweather = "fine"')),
    Case("unknown setting of another store", store() + store('root_path = "a"\nweather = "fine"', name="x")),
    Case("unknown member of a store", f"[stores.dev]\n{DELTA}weather = 1\nconfig = {{root_path = 'a'}}\n"),
    Case("type of a store that is used", store(kind='type = "nothing.at.all.Store"\n')),
    Case("type of another store", store() + store(name="x", kind='type = "nothing.at.all.Store"\n')),
    Case("type is a number", store(kind="type = 7\n")),
    Case("without type", store() + "[stores.x.config]\nroot_path = 'a'\n"),
    Case("stores is a string", 'stores = "x"\n'),
    # fallback stores
    Case("fallback", store('root_path = "a"\nfallback_stores = ["x", "y"]') + store(name="x") + store(name="y")),
    Case("fallback that is not there", store('root_path = "a"\nfallback_stores = ["nothing"]')),
    Case("fallback is a string", store('root_path = "a"\nfallback_stores = "x"') + store(name="x")),
    # the file's own keys
    Case("project", 'project = "a-B_9"\n' + store()),
    *[Case(f"project {p!r}", f'project = "{p}"\n' + store()) for p in ("", "a/b", "a__b", "a b", "ä", "a.b")],
    Case("project is a number", "project = 7\n" + store()),
    *[
        Case(f"length {n}", f"hash_truncation_length = {n}\n" + store())
        for n in ("8", "64", "7", "0", "-1", '"16"', "12.0", "12.5", "true", '"x"', '""', '" 16 "')
    ],
    *[Case(f"sync {v}", f"sync = {v}\n" + store()) for v in ("true", "false", "0", "1", '"no"', '"maybe"', "2", '""', "[]")],
    *[Case(f"locked {v}", f"locked = {v}\n" + store()) for v in ("true", "false", '"on"', '"x"')],
    Case("harmless", 'theme = "dark"\nauto_create_tables = true\nentrypoints = ["json"]\n' + store()),
    Case("theme is a number", "theme = 7\n" + store()),
    Case("entrypoints is a string", 'entrypoints = "json"\n' + store()),
    Case("store is a number", "store = 7\n" + store()),
    Case("unknown key", 'stroe = "dev"\n' + store()),
    Case("unknown table", "[metaxy_pipes]\na = 1\n" + store()),
    Case("extensions", store() + "[ext.metaxy_pipes]\nconcurrency = 3\n[ext.other]\nenable = true\nweather = {a = [1]}\n"),
    Case("extension enabled how", store() + '[ext.other]\nenable = "maybe"\n'),
    Case("extension is a number", store() + "[ext]\nother = 7\n"),
    Case("lock path", 'metaxy_lock_path = "a/b.lock"\n' + store()),
    Case("absolute lock path", 'metaxy_lock_path = "/srv/b.lock"\n' + store()),
    Case("lock path is a number", "metaxy_lock_path = 7\n" + store()),
    Case("extra features", '[[extra_features]]\nprojects = ["a"]\n[[extra_features]]\nkeys = ["a/b", ["c", "d"]]\n' + store()),
    Case("all extra features", "[[extra_features]]\nall = true\n" + store()),
    Case("empty extra features", "[[extra_features]]\n" + store()),
    Case("extra features by nothing", "[[extra_features]]\nall = false\nprojects = []\n" + store()),
    Case("extra features, unknown member", '[[extra_features]]\nprojects = ["a"]\nweather = 1\n' + store()),
    Case("extra features, bad key", '[[extra_features]]\nkeys = ["A B"]\n' + store()),
    Case("extra features, one project", '[[extra_features]]\nprojects = "a"\n' + store()),
    Case("extra features is a table", '[extra_features]\nprojects = ["a"]\n' + store()),
    Case("not TOML", "store ="),
    # variables
    Case("expanded", 'project = "${P}"\n' + store('root_path = "${ROOT:-/srv}/${NO}x"'), {"P": "films"}),
    Case("expanded to nothing", 'project = "${NO}"\n' + store()),
    Case("default is kept for empty", store('root_path = "/a${E:-b}"'), {"E": ""}),
    Case("not expanded", store('root_path = "/a/$HOME/${x:y}/$${"')),
    Case("length in a variable", 'hash_truncation_length = "${N}"\n' + store(), {"N": "32"}),
    # environment
    Case("METAXY_STORE", store() + store(name="x"), {"METAXY_STORE": "x"}),
    Case("lower case", store() + store(name="x"), {"metaxy_store": "x"}),
    Case("METAXY_PROJECT", 'project = "a"\n' + store(), {"METAXY_PROJECT": "b"}),
    Case("empty METAXY_PROJECT", 'project = "a"\n' + store(), {"METAXY_PROJECT": ""}),
    Case("METAXY_HASH_TRUNCATION_LENGTH", store(), {"METAXY_HASH_TRUNCATION_LENGTH": "20"}),
    Case("bad METAXY_HASH_TRUNCATION_LENGTH", store(), {"METAXY_HASH_TRUNCATION_LENGTH": "x"}),
    Case("METAXY_SYNC", store(), {"METAXY_SYNC": "off", "METAXY_LOCKED": "1"}),
    Case("nested variable", store(), {"METAXY_STORES__DEV__CONFIG__ROOT_PATH": "/srv/a", "METAXY_STORES__DEV__CONFIG__LAYOUT": "flat"}),
    Case("nested algorithm", store(), {"METAXY_STORES__DEV__CONFIG__HASH_ALGORITHM": "md5"}),
    Case("deep variable", store(), {"METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS__AWS_REGION": "eu"}),
    Case("JSON for a table", store(), {"METAXY_STORES__DEV__CONFIG": '{"root_path": "/srv/j"}'}),
    Case("JSON for all stores", store(), {"METAXY_STORES": json.dumps({"dev": {"config": {"root_path": "/srv/j"}}})}),
    Case("no JSON for all stores", store(), {"METAXY_STORES": "x"}),
    Case("JSON for a table keeps the rest", store('root_path = "/srv/a"\nlayout = "flat"'), {"METAXY_STORES__DEV__CONFIG": '{"root_path": "/srv/j"}'}),
    Case("JSON for a store", store(), {"METAXY_STORES__DEV": '{"config": {"hash_algorithm": "md5"}}'}),
    Case("JSON for options", store(), {"METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS": '{"AWS_REGION": "eu"}'}),
    Case("no JSON for a store", store(), {"METAXY_STORES__DEV": "x"}, what_differs="refused, where Metaxy loses the store"),
    Case("no JSON for a config", store(), {"METAXY_STORES__DEV__CONFIG": "x"}),
    Case("JSON for an extension", store(), {"METAXY_EXT__OTHER": '{"enable": true}'}),
    Case("JSON for all and for one", store(), {"METAXY_STORES": '{"dev": {"config": {"root_path": "/srv/j"}}}', "METAXY_STORES__DEV__CONFIG__ROOT_PATH": "/srv/k"}),
    Case("a new store", store(), {"METAXY_STORES__X__TYPE": DELTA.split('"')[1], "METAXY_STORES__X__CONFIG__ROOT_PATH": "/srv/x", "METAXY_STORE": "x"}),
    Case("half a store", store(), {"METAXY_STORES__X__CONFIG__ROOT_PATH": "/srv/x"}),
    Case("a list in JSON", store() + store(name="x"), {"METAXY_STORES__DEV__CONFIG__FALLBACK_STORES": '["x"]'}),
    Case("extra features in JSON", store(), {"METAXY_EXTRA_FEATURES": '[{"projects": ["a"]}]'}),
    Case("extra features in no JSON", store(), {"METAXY_EXTRA_FEATURES": "a"}),
    Case("entry points in no JSON", store(), {"METAXY_ENTRYPOINTS": "a"}),
    Case("entry points in JSON", store(), {"METAXY_ENTRYPOINTS": '["json"]'}),
    Case("a variable of somebody else", store(), {"METAXY_WEATHER": "fine", "METAXY_WEATHER__X": "1"}),
    Case("an extension's variable", store(), {"METAXY_EXT__OTHER__ENABLE": "true"}),
    Case("expanded in a variable", store(), {"METAXY_STORES__DEV__CONFIG__ROOT_PATH": "/srv/${P}", "P": "x"}),
    # files
    Case("METAXY_CONFIG", {"metaxy.toml": store(), "other.toml": store('root_path = "/srv/o"')}, {"METAXY_CONFIG": "other.toml"}),
    Case("METAXY_CONFIG names nothing", {"metaxy.toml": store()}, {"METAXY_CONFIG": "gone.toml"}),
    Case("above", {"../metaxy.toml": store()}),
    Case("pyproject", {"pyproject.toml": '[tool.metaxy]\nproject = "py"\n' + store().replace("[stores", "[tool.metaxy.stores")}),
    Case("both files", {"metaxy.toml": store(), "pyproject.toml": '[tool.metaxy]\nproject = "py"\n'}),
    Case("empty pyproject", {"pyproject.toml": "[tool.metaxy]\n", "../metaxy.toml": 'project = "up"\n' + store()}),
    Case("nothing at all", {}, {"METAXY_PROJECT": "p"}),
    Case("extend", {"metaxy.toml": 'extend = "b/base.toml"\nproject = "own"\n[[extra_features]]\nprojects = ["a"]\n',
                    "b/base.toml": 'project = "base"\nhash_truncation_length = 32\n[[extra_features]]\nprojects = ["b"]\n' + store()}),
    Case("extend replaces a store as a whole", {"metaxy.toml": 'extend = "base.toml"\n' + store('root_path = "/srv/own"'),
                                                "base.toml": store('root_path = "/srv/base"\nlayout = "flat"') + store(name="x")}),
    Case("extend upwards", {"metaxy.toml": 'extend = "../base.toml"\n', "../base.toml": store('root_path = "r"')}),
    Case("extend a pyproject", {"metaxy.toml": 'extend = "p/pyproject.toml"\n', "p/pyproject.toml": store().replace("[stores", "[tool.metaxy.stores")}),
    Case("extend in a chain", {"metaxy.toml": 'extend = "a.toml"\n', "a.toml": 'extend = "b/b.toml"\nproject = "a"\n', "b/b.toml": 'project = "b"\n' + store()}),
    Case("extend in a circle", {"metaxy.toml": 'extend = "a.toml"\n', "a.toml": 'extend = "metaxy.toml"\n'}),
    Case("extend nothing", {"metaxy.toml": 'extend = "gone.toml"\n' + store()}),
    Case("extend is a number", {"metaxy.toml": "extend = 7\n" + store()}),
]


def make(case: Case, folder: Path) -> Path:
    """Writes the files of a case and returns the folder to start in."""
    work = folder / "work"
    work.mkdir(parents=True)
    files = {"metaxy.toml": case.text} if isinstance(case.text, str) else case.text
    for name, text in files.items():
        path = (work / name).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return work


def environment(case: Case) -> dict[str, str]:
    return {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], **case.env}


def by_metaxy(case: Case, work: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    wanted = environment(case)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        patch.chdir(work)
        try:
            config = mx.MetaxyConfig.load()
        except Exception as e:  # whatever it is, the configuration is refused
            return {"error": repr(e)}
        finally:
            mx.MetaxyConfig.reset()
        out: dict = {
            "settings": {
                "file": str(config.config_file or ""),
                "store": config.store,
                "project": config.project,
                "length": config.hash_truncation_length,
                "sync": config.sync,
                "locked": bool(config.locked),
                "lock": str(config.lock_file or ""),
                "stores": sorted(config.stores),
                "selection": [
                    {"all": bool(s.all), "projects": list(s.projects or []), "keys": [k.to_string() for k in s.keys or []]}
                    for s in config.extra_features
                ],
            }
        }
        try:
            made = config.get_store(case.store or None)
            out["store"] = {
                "root": made._root_uri,
                "flat": made.layout == "flat",
                "algorithm": made.hash_algorithm.value,
                "fallbacks": [e if isinstance(e, str) else e.name for e in made.fallback_stores._entries],
            }
        except Exception as e:
            out["refused"] = repr(e)
        return out


def by_us(cases: list[Case], folders: list[Path]) -> list[dict]:
    requests = [
        {"Dir": str(work), "Environ": [f"{k}={v}" for k, v in environment(c).items()], "Store": c.store} for c, work in zip(cases, folders, strict=True)
    ]
    home = {**os.environ}
    done = subprocess.run(
        ["go", "run", "./tests/configjson"], cwd=ROOT, check=True, capture_output=True, text=True, env=home,
        input="\n".join(json.dumps(r) for r in requests),
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def normal(answer: dict) -> dict:
    """An answer without the words of its errors, and with what is not said filled in with Metaxy's defaults."""
    if "error" in answer:
        return {"error": True}
    s = dict(answer["settings"])
    s["store"] = s["store"] or "dev"
    s["length"] = s["length"] or 8
    s["stores"] = sorted(s["stores"])
    s["selection"] = [{"all": x["all"], "projects": x["projects"] or [], "keys": x["keys"] or []} for x in s["selection"]]
    out = {"settings": s}
    if "refused" in answer:
        out["refused"] = True
    else:
        out["store"] = answer["store"]
    return out


def test_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({c.name for c in CASES}) == len(CASES)
    folders = [make(c, tmp_path / str(i)) for i, c in enumerate(CASES)]
    theirs = [by_metaxy(c, work, monkeypatch) for c, work in zip(CASES, folders, strict=True)]
    ours = by_us(CASES, folders)
    wrong, outcomes = [], {"error": 0, "refused": 0, "store": 0}
    for case, them, us in zip(CASES, theirs, ours, strict=True):
        for outcome in outcomes:
            outcomes[outcome] += outcome in normal(them)
        if (normal(them) == normal(us)) == bool(case.what_differs):
            wrong.append(f"{case.name}:\n  Metaxy {them}\n  we     {us}")
    assert not wrong, "\n".join(wrong)
    assert min(outcomes.values()) >= 10, f"the cases do not cover every outcome: {outcomes}"


FALLBACK = """project = "films"
store = "dev"
[stores.dev]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
config = {root_path = "dev", fallback_stores = ["empty", "staging"]}
[stores.empty]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
config = {root_path = "empty"}
[stores.staging]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
config = {root_path = "staging", fallback_stores = ["prod"]}
[stores.prod]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
config = {root_path = "prod"}
"""


def test_fallback_stores(project: Project) -> None:
    """A development store that reads the parents from production, through another one: the same increment as Metaxy's, and
    what is computed is written to the store itself."""
    specs = [{"key": "video", "id_columns": ["id"]}, {"key": "video/crop", "id_columns": ["id"], "deps": ["video"]}]
    project.store = ""
    project.write_features(specs)
    (project.folder / "metaxy.toml").write_text(FALLBACK)
    (project.folder / "step.py").write_text(
        "import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'id': json.loads(line)['id']}), flush=True)\n"
    )
    with contextlib.chdir(project.folder), mx.FeatureGraph().use(), mx.MetaxyConfig.load().use():
        for spec in specs:
            parsed = mx.FeatureSpec.model_validate(spec)
            namespace = {"__annotations__": {"id": int}, "__module__": __name__, "__metaxy_project__": "films"}
            type("F_" + parsed.key.table_name, (mx.BaseFeature,), namespace, spec=parsed)
        rows = pl.DataFrame([{"id": i, "metaxy_provenance_by_field": {"default": f"v{i}"}} for i in range(5)])
        with mx.MetaxyConfig.get().get_store("prod").open("w") as prod:
            prod.write("video", rows)
            prod.write("video/crop", prod.resolve_update("video/crop").new)  # hides nothing: it is not the dev store's own
        with mx.MetaxyConfig.get().get_store("dev").open("r") as dev:
            theirs = dev.resolve_update("video/crop").new.to_polars()
        ours = project.rows("resolve", "video/crop")
        assert len(ours) == 5 and {r["status"] for r in ours} == {"new"}
        assert {(r["id"], r["metaxy_provenance"]) for r in ours} == set(theirs.select("id", "metaxy_provenance").rows())
        assert len(project.rows("read", "video/crop")) == 5  # as in Metaxy, read looks further

        project.run("run", "video/crop", "--", sys.executable, "step.py")
        assert (project.folder / "dev" / "video" / "crop.delta").exists() and not (project.folder / "dev" / "video.delta").exists()
        with mx.MetaxyConfig.get().get_store("dev").open("r") as dev:
            assert [len(getattr(dev.resolve_update("video/crop"), s)) for s in ("new", "stale", "orphaned")] == [0, 0, 0]

    # Another algorithm somewhere in the chain is refused when it matters, by both.
    (project.folder / "metaxy.toml").write_text(FALLBACK.replace('"prod"}', '"prod", hash_algorithm = "md5"}'))
    refused = project.run("resolve", "video/crop", status=4)
    assert "all stores of a chain must use the same" in refused.stderr and refused.stdout == ""
    with contextlib.chdir(project.folder), mx.FeatureGraph().use(), mx.MetaxyConfig.load().use():
        parsed = mx.FeatureSpec.model_validate(specs[0])
        namespace = {"__annotations__": {"id": int}, "__module__": __name__, "__metaxy_project__": "films"}
        type("F_video", (mx.BaseFeature,), namespace, spec=parsed)
        with mx.MetaxyConfig.get().get_store("dev").open("r") as dev, pytest.raises(ValueError, match="same hash algorithm"):
            dev.read("video")
    mx.MetaxyConfig.reset()
