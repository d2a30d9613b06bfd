"""The page of instruments: searching, switching them on and off, asking the venue."""

import html
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry
from marketdata.errors import VenueUnavailable
from marketdata.models import InstrumentRow
from marketdata.services import SyncResult
from marketdata.symbols.service import symbol_find
from tests.console.data_pages import signed_in, text_of

pytestmark = pytest.mark.django_db

PAGE = "/admin/instruments"


@pytest.fixture
def operator() -> Client:
    return signed_in("operator")


@pytest.fixture
def listed(db: None) -> None:
    for symbol, quote, status, active in (
        ("BTCUSDT", "USDT", "TRADING", True),
        ("ETHUSDT", "USDT", "TRADING", False),
        ("BTCUSDC", "USDC", "TRADING", True),
        ("OLDUSDT", "USDT", "DELISTED", False),
    ):
        InstrumentRow.objects.create(
            symbol=symbol,
            base_asset=symbol[:3],
            quote_asset=quote,
            status=status,
            contract_type="PERPETUAL",
            is_active=active,
            tick_size="0.10",
            lot_size="0.001",
            last_seen_ms=1_704_067_200_000,
        )


def found(client: Client, **query: str) -> list[str]:
    page = text_of(client.get(PAGE, query))
    return [symbol for symbol in ("BTCUSDC", "BTCUSDT", "ETHUSDT", "OLDUSDT") if f'<td class="name">{symbol}' in page]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ({}, ["BTCUSDC", "BTCUSDT", "ETHUSDT", "OLDUSDT"]),
        ({"search": "btc"}, ["BTCUSDC", "BTCUSDT"]),
        ({"search": "btc/usdt"}, ["BTCUSDT"]),
        ({"search": "btc/"}, ["BTCUSDC", "BTCUSDT"]),
        ({"active": "0"}, ["ETHUSDT", "OLDUSDT"]),
        ({"quote": "USDC"}, ["BTCUSDC"]),
        ({"status": "DELISTED"}, ["OLDUSDT"]),
        ({"search": "btc", "quote": "USDT", "active": "1"}, ["BTCUSDT"]),
        ({"search": "nothing"}, []),
    ],
)
def test_instruments_are_searched_and_filtered(query: dict[str, str], symbols: list[str]) -> None:
    assert found(signed_in("viewer"), **query) == symbols


@pytest.mark.usefixtures("listed")
def test_steps_and_the_day_last_seen_are_shown() -> None:
    page = text_of(signed_in("viewer").get(PAGE))
    for text in ("0.1</td>", "0.001</td>", "2024-01-01 00:00", "BTC/USDT", "PERPETUAL"):
        assert text in page


def test_an_empty_table_says_what_to_do() -> None:
    assert "None is known yet" in text_of(signed_in("viewer").get(PAGE))


def test_many_are_shown_in_pages() -> None:
    InstrumentRow.objects.bulk_create(InstrumentRow(symbol=f"S{number:03}USDT") for number in range(120))
    client = signed_in("viewer")
    assert "1–50 of 120" in text_of(client.get(PAGE))
    assert "101–120 of 120" in text_of(client.get(PAGE, {"page": "3"}))
    assert client.get(PAGE, {"page": "x"}).status_code == 200


@pytest.mark.usefixtures("listed")
def test_one_is_disabled_and_enabled_by_its_own_button(operator: Client) -> None:
    row = InstrumentRow.objects.get(symbol="BTCUSDT")
    back = f"{PAGE}?search=btc"
    response = operator.post(f"{PAGE}/switch", {"switch": f"disable:{row.pk}", "next": back}, follow=True)
    assert response.redirect_chain == [(back, 302)]
    assert "BTCUSDT disabled." in text_of(response)
    row.refresh_from_db()
    assert not row.is_active
    operator.post(f"{PAGE}/switch", {"switch": f"enable:{row.pk}"})
    row.refresh_from_db()
    assert row.is_active
    entries = AuditEntry.objects.filter(action__startswith="instrument.").order_by("pk")
    assert [(entry.action, entry.target, entry.amount) for entry in entries] == [
        ("instrument.disable", "BTCUSDT", 1),
        ("instrument.enable", "BTCUSDT", 1),
    ]


