"""The breaker before the cache's server, as Prometheus sees it."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from database import breaker

# livesum: how many of the living processes leave the server alone.
OPEN = Gauge("liqui_cache_breaker_open", "Processes that do without the cache's server", multiprocess_mode="livesum")
OPENINGS = Counter("liqui_cache_breaker_openings", "How often a process began to do without the cache's server")


class Breaker(breaker.Breaker):
    def __init__(self, name: str, mend: Callable[[], object]) -> None:
        super().__init__(name, mend, "answering from local memory")

    def changed(self) -> None:
        OPEN.set(1 if self.is_open else 0)
        if self.is_open:
            OPENINGS.inc()
