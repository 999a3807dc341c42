"""A pod for a step: Dagster's client of Kubernetes, with an end that is told in words and comes in time."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dagster import PipesContextInjector, PipesMessageReader, open_pipes_session
from dagster._core.pipes.client import PipesClientCompletedInvocation
from dagster_k8s import PipesK8sClient
from dagster_k8s.pipes import build_pod_body, get_pod_name
from dagster_k8s.utils import detect_current_namespace
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions

from metaxy_pipes.k8s import pods
from metaxy_pipes.k8s.cluster import Cluster, reason
from metaxy_pipes.k8s.follower import Follower
from metaxy_pipes.k8s.pod_log import PodLogReader
from metaxy_pipes.k8s.pods import PodFailure

DAY = 86400.0
DEFAULT_GRACE = 30  # seconds, Kubernetes' own
MARGIN = 15


class K8sClient(PipesK8sClient):
    """Runs the command in a pod.

    Beyond Dagster's own client: a pod that is deleted, evicted or replaced fails the step at once; one that cannot start
    fails it with the reason; the error names a kill for memory and exit codes; the log is read to its end over
    connections that are cut; while the API server is away nothing is given up; and a step that is interrupted waits for the
    pod to commit and tell what it holds.

    Args:
        env: as for PipesK8sClient.
        context_injector: as for PipesK8sClient.
        message_reader: None means the pod's log, by `PodLogReader`.
        load_incluster_config: as for PipesK8sClient.
        kubeconfig_file: as for PipesK8sClient.
        kube_context: as for PipesK8sClient.
        poll_interval: how many seconds lie between two looks at the pod.
        start_patience: for how many seconds a pod may be kept from starting by a reason that seldom goes away: an image that
            cannot be pulled, a secret that is not there.
        api_patience: for how many seconds in a row the API server may be away.

    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        context_injector: PipesContextInjector | None = None,
        message_reader: PipesMessageReader | None = None,
        load_incluster_config: bool | None = None,
        kubeconfig_file: str | None = None,
        kube_context: str | None = None,
        poll_interval: float = 2.0,
        start_patience: float = 120.0,
        api_patience: float = 300.0,
    ) -> None:
        super().__init__(
            env=env,
            context_injector=context_injector,
            message_reader=message_reader or PodLogReader(),
            load_incluster_config=load_incluster_config,
            kubeconfig_file=kubeconfig_file,
            kube_context=kube_context,
            poll_interval=poll_interval,
        )
        self.start_patience = start_patience
        self.api_patience = api_patience

    def cluster(self, log: Any) -> Cluster:
        """The cluster that the configuration names: the one around this process, or that of a kubeconfig."""
        self._load_k8s_config()
        return Cluster(log, self.api_patience)

    def namespace(self, asked: str | None) -> str:
        """The namespace that was asked for, or the current one."""
        return asked or detect_current_namespace(self.kubeconfig_file) or "default"

    def shard_launcher(self, **run_args: Any) -> Any:
        """Shards as the pods of an Indexed Job, as `run` with these arguments runs one process."""
        from metaxy_pipes.k8s.shards import K8sShards  # which needs this module

        return K8sShards.of(self, run_args)

    def run(  # ty: ignore[invalid-method-override]
        self,
        *,
        context: Any,
        extras: Mapping[str, Any] | None = None,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
        namespace: str | None = None,
        env: Mapping[str, str] | None = None,
        base_pod_meta: Mapping[str, Any] | None = None,
        base_pod_spec: Mapping[str, Any] | None = None,
        ignore_containers: Collection[str] | None = None,
        pod_wait_timeout: float = DAY,
        delete_pod_on_completion: bool = True,
    ) -> PipesClientCompletedInvocation:
        """Runs the command in a pod and waits for its end.

        Args:
            context: the step's context.
            extras: passed to the process.
            image: the image of the pod's container, if `base_pod_spec` does not name it.
            command: the command line, of pods of one container.
            namespace: None means the current one.
            env: added to the environment of the pod's first container.
            base_pod_meta: the pod's metadata; keys in snake_case or camelCase.
            base_pod_spec: the pod's specification, likewise.
            ignore_containers: containers whose end is not waited for, such as side-cars.
            pod_wait_timeout: how many seconds the pod may take in all; 0 means any time.
            delete_pod_on_completion: whether a pod that has ended is deleted. One that has not, because the step was
                interrupted or the time is over, always is.

        Raises:
            PodFailure: the pod did not start, was taken away, or its process failed.

        """
        cluster, where = self.cluster(context.log), self.namespace(namespace)
        with open_pipes_session(
            context=context,
            extras=dict(extras or {}),
            context_injector=self.context_injector,
            message_reader=self.message_reader,
        ) as session:
            name = get_pod_name(context.run.run_id, context.op_def.name)
            body = build_pod_body(
                pod_name=name,
                image=image,
                command=command,
                env_vars={**session.get_bootstrap_env_vars(), **(self.env or {}), **(env or {})},
                base_pod_meta=base_pod_meta,
                base_pod_spec=copy.deepcopy(dict(base_pod_spec or {})),
            )
            try:
                pod = cluster.create(cluster.core.create_namespaced_pod, cluster.core.read_namespaced_pod, where, body, name)
            except ApiException as err:
                raise PodFailure(f"Pod {name} was not created in {where}: {reason(err)}") from err
            watch = _Watch(self, cluster, pod, context.log, frozenset(ignore_containers or ()))
            try:
                watch.wait(pod_wait_timeout)
            finally:
                watch.close(delete_pod_on_completion)
        return PipesClientCompletedInvocation(session)


