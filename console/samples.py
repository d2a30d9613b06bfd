"""Traffic and cache over the last day: the counts of all processes, noted twice a minute and kept for a day.

The processes are those that share METRICS_DIR with the Celery worker that looks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone

from cachemgmt.figures import counted
from console.models import Sample

KEPT = timedelta(days=1)
REQUESTS = "django_http_requests_before_middlewares_total"
CACHED = "liqui_cache_requests_total"
HITS, STALE, MISSES = ("hit", "coalesced", "stale"), ("stale",), ("miss", "bypass")


@dataclass(frozen=True, slots=True)
class Counts:
    at: datetime
    requests: int
    hits: int
    stale: int
    misses: int


@dataclass(slots=True)
class Point:
    """What happened in one step of a chart; ``seconds`` of it are known."""

    at: datetime
    seconds: float = 0.0
    requests: int = 0
    hits: int = 0
    misses: int = 0

    @property
    def per_second(self) -> float:
        return round(self.requests / self.seconds, 2)

    @property
    def hit_rate(self) -> float | None:
        """Percent; None where nothing cacheable was asked."""
        asked = self.hits + self.misses
        return round(100 * self.hits / asked, 1) if asked else None


def sample_take() -> None:
    totals = counted()

    def of_cache(results: Iterable[str]) -> int:
        return int(sum(value for (name, _, result), value in totals.items() if name == CACHED and result in results))

    Sample.objects.create(
        requests=int(totals[REQUESTS, "", ""]), hits=of_cache(HITS), stale=of_cache(STALE), misses=of_cache(MISSES)
    )
    Sample.objects.filter(at__lt=timezone.now() - KEPT).delete()


def sample_last() -> datetime | None:
    """When Celery noted the last one; None: never within the day."""
    return Sample.objects.order_by("-at").values_list("at", flat=True).first()


def points(span: timedelta, step: timedelta) -> list[Point]:
    """Of the time until now, the earliest first; a step of which nothing is known is left out."""
    rows = Sample.objects.filter(at__gte=timezone.now() - span).order_by("at")
    return points_between([Counts(*row) for row in rows.values_list("at", "requests", "hits", "stale", "misses")], step)


def points_between(counts: Sequence[Counts], step: timedelta) -> list[Point]:
    found: dict[datetime, Point] = {}
    for before, after in pairwise(counts):
        start = after.at - (after.at - datetime.min.replace(tzinfo=after.at.tzinfo)) % step
        point = found.setdefault(start, Point(start))
        point.seconds += (after.at - before.at).total_seconds()
        point.requests += increase(before.requests, after.requests)
        point.hits += increase(before.hits, after.hits)
        point.misses += increase(before.misses, after.misses)
    return [point for point in found.values() if point.seconds]


def increase(before: int, after: int) -> int:
    # A restart begins at zero: what there is has been counted since.
    return after - before if after >= before else after
