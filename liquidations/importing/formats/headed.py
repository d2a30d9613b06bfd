"""CSV with a header: of recorders, of our own table, and of Binance's archive, where the file name says the symbol."""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter

from liquidations.importing.formats.csv_rows import cells_of, head_rows, read_rows
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.orders import Fields, OrderMaker, stored_orders, venue_orders
from liquidations.importing.outcomes import HEADER, Outcome, Records, Rejected, SourceUnusable
from liquidations.importing.sources import Source
from liquidations.importing.values import is_coin_margined, venue_symbol

# The names of each field of `ForcedOrder`, in its order, without blanks, underscores, case and what stands in brackets.
# Where a file has several of one field, the earlier name wins. The event time is none of them on purpose: it may be
# more than a second off, and an order taken by it would not be known again in another file.
FIELD_NAMES = (
    ("symbol", "instrument", "pair"),
    ("side",),
    ("ordertype", "type"),
    ("timeinforce",),
    ("originalquantity", "origqty", "quantity", "qty"),
    ("price", "orderprice"),
    ("averageprice", "avgprice"),
    ("orderstatus", "status"),
    ("orderlastfilledquantity", "lastfilledquantity", "lastfillquantity"),
    ("orderfilledaccumulatedquantity", "accumulatedfillquantity", "accumulatedfilledquantity", "filledquantity"),
    ("ordertradetime", "tradetime", "time"),
)
SIDE, QUANTITY, TIME = 1, 4, 10
BRACKETS = re.compile(r"\(.*?\)|[^a-z0-9]")
OWN_TIME_COLUMN = "ordertradetime"
ARCHIVE_NAME = re.compile(r"(\w+)-liquidationSnapshot").match
ARCHIVE_HEADER = (
    "time", "side", "order_type", "time_in_force", "original_quantity", "price", "average_price", "order_status",
    "last_fill_quantity", "accumulated_fill_quantity",
)  # fmt: skip


class Layout:
    """Where the fields of `ForcedOrder` stand in rows under one header."""

    def __init__(self, header: Sequence[str]) -> None:
        names = [plain_name(cell) for cell in header]
        self.width = len(names)
        self.places = [place_of(wanted, names) for wanted in FIELD_NAMES]
        self.is_header = len(names) > 1 and all(self.places[field] is not None for field in (SIDE, QUANTITY, TIME))
        self.has_symbol = self.places[0] is not None
        self.is_own_table = OWN_TIME_COLUMN in names

    def picker(self) -> Callable[[Fields], Fields]:
        """Takes the fields out of a row that was lengthened by the file's symbol and a None, for what it lacks."""
        absent = [self.width, *[self.width + 1] * (len(self.places) - 1)]
        return itemgetter(*(absent[field] if place is None else place for field, place in enumerate(self.places)))


def plain_name(cell: str) -> str:
    return BRACKETS.sub("", cell.lower())


def place_of(wanted: Sequence[str], names: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def recognises(source: Source) -> bool:
    return any(Layout(cells).is_header for cells in head_rows(source.head))


def recognises_archive(source: Source) -> bool:
    layout = next((layout for layout in map(Layout, head_rows(source.head)) if layout.is_header), None)
    if layout is not None:
        return not layout.has_symbol
    return archive_symbol(source) is not None and any(
        len(cells) == len(ARCHIVE_HEADER) and cells[0].isdigit() for cells in head_rows(source.head)
    )


def archive_symbol(source: Source) -> str | None:
    """The symbol that a file, or the zip around it, is named after: BTCUSDT-liquidationSnapshot-2023-06-01.csv."""
    return next((match[1].upper() for name in source.names if (match := ARCHIVE_NAME(name))), None)


def read(source: Source, options: ReadOptions) -> Records:
    return read_rows(source.lines(), RowParser(options).parse)


def read_archive(source: Source, options: ReadOptions) -> Records:
    """Rows of one symbol. In Binance's files every row stands twice, which the writer merges."""
    symbol = symbol_of_file(source, options)
    if is_coin_margined(symbol) and options.contract_size_usd is None:
        raise SourceUnusable(
            f"{symbol} is a COIN-M contract, whose quantities are contracts: give the size of one in USD with "
            "--contract-size (100 for BTCUSD, 10 for the others)"
        )
    return read_rows(source.lines(), RowParser(options, symbol, ARCHIVE_HEADER).parse)


def symbol_of_file(source: Source, options: ReadOptions) -> str:
    named, told = archive_symbol(source), options.symbol
    if named and told and named != told.upper():
        raise SourceUnusable(f"its name says {named}, --symbol says {told}")
    if not (named or told):
        raise SourceUnusable("neither its rows nor its name say the symbol: give --symbol")
    try:
        return venue_symbol(named or told)
    except Rejected as rejected:
        raise SourceUnusable(rejected.reason) from None


class RowParser:
    """Reads rows by the last header seen: concatenated files have several, and not always the same."""

    def __init__(self, options: ReadOptions, symbol: str | None = None, header: Sequence[str] = ()) -> None:
        self.symbol = symbol
        self.venue_orders = venue_orders(None, options.contract_size_usd)
        self.stored_orders = stored_orders()
        self.width = 0
        if header:
            self.lay_out(Layout(header))

    def lay_out(self, layout: Layout) -> None:
        self.width = layout.width
        self.pick = layout.picker()
        # Our own table holds base asset and knows what it means by an average of 0; a venue's file does not.
        self.order_of: OrderMaker = self.stored_orders if layout.is_own_table else self.venue_orders

    def parse(self, line: bytes) -> Outcome:
        cells = cells_of(line)
        try:
            if len(cells) != self.width:
                raise Rejected("layout: not the columns of the header" if self.width else "layout: no header before it")
            return self.order_of(self.pick((*cells, self.symbol, None)))
        except Rejected:
            if self.is_header(cells):
                return HEADER
            raise

    def is_header(self, cells: Sequence[str]) -> bool:
        layout = Layout(cells)
        if layout.is_header:
            self.lay_out(layout)
        return layout.is_header
