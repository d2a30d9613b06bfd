"""How a batch of forced orders is merged into the table by identity, on each kind of table. Inside a transaction."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import structlog
from django.db import connection

from liquidations.domain import canonical_symbol
from liquidations.schema import COLUMNS, IDENTITY_INDEX, NULLABLE_IN_IDENTITY
from liquidations.table import TableProfile
from liquidations.types import ForcedOrder, WriteResult

logger = structlog.get_logger(__name__)

IDENTITY_FIELDS = tuple(COLUMNS.index(name) for name in IDENTITY_INDEX)
AVERAGE_PRICE = COLUMNS.index("average_price")
ROW = f"({', '.join(['%s'] * len(COLUMNS))})"
LOOKUP_ROWS = 1000

Identity = tuple[Any, ...]


def merge(profile: TableProfile, orders: Sequence[ForcedOrder]) -> WriteResult:
    """Insert what is new, fill in average prices that were missing; the counts add up to ``len(orders)``."""
    return merger(profile)(profile, orders)


def merger(profile: TableProfile) -> Callable[[TableProfile, Sequence[ForcedOrder]], WriteResult]:
    if not profile.has_identity:
        return merge_by_lookup
    return merge_sqlite if profile.dialect == "sqlite" else merge_mysql


def merge_mysql(profile: TableProfile, orders: Sequence[ForcedOrder]) -> WriteResult:
    # A single row is sent twice, because the server's message exists for several rows only.
    sent = [*orders, *orders] if len(orders) == 1 else orders
    with connection.cursor() as cursor:
        # Never INSERT IGNORE, which cuts text and clamps numbers without a word.
        cursor.execute(
            f"INSERT INTO {profile.quoted} ({', '.join(COLUMNS)}) VALUES {','.join(mysql_rows(sent))} "
            "ON DUPLICATE KEY UPDATE average_price = COALESCE(average_price, VALUES(average_price))"
        )
        # Django connects with FOUND_ROWS: a new row counts 1, a changed one 2, an unchanged one 1; the server's message
        # ("Records: 4  Duplicates: 3  Warnings: 0") counts the changed and unchanged ones.
        known = int(connection.connection.info().split("Duplicates:")[1].split()[0])
        inserted = len(sent) - known
        completed = cursor.rowcount - known - inserted
    return WriteResult(inserted, completed, len(orders) - inserted - completed)


def mysql_rows(orders: Sequence[ForcedOrder]) -> list[str]:
    """The rows as SQL literals. The driver quotes each text once; its way with parameters takes half the import."""

    @cache
    def text(value: str | None) -> str:
        return connection.connection.literal(value).decode()

    def number(value: Decimal | None) -> str:
        return "NULL" if value is None else format(value, "f")

    return [
        f"({text(symbol)},{text(side)},{text(order_type)},{text(time_in_force)},{number(quantity)},{number(price)},"
        f"{number(average_price)},{text(status)},{number(last_filled)},{number(filled)},{trade_time:d})"
        for (
            symbol,
            side,
            order_type,
            time_in_force,
            quantity,
            price,
            average_price,
            status,
            last_filled,
            filled,
            trade_time,
        ) in orders
    ]


def merge_sqlite(profile: TableProfile, orders: Sequence[ForcedOrder]) -> WriteResult:
    with connection.cursor() as cursor:
        # DO NOTHING concerns uniqueness alone; other constraints still raise.
        cursor.executemany(f"{insert(profile)} ON CONFLICT DO NOTHING", driver_values(orders))
        inserted = max(cursor.rowcount, 0)
        known = len(orders) - inserted
        completed = complete(profile, orders) if known else 0
    return WriteResult(inserted, completed, known - completed)


def merge_by_lookup(profile: TableProfile, orders: Sequence[ForcedOrder]) -> WriteResult:
    """For a table without a unique identity: look for every order first. The caller holds the writers' lock."""
    warn_that_it_is_slow(profile)
    stored = stored_identities(profile, orders)
    new: dict[Identity, ForcedOrder] = {}
    completing: dict[Identity, ForcedOrder] = {}
    for order in orders:
        key = identity(order)
        if key not in stored:
            first = new.setdefault(key, order)
            if first.average_price is None:
                new[key] = first._replace(average_price=order.average_price)
        elif stored[key].average_price is None and order.average_price is not None:
            completing.setdefault(key, stored[key]._replace(average_price=order.average_price))
    if new:
        with connection.cursor() as cursor:
            cursor.executemany(insert(profile), driver_values(list(new.values())))
    if completing:
        complete(profile, list(completing.values()))
    return WriteResult(len(new), len(completing), len(orders) - len(new) - len(completing))


def stored_identities(profile: TableProfile, orders: Sequence[ForcedOrder]) -> dict[Identity, ForcedOrder]:
    """The table's own rows at the trade times of ``orders``, by identity; of copies, one without an average price."""
    times = sorted({order.order_trade_time for order in orders})
    found: dict[Identity, ForcedOrder] = {}
    with connection.cursor() as cursor:
        for first in range(0, len(times), LOOKUP_ROWS):
            part = times[first : first + LOOKUP_ROWS]
            # By time alone: other writers may have spelled a symbol otherwise, and few orders share a millisecond.
            cursor.execute(
                f"SELECT {', '.join(COLUMNS)} FROM {profile.source('order_trade_time')} "
                f"WHERE order_trade_time IN ({', '.join(['%s'] * len(part))}) "
                "AND symbol IS NOT NULL AND side IS NOT NULL",
                part,
            )
            for row in map(ForcedOrder._make, cursor.fetchall()):
                if row.average_price is None or identity(row) not in found:
                    found[identity(row)] = row
    return found


def complete(profile: TableProfile, orders: Sequence[ForcedOrder]) -> int:
    """Fill in the average price of stored rows that lack it; how many there were."""
    condition = " AND ".join(
        f"COALESCE({name}, -1) = %s" if name in NULLABLE_IN_IDENTITY else f"{name} = %s" for name in IDENTITY_INDEX
    )
    sql = f"UPDATE {profile.quoted} SET average_price = %s WHERE {condition} AND average_price IS NULL"
    rows = driver_values([order for order in orders if order.average_price is not None])
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(
            sql, [[row[AVERAGE_PRICE], *(-1 if row[n] is None else row[n] for n in IDENTITY_FIELDS)] for row in rows]
        )
        return max(cursor.rowcount, 0)


def identity(order: ForcedOrder) -> Identity:
    quantity, price = order.original_quantity, order.price
    if connection.vendor == "sqlite":
        # Its decimals are floats, and the float nearest to a decimal is not equal to it.
        quantity, price = (None if value is None else float(value) for value in (quantity, price))
    return canonical_symbol(order.symbol), order.order_trade_time, order.side.upper(), quantity, price


def insert(profile: TableProfile) -> str:
    return f"INSERT INTO {profile.quoted} ({', '.join(COLUMNS)}) VALUES {ROW}"


def driver_values(orders: Sequence[ForcedOrder]) -> Sequence[Sequence[Any]]:
    # SQLite keeps decimals as floats, and compares a number with a text as unequal.
    if connection.vendor != "sqlite":
        return orders
    return [[float(value) if isinstance(value, Decimal) else value for value in order] for order in orders]


warned: set[str] = set()


def warn_that_it_is_slow(profile: TableProfile) -> None:
    if profile.name not in warned:
        warned.add(profile.name)
        logger.warning(
            "the table has no unique identity: every order is looked for before it is inserted, which is slow; "
            "manage.py liquidations_table --check prints the SQL that helps",
            table=profile.name,
        )
