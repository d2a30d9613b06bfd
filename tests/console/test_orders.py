"""The page of liquidation orders: filters, pages, words, and the export as CSV."""

import csv
import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry
from liquidations import browsing
from liquidations.services import orders_write
from liquidations.table import table_profile_reset
from liquidations.types import ForcedOrder, WriteResult
from tests.backend import IS_SQLITE
from tests.bulk import rows_fill
from tests.console.data_pages import signed_in, text_of
from tests.factories import HOUR, MINUTE, T0, order

pytestmark = pytest.mark.django_db

PAGE = "/admin/orders"
EXPORT = "/admin/orders/export"


@pytest.fixture
def viewer() -> Client:
    return signed_in("viewer")


def shown(page: str) -> list[list[str]]:
    """The cells of the table's rows."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]


def link(page: str, text: str) -> str:
    found = re.search(rf'href="([^"]*)"[^>]*>{text}', page)
    assert found is not None, text
    return html.unescape(found[1])


def test_orders_are_shown_newest_first_in_words(viewer: Client) -> None:
    orders_write([order(at=T0, quantity="0.5"), order(at=T0 + 1, side="BUY", symbol="ETHUSDT", average_price=None)])
    assert shown(text_of(viewer.get(PAGE))) == [
        ["2024-01-01 00:00:00.001", "ETHUSDT", "Short closed", "–", "–", "0.5", "42,000.5", "0.5", "FILLED"],
        [
            "2024-01-01 00:00:00.000",
            "BTCUSDT",
            "Long closed",
            "21,005.05",
            "42,010.1",
            "0.5",
            "42,000.5",
            "0.5",
            "FILLED",
        ],
    ]


@pytest.mark.parametrize(
    ("query", "hours"),
    [
        ({"symbol": " btcusdt "}, [0, 2, 4]),
        ({"side": "BUY"}, [1, 3, 5]),
        ({"notional": "1500"}, [3, 4, 5]),
        ({"start": "2024-01-01T01:00", "end": "2024-01-01T03:00"}, [1, 2, 3]),
        ({"symbol": "ETHUSDT", "side": "SELL"}, []),
    ],
)
def test_filters_leave_out_what_does_not_match(viewer: Client, query: dict[str, str], hours: list[int]) -> None:
    orders_write(
        [
            order(
                at=T0 + hour * HOUR,
                symbol=("BTCUSDT", "ETHUSDT")[hour % 2],
                side=("SELL", "BUY")[hour % 2],
                average_price="500",
                quantity=str(hour + 0.5),
            )
            for hour in range(6)
        ]
    )
    rows = shown(text_of(viewer.get(PAGE, query)))
    assert [int(row[0][11:13]) for row in reversed(rows)] == hours


def test_pages_lead_to_older_orders_and_back(viewer: Client) -> None:
    rows_fill(120, step_ms=MINUTE)
    first = text_of(viewer.get(PAGE, {"symbol": "BTCUSDT"}))
    second = text_of(viewer.get(PAGE + link(first, "Older")))
    third = text_of(viewer.get(PAGE + link(second, "Older")))
    assert [len(shown(page)) for page in (first, second, third)] == [50, 50, 20]
    assert "Older →" not in third
    assert shown(text_of(viewer.get(PAGE + link(third, "← Newer")))) == shown(second)
    assert shown(text_of(viewer.get(PAGE + link(second, "← Newer")))) == shown(first)


@pytest.mark.parametrize(
    "query",
    [
        {"start": "yesterday"},
        {"start": "2024-01-02T00:00", "end": "2024-01-01T00:00"},
        {"notional": "-1"},
        {"side": "UP"},
        {"symbol": "X" * 65},
    ],
)
def test_a_filter_that_makes_no_sense_is_named(viewer: Client, query: dict[str, str]) -> None:
    response = viewer.get(PAGE, query)
    assert response.status_code == 200
    assert "field-fault" in text_of(response)


@pytest.mark.parametrize("position", ["x", "1", "1.x", "-1.0", "9" * 30 + ".0", "1.0.0", "١.٢"])
def test_a_made_up_position_leads_to_the_first_page(viewer: Client, position: str) -> None:
    orders_write([order()])
    assert len(shown(text_of(viewer.get(PAGE, {"older": position})))) == 1


def test_a_symbol_is_text_whatever_it_holds(viewer: Client) -> None:
    evil = "<IMG SRC=X>"
    orders_write([order(symbol=evil)])
    page = text_of(viewer.get(PAGE))
    assert evil not in page
    assert html.escape(evil) in page
    assert evil not in text_of(viewer.get(PAGE, {"symbol": evil}))


def test_a_query_that_takes_too_long_ends_with_a_hint(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_fill(20_000)
    monkeypatch.setattr(browsing, "BROWSE_SECONDS", 0)
    page = text_of(viewer.get(PAGE, {"notional": "1000000"}))
    assert "The database took longer than 0 s." in page
    assert "Ask for a symbol or a shorter time" in page


def test_a_table_that_cannot_be_used_is_named(viewer: Client, settings: Any) -> None:
    settings.DB_LIQ_TABLENAME = "nowhere"
    table_profile_reset()
    response = viewer.get(PAGE)
    assert response.status_code == 200
    assert "table nowhere does not exist" in text_of(response)


def test_a_page_asks_few_questions(viewer: Client, django_assert_max_num_queries: Any) -> None:
    rows_fill(200)
    viewer.get(PAGE)
    # The session, the user, the groups, the snapshot's begin and end, and the rows.
    with django_assert_max_num_queries(10):
        viewer.get(PAGE, {"symbol": "BTCUSDT"})


# The export ------------------------------------------------------------------------------------------------------


def exported(response: Any) -> list[dict[str, str]]:
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(text_of(response))))


@pytest.mark.usefixtures("committed")
def test_the_filtered_rows_are_exported_and_audited(write: Callable[[list[ForcedOrder]], WriteResult]) -> None:
    write([order(at=T0 + minute * MINUTE, side=("SELL", "BUY")[minute % 2]) for minute in range(300)])
    rows = exported(signed_in("viewer").get(EXPORT, {"symbol": "btcusdt", "side": "BUY"}))
    assert [int(row["order_trade_time"]) for row in rows] == [T0 + minute * MINUTE for minute in range(299, 0, -2)]
    assert rows[0]["average_price"] == "42010.1"
    entry = AuditEntry.objects.get(action="orders.export")
    assert (entry.actor, entry.amount, entry.outcome) == ("viewer", 150, "done")
    assert entry.target == "symbol=btcusdt&side=BUY"


@pytest.mark.usefixtures("committed")
def test_no_cell_of_an_export_is_a_formula(write: Callable[[list[ForcedOrder]], WriteResult]) -> None:
    for number, symbol in enumerate(("=1+1", "+A1", "-A1", "@SUM(A1)", "BTCUSDT")):
        write([order(at=T0 + number, symbol=symbol)])
    rows = exported(signed_in("viewer").get(EXPORT, {"start": "2024-01-01T00:00", "end": "2024-01-02T00:00"}))
    assert [row["symbol"] for row in reversed(rows)] == ["'=1+1", "'+A1", "'-A1", "'@SUM(A1)", "BTCUSDT"]


@pytest.mark.usefixtures("committed")
def test_an_export_can_be_imported_again(write: Callable[[list[ForcedOrder]], WriteResult], tmp_path: Any) -> None:
    from django.core.management import call_command

    orders = [order(at=T0 + number, quantity=str(number + 1), average_price=None) for number in range(10)]
    write(orders)
    path = tmp_path / "orders.csv"
    path.write_text(text_of(signed_in("viewer").get(EXPORT, {"symbol": "BTCUSDT"})), newline="")
    out = io.StringIO()
    call_command("import_liquidations", str(path), stdout=out)
    assert re.search(r"duplicates +10\b", out.getvalue()), out.getvalue()


@pytest.mark.parametrize("query", [{}, {"side": "BUY"}, {"start": "2024-01-01T00:00"}, {"notional": "5"}])
def test_an_export_of_everything_is_refused(viewer: Client, query: dict[str, str]) -> None:
    response = viewer.get(EXPORT, query, follow=True)
    assert response.redirect_chain[0][0].startswith(PAGE)
    assert "needs a symbol, or both From and Until" in text_of(response)
    assert not AuditEntry.objects.filter(action="orders.export").exists()


@pytest.mark.usefixtures("committed")
def test_an_export_of_nothing_has_its_header() -> None:
    assert text_of(signed_in("viewer").get(EXPORT, {"symbol": "NONE"})).startswith("symbol,side,order_type")


def test_nobody_sees_orders_in_the_console_without_a_role() -> None:
    assert Client().get(PAGE).status_code == 302
    assert Client().get(EXPORT, {"symbol": "BTCUSDT"}).status_code == 302


@pytest.mark.skipif(not IS_SQLITE, reason="other servers keep nothing but numbers in such a column")
def test_what_is_no_number_is_shown_as_it_is(viewer: Client) -> None:
    orders_write([order()])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE binance_liqs SET price = '=x', average_price = 'y', original_quantity = -1.5")
    (row,) = shown(text_of(viewer.get(PAGE)))
    assert row[3:8] == ["–", "y", "0.5", "=x", "-1.5"]
