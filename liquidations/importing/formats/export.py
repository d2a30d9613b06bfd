"""Our own exports: lines of the stream endpoint, the array of limit mode, the envelope of range mode."""

import re
from collections.abc import Callable
from typing import Any

from liquidations.importing.formats.json_values import pick_fields, read_objects
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.orders import stored_orders
from liquidations.importing.outcomes import NOT_A_FORCED_ORDER, Outcome, Records, SourceUnusable
from liquidations.importing.sources import Source
from liquidations.types import ForcedOrder

KEYS = ForcedOrder._fields
OWN_KEY = re.compile(rb'[{,]\s*"(?:order_trade_time|pagination|error)"\s*:').search


def recognises(source: Source) -> bool:
    return OWN_KEY(source.head) is not None or source.head.strip() == b"[]"


def row_orders() -> Callable[[dict[str, Any], bool], Outcome]:
    """Makes an order of a row of an answer; ``in_array`` says that the answer was limit mode's."""
    order_of = stored_orders()

    def parse(row: dict[str, Any], in_array: bool) -> Outcome:
        if row.keys().isdisjoint(KEYS):
            return NOT_A_FORCED_ORDER
        order = order_of(pick_fields(row, KEYS))
        # Limit mode answers the price where the average is missing. Taken for an average it could never be corrected,
        # while a missing one is filled in by the next sighting.
        is_stand_in = in_array and order.average_price == order.price
        return order._replace(average_price=None) if is_stand_in else order

    return parse


def read(source: Source, options: ReadOptions) -> Records:
    """Records of an export. Raises `SourceUnusable` after the last one when the export says that it was cut."""
    error: list[str] = []
    parse_row = row_orders()

    def parse(row: dict[str, Any], in_array: bool) -> Outcome:
        if "error" in row:
            error.append(str(row["error"]))
            return NOT_A_FORCED_ORDER
        return parse_row(row, in_array)

    yield from read_objects(source, parse)
    if error:
        raise SourceUnusable(f"the export was cut off: {error[0][:200]}")
