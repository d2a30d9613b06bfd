"""Pages of the origins in CORS_ORIGINS use the API with credentials of their own; others are told nothing."""

from typing import Any

import pytest
from django.test import Client

PAGE, OTHER_PAGE = "https://page.example", "https://other.example"
PATHS = {"/api/liquidations": "GET", "/api/v1/auth/login": "POST", "/api/v1/auth/me": "GET", "/api/cache/clear": "POST"}


@pytest.fixture
def page(settings: Any) -> Client:
    """A browser that shows the page of an origin that is allowed."""
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    return Client(headers={"Origin": PAGE})


@pytest.mark.parametrize(("path", "method"), PATHS.items())
def test_a_browser_may_send_credentials_and_forms_of_its_page(page: Client, path: str, method: str) -> None:
    wanted = "authorization,content-type,x-api-key"
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
    answer = page.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert method in answer["Access-Control-Allow-Methods"].split(", ")
    assert set(wanted.split(",")) <= set(answer["Access-Control-Allow-Headers"].split(", "))
    # Never a cookie, which somebody else's page must not make use of.
    assert "Access-Control-Allow-Credentials" not in answer
    refused = page.options(path, headers=asked | {"Origin": OTHER_PAGE})
    assert "Access-Control-Allow-Origin" not in refused


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_methods_that_no_path_has_are_not_allowed(page: Client, method: str) -> None:
    answer = page.options("/api/liquidations", headers={"Access-Control-Request-Method": method})
    assert method not in answer["Access-Control-Allow-Methods"]


@pytest.mark.django_db
def test_a_page_may_read_why_it_was_refused(page: Client) -> None:
    answer = page.post("/api/v1/auth/login", {"username": "nobody", "password": "?"}, content_type="application/json")
    assert answer.status_code == 401
    assert answer["Access-Control-Allow-Origin"] == PAGE


def test_without_the_setting_nothing_is_said_of_origins(client: Client) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    answer = client.options("/api/liquidations", headers=asked)
    assert answer.status_code == 405
    assert not any(name.startswith("Access-Control") for name in answer.headers)
