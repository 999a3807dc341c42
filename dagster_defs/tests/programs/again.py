"""A job of clips/upper that Dagster can load by its name, as it does to execute a run again. CLIPS_HOME is the project."""

import os
from pathlib import Path

import dagster as dg
from clips import UPPER, Clips


def upper_job():
    job = dg.define_asset_job("upper", selection=[UPPER], executor_def=dg.in_process_executor)
    assets = Clips(Path(os.environ["CLIPS_HOME"])).assets()
    resources = {"pipes_client": dg.PipesSubprocessClient()}
    return dg.Definitions(assets=assets, jobs=[job], resources=resources).resolve_job_def("upper")
