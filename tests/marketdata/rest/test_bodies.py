"""What is written of books, trades and candles, and what is cut from it."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketdata.rest.bodies import candles_json, orderbook_cut, orderbook_json, trades_cut, trades_json
from marketdata.types import Candle, DepthSnapshot, Instrument, Level, Side, Trade

BTC = Instrument(
    venue="binance",
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    contract_type="PERPETUAL",
    status="TRADING",
    is_active=True,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)
NOW = 1_704_067_200_000

levels = st.lists(
    st.tuples(
        st.decimals("0.00000001", "1000000", places=8, allow_nan=False), st.decimals("0.001", "100000", places=3)
    ),
    max_size=30,
)


def book(bids: list[Level], asks: list[Level]) -> DepthSnapshot:
    return DepthSnapshot(venue="binance", symbol="BTCUSDT", last_update_id=1, bids=bids, asks=asks, event_ms=NOW)


def trade(id: int, **fields: object) -> Trade:
    values = {
        "price": Decimal("50000.1"),
        "quantity": Decimal("0.5"),
        "taker_side": Side.BUY,
        "event_ms": NOW + id,
        **fields,
    }
    return Trade(
        venue="binance", symbol="BTCUSDT", id=id, received_ms=NOW, first_trade_id=id, last_trade_id=id, **values
    )


def test_an_order_book_has_its_keys_in_the_contracts_order_and_numbers() -> None:
    snapshot = book([(Decimal("50000.10"), Decimal(2))], [(Decimal("50000.2"), Decimal("0.0010"))])
    assert orderbook_json("BTCUSDT", snapshot) == (
        b'{"symbol":"BTCUSDT","bids":[{"price":50000.1,"amount":2.0}],"asks":[{"price":50000.2,"amount":0.001}],'
        b'"timestamp":1704067200000}'
    )


@given(levels, levels, st.integers(1, 40))
def test_a_cut_book_is_the_beginning_of_both_sides(bids: list[Level], asks: list[Level], limit: int) -> None:
    cut = orderbook_cut(orderbook_json("BTCUSDT", book(bids, asks)), limit)
    assert cut == orderbook_json("BTCUSDT", book(bids[:limit], asks[:limit]))
    assert [level["price"] for level in json.loads(cut)["bids"]] == [float(price) for price, _ in bids[:limit]]


def test_a_trade_has_what_the_socket_says_of_it() -> None:
    body = json.loads(trades_json(BTC, [trade(7, taker_side=Side.SELL, quantity=Decimal(1500))], NOW))
    assert list(body) == ["symbol", "trades", "timestamp"]
    assert body["trades"] == [
        {
            "id": "7",
            "price": 50000.1,
            "amount": 1500.0,
            "side": "sell",
            "timestamp": NOW + 7,
            "price_formatted": "50000.1",
            "amount_formatted": "1.50K",
            "time_formatted": "00:00:00",
        }
    ]


@given(st.integers(0, 50), st.integers(1, 60), st.none() | st.integers(-5, 60))
def test_cut_trades_are_the_newest_that_are_new_enough(count: int, limit: int, since: int | None) -> None:
    since_ms = None if since is None else NOW + since
    body = json.loads(trades_cut(trades_json(BTC, [trade(id) for id in range(count)], NOW), limit, since_ms))
    expected = [id for id in reversed(range(count)) if since is None or id >= since][:limit]
    assert [int(item["id"]) for item in body["trades"]] == expected
    assert body["timestamp"] == NOW


def test_candles_have_no_other_keys_than_the_contracts() -> None:
    candle = Candle(
        venue="binance",
        symbol="BTCUSDT",
        timeframe="1m",
        open_ms=NOW,
        open=Decimal(1),
        high=Decimal("2.50"),
        low=Decimal("1E-7"),
        close=Decimal(2),
        volume=Decimal(0),
    )
    assert candles_json([candle]) == (
        b'[{"timestamp":1704067200000,"open":1.0,"high":2.5,"low":1e-7,"close":2.0,"volume":0.0}]'
    )
    assert candles_json([]) == b"[]"
