"""How a book is kept in step with a stream of deltas, by Binance's rules for USD-M futures.

Deltas are buffered until there is a snapshot; what it holds already is dropped, the first delta applied must span its
update id or follow it, and each later one must name the one before. A web process follows its collector's book by the
same rules: there a snapshot's id is that of the delta applied last.
"""

from collections import deque

from marketdata.books.book import OrderBook
from marketdata.errors import BookOutOfSync
from marketdata.types import DepthDelta, DepthSnapshot

MAX_BUFFERED = 1000  # deltas: far more than come while a snapshot is fetched
NO_SNAPSHOT = "no snapshot has come yet"


class BookSync:
    """A book that is either live, which means the same as the venue's, or says why not in ``reason``.

    Deltas may come twice, and late; one with a lower id that is newer by the venue's clock is neither: the venue has
    begun to count anew, and something was missed.
    """

    def __init__(self, symbol: str, max_buffered: int = MAX_BUFFERED) -> None:
        self.book = OrderBook(symbol)
        self.is_live = False
        self.reason = NO_SNAPSHOT
        self.gaps = 0  # how often a live book has missed an update
        # Once full, the oldest are dropped, and snapshots older than the rest are too old.
        self.buffer: deque[DepthDelta] = deque(maxlen=max_buffered)

    @property
    def needs_snapshot(self) -> bool:
        return not self.is_live

    def take_delta(self, delta: DepthDelta) -> bool:
        """Whether the live book is another now."""
        if not self.is_live:
            self.buffer.append(delta)
            return False
        book = self.book
        # Before the first delta is applied those that the snapshot holds may come, whatever clock that was dated by.
        if delta.final_id <= book.last_update_id and (book.is_fresh or delta.event_ms <= book.event_ms):
            return False
        try:
            book.apply(delta)
        except BookOutOfSync as error:
            self.gaps += 1
            self.lost(str(error))
            self.buffer.append(delta)
        return self.is_live

    def take_snapshot(self, snapshot: DepthSnapshot) -> bool:
        """Whether the book is live now. A live one takes only what is newer than itself."""
        if self.is_live and snapshot.last_update_id <= self.book.last_update_id:
            return True
        try:
            self.book.load(snapshot)
            self.replay()
        except BookOutOfSync as error:
            self.end(str(error))
        else:
            self.is_live, self.reason = True, ""
            self.buffer.clear()
        return self.is_live

    def lost(self, reason: str) -> None:
        """The connection is gone, and what comes next need not follow what came before."""
        self.end(reason)
        self.buffer.clear()

    def replay(self) -> None:
        """Apply what the buffer has beyond the snapshot."""
        for delta in self.buffer:
            if delta.final_id > self.book.last_update_id:
                self.book.apply(delta)

    def end(self, reason: str) -> None:
        self.is_live, self.reason = False, reason
