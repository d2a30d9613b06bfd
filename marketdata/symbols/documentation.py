"""What the OpenAPI schema says of the endpoints of symbols: answers, every error, examples."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from api.shapes import error
from marketdata.symbols.serializers import SymbolCacheShape, SymbolShape, SymbolsRefreshedShape

FALLBACK_HEADER = "X-Liqui-Fallback"
REFRESHED = "Symbol cache refreshed successfully"
SYMBOL_EXAMPLE = {
    "id": "BTCUSDT",
    "symbol": "BTC/USDT:USDT",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "uiName": "BTC/USDT",
    "volume24h": 12590000000.0,
    "volume24hFormatted": "12.59B",
    "pricePrecision": 1,
    "priceFormat": {"type": "price", "precision": 1, "minMove": 0.1},
    "roundingOptions": [0.1, 1.0, 10.0, 100.0, 1000.0],
    "defaultRounding": 10.0,
}
STATS_EXAMPLE = {
    "initialized": True,
    "symbol_count": 647,
    "exchange_symbol_count": 647,
    "markets_loaded": True,
    "ticker_cache_loaded": True,
    "ticker_cache_age_seconds": 12.4,
    "ticker_cache_ttl_seconds": 300,
    "origin": "table",
    "enabled_count": 555,
    "listed_at_ms": 1795262400000,
}
DATABASE_ERRORS = {503: error("The database cannot be used.", "Database service unavailable")}


def example(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True)


symbols = extend_schema(
    operation_id="market_symbols",
    summary="Symbols that can be traded",
    description=(
        "Enabled perpetuals against USDT, the most traded first; those whose volume is not known come last, by name. "
        "`symbol` is the form of exchange libraries, `id` the one of all other paths and answers."
    ),
    parameters=[
        OpenApiParameter(
            FALLBACK_HEADER,
            OpenApiTypes.STR,
            OpenApiParameter.HEADER,
            response=[200],
            description="`builtin`: the venue could not be asked, and never has been; a short list stands in.",
        )
    ],
    responses={
        200: OpenApiResponse(
            SymbolShape(many=True),
            description="Empty when nothing is known and the feed asks no venue.",
            examples=[OpenApiExample("A symbol", value=SYMBOL_EXAMPLE, response_only=True)],
        ),
        **DATABASE_ERRORS,
    },
    tags=["market data"],
)

refresh = extend_schema(
    operation_id="symbols_refresh",
    summary="Ask the venue what it lists",
    description=(
        "Now, instead of within the hour; volumes and last prices are brought up to date, too. Repeated within a "
        "second it is one call. For operators: signed in, with a key of scope `operate`, or with `X-Liqui-Token`."
    ),
    request=None,
    responses={
        200: OpenApiResponse(
            SymbolsRefreshedShape,
            description="The table of instruments is what the venue lists.",
            examples=[
                example("Success", {"status": "success", "message": REFRESHED, "cache_stats": STATS_EXAMPLE}),
            ],
        ),
        401: error("No credentials, or wrong ones.", "Authentication credentials were not provided.", "Wrong token"),
        403: error(
            "The caller is no operator, or the session's CSRF token is missing.",
            "This needs the role of operator",
            "CSRF Failed: CSRF token missing.",
        ),
        503: error(
            "The venue cannot be asked, or the database not be used; the table is as it was.",
            "Failed to refresh symbols: the exchange cannot be reached",
            "Database service unavailable",
        ),
    },
    tags=["market data"],
)

stats = extend_schema(
    operation_id="symbol_cache_stats",
    summary="What is known of symbols",
    description="How many there are, where they come from, and how old their volumes are.",
    responses={
        200: OpenApiResponse(
            SymbolCacheShape,
            description="Also while nothing is known.",
            examples=[example("Success", {"status": "success", "cache_stats": STATS_EXAMPLE})],
        ),
        **DATABASE_ERRORS,
    },
    tags=["market data"],
)
