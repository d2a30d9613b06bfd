"""What a collector tells of itself: to the database for `/health`, and to Prometheus."""

from typing import Any

import msgspec
from prometheus_client import Counter, Gauge

from streams.collecting.breaker import State as BreakerState
from streams.models import CollectorStatus

FRAMES = Counter("liqui_collector_frames", "Frames received from the venue", ["collector"])
RECEIVED = Counter("liqui_collector_orders_received", "Forced orders received", ["collector"])
STORED = Counter("liqui_collector_orders_stored", "Forced orders stored, copies included", ["collector"])
REJECTED = Counter("liqui_collector_orders_rejected", "Forced orders that the table cannot hold", ["collector"])
DROPPED = Counter("liqui_collector_orders_dropped", "Forced orders for which the spool had no room", ["collector"])
UNDECODABLE = Counter("liqui_collector_frames_undecodable", "Frames that cannot be understood", ["collector"])
CONNECTIONS = Counter("liqui_collector_connections", "Connections made to the venue", ["collector"])
LOST = Counter("liqui_collector_connections_lost", "Connections lost, and attempts that failed", ["collector"])
FEEDS = Gauge(
    "liqui_collector_feeds", "Feeds of market data that are wanted", ["collector"], multiprocess_mode="livesum"
)
STREAMS = Gauge(
    "liqui_collector_streams", "Streams of market data that are received", ["collector"], multiprocess_mode="livesum"
)
BOOKS = Gauge("liqui_collector_books_live", "Order books that are live", ["collector"], multiprocess_mode="livesum")
MARKET_FRAMES = Counter("liqui_collector_market_frames", "Frames of market data received", ["collector"])
GAPS = Counter("liqui_collector_book_gaps", "Order books whose chain of updates was broken", ["collector"])
REBUILT = Counter("liqui_collector_books_rebuilt", "Order books made live by a snapshot", ["collector"])
TRADES = Counter("liqui_collector_trades", "Trades handed on, each once", ["collector"])
TRADE_GAPS = Counter("liqui_collector_trade_gaps", "Times that trades were missed for good", ["collector"])
LATE = Counter("liqui_collector_late_trades", "Trades too late for their minute", ["collector"])
CANDLES = Counter("liqui_collector_candles_written", "Closed candles stored", ["collector"])
CANDLES_DROPPED = Counter("liqui_collector_candles_dropped", "Closed candles left to be repaired", ["collector"])
UNSENT = Counter("liqui_collector_messages_dropped", "Messages that the channel layer did not take", ["collector"])


class MarketState(msgspec.Struct, kw_only=True):
    """What is done on demand. Counts are since the start of the process, the first five as it is now."""

    feeds: int = 0
    streams_wanted: int = 0
    streams_received: int = 0
    books: int = 0
    books_live: int = 0
    frames: int = 0
    book_gaps: int = 0
    books_rebuilt: int = 0
    trades: int = 0
    trade_gaps: int = 0
    late_trades: int = 0
    candles_written: int = 0
    candles_dropped: int = 0
    messages_dropped: int = 0


class State(msgspec.Struct, kw_only=True):
    """Counts are since the start of the process; ``spooled`` orders wait to be stored."""

    connected: bool = False
    simulated: bool = False
    breaker: BreakerState = "closed"
    fault: str | None = None
    last_message_ms: int | None = None
    reconnects: int = 0
    frames: int = 0
    received: int = 0
    stored: int = 0
    spooled: int = 0
    rejected: int = 0
    dropped: int = 0
    undecodable: int = 0
    spool_near_full: bool = False
    shard: str = "1/1"
    started_ms: int = 0
    market: MarketState = msgspec.field(default_factory=MarketState)


class Counters:
    """Moves Prometheus' counters to what a state says; once a second is often enough, and costs frames nothing."""

    def __init__(self, name: str) -> None:
        self.orders = Told(
            name,
            {
                "frames": FRAMES,
                "received": RECEIVED,
                "stored": STORED,
                "rejected": REJECTED,
                "dropped": DROPPED,
                "undecodable": UNDECODABLE,
            },
        )
        self.market = Told(
            name,
            {
                "frames": MARKET_FRAMES,
                "book_gaps": GAPS,
                "books_rebuilt": REBUILT,
                "trades": TRADES,
                "trade_gaps": TRADE_GAPS,
                "late_trades": LATE,
                "candles_written": CANDLES,
                "candles_dropped": CANDLES_DROPPED,
                "messages_dropped": UNSENT,
            },
        )
        gauges = {"feeds": FEEDS, "streams_received": STREAMS, "books_live": BOOKS}
        self.gauges = {field: gauge.labels(name) for field, gauge in gauges.items()}

    def tell(self, state: State) -> None:
        self.orders.tell(state)
        self.market.tell(state.market)
        for field, gauge in self.gauges.items():
            gauge.set(getattr(state.market, field))


class Told:
    """Counters by the field that they follow, and how far they have followed it."""

    def __init__(self, name: str, counters: dict[str, Counter]) -> None:
        self.counters = {field: counter.labels(name) for field, counter in counters.items()}
        self.told = dict.fromkeys(counters, 0)

    def tell(self, state: State | MarketState) -> None:
        for field, counter in self.counters.items():
            value = getattr(state, field)
            counter.inc(value - self.told[field])
            self.told[field] = value


def status_write(name: str, state: State, now_ms: int) -> None:
    """Raises Django's database errors."""
    values: dict[str, Any] = {"state": msgspec.to_builtins(state), "updated_ms": now_ms}
    CollectorStatus.objects.update_or_create(name=name, defaults=values)
