"""The page in a real browser, on a real ``redshank run --demo``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.client import Client
from support.process import Process

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.services

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 780}
JSON = {"Content-Type": "application/json"}
MOST_BYTES = 250_000
BY_THE_BROWSER = re.compile("Failed to load resource|WebSocket connection")
SCREENS = ("now", "sensor", "incident", "budget")
PATIENCE_MS = 20_000
"""A busy machine takes longer than the 5 s after which Playwright gives up by itself."""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    with sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens an address of a service; afterwards nothing may have gone wrong in the console.

    Nor may the page have asked any other host for anything.
    """
    contexts, problems = [], []

    def open_page(process: Process, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(
            **{"viewport": WIDE, "timezone_id": "Europe/Berlin"} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        origin = f"127.0.0.1:{process.port}"

        def ask(request: Any) -> None:
            if urlsplit(request.url).netloc != origin and not request.url.startswith("blob:"):
                problems.append(request.url)

        def say(message: Any) -> None:
            # The browser itself logs a refused connection or key; tests of those look for more.
            if message.type == "error" and not BY_THE_BROWSER.search(message.text):
                problems.append(message.text)

        page.on("request", ask)
        page.on("console", say)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"http://{origin}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="session")
def paths(demo: Process) -> dict[str, str]:
    """An address of each screen."""
    with demo.client() as client:
        incident = client.get("/incidents")["incidents"][0]
    return {
        "now": "/",
        "sensor": f"/sensors/{incident['sensor_id']}?range=7d",
        "incident": f"/incidents/{incident['id']}",
        "budget": "/budget",
    }


def settled(page: Page) -> Page:
    """Wait until nothing on the page is loading any more."""
    page.locator("main h1").wait_for()
    expect(page.locator(".loading")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    return page


def send(client: Client, method: str, path: str, body: object) -> None:
    """Send JSON; it must be taken."""
    answer = client.call(method, path, json.dumps(body).encode(), JSON)
    assert answer.status == 200, answer.body


def test_the_first_screen_answers_in_words(demo: Process, visit: Open) -> None:
    page = settled(visit(demo))
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"^(All 4 sensors are as expected|\d of 4 sensors needs? a look)$")
    )
    expect(page.get_by_role("link", name="Schnus", exact=True).last).to_be_visible()
    expect(page.locator(".fleet .sensor")).to_have_count(4)
    expect(page.locator(".fleet .spark path").first).to_be_attached()


def test_an_incident_tells_its_story(demo: Process, visit: Open) -> None:
    page = settled(visit(demo))
    page.get_by_role("link", name=re.compile("^Look at")).first.click()
    settled(page)
    assert "/incidents/" in page.url
    for heading in ("Why", "Was this right?", "What was measured", "Comments", "Told"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_text("As expected all along:")).to_be_visible()
    expect(page.get_by_role("img").first).to_be_visible()
    page.get_by_role("link", name="All channels").click()
    settled(page)
    assert "/sensors/" in page.url and "start=" in page.url


def test_feedback_can_be_taken_back(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["incident"]))
    button = page.get_by_role("button", name="Expected")
    with page.expect_response("**/feedback"):
        button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    settled(page.reload() and page)
    expect(button).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/feedback"):
        page.get_by_role("button", name="Undo").click()
    expect(button).to_have_attribute("aria-pressed", "false")
    with demo.client() as client:
        assert client.get(paths["incident"])["feedback"] is None


def test_a_comment_stays(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["incident"]))
    page.get_by_placeholder("What did you find?").fill("fog, and a wet <b>sensor</b>")
    with page.expect_response("**/comments"):
        page.get_by_role("button", name="Comment").click()
    page.reload()
    expect(page.get_by_text("fog, and a wet <b>sensor</b>")).to_be_visible()


def test_zoom_and_back(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["sensor"]))
    before = page.locator(".shown").inner_text()
    chart = page.locator(".channel canvas").first.bounding_box()
    assert chart is not None
    middle = chart["y"] + chart["height"] / 2
    page.mouse.move(chart["x"] + 500, middle)
    page.mouse.down()
    page.mouse.move(chart["x"] + 800, middle, steps=4)
    page.mouse.up()
    page.wait_for_url("**start=*")
    zoomed = page.locator(".shown").inner_text()
    assert zoomed != before
    settled(page.reload() and page)
    expect(page.locator(".shown")).to_have_text(zoomed)
    page.mouse.dblclick(chart["x"] + 600, middle)
    page.wait_for_url(lambda url: "start=" not in url or "range=" in url)
    page.get_by_role("button", name="7 d").click()
    page.wait_for_url("**range=7d*")
    page.go_back()
    page.wait_for_url(lambda url: "range=7d" not in url)


