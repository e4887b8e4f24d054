"""The in-process bus: a bounded queue of parcels, with the store as its log."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future

from redshank.core.errors import OverloadedError, StoreError
from redshank.core.ports import Message, Parcel, Receipt


class MemoryBus:
    """Queues parcels for the one runner; full means "come back later", never "dropped".

    A sender learns through its future when the parcel is durable, so nothing is lost if the
    process dies: what was not acknowledged is sent again, and readings are keyed.

    Args:
        limit: readings that may wait; a single larger parcel is taken when nothing waits.
        retry_after: seconds that a refused sender is asked to wait.
    """

    def __init__(self, limit: int = 200_000, retry_after: float = 1.0) -> None:
        self.limit = limit
        self._retry_after = retry_after
        self._messages: deque[Message] = deque()
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Readings in the queue."""
        return self._waiting

    def publish(
        self, parcel: Parcel, source: str, after: Future[Receipt] | None = None
    ) -> Future[Receipt]:
        """Queue a parcel; the future resolves when it is durable and scored.

        Raises:
            OverloadedError: the queue is full; nothing was taken.
            StoreError: redshank is stopping.
        """
        size = _size(parcel)
        with self._changed:
            if self._closed:
                raise StoreError("redshank is stopping and takes no more readings; send them again")
            if self._waiting and self._waiting + size > self.limit:
                raise OverloadedError(self._retry_after)
            message = Message(parcel, source, after=after)
            self._messages.append(message)
            self._waiting += size
            self._changed.notify()
        return message.done

    def poll(self, limit: int, timeout: float) -> list[Message]:
        """Messages in order, up to about ``limit`` readings; empty after ``timeout`` seconds."""
        with self._changed:
            if not self._messages and not self._closed:
                self._changed.wait(timeout)
            taken: list[Message] = []
            size = 0
            while self._messages and (not taken or size + _size(self._messages[0].parcel) <= limit):
                taken.append(self._messages.popleft())
                size += _size(taken[-1].parcel)
            self._waiting -= size
            return taken

    def close(self) -> None:
        """Take nothing more; what is queued can still be polled."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(parcel: Parcel) -> int:
    return sum(map(len, parcel.batches)) + len(parcel.dead_letters)
