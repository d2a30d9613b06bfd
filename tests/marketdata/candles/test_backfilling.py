"""Backfilling: what is missing is fetched once, in parts, here or by workers, and goes on after any interruption."""

import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Retry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from accounts.models import AuditEntry
from marketdata.candles import backfilling
from marketdata.candles.backfilling import backfill_parts, candles_backfill, patient_klines, source_timeframe
from marketdata.candles.history import candle_history
from marketdata.candles.queries import candles_read
from marketdata.candles.services import candle_upsert
from marketdata.candles.tasks import SPREAD_S, backfill_candles
from marketdata.errors import VenueBlocked, VenueRateLimited, VenueUnavailable
from marketdata.management.commands import backfill_candles as command
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.types import Candle
from marketdata.venue import venue
from tests.backend import sqlite_only
from tests.live import ROOT, server_environment
from tests.marketdata.candles.exchange import NOW, KlineExchange
from tests.marketdata.candles.making import SYMBOL, T0, VENUE, candle

pytestmark = pytest.mark.django_db

HOUR_AGO = NOW - NOW % MINUTE_MS - HOUR_MS


def stored(timeframe: str = "1m", symbol: str = SYMBOL) -> list[Candle]:
    return candles_read(VENUE, symbol, timeframe, 0, 2**41)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill_candles", *arguments, stdout=out)
    return out.getvalue()


def test_a_window_is_fetched_in_pages_and_stored(klines: KlineExchange) -> None:
    end_ms = T0 + 2500 * MINUTE_MS
    done: list[int] = []
    assert candles_backfill(SYMBOL, "1m", T0, end_ms, told=done.append) == 2500
    assert stored() == klines.candles("1m", T0, end_ms - 1)
    assert [int(asked["limit"]) for asked in klines.asked] == [1000, 1000, 500]
    assert sum(done) == 2500


def test_what_is_there_is_not_fetched_again(klines: KlineExchange) -> None:
    candle_upsert([candle(T0 + number * MINUTE_MS) for number in range(10, 1500)])
    done: list[int] = []
    assert candles_backfill(SYMBOL, "1m", T0, T0 + 1510 * MINUTE_MS, told=done.append) == 20
    assert [int(asked["limit"]) for asked in klines.asked] == [10, 10]
    assert sum(done) == 1510
    klines.asked.clear()
    assert candles_backfill(SYMBOL, "1m", T0, T0 + 1510 * MINUTE_MS) == 0
    assert klines.asked == []


def test_what_did_not_exist_yet_is_done_as_well_and_running_candles_are_not_stored(klines: KlineExchange) -> None:
    klines.begins_ms = T0 + 3 * DAY_MS
    done: list[int] = []
    assert candles_backfill(SYMBOL, "1d", T0, T0 + 99 * DAY_MS, told=done.append) == 37
    assert sum(done) == 99
    assert all(each.is_closed for each in stored("1d"))


def test_parts_are_of_bounded_size_and_make_up_the_window() -> None:
    parts = list(backfill_parts("1m", T0 + 1, T0 + 30_000 * MINUTE_MS))
    assert [(part.start - T0) // MINUTE_MS for part in parts] == [1, 10_001, 20_001]
    assert parts[-1].stop == T0 + 30_000 * MINUTE_MS
    assert source_timeframe("3d") == "1d"


def test_a_venue_that_wants_fewer_requests_is_waited_for_as_told(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        klines.status = 200
        # Nothing is sent before the time is over.
        monkeypatch.setattr("marketdata.venues.binance.rest.BinanceREST.check_limits", lambda rest: None)

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=sleep))
    klines.status, klines.headers = 429, {"Retry-After": "7"}
    waits: list[tuple[float, str]] = []
    asking = patient_klines(lambda seconds, why: waits.append((seconds, why)))
    assert len(asking(SYMBOL, "1m", start_ms=T0, limit=5)) == 5
    assert slept == [7.0]
    assert waits[0][0] == 7.0
    assert "429" in waits[0][1]


