"""What collectors and web processes say to each other about order books, trades and candles. No Django.

A **feed** is one kind of data of one symbol. Web processes say to the group `DEMAND_GROUP` which feeds they want, at
every change and every `REPEAT_S`; a collector publishes what it has of a feed to the feed's own group. Messages of the
channel layer are {"type": "market", "data": MessagePack}: a demand, or an array of a feed's messages. Any of them may
be lost or come twice: demand is repeated, deltas and trades have ids that tell, and a web process that misses something
asks for the whole again.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2s
from typing import NamedTuple

import msgspec

from marketdata.types import Candle, DepthDelta, DepthSnapshot, Trade

DEMAND_GROUP = "liqui.demand"
REPEAT_S = 2.0  # between two words of a web process that still wants something
FORGOTTEN_S = 6.0  # without a word after which a web process is taken for dead


class FeedKind(StrEnum):
    BOOK = "book"
    TRADES = "trades"
    CANDLES = "candles"


class Feed(NamedTuple):
    kind: FeedKind
    symbol: str

    @property
    def group(self) -> str:
        """The channel layer's group: its names are short and ASCII, and symbols need be neither."""
        return f"liqui.{self.kind}.{blake2s(self.symbol.encode(), digest_size=16).hexdigest()}"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """All that one web process wants, and of which of that it lacks the beginning (a book's or tape's snapshot)."""

    process: str
    feeds: list[Feed]
    lacks: list[Feed] = []


class FeedState(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """A feed is not live. ``reason`` says to a person why."""

    kind: FeedKind
    symbol: str
    reason: str


class NewTrades(msgspec.Struct, frozen=True, kw_only=True, tag="trades"):
    """Trades that follow those before, oldest first."""

    symbol: str
    trades: Sequence[Trade]


class Tape(msgspec.Struct, frozen=True, kw_only=True, tag="tape"):
    """The newest trades of a symbol, oldest first: what a web process begins with."""

    symbol: str
    trades: Sequence[Trade]


class LiveCandles(msgspec.Struct, frozen=True, kw_only=True, tag="candles"):
    """1m candles of a symbol that have changed, the earliest first: the running one, and what has just closed."""

    symbol: str
    candles: Sequence[Candle]
    event_ms: int


# Of a book: snapshots and deltas as they are. A snapshot published by a collector holds its whole book.
FeedMessage = DepthDelta | DepthSnapshot | FeedState | NewTrades | Tape | LiveCandles

encode = msgspec.msgpack.Encoder().encode
decode_feed = msgspec.msgpack.Decoder(list[FeedMessage]).decode
decode_demand = msgspec.msgpack.Decoder(Demand).decode
