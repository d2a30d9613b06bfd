"""Leaves a server alone that is in trouble, and finds out, without any caller's waiting, when it is well again."""

import threading
import time
from collections.abc import Callable

import structlog
from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

logger = structlog.get_logger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 3.0


class Breaker:
    """Closed while all is well. One failure opens it; a thread of its own then tries to ``mend`` what is wrong, with
    longer and longer pauses, and closes it. ``mend`` raises while the server is in trouble; ``meanwhile`` says in the
    log what callers do without it."""

    def __init__(self, name: str, mend: Callable[[], object], meanwhile: str) -> None:
        self.name, self.mend, self.meanwhile = name, mend, meanwhile
        self.lock = threading.Lock()
        self.opened_at: float | None = None
        self.reason = ""
        self.openings = 0

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def open(self, error: BaseException) -> None:
        """Said once, however many callers find out at the same time."""
        with self.lock:
            if self.opened_at is not None:
                return
            self.opened_at, self.reason = time.monotonic(), trouble(error)
            self.openings += 1
        self.changed()
        logger.error(f"{self.name} {self.reason}; {self.meanwhile} until it is well again")
        threading.Thread(target=self.wait_for_recovery, name="breaker", daemon=True).start()

    def changed(self) -> None:
        """It has just been opened or closed: for those who count."""

    def wait_for_recovery(self) -> None:
        # Whatever it raises: a breaker that nobody closes again would be an outage of its own.
        attempts = Retrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        )
        time.sleep(FIRST_WAIT_S)
        attempts(self.try_again)

    def try_again(self) -> None:
        self.mend()
        with self.lock:
            if self.opened_at is None:
                return
            seconds, self.opened_at, self.reason = time.monotonic() - self.opened_at, None, ""
        self.changed()
        logger.info(f"{self.name} is well again after {seconds:.1f} s")


def trouble(error: BaseException) -> str:
    """What is wrong, in words that help at night."""
    text = str(error)
    for sign, words in SIGNS:
        if sign in f"{type(error).__name__} {text}":
            return f"{words} ({text})"
    return f"cannot be used ({text or type(error).__name__})"


SIGNS = (
    ("OutOfMemory", "is full and refuses writes"),
    ("ReadOnly", "is a read-only replica"),
    ("MISCONF", "refuses writes because it cannot save its data"),
    ("BusyLoading", "is still loading its data"),
    ("Authentication", "refuses our password"),
    ("WRONGPASS", "refuses our password"),
    ("NoPermission", "does not permit what we need"),
    ("Timeout", "does not answer in time"),
    ("refused", "refuses connections: it is not running"),
)
