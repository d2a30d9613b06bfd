"""A real HTTP server with the klines of an exchange whose every minute is known: its price is its number."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marketdata.timeframes import DAY_MS, MINUTE_MS, candle_close_ms, candle_open_ms
from marketdata.types import Candle, CandleSource
from marketdata.venues.binance import SIMULATED_HEADER
from tests.marketdata.candles.making import SYMBOL, T0, VENUE

NOW = T0 + 40 * DAY_MS + 7 * MINUTE_MS + 30_000  # in the middle of a minute


@dataclass
class KlineExchange:
    """``begins_ms``: when its symbols were listed. ``lacks``: opens of candles that it has lost."""

    url: str = ""
    now_ms: int = NOW
    begins_ms: int = T0 - 400 * DAY_MS
    lacks: set[int] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)  # symbols
    garbled: set[str] = field(default_factory=set)  # symbols that are answered with nonsense
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refusals: int | None = None  # after which it is well again
    asked: list[dict[str, str]] = field(default_factory=list)
    gate: Any = None  # an Event that answers wait for

    def candle(self, timeframe: str, open_ms: int, symbol: str = SYMBOL) -> Candle:
        """As it stands now; a minute trades 1 at the price of its number since T0 plus 1000000."""
        first = max(open_ms, self.begins_ms) // MINUTE_MS
        last = min(candle_close_ms(timeframe, open_ms) - 1, self.now_ms) // MINUTE_MS
        volume = last - first + 1
        quote = (number_price(first) + number_price(last)) * volume / 2
        return Candle(
            venue=VENUE,
            symbol=symbol,
            timeframe=timeframe,
            open_ms=open_ms,
            open=number_price(first),
            high=number_price(last),
            low=number_price(first),
            close=number_price(last),
            volume=Decimal(volume),
            quote_volume=quote,
            taker_buy_volume=Decimal(volume),
            taker_buy_quote_volume=quote,
            trade_count=volume,
            is_closed=candle_close_ms(timeframe, open_ms) <= self.now_ms,
            source=CandleSource.VENUE,
        )

    def candles(self, timeframe: str, start_ms: int, end_ms: int) -> list[Candle]:
        """All that open in [start_ms, end_ms]."""
        found = []
        open_ms = candle_open_ms(timeframe, max(start_ms, self.begins_ms))
        while open_ms <= min(end_ms, self.now_ms):
            if open_ms >= start_ms and open_ms not in self.lacks:
                found.append(self.candle(timeframe, open_ms))
            open_ms = candle_close_ms(timeframe, open_ms)
        return found

    def last(self, timeframe: str, count: int) -> list[Candle]:
        """The newest, the running one included."""
        start_ms = self.now_ms - count * (candle_close_ms(timeframe, 0) or DAY_MS) * 2
        return self.candles(timeframe, start_ms, self.now_ms)[-count:]

    def answer(self, query: dict[str, str]) -> list[list[Any]]:
        self.asked.append(query)
        timeframe, limit = query["interval"], int(query["limit"])
        end_ms = min(int(query.get("endTime", self.now_ms)), self.now_ms)
        last_ms = candle_open_ms(timeframe, end_ms)
        reach_ms = (limit + len(self.lacks) + 9) * (candle_close_ms(timeframe, last_ms) - last_ms)
        if "startTime" in query:
            start_ms = max(int(query["startTime"]), self.begins_ms - reach_ms)
            found = self.candles(timeframe, start_ms, min(end_ms, start_ms + 2 * reach_ms))[:limit]
        else:
            found = self.candles(timeframe, last_ms - reach_ms, end_ms)[-limit:]
        return [row(each) for each in found]


def number_price(number: int) -> Decimal:
    return Decimal(number - T0 // MINUTE_MS + 1_000_000)


def row(candle: Candle) -> list[Any]:
    prices = [str(price) for price in (candle.open, candle.high, candle.low, candle.close, candle.volume)]
    last_ms = candle_close_ms(candle.timeframe, candle.open_ms) - 1
    bought = [str(candle.taker_buy_volume), str(candle.taker_buy_quote_volume)]
    return [candle.open_ms, *prices, last_ms, str(candle.quote_volume), candle.trade_count, *bought, "0"]


@contextmanager
def kline_exchange() -> Iterator[KlineExchange]:
    state = KlineExchange()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if state.gate is not None:
                state.gate.wait(5)
            status = state.status
            if state.refusals is not None:
                state.refusals -= 1
                if state.refusals < 0:
                    status = 200
            code = -1003
            if query["symbol"] in state.unknown:
                status, code = 400, -1121
            body = json.dumps(state.answer(query) if status == 200 else {"code": code, "msg": "no"}).encode()
            if query["symbol"] in state.garbled:
                body = b"<html>"
            self.send_response_only(status)
            headers = {SIMULATED_HEADER: "1", "Date": formatdate(state.now_ms // 1000, usegmt=True)}
            for name, value in ({"Content-Length": str(len(body))} | headers | state.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
