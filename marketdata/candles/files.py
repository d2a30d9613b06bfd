"""Candles from files: the venue's archive (12 columns) and plain tables of open time, prices and volume. No Django.

Files are .csv, packed as .gz or .zip or not at all, with a header or without one. Times are in s, ms or µs since 1970,
which their magnitude tells.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, BinaryIO

from marketdata.timeframes import TIMEFRAMES, candle_close_ms, candle_open_ms, moment
from marketdata.types import Candle, CandleSource
from marketdata.venues.binance import VENUE

PLAIN = ("open_time", "open", "high", "low", "close", "volume")
ARCHIVE = (
    *PLAIN,
    *("close_time", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
COLUMNS_BY_COUNT = {len(PLAIN): PLAIN, len(ARCHIVE): ARCHIVE}
SUFFIXES = (".csv", ".csv.gz", ".zip")
MONTH_OF_ARCHIVE = "1mo"  # as the archive's file names have it: some file systems know no case
# Between the years 1973 and 5138: since 2025 the archives of spot have µs, and other programs write seconds.
LEAST_MS, LEAST_MICROSECONDS, LAST_MS = 10**11, 10**14, 253_402_300_799_999
LONGEST_TIME = 20  # digits, more than any time has
# What the table can hold.
PRICE_BOUND, AMOUNT_BOUND, COUNT_BOUND = Decimal(10**15), Decimal(10**25), Decimal(2**63)
DECIMALS = 15
FINEST = Decimal(1).scaleb(-DECIMALS)
WIDE = Context(prec=50)  # as many digits as the widest column has, and more
# Nearly all numbers: they fit any column as they are, and files have millions of them.
USUAL_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
# Decimal itself takes 1_000 and the digits of any script.
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeError, RuntimeError, NotImplementedError)

Line = tuple[int, str]

INTERVALS = "|".join(sorted((*TIMEFRAMES, MONTH_OF_ARCHIVE), key=len, reverse=True))
NAMES = (
    re.compile(rf"(?:klines_vision_)?(?P<symbol>\w+)-(?P<timeframe>{INTERVALS})(?:-\d{{4}}.*)?\."),
    re.compile(rf"klines_(?P<timeframe>{INTERVALS})_(?P<symbol>\w+?)(?:_\d{{4}}-.*)?\."),
)


class Unusable(Exception):
    """A file that cannot be read, or not to its end; what was read before stays."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is no candle, by its number from 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Series:
    symbol: str
    timeframe: str


def files_find(paths: Iterable[str]) -> list[Path]:
    """The files that are named, each once, folders with all candles in them. A path that is none, and a folder without
    candles, is given as it is.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        inside = sorted(file for file in path.rglob("*") if is_data(file)) if path.is_dir() else []
        found |= dict.fromkeys(inside or [path])
    return list(found)


def is_data(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name.lower().endswith(SUFFIXES)


def series_of(name: str) -> Series | None:
    """What a file's name says that is in it: NEARUSDT-1m-2025-02.csv, klines_1m_BTCUSDT_2023-07-18_2023-08-17.csv."""
    for pattern in NAMES:
        if match := pattern.match(name):
            timeframe = match["timeframe"]
            return Series(match["symbol"].upper(), "1M" if timeframe == MONTH_OF_ARCHIVE else timeframe)
    return None


class CandleFile:
    """A file, and how far it has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size if path.is_file() else 0
        self.file: BinaryIO | None = None

    def position(self) -> int:
        """Bytes of the file, packed as it is, that have been read."""
        return self.file.tell() if self.file and not self.file.closed else self.size

    def tables(self) -> Iterator[tuple[str, Iterator[Line]]]:
        """Its tables: the name, and the lines with their numbers. Raises `Unusable`, also while they are read, and
        where there is none.
        """
        if self.path.is_dir():
            raise Unusable(f"holds no file of {', '.join(SUFFIXES)}")
        with telling(), open(self.path, "rb") as self.file:
            for name, stream in streams(self.path.name, self.file):
                yield name, lines_of(stream)


@contextmanager
def telling() -> Iterator[None]:
    try:
        yield
    except READ_ERRORS as error:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise Unusable(f"cannot be read: {text}") from error


def streams(name: str, file: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Told by the first bytes, whatever the file's name is."""
    head = file.read(4)
    file.seek(0)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if is_table(member.filename)]
            if not members:
                raise Unusable("holds no .csv")
            for member in members:
                yield Path(member.filename).name, archive.open(member)
    elif head.startswith(b"\x1f\x8b"):
        yield name, gzip.GzipFile(fileobj=file)
    else:
        yield name, file


def is_table(member: str) -> bool:
    # macOS adds a folder of its own to every archive.
    return member.lower().endswith(".csv") and not member.startswith("__MACOSX/")


def lines_of(stream: Any) -> Iterator[Line]:
    with telling():
        yield from enumerate(io.TextIOWrapper(stream, "utf-8-sig", "backslashreplace"), 1)


