"""Senders that never give up: what was not acknowledged is sent again, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from support.client import BROKEN, Answer, Client

PAUSE = 0.03
PATIENCE = 120.0
"""Seconds after which a sender that gets no answer at all fails."""


class Acknowledged:
    """Counts requests that were answered; others wait for that."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0
        self.failed: list[BaseException] = []

    def add(self) -> None:
        """One more."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """A sender has failed."""
        with self._changed:
            self.failed.append(error)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        """Until so many requests were answered.

        Raises:
            AssertionError: a sender failed, or nothing happens any more.
        """
        with self._changed:
            done = self._changed.wait_for(lambda: self.failed or self.count >= count, PATIENCE)
        if self.failed:
            raise AssertionError("a sender failed") from self.failed[0]
        if not done:
            raise AssertionError(f"{self.count} of {count} requests were answered")


class Sender(threading.Thread):
    """Sends requests in order over one connection, each until it is acknowledged.

    Args:
        connect: makes the connection.
        requests: rows of each request, or what :meth:`post` takes; may be endless.
        acknowledged: told of each answer.
        every: seconds to rest after each request.

    Attributes:
        answers: what came back, one a request.
        refused: 429 and 503 answers on the way.
        broken: attempts that were cut off.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        requests: Iterable[Any],
        acknowledged: Acknowledged,
        every: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self._every = every
        self._connect = connect
        self._requests = requests
        self._acknowledged = acknowledged
        self._pause = threading.Event()
        self.answers: list[dict[str, Any]] = []
        self.refused: list[Answer] = []
        self.broken = 0

    def run(self) -> None:
        """Send everything, or until stopped."""
        try:
            with self._connect() as client:
                for request in self._requests:
                    answer = self._send(client, request)
                    if answer is None:
                        break
                    self.answers.append(answer)
                    self._acknowledged.add()
                    if self._pause.wait(self._every):
                        break
        except Exception as error:  # noqa: BLE001  raised again by whoever waits
            self._acknowledged.fail(error)

    def post(self, client: Client, request: Any) -> Answer:
        """One attempt."""
        return client.post_lines(request)

    def _send(self, client: Client, request: Any) -> dict[str, Any] | None:
        while not self._pause.is_set():
            try:
                answer = self.post(client, request)
            except BROKEN:
                self.broken += 1
            else:
                if answer.status == 200:
                    return dict(answer.json())
                if answer.status not in (429, 503):
                    raise AssertionError(f"{answer.status}: {answer.body[:500]!r}")
                self.refused.append(answer)
            self._pause.wait(PAUSE)
        return None

    def stop(self) -> None:
        """Send no more; returns when the last answer has come."""
        self._pause.set()
        self.join()


def send_all(connect: Callable[[], Client], loads: Sequence[Sequence[Any]]) -> list[Sender]:
    """Let one sender for each load send everything; returns them when they are done."""
    acknowledged = Acknowledged()
    senders = [Sender(connect, load, acknowledged) for load in loads]
    for sender in senders:
        sender.start()
    acknowledged.wait(sum(map(len, loads)))
    return senders
