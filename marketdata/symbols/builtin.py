"""Some well-known perpetuals, for as long as the venue cannot be asked and has never been. No Django."""

from decimal import Decimal

from marketdata.formatting import decimal_places
from marketdata.types import PERPETUAL, Instrument
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.listing import TRADING

QUOTE = "USDT"
# Base asset: price step, quantity step. As recorded in November 2025.
STEPS = {
    "BTC": ("0.1", "0.001"),
    "ETH": ("0.01", "0.001"),
    "BNB": ("0.01", "0.01"),
    "SOL": ("0.01", "1"),
    "XRP": ("0.0001", "0.1"),
    "DOGE": ("0.00001", "1"),
    "ADA": ("0.0001", "1"),
    "AVAX": ("0.001", "1"),
    "LINK": ("0.001", "0.01"),
    "DOT": ("0.001", "0.1"),
    "LTC": ("0.01", "0.001"),
    "BCH": ("0.01", "0.001"),
    "TRX": ("0.00001", "1"),
    "UNI": ("0.001", "1"),
    "ATOM": ("0.001", "0.01"),
    "ETC": ("0.001", "0.01"),
    "NEAR": ("0.001", "1"),
    "FIL": ("0.001", "0.1"),
    "APT": ("0.0001", "0.1"),
    "ARB": ("0.0001", "0.1"),
    "OP": ("0.0001", "0.1"),
    "SUI": ("0.0001", "0.1"),
    "INJ": ("0.001", "0.1"),
    "AAVE": ("0.01", "0.1"),
    "XLM": ("0.00001", "1"),
    "HBAR": ("0.00001", "1"),
    "1000PEPE": ("0.0000001", "1"),
    "1000SHIB": ("0.000001", "1"),
}


def perpetual(base_asset: str, steps: tuple[str, str]) -> Instrument:
    tick_size, lot_size = Decimal(steps[0]), Decimal(steps[1])
    return Instrument(
        venue=VENUE,
        symbol=base_asset + QUOTE,
        base_asset=base_asset,
        quote_asset=QUOTE,
        contract_type=PERPETUAL,
        status=TRADING,
        is_active=True,
        tick_size=tick_size,
        lot_size=lot_size,
        price_precision=decimal_places(tick_size),
        quantity_precision=decimal_places(lot_size),
    )


BUILTIN = {base_asset + QUOTE: perpetual(base_asset, steps) for base_asset, steps in STEPS.items()}
