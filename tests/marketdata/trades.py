"""Makers of trades."""

from collections.abc import Iterable
from decimal import Decimal

from marketdata.types import Side, Trade


def trade(id: int, price: str = "100", quantity: str = "1", side: Side = Side.BUY, *, at: int | None = None) -> Trade:
    """Traded at the millisecond of its id, unless said otherwise."""
    return Trade(
        venue="binance",
        symbol="BTCUSDT",
        id=id,
        price=Decimal(price),
        quantity=Decimal(quantity),
        taker_side=side,
        event_ms=id if at is None else at,
        received_ms=0,
        first_trade_id=2 * id,
        last_trade_id=2 * id + 1,
    )


def trades(*ids: int) -> list[Trade]:
    return [trade(id) for id in ids]


def ids(trades: Iterable[Trade]) -> list[int]:
    return [trade.id for trade in trades]
