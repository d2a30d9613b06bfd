"""The sockets' frames, from the contract's samples."""

import json
from decimal import Decimal

import pytest

from streams.messages import heartbeat_frame, initial_frame, order_data, order_frame
from tests.streams.sockets import liquidation


@pytest.mark.contract("D103")
def test_a_live_order_is_one_object_with_the_time_at_which_it_traded() -> None:
    frame = json.loads(order_frame(liquidation(1_568_014_460_893, quantity="0.014"), None, 7))
    assert frame == {
        "type": "liquidation_order",
        "symbol": "BTCUSDT",
        "data": {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "0.014",
            "quantityFormatted": "0.014000",
            "priceUsdt": "138.74",
            "priceUsdtFormatted": "139",
            "timestamp": 1_568_014_460_893,
            "displayTime": "07:34:20",
            "avgPrice": "9910",
            "baseAsset": "BTC",
        },
        "timestamp": "2019-09-09T07:34:20.893000",
        "sequence": 7,
        "previous": 6,
    }


def test_history_and_live_orders_have_the_same_texts_whatever_zeros_a_column_adds() -> None:
    stored = order_data("BTCUSDT", "sell", Decimal("0.0140000000"), Decimal("9910.0000000000"), 1)
    assert stored == order_data("BTCUSDT", "SELL", Decimal("0.014"), Decimal("9910"), 1)


def test_an_order_that_is_not_stored_has_no_number() -> None:
    frame = json.loads(order_frame(liquidation(), None, None))
    assert (frame["sequence"], frame["previous"]) == (None, None)


def test_only_a_simulated_feed_is_said_to_be_one() -> None:
    assert "simulated" not in json.loads(initial_frame("BTCUSDT", [], 0, simulated=False))
    assert json.loads(initial_frame("BTCUSDT", [], 0, simulated=True))["simulated"] is True
    assert json.loads(heartbeat_frame("BTCUSDT", 0)) == {
        "type": "heartbeat",
        "timestamp": "1970-01-01T00:00:00",
        "symbol": "BTCUSDT",
    }
