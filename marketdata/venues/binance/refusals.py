"""Why Binance cannot be used, in words that say what to do; for HTTP answers, handshakes and lost connections alike."""

import socket
import ssl
from collections.abc import Iterator, Mapping

from websockets.exceptions import InvalidStatus

from marketdata.errors import LiquiError, VenueBlocked, VenuePayloadError, VenueRateLimited, VenueUnavailable
from marketdata.venues.binance import VENUE

TOO_MANY_REQUESTS, BANNED = 429, 418
FORBIDDEN, UNAVAILABLE_FOR_LEGAL_REASONS = 403, 451
RETRY_AFTER_S = {TOO_MANY_REQUESTS: 60.0, BANNED: 120.0}  # where the answer does not say: weights last a minute
MAX_RETRY_AFTER_S = 3 * 86_400.0  # the longest ban that Binance documents


def refusal(status: int, headers: Mapping[str, str], host: str) -> LiquiError | None:
    """What an HTTP status means; None when it is a success. ``headers`` must not care about case."""
    if status < 400:
        return None
    place = f"{VENUE}: {host} answered {status}"
    if status in RETRY_AFTER_S:
        retry_after_s = seconds(headers.get("Retry-After")) or RETRY_AFTER_S[status]
        what = "too many requests" if status == TOO_MANY_REQUESTS else "this address is banned for too many requests"
        return VenueRateLimited(f"{place}: {what}, wait {retry_after_s:.0f} s", retry_after_s)
    if status == UNAVAILABLE_FOR_LEGAL_REASONS:
        return VenueBlocked(f"{place}: it does not serve this country or network (unavailable for legal reasons)")
    if status == FORBIDDEN:
        return VenueBlocked(f"{place}: its firewall refuses this address")
    if status >= 500:
        return VenueUnavailable(f"{place}: it has trouble of its own")
    return VenuePayloadError(f"{place}: it does not know this request")


def connection_fault(error: Exception, host: str) -> LiquiError:
    """What kept a connection from being made, or ended it; a refused handshake is the HTTP answer that it got."""
    refused = None
    if isinstance(error, InvalidStatus):
        refused = refusal(error.response.status_code, error.response.headers, host)
    return refused or VenueUnavailable(f"{VENUE}: {host}: {reason(error)}")


def reason(error: BaseException) -> str:
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return f"its name cannot be resolved, there is probably no internet here ({cause.strerror})"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection can be made ({cause.reason or cause})"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: nothing listens there, or a firewall is in between"
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, ConnectionError):
            return "the connection was cut"
    return str(error) or type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def seconds(text: str | None) -> float | None:
    return min(float(text), MAX_RETRY_AFTER_S) if text and text.strip().isdecimal() else None
