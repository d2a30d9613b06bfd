"""The first page: how everything is. A card for each question, and each asks for itself again and again.

One that is slow or broken does not hold the others. Together they stay far below a hundred requests a minute.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from console import transfers
from console.health import parts
from console.live_rate import COLLECTED_FEEDS, NoIndex, live_rate
from console.registry import Page
from console.samples import Point, points
from console.site import render
from console.slow_queries import slowest
from database.errors import QueryTimeout
from liquidations.bars import bars_status, reread_ms
from marketdata.clock import clock_ms
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS
from streams.gaps import gaps

DAY_MS = 86_400_000
SPANS = {"hour": (timedelta(hours=1), timedelta(minutes=1)), "day": (timedelta(days=1), timedelta(minutes=15))}
# Bars stay so far behind by design; beat asks for them every minute.
BARS_GRACE_MS = 15 * 60_000


@dataclass(frozen=True)
class Card:
    """``figures`` answers what its template shows; ``link``: the name of the page that tells more."""

    name: str
    title: str
    every_s: int
    figures: Callable[[HttpRequest], dict[str, Any]]
    link: str = ""
    link_text: str = ""

    @property
    def template(self) -> str:
        return f"console/dashboard/{self.name}.html"


def health(request: HttpRequest) -> dict[str, Any]:
    return {"parts": list(parts())}


def rate(request: HttpRequest) -> dict[str, Any]:
    found = live_rate()
    labels = [clock(open_ms / 1000) for open_ms, _ in found.minutes]
    counts = [count for _, count in found.minutes]
    said = f"Liquidations a minute over the last hour: between {min(counts)} and {max(counts)}."
    return {"rate": found, "chart": chart(labels, counts), "said": said}


def traffic(request: HttpRequest) -> dict[str, Any]:
    """Requests and cache, as far back as the person has asked."""
    found = points(*SPANS[span_of(request)])
    labels = [clock(point.at.timestamp()) for point in found]
    known = [point.hit_rate for point in found if point.hit_rate is not None]
    return {
        "points": found,
        "hit_rate": total_hit_rate(found),
        "requests": chart(labels, [point.per_second for point in found]),
        "hits": chart(labels, [point.hit_rate for point in found]),
        "requests_said": f"Requests a second: at most {max((point.per_second for point in found), default=0)}.",
        "hits_said": f"Hit rate: {min(known)} to {max(known)} percent." if known else "Nothing cacheable was asked.",
    }


def bars(request: HttpRequest) -> dict[str, Any]:
    status = bars_status()
    built_ms, lag_ms = status.built_until_ms, status.lag_ms
    return {
        "status": status,
        "built_until": None if built_ms is None else datetime.fromtimestamp(built_ms / 1000, UTC),
        "lag_s": None if lag_ms is None else lag_ms / 1000,
        "behind_s": reread_ms() / 1000,
        "is_late": lag_ms is not None and lag_ms > reread_ms() + BARS_GRACE_MS,
    }


def day_gaps(request: HttpRequest) -> dict[str, Any]:
    now_ms = clock_ms()
    found = gaps(ALL_LIQUIDATIONS, now_ms - DAY_MS, now_ms, now_ms)
    return {
        "is_collected": settings.LIQUI_FEED in COLLECTED_FEEDS,
        "gaps": found,
        "uncovered_s": sum(each.seconds for each in found),
        "longest_s": max((each.seconds for each in found), default=0),
        "goes_on": any(each.end_ms is None for each in found),
    }


def slow(request: HttpRequest) -> dict[str, Any]:
    return {"queries": slowest(5), "threshold_ms": settings.SLOW_QUERY_MS}


def activity(request: HttpRequest) -> dict[str, Any]:
    return {"transfers": transfers.last(6)}


CARDS = {
    card.name: card
    for card in (
        Card("health", "Health", 5, health),
        Card("rate", "Live liquidations", 5, rate, "console-orders", "Orders"),
        Card("traffic", "Traffic and cache", 30, traffic, "console-cache", "Cache"),
        Card("bars", "Bars", 15, bars, "console-bars", "Bars"),
        Card("gaps", "Gaps of the last day", 30, day_gaps, "console-gaps", "Gaps"),
        Card("slow", "Slowest queries of the last day", 30, slow, "console-slow-queries", "All"),
        Card("activity", "Last imports and exports", 15, activity, "accounts_auditentry_changelist", "Audit log"),
    )
}


def dashboard(request: HttpRequest) -> TemplateResponse:
    return render(
        request, "console/dashboard.html", "Dashboard", cards=CARDS.values(), span=span_of(request), spans=SPANS
    )


def part(request: HttpRequest, name: str) -> TemplateResponse:
    """The inside of one card."""
    card = CARDS.get(name)
    if card is None:
        raise Http404
    try:
        figures = card.figures(request)
    except (QueryTimeout, NoIndex, DatabaseError) as error:
        # The card says it. A database that is away does not let a request come so far.
        return render(request, "console/dashboard/unknown.html", card.title, error=error, now=timezone.now())
    return render(request, card.template, card.title, now=timezone.now(), **figures)


def span_of(request: HttpRequest) -> str:
    asked = request.GET.get("span", "hour")
    return asked if asked in SPANS else "hour"


def total_hit_rate(found: list[Point]) -> float | None:
    hits, misses = sum(point.hits for point in found), sum(point.misses for point in found)
    return round(100 * hits / (hits + misses), 1) if hits + misses else None


def chart(labels: list[str], values: list[Any]) -> str:
    return json.dumps({"labels": labels, "datasets": [{"data": values}]})


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


pages = [
    Page("", "index", dashboard, title="Dashboard", section="Overview", icon="dashboard", order=1),
    Page("dashboard/<slug:name>", "console-dashboard-part", part),
]
