"""The parts of the Kubernetes client that need no cluster; tests/kubernetes has the rest."""

import threading
from types import SimpleNamespace

import pytest
from kubernetes.client import ApiException, V1Job
from kubernetes.client.api_client import ApiClient
from urllib3.exceptions import ProtocolError

from metaxy_pipes import Shard
from metaxy_pipes.capture import Capture
from metaxy_pipes.k8s import K8sClient, K8sShards, PodLogReader
from metaxy_pipes.k8s.cluster import Cluster
from metaxy_pipes.k8s.job import indexes, job_body, template_command, template_env
from metaxy_pipes.k8s.pod_log import Seen, apart, lines, nanoseconds
from metaxy_pipes.merging import merged_reports
from metaxy_pipes.reports import Report

MESSAGE = '{"__dagster_pipes_version": "0.1", "method": "log", "params": {"message": "m%s"}}'


def shards(count, env=None, tail=()):
    made = []
    for i in range(count):
        own = {"SAME": "$(X)", "DAGSTER_PIPES_MESSAGES": f"m{i}"} if env is None else env
        made.append(Shard(i, count, ["b", "run", "--shard", f"{i}/{count}", *tail], own, None, PodLogReader(), None))
    return made


def body(**job_spec):
    made = job_body(
        "j", shards(2), labels={"l": "v"}, image="i", base_pod_meta={"labels": {"own": "1"}}, base_pod_spec={}, job_spec=job_spec
    )
    return ApiClient().sanitize_for_serialization(made)


def test_one_template_for_all_shards():
    assert template_command(shards(3, tail=("--", "p", "0/3", "--shard", "$(A)"))) == [
        "b", "run", "--shard", "$(JOB_COMPLETION_INDEX)/3", "--", "p", "0/3", "--shard", "$$(A)",
    ]  # fmt: skip
    assert template_env(shards(2)) == {
        "SAME": "$$(X)",
        "DAGSTER_PIPES_MESSAGES_0": "m0",
        "DAGSTER_PIPES_MESSAGES_1": "m1",
    }
    assert template_env(shards(2, env={"A": "1"})) == {"A": "1"}


def test_shards_that_are_not_alike_are_refused():
    odd = shards(2)
    odd[1].command = [*odd[1].command, "more"]
    with pytest.raises(ValueError, match="differ by more than their index"):
        template_command(odd)


def test_the_job():
    made = body(backoffLimitPerIndex=7, active_deadline_seconds=60, completions=99)
    spec = made["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimitPerIndex"]) == (2, 2, 7)
    assert spec["activeDeadlineSeconds"] == 60 and spec["podReplacementPolicy"] == "Failed"
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert fail["onExitCodes"]["values"] == [3, 4]
    pod = spec["template"]
    assert fail["onExitCodes"]["containerName"] == pod["spec"]["containers"][0]["name"]
    assert pod["metadata"]["labels"].items() >= {"l": "v", "own": "1"}.items() and "name" not in pod["metadata"]
    assert made["metadata"]["labels"]["l"] == "v"
    assert isinstance(V1Job(), V1Job)


def test_shards_of_a_client():
    client = K8sClient()
    launcher = client.shard_launcher(image="i", namespace="n", pod_wait_timeout=5)
    assert isinstance(launcher, K8sShards) and launcher.message_reader is client.message_reader
    assert launcher.job_spec == {"active_deadline_seconds": 5} and (launcher.image, launcher.namespace) == ("i", "n")
    with pytest.raises(ValueError, match="unknown ignore_containers"):
        client.shard_launcher(ignore_containers={"x"})


def test_indexes():
    assert indexes(None) == indexes("") == set()
    assert indexes("0,2-4,9") == {0, 2, 3, 4, 9}


def stamped(second, text, fraction="000000001"):
    return f"2026-01-01T00:00:{second:02}.{fraction}Z {text}\n".encode()


def test_a_log_that_is_read_again():
    seen = Seen()
    first = [stamped(1, "a"), stamped(1, "b"), stamped(1, "a")]
    assert list(seen.new(lines(first, True))) == ["a", "b"], "of one time and text there is one line"
    late = [stamped(1, "late", "000000000"), *first, stamped(2, "c")]
    assert list(seen.new(lines(late, True))) == ["late", "c"], "stdout and stderr are not quite in order"
    assert list(seen.new(lines([stamped(59, "d")], True))) == ["d"]
    assert list(seen.new(lines([stamped(1, "forgotten"), stamped(59, "d"), stamped(59, "e")], True))) == ["e"]


