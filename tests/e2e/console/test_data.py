"""An operator and the data: looking through orders, importing, bars, instruments, and the collector."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.backend import IS_SQLITE
from tests.e2e.console.conftest import Visit
from tests.e2e.console.service import Console
from tests.e2e.test_data_in_and_out import recorder_file
from tests.factories import DAY, HOUR, T0, order

pytestmark = pytest.mark.skipif(not IS_SQLITE, reason="in the browser all backends are one")

A_JOB_MS = 30_000


def test_orders_are_filtered_and_turned_page_by_page(visit: Visit) -> None:
    page = visit("viewer").go("/admin/orders")
    page.get_by_label("Symbol").fill("btcusdt")
    page.get_by_label("Side").select_option("SELL")
    page.get_by_label("From").fill("2024-01-01T00:00:00")
    page.get_by_label("Until").fill("2024-01-06T00:00:00")
    page.get_by_role("button", name="Show").click()
    rows = page.get_by_role("row").filter(has_text="BTCUSDT")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("2024-01-05 23:00:00")
    expect(rows.first).to_contain_text("Long closed")
    page.get_by_role("link", name="Older").click()
    expect(rows.first).to_contain_text("2024-01-03 21:00:00")
    page.get_by_role("link", name="← Newer").click()
    expect(rows.first).to_contain_text("2024-01-05 23:00:00")


def test_the_filtered_orders_are_taken_away_as_csv(visit: Visit, tmp_path: Path) -> None:
    page = visit("viewer").go("/admin/orders?symbol=ETHUSDT")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "orders.csv")
    rows = list(csv.DictReader((tmp_path / "orders.csv").open()))
    assert len([row for row in rows if row["order_trade_time"] >= str(T0)]) >= 120
    assert {row["symbol"] for row in rows} == {"ETHUSDT"}


def test_a_recording_is_uploaded_and_its_orders_are_there(visit: Visit, tmp_path: Path) -> None:
    file = recorder_file(tmp_path / "recording.csv", [order(at=T0 + DAY + at, symbol="UPLOADED") for at in range(500)])
    with file.open("a") as lines:
        lines.write("this,is,no,order\n")
    page = visit("operator").go("/admin/")
    page.get_by_role("link", name="Import").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    state = page.locator("#content .status").first
    expect(state).to_have_text("done", timeout=A_JOB_MS)
    expect(page.get_by_text("500 orders stored.")).to_be_visible()
    expect(page.get_by_text("1 line was rejected.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the rejected lines").click()
    assert "this,is,no,order" in Path(download.value.path()).read_text()
    page.goto("/admin/orders?symbol=UPLOADEDUSDT")
    expect(page.get_by_role("row").filter(has_text="UPLOADEDUSDT")).to_have_count(50)


def test_the_same_file_again_stores_nothing_again(visit: Visit, tmp_path: Path) -> None:
    file = recorder_file(tmp_path / "again.csv", [order(at=T0 + at, symbol="AGAIN") for at in range(20)])
    page = visit("operator").go("/admin/import")
    for told in ("20 orders stored.", "Nothing new: all 20 orders were stored already."):
        page.goto("/admin/import")
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_text(told)).to_be_visible(timeout=A_JOB_MS)


def test_a_file_of_something_else_is_refused_in_plain_words(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "holiday.csv"
    file.write_text("Dear Anna,\nthe weather is fine.\n")
    page = visit("operator").go("/admin/import")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#content .status").first).to_have_text("failed", timeout=A_JOB_MS)
    expect(page.get_by_text("This file cannot be imported")).to_be_visible()


def test_bars_that_differ_are_found_and_built_again(visit: Visit, console: Console) -> None:
    page = visit("operator").go("/admin/bars")
    page.get_by_label("Symbol").fill("ETHUSDT")
    page.get_by_role("button", name="Rebuild").click()
    expect(page.locator("#content .status").first).to_have_text("done", timeout=A_JOB_MS)
    # Another program has changed a row behind our back.
    console.run_script(
        "from django.db import connection",
        f"connection.cursor().execute('UPDATE binance_liqs SET average_price = 1 WHERE symbol = %s "
        f"AND order_trade_time = %s', ['ETHUSDT', {T0 + 5 * HOUR}])",
    )
    page.get_by_role("link", name="Bars", exact=True).click()
    page.get_by_label("Symbol").fill("ETHUSDT")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#content .status").first).to_have_text("done", timeout=A_JOB_MS)
    page.get_by_role("link", name="Bars", exact=True).click()
    page.get_by_role("button", name="Build these days again").click()
    expect(page.get_by_text("1 day differed from the table and was built again.")).to_be_visible(timeout=A_JOB_MS)


def test_an_instrument_is_switched_off_and_on_again(visit: Visit) -> None:
    page = visit("operator").go("/admin/instruments?search=BTCUSDC")
    row = page.get_by_role("row").filter(has_text="BTCUSDC")
    row.get_by_role("button", name="Disable").click()
    expect(row.locator(".status")).to_have_text("disabled")
    row.get_by_role("button", name="Enable").click()
    expect(row.locator(".status")).to_have_text("enabled")


def test_the_collector_connects_anew_when_an_operator_asks_for_it(visit: Visit, console: Console) -> None:
    before = len(console.exchange.get("connections"))
    page = visit("operator").go("/admin/")
    page.get_by_role("link", name="Collector").click()
    page.get_by_role("button", name="Connect anew").click()
    expect(page.get_by_text("The collector took it at")).to_be_visible(timeout=A_JOB_MS)
    assert len(console.exchange.get("connections")) == before + 1


def test_live_orders_show_on_the_dashboard_by_themselves(visit: Visit, console: Console) -> None:
    page = visit("viewer").go("/admin/")
    card = page.get_by_role("region", name="Live liquidations")
    expect(card.get_by_text("in the last minute")).to_be_visible()
    console.exchange.tell("resume")
    try:
        expect(card.locator("dd").first).not_to_have_text("0", timeout=15_000)
    finally:
        console.exchange.tell("pause")
