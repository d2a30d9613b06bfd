"""How the list of symbols is cached."""

from django.conf import settings

from api.parameters import QueryParameters
from cachemgmt.registry import Asked, Namespace, Subject
from cachemgmt.types import Key
from marketdata.services import INSTRUMENTS_SCOPE
from marketdata.symbols.bodies import symbols_json
from marketdata.symbols.service import symbols_traded

# Whatever we change outdates the list at once; who changes the table by SQL alone waits no longer than twice this.
UNSEEN_CHANGES_S = 3.0


class NoParameters(QueryParameters):
    """Whatever is sent is ignored."""


def symbols_ttl_s(asked: Asked) -> float:
    return min(settings.CACHE_TTL_SYMBOLS, UNSEEN_CHANGES_S)


SYMBOLS = Namespace(
    name="market_symbols",
    path="/api/v1/symbols",
    parameters=NoParameters,
    key=lambda asked: Key("market_symbols", "market_symbols:all", INSTRUMENTS_SCOPE),
    ttl_s=symbols_ttl_s,
    make=lambda asked: symbols_json(symbols_traded()),
)
SYMBOL_LIST = Subject((SYMBOLS.pattern,), (INSTRUMENTS_SCOPE,))


def about_symbol(symbol: str) -> Subject:
    """No answer here is about one symbol alone."""
    return Subject()
