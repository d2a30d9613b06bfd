"""The five endpoints that manage the cache: rows D041 to D046, D049 and D050 of the contract."""

import concurrent.futures
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django_redis import get_redis_connection

from cachemgmt import operations
from cachemgmt.stores import store
from liqui.settings.environment import environment_read
from liquidations import caching
from liquidations.caching import BUCKETS, SYMBOLS
from tests.accounts.people import user_make
from tests.backend import server_only
from tests.cache import TOKEN, cache_empty, kept_keys, operate
from tests.factories import DAY, HOUR, T0, order
from tests.live import serving
from tools.servers import free_port

Ask = Callable[..., Any]
Write = Callable[..., Any]

FIGURES = [
    "available",
    "connected_clients",
    "used_memory",
    "used_memory_human",
    "keyspace_hits",
    "keyspace_misses",
    "total_commands_processed",
    "hit_rate",
]
GET, POST = "get", "post"
ENDPOINTS = [
    (GET, "/api/cache/stats"),
    (POST, "/api/cache/clear"),
    (POST, "/api/cache/invalidate/symbol/BTCUSDT"),
    (POST, "/api/cache/invalidate/symbols"),
    (POST, "/api/cache/warm"),
]
WINDOW = {"timeframe": "1h", "start_timestamp": T0, "end_timestamp": T0 + DAY}


@pytest.fixture(autouse=True)
def empty_cache(settings: Any) -> None:
    settings.LIQUI_TOKEN = TOKEN
    cache_empty()


@pytest.fixture
def ask_all(write: Write, ask: Ask) -> Callable[[str], None]:
    """Asks for every kind of answer about a symbol, so that they are kept."""

    def ask_all(symbol: str) -> None:
        write([order(symbol=symbol.upper()), order(T0 + HOUR, symbol=symbol.upper())])
        assert ask("/api/liquidations", symbol=symbol, **WINDOW).status_code == 200
        assert ask("/api/liquidation-orders", symbol=symbol, limit=5).status_code == 200
        page = {"start_timestamp": T0, "end_timestamp": T0 + DAY, "page": 1}
        assert ask("/api/liquidation-orders", symbol=symbol, **page).status_code == 200
        assert ask("/api/symbols").status_code == 200

    return ask_all


def stats(client: Client) -> dict[str, Any]:
    return client.get("/api/cache/stats", headers={"X-Liqui-Token": TOKEN}).json()  # type: ignore[attr-defined]


@pytest.mark.contract("D041")
def test_stats_have_the_two_keys_and_the_eight_figures(ask_all: Any, client: Client) -> None:
    ask_all("BTCUSDT")
    body = stats(client)
    assert list(body) == ["cache_stats", "message"]
    assert body["message"] == "Cache statistics retrieved successfully"
    assert list(body["cache_stats"])[:8] == FIGURES
    assert body["cache_stats"]["available"] is True
    assert body["cache_stats"]["used_memory"] > 0
    assert isinstance(body["cache_stats"]["used_memory_human"], str)
    assert 0 <= body["cache_stats"]["hit_rate"] <= 100


@pytest.mark.contract("D041")
def test_stats_tell_per_namespace_what_was_asked_and_what_is_kept(ask_all: Any, ask: Ask, client: Client) -> None:
    before = stats(client)["cache_stats"]["namespaces"]
    ask_all("BTCUSDT")
    for _ in range(3):
        assert ask("/api/liquidations", symbol="BTCUSDT", **WINDOW).headers["X-Cache"] == "hit"
    after = stats(client)["cache_stats"]["namespaces"]
    # Before them are those of market data, which is not asked for here.
    assert list(after)[-3:] == ["liq", "orders", "symbols"]
    asked = [after[name] for name in ("liq", "orders", "symbols")]
    assert (after["liq"]["hits"] - before["liq"]["hits"], after["liq"]["misses"] - before["liq"]["misses"]) == (3, 1)
    assert after["liq"]["saved_bytes"] > before["liq"]["saved_bytes"]
    assert [figures["keys"] for figures in asked] == [1, 2, 1]
    assert all(figures["bytes"] > 0 and figures["ttl_seconds"] > 0 for figures in asked)


@pytest.mark.contract("D042")
def test_clear_removes_what_matches_and_tells_how_much(ask_all: Any, client: Client) -> None:
    ask_all("BTCUSDT")
    ask_all("ETHUSDT")
    assert operate(client, "clear", {"pattern": "orders:BTC*"}) == {
        "deleted_keys": 2,
        "pattern": "orders:BTC*",
        "message": "Successfully cleared 2 cache entries",
    }
    assert len(kept_keys()) == 5
    # The answers about ETHUSDT, BTCUSDT's buckets, the list of symbols.
    assert operate(client, "clear") == {
        "deleted_keys": 5,
        "pattern": "*",
        "message": "Successfully cleared 5 cache entries",
    }
    assert kept_keys() == []


