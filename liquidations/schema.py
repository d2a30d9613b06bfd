"""SQL that makes the table of forced orders, or what an existing one lacks; one text per server. No Django."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Dialect = Literal["mysql", "mariadb", "sqlite"]
DIALECTS: tuple[Dialect, ...] = ("mysql", "mariadb", "sqlite")

COLUMNS = (
    "symbol",
    "side",
    "order_type",
    "time_in_force",
    "original_quantity",
    "price",
    "average_price",
    "order_status",
    "order_last_filled_quantity",
    "order_filled_accumulated_quantity",
    "order_trade_time",
)
TYPES = {
    "symbol": "VARCHAR(20) NOT NULL",
    "side": "VARCHAR(4) NOT NULL",
    "order_type": "VARCHAR(20)",
    "time_in_force": "VARCHAR(5)",
    "order_status": "VARCHAR(20)",
    "order_trade_time": "BIGINT NOT NULL",
}
DECIMAL = "DECIMAL(30,10)"

# Answers a bucket query without touching the rows; an order's identity; what is new in the whole table.
WINDOW_INDEX = ("symbol", "order_trade_time", "side", "average_price", "order_filled_accumulated_quantity")
IDENTITY_INDEX = ("symbol", "order_trade_time", "side", "original_quantity", "price")
WINDOW_NAME, IDENTITY_NAME, TIME_NAME = "liqui_window", "liqui_identity", "liqui_time"
# NULLs are distinct in a unique key, but an order without a price is still the same order: the key holds -1 for them.
NULLABLE_IN_IDENTITY = ("original_quantity", "price")


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that a table lacks: what and why, and the SQL that adds it."""

    name: str
    why: str
    sql: str


def quote(name: str, dialect: Dialect) -> str:
    return f'"{name}"' if dialect == "sqlite" else f"`{name}`"


def create_statements(table: str, dialect: Dialect) -> list[str]:
    """The statements that make the whole table, ready to run (without semicolons)."""
    columns = [f"{quote(name, dialect)} {TYPES.get(name, DECIMAL)}" for name in COLUMNS]
    if dialect == "sqlite":
        body = ["id INTEGER PRIMARY KEY AUTOINCREMENT", *columns]
        return [
            f"CREATE TABLE {quote(table, dialect)} (\n  " + ",\n  ".join(body) + "\n)",
            window_index(table, dialect),
            time_index(table, dialect),
            identity_index(table, dialect),
        ]
    # INVISIBLE: an outside collector's `INSERT INTO t VALUES (…)` of the eleven columns keeps working.
    body = [
        "`id` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY",
        *columns,
        *identity_columns(table, dialect),
        f"KEY {WINDOW_NAME} ({', '.join(WINDOW_INDEX)})",
        f"KEY {TIME_NAME} (order_trade_time)",
        f"UNIQUE KEY {IDENTITY_NAME} ({', '.join(key_column(name) for name in IDENTITY_INDEX)})",
    ]
    options = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
    return [f"CREATE TABLE {quote(table, dialect)} (\n  " + ",\n  ".join(body) + f"\n) {options}"]


def key_column(name: str) -> str:
    return f"{name}_key" if name in NULLABLE_IN_IDENTITY else name


def identity_columns(table: str, dialect: Dialect, types: dict[str, str] | None = None) -> list[str]:
    stored = "PERSISTENT" if dialect == "mariadb" else "STORED"
    return [
        f"{key_column(name)} {(types or {}).get(name, DECIMAL)} "
        f"GENERATED ALWAYS AS (COALESCE({name}, -1)) {stored} INVISIBLE"
        for name in NULLABLE_IN_IDENTITY
    ]


def index_name(name: str, table: str, dialect: Dialect) -> str:
    """The name of our index on a table: in SQLite, where a database has each name once, with the table's."""
    return f"{name}_{table}" if dialect == "sqlite" else name


def index_on_table(name: str, table: str, dialect: Dialect) -> str:
    return f"{quote(index_name(name, table, dialect), dialect)} ON {quote(table, dialect)}"


def window_index(table: str, dialect: Dialect) -> str:
    return f"CREATE INDEX {index_on_table(WINDOW_NAME, table, dialect)} ({', '.join(WINDOW_INDEX)})"


def time_index(table: str, dialect: Dialect) -> str:
    return f"CREATE INDEX {index_on_table(TIME_NAME, table, dialect)} (order_trade_time)"


def identity_index(table: str, dialect: Dialect, types: dict[str, str] | None = None) -> str:
    """The uniqueness of an order's identity; on MySQL and MariaDB with the generated columns that it needs."""
    if dialect == "sqlite":
        parts = [f"COALESCE({name}, -1)" if name in NULLABLE_IN_IDENTITY else name for name in IDENTITY_INDEX]
        return f"CREATE UNIQUE INDEX {index_on_table(IDENTITY_NAME, table, dialect)} ({', '.join(parts)})"
    added = [f"ADD COLUMN {column}" for column in identity_columns(table, dialect, types)]
    parts = [key_column(name) for name in IDENTITY_INDEX]
    return f"ALTER TABLE {quote(table, dialect)}\n  " + ",\n  ".join(
        [*added, f"ADD UNIQUE KEY {IDENTITY_NAME} ({', '.join(parts)})"]
    )


def lacks(table: str, dialect: Dialect, indexes: dict[str, tuple[str, ...]], types: dict[str, str]) -> list[Lack]:
    """What a table with these ``indexes`` (name → columns) lacks for speed and for merging orders by identity."""
    found: list[Lack] = []
    if not any(columns[: len(WINDOW_INDEX)] == WINDOW_INDEX for columns in indexes.values()):
        why = "bucket queries read every row instead of an index alone"
        found.append(Lack(WINDOW_NAME, why, window_index(table, dialect)))
    if not any(columns[:1] == ("order_trade_time",) for columns in indexes.values()):
        why = "building bars searches each symbol for what is new"
        found.append(Lack(TIME_NAME, why, time_index(table, dialect)))
    if index_name(IDENTITY_NAME, table, dialect) not in indexes:
        why = "liqui's own writers take a lock and look for every order before they insert it, which is slow"
        found.append(Lack(IDENTITY_NAME, why, identity_index(table, dialect, types)))
    return found


def duplicates_query(table: str, dialect: Dialect) -> str:
    """Counts the rows that have to go before the uniqueness can be added."""
    return (
        f"SELECT COALESCE(SUM(copies - 1), 0) FROM (SELECT COUNT(*) AS copies FROM {quote(table, dialect)} "
        f"GROUP BY {', '.join(IDENTITY_INDEX)}) AS orders"
    )


def missing_columns(columns: Iterable[str]) -> list[str]:
    present = set(columns)
    return [name for name in COLUMNS if name not in present]
