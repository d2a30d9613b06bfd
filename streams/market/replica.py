"""What the replicas of all feeds have in common: who looks on, and whether a collector still speaks."""

import time
from typing import NamedTuple

from marketdata.types import Instrument
from streams.market_messages import Feed, FeedMessage, FeedState
from streams.messages import plain_error_frame

QUIET_S = 5.0  # without a message after which a collector is asked whether it is there
OTHERS_S = 0.5  # for which another collector of the same symbol may still have it live
SILENT = "no collector answers"


class Doubt(NamedTuple):
    """A collector has said that the feed is not live, for this reason."""

    reason: str
    since_s: float


class FeedReplica:
    """Keeps one feed of an instrument's for the sockets that look on. ``is_live``: what it has is the present.

    Sockets are told when it is not live any more, once, and that they were told is forgotten when it lives again.
    """

    what = ""  # as the terminal's error frames call it

    def __init__(self, feed: Feed, instrument: Instrument) -> None:
        self.feed, self.instrument = feed, instrument
        self.lacks_beginning = True
        self.heard_s = time.monotonic()
        self.fault = ""
        self.doubt: Doubt | None = None

    def take(self, message: FeedMessage) -> None:
        self.heard_s = time.monotonic()
        if not isinstance(message, FeedState):
            self.doubt = None
            self.take_data(message)
            if not self.needs_beginning():
                self.fault = ""
        else:
            self.doubt = self.doubt or Doubt(message.reason, self.heard_s)
            if self.lacks_beginning:
                self.lose(message.reason)
        self.lacks_beginning = self.needs_beginning()

    def take_data(self, message: FeedMessage) -> None:
        raise NotImplementedError

    def needs_beginning(self) -> bool:
        """Whether something was missed, or nothing has come yet."""
        raise NotImplementedError

    def lose(self, reason: str) -> None:
        """It is not live: say so to whoever looks on."""
        if reason != self.fault:
            self.fault = reason
            self.tell()

    def tell(self) -> None:
        """Send the fault to whoever looks on."""
        raise NotImplementedError

    def error_text(self, timeframe: str = "") -> str:
        of = f"{self.instrument.exchange_form} {timeframe}".rstrip()
        return plain_error_frame(f"Error streaming {self.what} for {of}: {self.fault}")

    def tick(self, now_s: float) -> None:
        if self.doubt is not None and now_s - self.doubt.since_s > OTHERS_S:
            self.lose(self.doubt.reason)
            self.doubt = None
        quiet_s = now_s - self.heard_s
        self.lacks_beginning = self.needs_beginning() or quiet_s > QUIET_S
        if quiet_s > 2 * QUIET_S:
            self.lose(SILENT)

    def close(self) -> None:
        """Nobody looks on any more."""
