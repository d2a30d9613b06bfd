"""What is told of a symbol beside its trades, klines and book: 24 hours' figures, mark price, funding."""

import math
from dataclasses import dataclass
from random import Random
from typing import Any

from marketdata.timeframes import DAY_MS, HOUR_MS
from streams.simulator.kinds import MarkPriceUpdate, TickerUpdate
from streams.simulator.klines import MINUTE_MS
from streams.simulator.listing import Listing

FUNDING_MS = 8 * HOUR_MS
PLACES = 8  # of prices that are no trade's
BASIS = 3e-4  # of the price: how far the index may lie from it
INTEREST_RATE = "0.00010000"


def ticker_update(listing: Listing, now_ms: int) -> TickerUpdate:
    """The message of ``<symbol>@ticker``."""
    steps, day, tape = listing.steps, listing.day(), listing.tape
    change = steps.price(day.close) - steps.price(day.open)
    average = steps.price(day.cash / day.volume if day.volume else day.close)
    return TickerUpdate(
        e="24hrTicker",
        E=now_ms,
        s=listing.symbol,
        p=f"{change:.{steps.tick_places}f}",
        P=f"{change / steps.price(day.open) * 100:.3f}",
        w=f"{average:.{steps.tick_places}f}",
        c=steps.price_text(day.close),
        Q=steps.quantity_text(tape.lots),
        o=steps.price_text(day.open),
        h=steps.price_text(day.high),
        l=steps.price_text(day.low),
        v=steps.quantity_text(day.volume),
        q=steps.cash_text(day.cash),
        O=(tape.minute + 1) * MINUTE_MS - DAY_MS,
        C=now_ms,
        F=tape.trade_id - day.count + 1 if day.count else -1,
        L=tape.trade_id if day.count else -1,
        n=day.count,
    )


def ticker_answer(listing: Listing, now_ms: int) -> dict[str, Any]:
    """The same by the names of REST."""
    ticker = ticker_update(listing, now_ms)
    return {
        "symbol": ticker.s,
        "priceChange": ticker.p,
        "priceChangePercent": ticker.P,
        "weightedAvgPrice": ticker.w,
        "lastPrice": ticker.c,
        "lastQty": ticker.Q,
        "openPrice": ticker.o,
        "highPrice": ticker.h,
        "lowPrice": ticker.l,
        "volume": ticker.v,
        "quoteVolume": ticker.q,
        "openTime": ticker.O,
        "closeTime": ticker.C,
        "firstId": ticker.F,
        "lastId": ticker.L,
        "count": ticker.n,
    }


@dataclass(frozen=True, slots=True)
class Premium:
    """What a symbol's mark price lies above its index, and the rate that pays for it: waves about nothing."""

    mark_price: float
    index_price: float
    funding_rate: float
    next_funding_ms: int

    @classmethod
    def of(cls, listing: Listing, now_ms: int) -> "Premium":
        last = listing.steps.price(listing.tape.ticks)
        phase = Random(listing.symbol).uniform(0, 2 * math.pi)
        mark_price = last * (1 + BASIS / 3 * math.sin(now_ms / MINUTE_MS + phase))
        index_price = mark_price * (1 - BASIS * math.sin(now_ms / HOUR_MS + phase))
        next_ms = now_ms - now_ms % FUNDING_MS + FUNDING_MS
        return cls(mark_price, index_price, BASIS * math.sin(next_ms / DAY_MS + phase), next_ms)


def mark_price_update(listing: Listing, now_ms: int) -> MarkPriceUpdate:
    """The message of ``<symbol>@markPrice``; a dated contract has no funding."""
    premium, is_dated = Premium.of(listing, now_ms), listing.contract.is_dated
    return MarkPriceUpdate(
        e="markPriceUpdate",
        E=now_ms,
        s=listing.symbol,
        p=f"{premium.mark_price:.{PLACES}f}",
        P=f"{premium.mark_price:.{PLACES}f}",
        i=f"{premium.index_price:.{PLACES}f}",
        r="" if is_dated else f"{premium.funding_rate:.{PLACES}f}",
        T=0 if is_dated else premium.next_funding_ms,
    )


def premium_answer(listing: Listing, now_ms: int) -> dict[str, Any]:
    """An element of ``/fapi/v1/premiumIndex``."""
    update = mark_price_update(listing, now_ms)
    return {
        "symbol": update.s,
        "markPrice": update.p,
        "indexPrice": update.i,
        "estimatedSettlePrice": update.P,
        "lastFundingRate": update.r,
        "interestRate": "" if listing.contract.is_dated else INTEREST_RATE,
        "nextFundingTime": update.T,
        "time": now_ms,
    }
