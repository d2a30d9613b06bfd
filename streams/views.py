"""GET /api/v1/gaps: the times in which nothing was received."""

from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import Reads
from api.errors import BadRequest
from api.parameters import IntegerParameter, QueryParameters, StringParameter
from api.shapes import Shape, error
from liquidations.documentation import UNREADABLE
from liquidations.domain import MAX_TIMESTAMP_MS, parse_timestamp_ms
from marketdata.clock import clock_ms
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS
from streams.gaps import gaps, longest

DAY_MS = 86_400_000
LONGEST_WINDOW_MS = 366 * DAY_MS
BAD_TIME = "since and until must be Unix milliseconds or ISO 8601"
BAD_ORDER = "since must be before until"
TOO_LONG = "The window may have 366 days at the most"
EXAMPLE = {
    "stream": ALL_LIQUIDATIONS,
    "since_ms": 1795252000000,
    "until_ms": 1795338400000,
    "gaps": [
        {"stream": ALL_LIQUIDATIONS, "start_ms": 1795260015120, "end_ms": 1795260037311, "seconds": 22.191},
        {"stream": ALL_LIQUIDATIONS, "start_ms": 1795338390000, "end_ms": None, "seconds": 10.0},
    ],
}


class GapsParameters(QueryParameters):
    stream = StringParameter(
        default=ALL_LIQUIDATIONS, help_text="As the venue calls it: `!forceOrder@arr` is forced orders of all symbols."
    )
    since = StringParameter(required=False, help_text="Unix milliseconds or ISO 8601; default: a day before `until`.")
    until = StringParameter(required=False, help_text="The same; default: now.")
    min_ms = IntegerParameter(default=0, min_value=0, help_text="Leave out gaps that are shorter.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until_ms = time_ms(attrs["until"]) if "until" in attrs else clock_ms()
        since_ms = time_ms(attrs["since"]) if "since" in attrs else until_ms - DAY_MS
        if since_ms >= until_ms:
            raise BadRequest(BAD_ORDER)
        if until_ms - since_ms > LONGEST_WINDOW_MS:
            raise BadRequest(TOO_LONG)
        return attrs | {"since_ms": since_ms, "until_ms": until_ms}


def time_ms(text: str) -> int:
    try:
        value = parse_timestamp_ms(text)
    except ValueError:
        raise BadRequest(BAD_TIME) from None
    if not 0 <= value <= MAX_TIMESTAMP_MS:
        raise BadRequest(BAD_TIME)
    return value


class GapShape(Shape):
    stream = serializers.CharField()
    start_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField(allow_null=True, help_text="null: it goes on.")
    seconds = serializers.FloatField(help_text="Of the gap, as far as it lies in the window.")


class GapsShape(Shape):
    stream = serializers.CharField()
    since_ms = serializers.IntegerField()
    until_ms = serializers.IntegerField()
    gaps = GapShape(many=True)


class GapsView(APIView):
    permission_classes = [Reads]
    http_method_names = ["get"]

    @extend_schema(
        operation_id="gaps",
        summary="Times in which no collector received a stream",
        description=(
            "The venue does not send again what nobody received: a total over a window is complete as far as there is "
            "no gap in it. Collectors write about once a second until when they received: so exact are the ends. The "
            "ledger goes back 400 days; before that, all is a gap."
        ),
        parameters=[GapsParameters],
        responses={
            200: OpenApiResponse(
                GapsShape,
                description="The earliest gap first.",
                examples=[OpenApiExample("An outage, and one that goes on", value=EXAMPLE, response_only=True)],
            ),
            400: error("The window is none.", BAD_TIME, BAD_ORDER, TOO_LONG),
            422: UNREADABLE,
            503: error("The database cannot be used.", "Database service unavailable"),
            504: error("The database ended a query that took too long.", "Query timeout after 30 seconds"),
        },
        tags=["operations"],
    )
    def get(self, request: Request) -> Response:
        asked = GapsParameters.read(request)
        stream, since_ms, until_ms = asked["stream"], asked["since_ms"], asked["until_ms"]
        found = longest(gaps(stream, since_ms, until_ms, clock_ms()), asked["min_ms"])
        listed = [msgspec.to_builtins(each) for each in found]
        return Response({"stream": stream, "since_ms": since_ms, "until_ms": until_ms, "gaps": listed})
