"""Takes the README's pictures of the page from a real ``redshank run --demo``.

python tests/page/screenshot.py [--out docs/images] [--url http://127.0.0.1:8000]

Without ``--url`` it starts a demo of its own and waits until its week has been replayed. Pictures
are 1440 pixels wide; ``pngquant`` makes them smaller where it is installed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "services")]

from conftest import CHROMIUMS, wait_for_the_present  # noqa: E402

from support.process import Process  # noqa: E402

WIDTH, HEIGHT = 1440, 900
MOST_BYTES = 300_000


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--url", help="a running demo instead of one of its own")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with service(options.url) as url, chromium() as browser:
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="Europe/Berlin"
        )
        for name, path in addresses(page, url).items():
            picture(page, url + path, options.out / f"{name}.png")


@contextmanager
def service(url: str | None) -> Iterator[str]:
    """Address of a demo that has caught up with the present."""
    if url:
        yield url.rstrip("/")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Process(Path(folder) / "data", ["--demo"]) as process,
    ):
        wait_for_the_present(process)
        yield f"http://127.0.0.1:{process.port}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of this machine."""
    path = next(found for name in CHROMIUMS if (found := shutil.which(name)))
    with sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def addresses(page: Page, url: str) -> dict[str, str]:
    """The screens worth a picture: the first one, the busiest sensor, the rarest incident."""
    answer: Any = page.request.get(f"{url}/incidents", params={"limit": 100}).json()
    incidents = answer["incidents"]
    busiest, _ = Counter(incident["sensor_id"] for incident in incidents).most_common(1)[0]
    rarest = min(incidents, key=lambda incident: incident["rate"])
    return {
        "now": "/",
        "sensor": f"/sensors/{busiest}?range=7d",
        "incident": f"/incidents/{rarest['id']}",
    }


def picture(page: Page, address: str, target: Path) -> None:
    """One picture, when everything on the page has arrived."""
    page.goto(address)
    page.locator("main canvas, main .spark path").first.wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=target, animations="disabled")
    shrink(target)
    size = target.stat().st_size
    print(f"{target}: {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{target} is larger than {MOST_BYTES:,} bytes")


def shrink(target: Path) -> None:
    """Reduce the palette in place, where the tool for it is installed."""
    if shutil.which("pngquant"):
        command = ["pngquant", "--force", "--skip-if-larger", "--output", str(target), str(target)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
