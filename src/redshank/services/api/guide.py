"""The reference at /docs: made from OpenAPI, without scripts and without any other host."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from redshank.services.api.answers import Answer

router = APIRouter(tags=["system"])

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}
code,pre{font:14px/1.5 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border:1px solid;border-radius:4px}
summary{cursor:pointer;padding:.25rem 0}
table{border-collapse:collapse}
td{padding:.125rem 1rem .125rem 0;vertical-align:top}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'none'"
)


@router.get("/openapi.json", summary="This interface in OpenAPI's own words", response_model=dict)
async def openapi(request: Request) -> Answer:
    """OpenAPI 3.1."""
    return Answer(request.app.openapi())


@router.get("/docs", summary="This reference, for people", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every call with its parameters, bodies and answers."""
    page = "".join(_page(request.app.openapi()))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def _page(described: Mapping[str, Any]) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><title>redshank: HTTP</title>'
    yield f"<style>{_STYLE}</style></head><body><main><h1>redshank {described['info']['version']}"
    yield "</h1><p>Bodies are JSON in UTF-8, times are ISO 8601 in UTC. Send the API key, if one is"
    yield " set, as <code>X-API-Key</code>. The WebSocket is at <code>/ws</code>. For programs: "
    yield '<a href="/openapi.json">openapi.json</a>.</p>'
    for tag, calls in _by_tag(described).items():
        yield f"<h2>{escape(tag)}</h2>"
        for path, method, call in calls:
            yield from _call(path, method, call)
    yield "<h2>Shapes</h2>"
    for name, schema in sorted(described["components"]["schemas"].items()):
        shape = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<pre>{shape}</pre></details>"
    yield "</main></body></html>"


def _by_tag(described: Mapping[str, Any]) -> dict[str, list[tuple[str, str, Any]]]:
    tags: dict[str, list[tuple[str, str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            tags.setdefault(call.get("tags", ["other"])[0], []).append((path, method, call))
    return tags


def _call(path: str, method: str, call: Mapping[str, Any]) -> Iterator[str]:
    name = f"<code>{method.upper()} {escape(path)}</code>"
    yield f"<details><summary>{name} {escape(call.get('summary', ''))}</summary>"
    yield f"<p>{escape(call.get('description', ''))}</p><table>"
    for parameter in call.get("parameters", ()):
        schema = parameter.get("schema", {})
        default = f"default {schema['default']}" if schema.get("default") is not None else ""
        note = parameter.get("description", "")
        cells = (parameter["name"], parameter["in"], default, note)
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
    yield "</table>"
    for kind, content in call.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(kind)}</code> {_shape(content)}</p>"
    yield "<table>"
    for status, answer in call.get("responses", {}).items():
        shapes = " ".join(_shape(content) for content in answer.get("content", {}).values())
        yield f"<tr><td>{status}</td><td>{escape(answer['description'])}</td><td>{shapes}</td></tr>"
    yield "</table></details>"


def _shape(content: Mapping[str, Any]) -> str:
    names = dict.fromkeys(_references(content.get("schema", {})))
    return ", ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[-1]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
