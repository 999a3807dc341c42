"""Credentials from every source that the programs of AWS know, by the chain of its SDK, and that none of it leaks."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aws_sources import Cloud
from conftest import Minio, Project
from test_secrets import FEATURES, PROCESSOR, encoded, forms, objects

Source = Callable[[Cloud, Path], dict[str, str]]
ROLE = "arn:aws:iam::123456789012:role/steps"
START = "https://start.example.org/sso"


def aws_files(home: Path, config: str, keys: str = "") -> dict[str, str]:
    """The two files of a profile `steps`."""
    (home / "config").write_text(config)
    (home / "credentials").write_text(keys)
    return {"AWS_PROFILE": "steps", "AWS_CONFIG_FILE": str(home / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials")}


def file_of(home: Path, name: str, content: str) -> str:
    (home / name).write_text(content)
    return str(home / name)


def in_environment(cloud: Cloud, home: Path) -> dict[str, str]:
    return cloud.issue()[0]


def in_credentials_file(cloud: Cloud, home: Path) -> dict[str, str]:
    keys = "".join(f"{name.lower()} = {value}\n" for name, value in cloud.issue()[0].items())
    return aws_files(home, "[profile steps]\nregion = us-east-1\n", f"[other]\naws_access_key_id = x\naws_secret_access_key = y\n[steps]\n{keys}")


def in_config_file(cloud: Cloud, home: Path) -> dict[str, str]:
    keys = "".join(f"{name.lower()} = {value}\n" for name, value in cloud.issue()[0].items())
    return aws_files(home, f"[profile steps]\nregion = us-east-1\n{keys}")


def by_process(cloud: Cloud, home: Path) -> dict[str, str]:
    """A program that asks for them, and knows the secret from a file."""
    program = file_of(home, "credentials.py", "import sys, urllib.request as u\nr = u.Request(sys.argv[1], headers={'Authorization': "
                      f"open({file_of(home, 'secret', cloud.secret)!r}).read()}})\nprint(u.urlopen(r).read().decode())\n")
    return aws_files(home, f"[profile steps]\ncredential_process = {sys.executable} {program} {cloud.url}/process\n")


def by_web_identity(cloud: Cloud, home: Path) -> dict[str, str]:
    """As a pod has it whose service account stands for a role (IRSA)."""
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": file_of(home, "token", cloud.secret), "AWS_ROLE_ARN": ROLE, "AWS_ENDPOINT_URL_STS": cloud.url + "/sts"}


def by_role(cloud: Cloud, home: Path) -> dict[str, str]:
    """A role that another profile may take on, by MinIO's own STS."""
    keys = f"aws_access_key_id = {cloud.minio.access_key}\naws_secret_access_key = {cloud.minio.secret_key}\n"
    files = aws_files(home, f"[profile steps]\nrole_arn = {ROLE}\nsource_profile = people\n", f"[people]\n{keys}")
    return {**files, "AWS_ENDPOINT_URL_STS": cloud.minio.endpoint}


def of_container(cloud: Cloud, home: Path) -> dict[str, str]:
    """As ECS has it."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": cloud.url + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": cloud.secret}


def of_pod(cloud: Cloud, home: Path) -> dict[str, str]:
    """As EKS has it (Pod Identity): the token is in a file."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": cloud.url + "/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file_of(home, "token", cloud.secret)}


def of_machine(cloud: Cloud, home: Path) -> dict[str, str]:
    """As EC2 has it (IMDSv2)."""
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url, "AWS_EC2_METADATA_DISABLED": "false"}


def signed_on(cloud: Cloud, home: Path, name: str, config: str, until: str = "2099-01-01T00:00:00Z") -> dict[str, str]:
    """What `aws sso login` leaves behind."""
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    (cache / f"{hashlib.sha1(name.encode()).hexdigest()}.json").write_text(json.dumps(
        {"startUrl": START, "region": "us-east-1", "accessToken": cloud.secret, "expiresAt": until}))
    role = "sso_account_id = 123456789012\nsso_role_name = steps\n"
    return {**aws_files(home, f"[profile steps]\n{role}{config}"), "AWS_ENDPOINT_URL_SSO": cloud.url}


