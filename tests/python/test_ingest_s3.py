"""Ingest from a bucket: listings with ETags or hashes of the content, files of samples, and what is removed again."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess

import pyarrow.fs
import pytest

from conftest import Minio, Project

FEATURES = [{"key": "video", "id_columns": ["id"], "fields": ["audio", "frames"]}]


@pytest.fixture
def bucket(minio: Minio) -> pyarrow.fs.SubTreeFileSystem:
    """A folder of its own in the bucket."""
    s3 = pyarrow.fs.S3FileSystem(
        access_key=minio.access_key, secret_key=minio.secret_key, endpoint_override=minio.endpoint, region="us-east-1"
    )
    return pyarrow.fs.SubTreeFileSystem(f"metaxy/{secrets.token_hex(8)}", s3)


def put(bucket: pyarrow.fs.SubTreeFileSystem, name: str, body: bytes) -> None:
    with bucket.open_output_stream(name) as out:
        out.write(body)


def etag(body: bytes) -> str:
    """What S3 makes of an upload in one part, which is how pyarrow's streams upload."""
    return hashlib.md5(hashlib.md5(body).digest()).hexdigest() + "-1"


def location(bucket: pyarrow.fs.SubTreeFileSystem, name: str) -> str:
    return f"s3://{bucket.base_path.rstrip('/')}/{name}"


def summary(project: Project, *args: str) -> str:
    return project.run("ingest", "video", *args).stderr.splitlines()[-1]


def test_listing(minio_project: Project, bucket: pyarrow.fs.SubTreeFileSystem) -> None:
    """A sample for each object, its ETag the version of every field; what is replaced is stale, what is gone is pruned."""
    minio_project.write_features(FEATURES)
    names = ["raw/a.mp4", "raw/b b.mp4", "raw/ü😀'\".mp4", "raw/deep/c.mp4", "raw/notes.txt"]
    for name in names:
        put(bucket, name, name.encode())
    every = location(bucket, "raw/**/*.mp4")
    assert summary(minio_project, "--from", every) == "new=4 stale=0 unchanged=0 removed=0"
    assert summary(minio_project, "--from", every) == "new=0 stale=0 unchanged=4 removed=0"
    rows = {row["id"]: row for row in minio_project.rows("read", "video")}
    assert sorted(rows) == sorted(["a", "b b", "ü😀'\"", "c"])
    row = rows["ü😀'\""]
    assert row["path"] == location(bucket, "raw/ü😀'\".mp4")
    assert row["size"] == len(names[2].encode())
    assert row["etag"] == etag(names[2].encode())
    assert row["metaxy_provenance_by_field"] == {"audio": row["etag"], "frames": row["etag"]}

    put(bucket, "raw/a.mp4", b"another take")
    bucket.delete_file("raw/b b.mp4")
    assert summary(minio_project, "--from", every, "--prune") == "new=0 stale=1 unchanged=2 removed=1"
    assert sorted(row["id"] for row in minio_project.rows("read", "video")) == sorted(["a", "c", "ü😀'\""])
    one = location(bucket, "raw/*.mp4")
    assert summary(minio_project, "--from", one) == "new=0 stale=0 unchanged=2 removed=0"


def test_content_hash(minio_project: Project, bucket: pyarrow.fs.SubTreeFileSystem) -> None:
    """With --hash content, an upload of the same bytes in other parts is no change."""
    minio_project.write_features(FEATURES)
    put(bucket, "raw/a.bin", b"x" * 1000)
    source = ("--from", location(bucket, "raw/"), "--hash", "content")
    assert summary(minio_project, *source) == "new=1 stale=0 unchanged=0 removed=0"
    (row,) = minio_project.rows("read", "video")
    assert row["metaxy_provenance_by_field"]["audio"] == hashlib.sha256(b"x" * 1000).hexdigest()
    put(bucket, "raw/a.bin", b"x" * 1000)
    assert summary(minio_project, *source) == "new=0 stale=0 unchanged=1 removed=0"
    put(bucket, "raw/a.bin", b"x" * 999 + b"y")
    assert summary(minio_project, *source) == "new=0 stale=1 unchanged=0 removed=0"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("samples.jsonl", b'{"id":"a","n":9007199254740993}\n{"id":"b","n":null}\n'),
        ("with space.csv", b"id,n\na,9007199254740993\nb,\n"),
    ],
)
def test_file(minio_project: Project, bucket: pyarrow.fs.SubTreeFileSystem, name: str, body: bytes) -> None:
    """Files of samples lie in buckets too."""
    minio_project.write_features(FEATURES)
    put(bucket, name, body)
    source = ("--from", location(bucket, name))
    assert summary(minio_project, *source) == "new=2 stale=0 unchanged=0 removed=0"
    assert summary(minio_project, *source) == "new=0 stale=0 unchanged=2 removed=0"
    assert [(r["id"], r["n"]) for r in minio_project.rows("read", "video")] == [("a", 9007199254740993), ("b", None)]


def test_refused(minio_project: Project, bucket: pyarrow.fs.SubTreeFileSystem) -> None:
    """What is not there, or may not be read, is named; nothing is written, and no secret shown."""
    minio_project.write_features(FEATURES)
    missing = minio_project.run("ingest", "video", "--from", location(bucket, "missing.jsonl"), status=4)
    assert "missing.jsonl" in missing.stderr and missing.stdout == ""
    nowhere = minio_project.run("ingest", "video", "--from", "s3://no-such-bucket/x.jsonl", status=1)
    assert "no-such-bucket" in nowhere.stderr
    assert "ingest it first" in minio_project.run("read", "video", status=1).stderr

    secret = "wrong" + secrets.token_hex(8)
    environment = {**os.environ, **minio_project.environment, "AWS_SECRET_ACCESS_KEY": secret}
    put(bucket, "samples.jsonl", b'{"id":"a"}\n')
    command = minio_project.command("ingest", "video", "--from", location(bucket, "samples.jsonl"))
    refused = subprocess.run(command, cwd=minio_project.folder, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "credentials" in refused.stderr
    assert secret not in refused.stderr + refused.stdout
