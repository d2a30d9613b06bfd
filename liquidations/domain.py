"""Rules of the field without Django: symbols, timestamps, timeframes, buckets, and which bars may answer a window."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BAR_INTERVALS_MS = (DAY_MS, HOUR_MS, MINUTE_MS)  # coarsest first

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TIMESTAMP_MS = 253_402_300_799_999  # the end of the year 9999, beyond which ISO 8601 needs more digits
TIMEFRAME = re.compile(r"([0-9]{1,12})([mhd])", re.IGNORECASE)
TIMEFRAME_UNITS_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
# "+" arrives as a blank from clients that do not percent-encode it.
LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")


def canonical_symbol(text: str) -> str:
    """The one spelling under which a symbol is compared and, by our writers, stored: no blanks around, upper case."""
    return text.strip().upper()


def parse_timestamp_ms(text: str) -> int:
    """Unix milliseconds, or an ISO 8601 date or time (without an offset: UTC), as Unix milliseconds.

    Digits are always milliseconds: "20210101" is an instant in 1970. Raises ValueError, also beyond the year 9999.
    """
    try:
        timestamp_ms = int(text)
    except ValueError:
        timestamp_ms = parse_iso_ms(text)
    if timestamp_ms > MAX_TIMESTAMP_MS:
        raise ValueError(f"{text!r} lies beyond the year 9999")
    return timestamp_ms


def parse_iso_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(LOST_PLUS.sub("+", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Whole milliseconds by integer division: a float of seconds may lose one.
    return (moment - EPOCH) // timedelta(milliseconds=1)


def format_iso(timestamp_ms: int) -> str:
    """UTC with "+00:00"; milliseconds only where there are some, in six digits as Python writes them."""
    days, rest_ms = divmod(timestamp_ms, DAY_MS)
    return f"{iso_date(days)}T{iso_time(rest_ms)}+00:00"


# A window's buckets lie on few days and at few times of day.
@lru_cache(maxsize=4096)
def iso_date(days: int) -> str:
    return (EPOCH + timedelta(days=days)).date().isoformat()


@lru_cache(maxsize=4096)
def iso_time(rest_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=rest_ms)).time().isoformat()


def parse_timeframe_ms(text: str) -> int:
    """Length of a timeframe such as "5m", "7h" or "3D" (any count, any case). Raises ValueError."""
    match = TIMEFRAME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a count followed by m, h or d")
    timeframe_ms = int(match[1]) * TIMEFRAME_UNITS_MS[match[2].lower()]
    if not 0 < timeframe_ms <= MAX_TIMESTAMP_MS:
        raise ValueError(f"{text!r} is not between one minute and 8000 years")
    return timeframe_ms


def format_timeframe(timeframe_ms: int) -> str:
    """The shortest text that `parse_timeframe_ms` reads as this length: "1h", not "60m"."""
    unit = next(unit for unit in ("d", "h", "m") if timeframe_ms % TIMEFRAME_UNITS_MS[unit] == 0)
    return f"{timeframe_ms // TIMEFRAME_UNITS_MS[unit]}{unit}"


def floor_ms(timestamp_ms: int, interval_ms: int) -> int:
    """Start of the interval of ``interval_ms`` (from the epoch) that holds ``timestamp_ms``. Days and shorter only."""
    return timestamp_ms - timestamp_ms % interval_ms


def ceil_ms(timestamp_ms: int, interval_ms: int) -> int:
    return -floor_ms(-timestamp_ms, interval_ms)


@dataclass(frozen=True, slots=True)
class Segment:
    """The part [start_ms, end_ms) of a window and what answers it: bars of ``interval_ms``, or None for the table."""

    interval_ms: int | None
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets [origin_ms + k × timeframe_ms, origin_ms + (k + 1) × timeframe_ms)."""

    origin_ms: int
    timeframe_ms: int


def usable_bars(timeframe_ms: int, origin_ms: int) -> list[int]:
    """Bar intervals, coarsest first, of which every bar lies within one bucket of the grid."""
    return [bar for bar in BAR_INTERVALS_MS if timeframe_ms % bar == 0 and origin_ms % bar == 0]


def plan_window(
    start_ms: int, end_ms: int, intervals_ms: Sequence[int], built_until_ms: int, stale_days_ms: Iterable[int]
) -> list[Segment]:
    """Split [start_ms, end_ms) into segments in order, each answered exactly by what it names.

    Bars (``intervals_ms``, coarsest first) are trusted before ``built_until_ms`` and outside the days that begin at
    ``stale_days_ms`` (sorted); everything else is the table's.
    """
    segments: list[Segment] = []
    for trusted, start, end in trusted_parts(start_ms, end_ms, built_until_ms, stale_days_ms):
        segments += cover(start, end, intervals_ms) if trusted else [Segment(None, start, end)]
    return merge_adjacent(segments)


def trusted_parts(
    start_ms: int, end_ms: int, built_until_ms: int, stale_days_ms: Iterable[int]
) -> Iterator[tuple[bool, int, int]]:
    cursor = start_ms
    for day_ms in stale_days_ms:
        first, last = max(day_ms, cursor), min(day_ms + DAY_MS, end_ms)
        if first < last:
            yield from split_at(cursor, first, built_until_ms)
            yield False, first, last
            cursor = last
    yield from split_at(cursor, end_ms, built_until_ms)


def split_at(start_ms: int, end_ms: int, built_until_ms: int) -> Iterator[tuple[bool, int, int]]:
    middle = min(max(built_until_ms, start_ms), end_ms)
    if start_ms < middle:
        yield True, start_ms, middle
    if middle < end_ms:
        yield False, middle, end_ms


def cover(start_ms: int, end_ms: int, intervals_ms: Sequence[int]) -> list[Segment]:
    """Whole bars from the coarsest interval that fits, finer ones at the edges, the table where none fits."""
    if start_ms >= end_ms:
        return []
    if not intervals_ms:
        return [Segment(None, start_ms, end_ms)]
    coarsest, *finer = intervals_ms
    first, last = ceil_ms(start_ms, coarsest), floor_ms(end_ms, coarsest)
    if first >= last:
        return cover(start_ms, end_ms, finer)
    return [*cover(start_ms, first, finer), Segment(coarsest, first, last), *cover(last, end_ms, finer)]


def merge_adjacent(segments: Iterable[Segment]) -> list[Segment]:
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        if last and last.interval_ms == segment.interval_ms and last.end_ms == segment.start_ms:
            merged[-1] = Segment(last.interval_ms, last.start_ms, segment.end_ms)
        else:
            merged.append(segment)
    return merged
