"""The law: whatever has happened to table and bars, the answer equals the plain ``SUM … GROUP BY`` over the table."""

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from liquidations import bars
from liquidations.bars import bars_advance, bars_build, bars_rebuild, stale_days_build_some, stale_symbols
from liquidations.domain import DAY_MS, HOUR_MS, MAX_TIMESTAMP_MS, MINUTE_MS
from liquidations.models import LiquidationBar, StaleBarDay
from liquidations.queries import liquidation_buckets
from liquidations.services import orders_write
from liquidations.table import table_profile_reset
from liquidations.types import Anchor, ForcedOrder
from liquidations.verifying import bars_verify
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import (
    LEGACY_INDEXES,
    empty_database,
    insert_raw,
    legacy_columns,
    outside_table,
    stored_orders,
)
from tests.liquidations.strategies import DAYS, SYMBOLS, TIMEFRAMES_MS, as_others_write, instants, orders, windows

ANCHORS: tuple[Anchor, ...] = ("start", "epoch")
REREAD_MS = 3_600_000
END = T0 + DAYS * DAY_MS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[int], None]:
    """Sets the time that liqui believes in, and the re-read window to one hour."""
    settings.BARS_REREAD_SECONDS = REREAD_MS // 1000

    def set_clock(now_ms: int) -> None:
        monkeypatch.setattr(bars, "clock_ms", lambda: now_ms)

    set_clock(END)
    return set_clock


# All that can happen, in any order --------------------------------------------------------------------------------


class BarsMachine(RuleBasedStateMachine):
    """Writers, an outside collector and builders at work; after every step the law is looked at."""

    set_clock: Callable[[int], None]
    nullable: bool  # whether the table takes rows without a symbol or a side

    def __init__(self) -> None:
        super().__init__()
        empty_database()
        self.set_now(T0 + 2 * DAY_MS + 17 * MINUTE_MS + 3)

    def set_now(self, now_ms: int) -> None:
        self.now_ms = now_ms
        type(self).set_clock(now_ms)

    def rows_of_others(self, first_ms: int) -> st.SearchStrategy[ForcedOrder]:
        return as_others_write(instants(first_ms, self.now_ms), nullable=self.nullable)

    @initialize(data=st.data())
    def table_with_history(self, data: st.DataObject) -> None:
        """Bars have never been built, so anybody may have written anything."""
        insert_raw(data.draw(st.lists(self.rows_of_others(T0), max_size=20)))

    @rule(data=st.data())
    def our_writer_writes(self, data: st.DataObject) -> None:
        """New, late and ancient orders, some twice in the batch, some of the future."""
        recent = instants(self.now_ms - 3 * REREAD_MS, self.now_ms + HOUR_MS)
        times = instants(T0, self.now_ms) | recent
        batch = data.draw(st.lists(orders(times=times), min_size=1, max_size=8))
        copies = data.draw(st.lists(st.sampled_from(batch), max_size=2))
        result = orders_write([*batch, *copies])
        assert result.inserted + result.completed + result.duplicates == len(batch) + len(copies)

    @rule(data=st.data())
    def our_writer_imports_again_and_completes(self, data: st.DataObject) -> None:
        known = [row for row in stored_orders() if row.symbol in SYMBOLS and row.side in ("BUY", "SELL")]
        hypothesis.assume(known)
        again = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
        priced = data.draw(orders())
        orders_write([exact_order(row)._replace(average_price=priced.average_price) for row in again])

    @rule(data=st.data())
    def another_program_inserts_within_the_reread_window(self, data: st.DataObject) -> None:
        insert_raw(data.draw(st.lists(self.rows_of_others(self.now_ms - REREAD_MS + 1), min_size=1, max_size=5)))
        # Readers look a symbol's spellings up once a minute; that minute is over.
        table_profile_reset()

    @rule(pause_ms=st.sampled_from([1, MINUTE_MS, 29 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS, 3 * DAY_MS]))
    def time_passes(self, pause_ms: int) -> None:
        self.set_now(min(self.now_ms + pause_ms, END))

    @rule()
    def watermark_advances(self) -> None:
        bars_advance(self.now_ms)

    @rule(pause_ms=st.integers(1, 3 * HOUR_MS))
    def beat_builds_after_a_while(self, pause_ms: int) -> None:
        self.set_now(min(self.now_ms + pause_ms, END))
        bars_build(self.now_ms)

    @rule(symbol=st.sampled_from([*SYMBOLS, None]), window=windows())
    def operator_rebuilds(self, symbol: str | None, window: tuple[int, int]) -> None:
        bars_rebuild(symbol, max(window[0], 0), window[1])

    @precondition(lambda self: StaleBarDay.objects.exists())
    @rule(data=st.data())
    def one_worker_builds_some(self, data: st.DataObject) -> None:
        stale_days_build_some(data.draw(st.sampled_from(stale_symbols())))

    @rule(
        symbol=st.sampled_from([*SYMBOLS, "btcusdt"]),
        timeframe_ms=st.sampled_from(TIMEFRAMES_MS),
        window=windows(),
        anchor=st.sampled_from(ANCHORS),
    )
    def client_asks(self, symbol: str, timeframe_ms: int, window: tuple[int, int], anchor: Anchor) -> None:
        assert_law(symbol, timeframe_ms, *window, anchor)

    @invariant()
    def law_holds(self) -> None:
        assert_law("BTCUSDT", DAY_MS, T0, END, "start")
        assert_law("币安人生USDT", HOUR_MS, T0 + 61_001, self.now_ms, "epoch")

    @invariant()
    def verify_finds_nothing(self) -> None:
        assert list(bars_verify(None, 0, MAX_TIMESTAMP_MS, repair=False)) == []

    def teardown(self) -> None:
        bars_build(self.now_ms)
        assert not StaleBarDay.objects.exists()
        for timeframe_ms in (MINUTE_MS, HOUR_MS, DAY_MS):
            for symbol in SYMBOLS:
                assert_law(symbol, timeframe_ms, T0, END, "start")


