"""Values of the market that travel beyond the venues; plain, immutable, without Django."""

from decimal import Decimal
from enum import StrEnum

import msgspec


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class Liquidation(msgspec.Struct, frozen=True, kw_only=True):
    """One forced order of a venue's liquidation engine.

    ``side`` is the forced order's: SELL closed a long, BUY closed a short. ``price`` is its limit (bankruptcy) price,
    ``average_price`` that of its fills, None while there is none; quantities are in base asset. ``event_ms`` is when it
    traded, ``sent_ms`` when the venue sent it (both the venue's clock), ``received_ms`` when we got it (our clock).
    """

    venue: str
    symbol: str
    side: Side
    order_type: str
    time_in_force: str
    status: str
    original_quantity: Decimal
    price: Decimal
    average_price: Decimal | None
    last_filled_quantity: Decimal
    filled_quantity: Decimal
    event_ms: int
    sent_ms: int
    received_ms: int


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of one taker order at one price. ``id`` grows by one from trade to trade of a symbol.

    ``first_trade_id`` and ``last_trade_id`` are the single fills in it, by which it is joined to a candle of the
    venue's; of a fill on its own both are its id. Times are ms UTC.
    """

    venue: str
    symbol: str
    id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    event_ms: int
    received_ms: int
    first_trade_id: int
    last_trade_id: int


Level = tuple[Decimal, Decimal]  # price, quantity in base asset


class DepthDelta(msgspec.Struct, frozen=True, kw_only=True, tag="depth_delta"):
    """Changed levels of an order book, each with its new quantity: 0 removes the level.

    Update ids: it holds the updates from ``first_id`` to ``final_id`` and follows the delta that ended with
    ``previous_final_id`` (Binance's U, u and pu).
    """

    venue: str
    symbol: str
    first_id: int
    final_id: int
    previous_final_id: int
    bids: list[Level]
    asks: list[Level]
    event_ms: int


class DepthSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="depth_snapshot"):
    """A whole order book, or its best levels: bids best (highest) first, asks best (lowest) first."""

    venue: str
    symbol: str
    last_update_id: int
    bids: list[Level]
    asks: list[Level]
    event_ms: int


class BookTicker(msgspec.Struct, frozen=True, kw_only=True):
    """The best levels of a book once the update ``update_id`` is in it."""

    venue: str
    symbol: str
    update_id: int
    best_bid: Level
    best_ask: Level
    event_ms: int


class CandleSource(StrEnum):
    """Where a candle's figures come from."""

    TRADES = "trades"  # built here, from every trade of its time
    VENUE = "venue"  # the venue's own kline
    IMPORT = "import"  # a file of the user's
    ROLLUP = "rollup"  # rolled up here from shorter ones


class Candle(msgspec.Struct, frozen=True, kw_only=True, tag="candle"):
    """Prices and volumes of [open_ms, open_ms + one ``timeframe``), ms UTC.

    ``volume`` and ``taker_buy_volume`` are in base asset, ``quote_volume`` and ``taker_buy_quote_volume`` in quote
    asset. What a source does not tell is None. ``is_closed``: its time is over. ``is_empty``: nothing was traded, and
    all prices are the last close.
    """

    venue: str
    symbol: str
    timeframe: str
    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None = None
    taker_buy_volume: Decimal | None = None
    taker_buy_quote_volume: Decimal | None = None
    trade_count: int | None = None  # of single fills, as the venue counts
    is_closed: bool = True
    is_empty: bool = False
    source: CandleSource = CandleSource.VENUE


class Kline(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's candle as it stands at ``event_ms``, with the ids of the first and last fill in it (-1: none)."""

    candle: Candle
    first_trade_id: int
    last_trade_id: int
    event_ms: int


class Ticker(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's last price, and what was traded in the last 24 hours, in quote asset."""

    symbol: str
    last_price: Decimal
    quote_volume: Decimal


PERPETUAL = "PERPETUAL"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as its venue lists it. ``tick_size`` is the price step, ``lot_size`` the quantity step, None where
    the venue names none; ``price_precision`` and ``quantity_precision`` are the decimal places that they need.
    ``status`` and ``contract_type`` are the venue's own words. ``is_active``: it can be traded.
    """

    venue: str
    symbol: str
    base_asset: str
    quote_asset: str
    contract_type: str
    status: str
    is_active: bool
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    price_precision: int | None = None
    quantity_precision: int | None = None

    @property
    def is_swap(self) -> bool:
        """It is never delivered. Of a row of the user's that says nothing its name tells: deliveries have an _."""
        return self.contract_type.endswith(PERPETUAL) or (not self.contract_type and "_" not in self.symbol)

    @property
    def ui_name(self) -> str:
        """BTC/USDT; the symbol where its assets are not known."""
        return f"{self.base_asset}/{self.quote_asset}" if self.base_asset else self.symbol

    @property
    def exchange_form(self) -> str:
        """BTC/USDT:USDT, and BTC/USDT:USDT-251226 for a contract that is delivered. Linear: settled in quote asset."""
        if not self.base_asset:
            return self.symbol
        _, _, delivery = self.symbol.partition("_")
        return f"{self.ui_name}:{self.quote_asset}" + (f"-{delivery}" if delivery else "")
