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
    """Fills of one taker order at one price. ``id`` grows by one from trade to trade of a symbol."""

    venue: str
    symbol: str
    id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    event_ms: int
    received_ms: int


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as its venue lists it. ``tick_size`` is the price step, ``lot_size`` the quantity step, None where
    the venue names none; ``status`` and ``contract_type`` are the venue's own words. ``is_active``: it can be traded.
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

    @property
    def ui_name(self) -> str:
        """BTC/USDT"""
        return f"{self.base_asset}/{self.quote_asset}"

    @property
    def exchange_form(self) -> str:
        """BTC/USDT:USDT, and BTC/USDT:USDT-251226 for a contract that is delivered. Linear: settled in quote asset."""
        _, _, delivery = self.symbol.partition("_")
        return f"{self.ui_name}:{self.quote_asset}" + (f"-{delivery}" if delivery else "")
