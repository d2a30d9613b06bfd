"""What is known of symbols, in the words of the terminal's contract."""

from typing import Any

from django.db.models import Count, Max, Q

from marketdata.clock import clock_ms
from marketdata.models import InstrumentRow
from marketdata.symbols.builtin import BUILTIN
from marketdata.symbols.service import Origin, symbols_ready

TICKERS_TTL_S = 300  # how often the task `marketdata.sync_tickers` asks for volumes


def symbols_stats() -> dict[str, Any]:
    """The contract's seven figures; then where the symbols come from, and when the venue was asked for them last."""
    origin = symbols_ready()
    table = InstrumentRow.objects.aggregate(
        symbols=Count("symbol", distinct=True),
        enabled=Count("symbol", distinct=True, filter=Q(is_active=True)),
        listed_ms=Max("last_seen_ms"),
        tickers_ms=Max("volume_at_ms"),
    )
    stand_ins = stand_in_count() if origin is Origin.BUILTIN else 0
    count = stand_ins + table["symbols"]
    tickers_ms = table["tickers_ms"]
    return {
        "initialized": count > 0,
        "symbol_count": count,
        # Each symbol has one form, and no two have the same.
        "exchange_symbol_count": count,
        "markets_loaded": origin is Origin.TABLE,
        "ticker_cache_loaded": tickers_ms is not None,
        "ticker_cache_age_seconds": None if tickers_ms is None else max(clock_ms() - tickers_ms, 0) / 1000,
        "ticker_cache_ttl_seconds": TICKERS_TTL_S,
        "origin": origin.value,
        "enabled_count": stand_ins + table["enabled"],
        "listed_at_ms": table["listed_ms"],
    }


def stand_in_count() -> int:
    """How many built-in symbols the table says nothing of."""
    return len(BUILTIN) - InstrumentRow.objects.filter(symbol__in=BUILTIN).values("symbol").distinct().count()
