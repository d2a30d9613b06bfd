"""Which requests clients make most often: counted here for a while, then told to the store, for warming to read."""

import threading
import time

from cachemgmt.stores import store

FLUSH_S = 30.0
MAX_COUNTED = 2000  # different requests between two flushes; the rest of them go uncounted
MAX_CHARACTERS = 500  # longer requests are hardly ever made twice
ASKED_TWICE = 2


class Popularity:
    """Counts requests in this process. Approximately: what two threads do at once may be counted once."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.next_flush = time.monotonic() + FLUSH_S

    def count(self, path: str, query: str) -> None:
        """One successful request. Costs well under a microsecond; a thread tells the store, so no request waits."""
        request, counts = (path, query), self.counts
        if request in counts:
            counts[request] += 1
        elif len(counts) < MAX_COUNTED and len(query) <= MAX_CHARACTERS:
            counts[request] = 1
        if time.monotonic() >= self.next_flush:
            self.next_flush = time.monotonic() + FLUSH_S
            threading.Thread(target=self.flush, name="popular", daemon=True).start()

    def flush(self) -> None:
        """Tell the store what was asked since the last time."""
        taken, self.counts = self.counts, {}
        if taken:
            store().learn({f"{path}?{query}": count for (path, query), count in taken.items()})


popularity = Popularity()


def popular(most: int) -> list[tuple[str, str]]:
    """Path and query of the most frequent requests of the last day; what was asked once is not among them."""
    learned = [request.partition("?") for request, count in store().learned(most) if count >= ASKED_TWICE]
    return [(path, query) for path, _, query in learned]
