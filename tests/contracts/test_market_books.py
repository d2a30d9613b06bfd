"""Order books and trades, as far as no server is needed: how books are shown, and what the frames hold."""

import json
from collections import deque
from decimal import Decimal
from typing import Any

import pytest

from marketdata.books.aggregation import aggregate
from marketdata.books.parameters import AskedParameters
from marketdata.formatting import price_decimals, rounding_options
from marketdata.trades import TradeTape
from marketdata.types import Instrument
from streams.book_frames import orderbook_frame
from streams.trade_frames import trade_rows, trades_frame
from tests.marketdata.books import Written, book_of, instrument
from tests.marketdata.trades import trades

AT = 1_690_000_000_123
BTC = instrument("0.1")
CHEAP = instrument("0.0000001", "1", "CHEAPUSDT")
BIDS: Written = [("50000.9", "1"), ("50000", "2"), ("49999.99", "3"), ("49998.5", "4")]
ASKS: Written = [("50001", "10"), ("50001.1", "10"), ("50002.5", "4"), ("50003", "6")]
LEVEL_KEYS = ["price", "amount", "cumulative", "price_formatted", "amount_formatted", "cumulative_formatted"]


def shown(bids: Written, asks: Written, of: Instrument = BTC, **query: str) -> dict[str, Any]:
    """The frame for whoever opens the socket with this query."""
    parameters = AskedParameters.from_query(query).within(of, 5000)
    view = aggregate(book_of(bids, asks), parameters.limit, parameters.rounding)
    options = rounding_options(price_decimals(of), float(next(iter(bids))[0]))
    return json.loads(orderbook_frame(view, parameters, of, options, AT))


def column(levels: list[dict[str, Any]], name: str) -> list[Any]:
    return [level[name] for level in levels]


@pytest.mark.contract("D087")
def test_order_book_frames_have_the_terminals_keys_in_order() -> None:
    frame = shown(BIDS, ASKS, rounding="1")
    assert list(frame) == [
        "type",
        "symbol",
        "bids",
        "asks",
        "timestamp",
        "rounding",
        "rounding_options",
        "market_depth_info",
        "aggregated",
        "time_formatted",
    ]
    assert (frame["type"], frame["symbol"], frame["timestamp"]) == ("orderbook_update", "BTCUSDT", AT)
    assert frame["aggregated"] is True
    assert all(list(level) == LEVEL_KEYS for level in frame["bids"] + frame["asks"])
    assert list(frame["market_depth_info"])[:7] == [
        "has_insufficient_raw_data",
        "is_market_depth_limited",
        "actual_levels",
        "requested_levels",
        "raw_bids_count",
        "raw_asks_count",
        "min_required_raw_data",
    ]


@pytest.mark.contract("D088")
@pytest.mark.contract("D089")
@pytest.mark.contract("D090")
def test_bids_fall_and_asks_fall_to_the_best_which_is_last() -> None:
    frame = shown(BIDS, ASKS, rounding="1")
    assert column(frame["bids"], "price") == [50000, 49999, 49998]
    assert column(frame["bids"], "cumulative") == [3, 6, 10]
    assert column(frame["asks"], "price") == [50003, 50002, 50001]
    assert column(frame["asks"], "cumulative") == [30, 20, 10]
    assert frame["bids"][0]["amount"] == frame["bids"][0]["cumulative"]
    assert frame["asks"][-1]["amount"] == frame["asks"][-1]["cumulative"]


@pytest.mark.contract("D089")
@pytest.mark.parametrize(("rounding", "bid", "ask"), [("0.1", 0.3, 0.7), ("0.2", 0.2, 0.8), ("0.7", None, 0.7)])
def test_rounding_is_decimal_and_exact_multiples_stay(rounding: str, bid: float | None, ask: float) -> None:
    # As floats 0.3 / 0.1 is 2.9999999999999996, and 0.7 / 0.1 is 6.999999999999999.
    frame = shown([("0.3", "1")], [("0.7", "1")], rounding=rounding)
    assert column(frame["bids"], "price") == ([] if bid is None else [bid])
    assert column(frame["asks"], "price") == [ask]


