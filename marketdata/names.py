"""What can be the name of a symbol, and what it tells where nothing else is known of it. No Django."""

import re

# The longest first: BTCUSDT is quoted in USDT, and not ETHUSD in D.
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD", "BTC", "ETH")
# Letters of any script: 币安人生USDT exists. As long as the table's column.
SYMBOL = re.compile(r"(?=.*[^\W_])\w{1,64}")


def symbol_checked(text: str) -> str:
    """The symbol in upper case, as venues write it. Raises ValueError for what cannot be one: it is part of paths."""
    symbol = text.strip().upper()
    if not SYMBOL.fullmatch(symbol):
        raise ValueError(f"{symbol!r} is no symbol: it has letters, digits and _ only, 64 at most, as in NEWUSDT")
    return symbol


def assets_guessed(symbol: str) -> tuple[str, str]:
    """Base and quote asset: BTC and USDT of BTCUSDT and of BTCUSDT_251226; nothing where the name does not end so."""
    name = symbol.partition("_")[0]
    for quote in QUOTES:
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote), quote
    return "", ""
