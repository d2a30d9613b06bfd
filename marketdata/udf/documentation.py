"""What the OpenAPI schema says of UDF's endpoints."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from marketdata.udf.serializers import (
    BarsShape,
    ConfigShape,
    FoundSymbolShape,
    GroupParameters,
    HistoryParameters,
    MarksParameters,
    MarksShape,
    NoBarsShape,
    SearchParameters,
    SymbolInfoShape,
    SymbolParameters,
    SymbolTableShape,
    UDFErrorShape,
    one_of,
)
from marketdata.udf.symbols import RESOLUTIONS

WHAT = "For charts that speak TradingView's UDF; their data URL is `/api/v1/udf`."
UNKNOWN = "unknown_symbol Symbol BTCUSD not found. Did you mean: BTCUSDT?"
BAD_RESOLUTION = f"resolution must be one of: {', '.join(RESOLUTIONS)}"
TAGS = ["TradingView UDF"]


def example(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True)


def refusals(*texts: str) -> list[OpenApiExample]:
    return [example(text[:60], {"s": "error", "errmsg": text}) for text in texts]


def refusal(description: str, *texts: str) -> OpenApiResponse:
    return OpenApiResponse(UDFErrorShape, description=description, examples=refusals(*texts))


DATABASE_ERRORS: dict[int, Any] = {
    503: refusal("The database cannot be used.", "Database service unavailable"),
    504: refusal("The database ended a query that took too long.", "Query timeout after 30 seconds"),
}

config = extend_schema(
    operation_id="udf_config",
    summary="UDF: what this data feed can do",
    description=WHAT,
    responses={
        200: OpenApiResponse(
            ConfigShape,
            description="The same for everybody.",
            examples=[
                example(
                    "Configuration",
                    {
                        "supports_search": True,
                        "supports_group_request": False,
                        "supports_marks": True,
                        "supports_timescale_marks": False,
                        "supports_time": True,
                        "exchanges": [{"value": "BINANCE", "name": "BINANCE", "desc": "Binance USD-M futures"}],
                        "symbols_types": [{"name": "Crypto", "value": "crypto"}],
                        "supported_resolutions": list(RESOLUTIONS),
                    },
                )
            ],
        )
    },
    tags=TAGS,
)

SYMBOL_EXAMPLE = {
    "name": "BTCUSDT",
    "ticker": "BTCUSDT",
    "description": "BTC/USDT perpetual",
    "type": "crypto",
    "exchange": "BINANCE",
    "session": "24x7",
    "timezone": "Etc/UTC",
    "minmov": 1,
    "pricescale": 10,
    "has_intraday": True,
    "supported_resolutions": list(RESOLUTIONS),
}

symbols = extend_schema(
    operation_id="udf_symbols",
    summary="UDF: one symbol",
    description=f"{WHAT} The answer has more keys than are listed here, for older charts too.",
    parameters=[SymbolParameters],
    responses={
        200: OpenApiResponse(SymbolInfoShape, description="The symbol.", examples=[example("BTCUSDT", SYMBOL_EXAMPLE)]),
        404: refusal("There is no such symbol.", UNKNOWN),
        **DATABASE_ERRORS,
    },
    tags=TAGS,
)

symbol_info = extend_schema(
    operation_id="udf_symbol_info",
    summary="UDF: all symbols of an exchange as a table",
    description=f"{WHAT} What is the same for all symbols stands there once instead of in an array.",
    parameters=[GroupParameters],
    responses={
        200: OpenApiResponse(
            SymbolTableShape,
            description="Active symbols, an array to a column.",
            examples=[
                example(
                    "Two symbols",
                    {
                        "symbol": ["BTCUSDT", "ETHUSDT"],
                        "description": ["BTC/USDT perpetual", "ETH/USDT perpetual"],
                        "minmovement": [1, 1],
                        "pricescale": [10, 100],
                        "timezone": "Etc/UTC",
                    },
                )
            ],
        ),
        404: refusal("There is no such exchange.", "unknown_group NYSE"),
        **DATABASE_ERRORS,
    },
    tags=TAGS,
)

search = extend_schema(
    operation_id="udf_search",
    summary="UDF: symbols that contain a text",
    description=f"{WHAT} The same name comes first, then those that begin with the text.",
    parameters=[SearchParameters],
    responses={
        200: OpenApiResponse(
            one_of("UDFSearch", FoundSymbolShape(many=True), UDFErrorShape),
            description="An array, empty when there are none; or an error.",
            examples=[
                example(
                    "One symbol",
                    [
                        {
                            "symbol": "BTCUSDT",
                            "ticker": "BTCUSDT",
                            "full_name": "BINANCE:BTCUSDT",
                            "description": "BTC/USDT perpetual",
                            "exchange": "BINANCE",
                            "type": "crypto",
                        }
                    ],
                ),
                *refusals("limit must be a whole number"),
            ],
        ),
        **DATABASE_ERRORS,
    },
    tags=TAGS,
)

history = extend_schema(
    operation_id="udf_history",
    summary="UDF: bars",
    description=(
        f"{WHAT} Bars in ascending order, the running one included; of more than 5000 the newest. With `countback` "
        "the so many bars before `to`, else those between `from` and `to` (not included). When there are none, "
        "`nextTime` says when the nearest earlier one opens."
    ),
    parameters=[HistoryParameters],
    responses={
        200: OpenApiResponse(
            one_of("UDFHistory", BarsShape, NoBarsShape, UDFErrorShape),
            description="Bars, that there are none, or an error.",
            examples=[
                example(
                    "Two bars",
                    {
                        "s": "ok",
                        "t": [1795262400, 1795262460],
                        "o": [50000.1, 50001.0],
                        "h": [50012.0, 50003.5],
                        "l": [49990.5, 50000.0],
                        "c": [50001.0, 50002.5],
                        "v": [12.345, 6.5],
                    },
                ),
                example("None", {"s": "no_data", "nextTime": 1795262340}),
                *refusals(UNKNOWN, BAD_RESOLUTION, "from or countback is needed"),
            ],
        ),
        503: refusal(
            "The exchange gives no answer now, or the database cannot be used.",
            "Failed to fetch candles for BTCUSDT: the exchange cannot be reached",
            "Database service unavailable",
        ),
        504: DATABASE_ERRORS[504],
    },
    tags=TAGS,
)

marks = extend_schema(
    operation_id="udf_marks",
    summary="UDF: large liquidations as marks on bars",
    description=(
        f"{WHAT} Liquidations from `UDF_MARKS_MIN_USD` on, at the time of their bar: the ten largest of a bar, the 500 "
        "largest of all."
    ),
    parameters=[MarksParameters],
    responses={
        200: OpenApiResponse(
            one_of("UDFMarks", MarksShape, UDFErrorShape),
            description="An array to a column, in ascending time; or an error.",
            examples=[
                example(
                    "One mark",
                    {
                        "id": ["1795262412345-SELL-24.6910000000-49875.2000000000"],
                        "time": [1795262400],
                        "color": ["red"],
                        "text": ["Long liquidated: 1,234,552 USDT at 50000.1, 12:00:12 UTC"],
                        "label": ["Long"],
                        "labelFontColor": ["white"],
                        "minSize": [29],
                    },
                ),
                *refusals(UNKNOWN, BAD_RESOLUTION),
            ],
        ),
        **DATABASE_ERRORS,
    },
    tags=TAGS,
)

time = extend_schema(
    operation_id="udf_time",
    summary="UDF: the server's clock",
    description=f"{WHAT} Unix seconds as plain text.",
    responses={
        (200, "text/plain"): OpenApiResponse(
            OpenApiTypes.STR,
            description="Digits.",
            examples=[OpenApiExample("Now", value="1795262400", media_type="text/plain", response_only=True)],
        )
    },
    tags=TAGS,
)
