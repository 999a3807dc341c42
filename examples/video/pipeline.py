"""The example as Dagster assets, for the demo, the web interface and the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
if str(PROJECT / "dagster_defs" / "src") not in sys.path:
    sys.path.insert(0, str(PROJECT / "dagster_defs" / "src"))

import dagster as dg  # noqa: E402
import imageio_ffmpeg  # noqa: E402
import scan  # noqa: E402

from metaxy_pipes import Command, Ingest, metaxy_pipes_assets  # noqa: E402

BINARY = PROJECT / "bin" / "video-steps"
BUILD = "go build -o bin/ ./cmd/... ./examples/video/cmd/..."


@dataclass(frozen=True)
class Studio:
    """A folder with everything of one pipeline: incoming videos, results, tables, the log of calls."""

    home: Path
    crop_size: int = 160
    max_failed: int = 0
    store: str | None = None  # None is a folder of the studio

    @property
    def data(self) -> Path:
        """What the paths of samples are relative to."""
        return self.home / "data"

    @property
    def videos(self) -> Path:
        """Where videos come in."""
        return self.data / "videos"

    @property
    def rows(self) -> Path:
        """The list of incoming videos with their versions."""
        return self.home / "videos.jsonl"

    @property
    def call_log(self) -> Path:
        """A line for each sample that a processor was called for."""
        return self.home / "calls.log"

    @property
    def command(self) -> Command:
        """The example's binary with its settings."""
        return Command.of(BINARY, store=self.store or self.home / "store", env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """What the processors need to know."""
        return {
            "VIDEO_DATA": str(self.data),
            "VIDEO_FFMPEG": imageio_ffmpeg.get_ffmpeg_exe(),
            "VIDEO_CALL_LOG": str(self.call_log),
            "CROP_SIZE": str(self.crop_size),
        }


def assets(studio: Studio, **more: Any) -> list[Any]:
    """The list of videos, the feature that it feeds, and all that is computed from it; `more` goes to `metaxy_pipes_assets`."""
    if not BINARY.exists():
        raise FileNotFoundError(f"{BINARY.relative_to(PROJECT)} is missing; build it with: {BUILD}")
    command = studio.command

    @dg.asset(group_name="video", kinds={"python", "ffmpeg"})
    def video_files() -> dg.MaterializeResult:
        """The incoming videos with a version for the sound and one for the frames of each."""
        return dg.MaterializeResult(metadata={"videos": scan.write_rows(studio.videos, studio.rows)})

    features = metaxy_pipes_assets(
        command.binary,
        store=command.store,
        env=command.env,
        group_name="video",
        ingest={"video/full": Ingest(str(studio.rows), ("--prune",), deps=[video_files])},
        processors={"transcript": (sys.executable, str(HERE / "transcribe.py"))},
        run_args=("--orphaned", "delete", "--max-failed", str(studio.max_failed)),
        one_process=True,
        **more,
    )
    return [video_files, *features]


def call(studio: Studio, verb: str, *arguments: str) -> str:
    """What a command of the binary prints."""
    command = studio.command
    environment = {**os.environ, **command.env}
    done = subprocess.run(command.argv(verb, *arguments), env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{verb} {' '.join(arguments)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
