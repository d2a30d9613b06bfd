"""Importing candles of files: every layout, bad lines named and nothing else lost, twice is once."""

import gzip
import zipfile
from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import AuditEntry
from marketdata.candles import importing
from marketdata.candles.files import ARCHIVE, DECIMALS, PLAIN, Rejected, Series, candles_of, series_of
from marketdata.candles.keeping import candles_build
from marketdata.candles.models import AMOUNT, PRICE, CandleRow
from marketdata.candles.queries import candle_gaps, candles_read
from marketdata.candles.rolling import roll_up
from marketdata.candles.services import candle_upsert
from marketdata.models import InstrumentRow
from marketdata.services import instrument_note
from marketdata.symbols.service import symbol_find
from marketdata.timeframes import DAY_MS, MINUTE_MS, TIMEFRAMES, candle_close_ms, candle_open_ms
from marketdata.types import Candle, CandleSource
from tests.marketdata.candles.making import T0, VENUE, candle

NOW = T0 + DAY_MS
NEAR = Series("NEARUSDT", "1m")
ROW = f"{T0},3.0010,3.0050,2.9990,3.0020,1000,{T0 + 59_999},3001.5,42,600,1800.9,0"
SHORT_ROW = ",".join(ROW.split(",")[:6])


def microseconds(row: str) -> str:
    return row.replace(str(T0), f"{T0}000", 1).replace(str(T0 + 59_999), f"{T0 + 59_999}999", 1)


