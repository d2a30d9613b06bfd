"""GET /api/v1/udf/…: a chart's configuration, symbols, bars, marks and clock."""

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import Reads
from cachemgmt.responses import JSON
from marketdata.clock import clock_ms
from marketdata.errors import SymbolNotFound
from marketdata.symbols.service import symbol_find, symbols_active
from marketdata.timeframes import candle_close_ms, candle_open_ms
from marketdata.types import Instrument
from marketdata.udf import documentation
from marketdata.udf.history import history
from marketdata.udf.marks import marks_between, marks_table, sources
from marketdata.udf.serializers import (
    GroupParameters,
    HistoryParameters,
    MarksParameters,
    SearchParameters,
    SymbolParameters,
    UDFError,
)
from marketdata.udf.symbols import (
    EXCHANGE,
    EXCHANGE_NAME,
    RESOLUTIONS,
    TYPE,
    search,
    symbol_info,
    symbol_table,
)


def json_response(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type=JSON)


def error_body(text: str) -> dict[str, str]:
    return {"s": "error", "errmsg": text}


def instrument_asked(symbol: str) -> Instrument:
    try:
        return symbol_find(symbol)
    except SymbolNotFound as error:
        # Charts know the word.
        raise UDFError(f"unknown_symbol {error}") from None


class UDFView(APIView):
    """Refusals are the protocol's, with a success's status: charts look at the body alone. Where we are in trouble, or
    the caller may not read, the status says so."""

    permission_classes = [Reads]
    http_method_names = ["get"]
    refused_status = 200

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, UDFError):
            return Response(error_body(str(exc)), self.refused_status)
        response = super().handle_exception(exc)
        response.data = error_body(response.data["detail"])
        return response


class ConfigView(UDFView):
    @documentation.config
    def get(self, request: Request) -> HttpResponse:
        return json_response(
            {
                "supports_search": True,
                "supports_group_request": False,
                "supports_marks": bool(sources),
                "supports_timescale_marks": False,
                "supports_time": True,
                "exchanges": [
                    {"value": "", "name": "All", "desc": "All exchanges"},
                    {"value": EXCHANGE, "name": EXCHANGE, "desc": EXCHANGE_NAME},
                ],
                "symbols_types": [{"name": "All", "value": ""}, {"name": "Crypto", "value": TYPE}],
                "supported_resolutions": list(RESOLUTIONS),
            }
        )


class SymbolView(UDFView):
    refused_status = 404

    @documentation.symbols
    def get(self, request: Request) -> HttpResponse:
        return json_response(symbol_info(instrument_asked(SymbolParameters.read(request)["symbol"])))


class GroupView(UDFView):
    refused_status = 404

    @documentation.symbol_info
    def get(self, request: Request) -> HttpResponse:
        group = GroupParameters.read(request)["group"]
        if group.upper() not in ("", EXCHANGE):
            raise UDFError(f"unknown_group {group}")
        return json_response(symbol_table(symbols_active()))


class SearchView(UDFView):
    @documentation.search
    def get(self, request: Request) -> HttpResponse:
        asked = SearchParameters.read(request)
        is_ours = asked["exchange"].upper() in ("", EXCHANGE) and asked["type"].lower() in ("", TYPE)
        return json_response(search(symbols_active() if is_ours else [], asked["query"], asked["limit"]))


class HistoryView(UDFView):
    @documentation.history
    def get(self, request: Request) -> HttpResponse:
        asked = HistoryParameters.read(request)
        symbol = instrument_asked(asked["symbol"]).symbol
        to_s = clock_ms() // 1000 + 1 if asked["to_s"] is None else asked["to_s"]
        return json_response(history(symbol, asked["timeframe"], asked["from_s"], to_s, asked["countback"]))


class MarksView(UDFView):
    @documentation.marks
    def get(self, request: Request) -> HttpResponse:
        asked = MarksParameters.read(request)
        instrument, timeframe = instrument_asked(asked["symbol"]), asked["timeframe"]
        to_ms = clock_ms() if asked["to_s"] is None else asked["to_s"] * 1000
        start_ms = candle_open_ms(timeframe, (asked["from_s"] or 0) * 1000)
        end_ms = candle_close_ms(timeframe, candle_open_ms(timeframe, to_ms)) - 1
        marks = marks_between(instrument, start_ms, end_ms)
        return json_response(marks_table(marks, timeframe, settings.UDF_MARKS_MIN_USD))


class TimeView(UDFView):
    @documentation.time
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(str(clock_ms() // 1000), content_type="text/plain")