class _Watch:
    """Looks after one pod from its creation to its end."""

    def __init__(self, client: K8sClient, cluster: Cluster, pod: Any, log: Any, ignore: frozenset[str]) -> None:
        self._client, self._cluster, self._pod, self._log, self._ignore = client, cluster, pod, log, ignore
        self._container = pod.spec.containers[0].name
        self._follower: Follower | None = None
        self._over = False
        self._hurdle = Hurdle(client.start_patience)

    def wait(self, timeout: float) -> None:
        """Returns when the pod has ended well; raises PodFailure otherwise."""
        until = time.monotonic() + timeout
        while not self._look():
            if said := self._hurdle.higher(self._pod, self._ignore):
                raise PodFailure(_with_warnings(said, self._cluster, self._pod))
            if timeout and time.monotonic() > until:
                said = f"{pods.label(self._pod)} has not ended after {timeout:g} s; it was {self._pod.status.phase}."
                raise PodFailure(_with_warnings(said, self._cluster, self._pod))
            time.sleep(self._client.poll_interval)
        if (failed := pods.failure(self._pod, self._ignore)) is not None:
            raise failed

    def close(self, delete: bool) -> None:
        """Ends the pod if it has not ended, reads the rest of its log, and deletes it."""
        try:
            if delete or not self._over:
                self._delete()
            if not self._over:
                self._log.info(f"{pods.label(self._pod)} is told to commit what it holds and to end")
                grace = self._pod.spec.termination_grace_period_seconds or DEFAULT_GRACE
                self._await_end(time.monotonic() + grace + MARGIN)
        except (ApiException, PodFailure, OSError) as err:  # no reason to hide why the pod is closed
            if not isinstance(err, PodFailure):
                self._log.warning(f"{pods.label(self._pod)} could not be deleted: {reason(err)}")
        finally:
            if self._follower is not None:
                self._follower.finish()

    def _await_end(self, until: float) -> None:
        while not self._look() and time.monotonic() < until:
            time.sleep(min(1.0, self._client.poll_interval))

    def _look(self) -> bool:
        """Whether the pod has ended; raises PodFailure if it is not there any more."""
        core, meta = self._cluster.core, self._pod.metadata
        found = self._cluster.find(core.read_namespaced_pod, meta.name, meta.namespace)
        if found is None or found.metadata.uid != meta.uid:
            self._over = True
            if self._follower is not None:
                self._follower.finish()
            raise pods.gone(self._pod)
        self._pod = found
        if self._follower is None and pods.started(found, self._container):
            self._follower = Follower(self._client.message_reader, self._cluster, found, self._container, self._log)
        self._over = pods.ended(found, self._ignore)
        if self._over and self._follower is not None:
            self._follower.finish()
        return self._over

    def _delete(self) -> None:
        meta = self._pod.metadata
        options = V1DeleteOptions(preconditions=V1Preconditions(uid=meta.uid))
        self._cluster.find(self._cluster.core.delete_namespaced_pod, meta.name, meta.namespace, body=options)


class Hurdle:
    """What keeps a pod from starting, and since when."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: float | None = None

    def higher(self, pod: Any, ignore: Collection[str]) -> str | None:
        """What is wrong, once it has been so for too long; None as long as there is hope."""
        wrong = pods.waiting(pod, ignore)
        if wrong is None:
            if pods.started(pod, pod.spec.containers[0].name):
                self._since = None
            return None
        why, said = wrong
        self._since = self._since or time.monotonic()
        return said if why in pods.HOPELESS or time.monotonic() - self._since >= self._patience else None


def _with_warnings(said: str, cluster: Cluster, pod: Any) -> str:
    """A sentence and the last warning that Kubernetes has noted about the pod, which is a help and no more."""
    try:
        noted = cluster.warnings(pod.metadata.namespace, pod.metadata.uid)
    except ApiException:  # a service account that may not read events
        return said
    return said if not noted or noted[-1] in said else f"{said}\n  {noted[-1]}"
