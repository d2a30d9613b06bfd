"""The collector of one process: everything between the venue's socket and the database."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from filelock import FileLock, Timeout

from marketdata.candles.services import candle_upsert, candles_mark
from marketdata.clock import clock_ms
from marketdata.errors import FeedMismatch, LiquiError, VenuePayloadError
from marketdata.instruments import instruments_listed
from marketdata.services import instruments_sync
from marketdata.types import Liquidation
from marketdata.venue import REAL_FEEDS
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS, route_of, stream_url
from marketdata.venues.binance.wire import decode
from streams.collecting.closed_candles import ClosedCandles
from streams.collecting.coverage import Coverage
from streams.collecting.follower import Follower
from streams.collecting.listing import listing_read
from streams.collecting.market import Market
from streams.collecting.publisher import Publisher
from streams.collecting.spool import Spool
from streams.collecting.status import CONNECTIONS, LOST, Counters, State, status_write
from streams.collecting.times import Times
from streams.collecting.writer import Writer
from streams.commands import Action, commands_take
from streams.gaps import coverage_write
from streams.outbox import live_order
from streams.types import LiveOrder

logger = structlog.get_logger(__name__)

TICK_S = 0.1
TICKS_PER_BEAT = 10
LATE_S = 1.0  # an order that is not stored after so long is sent without a number
SAMPLE_S = 10.0  # between two frames that are shown in the log
NEAR_FULL_S = 30.0  # between two warnings
WAITING_AT_MOST = 10_000
INSTRUMENTS_RETRY_S = 60.0
LISTING_S = 2.0  # between two looks at which symbols are active
FLUSH_S = 3.0


class CollectorRuns(Exception):
    """Another process collects under this name in this LIQUI_HOME."""


@dataclass(frozen=True, slots=True)
class Options:
    """``haste`` makes every wait so many times shorter."""

    name: str
    shard: str = "1/1"
    haste: float = 1.0

    @property
    def folder(self) -> Path:
        return settings.LIQUI_HOME / "spool" / self.name

    @property
    def times(self) -> Times:
        return Times(silence_s=settings.COLLECTOR_SILENCE_SECONDS).hastened(self.haste)


class Collector:
    """`start` and `stop` in one event loop, to which the channel layer belongs too. Use it once."""

    def __init__(self, options: Options) -> None:
        self.options, self.state = options, State(shard=options.shard, started_ms=clock_ms())
        self.counters = Counters(options.name)
        # (number in the spool, monotonic seconds, order) of what is not stored yet.
        self.waiting: deque[tuple[int, float, Liquidation]] = deque(maxlen=WAITING_AT_MOST)
        self.announced = 0  # the highest number that was sent without a sequence
        self.stored_number = 0  # the highest one that is stored
        self.told_connections = self.told_failures = 0
        self.next_sample = self.next_warning = self.next_listing = 0.0
        self.instruments_fault = ""
        self.tasks: list[asyncio.Task[None]] = []
        self.failed = asyncio.Event()  # a fault of our own has ended a part of it

    async def start(self) -> None:
        """Raises `CollectorRuns`, and OSError where the spool cannot be used."""
        folder, times = self.options.folder, self.options.times
        folder.mkdir(parents=True, exist_ok=True)
        self.loop = asyncio.get_running_loop()
        self.lock = FileLock(folder / "lock", thread_local=False)
        try:
            self.lock.acquire(blocking=False)
        except Timeout:
            raise CollectorRuns(f"another process collects as {self.options.name!r} with {folder}") from None
        self.spool = Spool(folder, settings.SPOOL_MAX_MB << 20)
        if self.spool.pending or self.spool.torn_bytes:
            logger.info("orders of an earlier process are stored now", orders=self.spool.pending)
        if self.spool.unreadable:
            logger.error(
                "orders of an earlier process cannot be read and are set aside",
                orders=self.spool.unreadable,
                files=str(folder / "*.unreadable"),
            )
        self.coverage = Coverage(folder / "coverage.json")
        self.publisher = Publisher()
        url = stream_url(settings.BINANCE_WS_BASE_URL, route_of(ALL_LIQUIDATIONS))
        self.follower = Follower(
            url, [ALL_LIQUIDATIONS], times, self.options.haste, self.frame, feed_mismatch, self.coverage
        )
        self.closed_candles = ClosedCandles(candle_upsert, candles_mark)
        self.market = Market(
            self.options.shard, times, self.options.haste, feed_mismatch, self.closed_candles, self.not_understood
        )
        self.writer = Writer(self.spool, self.stored, self.beat, times.retry_s)
        self.writer.start()
        runs = self.publisher.run(), self.follower.run(), self.tick(), self.list_instruments(), self.market.run()
        self.tasks = [asyncio.create_task(run) for run in runs]
        for task in self.tasks:
            task.add_done_callback(self.ended)

    async def stop(self) -> None:
        """Leave the venue, store what has come, and say until when the stream was received."""
        publishing, following, *others = self.tasks
        for task in (following, *others):
            task.cancel()
        await asyncio.gather(following, *others, return_exceptions=True)
        self.refresh_state()
        is_stored = await asyncio.to_thread(self.writer.stop, FLUSH_S)
        if not is_stored:
            logger.warning("orders wait in the spool for the next start", orders=self.spool.pending)
        self.save_coverage()
        # One turn of the loop for what the writer has just handed over.
        await asyncio.sleep(0)
        while self.publisher.waiting and not self.publisher.last_fault:
            await asyncio.sleep(0.01)
        publishing.cancel()
        self.counters.tell(self.state)
        if not self.writer.thread.is_alive():
            self.spool.close()
        self.lock.release()

    def ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logger.critical("the collector does not work any more", exc_info=error)
            self.failed.set()

    def retry_now(self) -> None:
        self.follower.retry_now()
        self.market.subscriptions.retry_now()

    def reconnect(self) -> None:
        self.follower.reconnect()
        self.market.subscriptions.reconnect()

    def obey(self, action: Action) -> None:
        logger.info(f"an operator asks to {action}")
        {"retry": self.retry_now, "reconnect": self.reconnect}[action]()

    # What comes in

    def frame(self, frame: bytes, now_ms: int) -> bool:
        self.state.frames += 1
        try:
            events = decode(frame, now_ms)
        except VenuePayloadError as error:
            self.not_understood(error)
            return False
        self.state.last_message_ms = now_ms
        orders = [event for event in events if isinstance(event, Liquidation)]
        for order in orders:
            self.order(order)
        return bool(orders)

    def not_understood(self, error: VenuePayloadError) -> None:
        self.state.undecodable += 1
        if time.monotonic() >= self.next_sample:
            self.next_sample = time.monotonic() + SAMPLE_S
            logger.warning(str(error), so_far=self.state.undecodable)

    def order(self, order: Liquidation) -> None:
        self.state.received += 1
        number = self.spool.append(order)
        if number is None:
            # Not kept, but whoever looks on sees it.
            self.publisher.publish([live_order(order, None)])
            return
        self.waiting.append((number, time.monotonic(), order))
        self.writer.wake.set()
        if self.writer.is_away:
            self.announce()

    # What becomes of it

    def stored(self, number: int, live: Sequence[LiveOrder]) -> None:
        """Called in the writer's thread."""
        # Noted first: what has been sent with its number must not be sent without one later.
        self.stored_number = number
        self.publisher.publish(live)
        # Without a loop the process is ending.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.forget, number)

    def forget(self, number: int) -> None:
        while self.waiting and self.waiting[0][0] <= number:
            self.waiting.popleft()

    def announce(self) -> None:
        """Send what is not stored without a number; it comes again with one."""
        told = max(self.announced, self.stored_number)
        orders = [(number, order) for number, _, order in self.waiting if number > told]
        if orders:
            self.announced = orders[-1][0]
            self.publisher.publish([live_order(order, None) for _, order in orders])

    @property
    def is_late(self) -> bool:
        return bool(self.waiting) and (self.writer.is_away or time.monotonic() - self.waiting[0][1] > LATE_S)

    # Time

    async def tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            if self.is_late:
                self.announce()
            ticks += 1
            if ticks % TICKS_PER_BEAT == 0:
                self.follower.extend_coverage(clock_ms())
                self.refresh_state()
                self.counters.tell(self.state)
                self.warn_when_near_full()
                self.save_coverage()

    def refresh_state(self) -> None:
        follower, spool, state = self.follower, self.spool, self.state
        state.connected, state.simulated = follower.is_connected, follower.is_simulated
        state.breaker, state.fault = follower.breaker.state(time.monotonic()), follower.fault
        state.reconnects = max(0, follower.connections - 1)
        state.stored, state.rejected = self.writer.stored_count, self.writer.rejected
        state.spooled, state.dropped, state.spool_near_full = spool.pending, spool.dropped, spool.is_near_full
        state.market = self.market.state()
        self.count_connections()

    def count_connections(self) -> None:
        """Of forced orders and market data together."""
        made = self.follower.connections + self.market.subscriptions.connections
        lost = self.follower.failures + self.market.subscriptions.failures
        CONNECTIONS.labels(self.options.name).inc(made - self.told_connections)
        LOST.labels(self.options.name).inc(lost - self.told_failures)
        self.told_connections, self.told_failures = made, lost

    def save_coverage(self) -> None:
        # A disk that is full is said by the spool.
        with suppress(OSError):
            self.coverage.save()

    def warn_when_near_full(self) -> None:
        if self.state.spool_near_full and time.monotonic() >= self.next_warning:
            self.next_warning = time.monotonic() + NEAR_FULL_S
            logger.critical(
                "THE SPOOL IS NEARLY FULL: orders will be lost unless the database takes them or there is more room",
                waiting=self.spool.pending,
                dropped=self.spool.dropped,
                megabytes=self.spool.size >> 20,
                limit_megabytes=self.spool.max_bytes >> 20,
                free_megabytes=self.spool.free_bytes() >> 20,
            )

    def beat(self) -> None:
        """Called in the writer's thread: bring the ledger, the status and candles to the database, and from it what
        operators ask.
        """
        due = self.coverage.due()
        coverage_write(
            VENUE, self.options.name, [(each.span.stream, each.span.started_ms, each.until_ms) for each in due]
        )
        self.coverage.done(due)
        status_write(self.options.name, self.state, clock_ms())
        self.obey_commands()
        self.look_at_listing()
        self.closed_candles.write()

    def obey_commands(self) -> None:
        for action in commands_take(self.options.name, clock_ms()):
            # Without a loop the process is ending.
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.obey, action)

    def look_at_listing(self) -> None:
        if time.monotonic() >= self.next_listing:
            self.next_listing = time.monotonic() + LISTING_S / self.options.haste
            listing = listing_read()
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.market.take_listing, listing)

    async def list_instruments(self) -> None:
        """Once, when the table is empty: without it, base assets are guessed from the symbols' names."""
        while (fault := await asyncio.to_thread(instruments_fill)) is not None:
            if fault != self.instruments_fault:
                logger.error(f"instruments are not listed yet, trying again: {fault}")
            self.instruments_fault = fault
            await asyncio.sleep(INSTRUMENTS_RETRY_S / self.options.haste)


def instruments_fill() -> str | None:
    """Ask the venue for its instruments unless there are some; why that did not work."""
    try:
        if not instruments_listed():
            result = instruments_sync()
            logger.info("instruments listed", listed=result.listed)
    except (LiquiError, DatabaseError) as error:
        return str(error)
    finally:
        connection.close()
    return None


def feed_mismatch(host: str, is_simulated: bool) -> FeedMismatch | None:
    """Why orders of this exchange must not be written into our database; None when they may."""
    feed = settings.LIQUI_FEED
    if is_simulated and feed in REAL_FEEDS:
        return FeedMismatch(
            f"{host} is a simulated exchange and FEED={feed} keeps real data: nothing is taken from it. "
            "Set FEED=simulated, or BINANCE_WS_BASE_URL to the exchange itself"
        )
    if not is_simulated and feed not in REAL_FEEDS:
        return FeedMismatch(
            f"{host} is no simulated exchange and FEED={feed} keeps made-up data: nothing is taken from it. "
            "Set FEED=live, or BINANCE_WS_BASE_URL to a simulator"
        )
    return None
