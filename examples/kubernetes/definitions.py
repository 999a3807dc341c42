"""The step of examples/minimal in a pod, or in the pods of an Indexed Job.

The code location needs no binary: it loads what `describe --portable` has printed.
"""

import os
from pathlib import Path

import dagster as dg

from metaxy_pipes import build_definitions

HERE = Path(__file__).resolve().parent
POD = {
    "service_account_name": os.environ.get("STEPS_SERVICE_ACCOUNT", "steps"),
    "automount_service_account_token": False,  # the step asks nothing of Kubernetes
    "host_network": os.environ.get("STEPS_HOST_NETWORK") == "1",
    "restart_policy": "Never",
    "termination_grace_period_seconds": 60,  # to commit what is done when a node is drained or the run cancelled
    "security_context": {"run_as_non_root": True, "run_as_user": 65532, "run_as_group": 65532},
    "containers": [
        {
            "name": "steps",
            "image": os.environ["STEPS_IMAGE"],
            "image_pull_policy": "IfNotPresent",
            "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "security_context": {"allow_privilege_escalation": False, "capabilities": {"drop": ["ALL"]}},
            # Credentials by reference: neither Dagster nor the definitions know them.
            "env_from": [{"secret_ref": {"name": os.environ.get("STEPS_SECRET", "steps-storage")}}],
        }
    ],
}

defs: dg.Definitions = build_definitions(
    ["/steps"],
    store=os.environ["STEPS_STORE"],
    describe=HERE / "described.json",
    client={"type": "k8s", "base_pod_spec": POD, "poll_interval": float(os.environ.get("STEPS_POLL_SECONDS", "2"))},
    shards=int(os.environ.get("STEPS_SHARDS", "1")),  # more than one: an Indexed Job, whose pods share the increment
    group_name="text",
)
