"""What terminals' sockets got, held against what the exchange sent: how old it was when it was read, and what is wrong.

Times are Unix ms of our clock; those of the exchange's messages are brought to it when they are read.
"""

import json
import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from benchmarks.live import order_key
from benchmarks.orderbook import SortedBook, delta_of
from marketdata.timeframes import MINUTE_MS
from marketdata.types import DepthDelta, DepthSnapshot

UNKNOWN = math.nan
RAW = b'{"e":'  # how the exchange's messages begin

Array = np.ndarray[Any, Any]


class SocketNotes(msgspec.Struct):
    """Of one socket: when it was opened (Unix s); of each frame that came the time (doubles, s), and its number."""

    asked_s: float
    times: bytes
    numbers: bytes

    def came(self) -> tuple[Array, Array]:
        """Times (ms) and numbers."""
        return np.frombuffer(self.times) * 1000, np.frombuffer(self.numbers, dtype="L")


class Notes(msgspec.Struct):
    """Of all sockets of a process. ``frames`` are different ones, in the order in which they came first."""

    frames: list[bytes]
    sockets: list[SocketNotes]


class Window(NamedTuple):
    """What is measured: what is read in it. What the exchange sent in it must come, sooner or later."""

    start_ms: float
    end_ms: float


class Seen(NamedTuple):
    """A frame, understood. ``kind`` is its type, and what an error says.

    ``event_ms``: when the newest of what it shows happened at the exchange; ``made_ms``: when it was made, as it says.
    Not a number: it cannot be told, or an earlier frame showed the same.
    """

    kind: str
    event_ms: float = UNKNOWN
    made_ms: float = UNKNOWN
    what: Any = None


class Truth(Protocol):
    """What the exchange sent of one symbol, to be shown by one kind of socket."""

    def look(self, message: Any) -> Seen:
        """At each different frame, in the order in which they came."""
        ...

    def faults(self, seen: Sequence[Seen], window: Window) -> int:
        """How much is wrong with what one socket was shown, all in all."""
        ...


class AggTrade(NamedTuple):
    """``last_id`` is of the single trades in it."""

    id: int
    event_ms: float
    exchange_ms: int
    quantity: Decimal
    last_id: int


class TradesTruth:
    """Every trade is in some list. Faults are those that are missing, and those that are twice in a list."""

    def __init__(self, trades: Sequence[AggTrade]) -> None:
        self.ids = [trade.id for trade in trades]
        self.times = [trade.event_ms for trade in trades]

    def look(self, message: Any) -> Seen:
        ids = [int(trade["id"]) for trade in message["trades"]]
        place = bisect_left(self.ids, ids[0]) if ids else len(self.ids)
        is_known = place < len(self.ids) and self.ids[place] == ids[0]
        return Seen(message["type"], self.times[place] if is_known else UNKNOWN, message["timestamp"], ids)

    def faults(self, seen: Sequence[Seen], window: Window) -> int:
        due = bisect_right(self.times, window.end_ms)
        lists: list[list[int]] = [each.what for each in seen if each.what]
        if not lists:
            return due
        wrong, reached = 0, lists[0][0]
        for ids in lists[1:]:
            happened = bisect_right(self.ids, ids[0]) - bisect_right(self.ids, reached)
            shown = set(ids)
            wrong += len(ids) - len(shown) + max(happened - sum(id > reached for id in shown), 0)
            reached = max(reached, ids[0])
        return wrong + max(due - bisect_right(self.ids, reached), 0)


class CandlesTruth:
    """The running minute after each trade. Faults are minutes that were left as they were before their last trade."""

    def __init__(self, trades: Sequence[AggTrade], begun: Mapping[int, tuple[Decimal, int]], offset_ms: float) -> None:
        """``begun``: volume and last single trade of a minute whose first trades are not known, by its opening."""
        self.offset_ms = offset_ms
        self.states: dict[tuple[int, float], float] = {}
        self.last: dict[int, float] = {}  # volume of each minute
        self.looked_at: set[tuple[int, float]] = set()
        volumes: dict[int, Decimal] = {}
        for trade in trades:
            open_ms = trade.exchange_ms // MINUTE_MS * MINUTE_MS
            volume, last_id = begun.get(open_ms, (Decimal(0), -1))
            if trade.last_id > last_id:
                volumes[open_ms] = volumes.get(open_ms, volume) + trade.quantity
                self.last[open_ms] = float(volumes[open_ms])
                self.states.setdefault((open_ms, self.last[open_ms]), trade.event_ms)

    def look(self, message: Any) -> Seen:
        if message["type"] != "candle_update":
            return Seen(message["type"])
        state = message["timestamp"], message["volume"]
        event_ms = UNKNOWN if state in self.looked_at else self.states.get(state, UNKNOWN)
        self.looked_at.add(state)
        return Seen(message["type"], event_ms, message["stream_timestamp"] + self.offset_ms, state)

    def faults(self, seen: Sequence[Seen], window: Window) -> int:
        shown: dict[int, float] = dict(each.what for each in seen if each.what)
        return sum(
            shown.get(open_ms) != volume for open_ms, volume in self.last.items() if self.is_due(open_ms, window)
        )

    def is_due(self, open_ms: int, window: Window) -> bool:
        """Whether the minute began and ended while the sockets were there."""
        opened_ms = open_ms + self.offset_ms
        return window.start_ms <= opened_ms and opened_ms + MINUTE_MS <= window.end_ms


