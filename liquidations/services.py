"""Writes to the table of forced orders: every insert of ours goes through `orders_merge`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from django.db import DataError, IntegrityError, connection, transaction

from database.retrying import retry_when_busy
from liquidations.bars import stale_days_mark
from liquidations.caching import orders_changed
from liquidations.domain import canonical_symbol
from liquidations.merging import merge
from liquidations.table import Column, TableProfile, storable, table_profile
from liquidations.types import ForcedOrder, Indexed, WriteResult

LOCK_SECONDS = 60
BIGINT_MAX = 2**63 - 1


@retry_when_busy
def orders_write(orders: Sequence[ForcedOrder]) -> WriteResult:
    """`orders_merge` in a transaction of its own, tried again when it loses against another one."""
    return orders_merge(orders)


def orders_merge(orders: Sequence[ForcedOrder]) -> WriteResult:
    """Merge a batch into the table by identity, in one transaction, and mark the bars that it touches as stale.

    A known order inserts nothing; where it lacked an average price that the new sighting knows, it is filled in. What
    the table cannot hold is rejected with a reason, and the rest is written. Raises Django's database errors and
    `TableUnusable`; after one nothing of the batch is stored.
    """
    profile = table_profile()
    columns = profile.bounds
    reasons = [fault(order, columns) for order in orders]
    rejected = [(position, reason) for position, reason in enumerate(reasons) if reason]
    accepted = [(position, normalised(order)) for position, order in enumerate(orders) if not reasons[position]]
    with writers_lock(profile):
        result = write_or_halve(profile, accepted)
    return result + WriteResult(rejected=rejected)


def write_or_halve(profile: TableProfile, batch: Sequence[Indexed]) -> WriteResult:
    """Write the batch; where the server refuses a row, find it by halving, reject it and write everything else."""
    if not batch:
        return WriteResult()
    try:
        with transaction.atomic():
            result = merge(profile, [order for _, order in batch])
            if result.inserted or result.completed:
                stale_days_mark(order for _, order in batch)
                orders_changed(order for _, order in batch)
            return result
    except (DataError, IntegrityError) as error:
        if len(batch) == 1:
            return WriteResult(rejected=[(batch[0][0], str(error.args[-1]))])
    middle = len(batch) // 2
    return write_or_halve(profile, batch[:middle]) + write_or_halve(profile, batch[middle:])


def normalised(order: ForcedOrder) -> ForcedOrder:
    symbol, side = canonical_symbol(order.symbol), order.side.upper()
    # Nearly always the same already, and a million copies take a second.
    return order if symbol == order.symbol and side == order.side else order._replace(symbol=symbol, side=side)


def fault(order: ForcedOrder, columns: Sequence[Column]) -> str | None:
    """Why ``columns`` cannot hold the order without cutting or rounding something; None when they can."""
    for column, value in zip(columns, order, strict=True):
        if isinstance(value, Decimal):
            if column.precision is not None and (reason := decimal_fault(value, column)):
                return f"{column.name} {value} {reason}"
        elif isinstance(value, str):
            if column.length is not None and len(value) > column.length:
                return f"{column.name} {value!r} is longer than {column.length} characters"
            if not value.isascii() and not storable(value, column.charset):
                return f"{column.name} {value!r} cannot be spelled in {column.charset}"
        elif value is not None and abs(value) > BIGINT_MAX:
            return f"{column.name} {value} is beyond 64 bits"
    return None


def decimal_fault(value: Decimal, column: Column) -> str | None:
    precision, scale = column.precision or 0, column.scale or 0
    text = str(value)
    if len(text) <= min(scale, precision - scale) and value.is_finite() and "E" not in text:
        # So few characters fit however the point is placed; taking the digits apart costs four times as much.
        return None
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return "is not a number"
    if any(digits) and len(digits) + exponent > precision - scale:
        return f"has more digits than {column.sql_type} holds"
    # Zeros beyond the scale lose nothing.
    if -exponent > scale and any(digits[exponent + scale :]):
        return f"has more decimal places than {column.sql_type} holds"
    return None


@contextmanager
def writers_lock(profile: TableProfile) -> Iterator[None]:
    """Without a unique identity, one writer at a time on MySQL; SQLite's transactions see to that themselves."""
    if profile.has_identity or profile.dialect == "sqlite":
        yield
        return
    name = f"liqui.{profile.name}"[:64]
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", [name, LOCK_SECONDS])
        if cursor.fetchone() != (1,):
            raise TimeoutError(f"another writer has held the lock {name!r} for {LOCK_SECONDS} s")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [name])
