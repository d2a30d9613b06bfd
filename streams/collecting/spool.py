"""Received orders on their way to the database, in files: what is in them survives the process, however it ends.

A folder holds numbered segments of records: length and CRC-32 of the payload (8 bytes, little endian), then the order
as MessagePack. Written straight to the operating system, so that only the machine's own crash can take them; `sync`
narrows that to about a second. Reading stops at the first record of a segment that is torn, and a new process never
adds to an old segment. Orders leave when they are stored: replaying some twice is harmless, losing one is not. What an
earlier process has written and this one does not understand is set aside, in files called ….unreadable.
"""

import os
import shutil
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

import msgspec

from marketdata.types import Liquidation

HEADER = struct.Struct("<II")
SEGMENT_BYTES = 1 << 20
MAX_RECORD_BYTES = 1 << 16
MIN_FREE_BYTES = 256 << 20  # of the disk that are never taken
NEAR = 0.8  # of what there is room for: from here on it is said loudly
MEMORY_ORDERS = 10_000  # kept where no file can be written

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Liquidation).decode


@dataclass(slots=True)
class Segment:
    """``size``: bytes of whole records; ``unread``: how many of them have not been read, from ``offset`` on."""

    path: Path
    size: int = 0
    offset: int = 0
    unread: int = 0


class Spool:
    """A queue of orders with one appender and one reader, which may be two threads.

    Orders are numbered from 1 in the order of reading, those that an earlier process left first. Raises OSError where
    the folder cannot be used at all.
    """

    def __init__(self, folder: Path, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.max_bytes, self.segment_bytes = folder, max_bytes, segment_bytes
        self.lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        paths = sorted(folder.glob("*.spool"))
        self.unreadable = sum(set_aside(path) for path in paths)
        self.segments = deque(scanned(path) for path in paths)
        self.torn_bytes = sum(each.path.stat().st_size - each.size for each in self.segments)
        self.appended = sum(each.unread for each in self.segments)
        self.committed = self.dropped = 0
        self.number = int(self.segments[-1].path.stem) if self.segments else 0
        self.memory: deque[Liquidation] = deque()
        self.file = -1
        self.current: Segment | None = None
        self.reading: list[tuple[Segment, int, int]] = []
        self.reading_memory = 0

    @property
    def pending(self) -> int:
        """Orders that are not stored yet."""
        return self.appended - self.committed

    @property
    def size(self) -> int:
        """Bytes of all files."""
        with self.lock:
            return sum(each.size for each in self.segments)

    @property
    def is_near_full(self) -> bool:
        return bool(self.memory) or self.size > NEAR * self.max_bytes or self.free_bytes() < MIN_FREE_BYTES / NEAR

    def free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self.folder).free
        except OSError:
            # The folder is gone, or its disk: there is no room, and that is said.
            return 0

    def append(self, order: Liquidation) -> int | None:
        """Keep an order; its number, or None when there is no room left anywhere and it was dropped."""
        if self.memory or not self.write(record(order)):
            # Those in memory are read last, so what follows them must not go to a file before they are gone.
            if len(self.memory) >= MEMORY_ORDERS:
                self.dropped += 1
                return None
            self.memory.append(order)
        self.appended += 1
        return self.appended

    def write(self, data: bytes) -> bool:
        """Whether the record is in a file now."""
        try:
            if self.current is None or self.current.size >= self.segment_bytes:
                self.open_next()
            segment = self.current
            if segment is None or self.size + len(data) > self.max_bytes:
                return False
            if os.write(self.file, data) != len(data):
                raise OSError("the disk is full")
        except OSError:
            # A torn record ends its segment; the next attempt begins a new one.
            self.close_current()
            return False
        with self.lock:
            segment.size += len(data)
            segment.unread += 1
        return True

    def open_next(self) -> None:
        self.close_current()
        if self.free_bytes() < MIN_FREE_BYTES:
            return
        self.number += 1
        segment = Segment(self.folder / f"{self.number:010}.spool")
        self.file = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        with self.lock:
            self.current = segment
            self.segments.append(segment)

    def close_current(self) -> None:
        if self.current is not None:
            os.close(self.file)
            self.current = None

    def read(self, limit: int) -> list[Liquidation]:
        """The oldest orders that are not committed, at most ``limit``; again the same ones until `commit`."""
        self.reading.clear()
        found: list[Liquidation] = []
        with self.lock:
            parts = [(each, each.offset, min(each.unread, limit)) for each in self.segments if each.unread]
        for segment, offset, count in parts:
            count = min(count, limit - len(found))
            if count == 0:
                break
            orders, end = read_records(segment.path, offset, count)
            found += orders
            self.reading.append((segment, end, count))
        self.reading_memory = min(limit - len(found), len(self.memory))
        return found + [self.memory[n] for n in range(self.reading_memory)]

    def commit(self) -> int:
        """What was read last is stored; the number of the last order of it."""
        with self.lock:
            for segment, end, count in self.reading:
                segment.offset, segment.unread = end, segment.unread - count
                self.committed += count
            done = [each for each in self.segments if each.unread == 0 and each is not self.current]
            for segment in done:
                self.segments.remove(segment)
        for segment in done:
            segment.path.unlink(missing_ok=True)
        for _ in range(self.reading_memory):
            self.memory.popleft()
        self.committed += self.reading_memory
        self.reading.clear()
        self.reading_memory = 0
        return self.committed

    def sync(self) -> None:
        """Bring what was appended to the disk itself."""
        if segment := self.current:
            with segment.path.open("rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Append no more. Files whose orders are all stored are removed."""
        self.close_current()
        self.reading.clear()
        self.commit()


def record(order: Liquidation) -> bytes:
    payload = encode(order)
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def set_aside(path: Path) -> int:
    """Move whole records that are no orders out of a segment, or they would be tried for ever; how many there were."""
    good, bad = bytearray(), bytearray()
    count = position = 0
    data = path.read_bytes()
    for payload, end in records(data):
        try:
            decode(payload)
        except (msgspec.MsgspecError, ValueError, ArithmeticError):
            bad += data[position:end]
            count += 1
        else:
            good += data[position:end]
        position = end
    if count:
        # In this order: a crash between the two only repeats the first.
        path.with_suffix(".unreadable").write_bytes(bad)
        rewritten = path.with_suffix(".rewritten")
        # A torn end stays, and is told of as such.
        rewritten.write_bytes(good + data[position:])
        rewritten.replace(path)
    return count


def scanned(path: Path) -> Segment:
    """A segment that an earlier process left: how many whole records it begins with."""
    data = path.read_bytes()
    segment = Segment(path)
    for _, end in records(data):
        segment.size, segment.unread = end, segment.unread + 1
    return segment


def read_records(path: Path, offset: int, count: int) -> tuple[Sequence[Liquidation], int]:
    """``count`` orders from ``offset`` on, which are there, and where the next one begins."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(SEGMENT_BYTES + MAX_RECORD_BYTES)
    found = list(islice(records(data), count))
    return [decode(payload) for payload, _ in found], offset + found[-1][1]


def records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The payloads of the whole records that ``data`` begins with, and where each of them ends."""
    position = 0
    while position + HEADER.size <= len(data):
        length, checksum = HEADER.unpack_from(data, position)
        begin = position + HEADER.size
        payload = data[begin : begin + length]
        # A file that grew before its bytes reached the disk ends in zeros, and those check themselves.
        if length == 0 or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        position = begin + length
        yield payload, position
