"""What time it is at the venue, by what it sends. No I/O: the caller says what time it is here."""

LEAP_MS = 60_000  # ahead of what time it should be, from where on one event alone is not believed


class VenueClock:
    """The newest event time that was seen, and what has passed here since.

    Our own clock may be wrong, and what a simulator or a recording plays is of another time. One event with a wrong
    date would close the minutes of all symbols up to then: a leap is believed when the next event says the same.
    """

    def __init__(self) -> None:
        self.newest_ms = 0
        self.seen_s = 0.0
        self.is_doubtful = False  # the event before was far ahead

    def see(self, event_ms: int, now_s: float) -> None:
        present_ms = self.now_ms(now_s)
        is_ahead = present_ms is not None and event_ms > present_ms + LEAP_MS
        if is_ahead and not self.is_doubtful:
            self.is_doubtful = True
            return
        self.is_doubtful = False
        if event_ms > self.newest_ms:
            self.newest_ms, self.seen_s = event_ms, now_s

    def stood_still(self, now_s: float) -> None:
        """Nothing could be seen until now: what the venue has sent meanwhile is still to be read."""
        self.seen_s = now_s

    def now_ms(self, now_s: float) -> int | None:
        """Unix ms; None before the first event. ``now_s``: monotonic seconds."""
        return self.newest_ms + int((now_s - self.seen_s) * 1000) if self.newest_ms else None
