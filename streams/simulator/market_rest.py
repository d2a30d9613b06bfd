"""REST's market data: books, klines, trades, tickers. Each endpoint has its weight and its body.

Source: Binance's documentation of USD-M futures, "Market Data Endpoints" and "Error Code".
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from marketdata.timeframes import HOUR_MS, TIMEFRAMES, candle_close_ms, candle_open_ms, candle_shifted_ms
from streams.simulator.exchange import Exchange
from streams.simulator.klines import MINUTE_MS, Kline
from streams.simulator.listing import Listing
from streams.simulator.parameters import Query, integer, limit_of, plain_limit, required, time_range
from streams.simulator.subscriptions import Refused
from streams.simulator.tape import Fill
from streams.simulator.tickers import premium_answer, ticker_answer

DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}  # by limit
DEFAULT_LIMIT = 500
MAX_KLINES, MAX_TRADES = 1500, 1000
STIRRED_FROM = 5  # ticks from the best levels, which are not to change without being told


def depth_weight(query: Query) -> int:
    return DEPTH_WEIGHTS.get(plain_limit(query, DEFAULT_LIMIT), DEPTH_WEIGHTS[DEFAULT_LIMIT])


async def depth(exchange: Exchange, query: Query) -> Any:
    """A snapshot. Something changes in the book for it, so that its id lies within the next diff of any stream.

    Otherwise who subscribed just before could not join the two: the diff that ends with this id was sent already.
    """
    listing, limit = listing_asked(exchange, query), integer(query, "limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    if limit not in DEPTH_WEIGHTS:
        raise Refused(-4021, f"'{limit}' is not valid depth limit.")
    now_ms = exchange.now_ms()
    book = exchange.broadcast.book(listing.symbol)
    book.stir(now_ms, 1, STIRRED_FROM)
    view = book.view()
    return {
        "lastUpdateId": view.id,
        "E": now_ms,
        "T": view.time_ms,
        "bids": listing.level_texts(view.bids[:limit]),
        "asks": listing.level_texts(view.asks[:limit]),
    }


def klines_weight(query: Query) -> int:
    limit = plain_limit(query, DEFAULT_LIMIT)
    return next(weight for weight, below in ((1, 100), (2, 500), (5, 1001), (10, limit + 1)) if limit < below)


async def klines(exchange: Exchange, query: Query) -> Any:
    listing, interval = listing_asked(exchange, query), required(query, "interval")
    if interval not in TIMEFRAMES:
        raise Refused(-1120, "Invalid interval.")
    limit, (start_ms, end_ms) = limit_of(query, DEFAULT_LIMIT, MAX_KLINES), time_range(query)
    listing.advance(exchange.now_ms())
    # An end is a kline's own, and may be the open time of the last one.
    newest_ms = candle_open_ms(interval, listing.tape.minute * MINUTE_MS)
    last_ms = newest_ms if end_ms is None else min(candle_open_ms(interval, end_ms), newest_ms)
    first_ms = candle_shifted_ms(interval, last_ms, 1 - limit)
    if start_ms is not None:
        first_ms = max(first_open_ms(interval, start_ms), first_open_ms(interval, oldest_ms(listing, interval)))
        last_ms = min(last_ms, candle_shifted_ms(interval, first_ms, limit - 1))
    found = listing.klines(interval, first_ms, last_ms + 1)
    return [kline_row(listing, interval, open_ms, kline) for open_ms, kline in found]


def first_open_ms(interval: str, start_ms: int) -> int:
    """When the first kline opens from a moment on."""
    open_ms = candle_open_ms(interval, start_ms)
    return open_ms if open_ms == start_ms else candle_close_ms(interval, open_ms)


def oldest_ms(listing: Listing, interval: str) -> int:
    return candle_open_ms(interval, listing.history.first_minute * MINUTE_MS)


def kline_row(listing: Listing, interval: str, open_ms: int, kline: Kline) -> list[Any]:
    steps = listing.steps
    prices = (kline.open, kline.high, kline.low, kline.close)
    return [
        open_ms,
        *map(steps.price_text, prices),
        steps.quantity_text(kline.volume),
        candle_close_ms(interval, open_ms) - 1,
        steps.cash_text(kline.cash),
        kline.count,
        steps.quantity_text(kline.taker_volume),
        steps.cash_text(kline.taker_cash),
        "0",
    ]


def trades_weight(query: Query) -> int:
    return 20


async def trades(exchange: Exchange, query: Query) -> Any:
    listing, limit = listing_asked(exchange, query), limit_of(query, DEFAULT_LIMIT, MAX_TRADES)
    from_id, (start_ms, end_ms) = integer(query, "fromId"), time_range(query)
    if start_ms is not None and end_ms is not None and end_ms - start_ms > HOUR_MS:
        raise Refused(-1127, "More than 1 hours between startTime and endTime.")
    return [trade_row(listing, fill) for fill in listing.fills(limit, from_id, start_ms, end_ms)]


def trade_row(listing: Listing, fill: Fill) -> dict[str, Any]:
    return {
        "a": fill.id,
        "p": listing.steps.price_text(fill.ticks),
        "q": listing.steps.quantity_text(fill.lots),
        "f": fill.first_id,
        "l": fill.last_id,
        "T": fill.time_ms,
        "m": fill.is_sell,
    }


def tickers_weight(query: Query) -> int:
    return 1 if query.get("symbol") else 40


async def tickers(exchange: Exchange, query: Query) -> Any:
    answers = []
    for listing in listings_asked(exchange, query):
        listing.advance(exchange.now_ms())
        answers.append(ticker_answer(listing, exchange.now_ms()))
        # A day of each symbol may have to be made first: the streams are not to wait for all of them.
        await asyncio.sleep(0)
    return answers[0] if query.get("symbol") else answers


def premiums_weight(query: Query) -> int:
    return 1 if query.get("symbol") else 10


async def premiums(exchange: Exchange, query: Query) -> Any:
    answers = [premium_answer(listing, exchange.now_ms()) for listing in listings_asked(exchange, query)]
    return answers[0] if query.get("symbol") else answers


def listing_asked(exchange: Exchange, query: Query) -> Listing:
    symbol = required(query, "symbol")
    if listing := exchange.broadcast.listings.get(symbol):
        return listing
    raise Refused(-1121, "Invalid symbol.")


def listings_asked(exchange: Exchange, query: Query) -> Sequence[Listing]:
    return [listing_asked(exchange, query)] if query.get("symbol") else exchange.listings


MARKET_ENDPOINTS = {
    "/fapi/v1/depth": (depth_weight, depth),
    "/fapi/v1/klines": (klines_weight, klines),
    "/fapi/v1/aggTrades": (trades_weight, trades),
    "/fapi/v1/ticker/24hr": (tickers_weight, tickers),
    "/fapi/v1/premiumIndex": (premiums_weight, premiums),
}
