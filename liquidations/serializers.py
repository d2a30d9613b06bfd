"""Parameters of the endpoints, read and checked in the contract's order; and what the answers look like."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.errors import BadRequest
from api.parameters import ChoiceParameter, IntegerParameter, QueryParameters, StringParameter
from api.shapes import Shape
from liquidations.domain import parse_timeframe_ms, parse_timestamp_ms

MAX_BUCKETS_FILLED = 50_000

BAD_TIMESTAMPS = (
    # "miliseconds" is how the clients know it.
    "start_timestamp and end_timestamp must be valid Unix timestamps in miliseconds or datetime strings in ISO format"
)
TIMESTAMP_HELP = "Unix milliseconds, or ISO 8601 (UTC where it has no offset): `1704067200000`, `2024-01-01T00:00:00Z`."


def symbol_parameter() -> StringParameter:
    return StringParameter(help_text="Symbol as on the exchange, in any case: `BTCUSDT`.")


def timestamp_parameter(which: str, **kwargs: Any) -> StringParameter:
    return StringParameter(help_text=f"{which} of the window, itself included. {TIMESTAMP_HELP}", **kwargs)


def numbers_parameter() -> ChoiceParameter:
    return ChoiceParameter(
        choices=["float", "string"],
        default="float",
        help_text="`string`: prices, quantities and sums as exact decimals in strings.",
    )


def timestamps_ms(values: dict[str, Any], unreadable: str) -> tuple[int, int]:
    try:
        return parse_timestamp_ms(values["start_timestamp"]), parse_timestamp_ms(values["end_timestamp"])
    except ValueError:
        raise BadRequest(unreadable) from None


def require_window(start_ms: int, end_ms: int, negative: str) -> None:
    if start_ms < 0 or end_ms < 0:
        raise BadRequest(negative)
    if start_ms > end_ms:
        raise BadRequest("start_timestamp must be before end_timestamp")


class BucketParameters(QueryParameters):
    symbol = symbol_parameter()
    timeframe = StringParameter(help_text="Length of a bucket: a count and `m`, `h` or `d`: `5m`, `1h`, `7d`.")
    start_timestamp = timestamp_parameter("Start")
    end_timestamp = timestamp_parameter("End")
    anchor = ChoiceParameter(
        choices=["start", "epoch"],
        default="start",
        help_text="Where buckets begin: at `start_timestamp`, or at multiples of the timeframe since 1970.",
    )
    numbers = numbers_parameter()
    fill = ChoiceParameter(
        choices=["none", "zero"],
        default="none",
        help_text=f"`zero`: every bucket of the window appears with both sides, {MAX_BUCKETS_FILLED:,} at the most.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start_ms, end_ms = timestamps_ms(attrs, BAD_TIMESTAMPS)
        timeframe_ms = self.timeframe_ms(attrs["timeframe"])
        require_window(start_ms, end_ms, "start_timestamp and end_timestamp must be non-negative integers")
        if attrs["fill"] == "zero" and (end_ms - start_ms) // timeframe_ms + 2 > MAX_BUCKETS_FILLED:
            raise BadRequest(f"fill=zero is limited to {MAX_BUCKETS_FILLED} buckets; use a longer timeframe")
        return attrs | {"start_ms": start_ms, "end_ms": end_ms, "timeframe_ms": timeframe_ms}

    def timeframe_ms(self, text: str) -> int:
        try:
            return parse_timeframe_ms(text)
        except ValueError:
            raise BadRequest(
                "timeframe must be a positive whole number followed by m, h or d, such as 5m, 1h or 1d"
            ) from None


class SymbolsParameters(QueryParameters):
    """None: whatever is sent is ignored."""


class OrdersParameters(QueryParameters):
    symbol = symbol_parameter()
    start_timestamp = timestamp_parameter("Start", required=False)
    end_timestamp = timestamp_parameter("End", required=False)
    limit = IntegerParameter(
        required=False, min_value=1, max_value=1000, help_text="The newest so many orders, instead of a window."
    )
    page = IntegerParameter(default=1, min_value=1, help_text="Page of the window, from 1.")
    page_size = IntegerParameter(default=100, min_value=1, max_value=1000, help_text="Orders a page.")
    numbers = numbers_parameter()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("start_timestamp", "end_timestamp") if name in attrs]
        if len(given) == 1:
            raise BadRequest("Both start_timestamp and end_timestamp must be provided together")
        if given and "limit" in attrs:
            raise BadRequest("Cannot provide both timestamp range and limit")
        if not given and "limit" not in attrs:
            raise BadRequest("Either provide both timestamps or a limit parameter")
        return attrs | order_window(attrs) if given else attrs


class StreamParameters(QueryParameters):
    symbol = symbol_parameter()
    start_timestamp = timestamp_parameter("Start")
    end_timestamp = timestamp_parameter("End")
    batch_size = IntegerParameter(default=1000, min_value=1, max_value=5000, help_text="Orders sent at a time.")
    numbers = numbers_parameter()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | order_window(attrs)


def order_window(values: dict[str, Any]) -> dict[str, int]:
    start_ms, end_ms = timestamps_ms(values, "Invalid timestamp format. Use Unix milliseconds or ISO format")
    require_window(start_ms, end_ms, "Timestamps must be non-negative")
    return {"start_ms": start_ms, "end_ms": end_ms}


@extend_schema_field({"oneOf": [{"type": "number", "format": "double"}, {"type": "string", "format": "decimal"}]})
class NumberShape(serializers.FloatField):
    """A number, or the same in a string with `numbers=string`."""


class BucketShape(Shape):
    timestamp = serializers.IntegerField(help_text="Start of the bucket, Unix milliseconds.")
    timestamp_iso = serializers.CharField(help_text="The same in ISO 8601, UTC.")
    side = serializers.ChoiceField(
        choices=["buy", "sell"], help_text="Side of the forced order: sell closed longs, buy closed shorts."
    )
    cumulated_usd_size = NumberShape(help_text="Σ average price × filled quantity, in quote asset.")


class OrderShape(Shape):
    symbol = serializers.CharField()
    side = serializers.CharField(allow_null=True, help_text="`sell` closed a long, `buy` closed a short.")
    order_type = serializers.CharField(allow_null=True)
    time_in_force = serializers.CharField(allow_null=True)
    original_quantity = NumberShape(allow_null=True, help_text="In base asset.")
    price = NumberShape(allow_null=True, help_text="Limit (bankruptcy) price.")
    average_price = NumberShape(allow_null=True, help_text="Fill price; in limit mode never null.")
    order_status = serializers.CharField(allow_null=True)
    order_last_filled_quantity = NumberShape(allow_null=True)
    order_filled_accumulated_quantity = NumberShape(allow_null=True)
    order_trade_time = serializers.IntegerField(help_text="Unix milliseconds.")


class PaginationShape(Shape):
    page = serializers.IntegerField()
    page_size = serializers.IntegerField()
    total_returned = serializers.IntegerField(help_text="Orders on this page.")
    has_more = serializers.BooleanField(help_text="Whether there is another page.")


class OrdersPageShape(Shape):
    data = OrderShape(many=True)  # type: ignore[assignment]  # a serializer has a property of this name
    pagination = PaginationShape()


class ParameterErrorShape(Shape):
    type = serializers.CharField()
    loc = serializers.ListField(child=serializers.CharField())
    msg = serializers.CharField()
    input = serializers.CharField(allow_null=True)
    ctx = serializers.DictField(required=False)


class ParameterErrorsShape(Shape):
    detail = ParameterErrorShape(many=True)