def candles_of(lines: Iterable[Line], series: Series, now_ms: int) -> Iterator[Candle | Rejected]:
    """Each line's candle, or why there is none; nothing of a header. What is not over at ``now_ms`` is no candle yet.

    Raises `Unusable` when a header lacks what we need.
    """
    columns: Sequence[str] = ()
    for number, line in lines:
        # Not by the csv module: a stray quote must not swallow the lines after it.
        row = [cell.strip().strip('"') for cell in line.split(",")]
        if not any(row):
            continue
        if not columns and is_header(row):
            columns = header_columns(row)
            continue
        columns = columns or COLUMNS_BY_COUNT.get(len(row), ())
        try:
            yield candle(columns_checked(columns, row), series, now_ms)
        except ValueError as error:
            yield Rejected(number, str(error))


def is_header(row: Sequence[str]) -> bool:
    return "open_time" in (cell.lower() for cell in row)


def header_columns(row: Sequence[str]) -> Sequence[str]:
    columns = [cell.lower() for cell in row]
    if missing := [name for name in PLAIN if name not in columns]:
        raise Unusable(f"its header lacks {', '.join(missing)}")
    return columns


def columns_checked(columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(columns):
        expected = str(len(columns)) if columns else " or ".join(map(str, COLUMNS_BY_COUNT))
        raise ValueError(f"{len(row)} columns instead of {expected}")
    return dict(zip(columns, row, strict=True))


def candle(cells: dict[str, str], series: Series, now_ms: int) -> Candle:
    """Raises ValueError, which says the column."""
    open_ms = opened(cells, series.timeframe, now_ms)
    prices = {name: decimal(cells, name, PRICE_BOUND) for name in PLAIN[1:5]}
    if min(prices.values()) <= 0:
        raise ValueError("a price is not above 0")
    if prices["low"] > min(prices.values()) or prices["high"] < max(prices.values()):
        raise ValueError("open or close lies outside of low and high")
    volume = decimal(cells, "volume", AMOUNT_BOUND)
    count = figure(cells, "count", COUNT_BOUND)
    return Candle(
        venue=VENUE,
        symbol=series.symbol,
        timeframe=series.timeframe,
        open_ms=open_ms,
        open=prices["open"],
        high=prices["high"],
        low=prices["low"],
        close=prices["close"],
        volume=volume,
        quote_volume=figure(cells, "quote_volume"),
        taker_buy_volume=figure(cells, "taker_buy_volume"),
        taker_buy_quote_volume=figure(cells, "taker_buy_quote_volume"),
        trade_count=None if count is None else int(count),
        is_empty=not volume,
        source=CandleSource.IMPORT,
    )


def figure(cells: dict[str, str], name: str, bound: Decimal = AMOUNT_BOUND) -> Decimal | None:
    """None where the table has none."""
    return decimal(cells, name, bound) if cells.get(name) else None


def decimal(cells: dict[str, str], name: str, bound: Decimal) -> Decimal:
    text = cells[name]
    return Decimal(text) if USUAL_NUMBER.fullmatch(text) else unusual_decimal(text, name, bound)


def unusual_decimal(text: str, name: str, bound: Decimal) -> Decimal:
    """Rounded to what the table holds: programs that reckon in floats write 0.30000000000000004."""
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{name} is no number")
    value = Decimal(text)
    # In this order: what is far beyond the bound has more digits than can be rounded.
    if not 0 <= value < bound or (rounded := held(value)) >= bound:
        raise ValueError(f"{name} is out of bounds")
    if value and not rounded:
        raise ValueError(f"{name} is less than the table's {DECIMALS} decimals can tell")
    return rounded


def held(value: Decimal) -> Decimal:
    """As the table holds it, without more zeros than it has."""
    is_finer = -int(value.as_tuple().exponent) > DECIMALS
    return value.quantize(FINEST, context=WIDE) if is_finer else value


def opened(cells: dict[str, str], timeframe: str, now_ms: int) -> int:
    """When the candle opens, in ms. Raises ValueError for one that is not over, and where the columns disagree."""
    time = whole_number(cells, "open_time")
    open_ms = time * 1000 if time < LEAST_MS else time if time < LEAST_MICROSECONDS else time // 1000
    if open_ms > LAST_MS:
        raise ValueError("open_time is out of bounds")
    # The end of a candle of the year 9999 has no date.
    if open_ms >= now_ms or candle_close_ms(timeframe, open_ms) > now_ms:
        raise ValueError(f"its candle is not over at {moment(now_ms):%Y-%m-%d %H:%M:%S} UTC, which is now by our clock")
    if candle_open_ms(timeframe, open_ms) != open_ms or time != in_unit_of(time, open_ms):
        raise ValueError(f"open_time is not when a candle of {timeframe} opens")
    if cells.get("close_time"):
        close = in_unit_of(time, candle_close_ms(timeframe, open_ms))
        # The venue's last instant, or the one after it, as others write it.
        if whole_number(cells, "close_time") not in (close - 1, close):
            raise ValueError(f"close_time is not when a candle of {timeframe} ends")
    return open_ms


def whole_number(cells: dict[str, str], name: str) -> int:
    text = cells[name]
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name} is no whole number")
    if len(text) > LONGEST_TIME:
        raise ValueError(f"{name} is out of bounds")
    return int(text)


def in_unit_of(time: int, time_ms: int) -> int:
    """In s, ms or µs, as ``time`` is."""
    return time_ms // 1000 if time < LEAST_MS else time_ms if time < LEAST_MICROSECONDS else time_ms * 1000
