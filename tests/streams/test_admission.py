"""Who may open a socket, and how many: by key, token, session or address, on each of the servers."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client as Browser

from accounts.audit import SYSTEM
from accounts.keys import key_create, key_revoke
from accounts.models import ApiKey
from tests.live import SOCKET_KINDS, LiveServer, serving
from tests.streams.sockets import client

TOKEN = "an operators' token of the tests"
MOST = 2


@pytest.fixture(scope="module", params=SOCKET_KINDS)
def server(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Anybody may read; two sockets for each client; everything that is logged at all is logged."""
    home = tmp_path_factory.mktemp(f"admission-{request.param}")
    variables = {"WS_MAX_PER_CLIENT": str(MOST), "LIQUI_TOKEN": TOKEN, "LOG_LEVEL": "DEBUG"}
    with serving(request.param, home, **variables) as live:
        yield live


@pytest.fixture(scope="module")
def closed_server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Knows the sessions of this process."""
    home = tmp_path_factory.mktemp("admission-closed")
    with serving("asgi", home, READ_ACCESS="closed", LIQUI_TOKEN=TOKEN, SECRET_KEY=settings.SECRET_KEY) as live:
        yield live


@pytest.fixture
def key(committed: None) -> str:
    return key_create("sockets", ApiKey.Scope.READ, None, None, SYSTEM)[1]


def greeting(server: LiveServer, query: str = "", **headers: str) -> dict[str, Any]:
    """The first frame of the socket that says hello to everybody whom it lets in."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with client(server, f"/test{query}", additional_headers=named) as socket:
        return socket.next()


def refusal(server: LiveServer, query: str = "", path: str = "/test", **headers: str) -> tuple[int | None, str]:
    """The error frame's text is the reason of the close frame."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with client(server, f"{path}{query}", additional_headers=named) as socket:
        error = socket.next("error")["message"]
        code, reason = socket.closed()
    assert reason == error
    return code, reason


def test_anybody_may_come_in_without_credentials(committed: None, server: LiveServer) -> None:
    assert greeting(server)["type"] != "error"


def test_good_credentials_open_a_socket_in_a_header_or_in_the_address(server: LiveServer, key: str) -> None:
    for welcome in (
        greeting(server, X_API_Key=key),
        greeting(server, Authorization=f"Api-Key {key}"),
        greeting(server, f"?token={key}"),
        greeting(server, X_Liqui_Token=TOKEN),
    ):
        assert welcome["type"] != "error"


def test_bad_credentials_are_refused_even_where_anybody_may_read(server: LiveServer, key: str) -> None:
    wrong = f"{key[:-4]}xxxx"
    for code, reason in (
        refusal(server, X_API_Key=wrong),
        refusal(server, f"?token={wrong}"),
        refusal(server, f"?token={wrong}", path="/liquidations"),
        refusal(server, "?token=a.b.c"),
        refusal(server, Authorization="Bearer a.b.c"),
        refusal(server, X_Liqui_Token="not the token"),
    ):
        assert code == 4001
        assert reason


def test_a_revoked_key_opens_nothing(server: LiveServer, key: str) -> None:
    assert greeting(server, X_API_Key=key)["type"] != "error"
    key_revoke(ApiKey.objects.get(), SYSTEM)
    assert refusal(server, X_API_Key=key) == (4001, "API key is revoked")


def test_each_client_has_so_many_sockets_and_a_key_has_its_own(server: LiveServer, key: str) -> None:
    with ExitStack() as stack:
        for headers in ({}, {"X-API-Key": key}):
            for _ in range(MOST):
                socket = stack.enter_context(client(server, "/test", additional_headers=headers))
                assert socket.next()["type"] != "error"
        for headers in ({}, {"X_API_Key": key}):
            assert refusal(server, **headers) == (4000, f"Too many sockets of one client: {MOST} are allowed")
        # Another address, as the proxy on this machine says it.
        assert greeting(server, X_Forwarded_For="203.0.113.5")["type"] != "error"
        # The first of two hops is the client's own invention.
        for _ in range(MOST):
            forged = {"X-Forwarded-For": "198.51.100.1, 203.0.113.6"}
            stack.enter_context(client(server, "/test", additional_headers=forged)).next()
        assert refusal(server, X_Forwarded_For="198.51.100.2, 203.0.113.6")[0] == 4000
    assert greeting(server)["type"] != "error"


def test_a_key_is_in_no_log_wherever_it_was_sent(server: LiveServer, key: str) -> None:
    secret = key.split("_", 2)[2]
    greeting(server, f"?token={key}")
    greeting(server, X_API_Key=key)
    refusal(server, f"?x=1&token={key}xxxx&y=2")
    server.get("/api/symbols", headers={"X-API-Key": key})
    assert server.log
    assert secret not in server.log


def test_where_reading_is_closed_nobody_comes_in_without_credentials(
    committed: None, closed_server: LiveServer
) -> None:
    for path in ("/test", "/liquidations", "/liquidations/BTCUSDT"):
        assert refusal(closed_server, path=path) == (4001, "Credentials are required")


def test_where_reading_is_closed_a_key_opens_a_socket(closed_server: LiveServer, key: str) -> None:
    assert greeting(closed_server, f"?token={key}")["type"] != "error"
    assert greeting(closed_server, X_Liqui_Token=TOKEN)["type"] != "error"


def test_where_reading_is_closed_the_console_s_session_opens_a_socket_to_our_own_pages(
    committed: None, closed_server: LiveServer
) -> None:
    browser = Browser()
    browser.force_login(User.objects.create_user("reader"))
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    assert greeting(closed_server, Cookie=cookie)["type"] != "error"
    assert refusal(closed_server, Cookie=cookie[:-4])[0] == 4001
