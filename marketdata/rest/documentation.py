"""What the OpenAPI schema says of each endpoint: parameters, answers, every error, examples."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from marketdata.rest.serializers import (
    BAD_TIME,
    BAD_TIMEFRAME,
    CandleShape,
    CandlesParameters,
    OrderBookParameters,
    OrderBookShape,
    TradesParameters,
    TradesShape,
    UnreadableShape,
    V1ErrorShape,
)

SYMBOL = OpenApiParameter(
    "symbol", str, OpenApiParameter.PATH, description="As the exchange writes it, case included: `BTCUSDT`."
)
LIMIT_ERROR = {
    "detail": [
        {
            "type": "less_than_equal",
            "loc": ["query", "limit"],
            "msg": "Input should be less than or equal to 1000",
            "input": "5000",
            "ctx": {"le": 1000},
        }
    ]
}
FRESHNESS = "Asked of the exchange at most once a second, however many clients ask; `Age` says how old the answer is."


def example(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True)


def refusal(status: int, description: str, *details: str) -> OpenApiResponse:
    """An error answer of /api/v1, with the texts that its detail may have."""
    examples = [example(detail[:60], {"detail": detail, "status_code": status}) for detail in details]
    return OpenApiResponse(V1ErrorShape, description=description, examples=examples)


UNREADABLE = OpenApiResponse(
    UnreadableShape,
    description="A parameter is unreadable or out of bounds.",
    examples=[example("Too much", LIMIT_ERROR)],
)
UNKNOWN = refusal(
    404,
    "There is no such symbol.",
    "Symbol BTCUSD not found. Did you mean: BTCUSDT?",
)
UNKNOWN_OR_INACTIVE = refusal(
    404,
    "There is no such symbol, or it is not traded.",
    "Symbol BTCUSD not found. Did you mean: BTCUSDT?",
    "Symbol LUNAUSDT is not traded",
)
DATABASE_TEXT = "Database service unavailable"
TOO_LONG = refusal(504, "The database ended a query that took too long.", "Query timeout after 30 seconds")


def unavailable(what: str) -> OpenApiResponse:
    return refusal(
        503,
        "The exchange gives no answer now, or the database cannot be used. `Retry-After` says when to try again.",
        f"Failed to fetch {what} for BTCUSDT: the exchange cannot be reached",
        DATABASE_TEXT,
    )


orderbook = extend_schema(
    operation_id="orderbook",
    summary="The order book of a symbol, level by level",
    description=(
        "Bids highest first, asks lowest first, not aggregated. (The socket's asks come the other way round.) "
        f"{FRESHNESS}"
    ),
    parameters=[SYMBOL, OrderBookParameters],
    responses={
        200: OpenApiResponse(
            OrderBookShape,
            description="The best levels of both sides.",
            examples=[
                example(
                    "Two levels",
                    {
                        "symbol": "BTCUSDT",
                        "bids": [{"price": 50000.1, "amount": 1.25}, {"price": 50000.0, "amount": 0.5}],
                        "asks": [{"price": 50000.2, "amount": 0.75}, {"price": 50000.4, "amount": 2.0}],
                        "timestamp": 1795262400123,
                    },
                )
            ],
        ),
        404: UNKNOWN_OR_INACTIVE,
        422: UNREADABLE,
        503: unavailable("order book"),
        504: TOO_LONG,
    },
    tags=["market data"],
)

trades = extend_schema(
    operation_id="trades",
    summary="The newest trades of a symbol",
    description=(
        "Newest first, each once: the fills of one taker order at one price are one trade, as on the socket. `since` "
        "leaves out what is older; it never reaches back beyond the newest `limit`. Prints that are no market "
        "trades (of the insurance fund, say) do not appear. Asked of the exchange at most every two seconds."
    ),
    parameters=[SYMBOL, TradesParameters],
    responses={
        200: OpenApiResponse(
            TradesShape,
            description="`trades` is empty when there were none.",
            examples=[
                example(
                    "One trade",
                    {
                        "symbol": "BTCUSDT",
                        "trades": [
                            {
                                "id": "2087654321",
                                "price": 50000.1,
                                "amount": 0.125,
                                "side": "buy",
                                "timestamp": 1795262400123,
                                "price_formatted": "50000.1",
                                "amount_formatted": "0.125",
                                "time_formatted": "12:00:00",
                            }
                        ],
                        "timestamp": 1795262400456,
                    },
                )
            ],
        ),
        400: refusal(400, "The time cannot be read.", BAD_TIME.format(name="since")),
        404: UNKNOWN_OR_INACTIVE,
        422: UNREADABLE,
        503: unavailable("trades"),
        504: TOO_LONG,
    },
    tags=["market data"],
)

candles = extend_schema(
    operation_id="candles",
    summary="The newest candles of a symbol",
    description=(
        "In ascending order, the running one last. With `end`, the newest of those that open before it: the first "
        "`timestamp` of one answer as `end` of the next request pages back through all of them."
    ),
    parameters=[SYMBOL, CandlesParameters],
    responses={
        200: OpenApiResponse(
            CandleShape(many=True),
            description="Empty when there are none.",
            examples=[
                example(
                    "One candle",
                    {
                        "timestamp": 1795262400000,
                        "open": 50000.1,
                        "high": 50012.0,
                        "low": 49990.5,
                        "close": 50001.0,
                        "volume": 12.345,
                    },
                )
            ],
        ),
        400: refusal(400, "There is no such timeframe or time.", BAD_TIMEFRAME, BAD_TIME.format(name="end")),
        404: UNKNOWN,
        422: UNREADABLE,
        503: unavailable("candles"),
        504: TOO_LONG,
    },
    tags=["market data"],
)
