"""The pictures of the documentation: the example on a real MinIO, a week of runs, and Dagster's web interface in Chromium.

`make pictures` writes docs/images. CHROMIUM is the browser; the default is the machine's `chromium`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
IMAGES = PROJECT / "docs" / "images"
sys.path[:0] = [str(HERE), str(PROJECT / "tools")]
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")

import dagster as dg  # noqa: E402
import media  # noqa: E402
from dev import BROKEN_BYTES, INSTANCE  # noqa: E402
from minio_server import Minio, wait_until_live  # noqa: E402
from pipeline import Studio  # noqa: E402
from playwright.sync_api import FloatRect, Page, sync_playwright  # noqa: E402

BUCKET = "films"
LINK = "https://console.example.com/browser/{bucket}/{path}"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def main() -> None:
    """Everything, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        home = Path(folder)
        with Minio(home / "minio", BUCKET) as minio:
            os.environ |= {**minio.environment(), "VIDEO_HOME": str(home), "VIDEO_STORE": f"s3://{BUCKET}/features"}
            os.environ |= {"STORE_LINK": LINK, "DAGSTER_HOME": str(home / "dagster")}
            (home / "dagster").mkdir()
            (home / "dagster" / "dagster.yaml").write_text(INSTANCE)
            with dg.DagsterInstance.get() as instance:
                too_many = tell_the_story(instance)
                with webserver(home) as url, browser() as page:  # when there are tables, whose places are in the definitions
                    show(page, url, too_many)


def tell_the_story(instance: dg.DagsterInstance) -> Callable[[], str]:
    """Runs as a studio has them, so that there is something to plot. Returns what makes one more, which fails; that gives its id."""
    from definitions import STUDIO as studio

    for count in (3, 5, 8):
        media.write_scenes(studio.videos, media.SCENES[:count])
        materialize(studio, instance)
    materialize(studio, instance)  # nothing has changed
    media.write_scenes(studio.videos, tuple(replace(s, speed=s.speed + 0.5) for s in media.SCENES[2:4]))
    materialize(studio, instance)
    break_video(studio, "video_09")
    materialize(studio, instance)  # tolerated

    def too_many() -> str:
        for number in (10, 11, 12):
            break_video(studio, f"video_{number}")
        return materialize(studio, instance)

    return too_many


def break_video(studio: Studio, name: str) -> None:
    """Adds a video that ends too early."""
    (studio.videos / f"{name}.mp4").write_bytes((studio.videos / "video_01.mp4").read_bytes()[:BROKEN_BYTES + len(name)])


def materialize(studio: Studio, instance: dg.DagsterInstance) -> str:
    """One run of everything, as the web interface starts it; returns its id."""
    from definitions import definitions

    job = definitions(studio).get_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET).run_id


@contextmanager
def webserver(home: Path) -> Iterator[str]:
    """Dagster's web interface over the instance; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("dagster-webserver"), "-f", HERE / "definitions.py", "-p", str(port)]
    process = subprocess.Popen([*map(str, command)], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_live(f"{url}/server_info", process)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a headless Chromium."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise SystemExit("pictures: no chromium; install it, or name it by CHROMIUM")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=list(FLAGS))
        context = chromium.new_context(timezone_id="UTC", locale="en-US")
        yield context.new_page()
        chromium.close()


def show(page: Page, url: str, too_many: Callable[[], str]) -> None:
    """All pictures; the last is of a run that fails."""
    crop = f"{url}/assets/video/crop"
    visit(page, f"{url}/asset-groups", "face_crop", width=2000, height=700)
    take(page, "asset-graph")
    visit(page, f"{crop}?view=overview", "Storage")
    take(page, "asset-overview")
    page.get_by_text("Plots", exact=True).click()
    page.get_by_text("dagster/row_count", exact=True).first.evaluate("e => e.scrollIntoView({block: 'start'})")
    take(page, "asset-plots")
    visit(page, f"{crop}?view=events", "samples_per_second")
    take(page, "asset-events")
    visit(page, f"{crop}?view=checks&checkDetail=samples_processed", "video_09")
    take(page, "asset-check")
    visit(page, f"{url}/runs/{too_many()}", "RUN_FAILURE")
    page.get_by_text("View full message").last.click()
    take(page, "failed-run", {"x": 130, "y": 40, "width": 1040, "height": 268})  # not the traceback, which names folders of this machine


def visit(page: Page, url: str, text: str, *, width: int = 1300, height: int = 1000) -> None:
    """Opens a page and waits for a text of it."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    page.get_by_text(text).first.wait_for(state="attached", timeout=60_000)


def take(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """Writes a picture of the page or a part of it, once layout and plots are at rest."""
    page.wait_for_timeout(3_000)
    page.screenshot(path=IMAGES / f"{name}.png", clip=clip)
    print(f"docs/images/{name}.png", flush=True)


if __name__ == "__main__":
    main()