class OrdersTruth:
    """Every forced order is sent on once. Faults are those that are missing, and those that are sent again."""

    def __init__(self, sent_ms: Mapping[tuple[str, int], float]) -> None:
        self.sent_ms = sent_ms

    def look(self, message: Any) -> Seen:
        key = order_key(message)
        return Seen(message["type"], UNKNOWN if key is None else self.sent_ms.get(key, UNKNOWN), UNKNOWN, key)

    def faults(self, seen: Sequence[Seen], window: Window) -> int:
        times = Counter(each.what for each in seen if each.what)
        due = [key for key, sent_ms in self.sent_ms.items() if window.start_ms <= sent_ms <= window.end_ms]
        return sum(abs(times[key] - 1) for key in due)


class BookTruth:
    """The exchange's book after each of its updates, as it is shown by each of ``roundings``.

    Faults are frames that show what the exchange's book never was, and a last frame that is not the last book.
    """

    def __init__(
        self, snapshot: DepthSnapshot, deltas: Iterable[tuple[float, DepthDelta]], roundings: Iterable[Decimal]
    ) -> None:
        """``deltas`` with their times."""
        self.roundings = {float(rounding): rounding for rounding in roundings}
        # By a hash of the levels, which would take hundreds of megabytes: when the book was so.
        self.states: dict[tuple[float, int], list[float]] = defaultdict(list)
        self.times: list[float] = []
        book = SortedBook()
        book.load(snapshot)
        for event_ms, delta in deltas:
            if delta.final_id > snapshot.last_update_id:
                book.apply(delta)
                self.times.append(event_ms)
                for name, rounding in self.roundings.items():
                    bids, asks = book.view(rounding)
                    self.states[name, hash((tuple(bids), tuple(asks)))].append(event_ms)

    def look(self, message: Any) -> Seen:
        bids, asks = ([tuple(level.values())[:3] for level in message[side]] for side in ("bids", "asks"))
        times = self.states.get((message["rounding"], hash((tuple(bids), tuple(reversed(asks))))), [])
        # An update that changes nothing of what is shown leaves a frame true: the last one before it was made counts.
        place = bisect_right(times, message["timestamp"])
        event_ms = times[place - 1] if place else UNKNOWN
        return Seen(message["type"], event_ms, message["timestamp"], event_ms)

    def faults(self, seen: Sequence[Seen], window: Window) -> int:
        frames = [each for each in seen if each.what is not None and each.made_ms >= window.start_ms]
        due = bisect_right(self.times, window.end_ms)
        newest_ms = max((each.event_ms for each in frames if not math.isnan(each.event_ms)), default=-math.inf)
        is_behind = due > 0 and newest_ms < self.times[due - 1]
        return sum(math.isnan(each.event_ms) for each in frames) + is_behind


SHOWN_BY = {
    "orderbook_update": "orderbook",
    "trades_update": "trades",
    "historical_candles": "candles",
    "candle_update": "candles",
    "liquidation_order": "liquidations",
}

Truths = Mapping[tuple[str, str], Truth]  # by kind of socket, and symbol


