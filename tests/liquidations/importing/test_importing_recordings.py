"""The recorded files, each against the counts of their description."""

from decimal import Decimal
from pathlib import Path

import pytest

# file: rows, distinct events, symbols (one less than described where the junk prefix made a second ADA or IP)
RECORDER_FILES = {
    "liq_allsymbols_2024-08-17.csv": (456, 456, 72),
    "liq_allsymbols_2024-08-18.csv": (385, 385, None),
    "liq_allsymbols_2025-01-27.csv": (2595, 1360, 208),
    "liq_allsymbols_2025-06-23_early_a.csv": (446, 446, 130),
    "liq_allsymbols_2025-06-23_early_b.csv": (454, 454, 132),
    "liq_allsymbols_2025-06-23_late_a.csv": (700, 700, 144),
    "liq_allsymbols_2025-06-23_late_b.csv": (702, 702, 144),
    "liq_allsymbols_2025-12-11_h01-02.csv.gz": (6582, 6582, 517),
}
DISTINCT_IN_ALL = 456 + 385 + 1360 + 454 + 702 + 6582 + 1844


@pytest.mark.parametrize("name", RECORDER_FILES)
def test_recorder_files_give_their_distinct_events(name: str, recordings: Path, import_paths, table) -> None:
    rows, distinct, symbols = RECORDER_FILES[name]
    summary = import_paths(recordings / name).summary
    assert (summary.read, summary.inserted, summary.duplicates) == (rows, distinct, rows - distinct)
    assert not summary.rejected
    assert not summary.bad
    if symbols:
        assert len({order.symbol for order in table.rows.values()}) == symbols


def test_overlapping_recorders_are_merged(recordings: Path, import_paths) -> None:
    summary = import_paths(*sorted(recordings.glob("liq_allsymbols_2025-06-23_*"))).summary
    assert (summary.inserted, summary.duplicates) == (454 + 702, 446 + 700)


def test_missing_average_prices_are_null_and_stale_rows_are_kept(recordings: Path, import_paths, table) -> None:
    import_paths(*recordings.glob("liq_allsymbols_2025-06-23_*"))
    assert {order.average_price for order in table.rows.values()} == {None}
    assert min(order.order_trade_time for order in table.rows.values()) == 1750234363411


def test_the_junk_prefix_of_the_first_lines_is_gone(recordings: Path, import_paths, table) -> None:
    import_paths(*recordings.glob("liq_allsymbols_2025-06-23_early_*"))
    symbols = {order.symbol for order in table.rows.values()}
    assert {"ADAUSDT", "IPUSDT"} <= symbols
    assert not any("HELLO" in symbol for symbol in symbols)


def test_mixed_spellings_of_a_symbol_become_one(recordings: Path, import_paths, table) -> None:
    import_paths(recordings / "liq_allsymbols_2024-08-18.csv")
    assert all(order.symbol.endswith(("USDT", "USDC")) for order in table.rows.values())
    assert not any(order.symbol.endswith("USDTUSDT") for order in table.rows.values())


def test_the_headed_file_is_taken_up_to_its_change_of_layout(recordings: Path, import_paths, table) -> None:
    summary = import_paths(recordings / "liq_btcusdt_2024-12-04_ist.csv").summary
    assert (summary.inserted, summary.duplicates, summary.rejected.total(), summary.skipped.total()) == (
        1844,
        0,
        573,
        1,
    )
    orders = table.rows.values()
    assert {order.symbol for order in orders} == {"BTCUSDT"}
    assert [order.side for order in orders].count("BUY") == 1115
    # 2024-12-04 22:16:25.584 and 2024-12-06 23:42:09.262 at +05:30, the trade times and not the event times.
    assert min(order.order_trade_time for order in orders) == 1733330785584
    assert max(order.order_trade_time for order in orders) == 1733508729262


def test_force_orders_of_every_year_are_read(recordings: Path, import_paths, table) -> None:
    summary = import_paths(recordings / "forceorder_frames_2021_2026.jsonl").summary
    assert (summary.read, summary.inserted) == (7, 7)
    newest = max(table.rows.values(), key=lambda order: order.order_trade_time)
    assert (newest.symbol, newest.average_price, newest.order_trade_time) == (
        "BTCUSDT", Decimal("82651.90"), 1791565602120,
    )  # fmt: skip
    assert "牛来USDT" in {order.symbol for order in table.rows.values()}


def test_all_liquidation_files_together_give_each_event_once(recordings: Path, import_paths, table) -> None:
    summary = import_paths(*sorted(recordings.glob("liq_*"))).summary
    assert (summary.read, summary.inserted, len(table.rows)) == (14738, DISTINCT_IN_ALL, DISTINCT_IN_ALL)
    assert not summary.bad


def test_raw_recordings_without_forced_orders_are_skipped_line_by_line(recordings: Path, import_paths) -> None:
    summary = import_paths(recordings / "wsraw_btcusdt_20240718.txt.gz").summary
    assert (summary.read, summary.skipped.total(), summary.bad) == (11414, 11414, [])


def test_other_recordings_are_named_bad(recordings: Path, import_paths) -> None:
    others = [*recordings.glob("klines_*"), *recordings.glob("*trades_*"), *recordings.glob("exchangeinfo_*")]
    summary = import_paths(*others).summary
    assert summary.read == 0
    assert len(summary.bad) == len(others)
