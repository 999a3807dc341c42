"""Canaries in every place that holds a secret, and a search through everything that leaves the program."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import urllib.parse
import zlib
from pathlib import Path

import pyarrow.fs
from aws_sources import session
from conftest import Minio, Project

FEATURES = [{"key": "doc", "id_columns": ["id"]}, {"key": "doc/words", "id_columns": ["id"], "deps": ["doc"]}]

# Notes what it was given, and misbehaves a little, so that errors are written as well.
PROCESSOR = """
import json, os, sys
from pathlib import Path
note = Path(os.environ["NOTE"])
note.write_text(json.dumps([sys.argv, sorted(os.environ.items()), Path(f"/proc/{os.getppid()}/cmdline").read_text()]))
for line in sys.stdin:
    s = json.loads(line)
    print("working on", line, file=sys.stderr)
    print(json.dumps({"id": s["id"], "error": "no words"} if s["id"] == "b" else {"id": s["id"], "words": 3}), flush=True)
"""


def encoded(value: dict) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def forms(secret: str) -> list[str]:
    """How a secret may be written."""
    return [secret, urllib.parse.quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]]


def objects(minio: Minio, prefix: str) -> dict[str, bytes]:
    s3 = pyarrow.fs.S3FileSystem(
        access_key=minio.access_key, secret_key=minio.secret_key, endpoint_override=minio.endpoint, region="us-east-1"
    )
    found = s3.get_file_info(pyarrow.fs.FileSelector(prefix, recursive=True, allow_not_found=True))
    return {f.path: s3.open_input_file(f.path).readall() for f in found if f.is_file}


def test_secrets_stay_here(project: Project, minio: Minio, tmp_path: Path) -> None:
    """The keys of a store come from its configuration, from the environment, or from a variable that the file names."""
    leaked = []
    for source in ("storage_options", "AWS variables", "METAXY_STORES variable"):
        folder = tmp_path / source.replace(" ", "-")
        folder.mkdir()
        prefix = f"metaxy/{secrets.token_hex(8)}"
        config = ['store = "dev"', "[stores.dev]", 'type = "s3parquet"', "[stores.dev.config]", f'root_path = "s3://{prefix}"',
                  "[stores.dev.config.storage_options]", f'AWS_ENDPOINT_URL = "{minio.endpoint}"', 'AWS_REGION = "us-east-1"']
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment |= {"NOTE": str(folder / "note.json"), "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()
        options = "METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS__"
        if source == "storage_options":
            config += [f'AWS_ACCESS_KEY_ID = "{minio.access_key}"', 'AWS_SECRET_ACCESS_KEY = "${CANARY_KEY}"']
            environment["CANARY_KEY"] = minio.secret_key
        else:
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            values = dict(zip(names, (minio.access_key, minio.secret_key), strict=True))
            environment |= values if source == "AWS variables" else {options + k: v for k, v in values.items()}
        (folder / "metaxy.toml").write_text("\n".join(config) + '\n[ext.metaxy_pipes]\nprocessor_env = ["PATH", "NOTE", "HOME"]\n')
        (folder / "features.json").write_text(json.dumps({"features": FEATURES}))
        (folder / "processor.py").write_text(PROCESSOR)
        (folder / "rows.jsonl").write_text('{"id":"a","text":"x"}\n{"id":"b","text":"y"}\n')
        environment["DAGSTER_PIPES_CONTEXT"] = encoded({"data": {"run_id": "r", "asset_keys": ["doc/words"], "extras": {}}})
        environment["DAGSTER_PIPES_MESSAGES"] = encoded({"path": str(folder / "messages.jsonl")})
        output = b""
        for args in (
            ["ingest", "doc", "--from", "rows.jsonl"], ["run", "doc/words", "--", sys.executable, "processor.py"],
            ["status"], ["resolve", "doc/words"], ["explain", "doc/words", "b"], ["read", "doc/words"], ["describe"], ["doctor"],
            ["--store", f"s3://user:{minio.secret_key}@{prefix}", "status"], ["--store", "s3://absent/x", "status"],
            ["--store", f"s3://{prefix}?secret={minio.secret_key}", "status"],
        ):
            done = subprocess.run([project.binary, "--features", "features.json", "--log-level", "debug", *args], cwd=folder,
                                  env=environment, capture_output=True, timeout=120)
            output += done.stdout + done.stderr
            assert args[0] == "--store" or done.returncode == (3 if args[0] == "run" else 0), (args, done.stderr[-2000:])
        note = json.loads((folder / "note.json").read_text())
        assert {k for k, _ in note[1]} <= {"PATH", "NOTE", "HOME", "LC_CTYPE"}, "the environment is not as configured"
        leaving = {"output": output, "note of the processor": json.dumps(note).encode(), "messages": (folder / "messages.jsonl").read_bytes()}
        leaving |= objects(minio, prefix) | {str(p): p.read_bytes() for p in (folder / "tmp").rglob("*") if p.is_file()}
        assert len(leaving) > 6
        leaked += [f"{source}: {name}" for name, body in leaving.items() for f in forms(minio.secret_key) if f.encode() in body]
    assert leaked == []


def test_read_only_credentials(minio_project: Project, minio: Minio) -> None:
    """Who may only read can do everything that reads, and is told what is not allowed."""
    p = minio_project
    p.write_features(FEATURES)
    (p.folder / "processor.py").write_text(PROCESSOR)
    p.environment["NOTE"] = str(p.folder / "note.json")
    p.ingest("doc", [{"id": "a", "text": "x"}, {"id": "c", "text": "y"}])
    p.run("run", "doc/words", "--limit", "1", "--", sys.executable, "processor.py")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::metaxy", "arn:aws:s3:::metaxy/*"]}]}
    p.environment |= session(minio, policy)
    for args in (["status"], ["resolve", "doc/words"], ["read", "doc/words", "--history"], ["explain", "doc/words", "c"], ["describe"],
                 ["graph"], ["run", "doc/words", "--dry-run", "--", sys.executable, "processor.py"]):
        p.run(*args)
    rows = p.rows("read", "doc/words")
    refused = p.run("run", "doc/words", "--", sys.executable, "processor.py", status=1)
    assert "s3:PutObject" in refused.stderr
    (p.folder / "rows.jsonl").write_text('{"id":"z","text":"x"}\n')
    assert "s3:PutObject" in p.run("ingest", "doc", "--from", "rows.jsonl", status=1).stderr
    doctor = p.run("doctor", status=1).stdout
    assert "FAIL  write" in doctor
    assert "s3:PutObject" in doctor
    assert p.rows("read", "doc/words") == rows
