"""Raw frames of a venue, kept as they came in rotating files, so that what they say can be looked at again later."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

import zstandard
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from marketdata.errors import LiquiError, VenueRateLimited
from marketdata.venues.binance import SIMULATED_HEADER, VENUE
from marketdata.venues.binance.refusals import connection_fault
from marketdata.venues.binance.routes import connections, stream_url
from marketdata.venues.binance.wire import carries_data
from streams.backoff import Backoff
from streams.raw_frames import RawFrame, raw_frame_line

HOUR_MS = 3_600_000
FLUSH_SECONDS = 1.0
REPORT_SECONDS = 10.0
OPEN_SECONDS = 10.0
SILENCE_SECONDS = 300.0  # a connection that is alive but says nothing has happened: a new one costs less than hours
MAX_FRAME_BYTES = 16 << 20


class FrameFiles:
    """Frames in files of a folder, a new one each hour and beyond ``max_bytes``; every file is complete by itself.

    What was flushed survives a crash: a file without its end is readable up to its last flush.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.file: BinaryIO | None = None
        self.hour = -1
        self.names: list[str] = []
        self.bytes_closed = 0

    @property
    def size(self) -> int:
        """Bytes in all files so far, packed."""
        return self.bytes_closed + (self.file.tell() if self.file else 0)

    def write(self, raw: RawFrame) -> None:
        """Raises OSError when there is no room."""
        hour = raw.received_ms // HOUR_MS
        if self.file is None or hour != self.hour or self.file.tell() >= self.max_bytes:
            self.close()
            self.file, self.hour = self.open(raw.received_ms), hour
            self.packer = zstandard.ZstdCompressor().compressobj()
        self.file.write(self.packer.compress(raw_frame_line(raw)))

    def flush(self) -> None:
        """Bring everything written so far to the disk."""
        if self.file:
            self.file.write(self.packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            self.file.flush()
            os.fsync(self.file.fileno())

    def close(self) -> None:
        if self.file:
            with self.file as file:
                file.write(self.packer.flush())
                self.bytes_closed += file.tell()
            self.file = None

    def open(self, received_ms: int) -> BinaryIO:
        """A file named after its first frame; a second one of the same millisecond gets a number."""
        moment = datetime.fromtimestamp(received_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            name = f"{VENUE}-{moment}Z{f'-{number}' if number > 1 else ''}.jsonl.zst"
            with suppress(FileExistsError):
                file = open(self.folder / name, "xb")  # noqa: SIM115
                self.names.append(name)
                return file
        raise AssertionError


class Recorder:
    """Follows streams of the venue and writes each frame to ``files``, until it is cancelled.

    ``say`` is given a line at every connection, every loss and every `REPORT_SECONDS`.
    """

    def __init__(self, base_url: str, streams: Sequence[str], files: FrameFiles, say: Callable[[str], object]) -> None:
        self.urls = [stream_url(base_url, route, members) for route, members in connections(streams)]
        self.files = files
        self.say = say
        self.frames = 0
        self.received_ms: int | None = None

    async def run(self) -> None:
        """Raises OSError when a file cannot be written."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(every(FLUSH_SECONDS, self.files.flush))
                tasks.create_task(every(REPORT_SECONDS, self.report))
                for url in self.urls:
                    tasks.create_task(self.follow(url))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.files.close()

    async def follow(self, url: str) -> NoReturn:
        """Receive from one address, connecting again however the connection ends."""
        host, backoff = urlsplit(url).netloc, Backoff()
        while True:
            fault, least_s = await self.connect_once(url, host, backoff), 0.0
            if isinstance(fault, VenueRateLimited):
                least_s = fault.retry_after_s
            pause_s = max(backoff.next_s(), least_s)
            self.say(f"{fault}; again in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)

    async def connect_once(self, url: str, host: str, backoff: Backoff) -> LiquiError:
        """Connect and receive to the end; what ended it."""
        try:
            # No compression: it costs more processor time than the venue's small frames are worth.
            socket = await connect(url, compression=None, open_timeout=OPEN_SECONDS, max_size=MAX_FRAME_BYTES)
        except (OSError, WebSocketException) as error:
            return connection_fault(error, host)
        async with socket:
            is_simulated = socket.response is not None and SIMULATED_HEADER in socket.response.headers
            what = ", a simulated exchange" if is_simulated else ""
            self.say(f"{VENUE}: connected to {host}{urlsplit(url).path}{what}")
            try:
                await self.receive(socket, backoff)
            except (ConnectionClosed, TimeoutError) as error:
                return connection_fault(error, host)

    async def receive(self, socket: ClientConnection, backoff: Backoff) -> NoReturn:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                frame = await socket.recv()
            self.received_ms = time.time_ns() // 1_000_000
            self.frames += 1
            text = frame if isinstance(frame, str) else frame.decode("utf-8", "backslashreplace")
            self.files.write(RawFrame(received_ms=self.received_ms, frame=text))
            if carries_data(text):
                backoff.reset()

    def report(self) -> None:
        self.say(self.summary())

    def summary(self) -> str:
        if self.received_ms is None or not self.files.names:
            return "no frame was kept"
        age_s = (time.time_ns() // 1_000_000 - self.received_ms) / 1000
        files = len(self.files.names)
        return (
            f"{self.frames:,} frames, the last {age_s:.1f} s ago; {self.files.size / 1e6:,.1f} MB in {files} "
            f"{'file' if files == 1 else 'files'}, at present {self.files.names[-1]}"
        )


async def every(seconds: float, work: Callable[[], None]) -> NoReturn:
    while True:
        await asyncio.sleep(seconds)
        work()
