"""How the answers of the liquidation API are cached: their keys, how long they are fresh, what makes them outdated."""

import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from django.conf import settings
from django.db import transaction
from rest_framework.exceptions import NotFound

from cachemgmt.caching import changed
from cachemgmt.keys import key_text, query_text
from cachemgmt.registry import Asked, Namespace, Subject, WarmRequest
from cachemgmt.stores import store
from cachemgmt.types import Key
from liquidations.domain import DAY_MS, HOUR_MS, canonical_symbol, floor_ms, format_timeframe, parse_timeframe_ms
from liquidations.filling import filled_with_zeros
from liquidations.queries import liquidation_buckets, orders_latest, orders_page, symbols_listed
from liquidations.rendering import buckets_json, orders_json
from liquidations.serializers import BucketParameters, OrdersParameters, SymbolsParameters
from liquidations.types import ForcedOrder

SYMBOLS_SCOPE = "symbols"
# A window that ended so recently is still being written: an exchange's events arrive up to seconds late.
RECENT_MS = 10_000
# What the original warmed, as its clients ask for it.
WARM_SYMBOLS = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "SOLUSDT", "XRPUSDT")
WARM_TIMEFRAMES = ("5m", "15m", "1h", "4h", "1d")
WARM_LIMITS = (50, 100)


def symbol_scope(symbol: str) -> str:
    return key_text("symbol", canonical_symbol(symbol))


def buckets_key(asked: Asked) -> Key:
    symbol, timeframe_ms = canonical_symbol(asked["symbol"]), asked["timeframe_ms"]
    start_ms, end_ms = asked["start_ms"], asked["end_ms"]
    # Buckets that begin at the start begin at multiples of the timeframe if the start is one.
    is_epoch_anchored = asked["anchor"] == "epoch" and start_ms % timeframe_ms != 0
    options = {"anchor": "epoch"} if is_epoch_anchored else {}
    options |= {
        name: asked[name] for name, default in (("fill", "none"), ("numbers", "float")) if asked[name] != default
    }
    window = {"timeframe": format_timeframe(timeframe_ms), "start_timestamp": start_ms, "end_timestamp": end_ms}
    text = key_text("liq", symbol, *window.values(), *options.values())
    query = query_text({"symbol": symbol} | window | options)
    return Key("liq", text, symbol_scope(symbol), start_ms, end_ms, query)


def buckets_make(asked: Asked) -> bytes:
    window = asked["timeframe_ms"], asked["start_ms"], asked["end_ms"], asked["anchor"]
    buckets = liquidation_buckets(asked["symbol"], *window)
    if not buckets:
        raise NotFound("No data found for the given parameters")
    if asked["fill"] == "zero":
        buckets = filled_with_zeros(buckets, *window)
    return buckets_json(buckets, as_strings=asked["numbers"] == "string")


def orders_key(asked: Asked) -> Key:
    symbol = canonical_symbol(asked["symbol"])
    options = {"numbers": "string"} if asked["numbers"] == "string" else {}
    if "limit" in asked:
        text = key_text("orders", symbol, "latest", asked["limit"], *options.values())
        query = query_text({"symbol": symbol, "limit": asked["limit"]} | options)
        return Key("orders", text, symbol_scope(symbol), query=query)
    window = {"start_timestamp": asked["start_ms"], "end_timestamp": asked["end_ms"]}
    page = {"page": asked["page"], "page_size": asked["page_size"]}
    text = key_text(
        "orders", symbol, *window.values(), "page", page["page"], "size", page["page_size"], *options.values()
    )
    query = query_text({"symbol": symbol} | window | page | options)
    return Key("orders", text, symbol_scope(symbol), asked["start_ms"], asked["end_ms"], query)


def orders_make(asked: Asked) -> bytes:
    as_strings = asked["numbers"] == "string"
    if "limit" in asked:
        rows, has_more = orders_latest(asked["symbol"], asked["limit"]), False
    else:
        page = orders_page(asked["symbol"], asked["start_ms"], asked["end_ms"], asked["page"], asked["page_size"])
        rows, has_more = page.rows, page.has_more
    if not rows:
        raise NotFound("No liquidation orders found for the given criteria")
    orders = orders_json(rows, as_strings=as_strings)
    if "limit" in asked:
        return orders
    pagination = {
        "page": asked["page"],
        "page_size": asked["page_size"],
        "total_returned": len(rows),
        "has_more": has_more,
    }
    return b'{"data":%b,"pagination":%b}' % (orders, msgspec.json.encode(pagination))