@pytest.mark.usefixtures("listed")
def test_those_ticked_are_switched_together(operator: Client) -> None:
    ids = list(InstrumentRow.objects.filter(symbol__in=["BTCUSDT", "BTCUSDC", "ETHUSDT"]).values_list("pk", flat=True))
    response = operator.post(f"{PAGE}/switch", {"switch": "disable", "id": ids}, follow=True)
    assert "2 instruments disabled." in text_of(response)
    assert not InstrumentRow.objects.filter(is_active=True).exists()
    assert AuditEntry.objects.get(action="instrument.disable").details["symbols"] == ["BTCUSDC", "BTCUSDT"]


@pytest.mark.parametrize("form", [{}, {"switch": "disable"}, {"switch": "drop", "id": "1"}, {"switch": "enable:x"}])
def test_nothing_chosen_changes_nothing(operator: Client, form: dict[str, str]) -> None:
    assert "Tick the instruments first" in text_of(operator.post(f"{PAGE}/switch", form, follow=True))


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/admin/instruments@evil.example:1//", "x"]
)
def test_a_form_leads_nowhere_else(operator: Client, elsewhere: str) -> None:
    location = operator.post(f"{PAGE}/switch", {"next": elsewhere})["Location"]
    assert location.startswith(PAGE)


@pytest.mark.usefixtures("listed")
def test_a_sync_tells_what_the_venue_lists(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.pages.instruments.instruments_sync", lambda: SyncResult(600, 3, 2, 1))
    page = text_of(operator.post(f"{PAGE}/sync", follow=True))
    assert "600 instruments listed: 3 new, 2 changed, 1 not listed any more." in page
    assert AuditEntry.objects.get(action="instruments.sync").amount == 600


def test_a_venue_that_does_not_answer_is_told_in_its_own_words(operator: Client, settings: Any) -> None:
    settings.BINANCE_API_BASE_URL = "http://127.0.0.1:9"
    page = html.unescape(text_of(operator.post(f"{PAGE}/sync", follow=True)))
    assert "Instruments are as they were: binance: 127.0.0.1:9" in page
    entry = AuditEntry.objects.get(action="instruments.sync")
    assert (entry.outcome, entry.amount) == ("failed", None)


def test_what_the_venue_says_is_text(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise VenueUnavailable("<script>alert(1)</script>")

    monkeypatch.setattr("console.pages.instruments.instruments_sync", refuse)
    InstrumentRow.objects.create(symbol="<b>X", base_asset="<i>", quote_asset="<u>", status="<s>")
    page = text_of(operator.post(f"{PAGE}/sync", follow=True))
    for evil in ("<script>alert(1)", "<b>X", "<i>", "<u>", "<s>"):
        assert evil not in page


def test_a_symbol_is_added_once_and_can_be_looked_up(operator: Client) -> None:
    assert "NEWUSDT added." in text_of(operator.post(f"{PAGE}/add", {"symbol": " newusdt "}, follow=True))
    assert "NEWUSDT is there already." in text_of(operator.post(f"{PAGE}/add", {"symbol": "NEWUSDT"}, follow=True))
    row = InstrumentRow.objects.get()
    assert (row.symbol, row.exchange, row.asset_type, row.is_active) == ("NEWUSDT", "binance", "CRYPTO", True)
    assert symbol_find("NEWUSDT").exchange_form == "NEW/USDT:USDT"
    entry = AuditEntry.objects.get(action="instrument.add")
    assert (entry.target, entry.amount) == ("NEWUSDT", 1)


@pytest.mark.parametrize("symbol", ["", "NEW USDT", "<b>", "X" * 65])
def test_what_can_be_no_symbol_is_not_added(operator: Client, symbol: str) -> None:
    assert "is no symbol: it has letters, digits and _ only" in text_of(
        operator.post(f"{PAGE}/add", {"symbol": symbol}, follow=True)
    )
    assert not InstrumentRow.objects.exists()


@pytest.mark.parametrize("route", ["add", "switch", "sync"])
def test_acting_needs_an_operator_and_a_post(operator: Client, route: str) -> None:
    assert signed_in("viewer").post(f"{PAGE}/{route}").status_code == 403
    assert operator.get(f"{PAGE}/{route}").status_code == 405
    strict: Any = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(f"{PAGE}/{route}").status_code == 403


@pytest.mark.usefixtures("listed")
def test_a_viewer_is_shown_no_button() -> None:
    page = text_of(signed_in("viewer").get(PAGE))
    assert "Sync now" not in page
    assert "Disable" not in page
