"""The pods of one shard, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metaxy_pipes.k8s import pods
from metaxy_pipes.k8s.client import Hurdle, K8sClient
from metaxy_pipes.k8s.cluster import Cluster
from metaxy_pipes.k8s.follower import Follower

if TYPE_CHECKING:
    from metaxy_pipes.shards import Shard


class Attempts:
    """Follows the pods of a shard. A log is read to its end before the next pod's is begun."""

    def __init__(self, client: K8sClient, cluster: Cluster, shard: Shard, log: Any) -> None:
        self.shard = shard
        self.failure: pods.PodFailure | None = None
        """Why the last pod that has ended did not end well."""
        self._client, self._cluster, self._log = client, cluster, log
        self._pods: dict[str, Any] = {}  # by uid, those that have not ended
        self._ended: set[str] = set()
        self._follower: Follower | None = None
        self._followed: str | None = None
        self._hurdle = Hurdle(client.start_patience)

    @property
    def seen(self) -> bool:
        """Whether the shard has had a pod."""
        return bool(self._pods or self._ended)

    def see(self, found: Sequence[Any]) -> None:
        """Takes note of the pods that are there now."""
        there = {p.metadata.uid for p in found}
        for uid in [u for u in self._pods if u not in there]:
            self._end(uid, pods.gone(self._pods[uid]))
        for pod in sorted(found, key=lambda p: p.metadata.creation_timestamp):
            uid = pod.metadata.uid
            if uid in self._ended:
                continue
            self._pods[uid] = pod
            container = pod.spec.containers[0].name
            if self._followed != uid and pods.started(pod, container):
                self._follow(pod, container)
            if pods.ended(pod):
                self._end(uid, pods.failure(pod))
            elif said := self._hurdle.higher(pod, ()):
                self.shard.error = said

    def finish(self) -> None:
        """Reads what is left of the log."""
        if self._follower is not None:
            self._follower.finish()
            self._follower = None

    def _follow(self, pod: Any, container: str) -> None:
        self.finish()
        self.shard.error = None  # it has started after all
        self._followed = pod.metadata.uid
        self._follower = Follower(self.shard.reader, self._cluster, pod, container, self._log)

    def _end(self, uid: str, failure: pods.PodFailure | None) -> None:
        pod = self._pods.pop(uid)
        self._ended.add(uid)
        self.failure = failure
        if self._followed == uid:
            self.finish()
        if failure is not None:
            self._log.warning(f"{self.shard}: {failure}")
        else:
            self._log.info(f"{self.shard}: {pods.label(pod)} is done")
