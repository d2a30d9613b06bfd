"""What the keepers of market data have counted since the start of the process."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tallies:
    frames: int = 0
    book_gaps: int = 0  # books whose chain of updates was broken
    books_rebuilt: int = 0  # snapshots that made a book live
    trades: int = 0
    trade_gaps: int = 0  # trades that were missed for good
    late_trades: int = 0  # too late for their minute
