"""Messages of Binance's forceOrder streams, as recorders keep them: bare, or wrapped as in a combined stream.

Keys of any year are understood: those of the order that `KEYS` does not name (``ps``, ``st`` since 2026) are ignored.
"""

import re
from typing import Any

from liquidations.importing.formats.json_values import Parse, pick_fields, read_objects
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.orders import venue_orders
from liquidations.importing.outcomes import NOT_A_FORCED_ORDER, Outcome, Records, Rejected
from liquidations.importing.sources import Source

# Of "o", in the order of `ForcedOrder`'s fields. T is the trade time; the E of the message may be a second off.
KEYS = ("s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T")
EVENT_KEY = re.compile(rb'[{,]\s*"(?:e|stream)"\s*:\s*"').search


def recognises(source: Source) -> bool:
    return EVENT_KEY(source.head) is not None


def read(source: Source, options: ReadOptions) -> Records:
    return read_objects(source, message_orders(options))


def message_orders(options: ReadOptions) -> Parse:
    """Makes an order of a message."""
    order_of = venue_orders(None, options.contract_size_usd)

    def parse(message: dict[str, Any], _in_array: bool) -> Outcome:
        event = message.get("data", message)
        if type(event) is not dict or event.get("e") != "forceOrder":
            return NOT_A_FORCED_ORDER
        order = event.get("o")
        if type(order) is not dict:
            raise Rejected("fields: a forceOrder without its order")
        return order_of(pick_fields(order, KEYS))

    return parse
