"""The liquidation REST API. What is cached is answered by its namespace (`liquidations.caching`)."""

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from cachemgmt.responses import respond
from liquidations import documentation
from liquidations.caching import BUCKETS, ORDERS, SYMBOLS
from liquidations.exporting import OrderExport, export_content
from liquidations.serializers import StreamParameters


class ReadOnlyViewSet(ViewSet):
    # Without HEAD and OPTIONS, which the contract answers with 405.
    http_method_names = ["get"]


class LiquidationViewSet(ReadOnlyViewSet):
    @documentation.buckets
    def list(self, request: Request) -> HttpResponse:
        return respond(BUCKETS, request)


class SymbolViewSet(ReadOnlyViewSet):
    @documentation.symbols
    def list(self, request: Request) -> HttpResponse:
        return respond(SYMBOLS, request)


class LiquidationOrderViewSet(ReadOnlyViewSet):
    @documentation.orders
    def list(self, request: Request) -> HttpResponse:
        return respond(ORDERS, request)

    @documentation.stream
    def stream(self, request: Request) -> StreamingHttpResponse:
        asked = StreamParameters.read(request)
        export = OrderExport(
            asked["symbol"],
            asked["start_ms"],
            asked["end_ms"],
            asked["batch_size"],
            as_strings=asked["numbers"] == "string",
        )
        is_asynchronous = isinstance(request._request, ASGIRequest)
        return StreamingHttpResponse(
            export_content(export, is_asynchronous=is_asynchronous),
            content_type="application/x-ndjson",
            headers={"Content-Disposition": export_disposition(request)},
        )


def export_disposition(request: Request) -> str:
    """The file's name from the parameters as they were sent, without what could end it or lead elsewhere."""
    sent = [request.query_params[name] for name in ("symbol", "start_timestamp", "end_timestamp")]
    name = f"liquidation_orders_{'_'.join(sent)}.jsonl"
    safe = "".join("_" if character in '/\\"' or not character.isprintable() else character for character in name)
    return str(content_disposition_header(as_attachment=True, filename=safe))