def seconds(row: str) -> str:
    return row.replace(str(T0), str(T0 // 1000), 1).replace(str(T0 + 59_999), str(T0 // 1000 + 59), 1)


def candles(*lines: str, series: Series = NEAR) -> list[Candle | Rejected]:
    return list(candles_of(enumerate(lines, 1), series, NOW))


def stored(symbol: str = "NEARUSDT", timeframe: str = "1m") -> list[Candle]:
    return candles_read(VENUE, symbol, timeframe, 0, 2**41)


def run(*arguments: str | Path) -> str:
    out = StringIO()
    call_command("import_candles", *map(str, arguments), stdout=out, stderr=out)
    return out.getvalue()


def minutes_text(count: int, start_ms: int = T0) -> str:
    return "".join(f"{start_ms + n * MINUTE_MS},1,2,0.5,1.5,{n}\n" for n in range(count))


EXPECTED = candle(
    T0,
    symbol="NEARUSDT",
    open=Decimal("3.0010"),
    high=Decimal("3.0050"),
    low=Decimal("2.9990"),
    close=Decimal("3.0020"),
    volume=Decimal(1000),
    quote_volume=Decimal("3001.5"),
    taker_buy_volume=Decimal(600),
    taker_buy_quote_volume=Decimal("1800.9"),
    trade_count=42,
    source=CandleSource.IMPORT,
)


@pytest.mark.parametrize(
    "lines",
    [
        [ROW],
        [",".join(ARCHIVE), ROW],
        ["", ROW, ""],
        [microseconds(ROW)],
        [seconds(ROW)],
        [ROW.replace(str(T0 + 59_999), str(T0 + MINUTE_MS))],
        [",".join(f'"{cell}"' for cell in ROW.split(","))],
        [",".join(reversed(ARCHIVE)), ",".join(reversed(ROW.split(",")))],
    ],
    ids=["bare", "header", "blank lines", "microseconds", "seconds", "closed by the next", "quoted", "other order"],
)
def test_a_line_of_the_archive_is_a_candle_with_all_figures(lines: list[str]) -> None:
    assert candles(*lines) == [EXPECTED]


@pytest.mark.parametrize("lines", [[SHORT_ROW], [",".join(PLAIN), SHORT_ROW], [",".join(PLAIN).upper(), SHORT_ROW]])
def test_a_plain_line_lacks_what_it_does_not_say(lines: list[str]) -> None:
    (made,) = candles(*lines)
    assert isinstance(made, Candle)
    assert (made.close, made.volume, made.is_closed) == (Decimal("3.0020"), 1000, True)
    assert made.quote_volume is made.taker_buy_volume is made.taker_buy_quote_volume is made.trade_count is None


def test_a_candle_without_volume_is_empty() -> None:
    (made,) = candles(f"{T0},3,3,3,3,0")
    assert isinstance(made, Candle)
    assert made.is_empty


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((str(T0), "soon"), "open_time is no whole number"),
        ((str(T0), str(T0 + 1)), "open_time is not when a candle of 1m opens"),
        ((str(T0), "9" * 30), "open_time is out of bounds"),
        ((str(T0), "9" * 20), "open_time is out of bounds"),
        ((str(T0), "١٧٠٤٠٦٧٢٠٠٠٠٠"), "open_time is no whole number"),
        ((str(T0), f"{T0}001"), "open_time is not when a candle of 1m opens"),
        ((str(T0 + 59_999), str(T0 + 59_998)), "close_time is not when a candle of 1m ends"),
        ((str(T0 + 59_999), str(T0 + 299_999)), "close_time is not when a candle of 1m ends"),
        ((str(T0 + 59_999), f"{T0 + 59_999}999"), "close_time is not when a candle of 1m ends"),
        ((str(T0 + 59_999), "soon"), "close_time is no whole number"),
        (("3.0010", "three"), "open is no number"),
        (("3.0010", "NaN"), "open is no number"),
        (("3.0010", "3_0"), "open is no number"),
        (("3.0010", "٣"), "open is no number"),
        (("3.0010", "."), "open is no number"),
        (("2.9990", "1e-17"), "low is less than the table's 15 decimals can tell"),
        (("2.9990", "1e-99999"), "low is less than the table's 15 decimals can tell"),
        ((",1000,", ",1e-999999,"), "volume is less than the table's 15 decimals can tell"),
        ((",1000,", ",1e999999,"), "volume is out of bounds"),
        ((",1000,", f",{'9' * 25}.{'9' * 20},"), "volume is out of bounds"),
        (("2.9990", "0"), "a price is not above 0"),
        (("2.9990", "-1"), "low is out of bounds"),
        (("3.0020", "3.1"), "open or close lies outside of low and high"),
        (("3.0050", "1e16"), "high is out of bounds"),
        ((",1000,", ",-1,"), "volume is out of bounds"),
        ((",42,", ",many,"), "count is no number"),
        ((",1000,", ",1000,1,"), "13 columns instead of 12"),
    ],
)
def test_a_bad_line_is_rejected_with_its_number_and_loses_nothing_else(change: tuple[str, str], reason: str) -> None:
    other = ROW.replace(str(T0), str(T0 + MINUTE_MS), 1).replace(str(T0 + 59_999), str(T0 + 119_999), 1)
    assert candles(ROW, ROW.replace(*change, 1), other) == [
        EXPECTED,
        Rejected(2, reason),
        *candles(other),
    ]


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_close_times_of_every_timeframe_are_checked_by_the_calendar(timeframe: str) -> None:
    open_ms = candle_open_ms(timeframe, T0 - 9 * DAY_MS)
    close_ms = candle_close_ms(timeframe, open_ms)
    row = ROW.replace(str(T0 + 59_999), "{}", 1).replace(str(T0), str(open_ms), 1)
    for close, is_right in ((close_ms - 1, True), (close_ms, True), (close_ms + 1, False), (close_ms - 60_001, False)):
        (made,) = candles(row.format(close), series=Series("NEARUSDT", timeframe))
        assert isinstance(made, Candle) == is_right


def test_a_candle_that_is_not_over_by_the_clock_is_rejected_with_the_time() -> None:
    reason = "its candle is not over at 2024-01-02 00:00:00 UTC, which is now by our clock"
    last, running, future = (f"{time_ms},3,3,3,3,1" for time_ms in (NOW - MINUTE_MS, NOW - MINUTE_MS + 1, NOW))
    assert isinstance(candles(last)[0], Candle)
    assert candles(running, future) == [Rejected(1, reason), Rejected(2, reason)]
    december_9999 = 253_399_622_400_000_000  # µs
    assert candles(f"{december_9999},3,3,3,3,1", series=Series("NEARUSDT", "1M")) == [Rejected(1, reason)]
    assert candles(f"{T0},3,3,3,3,1", series=Series("NEARUSDT", "1M")) == [Rejected(1, reason)]


def test_the_noise_of_floats_is_rounded_to_what_the_table_holds() -> None:
    (made,) = candles(f"{T0},0.30000000000000004,0.30000000000000004,.3,0.3,1e2")
    assert isinstance(made, Candle)
    assert (str(made.open), str(made.high), made.low, made.volume) == (
        "0.300000000000000",
        "0.300000000000000",
        Decimal("0.3"),
        100,
    )
    assert {field["decimal_places"] for field in (PRICE, AMOUNT)} == {DECIMALS}


