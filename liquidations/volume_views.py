"""GET /api/v1/liquidation-volume/{symbol}/{timeframe}, as trading terminals ask for it."""

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from api.errors import ServiceUnavailable
from api.shapes import error
from liquidations.domain import canonical_symbol
from liquidations.history import SymbolUnknown, volume_history
from liquidations.remote import RemoteUnavailable
from liquidations.volume import BAD_TIMEFRAME, TIMEFRAMES_MS, volume_buckets
from liquidations.volume_serializers import VolumeParameters, VolumeShape, volume_window
from marketdata.instruments import symbol_not_found


class LiquidationVolumeView(APIView):
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
            OpenApiParameter("timeframe", str, OpenApiParameter.PATH, enum=list(TIMEFRAMES_MS)),
            VolumeParameters,
        ],
        responses={
            200: VolumeShape,
            400: error(
                "The parameters make no sense.",
                BAD_TIMEFRAME,
                "start_time must be before end_time",
                "Time range too large. Maximum 1 days for 1m timeframe",
            ),
            404: error("There is no such symbol.", "Symbol BTCUSD not found. Did you mean: BTCUSDT?"),
            503: error("The history cannot be read.", "Database service unavailable"),
            504: error("The database ended a query that took too long.", "Query timeout after 30 seconds"),
        },
        tags=["liquidations"],
    )
    def get(self, request: Request, symbol: str, timeframe: str) -> HttpResponse:
        start_ms, end_ms = volume_window(VolumeParameters.read(request), timeframe)
        name = canonical_symbol(symbol)
        try:
            sums = volume_history(name, timeframe, start_ms, end_ms)
        except SymbolUnknown:
            raise NotFound(symbol_not_found(name)) from None
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
