"""Kept answers before everything else: as the first middleware everywhere, before all of Django under WSGI.

Both ways use one function. A hit carries the headers and is counted by the metrics that it would have met on its way
through all of Django; it is not logged.
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.module_loading import import_string

from cachemgmt.answers import COMMON_HEADERS, Answer
from cachemgmt.hits import Environ, hit
from cachemgmt.responses import JSON, http_response
from liqui.metrics import hit_figures
from liqui.request_log import request_id_for

logger = structlog.get_logger(__name__)

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

# All that they do to an answer to GET is to add headers, which depend on nothing but the origin and the scheme.
HEADER_MIDDLEWARE = (
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "liqui.content_security.ContentSecurityMiddleware",
)
# In the environ of requests that are no hits: asking once more would take as long, and count twice at the gates.
SEEN = "liqui.hits.seen"
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

# Kinds of our own errors that have been logged.
logged: set[type[Exception]] = set()


def answer(environ: Environ) -> Answer | None:
    """The whole answer to this request if it is a hit, or None: then it is Django's. Never raises."""
    started = time.perf_counter()
    try:
        is_secure = is_https(environ)
        if settings.SECURE_SSL_REDIRECT and not is_secure:
            return None
        found = hit(environ)
        if found is None:
            return None
        found.headers.extend(common_headers(environ.get("HTTP_ORIGIN", ""), is_secure))
        found.headers.append(("X-Request-ID", request_id_for(environ)))
        figures = hit_figures(environ["PATH_INFO"], found.status, is_secure)
        figures.count(len(found.body), time.perf_counter() - started)
        return found
    except Exception as error:
        if type(error) not in logged:
            logged.add(type(error))
            logger.exception("hits are left to Django", exc_info=error)
        return None


def is_https(environ: Environ) -> bool:
    """As `HttpRequest.is_secure` has it."""
    scheme = environ["wsgi.url_scheme"]
    if settings.SECURE_PROXY_SSL_HEADER:
        name, _ = settings.SECURE_PROXY_SSL_HEADER
        scheme = environ.get(name, scheme).partition(",")[0].strip()
    return scheme == "https"


@lru_cache(maxsize=128)
def common_headers(origin: str, is_secure: bool) -> list[tuple[str, str]]:
    """What every answer carries, and what middleware adds to it: Django's own, asked once, so that it is the same."""

    def get_response(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse(headers=COMMON_HEADERS, content_type=JSON)

    handler: Callable[[HttpRequest], HttpResponseBase] = get_response
    for name in HEADER_MIDDLEWARE:
        if name in settings.MIDDLEWARE:
            handler = import_string(name)(handler)
    request = WSGIRequest(
        {
            "REQUEST_METHOD": "GET",
            "HTTP_ORIGIN": origin,
            "wsgi.url_scheme": "https" if is_secure else "http",
            "wsgi.input": BytesIO(),
        }
    )
    response = handler(request)
    del response["Content-Type"]
    return list(response.items())


class HitMiddleware:
    """The first of all: hits meet no other. Has nothing to do for what `HitsFirst` has let pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if SEEN in request.META:
            return self.get_response(request)
        # ASGI's requests have no such variable.
        request.META.setdefault("wsgi.url_scheme", request.scheme)
        found = answer(request.META)
        return self.get_response(request) if found is None else http_response(found)


class HitsFirst:
    """A WSGI application that answers hits and leaves the rest to ``django``."""

    def __init__(self, django: WSGIApplication) -> None:
        self.django = django

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = answer(environ)
        if found is None:
            environ[SEEN] = True
            return self.django(environ, start_response)
        start_response(STATUS_LINES[found.status], found.headers)
        return [found.body]
