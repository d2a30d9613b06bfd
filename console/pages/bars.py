"""Bars: how far they reach, and asking for them to be compared with the table or made again."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.fields import SymbolField, UtcField, check_window
from console.jobs import job_active, job_start
from console.models import Job
from console.registry import Page
from console.site import render
from console.texts import number, span, utc_time
from database.errors import QueryTimeout
from database.reading import reading
from liquidations.bars import bars_status
from liquidations.domain import MAX_TIMESTAMP_MS, format_timeframe
from liquidations.models import StaleBarDay

SHOWN_SYMBOLS = 20
SHOWN_JOBS = 10
COUNT_SECONDS = 1
KINDS = {"verify": "bars.verify", "rebuild": "bars.rebuild"}


class BarsForm(forms.Form):
    symbol = SymbolField(placeholder="all")
    start = UtcField("From", 0)
    end = UtcField("Until", MAX_TIMESTAMP_MS)

    def clean(self) -> dict[str, Any]:
        check_window(self.cleaned_data)
        return self.cleaned_data


def bars(request: HttpRequest, form: BarsForm | None = None) -> HttpResponseBase:
    status = bars_status()
    jobs = list(Job.objects.filter(kind__in=KINDS.values()).order_by("-id")[:SHOWN_JOBS])
    context = {
        "form": form or BarsForm(),
        "status": status,
        "built_until": utc_time(status.built_until_ms),
        "lag": span(None if status.lag_ms is None else status.lag_ms / 1000),
        "reread": span(settings.BARS_REREAD_SECONDS),
        "counts": bars_counted(),
        "stale": StaleBarDay.objects.values("symbol")
        .annotate(days=Count("day_ms"))
        .order_by("-days", "symbol")[:SHOWN_SYMBOLS],
        "jobs": jobs,
        "differing": jobs[0] if jobs and is_repairable(jobs[0]) else None,
        "running": running_job(),
    }
    return render(request, "console/bars.html", "Bars", **context)


def bars_counted() -> list[tuple[str, str]] | None:
    """(timeframe, bars) of each; None when there are too many to count in a moment."""
    try:
        with reading(COUNT_SECONDS) as reader:
            rows = reader.rows("SELECT interval_ms, COUNT(*) FROM liquidation_bars GROUP BY interval_ms ORDER BY 1")
    except QueryTimeout:
        return None
    return [(format_timeframe(interval_ms), number(count)) for interval_ms, count in rows]


def is_repairable(job: Job) -> bool:
    return job.kind == "bars.verify" and bool(job.result.get("differences")) and not job.result.get("repaired")


def running_job() -> Job | None:
    return next((job for job in map(job_active, KINDS.values()) if job), None)


@require_POST
def verify(request: HttpRequest) -> HttpResponseBase:
    return start(request, "verify", repair=False)


@require_POST
def rebuild(request: HttpRequest) -> HttpResponseBase:
    return start(request, "rebuild")


def start(request: HttpRequest, verb: str, **arguments: Any) -> HttpResponseBase:
    form = BarsForm(request.POST)
    if not form.is_valid():
        return bars(request, form)
    asked = form.cleaned_data
    return job_redirect(request, verb, asked["symbol"], start_ms=asked["start"], end_ms=asked["end"], **arguments)


@require_POST
def repair(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """Build again what a verification has found, by the same window."""
    verified = Job.objects.filter(pk=job_id).first()
    if verified is None or not is_repairable(verified):
        messages.error(request, "There is nothing to repair: this verification found no difference, or is gone.")
        return redirect("admin:console-bars")
    return job_redirect(request, "verify", verified.target, **verified.arguments | {"repair": True})


def job_redirect(request: HttpRequest, verb: str, symbol: str, **arguments: Any) -> HttpResponseBase:
    """Start the job, unless one is under way: two would only wait for each other's locks."""
    running = running_job()
    if running is not None:
        messages.warning(request, "Another one is under way; this is it.")
        return redirect("admin:console-job", running.pk)
    actor = console_actor(request)
    record(actor, f"bars.{'repair' if arguments.get('repair') else verb}", symbol, **arguments)
    return redirect("admin:console-job", job_start(KINDS[verb], actor, symbol, **arguments).pk)


pages = [
    Page("bars", "console-bars", bars, title="Bars", section="Data", icon="candlestick_chart", order=30),
    Page("bars/verify", "console-bars-verify", verify, Role.OPERATOR),
    Page("bars/rebuild", "console-bars-rebuild", rebuild, Role.OPERATOR),
    Page("bars/repair/<int:job_id>", "console-bars-repair", repair, Role.OPERATOR),
]
