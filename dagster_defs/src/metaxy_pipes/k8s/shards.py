"""Shards as pods of one Indexed Job."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_k8s.pipes import get_pod_name
from dagster_k8s.utils import get_common_labels
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions

from metaxy_pipes.k8s import pods
from metaxy_pipes.k8s.attempts import Attempts
from metaxy_pipes.k8s.client import DEFAULT_GRACE, MARGIN, K8sClient
from metaxy_pipes.k8s.cluster import Cluster, reason
from metaxy_pipes.k8s.job import STEP_LABEL, indexes, job_body
from metaxy_pipes.k8s.pods import PodFailure
from metaxy_pipes.shards import Shard

JOB_UID = "batch.kubernetes.io/controller-uid"


class K8sShards:
    """Starts the shards of a step as one Indexed Job.

    Kubernetes starts a pod again that died; it goes on with what is not committed. The Job is deleted when the step ends. A
    Job that an earlier attempt of the same step has left is ended first.

    Args:
        client: says how the cluster is found, how context and messages travel, and how long things may take.
        image: the image of the pods' container, if `base_pod_spec` does not name it.
        namespace: None means the current one.
        base_pod_meta: metadata of the pods; keys in snake_case or camelCase.
        base_pod_spec: their specification, likewise.
        job_spec: fields of the Job's specification, such as `backoff_limit_per_index` (3), `parallelism` (all),
            `active_deadline_seconds` (none).

    """

    def __init__(
        self,
        client: K8sClient | None = None,
        *,
        image: str | None = None,
        namespace: str | None = None,
        base_pod_meta: Mapping[str, Any] | None = None,
        base_pod_spec: Mapping[str, Any] | None = None,
        job_spec: Mapping[str, Any] | None = None,
    ) -> None:
        self.client = client or K8sClient()
        self.context_injector = self.client.context_injector
        self.message_reader = self.client.message_reader
        self.image, self.namespace = image, namespace
        self.base_pod_meta, self.base_pod_spec = base_pod_meta, base_pod_spec
        self.job_spec = dict(job_spec or {})

    @staticmethod
    def of(client: K8sClient, run_args: Mapping[str, Any]) -> K8sShards:
        """Shards that run as a client runs one pod with these arguments."""
        taken = ("image", "namespace", "base_pod_meta", "base_pod_spec")
        if unknown := sorted(set(run_args) - {*taken, "pod_wait_timeout", "delete_pod_on_completion"}):
            raise ValueError(f"shards by an Indexed Job: unknown {', '.join(unknown)}; give shard_launcher=K8sShards(…)")
        job = {"active_deadline_seconds": int(run_args["pod_wait_timeout"])} if run_args.get("pod_wait_timeout") else {}
        return K8sShards(client, job_spec=job, **{k: run_args[k] for k in taken if k in run_args})

    def run(self, context: Any, shards: Sequence[Shard]) -> None:
        """Creates the Job and waits for its end; see `ShardLauncher`."""
        cluster, namespace = self.client.cluster(context.log), self.client.namespace(self.namespace)
        for shard in shards:
            shard.env = {**(self.client.env or {}), **shard.env}
        step = {STEP_LABEL: _step(context)}
        _end_earlier(cluster, namespace, step, context.log)
        name = get_pod_name(context.run.run_id, context.op_def.name)
        body = job_body(
            name,
            shards,
            labels={**get_common_labels(), "dagster/run-id": context.run.run_id, **step},
            image=self.image,
            base_pod_meta=self.base_pod_meta,
            base_pod_spec=self.base_pod_spec,
            job_spec=self.job_spec,
        )
        batch = cluster.batch
        try:
            job = cluster.create(batch.create_namespaced_job, batch.read_namespaced_job, namespace, body, name)
        except ApiException as err:
            raise PodFailure(f"Job {name} was not created in {namespace}: {reason(err)}") from err
        context.log.info(f"Job {name} in {namespace} has {len(shards)} shards")
        watch = _Watch(self.client, cluster, job, shards, context.log)
        try:
            watch.wait()
        finally:
            watch.close()


class _Watch:
    """Looks after one Job from its creation to its end."""

    def __init__(self, client: K8sClient, cluster: Cluster, job: Any, shards: Sequence[Shard], log: Any) -> None:
        self._client, self._cluster, self._job, self._shards, self._log = client, cluster, job, shards, log
        self._attempts = {s.index: Attempts(client, cluster, s, log) for s in shards}
        self._since = time.monotonic()
        self._over = False

    def wait(self) -> None:
        """Returns when no pod of the Job can do any more."""
        while not self._look():
            if all(s.ok or s.error for s in self._shards):
                return  # none is left but those whose pods do not start
            time.sleep(self._client.poll_interval)

    def close(self) -> None:
        """Deletes the Job, and reads what the pods that were not at their end have to say."""
        for attempts in self._attempts.values():
            if self._over:
                attempts.finish()
        try:
            _delete(self._cluster, self._job)
            if not self._over:
                self._log.info(f"the pods of Job {self._job.metadata.name} are told to commit what they hold and to end")
                grace = self._job.spec.template.spec.termination_grace_period_seconds or DEFAULT_GRACE
                self._await_end(time.monotonic() + grace + MARGIN)
        except (ApiException, OSError) as err:  # no reason to hide why the Job is closed
            self._log.warning(f"Job {self._job.metadata.name} could not be deleted: {reason(err)}")
        finally:
            for attempts in self._attempts.values():
                attempts.finish()

    def _look(self) -> bool:
        """Whether the Job has ended; sets the shards' `status` and `error` as far as they are known."""
        meta = self._job.metadata
        found = self._cluster.find(self._cluster.batch.read_namespaced_job_status, meta.name, meta.namespace)
        if found is None or found.metadata.uid != meta.uid:
            self._see_pods()
            self._lose(f"Job {meta.name} was deleted before it had ended.")
            return True
        self._job = found
        self._see_pods()
        done = indexes(found.status.completed_indexes)
        for shard in self._shards:
            if shard.index in done:
                shard.status, shard.error = 0, None
        conditions = {c.type: c for c in found.status.conditions or [] if c.status == "True"}
        if not conditions.keys() & {"Complete", "Failed"}:
            self._expect_pods()
            return False
        for attempts in self._attempts.values():
            attempts.finish()
        failed = conditions.get("Failed")
        self._lose(f"Job {meta.name}: {failed.reason}: {failed.message}" if failed else "it has no pod that ended well")
        self._over = True
        return True

    def _see_pods(self) -> bool:
        """Looks at the Job's pods; whether there is any."""
        meta = self._job.metadata
        listed = self._cluster.call(
            self._cluster.core.list_namespaced_pod, meta.namespace, label_selector=f"{JOB_UID}={meta.uid}"
        ).items
        for attempts in self._attempts.values():
            attempts.see([p for p in listed if pods.index(p) == attempts.shard.index])
        return bool(listed)

    def _expect_pods(self) -> None:
        """A Job that is not allowed to have pods, by a quota or for lack of its service account, says so in its events only."""
        if any(a.seen for a in self._attempts.values()) or time.monotonic() - self._since < self._client.start_patience:
            return
        try:
            noted = self._cluster.warnings(self._job.metadata.namespace, self._job.metadata.uid)
        except ApiException:
            return
        if noted:
            self._lose(f"Job {self._job.metadata.name} has no pods: {noted[-1]}")

    def _lose(self, why: str) -> None:
        """Says of each shard that has not ended well why."""
        for shard in self._shards:
            if shard.status != 0 and shard.error is None:
                failure = self._attempts[shard.index].failure
                shard.status = failure.status if failure else None
                shard.error = str(failure) if failure else why

    def _await_end(self, until: float) -> None:
        while self._see_pods() and time.monotonic() < until:
            time.sleep(min(1.0, self._client.poll_interval))


