"""The gap ledger: when each stream was received, by any collector, and when by none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

from streams.models import StreamCoverage

# Collectors say about once a second that they still receive: so little missing at the end is no gap yet.
RESOLUTION_MS = 5_000
KEPT_MS = 400 * 86_400_000  # longer than the longest window that can be asked for
KEY = ["collector", "stream", "venue", "started_ms"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no collector received the stream; ``end_ms`` None: it goes on."""

    stream: str
    start_ms: int
    end_ms: int | None
    seconds: float


def coverage_write(venue: str, collector: str, spans: Iterable[tuple[str, int, int]]) -> None:
    """Write (stream, started_ms, until_ms) of a collector's connections; a known start is given its new end."""
    rows = [
        StreamCoverage(venue=venue, collector=collector, stream=stream, started_ms=started_ms, until_ms=until_ms)
        for stream, started_ms, until_ms in spans
    ]
    # SQLite requires the conflict target and MySQL refuses one.
    target = KEY if connection.features.supports_update_conflicts_with_target else None
    StreamCoverage.objects.bulk_create(rows, update_conflicts=True, update_fields=["until_ms"], unique_fields=target)


def coverage_prune(now_ms: int) -> int:
    """Forget connections that ended longer ago than the ledger goes back; how many those were."""
    return StreamCoverage.objects.filter(until_ms__lt=now_ms - KEPT_MS).delete()[0]


def gaps(stream: str, since_ms: int, until_ms: int, now_ms: int) -> list[Gap]:
    """The times of [since_ms, until_ms) that no collector covered, the earliest first; the future is none."""
    until_ms = min(until_ms, now_ms)
    covered = (
        StreamCoverage.objects.filter(stream=stream, until_ms__gt=since_ms, started_ms__lt=until_ms)
        .order_by("started_ms")
        .values_list("started_ms", "until_ms")
    )
    holes = list(complement(covered.iterator(), since_ms, until_ms))
    return [gap(stream, start, end, now_ms) for start, end in holes if not is_fresh(start, end, now_ms)]


def complement(spans: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of [start, end) that none of the spans covers; these come by their starts and may overlap."""
    for span_start, span_end in spans:
        if span_start == span_end:
            # A connection that ended at once covers nothing, and must not cut a gap in two.
            continue
        if start < min(span_start, end):
            yield start, min(span_start, end)
        start = max(start, span_end)
    if start < end:
        yield start, end


def is_fresh(start_ms: int, end_ms: int, now_ms: int) -> bool:
    """Whether the hole is only what has not been written yet."""
    return end_ms >= now_ms and end_ms - start_ms < RESOLUTION_MS


def gap(stream: str, start_ms: int, end_ms: int, now_ms: int) -> Gap:
    is_over = end_ms < now_ms
    return Gap(stream, start_ms, end_ms if is_over else None, (end_ms - start_ms) / 1000)


def longest(gaps: Sequence[Gap], min_ms: int) -> list[Gap]:
    """Those that last at least ``min_ms``."""
    return [each for each in gaps if each.seconds * 1000 >= min_ms]
