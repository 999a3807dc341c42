"""The same step by an Indexed Job: n pods share the increment, and Dagster sees one materialization.

The pods of the Job work without Dagster; what they have committed is in the table. When all are done, one more run under Pipes,
which as a rule finds nothing left to do, reports the table. A pod that fails is started again by Kubernetes (its shard goes on
with what is not committed) as often as `backoffLimitPerIndex` says, within the Job's deadline; then the asset fails with the end of its log.
"""

import os
import re
import time
from typing import Any

import dagster as dg
import kubernetes
from dagster_k8s import PipesK8sClient
from definitions import POD

SHARDS = int(os.environ.get("STEPS_SHARDS", "3"))
NAMESPACE = "default"
FEATURE = "text/length"
COMMAND = ["/steps", "run", FEATURE, "--store", os.environ["STEPS_STORE"]]
SUMMARY = re.compile(r"^new=\d+ stale=\d+ orphaned=\d+ processed=(\d+) failed=(\d+)$", re.MULTILINE)


def job_manifest(name: str, run_id: str) -> dict[str, Any]:
    """The Job, with a pod for each shard."""
    (container,) = POD["containers"]
    return {
        "metadata": {"name": name, "labels": {"dagster/run-id": run_id}},
        "spec": {
            "completionMode": "Indexed",
            "completions": SHARDS,
            "parallelism": SHARDS,
            "backoffLimitPerIndex": 1,
            "activeDeadlineSeconds": int(os.environ.get("STEPS_DEADLINE_SECONDS", "3600")),
            "ttlSecondsAfterFinished": 600,
            "template": {
                "spec": {
                    "serviceAccountName": POD["service_account_name"],
                    "hostNetwork": POD["host_network"],
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "steps",
                            "image": container["image"],
                            "imagePullPolicy": container["image_pull_policy"],
                            "command": [*COMMAND, "--shard", f"$(JOB_COMPLETION_INDEX)/{SHARDS}"],
                            "resources": container["resources"],
                            "envFrom": [{"secretRef": s["secret_ref"]} for s in container["env_from"]],
                        }
                    ],
                }
            },
        },
    }


def run_job(name: str, run_id: str, log: Any) -> tuple[int, int]:
    """Runs the Job to its end; returns how many samples its pods have processed, and how many failed."""
    kubernetes.config.load_kube_config()
    batch, core = kubernetes.client.BatchV1Api(), kubernetes.client.CoreV1Api()
    batch.create_namespaced_job(NAMESPACE, job_manifest(name, run_id))
    try:
        while True:
            status = batch.read_namespaced_job_status(name, NAMESPACE).status
            ended = {c.type: c.message for c in status.conditions or [] if c.status == "True"}
            if "Complete" in ended or "Failed" in ended:
                break
            time.sleep(1)
        logs = {}
        for pod in core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items:
            try:
                raw = core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, _preload_content=False)
                logs[pod.metadata.name] = raw.data.decode(errors="replace")
            except kubernetes.client.ApiException as err:
                logs[pod.metadata.name] = f"(no log: {err.reason})"
    finally:
        batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
    counts = [tuple(map(int, m)) for text in logs.values() for m in SUMMARY.findall(text)]
    if "Failed" in ended:
        tails = "\n".join(f"--- {pod}\n{text[-1500:]}" for pod, text in sorted(logs.items()) if "error:" in text)
        raise dg.Failure(f"{ended['Failed']}\n{tails or logs}")
    log.info("the shards are done: %s", counts)
    return sum(c[0] for c in counts), sum(c[1] for c in counts)


@dg.asset(key=FEATURE.split("/"), deps=[dg.AssetKey("text")], group_name="text", kinds={"metaxy", "go", "kubernetes"})
def length(context: dg.AssetExecutionContext, pipes_client: PipesK8sClient) -> dg.MaterializeResult:
    """How long a text is, computed by an Indexed Job."""
    processed, failed = run_job(f"steps-{context.run.run_id[:8]}-{context.retry_number}", context.run.run_id, context.log)
    done = pipes_client.run(context=context, command=COMMAND, namespace=NAMESPACE, base_pod_spec=POD)
    result = done.get_materialize_result()
    metadata = dict(result.metadata or {})
    for name, count in (("metaxy/processed", processed), ("metaxy/failed", failed)):
        metadata[name] = dg.MetadataValue.int(count + metadata[name].value)
    return dg.MaterializeResult(
        asset_key=result.asset_key, metadata={**metadata, "shards": SHARDS}, data_version=result.data_version
    )


defs = dg.Definitions(assets=[length], resources={"pipes_client": PipesK8sClient(poll_interval=1.0)})
