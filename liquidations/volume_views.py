"""GET /api/v1/liquidation-volume/{symbol}/{timeframe}, as trading terminals ask for it."""

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import Reads
from api.errors import ServiceUnavailable
from api.shapes import error
from liquidations.documentation import DATABASE_ERRORS
from liquidations.domain import canonical_symbol
from liquidations.history import SymbolUnknown, volume_history
from liquidations.remote import RemoteUnavailable
from liquidations.serializers import ParameterErrorsShape
from liquidations.volume import BAD_TIMEFRAME, TIMEFRAMES_MS, volume_buckets
from liquidations.volume_serializers import VolumeParameters, VolumeShape, volume_window
from marketdata.suggestions import not_found_text
from marketdata.symbols.service import symbol_suggestions

EXAMPLE = {
    "symbol": "BTCUSDT",
    "timeframe": "1h",
    "data": [
        {
            "time": 1795262400,
            "buy_volume": "14799.6709",
            "sell_volume": "1232.5248",
            "total_volume": "16032.1957",
            "delta_volume": "13567.1461",
            "buy_volume_formatted": "14.80K",
            "sell_volume_formatted": "1.23K",
            "total_volume_formatted": "16.03K",
            "delta_volume_formatted": "13.57K",
            "count": 3,
            "timestamp_ms": 1795262400000,
        }
    ],
    "start_time": 1795262400000,
    "end_time": 1795265999999,
}
UNREADABLE = {
    "detail": [
        {
            "type": "int_parsing",
            "loc": ["query", "start_time"],
            "msg": "Input should be a valid integer, unable to parse string as an integer",
            "input": "yesterday",
        }
    ]
}


class LiquidationVolumeView(APIView):
    permission_classes = [Reads]
    http_method_names = ["get"]

    @extend_schema(
        operation_id="liquidation_volume",
        summary="Liquidation volume per bucket, for charts",
        description=(
            "Buckets begin at multiples of the timeframe since 1970; between the first and the last one with data none "
            "is missing. The running bucket is included. An exchange may report only some of its liquidations, so "
            "totals are a floor."
        ),
        parameters=[
            OpenApiParameter("symbol", str, OpenApiParameter.PATH, description="In any case, such as `BTCUSDT`."),
            OpenApiParameter(
                "timeframe", str, OpenApiParameter.PATH, enum=list(TIMEFRAMES_MS), description="Length of a bucket."
            ),
            VolumeParameters,
        ],
        responses={
            200: OpenApiResponse(
                VolumeShape,
                description="`data` is empty when nothing was liquidated in the window.",
                examples=[OpenApiExample("One hour", value=EXAMPLE, response_only=True)],
            ),
            400: error(
                "The parameters make no sense.",
                BAD_TIMEFRAME,
                "start_time must be before end_time",
                "Time range too large. Maximum 1 days for 1m timeframe",
            ),
            404: error("There is no such symbol.", "Symbol BTCUSD not found. Did you mean: BTCUSDT?"),
            422: OpenApiResponse(
                ParameterErrorsShape,
                description="A parameter is unreadable.",
                examples=[OpenApiExample("No number", value=UNREADABLE, response_only=True)],
            ),
            **DATABASE_ERRORS,
        },
        tags=["liquidations"],
    )
    def get(self, request: Request, symbol: str, timeframe: str) -> HttpResponse:
        start_ms, end_ms = volume_window(VolumeParameters.read(request), timeframe)
        name = canonical_symbol(symbol)
        try:
            sums = volume_history(name, timeframe, start_ms, end_ms)
        except SymbolUnknown:
            raise NotFound(not_found_text(name, symbol_suggestions(name))) from None
        except RemoteUnavailable as failure:
            raise ServiceUnavailable(str(failure), retry_after=5) from None
        body = {
            "symbol": name,
            "timeframe": timeframe,
            "data": volume_buckets(sums, TIMEFRAMES_MS[timeframe]),
            "start_time": start_ms,
            "end_time": end_ms,
        }
        return HttpResponse(msgspec.json.encode(body), content_type="application/json")