def exact_order(row: ForcedOrder) -> ForcedOrder:
    """A row as the importer would give it again: numbers from the text that was stored."""
    return ForcedOrder._make(
        Decimal(str(value)) if value is not None and name.rpartition("_")[2] in ("price", "quantity") else value
        for name, value in zip(ForcedOrder._fields, row, strict=True)
    )


def run_machine(clock: Callable[[int], None], *, nullable: bool) -> None:
    BarsMachine.set_clock, BarsMachine.nullable = staticmethod(clock), nullable
    run_state_machine_as_test(BarsMachine, settings=hypothesis.settings(stateful_step_count=15))


@pytest.mark.slow
def test_the_law_holds_whatever_writers_collectors_and_builders_do(
    committed: None, clock: Callable[[int], None]
) -> None:
    run_machine(clock, nullable=False)


@pytest.mark.slow
def test_the_law_holds_over_the_collectors_own_table(committed: None, clock: Callable[[int], None]) -> None:
    with outside_table(legacy_columns(), indexes=LEGACY_INDEXES):
        run_machine(clock, nullable=True)


# One table, any question ------------------------------------------------------------------------------------------


def random_history(seed: int) -> list[ForcedOrder]:
    """Some hundred rows over twelve days, many of them in one millisecond or at a border."""
    dice = random.Random(seed)
    steps = (1, MINUTE_MS, HOUR_MS, DAY_MS)
    rows = []
    for _ in range(500):
        step = dice.choice(steps)
        at = T0 + dice.randrange(DAYS * DAY_MS) // step * step + dice.choice([-1, 0, 0, 1])
        rows.append(
            order(
                at,
                dice.choice(SYMBOLS[:2]),
                dice.choice(["BUY", "SELL", "sell"]),
                quantity=f"{dice.randrange(10**13)}.{dice.randrange(10**10):010}",
                price=dice.choice([None, "1.5"]),
                average_price=dice.choice([None, f"{dice.randrange(10**6)}.{dice.randrange(10**10):010}"]),
            )
        )
    return rows


