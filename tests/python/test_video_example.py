"""The video example: its media, its demo, and what Dagster and real Metaxy make of its tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "video"
sys.path.insert(0, str(EXAMPLE))

import dagster as dg  # noqa: E402
import demo  # noqa: E402
import dev  # noqa: E402
import media  # noqa: E402
import pipeline  # noqa: E402
import scan  # noqa: E402
from speech import Speaker  # noqa: E402

TWO = media.SCENES[:2]
CROP, FACE = dg.AssetKey(["video", "crop"]), dg.AssetKey(["video", "face_crop"])
LOUDNESS, TRANSCRIPT = dg.AssetKey(["audio", "loudness"]), dg.AssetKey(["transcript"])


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two videos, to copy from."""
    folder = tmp_path_factory.mktemp("media")
    media.write_scenes(folder, TWO)
    return folder


@pytest.fixture
def studio(tmp_path: Path, two_videos: Path) -> pipeline.Studio:
    """A pipeline with two videos and nothing computed."""
    made = pipeline.Studio(tmp_path / "studio")
    made.videos.mkdir(parents=True)
    for video in two_videos.iterdir():
        (made.videos / video.name).write_bytes(video.read_bytes())
    return made


@pytest.fixture
def instance(tmp_path: Path):
    """A Dagster instance of the test's own."""
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=demo.NO_TELEMETRY) as made:
        yield made


def materialize(studio: pipeline.Studio, instance: dg.DagsterInstance, **arguments) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        pipeline.assets(studio),
        instance=instance,
        resources={"pipes_client": dg.PipesSubprocessClient()},
        raise_on_error=False,
        **arguments,
    )


def processed(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    found = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if "metaxy/processed" in metadata:
            found[event.asset_key.to_user_string()] = metadata["metaxy/processed"].value
    return found


def test_streams_are_hashed_separately(two_videos: Path, tmp_path: Path) -> None:
    """Another sound leaves the hash of the frames as it is, and the reverse."""
    video = tmp_path / "video_01.mp4"
    video.write_bytes((two_videos / "video_01.mp4").read_bytes())
    before = next(scan.rows(tmp_path))["metaxy_provenance_by_field"]
    media.dub(video, "the dog waits on the table", Speaker())
    after = next(scan.rows(tmp_path))["metaxy_provenance_by_field"]
    assert after["frames"] == before["frames"]
    assert after["audio"] != before["audio"]


def test_a_scene_has_its_own_streams(two_videos: Path) -> None:
    one, other = (row["metaxy_provenance_by_field"] for row in scan.rows(two_videos))
    assert one["frames"] != other["frames"] and one["audio"] != other["audio"]


def test_rows_name_paths_below_the_root(two_videos: Path) -> None:
    assert [row["path"] for row in scan.rows(two_videos, two_videos.parent)] == [
        f"{two_videos.name}/video_01.mp4",
        f"{two_videos.name}/video_02.mp4",
    ]


def test_a_broken_file_is_a_sample_too(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    (row,) = scan.rows(tmp_path)
    versions = row["metaxy_provenance_by_field"]
    assert versions["audio"] == versions["frames"] and len(versions["audio"]) == 32


def test_the_transcriber_answers_line_by_line(two_videos: Path, tmp_path: Path) -> None:
    """Also for a file that it cannot read."""
    samples = [{"status": "new", "id": i, "path": p} for i, p in (("a", "video_01.mp4"), ("b", "missing.mp4"))]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "transcribe.py")],
        input="".join(json.dumps(s) + "\n" for s in samples),
        env={**os.environ, "VIDEO_DATA": str(two_videos), "VIDEO_CALL_LOG": str(tmp_path / "calls")},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"id": "a", "text": TWO[0].sentence}
    assert second["id"] == "b" and "missing.mp4" in second["error"]
    assert (tmp_path / "calls").read_text() == "transcript\ta\ntranscript\tb\n"


def test_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.main(tmp_path / "demo")
    assert "As expected, in every number." in capsys.readouterr().out


def test_the_demo_complains(studio: pipeline.Studio, instance: dg.DagsterInstance) -> None:
    with pytest.raises(demo.Wrong, match=r"counts:\n  got .*'new': 2.*\n  want .*'new': 8"):
        demo.run(instance, studio, "too few", demo.Expected({"new": 8}, {}))


def test_real_metaxy_agrees(studio: pipeline.Studio, instance: dg.DagsterInstance) -> None:
    """After another resolution, before and after the crops are made anew."""
    assert materialize(studio, instance).success
    nothing = [0, 0, 0]
    assert set(map(tuple, by_metaxy(studio, 160).values())) == {(0, 0, 0)}
    assert by_metaxy(studio, 128)["video/crop"] == [2, 0, 0]
    smaller = pipeline.Studio(studio.home, crop_size=128)
    assert materialize(smaller, instance, selection=[CROP]).success
    assert by_metaxy(smaller, 128) == {
        "video/crop": nothing,
        "video/face_crop": [2, 0, 0],
        "audio/loudness": nothing,
        "transcript": nothing,
    }


def by_metaxy(studio: pipeline.Studio, crop_size: int) -> dict[str, list[int]]:
    script = Path(__file__).with_name("video_by_metaxy.py")
    command = [sys.executable, str(script), str(studio.home / "store"), str(crop_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_subset_of_one_process(studio: pipeline.Studio, instance: dg.DagsterInstance) -> None:
    everything_but_audio = dg.AssetSelection.assets(FACE).upstream()
    result = materialize(studio, instance, selection=everything_but_audio)
    assert result.success
    assert processed(result) == {"video/crop": 2, "video/face_crop": 2}
    rest = materialize(studio, instance, selection=[LOUDNESS, TRANSCRIPT])
    assert rest.success
    assert processed(rest) == {"audio/loudness": 2, "transcript": 2}


def test_a_broken_video_fails_the_check_only(studio: pipeline.Studio, instance: dg.DagsterInstance) -> None:
    (studio.videos / "broken.mp4").write_bytes((studio.videos / "video_01.mp4").read_bytes()[: dev.BROKEN_BYTES])
    tolerant = pipeline.Studio(studio.home, max_failed=1)
    result = materialize(tolerant, instance)
    assert result.success
    checks = {e.asset_key: e for e in result.get_asset_check_evaluations()}
    assert {key: e.passed for key, e in checks.items()} == {CROP: False, FACE: True, LOUDNESS: True, TRANSCRIPT: True}
    (failure,) = checks[CROP].metadata["metaxy/failures"].records
    assert failure.data["id"] == "broken" and "ffmpeg" in str(failure.data["error"])
    assert processed(result)["video/crop"] == 2

    strict = materialize(studio, instance)
    assert not strict.success
    assert "id=broken" in demo.failures(strict)


def test_definitions_load(tmp_path: Path) -> None:
    """As `dagster dev` loads them, with the folder that dev.py prepares."""
    home = tmp_path / "home"
    media.write_scenes(pipeline.Studio(home).videos, TWO)
    assert (dev.prepare(home) / "dagster.yaml").read_text() == dev.INSTANCE
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-f", str(EXAMPLE / "definitions.py")],
        env={**os.environ, "VIDEO_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
