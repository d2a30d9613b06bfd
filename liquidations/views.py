"""The liquidation REST API. What is cached is answered by its namespace (`liquidations.caching`)."""

from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from accounts.audit import record
from accounts.callers import Caller, caller_of
from accounts.permissions import Reads
from cachemgmt.responses import respond
from liquidations import documentation
from liquidations.caching import BUCKETS, ORDERS, SYMBOLS
from liquidations.exporting import OrderExport, export_content
from liquidations.serializers import StreamParameters


class ReadOnlyViewSet(ViewSet):
    permission_classes = [Reads]
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
        is_asynchronous = isinstance(request._request, ASGIRequest)
        export = OrderExport(
            asked["symbol"],
            asked["start_ms"],
            asked["end_ms"],
            asked["batch_size"],
            as_strings=asked["numbers"] == "string",
            on_end=partial(export_record, caller_of(request), asked, is_asynchronous=is_asynchronous),
        )
        return StreamingHttpResponse(
            export_content(export, is_asynchronous=is_asynchronous),
            content_type="application/x-ndjson",
            headers={"Content-Disposition": export_disposition(request)},
        )


def export_record(
    caller: Caller, asked: dict[str, Any], rows: int, is_complete: bool, *, is_asynchronous: bool
) -> None:
    """Who has taken how many rows with them."""
    outcome = "done" if is_complete else "failed"
    window = {"start_ms": asked["start_ms"], "end_ms": asked["end_ms"]}
    record(caller, "orders.export", asked["symbol"], amount=rows, outcome=outcome, **window)
    if is_asynchronous:
        # In a thread of the exports, which has no other use for a connection.
        connection.close()


def export_disposition(request: Request) -> str:
    """The file's name from the parameters as they were sent, without what could end it or lead elsewhere."""
    sent = [request.query_params[name] for name in ("symbol", "start_timestamp", "end_timestamp")]
    name = f"liquidation_orders_{'_'.join(sent)}.jsonl"
    safe = "".join("_" if character in '/\\"' or not character.isprintable() else character for character in name)
    return str(content_disposition_header(as_attachment=True, filename=safe))