def _step(context: Any) -> str:
    """What the attempts of one step of one run have in common."""
    partition = context.partition_key if context.has_partition_key else ""
    return hashlib.sha256(f"{context.run.run_id} {context.op_def.name} {partition}".encode()).hexdigest()[:32]


def _end_earlier(cluster: Cluster, namespace: str, step: Mapping[str, str], log: Any) -> None:
    """Ends the Jobs that earlier attempts of the step have left, so that nothing is computed twice."""
    (selector,) = [f"{k}={v}" for k, v in step.items()]
    until = None
    while left := cluster.call(cluster.batch.list_namespaced_job, namespace, label_selector=selector).items:
        if until is None:
            graces = [j.spec.template.spec.termination_grace_period_seconds or DEFAULT_GRACE for j in left]
            until = time.monotonic() + max(graces) + MARGIN
            log.warning(f"ending what an earlier attempt has left: {', '.join(j.metadata.name for j in left)}")
        elif time.monotonic() > until:
            raise PodFailure(f"Job {left[0].metadata.name} of an earlier attempt does not end.")
        for job in left:
            _delete(cluster, job)
        time.sleep(1.0)


def _delete(cluster: Cluster, job: Any) -> None:
    """Deletes a Job when its pods are gone, which are told to end."""
    options = V1DeleteOptions(preconditions=V1Preconditions(uid=job.metadata.uid), propagation_policy="Foreground")
    cluster.find(cluster.batch.delete_namespaced_job, job.metadata.name, job.metadata.namespace, body=options)
