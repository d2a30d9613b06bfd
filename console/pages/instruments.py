"""Instruments: what the venue lists, and which of it is served."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.fields import choice_field
from console.registry import Page
from console.site import render
from console.texts import number, utc_time
from marketdata.errors import LiquiError
from marketdata.formatting import format_volume24h
from marketdata.models import InstrumentRow
from marketdata.names import symbol_checked
from marketdata.services import instrument_add, instruments_switch, instruments_sync
from marketdata.venues.binance import VENUE

PAGE_ROWS = 50
STATES = [("", "any"), ("1", "enabled"), ("0", "disabled")]


class InstrumentsForm(forms.Form):
    search = forms.CharField(max_length=64, required=False, widget=forms.TextInput({"placeholder": "BTC"}))
    active = choice_field("State", STATES)
    quote = choice_field("Quote asset", [])
    status = choice_field("Venue's status", [])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, column in (("quote", "quote_asset"), ("status", "status")):
            stored = InstrumentRow.objects.exclude(**{column: ""}).values_list(column, flat=True)
            field: Any = self.fields[name]
            field.choices = [("", "any"), *((value, value) for value in sorted(set(stored.distinct())))]

    def found(self) -> QuerySet[InstrumentRow]:
        asked = self.cleaned_data
        rows = InstrumentRow.objects.order_by("symbol", "exchange")
        # Venues' names are in upper case, and MySQL compares them byte by byte.
        if search := asked["search"].upper():
            base, slash, quote = search.partition("/")
            assets = Q(base_asset=base, quote_asset__startswith=quote) if slash else Q(base_asset=search)
            rows = rows.filter(Q(symbol__contains=search) | assets)
        if asked["active"]:
            rows = rows.filter(is_active=asked["active"] == "1")
        if asked["quote"]:
            rows = rows.filter(quote_asset=asked["quote"])
        return rows.filter(status=asked["status"]) if asked["status"] else rows


def instruments(request: HttpRequest) -> HttpResponseBase:
    form = InstrumentsForm(request.GET)
    rows = form.found() if form.is_valid() else InstrumentRow.objects.none()
    page = Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "form": form,
        "page": page,
        "instruments": [instrument_texts(row) for row in page],
        "query": query.urlencode(),
        "venue": settings.BINANCE_API_BASE_URL,
        "is_empty": not InstrumentRow.objects.exists(),
    }
    return render(request, "console/instruments.html", "Instruments", **context)


def instrument_texts(row: InstrumentRow) -> dict[str, Any]:
    return {
        "id": row.pk,
        "symbol": row.symbol,
        "exchange": row.exchange,
        "assets": f"{row.base_asset}/{row.quote_asset}" if row.base_asset else "–",
        "status": row.status or "–",
        "contract_type": row.contract_type or "–",
        "tick_size": number(row.tick_size),
        "lot_size": number(row.lot_size),
        "volume_24h": format_volume24h(row.volume_24h) or "–",
        "last_seen": utc_time(row.last_seen_ms)[:16],
        "is_active": row.is_active,
    }


@require_POST
def switch(request: HttpRequest) -> HttpResponseBase:
    """Enable or disable the instruments that are ticked, or the one whose own button was pressed."""
    verb, _, only = request.POST.get("switch", "").partition(":")
    chosen = [number for number in ([only] if only else request.POST.getlist("id")) if number.isdecimal()]
    if verb not in ("enable", "disable") or not chosen:
        messages.warning(request, "Tick the instruments first.")
        return back(request)
    symbols = instruments_switch([int(number) for number in chosen], is_active=verb == "enable")
    record(console_actor(request), f"instrument.{verb}", ", ".join(symbols), amount=len(symbols), symbols=symbols)
    named = symbols[0] if len(symbols) == 1 else f"{len(symbols)} instruments"
    messages.success(request, f"{named} {verb}d." if symbols else f"Nothing to do: already {verb}d.")
    return back(request)


@require_POST
def add(request: HttpRequest) -> HttpResponseBase:
    """A symbol that the venue has not listed yet, or that only we know; what the venue says of it comes with a sync."""
    try:
        symbol = symbol_checked(request.POST.get("symbol", ""))
    except ValueError as error:
        messages.warning(request, f"{error}.")
        return back(request)
    if instrument_add(VENUE, symbol):
        record(console_actor(request), "instrument.add", symbol, amount=1)
        messages.success(request, f"{symbol} added.")
    else:
        messages.warning(request, f"{symbol} is there already.")
    return back(request)


@require_POST
def sync(request: HttpRequest) -> HttpResponseBase:
    """Ask the venue now: an answer of seconds, and its errors are for the person who asked."""
    actor = console_actor(request)
    try:
        result = instruments_sync()
    except LiquiError as error:
        record(actor, "instruments.sync", settings.BINANCE_API_BASE_URL, outcome="failed", message=str(error))
        messages.error(request, f"Instruments are as they were: {error}")
        return back(request)
    record(actor, "instruments.sync", settings.BINANCE_API_BASE_URL, amount=result.listed)
    messages.success(
        request,
        f"{result.listed} instruments listed: {result.added} new, {result.changed} changed, "
        f"{result.delisted} not listed any more.",
    )
    return back(request)


def back(request: HttpRequest) -> HttpResponseBase:
    """To the list as it was filtered."""
    page = reverse("admin:console-instruments")
    asked = request.POST.get("next", "")
    is_ours = asked.startswith(page) and url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    return redirect(asked if is_ours else page)


pages = [
    Page("instruments", "console-instruments", instruments, title="Instruments", section="Data", icon="sell", order=40),
    Page("instruments/add", "console-instruments-add", add, Role.OPERATOR),
    Page("instruments/switch", "console-instruments-switch", switch, Role.OPERATOR),
    Page("instruments/sync", "console-instruments-sync", sync, Role.OPERATOR),
]