def test_a_line_that_is_cut_before_any_layout_is_known_is_rejected() -> None:
    assert candles("1,2,3", ROW) == [Rejected(1, "3 columns instead of 6 or 12"), EXPECTED]


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("NEARUSDT-1m-2025-02.csv", NEAR),
        ("NEARUSDT-1m-2025-02-01.zip", NEAR),
        ("klines_vision_NEARUSDT-1m-2025-06.csv.gz", NEAR),
        ("klines_1m_BTCUSDT_2023-07-18_2023-08-17.csv.gz", Series("BTCUSDT", "1m")),
        ("klines_1M_BTCUSDT.csv", Series("BTCUSDT", "1M")),
        ("BTCUSDT-1mo-2024-01.zip", Series("BTCUSDT", "1M")),
        ("btcusdt_251226-12h.csv", Series("BTCUSDT_251226", "12h")),
        ("币安人生USDT-15m-2025-11.csv", Series("币安人生USDT", "15m")),
        ("candles.csv", None),
        ("BTCUSDT-7m-2024-01.csv", None),
    ],
)
def test_the_name_of_a_file_says_what_is_in_it(name: str, series: Series | None) -> None:
    assert series_of(name) == series


@pytest.mark.django_db
def test_a_day_of_recorded_candles_imported_twice_is_a_day_of_candles(recordings: Path, tmp_path: Path) -> None:
    day_ms = 1_750_636_800_000  # 2025-06-23
    path = tmp_path / "NEARUSDT-1m-2025-06-23.csv"
    path.write_text("".join(lines_between(recordings, day_ms, day_ms + DAY_MS)))
    assert "1,440 candles new or changed, 0 unchanged" in run(path)
    first = stored()
    assert "0 candles new or changed, 1,440 unchanged" in run(path)
    assert stored() == first
    assert CandleRow.objects.count() == 1440
    assert candle_gaps(VENUE, "NEARUSDT", "1m", day_ms, day_ms + DAY_MS) == []
    assert_same(first, path.read_text().splitlines())
    candles_build()
    (day,) = stored(timeframe="1d")
    assert day.volume == sum(each.volume for each in first)
    assert (day.open, day.close) == (first[0].open, first[-1].close)


def lines_between(recordings: Path, start_ms: int, end_ms: int) -> Iterable[str]:
    with gzip.open(recordings / "klines_vision_NEARUSDT-1m-2025-06.csv.gz", "rt") as file:
        return [line for line in file if line[0] == "o" or start_ms <= int(line.partition(",")[0]) < end_ms]


def assert_same(found: list[Candle], lines: list[str]) -> None:
    """Told by the text alone, without our reader."""
    rows = [line.split(",") for line in lines[1:]]
    assert [each.open_ms for each in found] == [int(row[0]) for row in rows]
    for column, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        assert [getattr(each, name) for each in found] == [Decimal(row[column]) for row in rows]
    assert [each.trade_count for each in found] == [int(row[8]) for row in rows]
    assert [each.taker_buy_quote_volume for each in found] == [Decimal(row[10]) for row in rows]


@pytest.mark.django_db
def test_files_folders_and_archives_of_any_packing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "AUSDT-1m-2024-01.csv").write_text(minutes_text(3))
    (tmp_path / "notes.txt").write_text("not a candle")
    (tmp_path / ".hidden.csv").write_text("not a candle")
    with gzip.open(tmp_path / "sub" / "klines_1m_BUSDT_2024-01-01_2024-01-02.csv.gz", "wt") as file:
        file.write(minutes_text(4))
    with zipfile.ZipFile(tmp_path / "sub" / "archive.zip", "w") as archive:
        archive.writestr("CUSDT-1m-2024-01.csv", minutes_text(5))
        archive.writestr("CUSDT-1m-2024-01.csv.CHECKSUM", "beef")
    text = run(tmp_path, tmp_path / "AUSDT-1m-2024-01.csv")
    assert [len(stored(symbol)) for symbol in ("AUSDT", "BUSDT", "CUSDT")] == [3, 4, 5]
    assert "12 candles new or changed" in text
    assert "CUSDT 1m: 2024-01-01 00:00 to 2024-01-01 00:04" in text


@pytest.mark.django_db
def test_symbol_and_timeframe_may_be_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(minutes_text(3))
    with pytest.raises(CommandError, match="1 bad file"):
        run(path)
    run(path, "--symbol", "nearusdt", "--timeframe", "1m")
    assert len(stored()) == 3


