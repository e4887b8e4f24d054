"""The page's files and screens."""

import pytest
from starlette.datastructures import Headers

from redshank.services.api.faces import prefers_html
from redshank.services.api.page import POLICY, Page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
FILES = {
    "index.html": b'<script src="/assets/HASH/app.js"></script>',
    "app.js": b'import "./lib/x.js"; ' * 100,
    "lib/x.js": b"x",
    "style.css": b"a{}",
}


def asked(page, path, **headers):
    return page.answer({"path": path}, Headers(headers))


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_only_who_prefers_html_gets_html(accept, html):
    assert prefers_html(accept) is html


@pytest.mark.parametrize("path", ["/", "/sensors/a", "/sensors/plant/7", "/incidents/x", "/budget"])
def test_screens_are_the_page_for_a_browser(call, path):
    answer = call.get(path, headers={"Accept": BROWSER})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/sensors", "/sensors/a", "/incidents", "/budget"])
def test_the_same_addresses_are_json_for_others(call, path):
    answer = call.get(path, headers={"Accept": "application/json"})
    assert "json" in answer.headers["content-type"]
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize(
    "path", ["/sensors/a/series", "/sensors/sparklines?sensor_id=a", "/health"]
)
def test_other_addresses_are_never_html(call, path):
    assert "json" in call.get(path, headers={"Accept": BROWSER}).headers["content-type"]


def test_all_files_lie_under_one_hash_and_are_kept_for_ever():
    page = Page(FILES)
    answer = asked(page, f"/assets/{page.tree}/lib/x.js")
    assert answer.body == b"x"
    assert answer.media_type == "text/javascript"
    assert "immutable" in answer.headers["cache-control"]


def test_the_index_names_its_files_by_hash():
    page = Page(FILES)
    assert asked(page, "/").body == f'<script src="/assets/{page.tree}/app.js"></script>'.encode()


def test_another_byte_is_another_hash():
    assert Page(FILES).tree != Page({**FILES, "lib/x.js": b"y"}).tree


def test_files_are_packed_for_those_who_unpack():
    page = Page(FILES)
    path = f"/assets/{page.tree}/app.js"
    packed = asked(page, path, **{"accept-encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(FILES["app.js"])
    assert asked(page, path).body == FILES["app.js"]


def test_an_unchanged_file_is_not_sent_again():
    page = Page(FILES)
    etag = asked(page, "/").headers["etag"]
    assert asked(page, "/", **{"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["/assets/000000000000/app.js", "/assets/../secret", "/assets/"])
def test_there_is_nothing_else(call, path):
    assert call.get(path).status_code == 404


def test_every_file_that_the_shipped_index_names_is_there(call):
    text = call.get("/", headers={"Accept": BROWSER}).text
    named = [part.split('"')[0] for part in text.split('"/assets/')[1:]]
    assert named
    for name in named:
        assert call.get(f"/assets/{name}").status_code == 200, name
    assert "HASH" not in text
