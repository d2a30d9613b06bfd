"""What can go wrong with a venue, split by what the caller should do about it."""


class LiquiError(Exception):
    """A fault whose text may be shown to the user as it is."""


class VenueUnavailable(LiquiError):
    """The venue gave no answer, or said that it has trouble: try again, with growing pauses."""


class VenueRateLimited(VenueUnavailable):
    """The venue wants fewer requests: try again after ``retry_after_s``, not before."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VenueBlocked(LiquiError):
    """The venue does not serve this machine (its country, its address): trying again soon changes nothing."""


class VenuePayloadError(LiquiError):
    """What the venue sent is not what it documents: never worth asking again for."""


class FeedMismatch(LiquiError):
    """A simulated exchange while real data are kept, or the other way round: they never share a database."""


class UnknownSymbol(VenuePayloadError):
    """The venue lists no such symbol."""


class SymbolNotFound(LiquiError):
    """No instrument has this name; the text says which ones may have been meant."""


class BookOutOfSync(LiquiError):
    """An order book is not the venue's any more: build it anew from a snapshot."""

    def __init__(self, symbol: str, expected: object, received: object) -> None:
        super().__init__(f"{symbol}: the order book is out of sync: expected {expected}, received {received}")
