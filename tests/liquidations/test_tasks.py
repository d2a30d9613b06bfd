"""The Celery tasks: thin, safe to run twice, and a rebuild that splits itself."""

from collections import Counter
from typing import Any
from unittest.mock import Mock

import pytest
from celery import current_app
from django.db import OperationalError, ProgrammingError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liquidations import bars, tasks
from liquidations.domain import DAY_MS
from liquidations.models import BarProgress, LiquidationBar, StaleBarDay
from liquidations.table import TableUnusable
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import insert_raw

NOW = T0 + 100 * DAY_MS


@pytest.fixture(autouse=True)
def clock(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "clock_ms", lambda: NOW)
    monkeypatch.setattr(tasks, "clock_ms", lambda: NOW)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Symbols of each task that a rebuild asks for, instead of a broker."""
    shares: list[list[str]] = []
    monkeypatch.setattr(tasks.build_stale_days, "delay", shares.append)
    return shares


def test_tasks_have_the_names_that_a_second_shell_calls() -> None:
    names = {"liquidations.build_bars", "liquidations.rebuild_bars", "liquidations.build_stale_days"}
    assert names <= set(current_app.tasks)


def test_beat_builds_bars_every_minute() -> None:
    (entry,) = [
        entry for entry in current_app.conf.beat_schedule.values() if entry["task"] == "liquidations.build_bars"
    ]
    assert entry["schedule"] == 60


def test_build_bars_builds_and_may_run_twice() -> None:
    insert_raw([order(T0), order(T0 + DAY_MS)])
    for _ in range(2):
        tasks.build_bars.apply(throw=True)
        assert LiquidationBar.objects.filter(interval_ms=DAY_MS).count() == 2
        assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")


def test_a_rebuild_sends_a_task_for_each_part_of_each_symbol(sent: list[list[str]]) -> None:
    insert_raw([order(T0 + day * DAY_MS) for day in range(2 * bars.DAYS_AT_ONCE + 1)])
    insert_raw([order(T0, "ETHUSDT")])
    tasks.rebuild_bars.apply(throw=True)
    assert Counter(name for symbols in sent for name in symbols) == {"BTCUSDT": 3, "ETHUSDT": 1}
    assert BarProgress.objects.get().built_until_ms == NOW - bars.reread_ms()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1), st.integers(1, 400)), st.integers(1, 40))
def test_shares_deal_every_month_of_every_symbol_out_evenly(days: dict[str, int], parts: int) -> None:
    shares = tasks.shares(days, parts)
    months = {name: -(-count // bars.DAYS_AT_ONCE) for name, count in days.items()}
    assert Counter(name for symbols in shares for name in symbols) == months
    assert len(shares) == min(parts, sum(months.values()))
    assert max(map(len, shares), default=0) - min(map(len, shares), default=0) <= 1


def test_the_tasks_of_a_rebuild_complete_it_in_any_order_and_number(sent: list[list[str]]) -> None:
    insert_raw([order(T0 + day * DAY_MS, symbol) for day in range(40) for symbol in ("BTCUSDT", "币安人生USDT")])
    tasks.build_bars.apply(throw=True)
    LiquidationBar.objects.update(notional=1)
    tasks.rebuild_bars.apply(throw=True)
    assert StaleBarDay.objects.count() == 80
    for symbols in [*reversed(sent), *sent]:
        tasks.build_stale_days.apply(args=[symbols], throw=True)
    assert not StaleBarDay.objects.exists()
    assert not LiquidationBar.objects.filter(notional=1).exists()
    for symbol in ("BTCUSDT", "币安人生USDT"):
        assert_law(symbol, DAY_MS, T0, NOW, "start")


def test_a_rebuild_keeps_to_its_symbol_and_window(sent: list[list[str]]) -> None:
    insert_raw([order(T0 + day * DAY_MS, symbol) for day in range(4) for symbol in ("BTCUSDT", "ETHUSDT")])
    tasks.build_bars.apply(throw=True)
    arguments: dict[str, Any] = {"symbol": "ethusdt", "start_ms": T0 + DAY_MS, "end_ms": T0 + 2 * DAY_MS}
    tasks.rebuild_bars.apply(kwargs=arguments, throw=True)
    assert sent == [["ETHUSDT"]]
    assert list(StaleBarDay.objects.values_list("symbol", "day_ms")) == [("ETHUSDT", T0 + DAY_MS)]


def test_a_task_for_a_symbol_without_stale_days_does_nothing() -> None:
    tasks.build_stale_days.apply(args=[["NONE"]], throw=True)
    assert not LiquidationBar.objects.exists()


@pytest.mark.parametrize(
    "error",
    [OperationalError(2002, "no server"), TableUnusable("table x does not exist"), OperationalError("no such table")],
)
def test_a_database_that_is_away_ends_a_task_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(tasks, "bars_build", Mock(side_effect=error))
    assert tasks.build_bars.apply(throw=True).successful()
    assert [record.exc_info for record in caplog.records if record.levelname == "ERROR"] == [None]


def test_a_fault_of_our_own_is_not_kept_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "bars_build", Mock(side_effect=ProgrammingError(1064, "syntax")))
    with pytest.raises(ProgrammingError):
        tasks.build_bars.apply(throw=True)
