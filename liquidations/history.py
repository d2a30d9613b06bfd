"""A symbol's liquidation volume, wherever its history lies: our table, or the service that stands in for it."""

from django.conf import settings

from liquidations.remote import Remote
from liquidations.volume import TIMEFRAMES_MS, VolumeSum
from liquidations.volume_queries import liquidation_volume, symbol_is_stored
from marketdata.symbols.service import symbol_known


class SymbolUnknown(LookupError):
    """Neither listed nor stored."""


def volume_history(symbol: str, timeframe: str, start_ms: int, end_ms: int) -> dict[int, VolumeSum]:
    """Sums per bucket over [start_ms, end_ms].

    Raises `SymbolUnknown`, `RemoteUnavailable`, `QueryTimeout` and Django's database errors.
    """
    timeframe_ms = TIMEFRAMES_MS[timeframe]
    sums = liquidation_volume(symbol, timeframe_ms, start_ms, end_ms)
    if sums or symbol_is_stored(symbol):
        return sums
    is_listed = symbol_known(symbol) is not None
    if settings.LIQUIDATION_API_BASE_URL:
        remote = Remote(settings.LIQUIDATION_API_BASE_URL)
        sums = remote.volume(symbol, timeframe, timeframe_ms, start_ms, end_ms)
    if not sums and not is_listed:
        raise SymbolUnknown(symbol)
    return sums
