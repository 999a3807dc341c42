"""The example from entry to exit: five runs of real Dagster on real videos, with every number checked.

Exits with 1, and says which number differs, unless exactly the samples that had to be computed were computed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import dagster as dg
import media
from pipeline import PROJECT, Studio, assets, call
from speech import Speaker

FEATURES = ("video/crop", "video/face_crop", "audio/loudness", "transcript")
INGEST_COUNTS = ("new", "stale", "unchanged", "removed")
RUN_COUNTS = ("new", "stale", "orphaned", "processed", "failed")
NO_TELEMETRY = {"telemetry": {"enabled": False}}
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


class Wrong(Exception):
    """Something is not as it has to be."""


@dataclass(frozen=True)
class Row:
    """A run, for the table at the end: what happened before it, and its counts by feature."""

    title: str
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Expected:
    """The counts of one run; what is not named has to be zero."""

    ingest: dict[str, int]
    features: dict[str, dict[str, int]]


def main(home: Path) -> None:
    """Tells the story."""
    started = time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    studio = Studio(home)
    media.write_scenes(studio.videos)
    sentences = {scene.id: scene.sentence for scene in media.SCENES}
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster"), overrides=NO_TELEMETRY) as instance:
        all_new = {"new": 8, "processed": 8}
        first = Expected({"new": 8}, dict.fromkeys(FEATURES, all_new))
        table = [run(instance, studio, "1. eight new videos", first)]
        check_transcripts(studio, sentences)
        before = versions(studio)
        files = results(studio)

        table.append(run(instance, studio, "2. nothing has changed", Expected({"unchanged": 8}, {})))

        studio = replace(studio, crop_size=128)
        frames_only = {"video/crop": all_new, "video/face_crop": all_new}
        table.append(run(instance, studio, "3. another crop resolution", Expected({"unchanged": 8}, frames_only)))
        check_resolution(before, versions(studio))
        check_kept(files, results(studio))

        sentences.update(replace_two_and_remove_one(studio))
        del sentences["video_08"]
        changed = {"stale": 2, "orphaned": 1, "processed": 2}
        fourth = Expected({"stale": 2, "unchanged": 5, "removed": 1}, dict.fromkeys(FEATURES, changed))
        table.append(run(instance, studio, "4. two replaced, one gone", fourth, {"video_03", "video_06"}))
        check_transcripts(studio, sentences)

        sentences["video_02"] = "a sailor runs behind the house"
        media.dub(studio.videos / "video_02.mp4", sentences["video_02"], Speaker())
        one = {"stale": 1, "processed": 1}
        audio_only = {"video/crop": one, "audio/loudness": one, "transcript": one}
        fifth = Expected({"stale": 1, "unchanged": 6}, audio_only)
        table.append(run(instance, studio, "5. one got another sound", fifth, {"video_02"}))
        check_transcripts(studio, sentences)
    print_summary(table)
    print(f"\nAs expected, in every number. {time.monotonic() - started:.0f} s.")


def run(
    instance: dg.DagsterInstance,
    studio: Studio,
    title: str,
    expected: Expected,
    ids: set[str] | None = None,
) -> Row:
    """Materializes everything, prints the counts, and compares them and the processors' calls with what has to be."""
    print(f"\n{title}", flush=True)
    studio.call_log.write_text("")
    started = time.monotonic()
    result = dg.materialize(
        assets(studio),
        instance=instance,
        resources={"pipes_client": dg.PipesSubprocessClient()},
        run_config=QUIET,
        raise_on_error=False,
    )
    if not result.success:
        raise Wrong(f"{title}: the Dagster run failed: {failures(result)}")
    counts = materialized_counts(result)
    print_table(counts, time.monotonic() - started)
    want = {"video/full": {name: expected.ingest.get(name, 0) for name in INGEST_COUNTS}}
    for feature in FEATURES:
        want[feature] = {name: expected.features.get(feature, {}).get(name, 0) for name in RUN_COUNTS}
    equal(f"{title}: counts", counts, want)
    check_calls(studio, title, want, ids)
    passed = {e.asset_key.to_user_string(): e.passed for e in result.get_asset_check_evaluations()}
    equal(f"{title}: asset checks", passed, dict.fromkeys(FEATURES, True))
    return Row(title, counts)


