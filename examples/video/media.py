"""The example's videos: moving test pictures with a drawn face, and a spoken sentence.

`python media.py FOLDER` writes them into FOLDER.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from speech import Speaker

WIDTH, HEIGHT, FRAMES_PER_SECOND, SECONDS = 320, 240, 10, 3.2
FACE_WIDTH, FACE_HEIGHT = 64, 80
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class Scene:
    """What one video shows and says. The speed moves the face, so scenes with other speeds have other frames."""

    id: str
    sentence: str
    speed: float


SCENES = (
    Scene("video_01", "a child sings in the garden", 1.0),
    Scene("video_02", "my brother is walking behind the house", 1.3),
    Scene("video_03", "a sailor sings at home", 1.6),
    Scene("video_04", "the doctor waits at the station", 1.9),
    Scene("video_05", "the cat sleeps in the garden", 2.2),
    Scene("video_06", "a child runs near the river", 2.5),
    Scene("video_07", "my brother sleeps under the bridge", 2.8),
    Scene("video_08", "the doctor sings behind the house", 3.1),
)


def write_scenes(folder: Path, scenes: tuple[Scene, ...] = SCENES) -> None:
    """Writes every scene as FOLDER/ID.mp4, replacing what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    speaker = Speaker()
    for scene in scenes:
        write_video(scene, folder / f"{scene.id}.mp4", speaker)


def write_video(scene: Scene, path: Path, speaker: Speaker) -> None:
    """Writes one video with new pictures and new sound."""
    x = f"(W-w)/2+(W/8)*sin({scene.speed}*t)"
    y = f"(H-h)/2+(H/8)*cos({scene.speed}*t)"
    with tempfile.TemporaryDirectory() as scratch:
        speech = Path(scratch) / "speech.wav"
        speaker.say(scene.sentence, speech)
        _ffmpeg(
            ["-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r={FRAMES_PER_SECOND}:d={SECONDS}"],
            ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{FACE_WIDTH}x{FACE_HEIGHT}", "-i", "-"],
            ["-i", str(speech)],
            ["-filter_complex", f"[0:v]hue=s=0[grey];[grey][1:v]overlay=x='{x}':y='{y}':eof_action=repeat[v]"],
            ["-map", "[v]", "-map", "2:a", *_VIDEO_CODEC, *_AUDIO_CODEC, str(path)],
            stdin=draw_face(),
        )


def dub(path: Path, sentence: str, speaker: Speaker) -> None:
    """Replaces the sound of a video and leaves its frames as they are, bit by bit."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        speech, dubbed = Path(scratch) / "speech.wav", Path(scratch) / "dubbed.mp4"
        speaker.say(sentence, speech)
        _ffmpeg(
            ["-i", str(path), "-i", str(speech)],
            ["-map", "0:v", "-map", "1:a", "-c:v", "copy", *_AUDIO_CODEC, str(dubbed)],
        )
        dubbed.replace(path)


def draw_face() -> bytes:
    """An RGBA picture of a face: an ellipse of skin colour with eyes and a mouth, transparent around it."""
    skin, dark, clear = bytes((224, 172, 140, 255)), bytes((40, 24, 20, 255)), bytes(4)
    pixels = bytearray()
    for row in range(FACE_HEIGHT):
        for column in range(FACE_WIDTH):
            x, y = column / FACE_WIDTH * 2 - 1, row / FACE_HEIGHT * 2 - 1
            eye = (abs(x) - 0.38) ** 2 + (y + 0.25) ** 2 < 0.015
            mouth = abs(x) < 0.4 and 0.4 < y < 0.5
            pixels += dark if eye or mouth else skin if x * x + y * y < 0.95 else clear
    return bytes(pixels)


_VIDEO_CODEC = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-threads", "1")
_AUDIO_CODEC = ("-af", "adelay=200,apad", "-t", str(SECONDS), "-c:a", "aac", "-b:a", "96k", "-ac", "1", "-ar", "44100")


def _ffmpeg(*arguments: list[str], stdin: bytes | None = None) -> None:
    command = [FFMPEG, "-v", "error", "-y", *([] if stdin else ["-nostdin"]), "-bitexact"]
    command += [word for words in arguments for word in words]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python media.py FOLDER")
    write_scenes(Path(sys.argv[1]))
