"""Leaves a server alone that is in trouble, and finds out, without any caller's waiting, when it is well again."""

import threading
import time
from collections.abc import Callable

import structlog
from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

logger = structlog.get_logger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


class Breaker:
    """Closed while all is well. One failure opens it; a thread of its own then probes until the server answers.

    ``probe`` raises one of ``failures`` while the server is in trouble; ``recovered`` runs after it, before callers
    come back, and may raise the same.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], object],
        recovered: Callable[[], object],
        failures: tuple[type[BaseException], ...],
    ) -> None:
        self.name, self.probe, self.recovered, self.failures = name, probe, recovered, failures
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
        logger.error(f"{self.name} {self.reason}; answering from local memory until it is well again")
        threading.Thread(target=self.wait_for_recovery, name="breaker", daemon=True).start()

    def wait_for_recovery(self) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(self.failures),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        )
        time.sleep(FIRST_WAIT_S)
        attempts(self.try_again)

    def try_again(self) -> None:
        """Also what an operator's reset does."""
        self.probe()
        self.recovered()
        with self.lock:
            if self.opened_at is None:
                return
            seconds, self.opened_at, self.reason = time.monotonic() - self.opened_at, None, ""
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
    ("LOADING", "is still loading its data"),
    ("BusyLoading", "is still loading its data"),
    ("Authentication", "refuses our password"),
    ("WRONGPASS", "refuses our password"),
    ("NoPermission", "does not permit what we need"),
    ("Timeout", "does not answer in time"),
    ("refused", "refuses connections: it is not running"),
)