def materialized_counts(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    """The counts in the metadata of the run's materializations, by feature."""
    counts: dict[str, dict[str, int]] = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if "metaxy/feature" not in metadata:
            continue
        feature = str(metadata["metaxy/feature"].value)
        names = INGEST_COUNTS if feature == "video/full" else RUN_COUNTS
        counts[feature] = {name: int(metadata[f"metaxy/{name}"].value) for name in names}
    return counts


def check_calls(studio: Studio, title: str, want: dict[str, dict[str, int]], ids: set[str] | None) -> None:
    """The processors have been called once for each processed sample, and for the right ones."""
    calls = [line.split("\t") for line in studio.call_log.read_text().splitlines()]
    once = Counter({f: want[f]["processed"] for f in FEATURES if want[f]["processed"]})
    equal(f"{title}: calls of processors", dict(Counter(feature for feature, _ in calls)), dict(once))
    if ids is not None:
        equal(f"{title}: samples processed", {sample for _, sample in calls}, ids)


def check_transcripts(studio: Studio, sentences: dict[str, str]) -> None:
    """The recognizer has understood what was said."""
    rows = read(studio, "transcript", "id,text")
    equal("transcripts", {row["id"]: row["text"] for row in rows}, sentences)


def check_resolution(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> None:
    """Another resolution gives each crop's frames another version, and its audio the same."""
    equal("audio versions of crops", field_of(after, "audio"), field_of(before, "audio"))
    same = [id for id, version in field_of(after, "frames").items() if version == before[id]["frames"]]
    equal("crops whose frames kept their version", same, [])


def check_kept(before: set[str], after: set[str]) -> None:
    """Results of earlier versions are still there."""
    equal("files that are gone", sorted(before - after), [])


def versions(studio: Studio) -> dict[str, dict[str, str]]:
    """The data versions of the crops' fields, by sample."""
    rows = read(studio, "video/crop", "id,metaxy_data_version_by_field")
    return {row["id"]: row["metaxy_data_version_by_field"] for row in rows}


def field_of(rows: dict[str, dict[str, str]], field: str) -> dict[str, str]:
    """One field's version by sample."""
    return {id: fields[field] for id, fields in rows.items()}


def read(studio: Studio, feature: str, columns: str) -> list[dict[str, Any]]:
    """The current rows of a feature."""
    lines = call(studio, "read", feature, "--columns", columns, "--format", "jsonl").splitlines()
    return [json.loads(line) for line in lines]


def results(studio: Studio) -> set[str]:
    """The files that processors have made."""
    return {p.relative_to(studio.data).as_posix() for p in (studio.data / "results").rglob("*") if p.is_file()}


def replace_two_and_remove_one(studio: Studio) -> dict[str, str]:
    """Puts other videos in the place of two, and takes one away. Returns what is said in the new ones."""
    scenes = (
        media.Scene("video_03", "my brother sings in the garden", 0.7),
        media.Scene("video_06", "a child sleeps at home", 0.4),
    )
    media.write_scenes(studio.videos, scenes)
    (studio.videos / "video_08.mp4").unlink()
    return {scene.id: scene.sentence for scene in scenes}


def failures(result: dg.ExecuteInProcessResult) -> str:
    """Why steps of a run failed."""
    lines = []
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else data.error.message
            lines.append(f"{event.step_key}: {said}")
    return "\n".join(lines) or "no step says why"


def equal(what: str, got: Any, want: Any) -> None:
    """Complains unless the two are equal."""
    if got != want:
        raise Wrong(f"{what}:\n  got  {got}\n  want {want}")


def print_table(counts: dict[str, dict[str, int]], seconds: float) -> None:
    """Prints the counts of a run, a line for each feature, and how long it took."""
    for feature in ("video/full", *FEATURES):
        numbers = "  ".join(f"{name} {count:>2}" for name, count in counts.get(feature, {}).items())
        print(f"  {feature:<16} {numbers}")
    print(f"  {seconds:.1f} s", flush=True)


def print_summary(table: list[Row]) -> None:
    """Prints how many samples each run processed, by feature; of `video/full`, how many it wrote."""
    print("\nsamples processed" + " " * 11 + "".join(f"{feature:>17}" for feature in ("video/full", *FEATURES)))
    for row in table:
        full = row.counts["video/full"]
        numbers = [full["new"] + full["stale"], *(row.counts[feature]["processed"] for feature in FEATURES)]
        print(f"{row.title:<28}" + "".join(f"{n:>17}" for n in numbers))


if __name__ == "__main__":
    try:
        main(PROJECT / "build" / "video-demo")
    except (Wrong, RuntimeError, FileNotFoundError) as err:
        sys.exit(f"\nThe demo failed. {err}")