def test_nobody_waits_for_a_ban_of_hours_or_for_a_country(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    asking = patient_klines(lambda seconds, why: None)
    klines.status = 451
    with pytest.raises(VenueBlocked):
        asking(SYMBOL, "1m", limit=5)
    klines.status, klines.headers = 418, {"Retry-After": "7200"}
    with pytest.raises(VenueRateLimited):
        asking(SYMBOL, "1m", limit=5)
    assert slept == []


def test_a_venue_that_stays_away_ends_it(klines: KlineExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    klines.status = 503
    with pytest.raises(VenueUnavailable):
        patient_klines(lambda seconds, why: None)(SYMBOL, "1m", limit=5)
    assert len(slept) == backfilling.ATTEMPTS - 1
    assert all(0 <= seconds <= 60 for seconds in slept)


def test_a_part_waits_for_its_share_of_the_weight_however_long_that_takes() -> None:
    assert backfill_candles.max_retries is None


def test_a_task_comes_again_when_the_venue_allows_it(klines: KlineExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def retry(**options: Any) -> Retry:
        asked.append(options["countdown"])
        return Retry()

    monkeypatch.setattr(backfill_candles, "retry", retry)
    for status, least, most in ((429, 6.0, 8.0 + SPREAD_S), (503, 30.0, 30.0 + SPREAD_S)):
        klines.status, klines.headers = status, {"Retry-After": "7"}
        with pytest.raises(Retry):
            backfill_candles(SYMBOL, "1m", T0, T0 + HOUR_MS)
        assert least <= asked[-1] <= most
        monkeypatch.setattr("marketdata.venues.binance.rest.BinanceREST.check_limits", lambda rest: None)
    klines.status = 200
    backfill_candles(SYMBOL, "1m", T0, T0 + HOUR_MS)
    backfill_candles("GONEUSDT", "1m", T0, T0 + HOUR_MS)
    assert len(stored()) == 60


def test_a_task_for_a_symbol_that_is_not_there_ends(klines: KlineExchange) -> None:
    klines.unknown = {"GONEUSDT"}
    backfill_candles("GONEUSDT", "1m", T0, T0 + HOUR_MS)


def test_the_command_fetches_here_up_to_the_venues_time_and_rolls_up(klines: KlineExchange) -> None:
    since = NOW - 2 * HOUR_MS - NOW % HOUR_MS
    text = run(SYMBOL.lower(), "ETHUSDT", "--since", str(since))
    count = (NOW - since) // MINUTE_MS
    assert f"{2 * count:,} candles stored of {2 * count:,}" in text
    assert len(stored()) == len(stored(symbol="ETHUSDT")) == count
    assert len(stored("1h")) == 2
    assert AuditEntry.objects.get().action == "candles.backfill"
    assert "0 candles stored" in run(SYMBOL, "--since", str(since))


def test_three_day_candles_are_fetched_as_days_and_rolled_up(klines: KlineExchange) -> None:
    run(SYMBOL, "--timeframe", "3d", "--since", "2024-01-01", "--until", "2024-01-22")
    assert (len(stored("1d")), len(stored("3d"))) == (21, 6)
    assert {asked["interval"] for asked in klines.asked} == {"1d"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "yesterday"),
        (["--since", "2024-01-02", "--until", "2024-01-02"], "before"),
    ],
)
def test_times_that_make_no_sense_are_refused(klines: KlineExchange, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(SYMBOL, *arguments)


@pytest.mark.parametrize(("status", "text"), [(451, "legal reasons"), (400, "400")])
def test_what_trying_again_does_not_help_is_told_without_that_advice(
    klines: KlineExchange, status: int, text: str
) -> None:
    klines.status = status
    with pytest.raises(CommandError, match=text) as refused:
        run(SYMBOL, "--since", "2024-01-01", "--until", "2024-01-02")
    assert "again" not in str(refused.value)


def test_a_venue_that_stays_away_is_told_with_what_to_do(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    klines.status = 503
    with pytest.raises(CommandError, match=r"503.*Run the same command again to go on"):
        run(SYMBOL, "--since", "2024-01-01", "--until", "2024-01-02")


@pytest.mark.parametrize("status", [429, 503])
def test_the_end_of_the_window_is_waited_for_as_well(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr("marketdata.venues.binance.rest.BinanceREST.check_limits", lambda rest: None)
    klines.status, klines.headers, klines.refusals = status, {"Retry-After": "7"}, 2
    text = run(SYMBOL, "--since", str(HOUR_AGO))
    assert text.count("waiting ") == 2
    assert len(stored()) == 60


def test_the_command_asks_also_while_the_feed_collects_nothing_and_requests_do_not(
    klines: KlineExchange, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIQUI_FEED = "none"
    with pytest.raises(CommandError, match="is a simulated exchange") as refused:
        run(SYMBOL, "--since", str(HOUR_AGO))
    assert "again" not in str(refused.value)
    assert not stored()
    monkeypatch.setattr("marketdata.venues.binance.rest.SIMULATED_HEADER", "X-Nobody-Sends-This")
    run(SYMBOL, "--since", str(HOUR_AGO))
    assert len(stored()) == 60
    klines.asked.clear()
    with pytest.raises(VenueUnavailable, match="FEED=none"):
        venue().klines(SYMBOL, "1m")
    with pytest.raises(VenueUnavailable, match="FEED=none"):
        candle_history("ETHUSDT", "1m", 5)
    assert klines.asked == []


@sqlite_only("a database server is the user's to prepare")
def test_a_fresh_home_needs_nothing_else_before(klines: KlineExchange, tmp_path: Path) -> None:
    environment = server_environment(tmp_path) | {"FEED": "simulated", "BINANCE_API_BASE_URL": klines.url}
    arguments = ["backfill_candles", SYMBOL, "--since", str(T0), "--until", str(T0 + HOUR_MS)]
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "60 candles stored of 60" in done.stdout


def test_with_workers_it_is_a_group_over_symbols_and_parts(
    klines: KlineExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, ...]] = []

    class Group:
        def __init__(self, tasks: list[Any]) -> None:
            self.tasks = tasks

        def apply_async(self) -> None:
            for task in self.tasks:
                sent.append(task.args)
                backfill_candles(*task.args)

    monkeypatch.setattr(command, "has_workers", lambda: True)
    monkeypatch.setattr(command, "group", Group)
    monkeypatch.setattr(backfilling, "PART", 1000)
    text = run(SYMBOL, "ETHUSDT", "--since", str(T0), "--until", str(T0 + 1500 * MINUTE_MS))
    parts = [(T0, T0 + 1000 * MINUTE_MS), (T0 + 1000 * MINUTE_MS, T0 + 1500 * MINUTE_MS)]
    assert sent == [(symbol, "1m", *part) for part in parts for symbol in (SYMBOL, "ETHUSDT")]
    assert "4 parts are with the workers" in text
    assert "3,000 candles of 3,000 are there" in text


def test_watching_ends_when_nothing_more_comes(klines: KlineExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "has_workers", lambda: True)
    monkeypatch.setattr(command, "group", lambda tasks: type("Group", (), {"apply_async": lambda self: None})())
    monkeypatch.setattr(command, "STILL_S", 0.2)
    monkeypatch.setattr(command, "LOOK_S", 0.05)
    candle_upsert([candle(T0)])
    text = run(SYMBOL, "--since", str(T0), "--until", str(T0 + 5 * MINUTE_MS))
    assert "1 candles of 5 are there" in text


def test_an_interrupted_backfill_goes_on_where_it_was(klines: KlineExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    real = backfilling.candle_upsert
    calls: list[int] = []

    def interrupted(candles: list[Candle]) -> int:
        calls.append(len(candles))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(candles)

    monkeypatch.setattr(backfilling, "candle_upsert", interrupted)
    arguments = (SYMBOL, "--since", str(T0), "--until", str(T0 + 3500 * MINUTE_MS))
    with pytest.raises(CommandError, match="interrupted"):
        run(*arguments)
    assert len(stored()) == 2000
    klines.asked.clear()
    run(*arguments)
    assert stored() == klines.candles("1m", T0, T0 + 3500 * MINUTE_MS - 1)
    assert [int(asked["limit"]) for asked in klines.asked] == [1000, 500]


def test_two_at_once_store_each_candle_once(klines: KlineExchange, transactional_db: None) -> None:
    results: list[object] = []

    def work() -> None:
        try:
            results.append(candles_backfill(SYMBOL, "1m", T0, T0 + 2000 * MINUTE_MS))
        except BaseException as error:
            results.append(error)
        finally:
            connection.close()

    at_once(work, work)
    assert all(isinstance(result, int) for result in results), results
    assert stored() == klines.candles("1m", T0, T0 + 2000 * MINUTE_MS - 1)


def at_once(*works: Callable[[], None]) -> None:
    threads = [Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    for thread in threads:
        thread.join(deadline - time.monotonic())