def by_sso(cloud: Cloud, home: Path) -> dict[str, str]:
    return signed_on(cloud, home, START, f"sso_start_url = {START}\nsso_region = us-east-1\n")


def by_sso_session(cloud: Cloud, home: Path) -> dict[str, str]:
    return signed_on(cloud, home, "people", f"sso_session = people\n[sso-session people]\nsso_start_url = {START}\nsso_region = us-east-1\n")


def by_sso_of_yesterday(cloud: Cloud, home: Path) -> dict[str, str]:
    return signed_on(cloud, home, START, f"sso_start_url = {START}\nsso_region = us-east-1\n", "2020-01-01T00:00:00Z")


def by_process_that_babbles(cloud: Cloud, home: Path) -> dict[str, str]:
    program = file_of(home, "babble.py", f"print('no JSON, but {cloud.secret}')\n")
    return aws_files(home, f"[profile steps]\ncredential_process = {sys.executable} {program}\n")


EXPIRING: list[Source] = [by_process, by_web_identity, of_container, of_pod, of_machine, by_sso, by_sso_session]
STATIC: list[Source] = [in_environment, in_credentials_file, in_config_file, by_role]
GIVEN_TO_CHILDREN: list[Source] = [in_environment, of_container]  # unless the configuration names what they get


class Client:
    """A project whose keys come from one source."""

    def __init__(self, project: Project, cloud: Cloud, source: Source, folder: Path) -> None:
        self.project, self.cloud, self.folder = project, cloud, folder
        self.prefix = f"metaxy/{secrets.token_hex(8)}"
        self.output = b""
        home, temp = folder / "home", folder / "tmp"
        for made in (folder, home, temp):
            made.mkdir()
        names = ("PATH", "LANG", "LC_ALL")
        self.environment = {k: os.environ[k] for k in names if k in os.environ} | {
            "HOME": str(home), "TMPDIR": str(temp), "NOTE": str(folder / "note.json"), "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": cloud.url, "AWS_EC2_METADATA_DISABLED": "true", **source(cloud, home)}
        settings = 'processor_env = ["PATH", "NOTE"]\n' if source in GIVEN_TO_CHILDREN else ""
        (folder / "metaxy.toml").write_text(f"[ext.metaxy_pipes]\n{settings}")
        (folder / "features.json").write_text(json.dumps({"features": FEATURES}))
        (folder / "processor.py").write_text(PROCESSOR)

    def run(self, *args: str, status: int = 0) -> str:
        """Runs a command and returns what it says on stderr."""
        return self.done(args, status).stderr.decode()

    def call(self, *args: str) -> str:
        """Runs a command and returns its output."""
        return self.done(args, 0).stdout.decode()

    def done(self, args: Sequence[str], status: int) -> subprocess.CompletedProcess:
        done = subprocess.run([self.project.binary, "--store", f"s3://{self.prefix}", "--features", "features.json", "--log-level", "debug", *args],
                              cwd=self.folder, env=self.environment, capture_output=True, timeout=120)
        self.output += done.stdout + done.stderr
        assert done.returncode == status, (args, done.returncode, done.stderr[-2000:])
        return done

    def ingest(self, ids: list[str]) -> None:
        (self.folder / "rows.jsonl").write_text("".join(json.dumps({"id": i, "text": "x"}) + "\n" for i in ids))
        self.run("ingest", "doc", "--from", "rows.jsonl")

    def leaks(self) -> list[str]:
        """Where something that nobody may see is found, in all that leaves the program."""
        leaving = {"output": self.output, **objects(self.cloud.minio, self.prefix)}
        for path in [self.folder / "note.json", self.folder / "messages.jsonl", *(self.folder / "tmp").rglob("*")]:
            if path.is_file():
                leaving[path.name] = path.read_bytes()
        secret = {*self.cloud.canaries, self.cloud.minio.secret_key}
        return [name for name, body in leaving.items() for s in secret for f in forms(s) if f.encode() in body]


