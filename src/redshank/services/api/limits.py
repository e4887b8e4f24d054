"""How many readings each caller may send: a token bucket for each key or address."""

from __future__ import annotations

from collections import OrderedDict

from redshank.core.clock import Clock
from redshank.core.errors import OverloadedError

BURST_SECONDS = 10.0
"""A caller that was quiet may send so many seconds' worth at once."""
_MOST_CALLERS = 10_000


class RateLimitedError(OverloadedError):
    """A caller sends more than it may: nothing was taken, come back later.

    Args:
        rate: readings per second that it may send.
        retry_after: seconds until it may send again.
    """

    def __init__(self, rate: float, retry_after: float) -> None:
        super().__init__(retry_after)
        self.args = (
            f"more than {rate:g} readings per second came from you; retry in {retry_after:.1f} s",
        )


class RateLimits:
    """The buckets of all callers.

    A request of any size is let in while its caller has credit, and charged when its rows are
    known: large requests go into debt, which the next ones wait for.

    Args:
        rate: readings per second of each caller; None for no limit.
        clock: for measuring time.
    """

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, caller: str) -> None:
        """Whether a caller may send now.

        Raises:
            RateLimitedError: it has used up what it may.
        """
        wait = self.wait(caller)
        if self._rate is not None and wait > 0:
            raise RateLimitedError(self._rate, wait)

    def charge(self, caller: str, readings: int) -> None:
        """Take the readings of a request that is let in."""
        if self._rate is None:
            return
        self._buckets[caller] = (self._credit(caller) - readings, self._clock.monotonic())
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)

    def wait(self, caller: str) -> float:
        """Seconds until a caller may send, 0 if it may now."""
        if self._rate is None:
            return 0.0
        credit = self._credit(caller)
        return 0.0 if credit > 0 else max(0.001, -credit / self._rate)

    def _credit(self, caller: str) -> float:
        rate = self._rate or 0.0
        full = rate * BURST_SECONDS
        credit, since = self._buckets.get(caller, (full, 0.0))
        return min(full, credit + (self._clock.monotonic() - since) * rate)
