"""Events at their time: the exchange's clock, and the loop that publishes by it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from streams.simulator.kinds import Event

AS_FAST_AS_READ = 0.0  # the speed at which the readers say when it goes on
EARLY_S = 0.001  # sooner than any timer can be trusted
LONGEST_SLEEP_S = 0.2  # so that a pause is noticed
AT_ONCE = 64  # events between two looks at the sockets


class Clock:
    """The exchange's time (ms): ``speed`` times as fast as ours from its start on; it can be stopped."""

    def __init__(self, start_ms: int, speed: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self.speed, self.now_s = speed, now_s
        self.known_ms, self.known_s = float(start_ms), now_s()
        self.running = asyncio.Event()

    @property
    def is_running(self) -> bool:
        return self.running.is_set()

    def now_ms(self) -> int:
        return int(self.exact_ms())

    def exact_ms(self) -> float:
        elapsed_s = self.now_s() - self.known_s if self.is_running else 0.0
        return self.known_ms + elapsed_s * 1000 * self.speed

    def delay_s(self, at_ms: int) -> float:
        """Real seconds until ``at_ms``; negative when it has passed."""
        if self.speed == AS_FAST_AS_READ:
            self.known_ms = max(self.known_ms, at_ms)
            return 0.0
        return (at_ms - self.exact_ms()) / 1000 / self.speed

    def stop(self) -> None:
        self.known_ms = self.exact_ms()
        self.running.clear()

    def start(self) -> None:
        if not self.is_running:
            self.known_s = self.now_s()
            self.running.set()


async def play(
    events: Iterable[Event], clock: Clock, publish: Callable[[Event], None], readers: Callable[[], Awaitable[None]]
) -> None:
    """Publish every event when it is due. ``readers`` is waited for now and then: it returns when more can be sent."""
    for number, event in enumerate(events):
        if number % AT_ONCE == 0:
            await readers()
            await asyncio.sleep(0)
        while not clock.is_running or clock.delay_s(event.at_ms) > EARLY_S:
            await clock.running.wait()
            await asyncio.sleep(min(max(clock.delay_s(event.at_ms), 0), LONGEST_SLEEP_S))
        publish(event)
