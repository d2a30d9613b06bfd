"""READ_ACCESS: kept answers are for the same people as those that are made."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import believed
from liqui import hits
from tests.accounts.people import api_key, bearer, user_make
from tests.factories import order

Write = Callable[..., Any]
PATH = "/api/liquidation-orders?symbol=BTCUSDT&limit=5"


@pytest.fixture
def kept(write: Write, settings: Any) -> None:
    """An answer that is kept, while reading is closed."""
    write([order()])
    settings.READ_ACCESS = "closed"
    headers = api_key("read")
    for state in ("miss", "hit"):
        assert Client().get(PATH, headers=headers).headers["X-Cache"] == state


def test_a_kept_answer_is_not_for_everybody_where_reading_is_closed(kept: None) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer a.b.c"}):
        answer: Any = Client().get(PATH, headers=headers)
        assert answer.status_code == 401
        assert "X-Cache" not in answer.headers
    for headers in (api_key("read"), bearer(user_make("ada"))):
        assert Client().get(PATH, headers=headers).headers["X-Cache"] == "hit"


def test_who_has_signed_in_to_the_console_may_read(kept: None) -> None:
    browser = Client()
    browser.force_login(user_make("ada", "viewer"))
    assert browser.get(PATH).headers["X-Cache"] == "hit"


def test_proxies_must_not_keep_what_not_everybody_may_read(kept: None, settings: Any) -> None:
    assert Client().get(PATH, headers=api_key("read")).headers["Cache-Control"].startswith("private, max-age")
    settings.READ_ACCESS = "open"
    assert Client().get(PATH).headers["Cache-Control"].startswith("public, max-age")


def test_wrong_credentials_are_refused_even_where_everybody_may_read(kept: None, settings: Any) -> None:
    settings.READ_ACCESS = "open"
    assert Client().get(PATH).headers["X-Cache"] == "hit"
    for headers in ({"X-API-Key": "wrong"}, {"Authorization": "Bearer a.b.c"}, {"X-Liqui-Token": "wrong"}):
        assert Client().get(PATH, headers=headers).status_code == 401


def test_the_gate_is_there_without_django_too(kept: None) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": PATH.partition("?")[0],
        "QUERY_STRING": PATH.partition("?")[2],
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "http",
    }
    assert hits.answer(environ) is None
    assert hits.answer({**environ, "HTTP_X_API_KEY": api_key("read")["X-API-Key"]}) is not None


def test_hits_look_a_key_up_once_in_a_while(kept: None) -> None:
    headers = api_key("read")
    Client().get(PATH, headers=headers)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            assert Client().get(PATH, headers=headers).headers["X-Cache"] == "hit"
    assert not [query for query in queries.captured_queries if "api_keys" in query["sql"]]


def test_while_the_database_is_away_everybody_who_may_read_gets_what_is_kept(
    kept: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = api_key("read")
    believed.forget()

    def away(*_: Any) -> Any:
        raise OperationalError(2003, "away")

    monkeypatch.setattr("accounts.identify.find", away)
    assert Client().get(PATH, headers=headers).status_code == 503
    settings.READ_ACCESS = "open"
    assert Client().get(PATH, headers=headers).headers["X-Cache"] == "hit"


def test_believing_is_bounded(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(believed, "MAX_BELIEVED", 3)
    for guess in range(10):
        Client().get("/api/v1/gaps", headers={"X-API-Key": f"liqui_0000000{guess}_x"})
    assert len(believed.believed) == 3
    assert not User.objects.exists()
