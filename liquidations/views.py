"""The liquidation REST API: validate, ask, render; nothing else."""

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from liquidations import documentation
from liquidations.exporting import OrderExport, export_content
from liquidations.filling import filled_with_zeros
from liquidations.queries import liquidation_buckets, orders_latest, orders_page, symbols_listed
from liquidations.rendering import buckets_json, orders_json
from liquidations.serializers import BucketParameters, OrdersParameters, StreamParameters


class ReadOnlyViewSet(ViewSet):
    # Without HEAD and OPTIONS, which the contract answers with 405.
    http_method_names = ["get"]


class LiquidationViewSet(ReadOnlyViewSet):
    @documentation.buckets
    def list(self, request: Request) -> Response:
        asked = BucketParameters.read(request)
        window = asked["timeframe_ms"], asked["start_ms"], asked["end_ms"], asked["anchor"]
        buckets = liquidation_buckets(asked["symbol"], *window)
        if not buckets:
            raise NotFound("No data found for the given parameters")
        if asked["fill"] == "zero":
            buckets = filled_with_zeros(buckets, *window)
        return Response(buckets_json(buckets, as_strings=asked["numbers"] == "string"))


class SymbolViewSet(ReadOnlyViewSet):
    @documentation.symbols
    def list(self, request: Request) -> Response:
        return Response(symbols_listed())


class LiquidationOrderViewSet(ReadOnlyViewSet):
    @documentation.orders
    def list(self, request: Request) -> Response:
        asked = OrdersParameters.read(request)
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
            return Response(orders)
        pagination = {
            "page": asked["page"],
            "page_size": asked["page_size"],
            "total_returned": len(rows),
            "has_more": has_more,
        }
        return Response(b'{"data":%b,"pagination":%b}' % (orders, msgspec.json.encode(pagination)))

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
