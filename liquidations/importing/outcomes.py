"""What becomes of one line of a source: an order, a rejection, or nothing of interest."""

from collections.abc import Iterator
from typing import NamedTuple

from liquidations.types import ForcedOrder


class Rejected(Exception):
    """A row that cannot be taken. ``reason`` names field and fault but no value, so that reasons can be counted."""

    spoils_file = False  # whether the file is to be named bad for it

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ContractsRejected(Rejected):
    """A COIN-M order, whose quantities are contracts, while no contract size is known."""

    spoils_file = True


class SourceUnusable(Exception):
    """A file or service that cannot be read, or not to its end; what was read before stays."""


class Skipped(NamedTuple):
    """A line that is well-formed, but says nothing of a forced order."""

    reason: str


NOT_A_FORCED_ORDER = Skipped("not a forced order")
HEADER = Skipped("a header")

MAX_TEXT_BYTES = 500  # kept of a line: batches of long ones must not fill the memory

Outcome = ForcedOrder | Rejected | Skipped
Line = tuple[int, bytes]  # its number, from 1, and its bytes without the line feed


class Record(NamedTuple):
    """One outcome and where it came from: line number (from 1) and text, at most `MAX_TEXT_BYTES` of it."""

    line: int
    text: bytes
    outcome: Outcome


Records = Iterator[Record]
