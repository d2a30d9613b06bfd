"""Instruments as UDF charts know them. No Django."""

from collections.abc import Sequence
from typing import Any

from marketdata.formatting import PRICE_DECIMALS, decimal_places, price_decimals
from marketdata.types import Instrument

# UDF's names of the timeframes: minutes are bare numbers.
RESOLUTIONS = {
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "480": "8h",
    "720": "12h",
    "1D": "1d",
    "3D": "3d",
    "1W": "1w",
    "1M": "1M",
}
# As older charts write them.
SYNONYMS = {"D": "1D", "W": "1W", "M": "1M"}
INTRADAY = [resolution for resolution in RESOLUTIONS if resolution.isdecimal()]
EXCHANGE = "BINANCE"
EXCHANGE_NAME = "Binance USD-M futures"
TYPE = "crypto"
SESSION, TIMEZONE = "24x7", "Etc/UTC"


def timeframe_of(resolution: str) -> str | None:
    """None: not one of ours."""
    return RESOLUTIONS.get(SYNONYMS.get(resolution, resolution))


def symbol_of(text: str) -> str:
    """BINANCE:BTCUSDT and BTCUSDT mean BTCUSDT."""
    exchange, _, symbol = text.partition(":")
    return symbol if symbol and exchange.upper() == EXCHANGE else text


def price_scale(instrument: Instrument) -> tuple[int, int]:
    """minmov and pricescale, whose quotient is the price step: 0.25 → 25, 100; 10 → 10, 1."""
    if not instrument.tick_size:
        decimals = price_decimals(instrument)
        return 1, 10 ** (PRICE_DECIMALS if decimals is None else decimals)
    scale = 10 ** decimal_places(instrument.tick_size)
    return int(instrument.tick_size * scale), scale


def description(instrument: Instrument) -> str:
    return f"{instrument.ui_name or instrument.symbol} {instrument.contract_type.replace('_', ' ').lower()}".strip()


def symbol_info(instrument: Instrument) -> dict[str, Any]:
    """What a chart has to know of one symbol."""
    minmov, pricescale = price_scale(instrument)
    return {
        "name": instrument.symbol,
        "ticker": instrument.symbol,
        "full_name": f"{EXCHANGE}:{instrument.symbol}",
        "description": description(instrument),
        "type": TYPE,
        "exchange": EXCHANGE,
        "listed_exchange": EXCHANGE,
        "session": SESSION,
        "timezone": TIMEZONE,
        "format": "price",
        "minmov": minmov,
        "minmov2": 0,
        "minmovement": minmov,
        "minmovement2": 0,
        "pricescale": pricescale,
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": True,
        "intraday_multipliers": INTRADAY,
        "daily_multipliers": ["1", "3"],
        "weekly_multipliers": ["1"],
        "monthly_multipliers": ["1"],
        "supported_resolutions": list(RESOLUTIONS),
        "volume_precision": decimal_places(instrument.lot_size) if instrument.lot_size else 0,
        "currency_code": instrument.quote_asset,
        "data_status": "streaming",
    }


def symbol_table(instruments: Sequence[Instrument]) -> dict[str, Any]:
    """All of them as one table; what is the same for all stands there once."""
    scales = [price_scale(instrument) for instrument in instruments]
    return {
        "symbol": [instrument.symbol for instrument in instruments],
        "ticker": [instrument.symbol for instrument in instruments],
        "description": [description(instrument) for instrument in instruments],
        "exchange-listed": EXCHANGE,
        "exchange-traded": EXCHANGE,
        "minmovement": [minmov for minmov, _ in scales],
        "minmovement2": 0,
        "pricescale": [scale for _, scale in scales],
        "has-intraday": True,
        "has-daily": True,
        "has-weekly-and-monthly": True,
        "intraday-multipliers": INTRADAY,
        "supported-resolutions": list(RESOLUTIONS),
        "type": TYPE,
        "timezone": TIMEZONE,
        "session-regular": SESSION,
    }


def search(instruments: Sequence[Instrument], text: str, limit: int) -> list[dict[str, str]]:
    """At most ``limit`` of them whose symbol or name contains ``text``: the same name first, then those that begin with
    it; otherwise in the order given."""
    wanted = text.strip().upper().removeprefix(f"{EXCHANGE}:")
    found = [instrument for instrument in instruments if wanted in f"{instrument.symbol} {instrument.ui_name}".upper()]
    found.sort(key=lambda instrument: rank(instrument.symbol.upper(), wanted))
    return [
        {
            "symbol": instrument.symbol,
            "ticker": instrument.symbol,
            "full_name": f"{EXCHANGE}:{instrument.symbol}",
            "description": description(instrument),
            "exchange": EXCHANGE,
            "type": TYPE,
        }
        for instrument in found[:limit]
    ]


def rank(symbol: str, wanted: str) -> int:
    return 0 if symbol == wanted else 1 if symbol.startswith(wanted) else 2
