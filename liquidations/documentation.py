"""What the OpenAPI schema says of each endpoint: parameters, answers, every error, examples."""

import json

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers

from api.shapes import error
from liquidations.serializers import (
    BAD_TIMESTAMPS,
    MAX_BUCKETS_FILLED,
    BucketParameters,
    BucketShape,
    OrderShape,
    OrdersPageShape,
    OrdersParameters,
    ParameterErrorsShape,
    StreamParameters,
)

ORDER_EXAMPLE = {
    "symbol": "BTCUSDT",
    "side": "sell",
    "order_type": "LIMIT",
    "time_in_force": "IOC",
    "original_quantity": 0.013,
    "price": 94434.91,
    "average_price": 94809.6,
    "order_status": "FILLED",
    "order_last_filled_quantity": 0.013,
    "order_filled_accumulated_quantity": 0.013,
    "order_trade_time": 1733330785584,
}
WINDOW_ERRORS = (
    "Invalid timestamp format. Use Unix milliseconds or ISO format",
    "Timestamps must be non-negative",
    "start_timestamp must be before end_timestamp",
)
MISSING_SYMBOL = OpenApiExample(
    "A parameter is missing",
    value={"detail": [{"type": "missing", "loc": ["query", "symbol"], "msg": "Field required", "input": None}]},
    response_only=True,
)


UNREADABLE = OpenApiResponse(
    ParameterErrorsShape, description="Parameters missing, unreadable or out of bounds.", examples=[MISSING_SYMBOL]
)
DATABASE_ERRORS = {
    503: error("The database cannot be used.", "Database service unavailable"),
    504: error("The database ended a query that took too long.", "Query timeout after 30 seconds"),
}

buckets = extend_schema(
    operation_id="liquidations",
    summary="Liquidated volume per bucket and side",
    description=(
        "Σ average price × filled quantity of the forced orders of one symbol, per bucket and side. The window is "
        "inclusive at both ends; buckets begin at its start (or with `anchor=epoch` at multiples of the timeframe) and "
        "those without orders are left out. Sorted by time, then side. Orders without an average price are in no sum."
    ),
    parameters=[BucketParameters],
    responses={
        200: OpenApiResponse(
            BucketShape(many=True),
            description="Buckets; never empty.",
            examples=[
                OpenApiExample(
                    "One hour",
                    value={
                        "timestamp": 1733330700000,
                        "timestamp_iso": "2024-12-04T16:45:00+00:00",
                        "side": "sell",
                        "cumulated_usd_size": 1232.5248,
                    },
                )
            ],
        ),
        400: error(
            "The parameters make no sense together.",
            BAD_TIMESTAMPS,
            "start_timestamp and end_timestamp must be non-negative integers",
            "start_timestamp must be before end_timestamp",
            "timeframe must be a positive whole number followed by m, h or d, such as 5m, 1h or 1d",
            f"fill=zero is limited to {MAX_BUCKETS_FILLED} buckets; use a longer timeframe",
        ),
        404: error("Nothing was liquidated in the window.", "No data found for the given parameters"),
        422: UNREADABLE,
        **DATABASE_ERRORS,
    },
    tags=["liquidations"],
)

symbols = extend_schema(
    operation_id="symbols",
    summary="Symbols in the table",
    description="Sorted, each once, without those that end in a digit (dated futures such as `BTCUSDT_240927`).",
    responses={
        200: OpenApiResponse(
            serializers.ListSerializer(child=serializers.CharField()),
            description="Empty when the table is.",
            examples=[OpenApiExample("Two symbols", value=["BTCUSDT", "ETHUSDT"])],
        ),
        **DATABASE_ERRORS,
    },
    tags=["liquidations"],
)

orders = extend_schema(
    operation_id="liquidation_orders",
    summary="Forced orders, newest first",
    description=(
        "Either `limit`: an array of the newest orders, in which the order price stands in for a missing average "
        "price; or both timestamps: one page of a window, in an envelope. Orders of one millisecond keep a fixed "
        "order, so walking the pages meets every order once."
    ),
    parameters=[OrdersParameters],
    responses={
        200: OpenApiResponse(
            PolymorphicProxySerializer(
                component_name="Orders",
                serializers=[OrderShape(many=True), OrdersPageShape],
                resource_type_field_name=None,
                many=False,
            ),
            description="An array with `limit`, an envelope with a window.",
            examples=[
                OpenApiExample("limit", value=[ORDER_EXAMPLE]),
                OpenApiExample(
                    "window",
                    value={
                        "data": [ORDER_EXAMPLE],
                        "pagination": {"page": 1, "page_size": 100, "total_returned": 1, "has_more": False},
                    },
                ),
            ],
        ),
        400: error(
            "The parameters make no sense together.",
            "Either provide both timestamps or a limit parameter",
            "Cannot provide both timestamp range and limit",
            "Both start_timestamp and end_timestamp must be provided together",
            *WINDOW_ERRORS,
        ),
        404: error("No such orders, or no such page.", "No liquidation orders found for the given criteria"),
        422: UNREADABLE,
        **DATABASE_ERRORS,
    },
    tags=["liquidations"],
)

stream = extend_schema(
    operation_id="liquidation_orders_stream",
    summary="All forced orders of a window as lines of JSON",
    description=(
        "Newest first, one object a line, of any length in constant memory; empty when there are none. All lines are "
        'of one moment. If the database fails on the way, the last line is `{"error": …}`.'
    ),
    parameters=[StreamParameters],
    responses={
        (200, "application/x-ndjson"): OpenApiResponse(
            OpenApiTypes.STR,
            description="Lines of JSON.",
            examples=[
                OpenApiExample(
                    "One order",
                    value=f"{json.dumps(ORDER_EXAMPLE)}\n",
                    media_type="application/x-ndjson",
                    response_only=True,
                )
            ],
        ),
        (400, "application/json"): error("The parameters make no sense together.", *WINDOW_ERRORS),
        (422, "application/json"): UNREADABLE,
        (503, "application/json"): error(
            "The database cannot be used, or too many streams are open (with `Retry-After`).",
            "Database service unavailable",
            "Too many streams are open",
        ),
        (504, "application/json"): DATABASE_ERRORS[504],
    },
    tags=["liquidations"],
)
