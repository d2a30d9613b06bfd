"""The audit log: what is in it, and that it stays as it was written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.audit import SYSTEM, record
from accounts.models import AuditEntry, WrittenOnce
from tests.accounts.people import PASSWORD, api_key, user_make
from tests.cache import TOKEN
from tests.factories import DAY, T0, order

Write = Callable[..., Any]


def told() -> list[tuple[str, str, str, int | None, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return [(entry.actor.split()[0], entry.action, entry.target, entry.amount, entry.outcome) for entry in rows]


def test_an_entry_is_written_once(db: None) -> None:
    record(SYSTEM, "test.write")
    entry = AuditEntry.objects.get()
    entry.actor = "somebody else"
    for change in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(actor="somebody else"),
    ):
        with pytest.raises(WrittenOnce):
            change()
    assert AuditEntry.objects.get().actor == "liqui"


def test_what_is_too_long_is_cut_and_not_lost(db: None) -> None:
    record(SYSTEM, "test.write", "x" * 1000, request_id="y" * 1000)
    entry = AuditEntry.objects.get()
    assert (len(entry.target), len(entry.request_id)) == (255, 128)


def test_a_sign_in_to_the_console_and_its_end_are_told(db: None) -> None:
    user_make("ada", "viewer")
    browser = Client(REMOTE_ADDR="192.0.2.7")
    browser.post("/admin/login/", {"username": "ada", "password": "wrong"})
    browser.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    browser.post("/admin/logout/")
    assert told() == [
        ("anonymous", "user.sign-in", "ada", None, "refused"),
        ("ada", "user.sign-in", "ada", None, "done"),
        ("ada", "user.sign-out", "ada", None, "done"),
    ]
    assert {(entry.address, bool(entry.request_id)) for entry in AuditEntry.objects.all()} == {("192.0.2.7", True)}


def test_the_cache_endpoints_tell_who_removed_how_much(write: Write, client: Client, settings: Any) -> None:
    settings.LIQUI_TOKEN = TOKEN
    write([order()])
    assert client.get("/api/liquidation-orders?symbol=BTCUSDT&limit=5").status_code == 200
    headers = api_key("operate")
    AuditEntry.objects.all()._raw_delete(AuditEntry.objects.db)
    client.post("/api/cache/invalidate/symbol/BTCUSDT", headers=headers)
    client.post("/api/cache/clear", query_params={"pattern": "liq:*"}, headers={"X-Liqui-Token": TOKEN})
    client.post("/api/cache/invalidate/symbols", headers=headers)
    client.post("/api/cache/clear")
    assert told() == [
        ("key:", "cache.invalidate", "BTCUSDT", 1, "done"),
        ("LIQUI_TOKEN", "cache.clear", "liq:*", 0, "done"),
        ("key:", "cache.invalidate-symbols", "", None, "done"),
    ]


def test_an_export_tells_who_took_how_many_rows(write: Write, client: Client) -> None:
    write([order(T0 + minute * 60_000) for minute in range(30)])
    window = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY}
    answer: Any = client.get("/api/liquidation-orders/stream", window, headers=api_key("read"))
    assert len(answer.getvalue().splitlines()) == 30
    assert told()[-1] == ("key:", "orders.export", "BTCUSDT", 30, "done")
    answer = client.get("/api/liquidation-orders/stream", window)
    answer.getvalue()
    assert told()[-1][0] == "anonymous"


def test_imports_and_bars_by_command_are_told(committed: None, tmp_path: Path) -> None:
    rows = tmp_path / "orders.csv"
    rows.write_text(
        "symbol,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
        "order_last_filled_quantity,order_filled_accumulated_quantity,order_trade_time\n"
        f"BTCUSDT,SELL,LIMIT,IOC,1,100,100,FILLED,1,1,{T0}\n"
    )
    call_command("import_liquidations", str(rows), verbosity=0)
    call_command("import_liquidations", str(rows), "--dry-run", verbosity=0)
    with pytest.raises(CommandError):
        call_command("import_liquidations", str(tmp_path / "nothing.csv"), verbosity=0)
    call_command("liquidation_bars", "rebuild", "--symbol", "BTCUSDT")
    call_command("liquidation_bars", "verify", "--repair")
    call_command("liquidation_bars", "verify")
    assert told() == [
        ("shell:", "import.run", str(rows), 1, "done"),
        ("shell:", "import.run", str(tmp_path / "nothing.csv"), 0, "failed"),
        ("shell:", "bars.rebuild", "BTCUSDT", None, "done"),
        ("shell:", "bars.repair", "", 0, "done"),
    ]


def test_the_cache_command_is_told(transactional_db: None) -> None:
    call_command("cache", "clear", "liq:*", verbosity=0)
    call_command("cache", "invalidate", "btcusdt", verbosity=0)
    call_command("cache", "invalidate-symbols", verbosity=0)
    assert [entry[:3] for entry in told()] == [
        ("shell:", "cache.clear", "liq:*"),
        ("shell:", "cache.invalidate", "BTCUSDT"),
        ("shell:", "cache.invalidate-symbols", ""),
    ]


def test_what_is_told_does_not_depend_on_the_log_being_writable(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    with connection.schema_editor() as editor:
        editor.execute("ALTER TABLE audit_log RENAME TO audit_log_away")
    try:
        record(SYSTEM, "test.write")
    finally:
        with connection.schema_editor() as editor:
            editor.execute("ALTER TABLE audit_log_away RENAME TO audit_log")
    assert "audit entry lost" in caplog.text