def test_the_keyboard_moves_and_zooms(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["sensor"]))
    page.locator(".stack").focus()
    for key in ("ArrowLeft", "+"):
        before = page.locator(".shown").inner_text()
        page.keyboard.press(key)
        expect(page.locator(".shown")).not_to_have_text(before)
    page.wait_for_url("**start=*")


def test_a_table_stands_behind_each_chart(
    demo: Process, visit: Open, paths: dict[str, str]
) -> None:
    page = settled(visit(demo, paths["sensor"]))
    page.get_by_role("button", name=re.compile("^Table of")).first.click()
    table = page.get_by_role("table").first
    expect(table.get_by_role("columnheader", name="Expected")).to_be_visible()
    assert table.get_by_role("row").count() > 50


def test_exports_are_files(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["sensor"]))
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="What is shown, as CSV").click()
    lines = Path(caught.value.path()).read_text().splitlines()
    assert lines[0].startswith("time,") and len(lines) > 50
    with page.expect_download() as caught:
        page.get_by_role("link", name="CSV").first.click()
    lines = Path(caught.value.path()).read_text().splitlines()
    assert lines[0].startswith("timestamp,sensor_id,") and len(lines) > 50
    with page.expect_download() as caught:
        page.get_by_role("link", name="Parquet").last.click()
    assert Path(caught.value.path()).read_bytes()[:4] == b"PAR1"
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="What is shown, as CSV")).to_be_hidden()


def test_flagged_readings_are_listed_by_their_flag(
    demo: Process, visit: Open, paths: dict[str, str]
) -> None:
    page = settled(visit(demo, paths["sensor"]))
    flagged = page.get_by_role("region", name="Flagged readings")
    expect(flagged.get_by_role("listitem").first).to_be_visible()
    flagged.get_by_role("combobox").select_option("flat line")
    expect(flagged.locator(".flags").first).to_have_text("flat line")
    flagged.get_by_role("link").first.click()
    page.wait_for_url("**start=*")
    flagged.get_by_role("combobox").select_option("from the future")
    expect(flagged).to_contain_text("None with this flag")


def test_the_fleet_is_filtered_and_the_address_says_so(demo: Process, visit: Open) -> None:
    page = settled(visit(demo))
    page.get_by_placeholder("Find a sensor").fill("schnus")
    expect(page.locator(".fleet .sensor")).to_have_count(1)
    page.wait_for_url("**text=schnus*")
    page.reload()
    expect(page.locator(".fleet .sensor")).to_have_count(1)
    page.get_by_placeholder("Find a sensor").fill("nothing is called so")
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.locator(".fleet .sensor")).to_have_count(4)


def test_the_budget_is_previewed_and_applied(demo: Process, visit: Open) -> None:
    page = settled(visit(demo, "/budget"))
    dial = page.get_by_role("slider", name="False alarms per sensor and month")
    heading = page.get_by_role("heading", name=re.compile("would have brought"))
    expect(heading).to_contain_text("as many as now")
    dial.focus()
    with page.expect_response("**/budget/preview?per_sensor_month=0.1&**"):
        page.keyboard.press("Home")
    expect(heading).to_contain_text("fewer than now")
    expect(dial).to_have_attribute("aria-valuetext", re.compile("one in 10 months"))
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text(re.compile("^In force: 0.1"))).to_be_visible()
    with demo.client() as client:
        assert client.get("/budget")["per_sensor_month"] == pytest.approx(0.1)
        send(client, "PUT", "/budget", {"per_sensor_month": 3.0})
    expect(page.locator(".budget-value b")).to_have_text("3")


def test_the_budget_is_kept_for_the_whole_fleet(demo: Process, visit: Open) -> None:
    page = settled(visit(demo, "/budget"))
    page.get_by_role("checkbox", name=re.compile("a day for all 4 sensors together")).check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text(re.compile("^In force: 3"))).to_be_visible()
    with demo.client() as client:
        assert client.get("/budget")["per_fleet_day"] == pytest.approx(0.4)
        send(client, "PUT", "/budget", {"per_sensor_month": 3.0})
    expect(page.get_by_text("False alarms at most")).to_be_visible()
    page.get_by_label("Budget of").select_option(label="SCOE")
    expect(page.get_by_role("heading", name="Promised against measured, SCOE")).to_be_visible()


