"""Errors inside the console as pages: what happened, and what one can do now."""

from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts.roles import Role, role_of
from console.site import render
from database.errors import QueryTimeout, classify

logger = structlog.get_logger(__name__)

ROOT = "/admin/"
TRY_AGAIN_S = 5


def is_console(request: HttpRequest) -> bool:
    return request.path_info.startswith(ROOT)


def page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    """In the console's frame, with its navigation."""
    response = render(request, "console/error.html", title, text=text)
    response.status_code = status
    return response.render()


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    needed = str(exception or "") or "This needs another role than yours"
    text = f"{needed}. You are signed in as {request.user.get_username()}, with the role of {role_named(request)}."
    return page(request, 403, "Not permitted", f"{text} An administrator can give you another one, under Users.")


def role_named(request: HttpRequest) -> str:
    role = role_of(request.user)
    return "no role in the console" if role < Role.VIEWER else role.label


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    # What the URL resolver raises has a dict in it.
    said = next((text for text in getattr(exception, "args", ()) if isinstance(text, str)), "")
    return page(request, 404, "Not found", said or "There is no such page, or what it was about is gone.")


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    context = {
        "title": "This form is too old",
        "text": "It was made before you signed in, or your browser sends no cookies. Go back, reload and try again.",
    }
    return bare(403, context)


def broken(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    """Whatever a page has raised. The frame itself needs the database, so without one there is a page without it."""
    if isinstance(error, QueryTimeout):
        text = f"{error}. Ask for less: one symbol, a shorter time."
        return in_frame_if_possible(request, 504, "That took too long", text)
    if isinstance(error, DatabaseError) and classify(error) in ("gone", "busy", "schema"):
        logger.error(f"the console cannot use the database: {error}")
        return away(request)
    text = "This is a fault of liqui; its log says more."
    return in_frame_if_possible(request, 500, "Something went wrong", text)


def in_frame_if_possible(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    try:
        return page(request, status, title, text)
    except Exception as error:
        # Whatever it was, it may be what has broken the frame too.
        logger.warning("the console's frame cannot be shown", error=str(error))
        return bare(status, {"title": title, "text": text})


def away(request: HttpRequest) -> HttpResponse:
    context = {
        "title": "The database is away",
        "text": "The console needs it to know who you are. This page tries again by itself every few seconds.",
        "again_s": TRY_AGAIN_S,
    }
    return bare(503, context)


def bare(status: int, context: dict[str, Any]) -> HttpResponse:
    """A page that needs neither session nor user, and nothing of the database."""
    return HttpResponse(render_to_string("console/bare.html", context), status=status)
