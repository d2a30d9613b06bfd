"""Warming: one run at a time, only what is needed, leaving the database to others, whatever fails."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from cachemgmt import registry, warming
from cachemgmt.popular import ASKED_TWICE
from cachemgmt.registry import WarmRequest
from cachemgmt.stores import store
from cachemgmt.tasks import warm as warm_task
from cachemgmt.warming import Progress, latest, warm
from database.errors import QueryTimeout
from liqui.celery import app
from liquidations import caching
from liquidations.caching import BUCKETS, ORDERS, SYMBOLS
from tests.cache import cache_empty, kept_keys
from tests.factories import HOUR, T0, order

Write = Callable[..., Any]

QUERY = {"symbol": "BTCUSDT", "timeframe": "1h", "start_timestamp": str(T0), "end_timestamp": str(T0 + HOUR)}
WANTED = [
    WarmRequest(SYMBOLS, {}),
    WarmRequest(BUCKETS, QUERY),
    WarmRequest(ORDERS, {"symbol": "ETHUSDT", "limit": "5"}),
]


@pytest.fixture(autouse=True)
def wanted(write: Write, monkeypatch: pytest.MonkeyPatch) -> list[WarmRequest]:
    """What is to be warmed, in an empty cache: three answers, of which the last one is "there is nothing"."""
    cache_empty()
    write([order(T0), order(T0 + 1)])
    wanted = [*WANTED]
    monkeypatch.setattr(registry, "warmers", [lambda now_ms: wanted])
    monkeypatch.setattr(warming, "warmers", [lambda now_ms: wanted])
    return wanted


def finished() -> Progress:
    progress = warm()
    assert progress is not None
    return progress


def test_what_is_missing_is_made_and_what_is_fresh_is_left() -> None:
    first, second = finished(), finished()
    assert (first.total, first.done, first.made, first.failed, first.is_running) == (3, 3, 3, 0, False)
    assert (second.total, second.done, second.made) == (3, 3, 0)
    assert len(kept_keys()) == 3


def test_what_is_outdated_is_made_anew(write: Write) -> None:
    finished()
    write([order(T0 + 2)])
    # The buckets; the list of symbols has not changed, and nothing is known of ETHUSDT.
    assert finished().made == 1


def test_what_expires_soon_is_made_anew(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CACHE_TTL_SYMBOLS = 1000
    finished()
    later = time.time_ns() // 1_000_000 + 800_000
    monkeypatch.setattr(warming, "now_ms", lambda: later)
    # 200 s are left of 1000: the next run would find it expired.
    monkeypatch.setattr(warming, "warmers", [lambda now_ms: [WarmRequest(SYMBOLS, {})]])
    assert finished().made == 1


def test_requests_that_mean_the_same_are_made_once(wanted: list[WarmRequest]) -> None:
    wanted.append(WarmRequest(BUCKETS, QUERY | {"symbol": "btcusdt", "timeframe": "60m"}))
    assert finished().total == 3


def test_what_is_asked_most_often_is_warmed_too_if_it_is_still_understood() -> None:
    learned = f"symbol=BTCUSDT&timeframe=5m&start_timestamp={T0}&end_timestamp={T0 + HOUR}"
    store().learn(
        {
            f"/api/liquidations?{learned}": ASKED_TWICE,
            "/api/liquidations?symbol=BTCUSDT&timeframe=soon": 9,
            "/api/gone?x=1": 9,
            "/api/liquidation-orders?symbol=BTCUSDT&limit=7": ASKED_TWICE - 1,
        }
    )
    assert finished().total == 4
    assert f"liq:BTCUSDT:5m:{T0}:{T0 + HOUR}" in kept_keys()


def test_of_runs_that_begin_at_once_one_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()
    listed = caching.symbols_listed
    monkeypatch.setattr(caching, "symbols_listed", lambda: [may_go_on.wait(20), listed()][1])
    results: list[Progress | None] = []

    def run() -> None:
        try:
            results.append(warm())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        if len(results) == 4:
            break
        time.sleep(0.02)
    assert results == [None] * 4
    running = latest()
    assert running is not None
    assert running.is_alive
    assert warm() is None
    may_go_on.set()
    for thread in threads:
        thread.join(20)
    assert results[4] is not None
    assert results[4].made == 3
    assert finished().made == 0


def test_a_run_that_has_died_does_not_keep_others_from_running() -> None:
    long_ago = time.time_ns() // 1_000_000 - (warming.SILENT_S + 1) * 1000
    warming.store().note(warming.NOTE, b'{"started_ms":%d,"told_ms":%d,"total":3}' % (long_ago, long_ago))
    assert finished().made == 3


def test_a_request_that_fails_is_logged_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> Any:
        raise QueryTimeout(30)

    monkeypatch.setattr(caching, "liquidation_buckets", fails)
    progress = finished()
    assert (progress.done, progress.made, progress.failed) == (3, 2, 1)
    assert "Query timeout after 30 seconds" in caplog.text
    assert len(kept_keys()) == 2
    monkeypatch.undo()


@pytest.mark.parametrize("error", [OperationalError(2003, "no server"), OperationalError("unable to open database")])
def test_a_database_that_is_away_ends_the_run_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(caching, "liquidation_buckets", fails)
    assert warm_task.apply(throw=True).successful()
    lines = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.exc_info for record in lines] == [None]
    assert "database cannot be used" in caplog.text
    progress = latest()
    assert progress is not None
    assert (progress.done, progress.made, progress.is_running) == (1, 1, False)


def test_queries_take_a_bounded_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = caching.symbols_listed
    monkeypatch.setattr(caching, "symbols_listed", lambda: [time.sleep(0.1), listed()][1])
    began = time.monotonic()
    finished()
    # A quarter at the most: after 0.1 s of work, 0.3 s of rest.
    assert time.monotonic() - began >= 0.4


def test_nothing_is_made_when_nothing_may_be_kept(settings: Any) -> None:
    settings.CACHE_TTL_SYMBOLS = 0
    assert finished().made == 2
    settings.CACHE_ENABLED = False
    assert finished().total == 0


def test_whoever_watches_is_told_after_each_request() -> None:
    told: list[tuple[int, int]] = []
    warm(lambda progress: told.append((progress.done, progress.total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_beat_warms_every_five_minutes_and_every_worker_at_its_start() -> None:
    tasks = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert tasks["cachemgmt.warm"] == warming.INTERVAL_S
    assert tasks["cachemgmt.count"] == 60
