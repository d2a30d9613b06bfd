"""Parameters of UDF's requests, and what its answers look like.

The protocol has no notion of a parameter that is missing or cannot be read: it says so in its own words (`UDFError`),
so all of them are texts here that may be left out.
"""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from api.parameters import QueryParameters, StringParameter
from api.shapes import Shape
from marketdata.timeframes import DAY_MS
from marketdata.udf.symbols import RESOLUTIONS, symbol_of, timeframe_of

# The end of the year 9999 less more than any candle is long.
MAX_SECONDS = (253_402_300_799_999 - 366 * DAY_MS) // 1000
MAX_SEARCH = 100
SECONDS_HELP = "Unix seconds."


class UDFError(Exception):
    """What a chart is told in ``errmsg``."""


def symbol_parameter() -> StringParameter:
    return StringParameter(default="", help_text="`BTCUSDT` or `BINANCE:BTCUSDT`.")


def resolution_parameter() -> StringParameter:
    return StringParameter(default="", help_text=f"One of: {', '.join(RESOLUTIONS)}.")


def seconds_parameter(which: str) -> StringParameter:
    return StringParameter(required=False, help_text=f"{which} {SECONDS_HELP}")


def number(asked: dict[str, Any], name: str) -> int | None:
    """The parameter as a whole number; None where it was not sent. Raises `UDFError`."""
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        # Charts that divide milliseconds send a fraction.
        return int(text.partition(".")[0])
    except ValueError:
        raise UDFError(f"{name} must be a whole number") from None


def seconds(asked: dict[str, Any], name: str) -> int | None:
    """As `number`; times before 1970, which charts ask for when they are zoomed out, are 1970."""
    found = number(asked, name)
    return None if found is None else min(max(found, 0), MAX_SECONDS)


def timeframe_asked(asked: dict[str, Any]) -> str:
    timeframe = timeframe_of(asked["resolution"])
    if timeframe is None:
        raise UDFError(f"resolution must be one of: {', '.join(RESOLUTIONS)}")
    return timeframe


class SymbolParameters(QueryParameters):
    symbol = symbol_parameter()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | {"symbol": symbol_of(attrs["symbol"])}


class GroupParameters(QueryParameters):
    group = StringParameter(default="", help_text="An exchange: `BINANCE`, or empty for all.")


class SearchParameters(QueryParameters):
    query = StringParameter(default="", help_text="Part of a symbol or name, in any case.")
    type = StringParameter(default="", help_text="`crypto`, or empty for all.")
    exchange = StringParameter(default="", help_text="`BINANCE`, or empty for all.")
    limit = StringParameter(required=False, help_text=f"How many symbols: 30 by default, {MAX_SEARCH} at the most.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        limit = number(attrs, "limit")
        return attrs | {"limit": 30 if limit is None else min(max(limit, 0), MAX_SEARCH)}


class HistoryParameters(SymbolParameters):
    resolution = resolution_parameter()
    to = seconds_parameter("All bars open before this time; now by default.")
    countback = StringParameter(required=False, help_text="So many bars up to `to`; then `from` does not count.")

    def get_fields(self) -> dict[str, Any]:
        # "from" is no name for an attribute.
        return super().get_fields() | {"from": seconds_parameter("The first bar opens at this time or later.")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        times = {"from_s": seconds(attrs, "from"), "to_s": seconds(attrs, "to")}
        countback = max(number(attrs, "countback") or 0, 0)
        if times["from_s"] is None and not countback:
            raise UDFError("from or countback is needed")
        return super().validate(attrs) | times | {"timeframe": timeframe_asked(attrs), "countback": countback}


class MarksParameters(SymbolParameters):
    resolution = resolution_parameter()
    to = seconds_parameter("The last bar with marks, itself included; now by default.")

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {"from": seconds_parameter("The first bar with marks; 1970 by default.")}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        times = {"from_s": seconds(attrs, "from"), "to_s": seconds(attrs, "to")}
        return super().validate(attrs) | times | {"timeframe": timeframe_asked(attrs)}


class UDFErrorShape(Shape):
    s = serializers.ChoiceField(choices=["error"])
    errmsg = serializers.CharField()


class ConfigShape(Shape):
    supports_search = serializers.BooleanField()
    supports_group_request = serializers.BooleanField()
    supports_marks = serializers.BooleanField()
    supports_timescale_marks = serializers.BooleanField()
    supports_time = serializers.BooleanField()
    exchanges = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    symbols_types = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    supported_resolutions = serializers.ListField(child=serializers.CharField())


class SymbolInfoShape(Shape):
    name = serializers.CharField()
    ticker = serializers.CharField(help_text="What the chart asks for: the symbol.")
    description = serializers.CharField()
    type = serializers.CharField()
    exchange = serializers.CharField()
    session = serializers.CharField()
    timezone = serializers.CharField()
    minmov = serializers.IntegerField(help_text="minmov ÷ pricescale is the price step.")
    pricescale = serializers.IntegerField()
    has_intraday = serializers.BooleanField()
    supported_resolutions = serializers.ListField(child=serializers.CharField())


class FoundSymbolShape(Shape):
    symbol = serializers.CharField()
    ticker = serializers.CharField()
    full_name = serializers.CharField()
    description = serializers.CharField()
    exchange = serializers.CharField()
    type = serializers.CharField()


class SymbolTableShape(Shape):
    symbol = serializers.ListField(child=serializers.CharField())
    description = serializers.ListField(child=serializers.CharField())
    minmovement = serializers.ListField(child=serializers.IntegerField())
    pricescale = serializers.ListField(child=serializers.IntegerField())
    timezone = serializers.CharField()


class BarsShape(Shape):
    s = serializers.ChoiceField(choices=["ok"])
    t = serializers.ListField(child=serializers.IntegerField(), help_text="When each bar opens, Unix seconds.")
    o = serializers.ListField(child=serializers.FloatField())
    h = serializers.ListField(child=serializers.FloatField())
    l = serializers.ListField(child=serializers.FloatField())  # noqa: E741  # the protocol's name
    c = serializers.ListField(child=serializers.FloatField())
    v = serializers.ListField(child=serializers.FloatField(), help_text="In base asset.")


class NoBarsShape(Shape):
    s = serializers.ChoiceField(choices=["no_data"])
    nextTime = serializers.IntegerField(required=False, help_text="When the nearest earlier bar opens, Unix seconds.")


class MarksShape(Shape):
    id = serializers.ListField(child=serializers.CharField())
    time = serializers.ListField(child=serializers.IntegerField(), help_text="Of the bar, Unix seconds.")
    color = serializers.ListField(child=serializers.CharField())
    text = serializers.ListField(child=serializers.CharField())
    label = serializers.ListField(  # type: ignore[assignment]  # a serializer has a property of this name
        child=serializers.CharField()
    )
    labelFontColor = serializers.ListField(child=serializers.CharField())
    minSize = serializers.ListField(child=serializers.IntegerField())


def one_of(name: str, *shapes: Any) -> Any:
    """An answer of one of several shapes."""
    return PolymorphicProxySerializer(
        component_name=name, serializers=list(shapes), resource_type_field_name=None, many=False
    )
