"""Time to take leave of the sockets under servers that drop them without a word: granian and daphne."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any

STOPPING = {signal.SIGINT, signal.SIGTERM}


def farewell_first(farewell: Callable[[], Awaitable[None]]) -> None:
    """For granian, called in the worker's event loop before it starts its threads, which inherit what is blocked here.

    A thread waits for the signals that stop a worker; they reach granian's own handler once the farewell is over.
    """
    if "granian" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    async def leave(number: int) -> None:
        await farewell()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.kill(os.getpid(), number)

    def wait() -> None:
        asyncio.run_coroutine_threadsafe(leave(signal.sigwait(STOPPING)), loop)

    threading.Thread(target=wait, name="farewell", daemon=True).start()


@cache
def farewell_daphne(farewell: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """For daphne, which knows no lifespan events: called with its first socket."""
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if "daphne.server" in sys.modules and reactor is not None:
        from twisted.internet.defer import Deferred

        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromFuture(asyncio.ensure_future(farewell()))
        )
