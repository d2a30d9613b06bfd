"""What the venue is asked for at a client's request: kept for a moment, so that it is asked once for all clients.

An answer is kept under the number of levels or trades that the venue was asked for; smaller ones are cut from it. One
that holds exactly what a client asked for is served as it is kept, and from then on without a view (`cachemgmt.hits`).
"""

from collections.abc import Callable, Sequence

from django.http import HttpResponse
from rest_framework.request import Request

from cachemgmt import hits
from cachemgmt.answers import COMMON_HEADERS, answer, plain_body
from cachemgmt.keys import key_text, query_text
from cachemgmt.registry import Asked, Namespace
from cachemgmt.responses import JSON, http_response, served_for
from cachemgmt.types import Key, Served
from marketdata.clock import clock_ms
from marketdata.errors import LiquiError
from marketdata.rest.bodies import orderbook_json, trades_json
from marketdata.rest.serializers import OrderBookParameters, TradesParameters
from marketdata.rest.troubles import venue_trouble
from marketdata.venue import venue

BOOK_KEPT_S = 1.0
# The venue counts a request for trades as 20, one for 100 levels as 5, and allows 2400 a minute for all that we do.
TRADES_KEPT_S = 2.0
TRADES_LIMITS = (100, 1000)  # that we ask for


def smallest(sizes: Sequence[int], limit: int) -> int:
    """The first of the sizes that holds ``limit``, or the last."""
    return next((size for size in sizes if size >= limit), sizes[-1])


def orderbook_make(asked: Asked) -> bytes:
    symbol = asked["instrument"].symbol
    try:
        return orderbook_json(symbol, venue().depth(symbol, asked["size"]))
    except LiquiError as error:
        raise venue_trouble("order book", symbol, error) from error


def trades_make(asked: Asked) -> bytes:
    instrument = asked["instrument"]
    try:
        trades = venue().agg_trades(instrument.symbol, limit=asked["size"])
    except LiquiError as error:
        raise venue_trouble("trades", instrument.symbol, error) from error
    return trades_json(instrument, trades, clock_ms())


def key_in(name: str) -> Callable[[Asked], Key]:
    """Nothing outdates these answers but their age, so all of a kind share one scope."""

    def key(asked: Asked) -> Key:
        symbol, size = asked["instrument"].symbol, asked["size"]
        return Key(name, key_text(name, symbol, size), name, query=query_text({"symbol": symbol, "limit": size}))

    return key


ORDERBOOK = Namespace(
    name="orderbook",
    path="/api/v1/orderbook",
    parameters=OrderBookParameters,
    key=key_in("orderbook"),
    ttl_s=lambda asked: BOOK_KEPT_S,
    make=orderbook_make,
)
TRADES = Namespace(
    name="trades",
    path="/api/v1/trades",
    parameters=TradesParameters,
    key=key_in("trades"),
    ttl_s=lambda asked: TRADES_KEPT_S,
    make=trades_make,
)


def respond_kept(
    namespace: Namespace, asked: Asked, request: Request, cut: Callable[[bytes], bytes] | None
) -> HttpResponse:
    """The kept answer; what ``cut`` makes of it where a client asked for less."""
    served = served_for(namespace, asked)
    if cut is not None and served.entry.status == 200:
        return HttpResponse(cut(plain(served)), content_type=JSON, headers={"Cache-Control": "no-cache"})
    if served.state != "bypass":
        hits.remember(request.META["PATH_INFO"], request.META.get("QUERY_STRING", ""), namespace.key(asked))
    found = answer(served, request.META)
    found.headers.extend(COMMON_HEADERS.items())
    return http_response(found)


def plain(served: Served) -> bytes:
    return plain_body(served.entry) if served.entry.is_gzipped else served.entry.body
