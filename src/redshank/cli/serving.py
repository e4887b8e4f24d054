"""One process from start to stop: network side, sources and pipeline, in order.

Start: listen, open the store, recover, answer calls, read sources. Stop (SIGTERM, Ctrl-C): read no
more sources, finish running requests, score and commit what is queued, close the store.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

from redshank import wiring
from redshank.core.config import Config
from redshank.core.errors import RedshankError
from redshank.core.ports import AlertChannel, Source
from redshank.services.api import create_app
from redshank.services.api.server import bind, serve
from redshank.services.context import Context
from redshank.services.ingest import Ingest, pump

T = TypeVar("T")

_TURN_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another one waits for it. Network and scoring
take turns; with Python's own 5 ms requests wait several times as long near the highest rates."""


class Events:
    """What whoever started the process wants to hear of; does nothing unless overridden.

    Attributes:
        alerts: who is told of incidents.
    """

    alerts: Sequence[AlertChannel] = ()

    def opened(self, context: Context) -> None:
        """The store is open and nothing has been read yet."""

    def ready(self, url: str) -> None:
        """Calls are answered at this address."""

    def read(self, error: RedshankError | None) -> None:
        """All sources have ended, well or with an error; the store holds what they brought."""


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on uvloop where there is one."""
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


async def host(config: Config, sources: Sequence[Source], events: Events) -> None:
    """Serve until a signal says stop; returns when everything is committed and closed.

    Raises:
        ConfigError: the address cannot be listened on.
        StoreError: the store cannot be opened.
    """
    listener = bind(config.host, config.port)
    url = address(config.host, listener.getsockname()[1])
    stop, ready = asyncio.Event(), asyncio.Event()

    def on_ready() -> None:
        events.ready(url)
        ready.set()

    with closing(listener), stopping_signals(stop.set):
        async with wiring.open_service(config, sources, events.alerts) as service:
            events.opened(service.context)
            reading = asyncio.create_task(_read(service.ingests, ready, events))
            reading.add_done_callback(lambda task: stop.set() if _crashed(task) else None)
            stopping = asyncio.create_task(_stop_reading(stop, reading))
            try:
                with wiring.noting_address(config, url):
                    await serve(create_app(service.context), listener, stop, on_ready=on_ready)
            finally:
                stop.set()
                await stopping


async def _read(ingests: Sequence[Ingest], ready: asyncio.Event, events: Events) -> None:
    """Read all sources to their ends, once calls are answered."""
    await ready.wait()
    if not ingests:
        return
    try:
        await pump(list(ingests))
    except RedshankError as error:
        events.read(error)
    else:
        events.read(None)


def _crashed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


async def _stop_reading(stop: asyncio.Event, reading: asyncio.Task[None]) -> None:
    await stop.wait()
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading


def address(host: str, port: int) -> str:
    """The address to type into a browser."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


@contextmanager
def stopping_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` in the event loop at the first SIGTERM or SIGINT; a second SIGINT kills."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        loop.call_soon_threadsafe(stop)

    for number in signals:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
