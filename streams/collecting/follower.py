"""Keeps a connection that receives some streams, whatever happens to the ones before it."""

import asyncio
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import structlog
from websockets.exceptions import WebSocketException

from marketdata.clock import clock_ms
from marketdata.errors import FeedMismatch, LiquiError, VenueRateLimited
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.refusals import connection_fault
from streams.backoff import Backoff
from streams.collecting.breaker import Breaker
from streams.collecting.coverage import Coverage
from streams.collecting.session import OnFrame, Session
from streams.collecting.times import Times

logger = structlog.get_logger(__name__)

TOLD = 3  # streams that a line of the log names


# Why nothing of a simulated (True), or of a real, exchange at a host may be taken; None when it may.
Refuse = Callable[[str, bool], FeedMismatch | None]


class Follower:
    """Follows ``streams``, all of one route, at the address of that route until it is cancelled.

    With ``coverage`` it keeps the ledger of when they were received. ``on_change`` is called when a connection has the
    streams that are wanted, and when one has ended.
    """

    def __init__(
        self,
        url: str,
        streams: Iterable[str],
        times: Times,
        haste: float,
        on_frame: OnFrame,
        refuse: Refuse,
        coverage: Coverage | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.url, self.streams, self.times, self.haste = url, tuple(streams), times, haste
        self.host = urlsplit(url).netloc
        self.on_frame, self.refuse, self.coverage, self.on_change = on_frame, refuse, coverage, on_change
        self.backoff, self.breaker = Backoff(), Breaker(haste)
        self.sessions: dict[asyncio.Task[None], Session] = {}
        self.resume_at = 0.0  # monotonic seconds
        self.wake, self.renewal = asyncio.Event(), asyncio.Event()
        self.fault: str | None = None
        self.is_simulated = False
        self.connections = self.failures = 0

    @property
    def is_connected(self) -> bool:
        """Whether some connection receives: one on which the venue has confirmed the subscriptions."""
        return any(session.is_confirmed for session in self.sessions.values())

    @property
    def received(self) -> set[str]:
        """The streams that the venue has confirmed on some connection."""
        return {stream for session in self.sessions.values() for stream in session.subscribed}

    def follow(self, streams: Iterable[str]) -> None:
        """Have these from now on; the living connection is told."""
        self.streams = tuple(streams)
        for session in self.sessions.values():
            if not session.is_retired:
                session.want(self.streams)

    async def run(self) -> None:
        try:
            while True:
                await self.pause()
                task = await self.connect()
                if task is not None:
                    await self.until_due(task)
        finally:
            await self.close()

    async def until_due(self, task: asyncio.Task[None]) -> None:
        """Another connection takes over before the venue ends this one, when somebody asks for it, or once it has
        ended.
        """
        self.renewal.clear()
        asked = asyncio.create_task(self.renewal.wait())
        try:
            await asyncio.wait([task, asked], timeout=self.times.life_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()

    async def pause(self) -> None:
        """Until the backoff and the breaker let an attempt through, or somebody wants it now."""
        while (wait_s := self.resume_at - time.monotonic()) > 0 or not self.breaker.allows(time.monotonic()):
            self.wake.clear()
            try:
                async with asyncio.timeout(max(wait_s, 0.01)):
                    await self.wake.wait()
            except TimeoutError:
                continue

    def retry_now(self) -> None:
        """Close the breaker by hand, and wait no longer."""
        self.breaker.reset()
        self.backoff.reset()
        self.resume_at = 0.0
        self.wake.set()

    def renew_if_silent(self, silence_s: float, now_ms: int) -> None:
        """As `reconnect`, where no data have come for so long."""
        data_ms = max((session.liveness.data_ms for session in self.sessions.values()), default=now_ms)
        if self.is_connected and now_ms - data_ms > silence_s * 1000:
            self.renewal.set()

    def reconnect(self) -> None:
        """Have another connection take over now; this one is read until it has."""
        self.retry_now()
        self.renewal.set()

    async def connect(self) -> asyncio.Task[None] | None:
        """The task that receives from a new connection; None when there is none."""
        try:
            session = await Session.open(self.url, self.times)
        except (OSError, WebSocketException) as error:
            self.failed(connection_fault(error, self.host))
            return None
        if mismatch := self.refuse(self.host, session.is_simulated):
            await session.close()
            self.failed(mismatch)
            return None
        task = asyncio.create_task(self.receive(session))
        self.sessions[task] = session
        return task

    async def receive(self, session: Session) -> None:
        try:
            fault = await session.run(self.frame, self.streams, lambda: self.confirmed(session))
        except Exception as error:
            # Of our own. Without a pause it would be made again and again.
            logger.critical("a frame could not be taken", streams=self.told_streams, exc_info=error)
            fault = LiquiError(f"{type(error).__name__}: {error}")
        finally:
            self.end_coverage(session)
            self.sessions = {task: each for task, each in self.sessions.items() if each is not session}
        if not session.is_retired:
            self.failed(fault)
        self.on_change()

    def confirmed(self, session: Session) -> None:
        """The venue has confirmed what is wanted: at first, or after a change."""
        if not session.is_confirmed:
            session.is_confirmed = True
            self.take_over(session)
        self.on_change()

    def take_over(self, session: Session) -> None:
        """The connections before this one are not needed any more."""
        for older in self.sessions.values():
            if older is not session:
                older.is_retired = True
                # Both are read for a while: what is on its way to the older one must not be lost.
                asyncio.get_running_loop().call_later(self.times.overlap_s, older.socket.transport.close)
        if self.coverage is not None:
            session.spans = [self.coverage.begin(stream, clock_ms()) for stream in self.streams]
        self.connections, self.is_simulated = self.connections + 1, session.is_simulated
        what = ", a simulated exchange" if session.is_simulated else ""
        logger.info(f"{VENUE}: connected to {self.host}{what}", streams=self.told_streams)

    @property
    def told_streams(self) -> str:
        """For a line of the log."""
        more = f" and {len(self.streams) - TOLD} more" if len(self.streams) > TOLD else ""
        return ", ".join(self.streams[:TOLD]) + more

    def end_coverage(self, session: Session) -> None:
        if self.coverage is not None:
            for span in session.spans:
                self.coverage.end(span, session.liveness.received_until_ms(clock_ms()))

    def frame(self, frame: bytes, now_ms: int) -> bool:
        is_good = self.on_frame(frame, now_ms)
        if is_good:
            self.backoff.reset()
            self.breaker.success()
            self.fault = None
        return is_good

    def failed(self, fault: LiquiError) -> None:
        self.failures += 1
        now = time.monotonic()
        self.breaker.failure(now)
        least_s = fault.retry_after_s if isinstance(fault, VenueRateLimited) else 0.0
        wait_s = max(self.backoff.next_s() / self.haste, self.breaker.wait_s(now), least_s)
        self.resume_at = now + wait_s
        # A venue that is away for hours is one line, not thousands.
        if str(fault) != self.fault:
            logger.error(f"{fault}; trying again, next in {wait_s:.0f} s", streams=self.told_streams)
        self.fault = str(fault)

    def extend_coverage(self, now_ms: int) -> None:
        """Every connection that shows life has received its streams until now."""
        for session in self.sessions.values():
            if session.liveness.fault(now_ms) is None:
                for span in session.spans:
                    span.until_ms = now_ms

    async def close(self) -> None:
        tasks, sessions = list(self.sessions), list(self.sessions.values())
        for session in sessions:
            session.is_retired = True
            await session.close()
        await asyncio.gather(*tasks, return_exceptions=True)