def test_a_deep_link_says_the_same_after_a_reload(
    demo: Process, visit: Open, paths: dict[str, str]
) -> None:
    page = settled(visit(demo, paths["incident"]))
    title = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("link", name="Now").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text(title)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_what_does_not_exist_says_so(demo: Process, visit: Open) -> None:
    page = visit(demo, "/incidents/none-such")
    expect(page.get_by_role("alert")).to_contain_text("none-such")
    expect(page.get_by_role("link", name="All sensors", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_accessibility_violation(
    demo: Process, visit: Open, paths: dict[str, str], screen: str, scheme: str
) -> None:
    page = settled(visit(demo, paths[screen], color_scheme=scheme))
    found = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_a_phone_needs_no_sideways_scrolling(
    demo: Process, visit: Open, paths: dict[str, str], screen: str
) -> None:
    page = settled(visit(demo, paths[screen], viewport=PHONE, has_touch=True, is_mobile=True))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert axe.Axe().run(page).violations_count == 0


def test_the_whole_page_is_small(demo: Process, visit: Open, paths: dict[str, str]) -> None:
    page = settled(visit(demo, paths["sensor"]))
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').filter(r => r.name.includes('/assets/'))"
        ".map(r => r.encodedBodySize)"
    )
    assert len(sizes) > 10
    assert sum(sizes) <= MOST_BYTES


def test_the_empty_page_names_the_command_and_fills_by_itself(empty: Process, visit: Open) -> None:
    page = settled(visit(empty))
    expect(page.get_by_role("heading", level=1)).to_have_text("No readings yet")
    command = page.locator(".command").first.inner_text()
    body = re.search(r"-d '(\{.*\})'", command)
    assert body and f"http://127.0.0.1:{empty.port}/readings" in command
    with empty.client() as client:
        send(client, "POST", "/readings", json.loads(body[1]))
    expect(page.get_by_role("link", name="greenhouse-1")).to_be_visible()


def test_new_readings_appear_without_a_reload(empty: Process, visit: Open) -> None:
    with empty.client() as client:
        send(client, "POST", "/readings", {"sensor_id": "live-1", "temperature": 20.0})
        page = settled(visit(empty, "/sensors/live-1?range=1h"))
        expect(page.locator(".live")).to_have_text("Live")
        send(client, "POST", "/readings", {"sensor_id": "live-1", "temperature": 33.25})
        expect(page.locator(".readout b")).to_contain_text("33.25")


def test_the_key_is_asked_for_once(tmp_path_factory: pytest.TempPathFactory, visit: Open) -> None:
    data = tmp_path_factory.mktemp("key") / "data"
    with Process(data, environment={"REDSHANK_API_KEY": "correct horse"}) as process:
        page = visit(process)
        dialog = page.get_by_role("dialog")
        for key in ("wrong", "correct horse"):
            dialog.get_by_label("API key").fill(key)
            dialog.get_by_role("button", name="Continue").click()
            if key == "wrong":
                expect(dialog.get_by_text("That key was not accepted.")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text("No readings yet")
        expect(page.locator(".live")).to_have_text("Live")
        page.reload()
        expect(page.locator(".live")).to_have_text("Live")
        expect(dialog).to_be_hidden()


@pytest.fixture
def lost(tmp_path: Path, visit: Open) -> Iterator[tuple[Process, Page]]:
    """A service that has died, and the page that was open on it; the page's clock stands still."""
    with Process(tmp_path / "data") as process:
        page = visit(process)
        page.clock.install()
        page.reload()
        expect(page.locator(".live")).to_have_text("Live")
        page.clock.pause_at(datetime.now() + timedelta(minutes=1))
        settled(page)
        process.kill()
        yield process, page


def test_a_lost_service_is_announced_and_found_by_the_button(lost: tuple[Process, Page]) -> None:
    process, page = lost
    banner = page.locator(".banner")
    expect(banner).to_contain_text("The service does not answer")
    expect(banner).to_contain_text(re.compile(r"Trying again in \d s"))
    expect(page.get_by_role("heading", level=1)).to_have_text("No readings yet")
    process.start()
    expect(banner).to_be_visible()
    banner.get_by_role("button", name="Try now").click()
    expect(banner).to_have_count(0)
    expect(page.locator(".live")).to_have_text("Live")


def test_a_lost_service_is_found_again_by_itself(lost: tuple[Process, Page]) -> None:
    """The first try, after 1.2 s at most, comes too soon; the next one waits longer."""
    process, page = lost
    banner = page.locator(".banner")
    again = re.compile(r"Trying again in \d s")
    expect(banner).to_contain_text(again)
    with page.expect_websocket():
        page.clock.run_for(2300)
    expect(banner).to_contain_text(again)
    process.start()
    with page.expect_websocket():
        page.clock.run_for(5000)
    expect(banner).to_have_count(0)
    expect(page.locator(".live")).to_have_text("Live")