def test_lines_of_a_stream():
    pieces = [b"ab", b"c\nd\xc3", b"\xa9\n", b"\xff\n", b"last"]
    assert list(lines(pieces, True)) == ["abc", "d\xe9", "\ufffd", "last"]
    assert list(lines(pieces, False)) == ["abc", "d\xe9", "\ufffd"], "a line that was cut comes back when it is read again"


def test_a_message_behind_other_output():
    message = MESSAGE % 1
    assert list(apart(message)) == [message]
    assert list(apart("50%" + message)) == ["50%", message]
    assert list(apart("50%")) == ["50%"]


def test_times_of_kubernetes():
    assert nanoseconds("1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert nanoseconds("1970-01-01T02:00:00.000000007+02:00") == 7
    assert nanoseconds("1969-12-31T22:30:00-01:30") == 0
    for text in ("", "noise", "1970-99-01T00:00:01Z", "1970-01-01T00:00:01"):
        assert nanoseconds(text) is None


class Flaky:
    """A pod's log whose connection ends in the middle, again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def read_namespaced_pod_log(self, *_, follow, **__):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(stream=lambda: self._stream(answer), close=lambda: None)

    def _stream(self, answer):
        for chunk in answer:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


def test_each_message_is_handled_once(capsys):
    whole = [stamped(i, MESSAGE % i) for i in range(5)]
    flaky = Flaky(
        ApiException(status=400, reason="waiting to start"),
        [*whole[:2], whole[2][:30], ProtocolError("cut")],
        ConnectionResetError(),
        [*whole[:4], whole[4][:50]],
        whole,
    )
    handled, ended, log = [], threading.Event(), SimpleNamespace(warning=pytest.fail)
    handler = SimpleNamespace(handle_message=lambda m: handled.append(m["params"]["message"]))
    ended.wait = lambda _: None if len(flaky.answers) > 1 else ended.set()
    reader = PodLogReader()
    with reader.read_messages(handler):
        reader.follow(SimpleNamespace(core=flaky), "p", "n", "c", ended, log)
    assert handled == [f"m{i}" for i in range(5)] and capsys.readouterr().out == ""


def test_calls_outlast_the_api_server(monkeypatch):
    monkeypatch.setattr("metaxy_pipes.k8s.cluster.PAUSE", 0)
    told, answers = [], [ConnectionResetError(), ApiException(status=503), "here"]

    def get(*_, **__):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cluster = object.__new__(Cluster)
    cluster._log = SimpleNamespace(warning=told.append, info=told.append)
    cluster._patience = 60
    assert cluster.call(get) == "here" and len(told) == 2
    answers[:] = [ApiException(status=404)]
    assert cluster.find(get) is None
    answers[:] = [ApiException(status=403)]
    with pytest.raises(ApiException):
        cluster.find(get)
    answers[:] = [ConnectionResetError(), ApiException(status=409), "ours"]
    assert cluster.create(get, get, "n", {}, "name") == "ours", "the first try was answered, but the answer was lost"


def report(**counts):
    return Report("f", None, {"new": 0, "processed": 0, "failed": 0, **counts})


def test_counts_of_a_shard_that_was_started_again():
    (told,) = merged_reports([[report(new=10, processed=4), report(new=6, processed=5, failed=1)], [report(new=3, processed=3)]])
    assert told.counts == {"new": 13, "processed": 12, "failed": 1}


def test_a_process_that_is_started_again_in_its_session():
    """Dagster is told of the end of the last one only: the end of a writer is the end of a session."""
    handled = []
    capture = Capture(restartable=True)
    capture._handler = SimpleNamespace(handle_message=handled.append)
    opened = {"method": "opened", "params": {"extras": {}}}
    failed = {"method": "closed", "params": {"exception": {"message": "E: drained\n", "name": "E"}}}
    assert capture.note(opened) and not capture.note(failed) and capture.exception == "E: drained"
    assert capture.note(opened) and capture.exception is None
    capture.release()
    assert handled == []
    assert not capture.note(failed)
    capture.release()
    capture.release()
    assert handled == [failed]
    assert capture.note({"method": "closed", "params": {}}) and capture.note({"method": "closed", "params": None})
    assert Capture().note(failed), "a session of one process is told at once"
