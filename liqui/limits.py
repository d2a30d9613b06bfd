"""How many requests a client may make: counted before cached hits and before every view, refused with 429."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from prometheus_client import Counter

from accounts.callers import Caller, anonymous
from accounts.identify import BadCredentials, identify_quickly
from accounts.limits import buckets, rate
from accounts.limits.bucket import Verdict
from accounts.roles import Role, role_of
from api.addresses import client_address
from cachemgmt.hits import Environ
from liqui.errors import error_response

LIMITED = Counter("liqui_rate_limited", "Requests refused because their client had made too many", ["kind"])

# What is asked by probes, scrapers and people who look around.
SKIPPED = frozenset({"/", "/health", "/docs", "/redoc", "/openapi.json", "/metrics", "/api/metrics"})
CONSOLE = "/admin/"
# In the environ of requests that have been counted.
COUNTED = "liqui.limits.counted"


def gate(environ: Environ) -> list[tuple[str, str]] | None:
    """For `cachemgmt.hits.gates`: what a hit says of the limit; None where it is to be refused."""
    verdict = counted(environ)
    if verdict is None:
        return []
    return limit_headers(verdict) if verdict.is_allowed else None


class RateLimitMiddleware:
    """Refuses what is too much, and says on every other answer how much is left. Without a limit there is none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if rate() is None:
            raise MiddlewareNotUsed("RATE_LIMIT_PER_MINUTE is 0")
        self.get_response = get_response
        self.static_path = urlsplit(settings.STATIC_URL).path

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        verdict = counted(request.META) if self.is_limited(request) else None
        if verdict is None:
            return self.get_response(request)
        response = self.get_response(request) if verdict.is_allowed else refusal(request, verdict)
        for name, value in limit_headers(verdict):
            response[name] = value
        return response

    def is_limited(self, request: HttpRequest) -> bool:
        if request.path_info in SKIPPED or request.path.startswith(self.static_path):
            return False
        return not (request.path_info.startswith(CONSOLE) and is_in_console(request))


def is_in_console(request: HttpRequest) -> bool:
    """Whether somebody has signed in who may see the console, whose pages refresh themselves all the time."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    try:
        return role_of(getattr(request, "user", None)) >= Role.VIEWER
    except DatabaseError:
        # The view will say so.
        return False


def counted(environ: Environ) -> Verdict | None:
    """What the limit says of this request, which is counted once, however often that is asked. None: uncounted."""
    if COUNTED not in environ:
        environ[COUNTED] = count(environ)
    return environ[COUNTED]


def count(environ: Environ) -> Verdict | None:
    limit = rate()
    if limit is None:
        return None
    caller = caller_of(environ)
    verdict = buckets().spend(caller.bucket, limit)
    if verdict is not None and not verdict.is_allowed:
        LIMITED.labels(caller.kind).inc()
    return verdict


def caller_of(environ: Environ) -> Caller:
    """Who is counted: the holder of the credentials if they are good, else the address."""
    try:
        caller = identify_quickly(environ)
    except (BadCredentials, DatabaseError):
        caller = None
    return caller or anonymous(client_address(environ))


def limit_headers(verdict: Verdict) -> list[tuple[str, str]]:
    return [
        ("X-RateLimit-Limit", str(verdict.rate.burst)),
        ("X-RateLimit-Remaining", str(verdict.remaining)),
        ("X-RateLimit-Reset", str(verdict.reset_s)),
    ]


def refusal(request: HttpRequest, verdict: Verdict) -> HttpResponse:
    seconds = verdict.retry_after_s
    limit = f"{verdict.rate.per_minute} a minute are allowed"
    response = error_response(request, 429, f"Too many requests: {limit}; try again in {seconds} s")
    response["Retry-After"] = str(seconds)
    return response


def limits_health(redis: dict[str, Any]) -> dict[str, Any]:
    """For /health; ``redis`` is what that says of Redis itself, which a process finds out that has counted nothing."""
    limit = rate()
    if limit is None:
        return {"status": "disabled", "message": "no rate limit"}
    what = f"{limit.per_minute} requests a minute, {limit.burst} at once"
    trouble = buckets().trouble or (redis["message"] if redis["status"] == "degraded" else "")
    if trouble:
        return {"status": "degraded", "message": f"{what}: not enforced now ({trouble})"}
    return {"status": "healthy", "message": f"{what}, counted in {buckets().name}"}
