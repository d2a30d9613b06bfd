"""Instants as clients write them. No Django."""

from datetime import UTC, datetime

from marketdata.timeframes import since_epoch_ms

MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999


def parse_time_ms(text: str) -> int:
    """Unix milliseconds, or an ISO 8601 date or time (without an offset: UTC). Raises ValueError, also beyond 1970
    to 9999."""
    try:
        time_ms = int(text)
    except ValueError:
        # "+" arrives as a blank from clients that do not percent-encode it.
        time_ms = parse_iso_ms(text.replace(" ", "+") if "T" in text else text)
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise ValueError(f"{text!r} is not within the years 1970 to 9999")
    return time_ms


def parse_iso_ms(text: str) -> int:
    time = datetime.fromisoformat(text)
    return since_epoch_ms(time if time.tzinfo else time.replace(tzinfo=UTC))
