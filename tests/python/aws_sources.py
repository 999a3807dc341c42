"""What AWS has and MinIO has not, on a port of this machine: where programs get credentials, and a service that refuses old ones.

The credentials are real ones of MinIO's own token service. `Cloud` hands them out as STS, the metadata service of a machine,
the agent of a container and the portal of single sign-on do, notes how often, and stands before MinIO as S3 does, where it
answers `ExpiredToken` to keys whose time is over.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import json
import re
import secrets
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from conftest import Minio

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]}


def session(minio: Minio, policy: dict) -> dict[str, str]:
    """Credentials that may do what a policy allows, from MinIO's own token service."""
    body = urllib.parse.urlencode({"Action": "AssumeRole", "Version": "2011-06-15", "Policy": json.dumps(policy)})
    host, now = urllib.parse.urlparse(minio.endpoint).netloc, datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body.encode()).hexdigest()
    request = f"POST\n/\n\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{now}\n\nhost;x-amz-content-sha256;x-amz-date\n{payload}"
    scope = f"{now[:8]}/us-east-1/sts/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + minio.secret_key).encode()
    for part in [*scope.split("/"), text]:
        key = hmac.digest(key, part.encode(), "sha256")
    signature = f"Credential={minio.access_key}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={key.hex()}"
    headers = {"x-amz-date": now, "x-amz-content-sha256": payload, "Authorization": f"AWS4-HMAC-SHA256 {signature}",
               "Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib.request.urlopen(urllib.request.Request(minio.endpoint + "/", body.encode(), headers)).read().decode()
    found = {tag: answer.partition(f"<{tag}>")[2].partition("<")[0] for tag in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    return {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"]}


class Cloud:
    """The sources of credentials. What it asks for and hands out is in `canaries`: none of it may be seen anywhere.

    Attributes:
        announced: how long credentials are said to be good, in seconds.
        real: how long S3 takes them, in seconds.
        broken: whether every source refuses, and repeats in its answer what it was asked with.
    """

    def __init__(self, minio: Minio, announced: float = 3600, real: float = 3600, broken: bool = False) -> None:
        self.minio, self.announced, self.real, self.broken = minio, announced, real, broken
        self.secret = secrets.token_hex(16)  # that whoever asks for credentials has to know
        self.canaries = {self.secret}
        self.ends: dict[str, float] = {}  # of access keys
        self.issued = self.refused = 0
        self.lock = Lock()
        self.url = ""  # while it is open

    @contextmanager
    def open(self) -> Iterator[Cloud]:
        handler = type("Handler", (_Handler,), {"cloud": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def issue(self) -> tuple[dict[str, str], datetime.datetime]:
        """New credentials, and the end that they are said to have."""
        made = session(self.minio, EVERYTHING)
        with self.lock:
            self.issued += 1
            self.ends[made["AWS_ACCESS_KEY_ID"]] = time.monotonic() + self.real
            self.canaries |= {made["AWS_SECRET_ACCESS_KEY"], made["AWS_SESSION_TOKEN"]}
        return made, datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.announced)

    def document(self) -> dict[str, str]:
        """Credentials as containers, machines and `credential_process` get them."""
        made, end = self.issue()
        return {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": _text(datetime.datetime.now(datetime.UTC)), "Version": 1,
                "AccessKeyId": made["AWS_ACCESS_KEY_ID"], "SecretAccessKey": made["AWS_SECRET_ACCESS_KEY"],
                "Token": made["AWS_SESSION_TOKEN"], "SessionToken": made["AWS_SESSION_TOKEN"], "Expiration": _text(end)}

    def over(self, access_key: str) -> bool:
        """Whether S3 refuses a key, because its time is over."""
        with self.lock:
            out = time.monotonic() > self.ends.get(access_key, float("inf"))
            self.refused += out
        return out


def _text(at: datetime.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        pass

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlparse(self.path)
        source = {"/sts": self.sts, "/container": self.container, "/latest/api/token": self.metadata_token, "/process": self.process,
                  "/federation/credentials": self.portal}.get(url.path.rstrip("/"))
        if url.path.startswith("/latest/meta-data/iam/security-credentials"):
            source = self.metadata
        if source is None:
            self.s3(body)
        elif self.cloud.broken:
            self.answer(403, f"refused: {self.cloud.secret} {body.decode()}".encode())
        else:
            source(urllib.parse.parse_qs(url.query), urllib.parse.parse_qs(body.decode()))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def known(self, given: str | None) -> bool:
        """Whether the caller knows the secret; else it is refused."""
        if given != self.cloud.secret:
            self.answer(401, b'{"message": "who are you?"}')
            return False
        return True

    def sts(self, _: dict, form: dict) -> None:
        assert form["Action"] == ["AssumeRoleWithWebIdentity"], form
        assert form["RoleArn"] == ["arn:aws:iam::123456789012:role/steps"], form
        if not self.known(form["WebIdentityToken"][0]):
            return
        made, end = self.cloud.issue()
        self.answer(200, f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
            <Credentials><AccessKeyId>{made["AWS_ACCESS_KEY_ID"]}</AccessKeyId><SecretAccessKey>{made["AWS_SECRET_ACCESS_KEY"]}</SecretAccessKey>
            <SessionToken>{made["AWS_SESSION_TOKEN"]}</SessionToken><Expiration>{_text(end)}</Expiration></Credentials>
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>""".encode(), "text/xml")

    def container(self, *_: dict) -> None:
        if self.known(self.headers.get("Authorization")):
            self.answer(200, json.dumps(self.cloud.document()).encode())

    process = container  # what the program behind `credential_process` asks

    def metadata_token(self, *_: dict) -> None:
        assert self.command == "PUT", self.command
        self.send_response(200)
        self.send_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", self.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"])
        self.send_header("Content-Length", str(len(self.cloud.secret)))
        self.end_headers()
        self.wfile.write(self.cloud.secret.encode())

    def metadata(self, *_: dict) -> None:
        if self.known(self.headers.get("X-Aws-Ec2-Metadata-Token")):
            role = self.path.rstrip("/").endswith("/steps")
            self.answer(200, json.dumps(self.cloud.document()).encode() if role else b"steps")

    def portal(self, query: dict, _: dict) -> None:
        assert query == {"role_name": ["steps"], "account_id": ["123456789012"]}, query
        if self.known(self.headers.get("x-amz-sso_bearer_token")):
            made, end = self.cloud.issue()
            self.answer(200, json.dumps({"roleCredentials": {
                "accessKeyId": made["AWS_ACCESS_KEY_ID"], "secretAccessKey": made["AWS_SECRET_ACCESS_KEY"],
                "sessionToken": made["AWS_SESSION_TOKEN"], "expiration": int(end.timestamp() * 1000)}}).encode())

    def s3(self, body: bytes) -> None:
        key = re.search("Credential=([^/]+)/", self.headers.get("Authorization", ""))
        if key and self.cloud.over(key[1]):
            self.answer(400, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>", "application/xml")
            return
        behind = http.client.HTTPConnection(urllib.parse.urlparse(self.cloud.minio.endpoint).netloc)
        behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # the host as well, which is signed
            behind.putheader(name, value)
        behind.endheaders(body)
        got = behind.getresponse()
        content = got.read()
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in ("date", "server", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        behind.close()
