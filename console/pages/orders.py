"""Liquidation orders: looking through the table, and taking rows of it away as CSV."""

import re
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from accounts.audit import console_actor, record
from api.errors import TooManyStreams
from console.fields import SymbolField, UtcField, check_window, choice_field
from console.registry import Page
from console.site import render
from console.texts import SIDES, notional, number, utc_time
from database.errors import QueryTimeout
from database.reading import Row
from liquidations.browsing import BrowsedPage, OrdersFilter, Position, orders_browse, orders_filtered_stream
from liquidations.domain import MAX_TIMESTAMP_MS
from liquidations.exporting import CsvExport, OnEnd, export_content
from liquidations.table import TableUnusable, table_profile
from liquidations.types import ForcedOrder

PAGE_ROWS = 50
POSITION = re.compile(r"(\d{1,15})\.(\d{1,9})", re.ASCII)
EXPORT_ROWS_AT_ONCE = 2000
SIDE_CHOICES = [("", "any"), *SIDES.items()]


class OrdersForm(forms.Form):
    symbol = SymbolField()
    side = choice_field("Side", SIDE_CHOICES)
    notional = forms.DecimalField(label="At least (USD)", min_value=0, max_digits=20, required=False)
    start = UtcField("From", 0)
    end = UtcField("Until", MAX_TIMESTAMP_MS)

    def clean(self) -> dict[str, Any]:
        check_window(self.cleaned_data)
        return self.cleaned_data

    def asked(self) -> OrdersFilter:
        asked = self.cleaned_data
        return OrdersFilter(asked["symbol"], asked["side"], asked["notional"], asked["start"], asked["end"])

    def is_bounded(self) -> bool:
        """Whether it names a symbol, or both ends of a window: what an export may take."""
        return bool(self.cleaned_data["symbol"] or (self.data.get("start") and self.data.get("end")))

    def query(self, **more: str) -> str:
        """The filters as they are in the address of a page."""
        given = {name: self.data[name] for name in self.fields if self.data.get(name)}
        return urlencode(given | more)


def orders(request: HttpRequest) -> HttpResponseBase:
    form = OrdersForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            page = orders_browse(form.asked(), PAGE_ROWS, **position_of(request))
            context |= page_context(form, page)
        except QueryTimeout as error:
            context |= {
                "trouble": f"The database took longer than {error.seconds} s.",
                "lacks": table_profile().lacks(),
            }
        except TableUnusable as error:
            context["trouble"] = str(error)
    return render(request, "console/orders.html", "Liquidation orders", **context)


def page_context(form: OrdersForm, page: BrowsedPage) -> dict[str, Any]:
    return {
        "orders": [order_texts(row) for row in page.rows],
        "older": form.query(older=position_text(page.older)) if page.older else "",
        "newer": form.query(newer=position_text(page.newer)) if page.newer else "",
        "searched_to": utc_time(page.searched_to_ms) if page.searched_to_ms is not None else "",
        "export": form.query() if form.is_bounded() else "",
    }


def order_texts(row: Row) -> dict[str, str]:
    order = ForcedOrder._make(row)
    side = (order.side or "").upper()
    return {
        "time": utc_time(order.order_trade_time),
        "symbol": order.symbol or "",
        "side": side,
        "closed": SIDES.get(side, order.side or "unknown"),
        "notional": notional(order.average_price, order.order_filled_accumulated_quantity),
        "average_price": number(order.average_price),
        "price": number(order.price),
        "filled": number(order.order_filled_accumulated_quantity),
        "quantity": number(order.original_quantity),
        "status": order.order_status or "",
    }


def position_text(position: Position) -> str:
    return f"{position.at_ms}.{position.skipped}"


def position_of(request: HttpRequest) -> dict[str, Position]:
    """``older`` or ``newer`` from the address; one that nobody of us has written leads to the first page."""
    for name in ("older", "newer"):
        if position := POSITION.fullmatch(request.GET.get(name, "")):
            return {name: Position(int(position[1]), int(position[2]))}
    return {}


def export(request: HttpRequest) -> HttpResponseBase:
    """The filtered rows as CSV; audited when it ends, with the number of rows."""
    form = OrdersForm(request.GET)
    if not form.is_valid() or not form.is_bounded():
        messages.error(request, "An export needs a symbol, or both From and Until.")
        return redirect(f"{request.path.removesuffix('/export')}?{form.query()}")
    asked = form.asked()
    try:
        rows = CsvExport(lambda: orders_filtered_stream(asked), EXPORT_ROWS_AT_ONCE, audited(request, form))
    except TooManyStreams:
        messages.error(request, "Too many exports are running. Try again when one of them has ended.")
        return redirect(f"{request.path.removesuffix('/export')}?{form.query()}")
    return StreamingHttpResponse(
        export_content(rows, is_asynchronous=isinstance(request, ASGIRequest)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": content_disposition_header(True, file_name(asked))},
    )


def audited(request: HttpRequest, form: OrdersForm) -> OnEnd:
    actor, target = console_actor(request), form.query()

    def on_end(rows: int, is_complete: bool) -> None:
        record(actor, "orders.export", target, amount=rows, outcome="done" if is_complete else "failed")
        if not connection.in_atomic_block:
            # It may be that of a thread which is there for exports alone.
            connection.close()

    return on_end


def file_name(asked: OrdersFilter) -> str:
    name = asked.symbol or f"{asked.start_ms}_{asked.end_ms}"
    return f"liquidation_orders_{''.join(character if character.isalnum() else '_' for character in name)}.csv"


pages = [
    Page("orders", "console-orders", orders, title="Liquidation orders", section="Data", icon="receipt_long", order=10),
    Page("orders/export", "console-orders-export", export),
]
