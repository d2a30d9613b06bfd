"""Parameters of the volume endpoint, read and checked in the contract's order; and what its answer looks like."""

import time
from typing import Any

from rest_framework import serializers

from api.errors import BadRequest
from api.parameters import IntegerParameter, QueryParameters
from api.shapes import Shape
from liquidations.domain import DAY_MS, MAX_TIMESTAMP_MS
from liquidations.volume import BAD_TIMEFRAME, MAX_DAYS, TIMEFRAMES_MS


class VolumeParameters(QueryParameters):
    start_time = IntegerParameter(required=False, help_text="Unix milliseconds; 24 hours before the end by default.")
    end_time = IntegerParameter(required=False, help_text="Unix milliseconds, itself included; now by default.")


def volume_window(asked: dict[str, Any], timeframe: str) -> tuple[int, int]:
    """Start and end of the window in ms; zero counts as missing. Raises `BadRequest`."""
    if timeframe not in TIMEFRAMES_MS:
        raise BadRequest(BAD_TIMEFRAME)
    end_ms = asked.get("end_time") or time.time_ns() // 1_000_000
    start_ms = asked.get("start_time") or end_ms - DAY_MS
    if start_ms >= end_ms:
        raise BadRequest("start_time must be before end_time")
    if end_ms - start_ms > MAX_DAYS[timeframe] * DAY_MS:
        raise BadRequest(f"Time range too large. Maximum {MAX_DAYS[timeframe]} days for {timeframe} timeframe")
    if start_ms < 0 or end_ms > MAX_TIMESTAMP_MS:
        raise BadRequest("start_time and end_time must be Unix milliseconds from 1970 to 9999")
    return start_ms, end_ms


class VolumeBucketShape(Shape):
    time = serializers.IntegerField(help_text="Start of the bucket, Unix seconds.")
    buy_volume = serializers.CharField(help_text="Closed shorts, in quote asset.")
    sell_volume = serializers.CharField(help_text="Closed longs, in quote asset.")
    total_volume = serializers.CharField()
    delta_volume = serializers.CharField(help_text="buy_volume less sell_volume.")
    buy_volume_formatted = serializers.CharField()
    sell_volume_formatted = serializers.CharField()
    total_volume_formatted = serializers.CharField()
    delta_volume_formatted = serializers.CharField(help_text="Without the sign.")
    count = serializers.IntegerField(help_text="Forced orders.")
    timestamp_ms = serializers.IntegerField(help_text="time × 1000.")


class VolumeShape(Shape):
    symbol = serializers.CharField()
    timeframe = serializers.CharField()
    data = VolumeBucketShape(many=True)  # type: ignore[assignment]  # a serializer has a property of this name
    start_time = serializers.IntegerField()
    end_time = serializers.IntegerField()
