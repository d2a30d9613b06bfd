"""Looking through the table page by page: every order once, in one order, whatever the filters and the page's size."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.errors import QueryTimeout
from liquidations import browsing
from liquidations.browsing import OrdersFilter, Position, orders_browse
from liquidations.queries import TRADE_TIME, sorted_newest_first
from liquidations.services import orders_write
from liquidations.types import ForcedOrder
from tests.bulk import rows_fill
from tests.factories import HOUR, MINUTE, T0, order

pytestmark = pytest.mark.django_db

Table = list[ForcedOrder]


def some_orders() -> Table:
    """300 orders in 60 milliseconds of three symbols and both sides, worth 10 to 3000."""
    return [
        order(
            at=T0 + number // 5,
            symbol=("BTCUSDT", "ETHUSDT", "XRPUSDT")[number % 3],
            side=("SELL", "BUY")[number % 2],
            quantity=str(number + 1),
            average_price="10",
        )
        for number in range(300)
    ]


@pytest.fixture
def table(db: None) -> Table:
    orders = some_orders()
    orders_write(orders)
    return orders


def matching(table: Table, asked: OrdersFilter) -> list[Any]:
    """What the filter means, said once more in Python."""
    found = [
        one
        for one in table
        if asked.symbol in ("", one.symbol)
        and asked.side in ("", one.side)
        and (
            asked.min_notional is None
            or one.average_price * one.order_filled_accumulated_quantity >= asked.min_notional
        )  # type: ignore[operator]
        and asked.start_ms <= one.order_trade_time <= asked.end_ms
    ]
    return [identity(row) for row in sorted_newest_first(found)]


def identity(row: Any) -> tuple[str, str, int, Decimal]:
    return row[0], row[1], row[TRADE_TIME], Decimal(str(row[4])).normalize()


def older_pages(asked: OrdersFilter, size: int) -> Iterator[browsing.BrowsedPage]:
    page = orders_browse(asked, size)
    yield page
    while page.older:
        page = orders_browse(asked, size, older=page.older)
        yield page


filters = st.builds(
    OrdersFilter,
    symbol=st.sampled_from(["", "BTCUSDT", "ETHUSDT", "NONEUSDT"]),
    side=st.sampled_from(["", "SELL", "BUY"]),
    min_notional=st.none() | st.integers(0, 3200).map(Decimal),
    start_ms=st.sampled_from([0, T0 + 7, T0 + 30]),
    end_ms=st.sampled_from([T0 + 20, T0 + 59, T0 + HOUR]),
)


@given(asked=filters, size=st.integers(1, 70), span=st.sampled_from([3, 40, 20_000]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_walking_back_meets_every_matching_order_once_and_walking_forth_again(
    table: Table, asked: OrdersFilter, size: int, span: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(browsing, "SPAN_ROWS", span)
        pages = list(older_pages(asked, size))
        wanted = matching(table, asked)
        assert [identity(row) for page in pages for row in page.rows] == wanted
        assert all(len(page.rows) == size for page in pages[:-1])
        met = list(pages[-1].rows)
        page = pages[-1]
        while page.newer:
            page = orders_browse(asked, size, newer=page.newer)
            met = [*page.rows, *met] if page.newer else met
        assert [identity(row) for row in page.rows] == wanted[:size]
        assert [identity(row) for row in met] == wanted[-len(met) :] if met else not wanted


def test_orders_that_arrive_while_somebody_pages_move_nothing(table: Table) -> None:
    first = orders_browse(OrdersFilter(), 50)
    orders_write([order(at=T0 + HOUR, quantity=str(number + 1)) for number in range(10)])
    assert first.older is not None
    second = orders_browse(OrdersFilter(), 50, older=first.older)
    assert [identity(row) for row in [*first.rows, *second.rows]] == matching(table, OrdersFilter())[:100]


def test_a_rare_order_is_looked_for_in_portions_that_go_on_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows_fill(2000, step_ms=MINUTE)
    orders_write([order(at=T0 + 5, quantity="1000", average_price="99000")])
    monkeypatch.setattr(browsing, "SPAN_ROWS", 500)
    monkeypatch.setattr(browsing, "SEARCH_SECONDS", -1)
    asked = OrdersFilter(min_notional=Decimal(1_000_000))
    pages = list(older_pages(asked, 50))
    assert [len(page.rows) for page in pages] == [0, 0, 0, 1, 0]
    assert [page.searched_to_ms is None for page in pages] == [False, False, False, False, True]
    page, met = pages[-1], 0
    while page.newer:
        page = orders_browse(asked, 50, newer=page.newer)
        met += len(page.rows)
    assert met == 1


def test_a_page_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_fill(20_000)
    monkeypatch.setattr(browsing, "BROWSE_SECONDS", 0)
    with pytest.raises(QueryTimeout):
        orders_browse(OrdersFilter(min_notional=Decimal(1_000_000)), 500)


def test_lower_case_rows_of_other_programs_are_found_too() -> None:
    rows_fill(3, symbol="btcusdt")
    assert len(orders_browse(OrdersFilter(symbol="BTCUSDT"), 50).rows) == 3


def test_a_symbol_that_nobody_stored_is_an_empty_page() -> None:
    assert orders_browse(OrdersFilter(symbol="NONE"), 50) == browsing.BrowsedPage([])
    assert orders_browse(OrdersFilter(symbol="NONE"), 50, newer=Position(T0, 3)).rows == []