@pytest.mark.contract("D042")
def test_what_was_cleared_is_made_anew(ask_all: Any, ask: Ask, client: Client) -> None:
    ask_all("BTCUSDT")
    assert ask("/api/liquidations", symbol="BTCUSDT", **WINDOW).headers["X-Cache"] == "hit"
    operate(client, "clear", {"pattern": "liq:*"})
    assert ask("/api/liquidations", symbol="BTCUSDT", **WINDOW).headers["X-Cache"] == "miss"


@pytest.mark.contract("D043")
@server_only("local memory is ours alone")
def test_clear_leaves_the_keys_of_others_in_the_same_redis(ask_all: Any, client: Client) -> None:
    ask_all("BTCUSDT")
    redis = get_redis_connection("default")
    prefix = configured.CACHE_KEY_PREFIX
    others = ["session:1", "liq:BTCUSDT:x", f"{prefix}x:e:liq:BTCUSDT", f"x{prefix}:e:liq:1", "celery", "e:liq:y"]
    try:
        for key in others:
            redis.set(key, "theirs")
        assert operate(client, "clear")["deleted_keys"] == 4
        assert [redis.get(key) for key in others] == [b"theirs"] * len(others)
    finally:
        redis.delete(*others)


@pytest.mark.contract("D044")
def test_a_symbols_answers_are_invalidated_and_counted(ask_all: Any, ask: Ask, client: Client) -> None:
    ask_all("BTCUSDT")
    ask_all("BTCUSDT_240927")
    assert operate(client, "invalidate/symbol/BTCUSDT") == {
        "deleted_keys": 3,
        "symbol": "BTCUSDT",
        "message": "Successfully invalidated 3 cache entries for symbol BTCUSDT",
    }
    assert not kept_keys("*BTCUSDT:*")
    assert len(kept_keys("*BTCUSDT_240927*")) == 3
    assert kept_keys("symbols:*") == ["symbols:all"]
    assert ask("/api/liquidations", symbol="BTCUSDT", **WINDOW).headers["X-Cache"] == "miss"


@pytest.mark.contract("D045")
@pytest.mark.parametrize("spelling", ["btcusdt", "BtcUsdt", "%20BTCUSDT%20"])
def test_symbols_are_invalidated_in_any_case(ask_all: Any, client: Client, spelling: str) -> None:
    ask_all("btcUSDT")
    assert operate(client, f"invalidate/symbol/{spelling}")["deleted_keys"] == 3


@pytest.mark.contract("D045")
@pytest.mark.parametrize("symbol", ["*", "BTC*", "?", "[A-Z]*", "BTC?SDT", "\\", "*:*", "BTCUSDT:1h"])
def test_glob_characters_in_symbols_are_data(ask_all: Any, client: Client, symbol: str) -> None:
    ask_all("BTCUSDT")
    ask_all(symbol)
    quoted = symbol.replace("?", "%3F")
    assert operate(client, f"invalidate/symbol/{quoted}")["deleted_keys"] == 3
    assert len(kept_keys("*BTCUSDT:*")) == 3


@pytest.mark.contract("D045")
@pytest.mark.parametrize("symbol", ["币安人生USDT", "A/B", "x" * 300, "~7E", "a\nb"])
def test_symbols_of_any_characters_and_length_are_invalidated(ask: Ask, client: Client, db: None, symbol: str) -> None:
    # Nothing is known of them, which is an answer too.
    assert ask("/api/liquidation-orders", symbol=symbol, limit=5).status_code == 404
    body = operate(client, f"invalidate/symbol/{symbol.replace(chr(10), '%0A')}")
    assert (body["deleted_keys"], body["symbol"]) == (1, symbol)
    assert kept_keys() == []


@pytest.mark.contract("D045")
def test_an_answer_that_is_being_made_while_its_symbol_is_invalidated_is_not_used_afterwards(
    write: Write, ask: Ask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([order()])
    has_read, may_go_on = threading.Event(), threading.Event()
    buckets = caching.liquidation_buckets

    def slow_buckets(*window: Any) -> Any:
        found = buckets(*window)
        has_read.set()
        may_go_on.wait(20)
        return found

    monkeypatch.setattr(caching, "liquidation_buckets", slow_buckets)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, "/api/liquidations", symbol="BTCUSDT", **WINDOW)
        assert has_read.wait(20)
        monkeypatch.setattr(caching, "liquidation_buckets", buckets)
        operate(client, "invalidate/symbol/btcusdt")
        may_go_on.set()
        assert slow.result(20).status_code == 200
    assert kept_keys() == []
    assert ask("/api/liquidations", symbol="BTCUSDT", **WINDOW).headers["X-Cache"] == "miss"


