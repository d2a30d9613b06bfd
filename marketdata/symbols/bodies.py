"""How terminals are shown the symbols."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from marketdata.formatting import (
    PriceFormat,
    default_rounding,
    format_volume24h,
    price_decimals,
    price_format,
    rounding_options,
)
from marketdata.symbols.service import Traded

QUOTE = "USDT"


class SymbolItem(Struct, frozen=True, rename="camel"):
    """One symbol, in the terminal's words and order; money as numbers, because its client calculates with them."""

    id: str
    symbol: str
    base_asset: str
    quote_asset: str
    ui_name: str
    volume24h: float | None
    volume24h_formatted: str
    price_precision: int | None
    price_format: PriceFormat
    rounding_options: Sequence[float]
    default_rounding: float


def symbols_json(symbols: Iterable[Traded]) -> bytes:
    """The perpetuals against USDT among ``symbols``, in their order."""
    return msgspec.json.encode([symbol_item(each) for each in symbols if is_shown(each)])


def is_shown(traded: Traded) -> bool:
    return traded.instrument.is_swap and traded.instrument.quote_asset == QUOTE


def symbol_item(traded: Traded) -> SymbolItem:
    instrument, volume = traded.instrument, traded.volume_24h
    decimals = price_decimals(instrument)
    options = rounding_options(decimals, traded.last_price)
    return SymbolItem(
        id=instrument.symbol,
        symbol=instrument.exchange_form,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        ui_name=instrument.ui_name,
        volume24h=None if volume is None else float(volume),
        volume24h_formatted=format_volume24h(volume),
        price_precision=decimals,
        price_format=price_format(instrument),
        rounding_options=[float(option) for option in options],
        default_rounding=float(default_rounding(options)),
    )
