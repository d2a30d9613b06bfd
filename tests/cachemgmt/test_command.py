"""`manage.py cache`: the endpoints' functions for a shell, honest about what it cannot reach."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from cachemgmt.stores import store
from cachemgmt.stores.changes import DatabaseChanges
from tests.backend import server_only, sqlite_only
from tests.cache import cache_empty, kept_keys
from tests.factories import HOUR, T0, order
from tests.liqui.serving import manage
from tests.live import serving, wait_until
from tools.servers import free_port

Ask = Callable[..., Any]
Write = Callable[..., Any]

embedded_only = sqlite_only("there is a Redis")


@pytest.fixture(autouse=True)
def kept(write: Write, ask: Ask) -> None:
    """Two answers about BTCUSDT, one about ETHUSDT and the list of symbols are kept."""
    cache_empty()
    write([order(T0), order(T0, symbol="ETHUSDT")])
    ask("/api/liquidations", symbol="BTCUSDT", timeframe="1h", start_timestamp=T0, end_timestamp=T0 + HOUR)
    ask("/api/liquidation-orders", symbol="BTCUSDT", limit=5)
    ask("/api/liquidation-orders", symbol="ETHUSDT", limit=5)
    ask("/api/symbols")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("cache", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize("arguments", [[], ["remove"], ["invalidate"]])
def test_an_unknown_or_incomplete_action_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"arguments|choice"):
        run(*arguments)


@server_only("there is no Redis")
def test_list_shows_keys_sizes_and_times() -> None:
    lines = run("list", "orders:*").splitlines()
    assert sorted(line.split()[0] for line in lines) == ["orders:BTCUSDT:latest:5", "orders:ETHUSDT:latest:5"]
    assert all(line.split()[2] == "bytes" and int(line.split()[3]) > 0 for line in lines)
    assert len(run("list").splitlines()) == 4


@server_only("there is no Redis")
def test_clear_and_invalidate_tell_how_many_answers_they_have_removed() -> None:
    assert run("invalidate", "btcusdt", "NONE").splitlines() == [
        "2 answers about BTCUSDT removed.",
        "0 answers about NONE removed.",
    ]
    assert run("clear", "orders:*") == "1 answers matching orders:* removed.\n"
    assert run("clear") == "1 answers matching * removed.\n"
    assert kept_keys() == []


@server_only("there is no Redis")
def test_the_list_of_symbols_is_invalidated(ask: Ask) -> None:
    assert "symbols" in run("invalidate-symbols")
    assert ask("/api/symbols").headers["X-Cache"] == "miss"


@server_only("there is no Redis")
def test_stats_show_each_namespace() -> None:
    printed = run("stats")
    assert printed.startswith(f"store: {store().name}")
    assert {"liq", "orders", "symbols"} <= {line.split()[0] for line in printed.splitlines() if line}
    assert "hit rate" in printed


@server_only("there is no Redis")
def test_warm_tells_what_it_has_made_and_the_second_time_that_all_is_fresh(settings: Any) -> None:
    settings.CACHE_TTL_RECENT_SECONDS = settings.CACHE_TTL_NEGATIVE_SECONDS = 60
    candle = time.time() // 300
    assert "35 answers made" in run("warm")
    again = run("warm")
    # A candle that has closed meanwhile makes clients ask for another window.
    assert "0 answers made" in again or time.time() // 300 != candle


@server_only("there is no Redis")
def test_a_redis_that_is_away_is_said_in_one_line_and_nothing_is_claimed(tmp_path: Path) -> None:
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "CELERY_BROKER_URL": "filesystem://localhost"}
    for arguments in (["stats"], ["invalidate", "BTCUSDT"], ["warm"]):
        done = manage("cache", *arguments, home=tmp_path, **away)
        assert done.returncode == 1
        [line] = [line for line in done.stderr.splitlines() if line.startswith("CommandError")]
        assert "it is not running" in line
        assert "Traceback" not in done.stderr


# Without Redis, answers are in the server's own memory.


@embedded_only
@pytest.mark.parametrize("arguments", [["clear", "orders:*"], ["invalidate", "BTCUSDT"], ["invalidate-symbols"]])
def test_without_redis_the_command_tells_the_server_and_claims_no_number(arguments: list[str]) -> None:
    server = DatabaseChanges()
    assert list(server.news()) == []
    printed = run(*arguments)
    assert "has been told to remove" in printed
    assert not any(character.isdigit() for character in printed)
    server.next_look = 0
    assert [pattern for _, pattern in server.news() if pattern]


@embedded_only
def test_without_redis_list_says_who_can_tell_and_stats_shows_what_is_known() -> None:
    with pytest.raises(CommandError, match="GET /api/cache/stats"):
        run("list")
    printed = run("stats")
    assert "memory of the server's process" in printed
    assert "hits" in printed
    assert "keys" not in printed


@embedded_only
@pytest.mark.slow
def test_a_command_in_a_second_shell_reaches_the_server(ask: Ask, tmp_path: Path) -> None:
    with serving("asgi", tmp_path) as live:

        def state() -> str:
            response = live.get("/api/liquidation-orders", symbol="BTCUSDT", limit=5)
            assert response.status_code == 200
            return response.headers["X-Cache"]

        state()
        state()
        live.manage("cache", "invalidate", "btcusdt")
        assert state() == "miss"
        wait_until(lambda: "cache warmed" in live.log, 30, "the server's worker has warmed at its start")
        before = live.log.count("cache warmed")
        live.manage("cache", "warm")
        wait_until(lambda: live.log.count("cache warmed") > before, 30, "the server's worker has warmed again")