def window_ttl_s(asked: Asked) -> float:
    """Long for windows whose orders have all arrived, seconds for those that touch the present."""
    age_ms = time.time() * 1000 - asked["end_ms"] if "end_ms" in asked else 0
    if age_ms < RECENT_MS:
        return min(settings.CACHE_TTL_RECENT_SECONDS, settings.CACHE_TTL_SECONDS)
    if age_ms < max(HOUR_MS, settings.BARS_REREAD_SECONDS * 1000) or not settings.CACHE_TTL_SECONDS:
        return settings.CACHE_TTL_SECONDS
    return max(settings.CACHE_TTL_HISTORICAL_SECONDS, settings.CACHE_TTL_SECONDS)


BUCKETS = Namespace(
    name="liq",
    path="/api/liquidations",
    parameters=BucketParameters,
    key=buckets_key,
    ttl_s=window_ttl_s,
    make=buckets_make,
)
ORDERS = Namespace(
    name="orders",
    path="/api/liquidation-orders",
    parameters=OrdersParameters,
    key=orders_key,
    ttl_s=window_ttl_s,
    make=orders_make,
)
SYMBOLS = Namespace(
    name="symbols",
    path="/api/symbols",
    parameters=SymbolsParameters,
    key=lambda asked: Key("symbols", "symbols:all", SYMBOLS_SCOPE),
    ttl_s=lambda asked: settings.CACHE_TTL_SYMBOLS,
    make=lambda asked: msgspec.json.encode(symbols_listed()),
)


def about_symbol(symbol: str) -> Subject:
    """The answers about this symbol, in whatever case and with whatever characters it is written."""
    name = canonical_symbol(symbol)
    return Subject(
        tuple(f"{key_text(namespace.name, name)}:*" for namespace in (BUCKETS, ORDERS)), (symbol_scope(name),)
    )


SYMBOL_LISTS = Subject((SYMBOLS.pattern,), (SYMBOLS_SCOPE,))

# Symbols of which this process has said that they exist: the list of symbols changes with the first order alone.
announced: set[str] = set()


def orders_changed(orders: Iterable[ForcedOrder]) -> None:
    """These orders are being written: outdate, once they are committed, the answers that lack them."""
    times: dict[str, list[int]] = {}
    for order in orders:
        times.setdefault(order.symbol, []).append(order.order_trade_time)
    changes: dict[str, Sequence[int] | None] = {symbol_scope(symbol): found for symbol, found in times.items()}
    if new := times.keys() - announced:
        changes[SYMBOLS_SCOPE] = None
        # Not before: a transaction that is rolled back and tried again must say it again.
        transaction.on_commit(lambda: announced.update(new))
    changed(changes)


def orders_changed_outside(symbol: str | None) -> None:
    """Orders of this symbol, or of any, have been changed in the table by somebody else."""
    if symbol is None:
        store().renew()
    else:
        changed({symbol_scope(symbol): None})


def warm_requests(now_ms: int) -> Iterator[WarmRequest]:
    """The list of symbols, the last 24 hours of five symbols in five timeframes, and their newest orders."""
    yield WarmRequest(SYMBOLS, {})
    for symbol in WARM_SYMBOLS:
        for timeframe in WARM_TIMEFRAMES:
            # Charts ask for whole candles: from and until the start of one.
            end_ms = floor_ms(now_ms, parse_timeframe_ms(timeframe))
            window = {"start_timestamp": str(end_ms - DAY_MS), "end_timestamp": str(end_ms)}
            yield WarmRequest(BUCKETS, {"symbol": symbol, "timeframe": timeframe, **window})
        for limit in WARM_LIMITS:
            yield WarmRequest(ORDERS, {"symbol": symbol, "limit": str(limit)})
