"""Values that travel between the layers of the app; plain, immutable, without Django."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple


class ForcedOrder(NamedTuple):
    """One row of the table ``binance_liqs``: a forced order, fields in the order of its columns.

    ``side`` is the side of the forced order: SELL closed a long, BUY closed a short. ``price`` is the order's limit
    (bankruptcy) price, ``average_price`` the fill; quantities are in base asset; ``order_trade_time`` is ms UTC.
    """

    symbol: str
    side: str
    order_type: str | None
    time_in_force: str | None
    original_quantity: Decimal | None
    price: Decimal | None
    average_price: Decimal | None
    order_status: str | None
    order_last_filled_quantity: Decimal | None
    order_filled_accumulated_quantity: Decimal | None
    order_trade_time: int


Anchor = Literal["start", "epoch"]  # where buckets begin: at the window's start, or at multiples of the timeframe
Row = tuple[Any, ...]  # values in the order of the table's columns, as the driver gives them


# (start in ms, side in lower case, notional in quote asset) of one bucket; a plain tuple, because one answer may have
# tens of thousands.
Bucket = tuple[int, str, Decimal | float]


@dataclass(frozen=True, slots=True)
class OrdersPage:
    """Rows of one page, and whether there is another one."""

    rows: Sequence[Row]
    has_more: bool


Indexed = tuple[int, ForcedOrder]  # an order with its position in the caller's batch


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch. ``rejected`` pairs the position in the batch with the reason."""

    inserted: int = 0
    completed: int = 0  # known orders whose average price was missing and has now been filled in
    duplicates: int = 0
    rejected: Sequence[tuple[int, str]] = field(default=())

    def __add__(self, other: "WriteResult") -> "WriteResult":
        return WriteResult(
            self.inserted + other.inserted,
            self.completed + other.completed,
            self.duplicates + other.duplicates,
            sorted([*self.rejected, *other.rejected]),
        )
