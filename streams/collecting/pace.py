"""When the next frame may be sent on a connection. No I/O: the caller says what time it is."""


class Pace:
    """At most one frame in ``interval_s``. Times are monotonic seconds."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.next_at = 0.0

    def wait_s(self, now: float) -> float:
        return max(0.0, self.next_at - now)

    def sent(self, now: float) -> None:
        self.next_at = now + self.interval_s
