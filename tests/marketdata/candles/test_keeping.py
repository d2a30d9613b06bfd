"""Rolling up what is stored: from its changes alone, whole candles alone, in any order, by several at once."""

from collections.abc import Callable
from random import Random
from threading import Barrier, Thread

import msgspec
import pytest
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata.candles import keeping
from marketdata.candles.keeping import candles_build, stale_symbols, stretches_build
from marketdata.candles.models import CandleRow, StaleCandles
from marketdata.candles.queries import candles_read
from marketdata.candles.rolling import roll_up
from marketdata.candles.services import candle_upsert
from marketdata.candles.tasks import build_candles
from marketdata.timeframes import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms
from marketdata.types import Candle, CandleSource
from tests.backend import server_only
from tests.marketdata.candles.making import SYMBOL, T0, VENUE, candle

pytestmark = pytest.mark.django_db

ALL = 2**41


def stored(timeframe: str, symbol: str = SYMBOL) -> list[Candle]:
    return candles_read(VENUE, symbol, timeframe, 0, ALL)


def run_of(timeframe: str, start_ms: int, end_ms: int, chance: Random | None = None) -> list[Candle]:
    found, open_ms = [], start_ms
    chance = chance or Random(1)
    while open_ms < end_ms:
        found.append(candle(open_ms, chance.randint(1, 1000), timeframe=timeframe, source=CandleSource.TRADES))
        open_ms = candle_close_ms(timeframe, open_ms)
    return found


def assert_rolled_up(minutes: list[Candle]) -> None:
    """Every longer timeframe is what the minutes say, in whole candles."""
    for timeframe in TIMEFRAMES[1:]:
        whole = [each for each in roll_up(minutes, timeframe) if each.is_closed]
        assert stored(timeframe) == whole, timeframe


def test_minutes_become_whole_candles_of_all_longer_timeframes() -> None:
    minutes = run_of("1m", T0 - 3 * DAY_MS - 7 * MINUTE_MS, T0 + DAY_MS + 100 * MINUTE_MS)
    candle_upsert(minutes)
    assert candles_build() > 0
    assert_rolled_up(minutes)
    assert [each.open_ms for each in stored("1d")] == [T0 + number * DAY_MS for number in (-3, -2, -1, 0)]
    assert stored("1h")[0].source is CandleSource.ROLLUP
    assert not StaleCandles.objects.exists()


def test_days_become_weeks_and_months() -> None:
    days = run_of("1d", T0 - 5 * DAY_MS, T0 + 70 * DAY_MS)
    candle_upsert(days)
    candles_build()
    for timeframe in ("3d", "1w", "1M"):
        assert stored(timeframe) == [each for each in roll_up(days, timeframe) if each.is_closed]
    assert len(stored("1M")) == 2


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_whatever_the_order_and_whenever_one_builds_the_result_is_the_same(random: Random, portions: int) -> None:
    CandleRow.objects.all().delete()
    minutes = run_of("1m", T0 - HOUR_MS, T0 + 3 * HOUR_MS, random)
    shuffled = random.sample(minutes, len(minutes))
    for first in range(portions):
        candle_upsert(shuffled[first::portions])
        if random.random() < 0.5:
            candles_build()
    candles_build()
    assert_rolled_up(minutes)


BARE = dict.fromkeys(("quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count"))
PORTIONS = st.lists(
    st.tuples(
        st.sampled_from([CandleSource.TRADES, CandleSource.VENUE, CandleSource.IMPORT]),
        st.booleans(),  # all figures or none
        st.integers(0, 119),  # first and last minute
        st.integers(0, 119),
        st.booleans(),  # whether one builds after it
    ),
    max_size=6,
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PORTIONS, st.randoms(use_true_random=False))
def test_roll_ups_follow_the_minutes_whatever_imports_klines_and_trades_come(
    portions: list[tuple[CandleSource, bool, int, int, bool]], random: Random
) -> None:
    CandleRow.objects.all().delete()
    candle_upsert(run_of("1m", T0, T0 + 2 * HOUR_MS, random))
    candles_build()
    for source, has_all, first, last, is_built in portions:
        minutes = run_of("1m", T0 + first * MINUTE_MS, T0 + (last + 1) * MINUTE_MS, random)
        changes = {"source": source, **({} if has_all else BARE)}
        candle_upsert([msgspec.structs.replace(each, **changes) for each in minutes])
        if is_built:
            candles_build()
    candles_build()
    assert_rolled_up(stored("1m"))


def test_a_roll_up_is_made_anew_also_when_it_lacks_figures_that_it_had() -> None:
    """As after an upgrade: minutes were replaced by ones that say less."""
    candle_upsert(run_of("1m", T0, T0 + HOUR_MS, Random(1)))
    candles_build()
    CandleRow.objects.filter(timeframe="1m").update(precedence=0)
    candle_upsert([msgspec.structs.replace(each, **BARE) for each in run_of("1m", T0, T0 + HOUR_MS, Random(2))])
    candles_build()
    assert stored("1h")[0].quote_volume is None
    assert_rolled_up(stored("1m"))


