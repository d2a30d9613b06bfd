"""The five management endpoints, in the words of the contract. They never fail because the cache does."""

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.audit import record
from accounts.callers import caller_of
from accounts.permissions import Operates
from cachemgmt import documentation
from cachemgmt.operations import answers_clear, cache_stats, once_a_second, symbol_invalidate, symbols_invalidate
from cachemgmt.serializers import ClearParameters
from cachemgmt.warming import warm_in_background


@method_decorator(never_cache, name="dispatch")
class OperatorView(APIView):
    permission_classes = [Operates]
    # No body means anything here, but a form may carry the CSRF token in one.
    parser_classes = [FormParser, MultiPartParser, JSONParser]


class StatsView(OperatorView):
    http_method_names = ["get"]

    @documentation.stats
    def get(self, request: Request) -> Response:
        stats = cache_stats()
        message = "Cache statistics retrieved successfully" if stats["available"] else "Cache not available"
        return Response({"cache_stats": stats, "message": message})


class ClearView(OperatorView):
    http_method_names = ["post"]

    @documentation.clear
    def post(self, request: Request) -> Response:
        pattern = ClearParameters.read(request)["pattern"]
        deleted = once_a_second("clear", pattern, lambda: answers_clear(pattern))
        record(caller_of(request), "cache.clear", pattern, amount=deleted)
        message = f"Successfully cleared {deleted} cache entries"
        return Response({"deleted_keys": deleted, "pattern": pattern, "message": message})


class InvalidateSymbolView(OperatorView):
    http_method_names = ["post"]

    @documentation.invalidate_symbol
    def post(self, request: Request, symbol: str) -> Response:
        deleted = once_a_second("invalidate", symbol, lambda: symbol_invalidate(symbol))
        record(caller_of(request), "cache.invalidate", symbol, amount=deleted)
        message = f"Successfully invalidated {deleted} cache entries for symbol {symbol}"
        return Response({"deleted_keys": deleted, "symbol": symbol, "message": message})


class InvalidateSymbolsView(OperatorView):
    http_method_names = ["post"]

    @documentation.invalidate_symbols
    def post(self, request: Request) -> Response:
        success = once_a_second("invalidate-symbols", "", symbols_invalidate)
        record(caller_of(request), "cache.invalidate-symbols", outcome="done" if success else "failed")
        message = "Symbols cache invalidated successfully" if success else "Failed to invalidate symbols cache"
        return Response({"success": success, "message": message})


class WarmView(OperatorView):
    http_method_names = ["post"]

    @documentation.warm
    def post(self, request: Request) -> Response:
        # Of runs that are asked for at once, one begins.
        warm_in_background()
        record(caller_of(request), "cache.warm")
        return Response({"message": "Cache warming started in background", "status": "initiated"})
