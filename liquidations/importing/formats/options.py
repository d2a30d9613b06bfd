"""What the user may say about the rows of a file."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """``quote`` is the asset that short symbols lack; ``symbol`` names that of files which do not say it."""

    quote: str = "USDT"
    symbol: str | None = None
    contract_size_usd: Decimal | None = None
