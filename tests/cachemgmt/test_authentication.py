"""Signing in for operators: Django's admin, its cookies, and what it costs everybody else."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import order
from tests.liqui.serving import manage
from tools.check import deployed


def test_a_superuser_made_on_the_command_line_can_sign_in(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long pass of words")
    call_command("createsuperuser", "--noinput", username="operator", email="", verbosity=0)
    assert User.objects.get().is_staff
    browser = Client()
    form = {"username": "operator", "password": "a long pass of words", "next": "/admin/"}
    assert browser.post("/admin/login/", form).headers["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/api/cache/stats").status_code == 200
    browser.post("/admin/logout/")
    assert browser.get("/api/cache/stats").status_code == 401


def test_the_sign_in_page_is_there_with_its_styles_and_with_its_slash(db: None, client: Client) -> None:
    assert client.get("/admin").headers["Location"] == "/admin/"
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    page = client.get("/admin/login/")
    assert page.status_code == 200
    assert "/static/unfold/css/styles.css" in page.content.decode()
    style: Any = client.get("/static/unfold/css/styles.css")
    assert (style.status_code, bool(style.getvalue())) == (200, True)


def test_a_forged_sign_in_is_refused(db: None) -> None:
    User.objects.create_user("staff", password="pass of staff", is_staff=True)
    form = {"username": "staff", "password": "pass of staff"}
    assert Client(enforce_csrf_checks=True).post("/admin/login/", form).status_code == 403


@pytest.mark.parametrize("path", ["/", "/x", "/metrics", "/health", "/api/symbols"])
def test_a_post_elsewhere_is_refused_as_ever_and_not_for_want_of_a_token(path: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(path)
    assert answer.status_code == (404 if path == "/x" else 405)


def test_a_request_for_data_looks_at_neither_session_nor_user(write: Any, client: Client, uncached: None) -> None:
    write([order()])
    browser = Client()
    browser.force_login(User.objects.create_user("staff", password="x", is_staff=True))
    for path in ("/api/symbols", "/api/liquidation-orders?symbol=BTCUSDT&limit=5"):
        client.get(path)
        with CaptureQueriesContext(connection) as anonymous:
            client.get(path)
        with CaptureQueriesContext(connection) as signed_in:
            browser.get(path)
        assert len(signed_in) == len(anonymous)
        assert not any("session" in query["sql"] for query in signed_in.captured_queries)


def test_the_schema_says_how_to_get_in_and_that_data_needs_nothing(client: Any) -> None:
    schema = client.get("/openapi.json").json()
    schemes = {name: scheme.get("name") for name, scheme in schema["components"]["securitySchemes"].items()}
    assert schemes == {"bearer": None, "apiKey": "X-API-Key", "token": "X-Liqui-Token"}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            is_for_operators = path.startswith("/api/cache/") or path == "/api/v1/refresh-symbols"
            assert bool(operation.get("security")) == (is_for_operators or path == "/api/v1/auth/me"), path
            assert ({"401", "403"} <= operation["responses"].keys()) == is_for_operators, path


def test_cookies_are_for_https_alone_where_https_is_required(tmp_path: Any) -> None:
    code = "from django.conf import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    printed = manage("shell", "--no-imports", "-c", code, home=tmp_path, HTTPS_ONLY="1")
    assert printed.stdout.split() == ["True", "True"]
    assert manage("shell", "--no-imports", "-c", code, home=tmp_path).stdout.split() == ["False", "False"]


def test_the_deployment_check_has_nothing_to_say_and_nothing_is_silenced(tmp_path: Any) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", home=tmp_path, **deployed())
    assert done.returncode == 0, done.stderr
    assert "(0 silenced)" in done.stdout
