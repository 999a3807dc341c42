"""The step of examples/minimal in a pod. The code location needs no binary: it loads what `describe --portable` has printed."""

import os
from pathlib import Path

from metaxy_pipes import build_definitions

HERE = Path(__file__).resolve().parent
POD = {
    "service_account_name": os.environ.get("STEPS_SERVICE_ACCOUNT", "steps"),
    "host_network": os.environ.get("STEPS_HOST_NETWORK") == "1",
    "restart_policy": "Never",
    "containers": [
        {
            "name": "dagster-pipes-execution",
            "image": os.environ["STEPS_IMAGE"],
            "image_pull_policy": "IfNotPresent",
            "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            # Credentials by reference: neither Dagster nor the definitions know them.
            "env_from": [{"secret_ref": {"name": os.environ.get("STEPS_SECRET", "steps-storage")}}],
        }
    ],
}

defs = build_definitions(
    ["/steps"],
    store=os.environ["STEPS_STORE"],
    describe=HERE / "described.json",
    client={"type": "k8s", "poll_interval": 1.0, "base_pod_spec": POD, "namespace": "default"},
    group_name="text",
)
