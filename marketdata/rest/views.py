"""GET /api/v1/orderbook/{symbol}, /api/v1/trades/{symbol} and /api/v1/candles/{symbol}."""

from functools import partial

from django.http import HttpResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import Reads
from cachemgmt.responses import JSON
from marketdata.candles.history import candle_history
from marketdata.errors import SymbolNotFound
from marketdata.rest import documentation
from marketdata.rest.bodies import candles_json, orderbook_cut, trades_cut
from marketdata.rest.candles import candles_found
from marketdata.rest.kept import ORDERBOOK, TRADES, TRADES_LIMITS, respond_kept, smallest
from marketdata.rest.serializers import CandlesParameters, OrderBookParameters, TradesParameters
from marketdata.rest.troubles import not_traded
from marketdata.symbols.service import symbol_find
from marketdata.types import Instrument
from marketdata.venues.binance.rest import DEPTH_LIMITS


def instrument_found(symbol: str) -> Instrument:
    """Raises `NotFound` with symbols that may have been meant."""
    try:
        return symbol_find(symbol)
    except SymbolNotFound as error:
        raise NotFound(str(error)) from None


def instrument_traded(symbol: str) -> Instrument:
    """Of one that is delisted or switched off the venue need not be asked."""
    instrument = instrument_found(symbol)
    if not instrument.is_active:
        raise NotFound(not_traded(symbol))
    return instrument


class MarketView(APIView):
    permission_classes = [Reads]
    http_method_names = ["get"]


class OrderBookView(MarketView):
    @documentation.orderbook
    def get(self, request: Request, symbol: str) -> HttpResponse:
        limit = OrderBookParameters.read(request)["limit"]
        asked = {"instrument": instrument_traded(symbol), "size": smallest(DEPTH_LIMITS, limit)}
        cut = partial(orderbook_cut, limit=limit) if limit < asked["size"] else None
        return respond_kept(ORDERBOOK, asked, request, cut)


class TradesView(MarketView):
    @documentation.trades
    def get(self, request: Request, symbol: str) -> HttpResponse:
        wanted = TradesParameters.read(request)
        limit, since_ms = wanted["limit"], wanted["since_ms"]
        asked = {"instrument": instrument_traded(symbol), "size": smallest(TRADES_LIMITS, limit)}
        is_less = limit < asked["size"] or since_ms is not None
        cut = partial(trades_cut, limit=limit, since_ms=since_ms) if is_less else None
        return respond_kept(TRADES, asked, request, cut)


class CandlesView(MarketView):
    @documentation.candles
    def get(self, request: Request, symbol: str) -> HttpResponse:
        asked = CandlesParameters.read(request)
        instrument = instrument_found(symbol)
        window = asked["timeframe"], asked["limit"], asked["end_ms"]
        candles = candles_found(instrument.symbol, lambda: candle_history(instrument.symbol, *window))
        return HttpResponse(candles_json(candles), content_type=JSON)
