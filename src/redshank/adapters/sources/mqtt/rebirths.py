"""When Sparkplug nodes are asked for their births again: seldom, and ever more so in vain."""

from __future__ import annotations

from redshank.core.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0


class Rebirths:
    """Says when it is time to ask.

    Asking does not help where the node must not hear us, or its births must not reach us. So the
    pause doubles each time up to an hour, and begins anew once there was no need for a while.

    Args:
        clock: for pauses.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, tuple[float, float]] = {}

    def due(self, topic: str) -> bool:
        """Whether to ask now; counts as asked then.

        Args:
            topic: of commands to the node.
        """
        now = self._clock.monotonic()
        at, pause = self._asked.get(topic, (float("-inf"), FIRST_PAUSE))
        if now - at < pause:
            return False
        again = now - at < 2 * pause
        self._asked[topic] = now, min(2 * pause, LONGEST_PAUSE) if again else FIRST_PAUSE
        return True
