"""How much Binance's REST API lets this address ask, by what its answers say."""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from threading import Lock

from marketdata.clock import clock_ms
from marketdata.timeframes import MINUTE_MS

WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
WEIGHT_LIMIT = 2400  # a minute and address, for everybody who shares it; exchangeInfo says the venue's present one


class Limits:
    """One for all that ask one host; threads may share it.

    The venue counts request weight by the minutes of its clock, and for the address: whatever program asked.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = Lock()  # for the four below; times are the clock's
        self.weight_limit = WEIGHT_LIMIT
        self.used_weight = 0
        self.minute_ends_at = 0.0
        self.resume_at = 0.0  # nobody is to ask before

    def wait_s(self, share: float) -> float:
        """How long somebody who leaves ``1 - share`` of the weight to others has to wait; 0 or less: not at all."""
        with self.lock:
            is_used_up = self.used_weight >= share * self.weight_limit
            return max(self.resume_at, self.minute_ends_at if is_used_up else 0.0) - self.clock()

    def note(self, headers: Mapping[str, str]) -> None:
        """What an answer says of the weight."""
        weight = headers.get(WEIGHT_HEADER, "")
        if weight.isdecimal():
            left_ms = MINUTE_MS - answered_ms(headers) % MINUTE_MS
            with self.lock:
                self.used_weight, self.minute_ends_at = int(weight), self.clock() + left_ms / 1000

    def pause(self, seconds: float) -> None:
        """Nobody is to ask for so long; answers that arrive late make it no shorter."""
        with self.lock:
            self.resume_at = max(self.resume_at, self.clock() + seconds)


def answered_ms(headers: Mapping[str, str]) -> int:
    """When the venue answered, by its own clock, which tells seconds; by ours where it does not say."""
    try:
        return int(parsedate_to_datetime(headers["Date"]).timestamp()) * 1000
    except (KeyError, ValueError):
        return clock_ms()
