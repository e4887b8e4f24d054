"""One address, two faces: a browser gets the page where other clients get JSON."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import Scope

_PAGE = re.compile(
    r"/(budget|(sensors|incidents)(/(?!sparklines$|states$)"
    r".*(?<!/series)(?<!/readings\.csv)(?<!/readings\.parquet))?)?"
)


def wants_page(scope: Scope, headers: Headers) -> bool:
    """Whether this call is a browser that navigates to one of the page's screens."""
    if scope["method"] not in ("GET", "HEAD") or not is_screen(scope["path"]):
        return False
    return scope["path"] == "/" or prefers_html(headers.get("accept", ""))


def is_screen(path: str) -> bool:
    """Whether the page has a screen at this address."""
    return _PAGE.fullmatch(path) is not None


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names HTML, and no JSON that it would rather have."""
    weights = dict(map(_weighed, accept.lower().split(",")))
    html = weights.get("text/html", 0.0)
    return html > 0 and html > weights.get("application/json", 0.0)


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
