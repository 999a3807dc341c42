"""The external processor of `transcript`: speech recognition with pocketsphinx.

It reads one sample per line on stdin and answers each with one line on stdout. VIDEO_DATA is the folder that paths
are relative to; VIDEO_CALL_LOG, if set, gets a line for each sample that is processed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from pocketsphinx import Decoder

GRAMMAR = Path(__file__).with_name("scene.gram")
SAMPLE_RATE = 16_000


def main() -> None:
    """Answers samples until stdin ends."""
    data = Path(os.environ["VIDEO_DATA"])
    decoder = Decoder(samprate=SAMPLE_RATE, jsgf=str(GRAMMAR), lm=None, loglevel="FATAL")
    for line in sys.stdin:
        sample = json.loads(line)
        note_call("transcript", sample["id"])
        try:
            answer = {"id": sample["id"], "text": transcribe(decoder, data / sample["path"])}
        except RuntimeError as err:
            answer = {"id": sample["id"], "error": str(err)}
        print(json.dumps(answer), flush=True)


def transcribe(decoder: Decoder, path: Path) -> str:
    """The sentence that is spoken in a video; empty if none is recognized."""
    decoder.start_utt()
    decoder.process_raw(sound(path), full_utt=True)
    decoder.end_utt()
    hypothesis: Any = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


def sound(path: Path) -> bytes:
    """The video's sound as the recognizer wants it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path)]
    command += ["-map", "0:a:0", "-f", "s16le", "-ac", "1", "-ar", str(SAMPLE_RATE), "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def note_call(feature: str, sample: str) -> None:
    """Adds a line to the call log."""
    log = os.environ.get("VIDEO_CALL_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{feature}\t{sample}\n")


if __name__ == "__main__":
    main()
