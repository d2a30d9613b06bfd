"""Recordings as events: raw frames with their receive times, and files of forced orders as forceOrder frames.

A line of frames is one of:
    1680652700423575 {…}                a receive time in s, ms, µs or ns, also with a fraction and a colon
    {"received_ms": …, "frame": "…"}    our own recorder (`streams.raw_frames`)
    {"stream": …, "data": …}  {"e": …}  frames alone: their event time stands for the receive time
All other files are read as `import_liquidations` reads them; an order is sent at its trade time, which is also its E.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from liquidations.importing.formats import ReadOptions, records_of
from liquidations.importing.outcomes import SourceUnusable
from liquidations.importing.sources import Source, SourceFile, files_find
from liquidations.types import ForcedOrder
from streams.raw_frames import raw_frame_parse
from streams.simulator.contracts import Contract, digits, step_text
from streams.simulator.kinds import KINDS, Event, ForceOrder, force_order_body, force_order_event

MAX_GAP_MS = 10 * 60_000  # longer ones, while nobody recorded, are skipped
LOOKED_AT = 100_000  # events in which the symbols are looked for
RECEIVE_TIME = re.compile(rb"([0-9]{10,19})(?:\.([0-9]*))?:?[ \t]+(?=\{)").match
MS_DIGITS = 13  # of Unix milliseconds from 2001 to 2286, so of the beginning of any finer unit
OUR_LINE = b'{"received_ms"'
# Where events of these types have a price and a quantity; those of others (mark prices) are finer than the steps.
PRICED = {"forceOrder": ("p", "q"), "aggTrade": ("p", "q"), "trade": ("p", "q"), "bookTicker": ("b", "B")}

logger = logging.getLogger(__name__)


class Message(msgspec.Struct):
    """What of a frame says where it belongs."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class Header(msgspec.Struct):
    e: str | None = None
    E: int | None = None
    s: str | None = None


parse_message = msgspec.json.Decoder(Message).decode
parse_header = msgspec.json.Decoder(Header).decode
parse_force_order = msgspec.json.Decoder(ForceOrder).decode


class Recording:
    """One or more files, played one after the other. Raises `SourceUnusable` when there is nothing to play."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.files = list(files_find(paths))
        looked_at = list(islice(self.events(), LOOKED_AT))
        if not looked_at:
            raise SourceUnusable(f"{', '.join(paths)}: neither frames nor forced orders in it")
        self.start_ms = looked_at[0].at_ms
        self.contracts = contracts_seen(looked_at)

    def events(self) -> Iterator[Event]:
        return without_gaps(event for file in self.files for event in file_events(file))


def without_gaps(events: Iterator[Event]) -> Iterator[Event]:
    """Events at the times of the recording, less its gaps; one that goes back in time follows at once."""
    latest_ms = skipped_ms = None
    for event in events:
        if latest_ms is None or skipped_ms is None:
            latest_ms, skipped_ms = event.at_ms, 0
        if event.at_ms - latest_ms > MAX_GAP_MS:
            skipped_ms += event.at_ms - latest_ms
        latest_ms = max(latest_ms, event.at_ms)
        yield event._replace(at_ms=latest_ms - skipped_ms)


def file_events(file: SourceFile) -> Iterator[Event]:
    """A file that cannot be opened raises `SourceUnusable`; what comes before a fault further on is played."""
    is_begun = False
    try:
        for source in file.sources():
            for event in frame_events(source) if has_frames(source) else order_events(source):
                is_begun = True
                yield event
    except SourceUnusable as fault:
        if not is_begun:
            raise SourceUnusable(f"{file.label}: {fault}") from None
        logger.warning("%s: %s; it ends here", file.label, fault)


def has_frames(source: Source) -> bool:
    return any(line_event(line) for line in source.head.split(b"\n")[:-1] or [source.head])


def frame_events(source: Source) -> Iterator[Event]:
    return (event for _, line in source.lines() if (event := line_event(line)))


def order_events(source: Source) -> Iterator[Event]:
    for record in records_of(source, ReadOptions()):
        if isinstance(record.outcome, ForcedOrder):
            body = force_order_body(record.outcome)
            yield force_order_event(body.T, body)


def line_event(line: bytes) -> Event | None:
    """The event of a line; None for one that holds none, such as a snapshot of an order book."""
    received_ms, frame = None, line
    try:
        if match := RECEIVE_TIME(line):
            received_ms, frame = unix_ms(match[1], match[2] or b""), line[match.end() :]
        elif line.startswith(OUR_LINE):
            raw = raw_frame_parse(line)
            received_ms, frame = raw.received_ms, raw.frame.encode()
        return frame_event(frame, received_ms)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def unix_ms(whole: bytes, fraction: bytes) -> int:
    """b"1626992741", b"06217" → 1626992741062; b"1680652700423575", b"" → 1680652700423."""
    return int((whole + fraction).ljust(MS_DIGITS, b"0")[:MS_DIGITS])


def frame_event(frame: bytes, received_ms: int | None) -> Event | None:
    """The payload stays the bytes that it was."""
    message = parse_message(frame)
    payload = message.data if message.stream else msgspec.Raw(frame)
    header = parse_header(payload)
    at_ms = header.E if received_ms is None else received_ms
    if at_ms is None or not (header.e or message.stream):
        return None
    if header.e == "forceOrder":
        order = parse_force_order(payload).o
        return Event(at_ms, KINDS["forceOrder"].streams(order.s), payload, order)
    if header.e in KINDS and header.s:
        return Event(at_ms, KINDS[header.e].streams(header.s), payload)
    return Event(at_ms, (message.stream,), payload) if message.stream else None


def contracts_seen(events: Sequence[Event]) -> list[Contract]:
    """The symbols of these events, with steps as fine as their prices and quantities are written."""
    steps: dict[str, tuple[str, str]] = {}
    for event in events:
        fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event.order or event.payload))
        if isinstance(symbol := fields.get("s"), str):
            tick, lot = steps.get(symbol, ("1", "1"))
            price, quantity = PRICED.get(fields.get("e", "forceOrder"), ("", ""))
            steps[symbol] = finer(tick, fields.get(price)), finer(lot, fields.get(quantity))
    return [Contract(symbol, price=1.0, tick=tick, lot=lot, weight=1.0) for symbol, (tick, lot) in steps.items()]


def finer(step: str, number: Any) -> str:
    """The step, or one as fine as ``number`` is written, if that is finer: ("1", "0.066") → "0.001"."""
    places = digits(number) if isinstance(number, str) else 0
    return step_text(places) if places > digits(step) else step
