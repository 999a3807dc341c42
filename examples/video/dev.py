"""Starts the example in Dagster's web interface; further arguments go to `dagster dev`.

Its folder is build/video-dev, or VIDEO_HOME. It is kept between starts: add, replace or delete videos in
data/videos, or start with another CROP_SIZE, and materialize again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import media  # noqa: E402
from pipeline import PROJECT, Studio  # noqa: E402

BROKEN_BYTES = 2_000
INSTANCE = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""


def prepare(home: Path) -> Path:
    """Makes the videos, one of them broken, and Dagster's own folder, which it returns."""
    videos = Studio(home).videos
    if not videos.exists():
        media.write_scenes(videos)
        sound = (videos / "video_01.mp4").read_bytes()
        (videos / "video_09_broken.mp4").write_bytes(sound[:BROKEN_BYTES])
    dagster_home = home / "dagster"
    dagster_home.mkdir(exist_ok=True)
    (dagster_home / "dagster.yaml").write_text(INSTANCE)
    return dagster_home


def main() -> None:
    """Prepares the folder and becomes `dagster dev`."""
    home = Path(os.environ.get("VIDEO_HOME") or PROJECT / "build" / "video-dev").resolve()
    os.environ["VIDEO_HOME"] = str(home)
    os.environ["DAGSTER_HOME"] = str(prepare(home))
    dagster = Path(sys.executable).with_name("dagster")
    os.execv(dagster, [str(dagster), "dev", "-f", str(HERE / "definitions.py"), *sys.argv[1:]])


if __name__ == "__main__":
    main()
