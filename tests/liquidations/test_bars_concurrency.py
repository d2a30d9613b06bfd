"""Builders, writers and readers at once, and builders that are killed; on MariaDB they really run side by side."""

import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from liquidations import bars
from liquidations.bars import bars_advance, bars_build, bars_rebuild, stale_days_build, stale_symbols
from liquidations.domain import DAY_MS, HOUR_MS, MAX_TIMESTAMP_MS, MINUTE_MS
from liquidations.models import LiquidationBar, StaleBarDay
from liquidations.queries import liquidation_buckets
from liquidations.services import orders_write
from liquidations.types import ForcedOrder
from liquidations.verifying import bars_verify
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import MYSQL, insert_raw
from tests.liquidations.processes import at_once, manage

NOW = T0 + 40 * DAY_MS
SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")
ROUNDS = 100 if os.environ.get("LIQUI_SOAK") else 8


@pytest.fixture(autouse=True)
def clock(committed: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.BARS_REREAD_SECONDS = HOUR_MS // 1000
    monkeypatch.setattr(bars, "clock_ms", lambda: NOW)


def some_orders(dice: random.Random, count: int) -> list[ForcedOrder]:
    return [
        order(T0 + dice.randrange(20 * DAY_MS), dice.choice(SYMBOLS), average_price=dice.choice([None, "3.5", "0.25"]))
        for _ in range(count)
    ]


def assert_whole_law() -> None:
    for symbol in SYMBOLS:
        for timeframe_ms in (MINUTE_MS, DAY_MS):
            assert_law(symbol, timeframe_ms, T0, T0 + 21 * DAY_MS, "start")
    assert list(bars_verify(None, 0, MAX_TIMESTAMP_MS, repair=False)) == []


def assert_everything_built() -> None:
    assert not StaleBarDay.objects.exists()
    assert LiquidationBar.objects.filter(interval_ms=DAY_MS).exists()
    assert_whole_law()


def test_builders_at_once_build_what_one_builds() -> None:
    insert_raw(some_orders(random.Random(1), 300))
    for _ in range(ROUNDS):
        bars_rebuild()
        at_once(*[lambda: bars_build(NOW)] * 4)
        assert_everything_built()


def test_builders_may_advance_the_watermark_at_once() -> None:
    insert_raw(some_orders(random.Random(2), 300))
    for day in range(ROUNDS):
        now_ms = T0 + day * 7 * HOUR_MS
        at_once(*[partial(bars_build, now_ms + step * 61 * MINUTE_MS) for step in range(4)])
        assert_whole_law()


def test_a_rebuild_may_start_while_others_build_and_advance() -> None:
    insert_raw(some_orders(random.Random(3), 200))
    for round_number in range(ROUNDS):
        now_ms = T0 + (10 + round_number % 5) * DAY_MS
        build = partial(bars_build, now_ms)
        at_once(build, bars_rebuild, build, partial(bars_rebuild, "BTCUSDT"))
        assert_whole_law()
    bars_build(NOW)
    assert_everything_built()


@pytest.mark.slow
def test_writers_racing_builders_never_leave_a_bar_that_lacks_a_row() -> None:
    dice = random.Random(4)
    for _ in range(ROUNDS):
        batches = [[some_orders(dice, 5) for _ in range(6)] for _ in range(2)]
        at_once(
            *[lambda mine=mine: [orders_write(batch) for batch in mine] for mine in batches],
            *[lambda: [bars_build(NOW) for _ in range(6)]] * 2,
        )
        assert_whole_law()
    bars_build(NOW)
    assert_everything_built()


def test_a_reader_beside_writer_and_builder_sees_one_moment() -> None:
    """The writer only ever adds 1 to the total, so a reader that saw bars of one moment and rows of another would see
    it fall or jump."""
    orders_write([order(T0 + 1, average_price=1, quantity=1)])
    done = threading.Event()
    totals: list[int] = []

    def read() -> None:
        while not done.is_set():
            totals.append(int(liquidation_buckets("BTCUSDT", DAY_MS, T0, T0 + DAY_MS - 1)[0][2]))

    def write() -> None:
        try:
            for number in range(40):
                orders_write([order(T0 + 2 + number, average_price=1, quantity=1)])
        finally:
            done.set()

    def build() -> None:
        while not done.is_set():
            bars_build(NOW)

    at_once(read, write, build)
    assert totals == sorted(totals)
    assert set(totals) <= set(range(1, 42))
    assert len(totals) > 3


@MYSQL
def test_a_day_that_another_worker_is_at_is_left_to_it() -> None:
    insert_raw([order(T0), order(T0, "ETHUSDT")])
    bars_advance(NOW)
    built: list[int] = []
    with transaction.atomic():
        assert bars.stale_days_claim("BTCUSDT") == [T0]
        at_once(lambda: built.append(bars_build(NOW)))
    assert built == [1]
    assert stale_symbols() == ["BTCUSDT"]


def test_a_writer_waits_for_the_build_of_its_day_and_marks_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    insert_raw([order(T0)])
    bars_advance(NOW)
    real, in_build = bars.marks_remove, threading.Event()

    def slowly(symbol: str, days: Any) -> None:
        in_build.set()
        time.sleep(0.5)
        real(symbol, days)

    monkeypatch.setattr(bars, "marks_remove", slowly)

    def write() -> None:
        assert in_build.wait(10)
        orders_write([order(T0 + 1)])

    at_once(lambda: bars.stale_days_build_some("BTCUSDT"), write)
    assert StaleBarDay.objects.count() == 1
    assert_law("BTCUSDT", DAY_MS, T0, NOW, "start")


# Killed -----------------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], bool], process: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, f"it ended too early: {process.stdout.read()}"
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.slow
def test_a_rebuild_that_is_killed_half_way_breaks_nothing_and_can_be_finished(tmp_path: Path) -> None:
    symbols = [f"{name}USDT" for name in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    insert_raw(
        [order(T0 + day * DAY_MS + hour * HOUR_MS, name) for name in symbols for day in range(20) for hour in (1, 2)]
    )
    bars_build(NOW)
    LiquidationBar.objects.update(notional=1)
    process = manage(tmp_path, "liquidation_bars", "rebuild")
    try:
        total = len(symbols) * 20
        wait_for(lambda: StaleBarDay.objects.count() == total, process)
        wait_for(lambda: StaleBarDay.objects.count() < total, process)
    finally:
        process.kill()
        process.communicate()
    left = StaleBarDay.objects.count()
    assert 0 < left < total, "the kill came too late to prove anything"
    for name in symbols:
        assert_law(name, DAY_MS, T0, NOW, "start")
    finishing = manage(tmp_path, "liquidation_bars", "build")
    output, _ = finishing.communicate(timeout=60)
    assert finishing.returncode == 0, output
    assert not StaleBarDay.objects.exists()
    assert not LiquidationBar.objects.filter(notional=1).exists()
    for name in symbols:
        assert_law(name, HOUR_MS, T0, NOW, "start")


def test_symbols_are_shared_among_workers() -> None:
    insert_raw([order(T0 + day * DAY_MS, symbol) for symbol in SYMBOLS for day in range(3)])
    bars_advance(NOW)
    at_once(*[partial(stale_days_build, symbol) for symbol in SYMBOLS])
    assert_everything_built()
