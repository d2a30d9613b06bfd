"""The 12-column CSV without a header that small recorder scripts write of `!forceOrder@arr`.

Columns: symbol (the quote asset cut off), side, order type, time in force, quantity, price, average price, status,
last filled quantity, filled quantity, trade time (ms), and a size in USD, which is unused: some are in millions.
"""

from liquidations.importing.formats.csv_rows import cells_of, head_rows, read_rows
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.orders import venue_orders
from liquidations.importing.outcomes import Records, Rejected
from liquidations.importing.sources import Source
from liquidations.types import ForcedOrder

COLUMNS = 12


def recognises(source: Source) -> bool:
    return any(
        len(cells) == COLUMNS and cells[1].strip().upper() in ("BUY", "SELL") and cells[10].strip().isdigit()
        for cells in head_rows(source.head)
    )


def read(source: Source, options: ReadOptions) -> Records:
    order_of = venue_orders(options.quote, options.contract_size_usd)

    def parse(line: bytes) -> ForcedOrder:
        cells = cells_of(line)
        if len(cells) != COLUMNS:
            raise Rejected("layout: not 12 columns")
        del cells[-1]
        return order_of(cells)

    return read_rows(source.lines(), parse)
