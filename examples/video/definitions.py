"""The example as a code location, for Dagster's web interface. `dev.py` prepares its folder and starts it.

One of the videos is broken. One failed sample is tolerated, so the run succeeds with all the others, and the check of
`video/crop` fails and shows which sample it was and what ffmpeg said.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dagster as dg
from pipeline import PROJECT, Studio, assets

HOME = Path(os.environ.get("VIDEO_HOME") or PROJECT / "build" / "video-dev")

defs = dg.Definitions(
    assets=assets(Studio(HOME, crop_size=int(os.environ.get("CROP_SIZE") or 160), max_failed=1)),
    resources={"pipes_client": dg.PipesSubprocessClient()},
)
