"""What a socket is told first, read from one moment of the database together with the number that it reaches to."""

from decimal import Decimal
from typing import NamedTuple

from django.conf import settings

from database.reading import reading_snapshot
from liquidations.domain import DAY_MS, canonical_symbol
from liquidations.queries import newest_orders, symbols_listed
from liquidations.rendering import decimal_text
from liquidations.types import ForcedOrder
from liquidations.volume import VolumeSum
from liquidations.volume_queries import volume_read
from marketdata.suggestions import suggest
from marketdata.symbols.service import symbol_known, symbol_suggestions
from marketdata.types import Instrument
from streams.messages import OrderData, order_data
from streams.models import OutboxOrder
from streams.outbox import outbox_head, outbox_tail

SHOWN = 50
RESUME_MS = 3_600_000


class UnknownSymbol(LookupError):
    """The text may be shown to the client."""


class OrdersSnapshot(NamedTuple):
    """The newest orders of a symbol, newest first; those stored later have numbers above ``head``."""

    orders: list[OrderData]
    head: int


class VolumeSnapshot(NamedTuple):
    sums: dict[int, VolumeSum]
    head: int


class Resumption(NamedTuple):
    """Orders after number ``after`` can be sent; ``message`` says why that is not the number asked for."""

    after: int
    message: str | None


def orders_snapshot(symbol: str) -> OrdersSnapshot:
    """Raises `UnknownSymbol` for what is neither listed nor stored, `QueryTimeout` and Django's database errors."""
    instrument = symbol_known(symbol)
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        head = outbox_head()
        # Case matters to sockets; a symbol that is only stored is known by its one spelling.
        is_asked = instrument is not None or symbol == canonical_symbol(symbol)
        rows = newest_orders(reader, symbol, SHOWN) if is_asked else []
    if instrument is None and not rows:
        raise UnknownSymbol(unknown_symbol_text(symbol))
    return OrdersSnapshot([shown(symbol, ForcedOrder._make(row), instrument) for row in rows], head)


def unknown_symbol_text(symbol: str) -> str:
    suggestions = symbol_suggestions(symbol) or suggest(symbol, symbols_listed())
    return f"Invalid symbol: {symbol}" + (f". Did you mean: {', '.join(suggestions)}?" if suggestions else "")


def shown(symbol: str, order: ForcedOrder, instrument: Instrument | None) -> OrderData:
    quantity, average_price = (
        Decimal(decimal_text(value or 0)) for value in (order.order_filled_accumulated_quantity, order.average_price)
    )
    return order_data(symbol, order.side, quantity, average_price, order.order_trade_time, instrument)


def volume_snapshot(symbol: str, timeframe_ms: int, start_ms: int, now_ms: int) -> VolumeSnapshot:
    """The buckets from the one that begins at ``start_ms`` on, the running one included."""
    with reading_snapshot(settings.QUERY_TIMEOUT_SECONDS) as reader:
        head = outbox_head()
        # An exchange's clock may be ahead of ours.
        return VolumeSnapshot(volume_read(reader, symbol, timeframe_ms, start_ms, now_ms + DAY_MS), head)


def resumption(since: int, now_ms: int) -> Resumption:
    """From which number on a client that has seen ``since`` can be given everything."""
    head = outbox_head()
    if since > head:
        return Resumption(head, f"Sequence {since} has not been given yet; the newest is {head}")
    first = max(outbox_tail(), first_stored_since(now_ms - RESUME_MS) or head + 1)
    if since < first - 1:
        return Resumption(first - 1, f"Orders before sequence {first} were stored more than an hour ago")
    return Resumption(since, None)


def first_stored_since(time_ms: int) -> int | None:
    stored = OutboxOrder.objects.filter(stored_ms__gte=time_ms).order_by("stored_ms", "sequence")
    return stored.values_list("sequence", flat=True).first()
