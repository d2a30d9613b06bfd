"""Binance's limits, as numbers and as state machines without clock or socket.

Source: Binance's documentation of USD-M futures, "General Info" and "WebSocket Market Streams".
"""

import math
from collections import deque
from dataclasses import dataclass, field, replace

MINUTE_S = 60
MIN_BAN_S, MAX_BAN_S = 2 * 60, 3 * 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do, and when the exchange pings and closes; times are seconds of real time."""

    messages_per_second: int = 10  # of a connection: pings, pongs and JSON
    streams: int = 1024  # of a connection
    ping_s: float = 180.0
    pong_s: float = 600.0  # without a pong for so long, the connection is closed
    life_s: float = 86_400.0
    weight_per_minute: int = 2400  # of an address
    refusals_before_ban: int = 20

    def hastened(self, factor: float) -> "Limits":
        """Pings, the wait for pongs and the end of a connection come ``factor`` times sooner."""
        return replace(
            self, ping_s=self.ping_s / factor, pong_s=self.pong_s / factor, life_s=self.life_s / factor
        )  # fmt: skip


class MessageRate:
    """Counts a client's messages within any one second."""

    def __init__(self, per_second: int) -> None:
        self.moments: deque[float] = deque(maxlen=per_second + 1)

    def exceeded(self, now_s: float) -> bool:
        """Count a message; whether it is one too many."""
        self.moments.append(now_s)
        return len(self.moments) == self.moments.maxlen and now_s - self.moments[0] < 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is answered (200), and if not, with what status and for how long."""

    status: int
    used_weight: int
    retry_after_s: int = 0


@dataclass
class Address:
    """What one client address has used up."""

    minute: int = -1
    weight: int = 0
    refusals: int = 0
    banned_until_s: float = 0.0
    ban_s: int = MIN_BAN_S


@dataclass
class RequestWeights:
    """Used weight per address and minute: 429 beyond the limit, 418 for those who go on, each time for longer."""

    per_minute: int
    refusals_before_ban: int
    addresses: dict[str, Address] = field(default_factory=dict)

    def take(self, client: str, weight: int, now_s: float) -> Verdict:
        """Count a request at ``now_s`` (Unix time)."""
        address = self.addresses.setdefault(client, Address())
        if now_s < address.banned_until_s:
            return Verdict(418, address.weight, math.ceil(address.banned_until_s - now_s))
        minute = int(now_s // MINUTE_S)
        if minute != address.minute:
            address.minute, address.weight, address.refusals = minute, 0, 0
        address.weight += weight
        if address.weight <= self.per_minute:
            return Verdict(200, address.weight)
        address.refusals += 1
        if address.refusals > self.refusals_before_ban:
            return self.ban(address, now_s)
        return Verdict(429, address.weight, math.ceil((minute + 1) * MINUTE_S - now_s))

    def ban(self, address: Address, now_s: float) -> Verdict:
        ban_s = address.ban_s
        address.banned_until_s = now_s + ban_s
        address.ban_s = min(ban_s * 2, MAX_BAN_S)
        return Verdict(418, address.weight, ban_s)
