"""Documentation is complete: every setting, command, endpoint and link."""

import re
from pathlib import Path

import pytest
import typer.main

from redshank.cli.app import build
from redshank.cli.reference import commands_markdown, settings_markdown
from redshank.core.config import settings
from redshank.services.api import app as api

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
NOT_IN_THE_REFERENCE = {"/openapi.json", "/docs", "/ws"}


def text(path):
    return path.read_text("utf-8")


def test_the_page_on_settings_is_what_the_code_says():
    assert text(DOCS / "configuration.md") == settings_markdown(), "run `python3 dev.py docs`"


def test_the_page_on_commands_is_what_the_code_says():
    root = typer.main.get_command(build())
    assert text(DOCS / "commands.md") == commands_markdown(root), "run `python3 dev.py docs`"


def test_every_setting_is_documented():
    page = text(DOCS / "configuration.md")
    for setting in settings():
        assert f"`{setting.env}`" in page
        assert setting.description in page


def endpoints():
    for part in api._PARTS:
        for route in part.router.routes:
            methods = getattr(route, "methods", None) or {"WS"}
            yield from ((method, route.path) for method in methods - {"HEAD"})


@pytest.mark.parametrize(("method", "path"), sorted(set(endpoints())))
def test_every_endpoint_is_documented(method, path):
    page = text(DOCS / "http.md")
    if path in NOT_IN_THE_REFERENCE:
        assert path in page
        return
    written = re.sub(r"\{\w+(:path)?\}", "{}", path)
    places = re.sub(r"\{\w+\}", "{}", page)
    assert re.search(rf"{re.escape(written)}(?![\w/])", places), f"{method} {path} is not there"
    assert re.search(rf"\b{method}\b", page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def commands(page):
    """Names after ``redshank`` in blocks of code."""
    blocks = re.findall(r"^```sh\n(.*?)^```|((?:^    .*\n)+)", page, re.MULTILINE | re.DOTALL)
    code = "".join(fenced + indented for fenced, indented in blocks)
    inline = re.findall(r"`redshank ([a-z-]+)[ `]", page)
    return [*re.findall(r"^ *redshank ([a-z-]+)", code, re.MULTILINE), *inline]


def test_commands_in_the_documentation_exist():
    root = typer.main.get_command(build())
    for page in PAGES:
        for name in commands(text(page)):
            assert name in root.commands, f"{page.name}: redshank {name}"