@pytest.mark.contract("D091")
@pytest.mark.parametrize(("limit", "levels"), [("5", 5), ("1000", 1000), ("5000", 1000)])
def test_at_most_a_thousand_levels_are_shown(limit: str, levels: int) -> None:
    bids = [(str(number), "1") for number in range(1, 1500)]
    asks = [(str(number), "1") for number in range(2000, 3500)]
    frame = shown(bids, asks, limit=limit)
    assert (len(frame["bids"]), len(frame["asks"])) == (levels, levels)
    assert frame["market_depth_info"]["requested_levels"] == levels


@pytest.mark.contract("D093")
@pytest.mark.parametrize("query", [{"rounding": "0.00001"}, {}])
def test_symbols_of_a_tiny_price_are_rounded_to_what_was_asked(query: dict[str, str]) -> None:
    frame = shown(
        [("0.0012345", "1000"), ("0.0012301", "500"), ("0.0000099", "5")], [("0.0012351", "10")], CHEAP, **query
    )
    assert frame["rounding"] == 1e-5
    # What rounds to nothing is not bid for nothing.
    assert column(frame["bids"], "price") == [0.00123]
    assert column(frame["bids"], "price_formatted") == ["0.00123"]
    assert column(frame["bids"], "amount") == [1500]
    assert column(frame["asks"], "price") == [0.00124]


@pytest.mark.contract("D093")
def test_a_rounding_finer_than_the_price_step_is_the_price_step() -> None:
    assert shown(BIDS, ASKS, rounding="0.0001")["rounding"] == 0.1
    assert shown([("0.0000123", "1")], [("0.0000124", "1")], CHEAP, rounding="1e-9")["rounding"] == 1e-7


@pytest.mark.contract("D094")
def test_options_time_and_what_is_lacking_are_filled() -> None:
    frame = shown(BIDS, ASKS, rounding="1", limit="20")
    assert frame["rounding_options"] == [0.1, 1, 10, 100, 1000]
    assert frame["time_formatted"] == "04:26:40"
    info = frame["market_depth_info"]
    assert info["insufficient_levels"] is True
    assert info["message"] == "Only 3 of 20 levels are known at this rounding"
    plenty = [(str(price), "1") for price in range(1, 500)]
    info = shown(plenty, [(str(price), "1") for price in range(501, 1000)], rounding="1")["market_depth_info"]
    assert (info["insufficient_levels"], info["message"]) == (False, "")


@pytest.mark.contract("D100")
@pytest.mark.contract("D101")
def test_trades_are_newest_first_a_hundred_at_most_and_none_twice() -> None:
    tape = TradeTape()
    rows: deque[Any] = deque(maxlen=100)
    # History twice, live trades that overlap it, one that comes late.
    for taken in (
        tape.seed(trades(*range(1, 120))),
        tape.seed(trades(*range(50, 120))),
        tape.take(trades(118, 119, 120)),
        tape.take(trades(122)),
        tape.take(trades(121, 122)),
    ):
        rows.extendleft(trade_rows(taken, BTC))
    first, then = (json.loads(trades_frame("BTCUSDT", list(rows), AT, initial=initial)) for initial in (True, False))
    assert (first["initial"], then["initial"]) == (True, False)
    assert column(then["trades"], "id") == [str(id) for id in range(122, 22, -1)]
    assert list(then) == ["type", "symbol", "trades", "initial", "timestamp"]
    assert list(then["trades"][0]) == [
        "id",
        "price",
        "amount",
        "side",
        "timestamp",
        "price_formatted",
        "amount_formatted",
        "time_formatted",
    ]
    assert Decimal(str(then["trades"][0]["price"])) == 100
