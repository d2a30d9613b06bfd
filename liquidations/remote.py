"""History from another liqui_api, for symbols that our own table lacks. No Django.

The original anchors buckets at the window's start and knows neither counts nor an epoch anchor, so it is asked from the
start of a bucket on, and ``count`` is its number of rows: at most two a bucket.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from liquidations.domain import floor_ms
from liquidations.volume import VolumeSum, volume_sums

TIMEOUTS = httpx.Timeout(10, connect=2)
MAX_BODY_BYTES = 16 * 1024 * 1024
NOTHING_FOUND = 404
# Floats become decimals from their text.
decode = msgspec.json.Decoder(float_hook=Decimal).decode


class RemoteUnavailable(Exception):
    """The other service gave no usable answer; the text may be shown to a client."""


class Remote:
    """Another service's REST API; ``base_url`` ends in /api."""

    def __init__(self, base_url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url
        self.transport = transport

    def volume(
        self, symbol: str, timeframe: str, timeframe_ms: int, start_ms: int, end_ms: int
    ) -> dict[int, VolumeSum]:
        """Sums per bucket. Raises `RemoteUnavailable`."""
        window = {"start_timestamp": floor_ms(start_ms, timeframe_ms), "end_timestamp": end_ms}
        rows = self.rows("/liquidations", {"symbol": symbol, "timeframe": timeframe, **window})
        try:
            return volume_sums(
                ((int(row["timestamp"]), row["side"], Decimal(row["cumulated_usd_size"]), 1) for row in rows),
                timeframe_ms,
            )
        except (KeyError, TypeError, ValueError, ArithmeticError):
            raise RemoteUnavailable("The liquidation API sent what it does not document") from None

    def rows(self, path: str, parameters: dict[str, Any]) -> Sequence[Any]:
        try:
            with httpx.Client(timeout=TIMEOUTS, transport=self.transport) as http:
                body = self.body(http, path, parameters)
        except httpx.HTTPError:
            raise RemoteUnavailable("The liquidation API cannot be reached") from None
        try:
            rows = decode(body)
        except msgspec.MsgspecError:
            rows = None
        if not isinstance(rows, list):
            raise RemoteUnavailable("The liquidation API sent what it does not document")
        return rows

    def body(self, http: httpx.Client, path: str, parameters: dict[str, Any]) -> bytes:
        with http.stream("GET", f"{self.base_url}{path}", params=parameters) as response:
            if response.status_code == NOTHING_FOUND:
                return b"[]"
            if response.status_code != httpx.codes.OK:
                raise RemoteUnavailable(f"The liquidation API answered {response.status_code}")
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise RemoteUnavailable("The liquidation API sent too much")
            return body