@pytest.mark.django_db
@pytest.mark.parametrize("option", [("--timeframe", "5m"), ("--symbol", "XUSDT")])
def test_a_name_that_contradicts_the_options_is_not_stored_as_something_else(
    tmp_path: Path, option: tuple[str, str]
) -> None:
    path = tmp_path / "NEARUSDT-1m-2024-01.csv"
    path.write_text(minutes_text(3))
    with pytest.raises(CommandError, match="1 bad file"):
        run(path, *option)
    assert CandleRow.objects.count() == 0


@pytest.mark.django_db
def test_symbols_of_imported_candles_can_be_looked_up(tmp_path: Path) -> None:
    (tmp_path / "NEWUSDT-1m-2024-01.csv").write_text(minutes_text(3))
    InstrumentRow.objects.create(symbol="OLDUSDT", is_active=False)
    (tmp_path / "OLDUSDT-1m-2024-01.csv").write_text(minutes_text(3))
    for _ in range(2):
        run(tmp_path)
    new, old = symbol_find("NEWUSDT"), symbol_find("OLDUSDT")
    assert (new.is_active, new.exchange_form, new.tick_size is not None) == (True, "NEW/USDT:USDT", True)
    assert (old.is_active, old.tick_size) == (False, None)
    assert InstrumentRow.objects.count() == 2


def imported(folder: Path, *rows: str, symbol: str = "NEWUSDT") -> None:
    path = folder / f"{symbol}-1m-2024-01.csv"
    path.write_text("".join(f"{row}\n" for row in rows))
    run(path)


def step(symbol: str = "NEWUSDT") -> tuple[Decimal | None, int | None]:
    row = InstrumentRow.objects.get(symbol=symbol)
    return row.tick_size, row.price_precision


@pytest.mark.django_db
def test_the_tick_is_as_fine_as_the_finest_price_of_all_files_until_the_venue_says_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    imported(tmp_path, *minutes_text(4).split(), f"{T0 + 4 * MINUTE_MS},1,2.05,0.125,1.5,1")
    assert step() == (Decimal("0.001"), 3)
    imported(tmp_path, f"{T0},1,2,1,2,1")
    assert step() == (Decimal("0.001"), 3)
    imported(tmp_path, f"{T0},1.00001,2,1,2,1")
    assert step() == (Decimal("0.00001"), 5)
    InstrumentRow.objects.update(last_seen_ms=T0, tick_size=Decimal("0.1"), price_precision=1)
    imported(tmp_path, f"{T0},1.00001,2,1,2,1")
    assert step() == (Decimal("0.1"), 1)


@pytest.mark.django_db
def test_a_tick_is_never_finer_than_its_column(tmp_path: Path) -> None:
    imported(tmp_path, f"{T0},0.30000000000000004,0.3000000000000000123,0.3,0.3,1")
    assert step() == (Decimal("0.1"), 1)
    instrument_note(VENUE, "FINEUSDT", [Decimal("1e-17")])
    assert step("FINEUSDT") == (Decimal("1e-15"), 15)


@pytest.mark.django_db
def test_of_two_lines_of_one_time_the_last_counts_and_a_second_import_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "NEARUSDT-1m-2024-01.csv"
    path.write_text(f"{T0},1,1,1,1,1\n{T0},2,2,2,2,2\n")
    assert "1 candles new or changed, 0 unchanged" in run(path)
    assert "0 candles new or changed, 1 unchanged" in run(path)
    assert stored()[0].close == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "symbol", ["A B", "A/B", "A\\B", "A\nB", "A\x00B", "A\u00a0B", "A\u200bB", " ", "A" * 65, "ß" * 33]
)
def test_what_cannot_be_a_symbol_is_refused(tmp_path: Path, symbol: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(minutes_text(3))
    with pytest.raises(CommandError, match="is no symbol"):
        run(path, "--symbol", symbol, "--timeframe", "1m")
    assert not InstrumentRow.objects.exists()


@pytest.mark.django_db
def test_a_name_of_a_file_with_too_long_a_symbol_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="1 bad file"):
        imported(tmp_path, f"{T0},1,1,1,1,1", symbol="A" * 65)
    assert CandleRow.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("symbol", ["币安人生USDT", "BTCUSDT_261225", "A" * 64])