class Exchange(NamedTuple):
    """What the exchange said: messages of its streams, snapshots, and when it sent which forced order."""

    messages: Sequence[Any]
    snapshots: Mapping[str, DepthSnapshot]
    sent_ms: Mapping[tuple[str, int], float]
    offset_ms: float  # our clock's, before its own

    def of(self, kind: str) -> Mapping[str, list[Any]]:
        """Messages by symbol."""
        found: dict[str, list[Any]] = defaultdict(list)
        for message in self.messages:
            if message["e"] == kind:
                found[message["s"]].append(message)
        return found

    def trades(self, symbol: str) -> list[AggTrade]:
        told = {each["a"]: each for each in self.of("aggTrade")[symbol]}
        return [
            AggTrade(id, told[id]["T"] + self.offset_ms, told[id]["T"], Decimal(told[id]["q"]), told[id]["l"])
            for id in sorted(told)
        ]

    def begun(self, symbol: str) -> dict[int, tuple[Decimal, int]]:
        """The minute that was running when the messages began."""
        klines = [each["k"] for each in self.of("kline")[symbol]]
        return {klines[0]["t"]: (Decimal(klines[0]["v"]), klines[0]["L"])} if klines else {}

    def deltas(self, symbol: str) -> list[tuple[float, DepthDelta]]:
        updates = self.of("depthUpdate")[symbol]
        return [(each["E"] + self.offset_ms, delta_of(msgspec.json.encode(each))) for each in updates]

    def truths(self, roundings: Mapping[str, Sequence[Decimal]]) -> dict[tuple[str, str], Truth]:
        """``roundings`` by symbol."""
        made: dict[tuple[str, str], Truth] = {}
        for symbol, shown in roundings.items():
            trades = self.trades(symbol)
            orders = {key: sent_ms for key, sent_ms in self.sent_ms.items() if key[0] == symbol}
            made["orderbook", symbol] = BookTruth(self.snapshots[symbol], self.deltas(symbol), shown)
            made["trades", symbol] = TradesTruth(trades)
            made["candles", symbol] = CandlesTruth(trades, self.begun(symbol), self.offset_ms)
            made["liquidations", symbol] = OrdersTruth(orders)
        return made

    def look(self, message: Any) -> Seen:
        """At a message of its own streams."""
        key = order_key(message)
        event_ms = message["E"] + self.offset_ms if key is None else self.sent_ms.get(key, UNKNOWN)
        return Seen(message["e"], event_ms)


def messages_raw(frames: Iterable[bytes]) -> list[Any]:
    """Those of the exchange."""
    return [json.loads(frame) for frame in frames if frame.startswith(RAW)]


def frames_seen(frames: Sequence[bytes], exchange: Exchange, truths: Truths) -> list[Seen]:
    return [frame_seen(json.loads(frame), exchange, truths) for frame in frames]


def frame_seen(message: Any, exchange: Exchange, truths: Truths) -> Seen:
    if "e" in message:
        return exchange.look(message)
    truth = truths.get((SHOWN_BY.get(message["type"], ""), message.get("symbol", "")))
    if truth is not None:
        return truth.look(message)
    return Seen(f"error: {message['message']}" if message["type"] == "error" else message["type"])


class Figures:
    """Of one kind of frames: what was delivered in the window."""

    def __init__(self) -> None:
        self.frames = self.bytes = self.faults = 0
        self.ages: list[Array] = []
        self.made_ages: list[Array] = []

    def quantile(self, share: float) -> float:
        return quantile(self.ages, share)

    def made_quantile(self, share: float) -> float:
        return quantile(self.made_ages, share)


def quantile(parts: Sequence[Array], share: float) -> float:
    """Not a number where there is nothing."""
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[~np.isnan(values)]
    return float(np.quantile(values, share)) if len(values) else UNKNOWN


def figures(notes: Notes, seen: Sequence[Seen], sockets: Sequence[SocketNotes], window: Window) -> dict[str, Figures]:
    """By kind of frame."""
    kinds = sorted({each.kind for each in seen})
    kind = np.array([kinds.index(each.kind) for each in seen], dtype=int)
    size = np.array([len(frame) for frame in notes.frames], dtype=int)
    event_ms, made_ms = (np.array([getattr(each, name) for each in seen]) for name in ("event_ms", "made_ms"))
    found: dict[str, Figures] = defaultdict(Figures)
    for socket in sockets:
        times, numbers = socket.came()
        is_in = (times >= window.start_ms) & (times < window.end_ms)
        times, numbers = times[is_in], numbers[is_in]
        for code in np.unique(kind[numbers]):
            is_one = kind[numbers] == code
            figure, some = found[kinds[code]], numbers[is_one]
            figure.frames += len(some)
            figure.bytes += int(size[some].sum())
            figure.ages.append(times[is_one] - event_ms[some])
            figure.made_ages.append(times[is_one] - made_ms[some])
    return found


def faults(
    seen: Sequence[Seen], sockets: Sequence[tuple[tuple[str, str], SocketNotes]], truths: Truths, window: Window
) -> Counter[str]:
    """By kind of socket; ``sockets`` come with their kind and symbol."""
    found: Counter[str] = Counter()
    for (kind, symbol), socket in sockets:
        _, numbers = socket.came()
        found[kind] += truths[kind, symbol].faults([seen[number] for number in numbers], window)
    return found
