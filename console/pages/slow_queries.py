"""Which reads took longest."""

from django.conf import settings
from django.http import HttpRequest
from django.template.response import TemplateResponse

from console.registry import Page
from console.site import render
from console.slow_queries import slowest

SHOWN = 100


def slow_queries(request: HttpRequest) -> TemplateResponse:
    title = "Slow queries"
    return render(
        request, "console/slow_queries.html", title, queries=slowest(SHOWN), threshold_ms=settings.SLOW_QUERY_MS
    )


pages = [
    Page(
        "slow-queries",
        "console-slow-queries",
        slow_queries,
        title="Slow queries",
        section="Service",
        icon="timer",
        order=60,
    )
]