def test_symbols_of_letters_of_any_script_digits_and_underscores_are_taken(tmp_path: Path, symbol: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(minutes_text(3))
    run(path, "--symbol", symbol, "--timeframe", "1m")
    assert len(stored(symbol)) == 3


@pytest.mark.django_db
def test_an_import_that_finds_no_candle_says_so_and_fails(tmp_path: Path) -> None:
    empty, zipped, folder = tmp_path / "AUSDT-1m.csv", tmp_path / "BUSDT-1m.zip", tmp_path / "folder"
    empty.write_text("open_time,open,high,low,close,volume\n\n")
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("notes.txt", "not a candle")
    folder.mkdir()
    for path, reason in ((empty, "no line of a candle"), (zipped, "no .csv"), (folder, "no file of .csv")):
        out = StringIO()
        with pytest.raises(CommandError, match="1 bad file"):
            call_command("import_candles", str(path), stdout=out, stderr=out)
        assert f"{path}: holds {reason}" in out.getvalue()
    rejected = tmp_path / "CUSDT-1m.csv"
    rejected.write_text("1,2\n")
    with pytest.raises(CommandError, match="nothing was imported: all lines were rejected"):
        run(rejected)
    assert set(AuditEntry.objects.values_list("outcome", flat=True)) == {"failed"}


@pytest.mark.django_db
def test_members_of_an_archive_may_be_named_in_upper_case(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("NEARUSDT-1m-2024-01.CSV", minutes_text(3))
    run(tmp_path)
    assert len(stored()) == 3


@pytest.mark.django_db
def test_bad_lines_and_bad_files_are_named_and_the_rest_is_stored(tmp_path: Path) -> None:
    good, bad, cut, other = (tmp_path / f"{name}USDT-1m-2024-01.csv" for name in "ABCD")
    good.write_text(minutes_text(3))
    bad.write_text(minutes_text(2) + 'rub"bish\n' + minutes_text(2, T0 + 2 * MINUTE_MS))
    cut.write_bytes(gzip.compress(minutes_text(20_000).encode())[:-200])
    other.write_text("time,price\n1,2\n")
    header = tmp_path / "EUSDT-1m-2024-01.csv"
    header.write_text("open_time,open,close\n1,2,3\n")
    out = StringIO()
    paths = [str(path) for path in (good, bad, cut, other, header, tmp_path / "FUSDT-1m.csv")]
    with pytest.raises(CommandError, match="3 bad files"):
        call_command("import_candles", *paths, stdout=out, stderr=out)
    text = out.getvalue()
    assert f"{bad}, line 3: 1 columns instead of 6" in text
    assert "2 lines rejected: 2 columns instead of 6 or 12" in text
    assert f"{cut}: cannot be read" in text
    assert f"{header}: its header lacks high, low, volume" in text
    assert f"{tmp_path / 'FUSDT-1m.csv'}: cannot be read: No such file" in text
    assert [len(stored(f"{name}USDT")) for name in "AB"] == [3, 4]
    assert len(stored("CUSDT")) > 19_000, "what is before the cut counts"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome) == ("candles.import", "done")


@pytest.mark.django_db
def test_a_plain_file_does_not_take_figures_away(tmp_path: Path) -> None:
    full = [
        candle(T0, symbol="NEARUSDT", source=CandleSource.VENUE),
        candle(T0 + MINUTE_MS, symbol="NEARUSDT", source=CandleSource.TRADES),
    ]
    candle_upsert(full)
    path = tmp_path / "NEARUSDT-1m-2024-01.csv"
    path.write_text(minutes_text(3))
    assert "1 candles new or changed, 2 unchanged" in run(path)
    assert stored()[:2] == full
    assert stored()[2].source is CandleSource.IMPORT


@pytest.mark.django_db
def test_roll_ups_are_of_the_minutes_that_are_stored_after_a_plain_import(tmp_path: Path) -> None:
    minutes = [
        candle(
            T0 + n * MINUTE_MS, 1 + n, symbol="NEARUSDT", source=CandleSource.TRADES, quote_volume=500, trade_count=7
        )
        for n in range(60)
    ]
    candle_upsert(minutes)
    candles_build()
    path = tmp_path / "NEARUSDT-1m-2024-01.csv"
    path.write_text(minutes_text(60))
    run(path)
    candles_build()
    for timeframe in ("5m", "1h"):
        assert stored(timeframe=timeframe) == roll_up(stored(), timeframe)
