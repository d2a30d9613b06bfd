"""The times during which a collector received a stream: one span per connection, extended while it lives.

They are kept in a file too, written about once a second, so that a collector which is killed while the database is
away still accounts for the time before. The next one writes what it finds there once more, which is harmless.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Span(msgspec.Struct):
    """[started_ms, until_ms), ms UTC. ``is_open``: its connection still lives."""

    stream: str
    started_ms: int
    until_ms: int
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A span and how far of it was given out to be written."""

    span: Span
    until_ms: int
    is_open: bool


class Coverage:
    """All spans that are open or not written yet; may be used by several threads."""

    def __init__(self, path: Path) -> None:
        """Begins with what an earlier process had not written; raises OSError where the file cannot be read."""
        self.path = path
        self.lock = threading.Lock()
        self.spans = [*left_over(path)]
        self.last_started_ms = 0

    def begin(self, stream: str, now_ms: int) -> Span:
        # The start is part of the row's key, and two connections may be made within a millisecond.
        self.last_started_ms = max(now_ms, self.last_started_ms + 1)
        span = Span(stream, self.last_started_ms, max(now_ms, self.last_started_ms))
        with self.lock:
            self.spans.append(span)
        return span

    def end(self, span: Span, until_ms: int) -> None:
        """The connection has ended; ``until_ms`` may lie before what was said so far."""
        span.until_ms, span.is_open = max(span.started_ms, until_ms), False

    def due(self) -> list[Written]:
        """What is to be written now; tell `done` when it is."""
        with self.lock:
            return [Written(span, span.until_ms, span.is_open) for span in self.spans]

    def done(self, written: Sequence[Written]) -> None:
        """The database has it: forget what will not change any more."""
        finished = {id(each.span) for each in written if not each.is_open}
        with self.lock:
            self.spans = [span for span in self.spans if id(span) not in finished]

    def save(self) -> None:
        """Keep in the file what the database may not have. Raises OSError."""
        spans = [Span(each.span.stream, each.span.started_ms, each.until_ms, False) for each in self.due()]
        temporary = self.path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(spans))
        os.replace(temporary, self.path)


def left_over(path: Path) -> list[Span]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Span])
    except (FileNotFoundError, msgspec.DecodeError):
        return []
