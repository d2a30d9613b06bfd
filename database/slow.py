"""Which reads took long: a few of the last ones, to be taken away and kept by somebody else.

Whatever becomes of them, a read must neither wait for this nor fail by it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings

MOST = 100  # that wait to be taken; later ones push out the earliest
LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class SlowRead:
    """``at`` is when it ended, in Unix seconds; ``is_ended``: by its time limit."""

    at: float
    seconds: float
    statement: str
    parameters: str
    is_ended: bool


waiting: deque[SlowRead] = deque(maxlen=MOST)
noted = threading.Event()  # set while there is something to take
listeners: list[Callable[[], object]] = []  # called after each; they must be quick


def note(statement: str, parameters: Sequence[Any], seconds: float, *, is_ended: bool) -> None:
    """Remember it if it was slow."""
    if seconds * 1000 < settings.SLOW_QUERY_MS:
        return
    shown = ", ".join(map(repr, parameters[:20]))
    waiting.append(SlowRead(time.time(), seconds, statement[:LONGEST_TEXT], shown[:LONGEST_TEXT], is_ended))
    noted.set()
    for listener in listeners:
        with suppress(Exception):
            listener()


def take() -> list[SlowRead]:
    """All that wait, the earliest first."""
    noted.clear()
    found = []
    while waiting:
        found.append(waiting.popleft())
    return found
