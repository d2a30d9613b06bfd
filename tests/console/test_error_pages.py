"""What goes wrong in the console is a page as well, and one without the database when that is what is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from console.pages import gaps
from database.errors import QueryTimeout
from tests.backend import server_only
from tests.console.data_pages import signed_in, text_of
from tests.live import LiveServer, wait_until
from tools.backends import Login, execute
from tools.servers import PrivateMariaDB


@pytest.fixture
def viewer(db: None) -> Client:
    client = signed_in("viewer")
    client.raise_request_exception = False
    return client


def test_a_role_that_is_too_low_is_said_with_the_one_that_is_needed(viewer: Client) -> None:
    answer = viewer.post("/admin/collector/ask/retry", {"collector": "x"})
    page = text_of(answer)
    assert answer.status_code == 403
    assert "This needs the role of operator" in page
    assert "You are signed in as viewer, with the role of viewer" in page
    assert "Dashboard" in page


def test_what_does_not_exist_is_a_page_for_who_is_signed_in_and_a_sign_in_for_others(viewer: Client) -> None:
    answer = viewer.get("/admin/nothing")
    assert (answer.status_code, "There is no such page" in text_of(answer)) == (404, True)
    assert Client().get("/admin/nothing").status_code == 302


def test_the_api_still_answers_in_json() -> None:
    assert Client().get("/api/nothing").json() == {"detail": "Not Found"}


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(gaps, "streams_known", broken)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("a secret"), 500, "Something went wrong"),
        (QueryTimeout(30), 504, "Query timeout after 30 seconds"),
        (OperationalError("unable to open database file"), 503, "The database is away"),
        (OperationalError("no such table: x"), 503, "The database is away"),
    ],
)
def test_what_a_page_raises_is_a_page(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    failing(monkeypatch, error)
    answer = viewer.get("/admin/gaps")
    assert answer.status_code == status
    assert said in text_of(answer)
    assert "a secret" not in text_of(answer)


def test_a_fault_that_breaks_the_frame_too_has_a_page_without_it(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise ValueError

    failing(monkeypatch, ValueError())
    monkeypatch.setattr("console.frame.made_up", broken)
    answer = viewer.get("/admin/gaps")
    assert (answer.status_code, "Something went wrong" in text_of(answer)) == (500, True)


@pytest.fixture
def served(private_mariadb: PrivateMariaDB, tmp_path: Any) -> Iterator[LiveServer]:
    execute(Login(port=private_mariadb.port), "CREATE DATABASE IF NOT EXISTS own CHARACTER SET utf8mb4")
    variables = {"DATABASE_URL": private_mariadb.url("own"), "SECRET_KEY": "x" * 50, "JWT_SECRET": "y" * 50}
    server = LiveServer("asgi", tmp_path, variables)
    server.manage("migrate", "--verbosity", "0")
    with server:
        yield server


@server_only("a private MariaDB")
def test_the_page_for_a_database_that_is_away_needs_none(served: LiveServer, private_mariadb: PrivateMariaDB) -> None:
    cookie = {"Cookie": "sessionid=whatever"}

    def is_well() -> bool:
        return served.get("/admin/", cookie).status_code == 302

    wait_until(is_well, 30, "the server has made its tables")
    private_mariadb.kill()
    for path in ("/admin/", "/admin/gaps", "/admin/accounts/auditentry/"):
        answer = served.get(path, cookie)
        assert answer.status_code == 503
        assert "The database is away" in answer.text
        assert 'http-equiv="refresh"' in answer.text
    private_mariadb.start()
    wait_until(is_well, 10, "the console is back with the database")
