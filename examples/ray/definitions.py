"""The step of examples/minimal by Ray tasks: n shards, one materialization."""

import os

import dagster as dg
from ray_shards import RayShards

from metaxy_pipes import build_definitions

defs: dg.Definitions = build_definitions(
    os.environ.get("STEPS_BINARY", "steps"),  # examples/minimal, built; on every node under the same path
    store=os.environ.get("STEPS_STORE", "data"),
    shards=int(os.environ.get("STEPS_SHARDS", "4")),
    shard_launcher=RayShards(options={"num_cpus": 1}),
    group_name="text",
)
