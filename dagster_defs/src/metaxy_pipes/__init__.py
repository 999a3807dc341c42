"""Dagster assets for features that metaxy-pipes computes.

`build_definitions("bin/metaxy-pipes")` turns what the binary's `describe` prints into a code location. Nothing
about a feature is written twice: keys, dependencies, code versions, columns and lineage are the binary's.
"""

from metaxy_pipes.assets import metaxy_pipes_assets
from metaxy_pipes.clients import make_client
from metaxy_pipes.command import Command, CommandError
from metaxy_pipes.component import MetaxyPipesComponent
from metaxy_pipes.definitions import build_definitions
from metaxy_pipes.description import Description, DescriptionError, Feature
from metaxy_pipes.execution import run_pipes
from metaxy_pipes.ingest import Ingest
from metaxy_pipes.io_manager import MetaxyPipesIOManager
from metaxy_pipes.loader import FeatureLoader, Rows
from metaxy_pipes.reports import Report, SampleFailure, parse_reports
from metaxy_pipes.sensor import increment_sensor
from metaxy_pipes.shards import Shard, ShardLauncher, run_shards
from metaxy_pipes.status import Status
from metaxy_pipes.subprocess_shards import SubprocessShards

__all__ = [
    "Command",
    "CommandError",
    "Description",
    "DescriptionError",
    "Feature",
    "FeatureLoader",
    "Ingest",
    "MetaxyPipesComponent",
    "MetaxyPipesIOManager",
    "Report",
    "Rows",
    "SampleFailure",
    "Shard",
    "ShardLauncher",
    "Status",
    "SubprocessShards",
    "build_definitions",
    "increment_sensor",
    "make_client",
    "metaxy_pipes_assets",
    "parse_reports",
    "run_pipes",
    "run_shards",
]
