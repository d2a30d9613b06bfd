"""Symbols that somebody may have meant."""

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

SHOWN = 3
MIN_COMMON_PREFIX = 3  # characters; every symbol shares one or two with many others
QUOTES = ("USDT", "BUSD", "BTC", "ETH")


def suggest(text: str, symbols: Sequence[str]) -> list[str]:
    """At most `SHOWN` of ``symbols``, the likeliest first; equally likely ones stay in the order given.

    First the same name in other case, then names that contain the text, then those that begin like it (the longest
    common beginning first), then those with the same quote asset.
    """
    return list(islice(dict.fromkeys(candidates(text.upper(), symbols)), SHOWN))


def candidates(text: str, symbols: Sequence[str]) -> Iterator[str]:
    yield from (symbol for symbol in symbols if symbol.upper() == text)
    yield from (symbol for symbol in symbols if text and text in symbol.upper())
    yield from sorted(
        (symbol for symbol in symbols if common_prefix(text, symbol) >= MIN_COMMON_PREFIX),
        key=lambda symbol: -common_prefix(text, symbol),
    )
    quote = next((quote for quote in QUOTES if text.endswith(quote)), None)
    yield from (symbol for symbol in symbols if quote and symbol.upper().endswith(quote))


def common_prefix(text: str, symbol: str) -> int:
    """How many characters ``text`` (in upper case) and the symbol begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, symbol.upper(), strict=False)))


def not_found_text(text: str, suggestions: Sequence[str]) -> str:
    """What a client is told about a symbol that is not listed."""
    if not text:
        return "Symbol is missing"
    hint = f". Did you mean: {', '.join(suggestions)}?" if suggestions else ""
    return f"Symbol {text} not found{hint}"
