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
STUDIO = Studio(
    HOME,
    crop_size=int(os.environ.get("CROP_SIZE") or 160),
    max_failed=int(os.environ.get("MAX_FAILED") or 1),
    store=os.environ.get("VIDEO_STORE"),  # such as s3://bucket/prefix
)


def definitions(studio: Studio) -> dg.Definitions:
    """The assets with the checks of their tables; STORE_LINK is where a browser shows `{bucket}` and `{path}`."""
    made = assets(studio, table_check=True, max_orphaned="20%", store_link=os.environ.get("STORE_LINK"))
    return dg.Definitions(
        assets=[a for a in made if not isinstance(a, dg.AssetChecksDefinition)],
        asset_checks=[a for a in made if isinstance(a, dg.AssetChecksDefinition)],
        resources={"pipes_client": dg.PipesSubprocessClient()},
    )


defs = definitions(STUDIO)
