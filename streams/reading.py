"""The event loop's way to the database: a few threads, each of which keeps its connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 4
# Sockets' snapshots wait in turn here, and never keep a request from its connection.
pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sockets")
# What may have to ask the venue can take seconds, and must not keep the database's readers waiting.
venue_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="venue")


async def read(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The function's result; it runs in a thread, and may take as long as its own time limit lets it."""
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: call(function, *args, **kwargs))


async def read_from_venue(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """As `read`, for functions that ask the venue for what the database lacks."""
    return await asyncio.get_running_loop().run_in_executor(venue_pool, lambda: call(function, *args, **kwargs))


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()
