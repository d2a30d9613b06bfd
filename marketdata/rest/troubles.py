"""What clients are told when the venue cannot be asked: what is wrong, and nothing of our insides."""

import time
from math import ceil

import structlog
from django.conf import settings
from rest_framework.exceptions import APIException, NotFound

from api.errors import ServiceUnavailable
from marketdata.errors import LiquiError, UnknownSymbol, VenueBlocked, VenuePayloadError, VenueRateLimited
from marketdata.venue import COLLECTING_FEEDS

logger = structlog.get_logger(__name__)

RETRY_S = 5  # where the venue does not say when to try again
PERMANENT_RETRY_S = 60
LOG_INTERVAL_S = 10.0
NOTHING_FOLLOWED = "no exchange is followed here"

last_logged: dict[str, float] = {}


def venue_trouble(what: str, symbol: str, error: LiquiError) -> APIException:
    """What to raise when the order book, say, of a symbol cannot be had; the log is told the whole error."""
    if isinstance(error, UnknownSymbol):
        return NotFound(not_traded(symbol))
    log_trouble(str(error))
    return ServiceUnavailable(f"Failed to fetch {what} for {symbol}: {in_words(error)}", retry_after_s(error))


def log_trouble(text: str) -> None:
    """Once in a while: in an outage every request fails for the same reason."""
    now_s = time.monotonic()
    if now_s - last_logged.get(text, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
        # Few texts differ by more than a symbol, and those of long ago may be said again.
        last_logged.clear()
        last_logged[text] = now_s
        logger.warning(f"the venue cannot be asked: {text}")


def not_traded(symbol: str) -> str:
    return f"Symbol {symbol} is not traded"


def in_words(error: LiquiError) -> str:
    return venue_words(error) if settings.LIQUI_FEED in COLLECTING_FEEDS else NOTHING_FOLLOWED


def venue_words(error: LiquiError) -> str:
    """What is wrong with the venue, without its address."""
    match error:
        case VenueRateLimited():
            return f"the exchange allows no more requests now, try again in {retry_after_s(error)} s"
        case VenueBlocked():
            return "the exchange does not serve this server"
        case UnknownSymbol():
            return "the exchange does not trade it"
        case VenuePayloadError():
            return "the exchange's answer cannot be understood"
    return "the exchange cannot be reached"


def retry_after_s(error: LiquiError) -> int:
    match error:
        case VenueRateLimited():
            return max(ceil(error.retry_after_s), 1)
        case VenueBlocked() | VenuePayloadError():
            return PERMANENT_RETRY_S
    return RETRY_S
