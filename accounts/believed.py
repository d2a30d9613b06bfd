"""What this process has found out about credentials in the last seconds, for the hot path."""

import hashlib
import threading
import time
from collections.abc import Callable

from accounts.callers import Caller

# After so long a key that was revoked elsewhere is refused by the hot path, too.
BELIEVED_S = 5.0
MAX_BELIEVED = 10_000

Found = Caller | str  # who it is, or why the credentials are not good

# By the digest of the credentials: what was found, and until when that is believed.
believed: dict[bytes, tuple[float, Found]] = {}
believing = threading.Lock()


def recalled(credentials: tuple[str, str], find: Callable[[str, str], Found]) -> Found:
    """What is believed of these credentials, else what ``find`` says now."""
    digest = hashlib.sha256("\n".join(credentials).encode("utf-8", "surrogatepass")).digest()
    until, found = believed.get(digest, (0.0, ""))
    if time.monotonic() < until:
        return found
    found = find(*credentials)
    with believing:
        while len(believed) >= MAX_BELIEVED:
            del believed[next(iter(believed))]
        believed[digest] = (time.monotonic() + BELIEVED_S, found)
    return found


def forget() -> None:
    """Nothing is believed any more: a key or a sign-in was ended in this process."""
    with believing:
        believed.clear()
