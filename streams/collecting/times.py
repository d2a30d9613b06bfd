"""How long the collector waits for what."""

from dataclasses import dataclass, fields
from typing import Self

from marketdata.venues.binance.routes import CONNECTION_LIFE_S


@dataclass(frozen=True, slots=True)
class Times:
    """All in seconds."""

    silence_s: (
        float  # a connection that is alive but sends no data is taken for broken, or renewed where it may be quiet
    )
    open_s: float = 10.0  # for a connection to be made
    answer_s: float = 10.0  # for the venue to confirm a subscription
    ping_s: float = 5.0  # between our pings
    pong_s: float = 10.0  # without any sign of life after which a connection is taken for dead
    life_s: float = CONNECTION_LIFE_S - 1800.0  # then another connection takes over, before the venue closes this one
    overlap_s: float = 5.0  # for which both are read
    retry_s: float = 1.0  # between attempts to store while the database is away

    def hastened(self, factor: float) -> Self:
        """All of them so many times shorter."""
        return type(self)(**{field.name: getattr(self, field.name) / factor for field in fields(self)})
