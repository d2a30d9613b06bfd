"""Parameters of the endpoints, and what their answers look like."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from api.errors import BadRequest
from api.parameters import IntegerParameter, QueryParameters, StringParameter
from api.shapes import Shape
from marketdata.rest.times import parse_time_ms
from marketdata.timeframes import TIMEFRAMES

BAD_TIMEFRAME = f"Invalid timeframe. Valid options: {', '.join(TIMEFRAMES)}"
BAD_TIME = "{name} must be Unix milliseconds or a time in ISO format"
TIME_HELP = "Unix milliseconds, or ISO 8601 (UTC where it has no offset)."


def time_read(asked: dict[str, Any], name: str) -> int | None:
    """The parameter in Unix ms; None where it was not sent."""
    if name not in asked:
        return None
    try:
        return parse_time_ms(asked[name])
    except ValueError:
        raise BadRequest(BAD_TIME.format(name=name)) from None


class OrderBookParameters(QueryParameters):
    limit = IntegerParameter(
        default=min(100, settings.MAX_ORDERBOOK_LIMIT),
        min_value=1,
        max_value=settings.MAX_ORDERBOOK_LIMIT,
        help_text="Levels a side; the exchange has 1000 at the most.",
    )


class TradesParameters(QueryParameters):
    limit = IntegerParameter(default=100, min_value=1, max_value=1000, help_text="The newest so many trades.")
    since = StringParameter(required=False, help_text=f"None that are older. {TIME_HELP}")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | {"since_ms": time_read(attrs, "since")}


class CandlesParameters(QueryParameters):
    timeframe = StringParameter(default="1m", help_text=f"One of: {', '.join(TIMEFRAMES)}. Case matters.")
    limit = IntegerParameter(default=100, min_value=1, max_value=1000, help_text="The newest so many candles.")
    end = StringParameter(required=False, help_text=f"Only candles that open before this time. {TIME_HELP}")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["timeframe"] not in TIMEFRAMES:
            raise BadRequest(BAD_TIMEFRAME)
        return attrs | {"end_ms": time_read(attrs, "end")}


class V1ErrorShape(Shape):
    detail = serializers.CharField()
    status_code = serializers.IntegerField()


class LevelShape(Shape):
    price = serializers.FloatField()
    amount = serializers.FloatField(help_text="In base asset.")


class OrderBookShape(Shape):
    symbol = serializers.CharField()
    bids = LevelShape(many=True, help_text="Highest first.")
    asks = LevelShape(many=True, help_text="Lowest first.")
    timestamp = serializers.IntegerField(help_text="Of the book, Unix milliseconds.")


class TradeShape(Shape):
    id = serializers.CharField()
    price = serializers.FloatField()
    amount = serializers.FloatField(help_text="In base asset.")
    side = serializers.ChoiceField(choices=["buy", "sell"], help_text="Of the taker.")
    timestamp = serializers.IntegerField(help_text="Unix milliseconds.")
    price_formatted = serializers.CharField()
    amount_formatted = serializers.CharField()
    time_formatted = serializers.CharField(help_text="HH:MM:SS, UTC.")


class TradesShape(Shape):
    symbol = serializers.CharField()
    trades = TradeShape(many=True, help_text="Newest first.")
    timestamp = serializers.IntegerField(help_text="When the exchange was asked, Unix milliseconds.")


class CandleShape(Shape):
    timestamp = serializers.IntegerField(help_text="When it opens, Unix milliseconds.")
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField(help_text="In base asset.")


class UnreadableParameterShape(Shape):
    type = serializers.CharField()
    loc = serializers.ListField(child=serializers.CharField())
    msg = serializers.CharField()
    input = serializers.CharField(allow_null=True)
    ctx = serializers.DictField(required=False)


class UnreadableShape(Shape):
    detail = UnreadableParameterShape(many=True)
