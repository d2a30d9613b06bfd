"""The cache: what it holds and saves, warming it, and Redis when it is in trouble."""

from collections import Counter
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.audit import console_actor, record
from accounts.roles import Role
from cachemgmt.figures import RESULTS, breakers_open
from cachemgmt.operations import cache_stats
from cachemgmt.registry import namespaces
from cachemgmt.stores import store
from cachemgmt.types import Figures, Key
from console.jobs import job_active, job_start
from console.models import Job
from console.pages.jobs import job_texts
from console.registry import Page
from console.site import render
from console.texts import UNKNOWN, byte_size, span

WARM = "cache.warm"
SERVED_FROM_CACHE = ("hits", "stale", "coalesced")
NO_ANSWER = Key("", "", "")
# The breaker's longest pause between two attempts.
OTHERS_FIND_OUT = "within 3 seconds"


@require_safe
def cache(request: HttpRequest) -> HttpResponseBase:
    job = job_active(WARM)
    return render(request, "console/cache.html", "Cache", **figures(), **(job_texts(job) if job else {}))


@require_safe
def cache_figures(request: HttpRequest) -> HttpResponseBase:
    """The part of the page that refreshes itself."""
    return render(request, "console/cache_figures.html", "Cache", **figures())


def figures() -> dict[str, Any]:
    stats = cache_stats()
    traffic = stats["namespaces"]
    total: Counter[str] = Counter()
    for each in traffic.values():
        total.update(each)
    return {
        "as_of": timezone.now(),
        "store": stats["store"],
        "has_redis": bool(settings.ENVIRONMENT.redis_url),
        "trouble": store().trouble,
        "open_in": breakers_open(),
        "openings": stats["breaker"]["openings"],
        "epoch": store().read(NO_ANSWER).epoch,
        "memory": memory_used(stats),
        "is_all": stats["namespaces_complete"],
        "total": namespace_texts(total),
        "namespaces": [
            namespace_texts(found) | {"name": name, "path": namespaces[name].path} for name, found in traffic.items()
        ],
        "warming": stats["warming"] and warming_texts(stats["warming"]),
        "is_busy": bool(job_active(WARM)) or bool(stats["warming"] and stats["warming"]["is_running"]),
    }


def namespace_texts(found: Figures) -> dict[str, str]:
    asked = sum(found[name] for name in RESULTS.values())
    served = sum(found[name] for name in SERVED_FROM_CACHE)
    return {
        "keys": f"{found['keys']:,}",
        "bytes": byte_size(found["bytes"]),
        "ttl": span(found["ttl_seconds"]) if found["keys"] else UNKNOWN,
        "requests": f"{asked:,}",
        "rate": f"{100 * served / asked:.1f} %" if asked else UNKNOWN,
        "saved": span(found["saved_seconds"]),
        **{name: f"{found[name]:,}" for name in RESULTS.values()},
    }


def memory_used(stats: Figures) -> str:
    if "used_memory" not in stats:
        return UNKNOWN
    used = byte_size(stats["used_memory"])
    if settings.ENVIRONMENT.redis_url:
        return used
    return f"{used} of {byte_size(settings.CACHE_MEMORY_MB << 20)}"


def warming_texts(run: dict[str, Any]) -> dict[str, Any]:
    fresh = run["done"] - run["made"] - run["failed"]
    return run | {"started": datetime.fromisoformat(run["started"]), "fresh": fresh}


@require_POST
def cache_warm(request: HttpRequest) -> HttpResponseBase:
    if trouble := store().trouble:
        messages.error(request, f"Not warmed: {trouble}. What would be made now would be thrown away when it is back.")
    elif job_active(WARM):
        messages.info(request, "The cache is being warmed already.")
    else:
        warm_start(request)
    return redirect("admin:console-cache")


def warm_start(request: HttpRequest) -> None:
    actor = console_actor(request)
    job = job_start(WARM, actor)
    has_failed = job.state == Job.State.FAILED
    record(actor, "cache.warm", outcome="failed" if has_failed else "done", job=job.pk)
    if has_failed:
        messages.error(request, f"Not warmed. {job.message}")


@require_POST
def cache_retry(request: HttpRequest) -> HttpResponseBase:
    """Close the breaker by hand: here, because whoever is told through Redis needs no telling."""
    is_used = store().retry()
    record(console_actor(request), "cache.retry", store().name, outcome="done" if is_used else "failed")
    if is_used:
        messages.success(request, f"{store().name} is used again by this process. Others find out {OTHERS_FIND_OUT}.")
    else:
        messages.error(request, f"Still in trouble: {store().trouble}. It is tried again {OTHERS_FIND_OUT}.")
    return redirect("admin:console-cache")


pages = [
    Page("cache", "console-cache", cache, title="Cache", section="Service", icon="cached", order=10),
    Page("cache/figures", "console-cache-figures", cache_figures),
    Page("cache/warm", "console-cache-warm", cache_warm, Role.OPERATOR),
    Page("cache/retry", "console-cache-retry", cache_retry, Role.OPERATOR),
]
