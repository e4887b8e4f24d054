"""The page's files: hashed addresses, packed once, served from memory under a strict policy.

The whole folder is one hash, so that relative imports between its modules need no rewriting.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redshank.services.api.faces import is_screen, wants_page
from redshank.services.api.problems import Problem

POLICY = (
    "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; "
    "form-action 'self'"
)
FOR_EVER = "public, max-age=31536000, immutable"
PLACEHOLDER = b"/assets/HASH/"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NOT_SERVED = (".d.ts", ".map", ".py", ".pyc")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file, ready to be sent."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str

    def response(self, headers: Headers, extra: Mapping[str, str]) -> Response:
        """The answer to a call with these headers."""
        own = {"ETag": self.etag, "Vary": "Accept, Accept-Encoding", **extra}
        if self.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=own)
        if "gzip" in headers.get("accept-encoding", "") and len(self.packed) < len(self.content):
            own["Content-Encoding"] = "gzip"
            return Response(self.packed, headers=own, media_type=self.media_type)
        return Response(self.content, headers=own, media_type=self.media_type)


class Page:
    """All files of the page in memory.

    Attributes:
        tree: hash of all files together, 12 hexadecimal digits.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.tree = _tree_hash(contents)
        prefix = f"/assets/{self.tree}/".encode()
        self._files = {
            f"/assets/{self.tree}/{path}": _ready(path, content)
            for path, content in contents.items()
            if path != "index.html"
        }
        index = contents.get("index.html")
        self.index = _ready("index.html", index.replace(PLACEHOLDER, prefix)) if index else None

    @classmethod
    def shipped(cls) -> Page:
        """The page that comes with the package."""
        root = files("redshank") / "page"
        return cls(dict(sorted(_walk(root, "")))) if root.is_dir() else cls({})

    def answer(self, scope: Scope, headers: Headers) -> Response:
        """The file at this address, or a screen of the page.

        Raises:
            Problem: 404 there is no such file.
        """
        if not scope["path"].startswith("/assets/"):
            if self.index is None:
                raise Problem(404, "this redshank was installed without its page; see /docs")
            extra = {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
            return self.index.response(headers, extra)
        file = self._files.get(scope["path"])
        if file is None:
            raise Problem(404, "there is no such file in this version of the page; reload it")
        return file.response(headers, {"Cache-Control": FOR_EVER})


class PageFaces:
    """Answers browsers that navigate to a screen, and calls for the page's files."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not (scope["path"].startswith("/assets/") or wants_page(scope, headers)):
            two_faced = is_screen(scope["path"])
            await self._app(scope, receive, _varying(send) if two_faced else send)
            return
        scope["redshank.page"] = True
        try:
            response = self._page.answer(scope, headers)
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)


def _varying(send: Send) -> Send:
    async def vary(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append((b"vary", b"Accept"))
        await send(message)

    return vary


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(_NOT_SERVED):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _tree_hash(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, content in sorted(contents.items()):
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _ready(path: str, content: bytes) -> PageFile:
    suffix = PurePosixPath(path).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    etag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
    return PageFile(content, gzip.compress(content, 9, mtime=0), kind, etag)
