"""One table decides how errors look; whatever happens in a view, the answer is JSON and tells nothing internal."""

import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404
from django.test import Client
from rest_framework.exceptions import MethodNotAllowed, NotFound, Throttled

from api.errors import BadRequest, ServiceUnavailable, TooManyStreams, UnprocessableParameters
from database.errors import QueryTimeout
from liqui import errors


def handled(error: Exception, path: str = "/api/liquidations") -> Any:
    return errors.exception_handler(error, {"request": SimpleNamespace(path=path)})


@pytest.fixture(autouse=True)
def nothing_logged_yet() -> None:
    errors.last_logged.clear()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/nothing", {"detail": "Not Found"}),
        ("/api/nothing", {"detail": "Not Found"}),
        ("/api/v1/nothing", {"detail": "Not Found", "status_code": 404}),
        ("/api/v1/cache/nothing", {"detail": "Not Found"}),
        ("/api/v1", {"detail": "Not Found"}),
        ("/api/%00%1b%ff", {"detail": "Not Found"}),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_path_is_answered_in_the_shape_of_its_namespace(
    client: Client, settings: Any, path: str, body: dict[str, Any], debug: bool
) -> None:
    settings.DEBUG = debug
    response = client.get(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    assert response.json() == body


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (NotFound(), 404, "Not Found"),
        (Http404("secret"), 404, "Not Found"),
        (NotFound("No data found for the given parameters"), 404, "No data found for the given parameters"),
        (MethodNotAllowed("PUT"), 405, "Method Not Allowed"),
        (
            BadRequest("start_timestamp must be before end_timestamp"),
            400,
            "start_timestamp must be before end_timestamp",
        ),
        (SuspiciousOperation("too many fields"), 400, "Bad Request"),
        (QueryTimeout(30), 504, "Query timeout after 30 seconds"),
        (OperationalError(2002, "Can't connect"), 503, "Database service unavailable"),
        (OperationalError(1205, "Lock wait timeout"), 503, "Database service unavailable"),
        (OperationalError("database is locked"), 503, "Database service unavailable"),
        (ProgrammingError(1146, "Table 'x' doesn't exist"), 503, "Database service unavailable"),
        (InterfaceError(0, ""), 503, "Database service unavailable"),
        (OperationalError(3024, "maximum statement execution time exceeded"), 504, "Query timeout after 30 seconds"),
        (ProgrammingError(1064, "You have an error in your SQL syntax"), 500, "Internal server error"),
        (KeyError("secret"), 500, "Internal server error"),
    ],
)
def test_every_exception_has_a_status_and_a_text(error: Exception, status: int, detail: str) -> None:
    response = handled(error)
    assert (response.status_code, response.data) == (status, {"detail": detail})
    assert handled(error, "/api/v1/x").data == {"detail": detail, "status_code": status}


@pytest.mark.parametrize("path", ["/api/x", "/api/v1/x", "/api/v1/cache/x"])
def test_a_422_is_the_list_form_in_every_namespace(path: str) -> None:
    items = [{"type": "missing", "loc": ["query", "symbol"], "msg": "Field required", "input": None}]
    response = handled(UnprocessableParameters(items), path)
    assert (response.status_code, response.data) == (422, {"detail": items})


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(TooManyStreams(), "5"), (ServiceUnavailable("later", retry_after=7), "7"), (Throttled(wait=2.5), "3")],
)
def test_an_error_that_passes_says_when_to_try_again(error: Exception, seconds: str) -> None:
    assert handled(error)["Retry-After"] == seconds


def test_a_database_that_is_away_is_logged_once_and_without_its_password(
    caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    for _ in range(3):
        handled(OperationalError(2003, "Can't connect to server"))
    handled(OperationalError(1205, "Lock wait timeout"))
    lines = [record.msg["event"] for record in caplog.records]  # type: ignore[index]
    assert len(lines) == 2
    assert settings.ENVIRONMENT.database_place in lines[0]
    assert "Can't connect to server" in lines[0]


def test_an_unforeseen_exception_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    handled(KeyError("x"))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.msg["exc_info"], KeyError)  # type: ignore[index]


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/api/metrics", "/api/symbols", "/api/liquidations"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW"])
def test_another_method_than_get_is_405_and_says_which_is_allowed(client: Client, path: str, method: str) -> None:
    response = client.generic(method, path)
    assert (response.status_code, response["Allow"]) == (405, "GET")
    assert method == "HEAD" or response.json() == {"detail": "Method Not Allowed"}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/api/symbols/", "/api/symbols"),
        ("/api/liquidations/?symbol=%E5%B8%81&x=1", "/api/liquidations?symbol=%E5%B8%81&x=1"),
        ("/health/", "/health"),
        ("/api/schema", "/api/schema/"),
    ],
)
def test_a_wrong_slash_at_the_end_is_redirected_with_the_query_kept(client: Client, path: str, location: str) -> None:
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (307, location)


@pytest.mark.parametrize("path", ["//example.org/", "/api/nothing/", "/api//", "/api/symbols//"])
def test_a_slash_alone_leads_nowhere_that_is_not_known(client: Client, path: str) -> None:
    # Not as the URL, which the client would take apart as a browser does.
    assert client.get("/", PATH_INFO=path).status_code == 404


def test_too_many_parameters_are_a_400(client: Client) -> None:
    response = client.get("/api/liquidations", query_params={f"p{number}": "1" for number in range(2000)})
    assert (response.status_code, response.json()) == (400, {"detail": "Bad Request"})


@pytest.mark.parametrize(
    ("view", "status"),
    [(errors.bad_request, 400), (errors.permission_denied, 403), (errors.not_found, 404), (errors.server_error, 500)],
)
def test_djangos_own_errors_have_the_same_shape(rf: Any, view: Callable[..., Any], status: int) -> None:
    response = view(rf.get("/api/v1/x"))
    assert response.status_code == status
    assert json.loads(response.content)["status_code"] == status
