"""Lists a folder of videos as samples, with one version for the sound and one for the frames.

`python scan.py FOLDER ROWS.jsonl` writes what `ingest video/full --from ROWS.jsonl` reads. A stream that cannot be
read leaves its version to the file's own hash, so that a broken file is a sample too, and fails where it is used.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg


def rows(folder: Path, root: Path | None = None) -> Iterator[dict[str, Any]]:
    """A row for each video; paths are relative to root, which is the folder's parent by default."""
    root = root or folder.parent
    for path in sorted(folder.glob("*.mp4")):
        yield {
            "id": path.stem,
            "path": path.relative_to(root).as_posix(),
            "size": path.stat().st_size,
            "metaxy_provenance_by_field": {
                "audio": stream_hash(path, "a:0"),
                "frames": stream_hash(path, "v:0"),
            },
        }


def stream_hash(path: Path, stream: str) -> str:
    """The MD5 of a stream's packets: another container or another title leaves it as it is."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path)]
    command += ["-map", f"0:{stream}", "-c", "copy", "-f", "md5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0 and done.stdout.startswith("MD5="):
        return done.stdout.strip().removeprefix("MD5=")
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_rows(folder: Path, target: Path) -> int:
    """Writes the rows as JSON lines, in one step, and returns their number."""
    lines = [json.dumps(row) + "\n" for row in rows(folder)]
    partial = target.with_suffix(".partial")
    partial.write_text("".join(lines))
    partial.replace(target)
    return len(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scan.py FOLDER ROWS.jsonl")
    print(write_rows(Path(sys.argv[1]), Path(sys.argv[2])), "videos")
