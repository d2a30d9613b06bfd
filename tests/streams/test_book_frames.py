"""The frames of order books and trades."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from marketdata.books.aggregation import aggregate
from marketdata.books.parameters import BookParameters
from marketdata.types import Side
from streams.book_frames import orderbook_frame, params_updated_frame
from streams.trade_frames import trade_rows, trades_frame
from tests.marketdata.books import Written, book_of, instrument
from tests.marketdata.trades import trade, trades

AT = 1_690_000_000_123
BTC = instrument()


def shown(bids: Written, asks: Written, limit: int = 5, rounding: str = "1", **options: Any) -> dict[str, Any]:
    parameters = BookParameters(limit, Decimal(rounding))
    view = aggregate(book_of(bids, asks), limit, parameters.rounding)
    offered = [Decimal(option) for option in ("0.1", "1", "10")]
    return json.loads(orderbook_frame(view, parameters, options.get("instrument", BTC), offered, AT))


def test_a_frame_of_a_book_has_numbers_texts_and_what_is_lacking() -> None:
    frame = shown([("49999.5", "0.5"), ("49999", "1500")], [("50000.1", "2")])
    assert frame == {
        "type": "orderbook_update",
        "symbol": "BTCUSDT",
        "bids": [
            {
                "price": 49999.0,
                "amount": 1500.5,
                "cumulative": 1500.5,
                "price_formatted": "49999",
                "amount_formatted": "1.50K",
                "cumulative_formatted": "1.50K",
            }
        ],
        "asks": [
            {
                "price": 50001.0,
                "amount": 2.0,
                "cumulative": 2.0,
                "price_formatted": "50001",
                "amount_formatted": "2.000",
                "cumulative_formatted": "2.000",
            }
        ],
        "timestamp": AT,
        "rounding": 1.0,
        "rounding_options": [0.1, 1.0, 10.0],
        "market_depth_info": {
            "has_insufficient_raw_data": True,
            "is_market_depth_limited": True,
            "actual_levels": 1,
            "requested_levels": 5,
            "raw_bids_count": 2,
            "raw_asks_count": 1,
            "min_required_raw_data": 50,
            "insufficient_levels": True,
            "message": "Only 1 of 5 levels are known at this rounding",
        },
        "aggregated": True,
        "time_formatted": "04:26:40",
    }


def test_numbers_are_floats_in_the_text_too() -> None:
    parameters = BookParameters(5, Decimal(10))
    view = aggregate(book_of([("50000", "1")], [("50010", "3")]), 5, Decimal(10))
    text = orderbook_frame(view, parameters, BTC, [], AT)
    assert '"price":50000.0,"amount":1.0,"cumulative":1.0' in text
    assert '"rounding":10.0' in text


@pytest.mark.parametrize(
    ("limit", "rounding", "expected"),
    [
        (10, 0.5, '{"type":"params_updated","limit":10,"rounding":0.5,"success":true}'),
        (None, 1, '{"type":"params_updated","limit":null,"rounding":1,"success":true}'),
    ],
)
def test_new_parameters_are_acknowledged_as_they_were_said(
    limit: int | None, rounding: float | None, expected: str
) -> None:
    assert params_updated_frame(limit, rounding) == expected


def test_a_trade_is_shown_with_its_takers_side_and_its_time() -> None:
    sold = trade(3535186032, "28145.10", "0.002", Side.SELL, at=1_680_652_700_452)
    frame = json.loads(trades_frame("BTCUSDT", trade_rows([sold], BTC), AT, initial=True))
    assert frame == {
        "type": "trades_update",
        "symbol": "BTCUSDT",
        "trades": [
            {
                "id": "3535186032",
                "price": 28145.1,
                "amount": 0.002,
                "side": "sell",
                "timestamp": 1_680_652_700_452,
                "price_formatted": "28145.1",
                "amount_formatted": "0.002",
                "time_formatted": "23:58:20",
            }
        ],
        "initial": True,
        "timestamp": AT,
    }


def test_rows_keep_their_order_and_no_more_than_a_hundred_are_sent() -> None:
    rows = trade_rows(trades(*range(150, 0, -1)), BTC)
    assert [msgspec.json.decode(row)["id"] for row in rows[:2]] == ["150", "149"]
    frame = json.loads(trades_frame("BTCUSDT", rows, AT, initial=False))
    assert [row["id"] for row in frame["trades"]] == [str(id) for id in range(150, 50, -1)]
    assert json.loads(trades_frame("BTCUSDT", [], AT, initial=True))["trades"] == []