@pytest.fixture
def history(committed: None, clock: Callable[[int], None]) -> None:
    """Bars of all kinds beside stale days: up to eight days are built, and late orders came in since."""
    insert_raw(random_history(1))
    bars_build(T0 + 8 * DAY_MS + 7 * HOUR_MS + 123)
    orders_write([order(T0 + 3 * DAY_MS + 5), order(T0 + 3 * DAY_MS + 6, "币安人生USDT"), order(T0 + 5 * DAY_MS - 1)])
    assert StaleBarDay.objects.count() == 3


@hypothesis.settings(
    max_examples=5 * hypothesis.settings().max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    symbol=st.sampled_from(["BTCUSDT", "btcusdt", "币安人生USDT", "NONE"]),
    timeframe_ms=st.sampled_from(TIMEFRAMES_MS),
    window=windows(),
    anchor=st.sampled_from(ANCHORS),
)
def test_every_window_timeframe_and_anchor_is_answered_exactly(
    history: None, symbol: str, timeframe_ms: int, window: tuple[int, int], anchor: Anchor
) -> None:
    assert_law(symbol, timeframe_ms, *window, anchor)


# Bars are used: what nobody reads would always be right -----------------------------------------------------------

POISON = 10**9


def poisoned(interval_ms: int) -> None:
    """Falsify all bars of one interval."""
    changed = LiquidationBar.objects.filter(interval_ms=interval_ms).update(notional=POISON)
    assert changed


def answers_poison(timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor = "start") -> bool:
    buckets = liquidation_buckets("BTCUSDT", timeframe_ms, start_ms, end_ms, anchor)
    return any(float(bucket[2]) >= POISON for bucket in buckets)


@pytest.fixture
def built(committed: None, clock: Callable[[int], None]) -> None:
    """Small orders every ten minutes of four days, and bars for three of them."""
    insert_raw([order(T0 + minutes * MINUTE_MS, average_price=1, quantity=1) for minutes in range(0, 4 * 1440, 10)])
    bars_build(T0 + 3 * DAY_MS + REREAD_MS)


@pytest.mark.parametrize(
    ("interval_ms", "timeframe_ms", "start_ms", "end_ms", "anchor"),
    [
        (DAY_MS, DAY_MS, T0, T0 + 2 * DAY_MS, "start"),
        (DAY_MS, 3 * DAY_MS, T0 + 1, T0 + 2 * DAY_MS, "epoch"),
        (HOUR_MS, HOUR_MS, T0, T0 + DAY_MS, "start"),
        (HOUR_MS, 7 * HOUR_MS, T0 + HOUR_MS, T0 + DAY_MS, "start"),
        (HOUR_MS, DAY_MS, T0 + HOUR_MS, T0 + DAY_MS, "start"),
        (MINUTE_MS, MINUTE_MS, T0, T0 + DAY_MS, "start"),
        (MINUTE_MS, 45 * MINUTE_MS, T0 + MINUTE_MS, T0 + DAY_MS, "start"),
        (MINUTE_MS, DAY_MS, T0 + MINUTE_MS, T0 + HOUR_MS, "epoch"),
    ],
)
def test_bars_answer_where_they_fit(
    built: None, interval_ms: int, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor
) -> None:
    assert not answers_poison(timeframe_ms, start_ms, end_ms, anchor)
    poisoned(interval_ms)
    assert answers_poison(timeframe_ms, start_ms, end_ms, anchor)


@pytest.mark.parametrize(
    ("timeframe_ms", "start_ms", "end_ms", "anchor"),
    [
        (DAY_MS, T0 + 1, T0 + 3 * DAY_MS, "start"),
        (HOUR_MS, T0 + 1001, T0 + DAY_MS, "start"),
        (DAY_MS, T0 + 10 * MINUTE_MS, T0 + 11 * MINUTE_MS - 2, "epoch"),
        (DAY_MS, T0 + 3 * DAY_MS, T0 + 4 * DAY_MS, "start"),
        (MINUTE_MS, T0 + 3 * DAY_MS, T0 + 4 * DAY_MS, "epoch"),
    ],
)
def test_the_table_answers_what_bars_cannot(
    built: None, timeframe_ms: int, start_ms: int, end_ms: int, anchor: Anchor
) -> None:
    LiquidationBar.objects.update(notional=POISON)
    assert liquidation_buckets("BTCUSDT", timeframe_ms, start_ms, end_ms, anchor)
    assert not answers_poison(timeframe_ms, start_ms, end_ms, anchor)


