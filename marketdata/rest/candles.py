"""Candles for clients' requests, and what becomes of the venue's troubles on the way."""

from collections.abc import Callable

from django.conf import settings

from marketdata.errors import LiquiError, UnknownSymbol
from marketdata.rest.troubles import venue_trouble
from marketdata.types import Candle
from marketdata.venue import COLLECTING_FEEDS


def candles_found(symbol: str, find: Callable[[], list[Candle]]) -> list[Candle]:
    """What ``find`` returns; none where the venue has none or is not to be asked, for then all are stored.

    Raises 503 where there are none because the venue cannot be asked now.
    """
    try:
        return find()
    except UnknownSymbol:
        return []
    except LiquiError as error:
        if settings.LIQUI_FEED not in COLLECTING_FEEDS:
            return []
        raise venue_trouble("candles", symbol, error) from error
