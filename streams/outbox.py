"""Stored forced orders in the order of their numbers, for sockets: written with the orders, kept for a day."""

import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, QuerySet

from database.retrying import retry_when_busy
from liquidations.domain import canonical_symbol
from liquidations.services import orders_merge, writers_lock
from liquidations.table import table_profile
from liquidations.types import ForcedOrder
from marketdata.clock import clock_ms
from marketdata.types import Liquidation
from streams.instruments import instrument_known
from streams.messages import order_frame
from streams.models import OutboxOrder, StreamCounter
from streams.types import LiveOrder

COUNTER = 1  # the id of the one row
DAY_MS = 86_400_000
# Longer than an order may wait to be stored and still be announced: a copy of it that comes as late finds it here.
KEPT_MS = DAY_MS + 3_600_000


@retry_when_busy
def orders_store(orders: Sequence[Liquidation], reject: Callable[[int, str], object]) -> list[LiveOrder]:
    """Write orders to the table, and those that were not announced before to the outbox, in one transaction.

    Answers what is new in the outbox, by sequence. What another collector or an earlier attempt has announced within
    the day is not, nor what was received more than a day ago. ``reject`` is told the position of every order that the
    table cannot hold, and why. Raises Django's database errors, `TableUnusable` and TimeoutError; nothing is stored
    then.
    """
    # The lock of a table without unique identity ends after the transaction, or the next writer would not see it.
    with writers_lock(table_profile()), transaction.atomic():
        # Locked first, by all: numbers are committed in their order, and nobody looks for identities meanwhile.
        last = counter_lock()
        result = orders_merge([forced_order(order) for order in orders])
        rejected = dict(result.rejected)
        announced = outbox_append([order for n, order in enumerate(orders) if n not in rejected], last)
    for position, reason in result.rejected:
        reject(position, reason)
    return announced


def counter_lock() -> int:
    """The number that was given last. Nobody else gives one until the transaction ends."""
    counters = StreamCounter.objects.select_for_update().filter(pk=COUNTER)
    if (counter := counters.first()) is None:
        # Two collectors may be the first.
        StreamCounter.objects.bulk_create([StreamCounter(pk=COUNTER, last=0)], ignore_conflicts=True)
        counter = counters.get()
    return counter.last


def outbox_append(orders: Sequence[Liquidation], last: int) -> list[LiveOrder]:
    now_ms = clock_ms()
    recent = {identity(order): order for order in orders if order.received_ms > now_ms - DAY_MS}
    known = set(OutboxOrder.objects.filter(identity__in=recent).values_list("identity", flat=True))
    new = [(key, order) for key, order in recent.items() if key not in known]
    live = [live_order(order, sequence) for sequence, (_, order) in enumerate(new, last + 1)]
    OutboxOrder.objects.bulk_create(
        OutboxOrder(
            sequence=each.sequence,
            identity=key,
            symbol=each.symbol,
            side=each.side,
            notional=each.notional,
            event_ms=each.event_ms,
            stored_ms=now_ms,
            text=each.text,
        )
        for (key, _), each in zip(new, live, strict=True)
    )
    if new:
        StreamCounter.objects.filter(pk=COUNTER).update(last=last + len(new))
    return live


def outbox_since(sequence: int, limit: int) -> list[LiveOrder]:
    """At most ``limit`` orders with higher numbers than ``sequence``, the lowest first."""
    return read(OutboxOrder.objects.filter(sequence__gt=sequence).order_by("sequence")[:limit])


def outbox_head() -> int:
    """The highest number so far; 0 before the first."""
    return StreamCounter.objects.filter(pk=COUNTER).values_list("last", flat=True).first() or 0


def outbox_tail() -> int:
    """The lowest number that is still kept, or the next one to be given where nothing is."""
    lowest = OutboxOrder.objects.order_by("sequence").values_list("sequence", flat=True).first()
    return lowest or outbox_head() + 1


def outbox_prune(now_ms: int) -> int:
    """Forget what was stored more than a day ago; how many orders that were."""
    # The order of numbers is the order of commits, and the primary key finds them faster than the clock.
    newest = OutboxOrder.objects.filter(stored_ms__lt=now_ms - KEPT_MS).aggregate(newest=Max("sequence"))["newest"]
    return OutboxOrder.objects.filter(sequence__lte=newest or 0).delete()[0]


def live_order(order: Liquidation, sequence: int | None) -> LiveOrder:
    """The order as sockets send it; ``sequence`` is None while it is not stored."""
    return LiveOrder(
        sequence=sequence,
        symbol=order.symbol,
        side=order.side.value,
        notional=float(order.filled_quantity * (order.average_price or order.price)),
        event_ms=order.event_ms,
        text=order_frame(order, instrument_known(order.symbol), sequence),
    )


def forced_order(order: Liquidation) -> ForcedOrder:
    """The row of the table."""
    return ForcedOrder(
        symbol=order.symbol,
        side=order.side.value,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        original_quantity=order.original_quantity,
        price=order.price,
        average_price=order.average_price,
        order_status=order.status,
        order_last_filled_quantity=order.last_filled_quantity,
        order_filled_accumulated_quantity=order.filled_quantity,
        order_trade_time=order.event_ms,
    )


def identity(order: Liquidation) -> str:
    """A hash of what makes two sightings one order: symbol, side, time, quantity and limit price."""
    numbers = plain(order.original_quantity), plain(order.price)
    parts = canonical_symbol(order.symbol), order.side.value, str(order.event_ms), *numbers
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def plain(number: Decimal) -> str:
    """1 for 1, 1.0 and 1.00."""
    return format(number.normalize(), "f")


def read(rows: QuerySet[OutboxOrder]) -> list[LiveOrder]:
    return [LiveOrder(**row) for row in rows.values(*LiveOrder.__struct_fields__)]