def test_a_stale_day_is_answered_by_the_table_and_its_neighbours_by_bars(built: None) -> None:
    orders_write([order(T0 + DAY_MS + 5, average_price=1, quantity=1)])
    LiquidationBar.objects.update(notional=POISON)
    answers = {bucket[0]: float(bucket[2]) for bucket in liquidation_buckets("BTCUSDT", DAY_MS, T0, END)}
    assert answers == {T0: POISON, T0 + DAY_MS: 145, T0 + 2 * DAY_MS: POISON, T0 + 3 * DAY_MS: 144}


def test_another_symbols_stale_day_leaves_the_bars_in_use(built: None) -> None:
    orders_write([order(T0 + 5, "ETHUSDT")])
    poisoned(DAY_MS)
    assert answers_poison(DAY_MS, T0, T0 + DAY_MS)


# Single cases that once were, or nearly were, wrong ---------------------------------------------------------------


def rows(answer: Sequence[Any]) -> list[tuple[int, str, float]]:
    return [(bucket[0], bucket[1], float(bucket[2])) for bucket in answer]


def test_the_window_includes_both_its_ends(built: None) -> None:
    answer = liquidation_buckets("BTCUSDT", HOUR_MS, T0, T0 + HOUR_MS)
    assert rows(answer) == [(T0, "sell", 6), (T0 + HOUR_MS, "sell", 1)]


def test_orders_without_an_average_price_make_no_bucket(committed: None, clock: Callable[[int], None]) -> None:
    orders_write([order(T0, average_price=None), order(T0 + DAY_MS)])
    for _ in range(2):
        assert [bucket[0] for bucket in liquidation_buckets("BTCUSDT", HOUR_MS, T0, END)] == [T0 + DAY_MS]
        bars_build(END)


def test_a_spelling_first_seen_in_the_reread_window_is_in_the_bars(
    committed: None, clock: Callable[[int], None]
) -> None:
    """The process that builds may have looked up a symbol's spellings just before another program added one."""
    insert_raw([order(T0)])
    bars_build(T0 + 2 * HOUR_MS)
    insert_raw([order(T0 + HOUR_MS, "btcusdt")])
    bars_build(T0 + 3 * HOUR_MS)
    table_profile_reset()
    assert_law("BTCUSDT", HOUR_MS, T0, END, "start")
    assert LiquidationBar.objects.filter(interval_ms=HOUR_MS).count() == 2


def test_a_symbol_too_large_for_bars_does_not_keep_the_others_from_theirs(
    committed: None, clock: Callable[[int], None], settings: Any
) -> None:
    """Σ price × quantity may have more digits than any column; then the table answers, and only for that symbol."""
    orders_write([order(T0, "HUGE", average_price="9" * 20, quantity="9" * 20), order(T0)])
    bars_build(T0 + HOUR_MS)
    orders_write([order(T0 + 2 * HOUR_MS, "HUGE", average_price="9" * 20, quantity="9" * 20), order(T0 + 2 * HOUR_MS)])
    bars_build(T0 + 9 * HOUR_MS)
    assert LiquidationBar.objects.filter(symbol="BTCUSDT", interval_ms=HOUR_MS).count() == 2
    for symbol in ("HUGE", "BTCUSDT"):
        assert_law(symbol, HOUR_MS, T0, END, "start")


def test_a_side_of_another_name_is_answered_beside_the_known_ones(committed: None) -> None:
    insert_raw([order(T0, side="SELL"), order(T0 + 1, side="LONG"), order(T0 + HOUR_MS, side="buy")])
    answer = liquidation_buckets("BTCUSDT", HOUR_MS, T0, T0 + DAY_MS)
    assert [(bucket[0], bucket[1]) for bucket in answer] == [(T0, "long"), (T0, "sell"), (T0 + HOUR_MS, "buy")]
