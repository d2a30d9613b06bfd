"""How Binance writes symbols, times, ids and numbers: bounds that any honest answer or frame keeps."""

from typing import Annotated

from msgspec import Meta

# Times to the year 9999, letters and digits of any script (币安人生USDT exists).
Milliseconds = Annotated[int, Meta(gt=0, le=253_402_300_799_999)]
SymbolText = Annotated[str, Meta(pattern=r"\A\w+\Z", max_length=64)]
Word = Annotated[str, Meta(pattern=r"\A[A-Z_]+\Z", max_length=40)]
Number = Annotated[str, Meta(pattern=r"\A[0-9]{1,25}(?:\.[0-9]{1,18})?\Z")]
AboveZero = Annotated[str, Meta(pattern=r"\A(?=[0.]*[1-9])[0-9]{1,25}(?:\.[0-9]{1,18})?\Z")]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
IdOrNone = Annotated[int, Meta(ge=-1, le=2**63 - 1)]  # -1 stands for none
