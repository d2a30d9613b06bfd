"""Instants as clients write them. No Django."""

import re
from datetime import UTC, datetime

from marketdata.timeframes import since_epoch_ms

MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999


# What int() takes besides, 1_000 and the digits of any script, is a slip rather than a time.
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


def parse_time_ms(text: str) -> int:
    """Unix milliseconds in ASCII digits, or an ISO 8601 date or time (without an offset: UTC). Raises ValueError, also
    beyond 1970 to 9999.
    """
    if WHOLE_NUMBER.fullmatch(text):
        time_ms = int(text)
    else:
        # "+" arrives as a blank from clients that do not percent-encode it.
        time_ms = parse_iso_ms(text.replace(" ", "+") if "T" in text else text)
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise ValueError(f"{text!r} is not within the years 1970 to 9999")
    return time_ms


def parse_iso_ms(text: str) -> int:
    time = datetime.fromisoformat(text)
    return since_epoch_ms(time if time.tzinfo else time.replace(tzinfo=UTC))
