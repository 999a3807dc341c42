"""The runner in pods of Kubernetes: one pod, or an Indexed Job whose pods share the samples. Needs `metaxy-pipes[k8s]`."""

from metaxy_pipes.k8s.client import K8sClient
from metaxy_pipes.k8s.pod_log import PodLogReader
from metaxy_pipes.k8s.pods import PodFailure
from metaxy_pipes.k8s.shards import K8sShards

__all__ = ["K8sClient", "K8sShards", "PodFailure", "PodLogReader"]
