"""The instruments as this process knows them: asked for with every live order, read from the table once a minute."""

import time

from marketdata.instruments import instruments_rows
from marketdata.types import Instrument

REFRESH_S = 60.0

known: dict[str, Instrument] = {}
refreshed_at = -REFRESH_S  # monotonic seconds


def instruments_refresh() -> None:
    """Read the table again when what is known is a minute old, or empty. Raises Django's database errors."""
    global known, refreshed_at
    now = time.monotonic()
    if known and now - refreshed_at < REFRESH_S:
        return
    known = {row.symbol: row.to_instrument() for row in instruments_rows()}
    refreshed_at = now


def instrument_known(symbol: str) -> Instrument | None:
    return known.get(symbol)