@pytest.mark.contract("D046")
def test_the_list_of_symbols_is_invalidated(ask_all: Any, ask: Ask, client: Client) -> None:
    ask_all("BTCUSDT")
    assert ask("/api/symbols").headers["X-Cache"] == "hit"
    body = operate(client, "invalidate/symbols")
    assert body == {"success": True, "message": "Symbols cache invalidated successfully"}
    assert ask("/api/symbols").headers["X-Cache"] == "miss"
    assert len(kept_keys()) == 4


def test_a_call_that_is_repeated_within_a_second_is_one_call(ask_all: Any, client: Client) -> None:
    ask_all("BTCUSDT")
    began = time.monotonic()
    first = operate(client, "clear", {"pattern": "orders:*"})
    again = operate(client, "clear", {"pattern": "orders:*"})
    assert first["deleted_keys"] == 2
    assert again == first or time.monotonic() - began >= 1
    # Another parameter is another call, and so is a later one.
    assert operate(client, "clear", {"pattern": "orders:B*"})["deleted_keys"] == 0
    time.sleep(1.1)
    assert operate(client, "clear", {"pattern": "orders:*"})["deleted_keys"] == 0


def test_of_equal_calls_at_once_one_is_made_and_all_get_its_result(
    ask_all: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_all("BTCUSDT")
    # However long a busy machine takes for eight calls.
    monkeypatch.setattr(operations, "REPEAT_S", 60)
    monkeypatch.setattr(operations, "PATIENCE_S", 60)

    def invalidate(_: int) -> int:
        try:
            return operate(Client(), "invalidate/symbol/BTCUSDT")["deleted_keys"]
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(invalidate, range(8))) == [3] * 8


# Who may.


@pytest.mark.contract("D049")
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_without_credentials_the_answer_is_401(db: None, client: Client, method: str, path: str) -> None:
    response = getattr(client, method)(path)
    assert response.status_code == 401
    assert "X-Liqui-Token" in response.headers["WWW-Authenticate"]
    assert response.json() == {"detail": "Authentication credentials were not provided."}


@pytest.mark.contract("D049")
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_with_wrong_credentials_the_answer_is_401(db: None, client: Client, method: str, path: str) -> None:
    for wrong in ("wrong", "", f"{TOKEN} ", "café"):
        response = getattr(client, method)(path, headers={"X-Liqui-Token": wrong})
        assert (response.status_code, response.json()) == (401, {"detail": "Wrong token"})


@pytest.mark.contract("D049")
def test_without_the_setting_no_token_is_the_right_one(db: None, client: Client, settings: Any) -> None:
    settings.LIQUI_TOKEN = ""
    for token in ("", "x"):
        assert client.get("/api/cache/stats", headers={"X-Liqui-Token": token}).status_code == 401


@pytest.mark.contract("D049")
def test_operators_who_have_signed_in_may_and_other_users_may_not(db: None) -> None:
    user_make("operator", "operator", password="pass of operator")
    user_make("viewer", "viewer", password="pass of viewer")
    User.objects.create_user("staff", password="pass of staff", is_staff=True)
    for name, status in (("operator", 200), ("viewer", 403), ("staff", 403)):
        browser = Client()
        browser.login(username=name, password=f"pass of {name}")
        assert browser.get("/api/cache/stats").status_code == status
        assert browser.post("/api/cache/invalidate/symbols").status_code == status


@pytest.mark.contract("D049")
def test_a_signed_in_browser_needs_its_csrf_token_to_change_anything(db: None) -> None:
    user_make("staff", "operator", password="pass of staff")
    browser = Client(enforce_csrf_checks=True)
    browser.get("/admin/login/")
    token = browser.cookies["csrftoken"].value
    form = {"username": "staff", "password": "pass of staff", "csrfmiddlewaretoken": token, "next": "/admin/"}
    assert browser.post("/admin/login/", form).status_code == 302
    assert browser.get("/api/cache/stats").status_code == 200
    refused: Any = browser.post("/api/cache/clear")
    assert (refused.status_code, refused.json()["detail"][:11]) == (403, "CSRF Failed")
    token = browser.cookies["csrftoken"].value
    assert browser.post("/api/cache/clear", headers={"X-CSRFToken": token}).status_code == 200