def test_a_minute_that_is_repaired_changes_all_that_it_is_part_of() -> None:
    minutes = run_of("1m", T0, T0 + DAY_MS)
    candle_upsert(minutes)
    candles_build()
    minutes[700] = msgspec.structs.replace(minutes[700], volume=minutes[700].volume + 5, source=CandleSource.VENUE)
    candle_upsert([minutes[700]])
    candles_build()
    assert_rolled_up(minutes)


def test_building_again_does_nothing_and_reads_no_more_than_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    candle_upsert(run_of("1m", T0, T0 + 3 * HOUR_MS))
    candles_build()
    assert candles_build() == 0
    read: list[tuple[int, int]] = []
    real = keeping.candles_select
    monkeypatch.setattr(keeping, "candles_select", lambda *wanted: (read.append(wanted[4:6]), real(*wanted))[1])
    candle_upsert([candle(T0 + 3 * HOUR_MS)])
    assert candles_build() == 1
    assert read == [(T0 + 3 * HOUR_MS, T0 + 4 * HOUR_MS)]


def test_what_the_venue_or_the_user_said_stays() -> None:
    said = candle(T0, 5000, timeframe="1h", source=CandleSource.VENUE)
    imported = candle(T0, 6000, timeframe="15m", source=CandleSource.IMPORT)
    candle_upsert([said, imported, *run_of("1m", T0, T0 + HOUR_MS)])
    candles_build()
    assert stored("1h") == [said]
    assert stored("15m")[0] == imported
    assert len(stored("15m")) == 4


def test_a_hole_or_a_running_minute_leaves_what_it_is_in_without_a_candle() -> None:
    minutes = run_of("1m", T0, T0 + HOUR_MS)
    minutes[7] = msgspec.structs.replace(minutes[7], is_closed=False)
    candle_upsert(minutes[:40] + minutes[41:])
    candles_build()
    assert [(each.open_ms - T0) // MINUTE_MS for each in stored("15m")] == [15, 45]
    assert stored("1h") == []


def test_each_symbol_is_its_own() -> None:
    other = [msgspec.structs.replace(each, symbol="ETHUSDT") for each in run_of("1m", T0, T0 + HOUR_MS, Random(2))]
    candle_upsert(run_of("1m", T0, T0 + HOUR_MS) + other)
    assert stale_symbols("1m") == [(VENUE, SYMBOL), (VENUE, "ETHUSDT")]
    build_candles()
    assert stored("1h", "ETHUSDT") == roll_up(other, "1h")
    assert stored("1h") != stored("1h", "ETHUSDT")


def test_a_failure_leaves_the_marks_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    candle_upsert(run_of("1m", T0, T0 + HOUR_MS))
    with monkeypatch.context() as failing:
        failing.setattr(keeping, "candles_store", raising(OperationalError))
        with pytest.raises(OperationalError):
            candles_build()
    assert StaleCandles.objects.count() == 1
    candles_build()
    assert len(stored("1h")) == 1


def raising(error: type[Exception]) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise error

    return fail


def test_a_series_that_cannot_be_built_is_named_and_keeps_no_other_one_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The month after December 9999 has no date."""
    december_9999 = 253_399_622_400_000
    candle_upsert([candle(december_9999, symbol="AUSDT"), candle(december_9999, symbol="AUSDT", timeframe="1d")])
    candle_upsert(run_of("1m", T0, T0 + DAY_MS))
    candles_build()
    assert_rolled_up(stored("1m"))
    assert "candles cannot be rolled up" in caplog.text
    assert "AUSDT" in caplog.text
    assert stale_symbols("1d") == [(VENUE, "AUSDT")]


@server_only("SQLite has one writer at a time anyway")
def test_several_workers_and_writers_at_once_leave_nothing_out(transactional_db: None) -> None:
    hours = 30
    minutes = run_of("1m", T0, T0 + hours * HOUR_MS)
    barrier = Barrier(4)

    def write(part: int) -> None:
        barrier.wait()
        for first in range(part, hours, 2):
            candle_upsert(minutes[first * 60 : first * 60 + 60])

    def build() -> None:
        barrier.wait()
        for _ in range(12):
            candles_build()

    in_threads(*(lambda part=part: write(part) for part in range(2)), build, build)
    candles_build()
    assert_rolled_up(minutes)
    assert not StaleCandles.objects.exists()


@server_only("SQLite has one writer at a time anyway")
def test_two_days_built_at_once_still_make_their_month(transactional_db: None) -> None:
    """Neither sees the other's day: what is rolled up of both is a later transaction's."""
    hours = run_of("1h", T0, T0 + 31 * DAY_MS)
    candle_upsert(hours)
    barrier = Barrier(3)

    def build() -> None:
        barrier.wait()
        for timeframe in ("1h", "1d"):
            stretches_build(VENUE, SYMBOL, timeframe)

    keeping_few(in_threads, build)
    candles_build()
    assert len(stored("1M")) == 1


def keeping_few(run: object, build: object) -> None:
    before, keeping.STRETCHES_AT_ONCE = keeping.STRETCHES_AT_ONCE, 2
    try:
        run(build, build, build)  # type: ignore[operator]
    finally:
        keeping.STRETCHES_AT_ONCE = before


def in_threads(*works: object) -> None:
    failures: list[BaseException] = []

    def run(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
