"""In what order a keeper of candles takes trades and the venue's klines, and what it says to whoever asks."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from marketdata.timeframes import MINUTE_MS
from marketdata.types import Candle, Kline, Trade
from streams.collecting.asking import Asker
from streams.collecting.candles import CandleKeeper
from streams.collecting.closed_candles import ClosedCandles
from streams.collecting.tallies import Tallies
from tests.backend import sqlite_only
from tests.marketdata.trades import trade

pytestmark = sqlite_only("what is on its way to the database is not looked at")

T0 = 1_795_867_200_000


class Told:
    """The closes of the candles that were posted, by the number of their minute."""

    def __init__(self) -> None:
        self.messages: list[dict[int, int]] = []

    def post(self, feed: Any, message: Any) -> None:
        self.messages.append({(each.open_ms - T0) // MINUTE_MS: int(each.close) for each in message.candles})

    def state(self, feed: Any, reason: str) -> None: ...


def kept(scenario: Callable[[CandleKeeper], None]) -> list[dict[int, int]]:
    """What a keeper posts in a scenario."""
    told = Told()

    async def run() -> None:
        post: Any = told
        keeper = CandleKeeper("BTCUSDT", post, Asker(1.0), ClosedCandles(len, lambda *_: None), Tallies())
        scenario(keeper)
        keeper.close()
        keeper.asker.close()

    asyncio.run(run())
    return told.messages


def traded(id: int, minute: int, price: int) -> Trade:
    return trade(id, str(price), at=T0 + minute * MINUTE_MS + id)


def kline(minute: int, price: int, last: Trade | None = None) -> Kline:
    """Of a running minute; ``last``: the trade up to which it goes."""
    prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    candle = Candle(
        venue="binance",
        symbol="BTCUSDT",
        timeframe="1m",
        open_ms=T0 + minute * MINUTE_MS,
        volume=Decimal(1),
        is_closed=False,
        **prices,
    )
    last_id = last.last_trade_id if last else -1
    return Kline(candle=candle, first_trade_id=last_id, last_trade_id=last_id, event_ms=candle.open_ms)


def test_a_kline_that_comes_before_the_past_trades_does_not_keep_them_out() -> None:
    def scenario(keeper: CandleKeeper) -> None:
        keeper.take_kline(kline(2, 30))
        keeper.take_trades([traded(1, 0, 10), traded(2, 1, 20), traded(3, 1, 21)])
        keeper.gained()

    assert {1: 21}.items() <= kept(scenario)[0].items()


def test_a_minute_does_not_begin_with_a_kline_while_trades_of_the_one_before_are_missing() -> None:
    def scenario(keeper: CandleKeeper) -> None:
        keeper.take_trades([traded(1, 0, 10), traded(2, 1, 20)])
        keeper.gained()
        # Trade 3 was missed, and is asked for: of all minutes the keeper knows the first two.
        keeper.take_kline(kline(2, 30, traded(4, 2, 30)))
        keeper.publish()
        keeper.take_trades([traded(3, 1, 21), traded(4, 2, 30)])
        keeper.publish()

    assert kept(scenario)[-1] == {1: 21, 2: 30}
    assert not any(2 in told for told in kept(scenario)[:-1])


def test_whoever_asks_just_after_the_end_of_a_minute_is_told_how_that_stands() -> None:
    def scenario(keeper: CandleKeeper) -> None:
        keeper.take_trades([traded(1, 0, 10), traded(2, 1, 20), traded(3, 2, 30)])
        keeper.gained()
        keeper.answer()

    assert kept(scenario)[-1] == {1: 20, 2: 30}