@pytest.mark.parametrize("source", [*STATIC, *EXPIRING], ids=lambda s: s.__name__)
def test_credentials_of(source: Source, project: Project, minio: Minio, tmp_path: Path) -> None:
    """Everything works with them, and they are seen nowhere."""
    with Cloud(minio).open() as cloud:
        client = Client(project, cloud, source, tmp_path / "client")
        client.environment |= {
            "DAGSTER_PIPES_CONTEXT": encoded({"data": {"run_id": "r", "asset_keys": ["doc/words"], "extras": {}}}),
            "DAGSTER_PIPES_MESSAGES": encoded({"path": str(client.folder / "messages.jsonl")})}
        client.ingest(["a", "b", "c"])
        client.run("run", "doc/words", "--max-failed", "1", "--", sys.executable, "processor.py")
        for args in (["status"], ["read", "doc/words"], ["doctor"]):
            client.run(*args)
        assert (client.folder / "messages.jsonl").stat().st_size > 500
        assert len(objects(minio, client.prefix)) >= 4
        arguments, environment, _ = json.loads((client.folder / "note.json").read_text())
        assert arguments == ["processor.py"]
        if source in GIVEN_TO_CHILDREN:
            assert {k for k, _ in environment} <= {"PATH", "NOTE", "LC_CTYPE"}
        if source in EXPIRING:
            assert cloud.issued == 6, "each process asks once, and doctor for its own look as well"
        assert client.leaks() == []


SLOW = PROCESSOR.replace("for line in sys.stdin:", "import time\nfor line in sys.stdin:\n    time.sleep(0.1)")


@pytest.mark.parametrize("announced", [62, 3600], ids=["renewed in time", "refused before their time"])
def test_credentials_that_end_during_a_run(announced: int, project: Project, minio: Minio, tmp_path: Path) -> None:
    """No sample is lost or computed twice when keys end in the middle: by their own word, or only by that of S3."""
    real = 10.0 if announced < 100 else 1.0

    def story(source: Source) -> None:
        with Cloud(minio, announced, real).open() as cloud:
            client = Client(project, cloud, source, tmp_path / source.__name__)
            (client.folder / "processor.py").write_text(SLOW)
            client.ingest([f"s{i:02}" for i in range(50)])
            before = cloud.issued
            told = client.run("run", "doc/words", "--concurrency", "1", "--batch-size", "1", "--flush-rows", "5", "--", sys.executable, "processor.py")
            assert told.splitlines()[-1] == "new=50 stale=0 orphaned=0 processed=50 failed=0"
            assert cloud.issued - before >= 2, f"the run did not outlive its keys of {source.__name__}"
            assert (cloud.refused > 0) == (announced == 3600), cloud.refused
            cloud.real = 3600
            history = [json.loads(row) for row in client.call("read", "doc/words", "--history", "--format", "jsonl").splitlines()]
            assert sorted(row["id"] for row in history) == [f"s{i:02}" for i in range(50)]
            assert client.leaks() == []

    with ThreadPoolExecutor() as pool:
        # The metadata service gives credentials for hours: the SDK takes their word for the last quarter of one.
        list(pool.map(story, [by_process, by_web_identity, of_pod] + ([of_machine] if announced == 3600 else [])))


@pytest.mark.parametrize("source", [*EXPIRING, by_process_that_babbles, by_sso_of_yesterday], ids=lambda s: s.__name__)
def test_source_that_refuses(source: Source, project: Project, minio: Minio, tmp_path: Path) -> None:
    """The error says what to do, and nothing of what the source repeats."""
    with Cloud(minio, broken=True).open() as cloud:
        client = Client(project, cloud, source, tmp_path / "client")
        told = client.run("read", "doc", status=1)
        assert "no usable AWS credentials" in told
        assert ("aws sso login" in told) == (source in (by_sso, by_sso_session, by_sso_of_yesterday)), told
        client.run("doctor", status=1)
        assert b"FAIL  store" in client.output
        assert client.leaks() == []


def test_keys_that_nobody_renews(project: Project, minio: Minio, tmp_path: Path) -> None:
    """Static keys whose time is over: the error says so, at once."""
    with Cloud(minio, real=0).open() as cloud:
        client = Client(project, cloud, in_credentials_file, tmp_path / "client")
        told = client.run("read", "doc", status=1)
        assert "ExpiredToken: check the credentials, their expiry" in told
        assert cloud.refused <= 2, "keys that cannot be renewed are tried again"
        assert client.leaks() == []
