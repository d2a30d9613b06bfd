"""Every error answer of the project: which status an exception has, and how it looks in which namespace."""

import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from math import ceil
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, MethodNotAllowed, NotFound
from rest_framework.response import Response

from api.errors import UnprocessableParameters
from api.rendering import ENCODER
from console import errors as pages
from database.errors import Kind, QueryTimeout, classify

logger = structlog.get_logger(__name__)

Body = dict[str, Any]

# The first prefix that fits decides: the longest come first. 422 lists look the same everywhere.
SHAPES: tuple[tuple[str, Callable[[int, str], Body]], ...] = (
    ("/api/v1/cache/", lambda status, detail: {"detail": detail}),
    ("/api/v1/", lambda status, detail: {"detail": detail, "status_code": status}),
    ("/", lambda status, detail: {"detail": detail}),
)
# Neither the server nor its tables are to blame for these: our SQL is wrong.
OUR_FAULTS = (ProgrammingError, DataError, IntegrityError, NotSupportedError)
LOG_INTERVAL_S = 10
DATABASE_FAILURES = {"gone": "cannot be reached", "busy": "is locked", "schema": "lacks a table, column or index"}
last_logged: dict[Kind, float] = {}


def error_body(path: str, status: int, detail: str) -> Body:
    """The body of an error answer, in the shape of the namespace that ``path`` lies in."""
    shape = next((shape for prefix, shape in SHAPES if path.startswith(prefix)), SHAPES[-1][1])
    return shape(status, detail)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Django REST framework's EXCEPTION_HANDLER: an answer for every exception of a view, foreseen or not."""
    if isinstance(error, UnprocessableParameters):
        return Response({"detail": error.errors}, status=422)
    status, detail = describe(error)
    return Response(error_body(context["request"].path, status, detail), status=status, headers=extra_headers(error))


def describe(error: Exception) -> tuple[int, str]:
    """The status and the text that tell a client about ``error``; nothing internal is in the text."""
    match error:
        case MethodNotAllowed():
            return 405, "Method Not Allowed"
        case NotFound(detail=NotFound.default_detail) | Http404():
            return 404, "Not Found"
        case APIException():
            return error.status_code, str(error.detail)
        case PermissionDenied():
            return 403, "Forbidden"
        case SuspiciousOperation() | BadRequest():
            return 400, "Bad Request"
        case QueryTimeout():
            return 504, str(error)
        case DatabaseError():
            return describe_database_error(error)
    logger.error("unexpected error", exc_info=error)
    return 500, "Internal server error"


def describe_database_error(error: DatabaseError) -> tuple[int, str]:
    kind = classify(error)
    if kind == "timeout":
        return 504, f"Query timeout after {settings.QUERY_TIMEOUT_SECONDS} seconds"
    if kind == "other" and isinstance(error, OUR_FAULTS):
        logger.error("unexpected database error", exc_info=error)
        return 500, "Internal server error"
    log_database_error(kind, error)
    return 503, "Database service unavailable"


def log_database_error(kind: Kind, error: DatabaseError) -> None:
    """Says what the database lacks, once in a while: under load every request fails for the same reason."""
    now = time.monotonic()
    if now - last_logged.get(kind, -LOG_INTERVAL_S) < LOG_INTERVAL_S:
        return
    last_logged[kind] = now
    what = DATABASE_FAILURES.get(kind, "cannot be used")
    logger.error(f"database {what}: {settings.ENVIRONMENT.database_place}: {error}")


def extra_headers(error: Exception) -> dict[str, str]:
    wait = getattr(error, "wait", None)
    authenticate = getattr(error, "auth_header", None)
    headers = {"Retry-After": str(ceil(wait))} if wait else {}
    return headers | {"WWW-Authenticate": authenticate} if authenticate else headers


def error_response(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """An error answer outside Django REST framework."""
    return json_response(error_body(request.path, status, detail), status)


def json_response(body: Any, status: int = 200) -> HttpResponse:
    """Any body as the compact JSON that the REST views answer too."""
    return HttpResponse(ENCODER.encode(body), status=status, content_type="application/json")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, 400, "Bad Request")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if pages.is_console(request):
        return pages.forbidden(request, exception)
    return error_response(request, 403, "Forbidden")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if pages.is_console(request):
        return pages.missing(request, exception)
    return error_response(request, 404, "Not Found")


def server_error(request: HttpRequest) -> HttpResponse:
    if pages.is_console(request):
        return pages.broken(request, sys.exception())
    return error_response(request, 500, "Internal server error")


def get_only(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A plain view that answers GET alone, as the REST views do; HEAD is refused like any other method."""

    # Nothing that could be forged: the answer to a POST is 405.
    @csrf_exempt
    @wraps(view)
    def only_get(request: HttpRequest) -> HttpResponse:
        if request.method == "GET":
            return view(request)
        response = error_response(request, 405, "Method Not Allowed")
        response["Allow"] = "GET"
        return response

    return only_get
