"""GET /api/v1/symbols and /api/v1/symbol-cache-stats, POST /api/v1/refresh-symbols."""

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.audit import record
from accounts.callers import caller_of
from accounts.permissions import Reads
from api.errors import ServiceUnavailable
from cachemgmt.operations import once_a_second
from cachemgmt.responses import JSON, respond
from cachemgmt.views import OperatorView
from marketdata.errors import LiquiError
from marketdata.services import instruments_sync
from marketdata.symbols import documentation
from marketdata.symbols.bodies import symbols_json
from marketdata.symbols.caching import SYMBOLS
from marketdata.symbols.documentation import FALLBACK_HEADER, REFRESHED
from marketdata.symbols.service import Origin, symbols_ready, symbols_traded
from marketdata.symbols.stats import symbols_stats


def is_builtin() -> bool:
    try:
        return symbols_ready() is Origin.BUILTIN
    except DatabaseError:
        # The cache may have a last good answer.
        return False


class SymbolsView(APIView):
    permission_classes = [Reads]
    http_method_names = ["get"]

    @documentation.symbols
    def get(self, request: Request) -> HttpResponse:
        if not is_builtin():
            return respond(SYMBOLS, request)
        # Not kept, as kept answers carry no headers of their own.
        headers = {FALLBACK_HEADER: Origin.BUILTIN, "Cache-Control": "no-store"}
        return HttpResponse(symbols_json(symbols_traded()), content_type=JSON, headers=headers)


@method_decorator(never_cache, name="dispatch")
class SymbolStatsView(APIView):
    permission_classes = [Reads]
    http_method_names = ["get"]

    @documentation.stats
    def get(self, request: Request) -> Response:
        return Response({"status": "success", "cache_stats": symbols_stats()})


class RefreshView(OperatorView):
    http_method_names = ["post"]

    @documentation.refresh
    def post(self, request: Request) -> Response:
        actor = caller_of(request)
        try:
            listed = once_a_second("refresh-symbols", "", lambda: instruments_sync().listed)
        except LiquiError as error:
            record(actor, "instruments.sync", settings.BINANCE_API_BASE_URL, outcome="failed", message=str(error))
            # Who operates the server may know its whole trouble.
            raise ServiceUnavailable(f"Failed to refresh symbols: {error}", retry_after=5) from error
        record(actor, "instruments.sync", settings.BINANCE_API_BASE_URL, amount=listed)
        return Response({"status": "success", "message": REFRESHED, "cache_stats": symbols_stats()})
