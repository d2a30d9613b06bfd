"""Ctrl-C during an import: never lost, and never between storing and counting."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """The first Ctrl-C takes effect at once, or at the end of what is `deferred`; a second one at once in any case."""

    def __init__(self) -> None:
        self.is_asked = self.is_deferred = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Be the handler of the signal meanwhile. Only the main thread can be; elsewhere nobody interrupts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self.note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def note(self, number: int, frame: FrameType | None) -> None:
        is_first, self.is_asked = not self.is_asked, True
        if not (is_first and self.is_deferred):
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """What is stored by the end of this has also been counted."""
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False
        # Also one that was raised before and went nowhere: in a finalizer, Python drops every exception.
        if self.is_asked:
            raise KeyboardInterrupt
