"""How a batch of candles is brought into the table, on each kind of database. Inside a transaction.

A candle that is there is replaced by one of the same or a higher precedence. A closed one goes before a running one;
then those with all figures go before those that lack some; then the venue's figures and the user's own files go before
what we have made of trades. A roll-up always replaces a roll-up, with whatever figures: what it is made of has changed.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection

from marketdata.types import Candle, CandleSource

KEY = ("venue", "symbol", "timeframe", "open_ms")
PRICES = ("open", "high", "low", "close")
FIGURES = ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count")
VALUES = (*PRICES, "volume", *FIGURES, "is_closed", "is_empty", "source")
COLUMNS = (*KEY, *VALUES, "precedence")
OFFICIAL = (CandleSource.VENUE, CandleSource.IMPORT)


def precedence(candle: Candle) -> int:
    has_all = candle.trade_count is not None and candle.quote_volume is not None and candle.taker_buy_volume is not None
    return 4 * candle.is_closed + 2 * has_all + (candle.source in OFFICIAL)


def rows_upsert(candles: Sequence[Candle]) -> int:
    """How many of them are new or change what is there."""
    return sqlite_upsert(candles) if connection.vendor == "sqlite" else mysql_upsert(candles)


def mysql_upsert(candles: Sequence[Candle]) -> int:
    # A single row is sent twice, because the server's message exists for several rows only.
    sent = [*candles, *candles] if len(candles) == 1 else candles
    with connection.cursor() as cursor:
        cursor.execute(f"{MYSQL_INSERT} VALUES {','.join(mysql_rows(sent))} {MYSQL_CONFLICT}")
        # Django connects with FOUND_ROWS: a new row counts 1, a changed one 2, an unchanged one 1; the server's message
        # ("Records: 4  Duplicates: 3  Warnings: 0") counts the changed and unchanged ones.
        known = int(connection.connection.info().split("Duplicates:")[1].split()[0])
        return cursor.rowcount - known


def replaces(new: str) -> str:
    """SQL: whether the new row replaces the one that is there; ``new`` is how a column of it is written."""
    rollup = f"'{CandleSource.ROLLUP}'"
    is_newer_rollup = f"{new.format('source')} = {rollup} AND source = {rollup}"
    return f"({new.format('precedence')} >= precedence OR ({is_newer_rollup}))"


def assignments(names: Sequence[str]) -> str:
    condition = replaces("VALUES({})")
    return ", ".join(f"{name} = IF({condition}, VALUES({name}), {name})" for name in names)


MYSQL_INSERT = f"INSERT INTO candles ({', '.join(COLUMNS)})"
# The server assigns from left to right: what is compared with comes last. Once a row is replaced its source is the new
# one's, and its precedence is still replaced as well.
MYSQL_CONFLICT = f"ON DUPLICATE KEY UPDATE {assignments([*VALUES, 'precedence'])}"


def mysql_rows(candles: Sequence[Candle]) -> list[str]:
    """The rows as SQL literals: the driver's way with parameters takes longer than the server."""

    @cache
    def text(value: str) -> str:
        return connection.connection.literal(value).decode()

    return [
        f"({text(each.venue)},{text(each.symbol)},{text(each.timeframe)},{each.open_ms:d},"
        f"{each.open:f},{each.high:f},{each.low:f},{each.close:f},{each.volume:f},"
        f"{number(each.quote_volume)},{number(each.taker_buy_volume)},{number(each.taker_buy_quote_volume)},"
        f"{number(each.trade_count)},{each.is_closed:d},{each.is_empty:d},'{each.source}',{precedence(each)})"
        for each in candles
    ]


def number(value: Any) -> str:
    return "NULL" if value is None else f"{value:f}" if type(value) is not int else str(value)


SQLITE_UPSERT = (
    f"INSERT INTO candles ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) "
    f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[4:])} "
    # Only what differs is written, and counted.
    f"WHERE {replaces('excluded.{}')} AND ({', '.join(f'excluded.{name}' for name in VALUES)}) "
    f"IS NOT ({', '.join(VALUES)})"
)


def sqlite_upsert(candles: Sequence[Candle]) -> int:
    with connection.cursor() as cursor:
        cursor.executemany(SQLITE_UPSERT, [sqlite_row(candle) for candle in candles])
        return max(cursor.rowcount, 0)


def sqlite_row(candle: Candle) -> tuple[Any, ...]:
    # Decimals are floats there, to which a text would be unequal.
    return (
        *(candle.venue, candle.symbol, candle.timeframe, candle.open_ms),
        *(float(candle.open), float(candle.high), float(candle.low), float(candle.close), float(candle.volume)),
        *(decimal if decimal is None else float(decimal) for decimal in decimals(candle)),
        *(candle.trade_count, candle.is_closed, candle.is_empty, str(candle.source), precedence(candle)),
    )


def decimals(candle: Candle) -> tuple[Any, ...]:
    return candle.quote_volume, candle.taker_buy_volume, candle.taker_buy_quote_volume
