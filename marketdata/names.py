"""What the name of a symbol tells, where nothing else is known of it. No Django."""

# The longest first: BTCUSDT is quoted in USDT, and not ETHUSD in D.
QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD", "BTC", "ETH")


def assets_guessed(symbol: str) -> tuple[str, str]:
    """Base and quote asset: BTC and USDT of BTCUSDT and of BTCUSDT_251226; nothing where the name does not end so."""
    name = symbol.partition("_")[0]
    for quote in QUOTES:
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote), quote
    return "", ""
