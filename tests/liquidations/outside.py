"""What another program does to the table of forced orders, behind liqui's back; and tables as it would make them."""

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from liquidations.models import BarProgress, LiquidationBar, StaleBarDay
from liquidations.schema import COLUMNS
from liquidations.table import table_profile_reset
from liquidations.types import ForcedOrder

MYSQL = pytest.mark.skipif(
    "mysql" not in settings.DATABASES["default"]["ENGINE"], reason="about MySQL and MariaDB: SQLite has nothing like it"
)
SQLITE = pytest.mark.skipif("sqlite" not in settings.DATABASES["default"]["ENGINE"], reason="about SQLite alone")

# The contract's table: every column may be NULL and there is no key of any kind.
MINIMAL = """symbol VARCHAR(20), side VARCHAR(4), order_type VARCHAR(20), time_in_force VARCHAR(5),
  original_quantity {decimal}, price {decimal}, average_price {decimal}, order_status VARCHAR(20),
  order_last_filled_quantity {decimal}, order_filled_accumulated_quantity {decimal}, order_trade_time BIGINT"""
LEGACY_INDEXES = {
    "idx_symbol_order_trade_time": "symbol, order_trade_time DESC",
    "idx_symbol_time_side": "symbol, order_trade_time, side",
    "idx_symbol": "symbol",
    "idx_order_trade_time": "order_trade_time DESC",
    "idx_symbol_time_usd": "symbol, order_trade_time, average_price, order_filled_accumulated_quantity",
}


def execute(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement; its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def insert_raw(orders: Iterable[Sequence[Any]]) -> None:
    """Insert rows just as they are: no mark, no normalising. Copies count once where the table is unique."""
    conflict = "ON CONFLICT DO NOTHING" if connection.vendor == "sqlite" else "ON DUPLICATE KEY UPDATE symbol = symbol"
    values = [[None if value is None else str(value) for value in order[:-1]] + [order[-1]] for order in orders]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {settings.DB_LIQ_TABLENAME} ({', '.join(COLUMNS)}) "
            f"VALUES ({', '.join(['%s'] * len(COLUMNS))}) {conflict}",
            values,
        )


def stored_orders(**equal: Any) -> list[ForcedOrder]:
    """All rows with these values, by time."""
    condition = " AND ".join(f"{name} = %s" for name in equal) or "1 = 1"
    rows = execute(
        f"SELECT {', '.join(COLUMNS)} FROM {settings.DB_LIQ_TABLENAME} WHERE {condition} ORDER BY order_trade_time",
        list(equal.values()),
    )
    return [ForcedOrder._make(row) for row in rows]


def empty_database() -> None:
    """For the examples of one test, between which pytest empties nothing."""
    execute(f"DELETE FROM {settings.DB_LIQ_TABLENAME}")
    for model in (LiquidationBar, StaleBarDay, BarProgress):
        execute(f"DELETE FROM {model._meta.db_table}")
    table_profile_reset()


def table_options(charset: str = "utf8mb4", collation: str = "") -> str:
    if connection.vendor == "sqlite":
        return ""
    return f" ENGINE=InnoDB DEFAULT CHARSET={charset}" + (f" COLLATE={collation}" if collation else "")


def legacy_columns(decimal: str = "DECIMAL(30,10)") -> str:
    """The collector's table as its migrations make it: the contract's columns after an id."""
    key = (
        "id INTEGER PRIMARY KEY AUTOINCREMENT"
        if connection.vendor == "sqlite"
        else "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY"
    )
    return f"{key}, {MINIMAL.format(decimal=decimal)}"


@contextmanager
def outside_table(columns: str, options: str | None = None, indexes: Iterable[str] = (), name: str = "outside_liqs"):
    """Serve a table of another program's making instead of ours, until the block ends."""
    ours = settings.DB_LIQ_TABLENAME
    execute(f"DROP TABLE IF EXISTS {name}")
    execute(f"CREATE TABLE {name} ({columns}){table_options() if options is None else options}")
    for index in indexes:
        execute(f"CREATE INDEX {index} ON {name} ({LEGACY_INDEXES[index]})")
    settings.DB_LIQ_TABLENAME = name
    table_profile_reset()
    try:
        yield name
    finally:
        settings.DB_LIQ_TABLENAME = ours
        table_profile_reset()
        execute(f"DROP TABLE {name}")
