"""Trades and candles for tests, and the plainest way to make candles of trades."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from hypothesis import strategies as st

from marketdata.timeframes import MINUTE_MS, candle_open_ms
from marketdata.types import Candle, CandleSource, Kline, Side, Trade

VENUE, SYMBOL = "binance", "BTCUSDT"
T0 = 1_704_067_200_000  # 2024-01-01, a Monday and the first of a month
ONE = Decimal(1)


def trade(number: int, event_ms: int, price: object = 100, quantity: object = 1, **changes: Any) -> Trade:
    """The trade with this id, of one fill with the same id."""
    values: dict[str, Any] = {
        "venue": VENUE,
        "symbol": SYMBOL,
        "id": number,
        "price": Decimal(str(price)),
        "quantity": Decimal(str(quantity)),
        "taker_side": Side.BUY,
        "event_ms": event_ms,
        "received_ms": event_ms,
        "first_trade_id": number,
        "last_trade_id": number,
    }
    return Trade(**values | changes)


def candle(open_ms: int, price: object = 100, **changes: Any) -> Candle:
    """A closed 1m candle of one price, unless told otherwise."""
    value = Decimal(str(price))
    values: dict[str, Any] = {
        "venue": VENUE,
        "symbol": SYMBOL,
        "timeframe": "1m",
        "open_ms": open_ms,
        **dict.fromkeys(("open", "high", "low", "close"), value),
        "volume": ONE,
        "quote_volume": value,
        "taker_buy_volume": ONE,
        "taker_buy_quote_volume": value,
        "trade_count": 1,
    }
    return Candle(**values | changes)


def kline(trades: Sequence[Trade], *, is_closed: bool = False) -> Kline:
    """The venue's 1m candle once these trades of one minute are in it."""
    (made,) = naive_candles(trades, "1m")
    changed = {"is_closed": is_closed, "source": CandleSource.VENUE}
    first, last = min(each.first_trade_id for each in trades), max(each.last_trade_id for each in trades)
    fields = {name: getattr(made, name) for name in made.__struct_fields__} | changed
    return Kline(candle=Candle(**fields), first_trade_id=first, last_trade_id=last, event_ms=trades[-1].event_ms)


@st.composite
def trades(draw: st.DrawFn, most: int = 60, step_ms: int = 25_000) -> list[Trade]:
    """Trades by rising id and time, of one or several fills."""
    made, id, event_ms = [], draw(st.integers(1, 1000)), T0 + draw(st.integers(0, 10 * MINUTE_MS))
    for number in range(draw(st.integers(1, most))):
        fills = draw(st.integers(1, 4))
        made.append(
            trade(
                number,
                event_ms,
                Decimal(draw(st.integers(1, 10**6))).scaleb(-3),
                Decimal(draw(st.integers(1, 10**6))).scaleb(-4),
                taker_side=draw(st.sampled_from(Side)),
                first_trade_id=id,
                last_trade_id=id + fills - 1,
            )
        )
        id, event_ms = id + fills, event_ms + draw(st.integers(0, step_ms))
    return made


def naive_candles(trades: Sequence[Trade], timeframe: str) -> list[Candle]:
    """Closed candles of the periods in which something was traded: the whole of each period at once."""
    in_order = sorted(trades, key=lambda each: (candle_open_ms(timeframe, each.event_ms), each.first_trade_id))
    groups = groupby(in_order, key=lambda each: candle_open_ms(timeframe, each.event_ms))
    return [naive_candle(timeframe, open_ms, list(group)) for open_ms, group in groups]


def naive_candle(timeframe: str, open_ms: int, trades: Sequence[Trade]) -> Candle:
    bought = [each for each in trades if each.taker_side is Side.BUY]
    return Candle(
        venue=VENUE,
        symbol=trades[0].symbol,
        timeframe=timeframe,
        open_ms=open_ms,
        open=trades[0].price,
        high=max(each.price for each in trades),
        low=min(each.price for each in trades),
        close=trades[-1].price,
        volume=sum((each.quantity for each in trades), Decimal(0)),
        quote_volume=sum((each.price * each.quantity for each in trades), Decimal(0)),
        taker_buy_volume=sum((each.quantity for each in bought), Decimal(0)),
        taker_buy_quote_volume=sum((each.price * each.quantity for each in bought), Decimal(0)),
        trade_count=sum(each.last_trade_id - each.first_trade_id + 1 for each in trades),
        source=CandleSource.TRADES,
    )
