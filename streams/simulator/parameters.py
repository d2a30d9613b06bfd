"""Parameters of REST requests, and Binance's words for what is wrong with one."""

from collections.abc import Mapping

from streams.simulator.subscriptions import Refused

Query = Mapping[str, str]
MAX_DIGITS = 20
LATEST_MS = 32_503_680_000_000  # the year 3000: calendars end


def required(query: Query, name: str) -> str:
    if not query.get(name):
        raise Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return query[name]


def integer(query: Query, name: str) -> int | None:
    """A whole number; None where it is not sent."""
    text = query.get(name)
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def limit_of(query: Query, default: int, most: int) -> int:
    limit = integer(query, "limit")
    if limit is None:
        return default
    if not 1 <= limit <= most:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    return limit


def plain_limit(query: Query, default: int) -> int:
    """The limit as far as it can be read: a request weighs something also when it is refused."""
    text = query.get("limit", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else default


def time_range(query: Query) -> tuple[int | None, int | None]:
    """``startTime`` and ``endTime``, ms; those beyond `LATEST_MS` are that."""
    start_ms, end_ms = moment(query, "startTime"), moment(query, "endTime")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise Refused(-1023, "Start time is greater than end time.")
    return start_ms, end_ms


def moment(query: Query, name: str) -> int | None:
    value = integer(query, name)
    return value if value is None else min(value, LATEST_MS)
