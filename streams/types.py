"""Values that travel between the collector, the hub and the sockets; plain, immutable, without Django."""

import msgspec

# The channel-layer group that every stored order is sent to, in messages {"type": "live.orders", "orders": bytes}.
LIQUIDATIONS_GROUP = "liqui.liquidations"


class LiveOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A forced order on its way to the sockets: what they filter by, and the frame's text, encoded once."""

    sequence: int | None  # None: not stored yet (the database is away); it comes again with its number
    symbol: str  # BTCUSDT
    side: str  # BUY or SELL
    notional: float  # quantity × average price (price where there is none), quote asset: for min_usd only
    event_ms: int
    text: str  # the whole JSON frame {"type":"liquidation_order",…,"sequence":n|null,"previous":n-1|null}


live_orders_encode = msgspec.msgpack.Encoder().encode
live_orders_decode = msgspec.msgpack.Decoder(list[LiveOrder]).decode