@pytest.mark.contract("D049")
@pytest.mark.parametrize("path", ["/api/symbols", "/health", "/metrics", "/redoc", "/openapi.json"])
def test_what_only_reads_needs_no_credentials_and_sets_no_cookie(
    transactional_db: None, client: Client, path: str
) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_wrong_methods_are_405_whoever_asks(client: Client, method: str, path: str) -> None:
    for wrong in {"get", "post", "put", "patch", "delete", "options"} - {method}:
        response = getattr(client, wrong)(path)
        assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
        assert response.headers["Allow"] == method.upper()


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_slash_at_the_end_is_redirected(client: Client, method: str, path: str) -> None:
    response = getattr(client, method)(f"{path}/")
    assert (response.status_code, response.headers["Location"]) == (307, path)


def test_answers_to_operators_are_kept_by_nobody(db: None, client: Client) -> None:
    response = client.get("/api/cache/stats", headers={"X-Liqui-Token": TOKEN})
    assert "no-store" in response.headers["Cache-Control"]


# Redis is down.


@pytest.mark.contract("D042")
@server_only("nothing in it depends on the database")
def test_without_redis_all_of_them_still_answer(transactional_db: None, tmp_path: Path) -> None:
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    with serving("wsgi", tmp_path, REDIS_URL=redis_url, LIQUI_TOKEN=TOKEN) as live:
        answers = [
            httpx.request(method, f"{live.root}{path}", headers={"X-Liqui-Token": TOKEN}, timeout=20)
            for method, path in [(GET, "/api/symbols"), *ENDPOINTS]
        ]
    assert [answer.status_code for answer in answers] == [200] * 6
    bodies = [answer.json() for answer in answers[1:]]
    assert bodies[0]["message"] == "Cache not available"
    assert bodies[0]["cache_stats"]["available"] is False
    assert bodies[0]["cache_stats"]["error"] == "Cache not available"
    assert bodies[0]["cache_stats"]["breaker"]["is_open"] is True
    assert bodies[1]["deleted_keys"] == bodies[2]["deleted_keys"] == 0
    assert bodies[3] == {"success": False, "message": "Failed to invalidate symbols cache"}
    assert bodies[4]["status"] == "initiated"


# How long answers are fresh.


def ttl_s(namespace: Any, parameters: dict[str, Any]) -> float:
    """For how long the kept answer to this request is fresh."""
    entry = store().read(namespace.key(namespace.parameters.validated(parameters))).entry
    assert entry is not None
    return entry.ttl_ms / 1000


@pytest.mark.contract("D050")
def test_symbols_are_fresh_for_an_hour_and_other_answers_for_five_minutes(write: Write, ask: Ask) -> None:
    now = int(time.time() * 1000)
    write([order(now - 20 * 60_000)])
    window = {"symbol": "BTCUSDT", "timeframe": "1m"}
    window |= {"start_timestamp": str(now - HOUR), "end_timestamp": str(now - 15 * 60_000)}
    assert ask("/api/liquidations", **window).status_code == 200
    assert ask("/api/symbols").status_code == 200
    assert (ttl_s(SYMBOLS, {}), ttl_s(BUCKETS, window)) == (3600, 300)


@pytest.mark.contract("D050")
def test_both_times_come_from_the_environment(write: Write, ask: Ask, settings: Any, tmp_path: Path) -> None:
    variables = {"LIQUI_HOME": str(tmp_path), "CACHE_TTL_SYMBOLS": "77", "CACHE_TTL_SECONDS": "33"}
    read = environment_read(variables, tmp_path)
    defaults = environment_read({"LIQUI_HOME": str(tmp_path)}, tmp_path)
    assert (read.cache_ttl_symbols, read.cache_ttl_seconds) == (77, 33)
    assert (defaults.cache_ttl_symbols, defaults.cache_ttl_seconds) == (3600, 300)
    settings.CACHE_TTL_SYMBOLS, settings.CACHE_TTL_SECONDS = read.cache_ttl_symbols, read.cache_ttl_seconds
    now = int(time.time() * 1000)
    write([order(now - 20 * 60_000)])
    window = {"symbol": "BTCUSDT", "timeframe": "1m"}
    window |= {"start_timestamp": str(now - HOUR), "end_timestamp": str(now - 15 * 60_000)}
    ask("/api/symbols")
    ask("/api/liquidations", **window)
    assert (ttl_s(SYMBOLS, {}), ttl_s(BUCKETS, window)) == (77, 33)
