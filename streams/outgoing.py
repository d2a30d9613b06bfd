"""Sending to one socket without ever waiting for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from inspect import iscoroutinefunction
from typing import Any

from streams.figures import REPLACED

Message = dict[str, Any]

SENT = object()  # what a step of `send` answers when nothing was waited for


class Outgoing:
    """A socket's frames on their way out.

    As long as the server takes a frame at once it is sent in the caller's own step, which costs no task and no queue.
    When the server would wait (the client reads too slowly) later frames are queued behind it, ``limit`` at the most;
    one more and ``overflow`` is called, once, and everything is forgotten.
    """

    def __init__(self, send: Callable[[Message], Awaitable[None]], limit: int, overflow: Callable[[], None]) -> None:
        self.sending = send if iscoroutinefunction(send) else coroutine_of(send)
        self.limit, self.overflow = limit, overflow
        self.queue: deque[Message] = deque()
        self.newest: Message | None = None  # sent after what is queued
        self.sender: asyncio.Task[None] | None = None
        self.is_open = True

    def put(self, text: str) -> None:
        if not self.is_open:
            return
        message = {"type": "websocket.send", "text": text}
        if self.sender is not None:
            self.send_later(message)
            return
        sending = self.sending(message)
        try:
            # With a default: to raise StopIteration and catch it would cost as much as all the rest of this.
            awaited = next(sending.__await__(), SENT)
        except Exception:
            # The client has left; the server says so to the consumer as well.
            self.close()
            return
        if awaited is not SENT:
            self.sender = asyncio.create_task(self.drain(Resumed(sending, awaited)))

    def put_newest(self, text: str) -> None:
        """As `put`, but while the client reads too slowly this takes the place of the frame put so before it."""
        if self.sender is None:
            self.put(text)
        elif self.is_open:
            if self.newest is not None:
                REPLACED.inc()
            self.newest = {"type": "websocket.send", "text": text}

    def put_last(self, text: str) -> None:
        """As `put`, for the last of frames that replace each other: none of those before it is sent any more."""
        self.newest = None
        self.put(text)

    def send_later(self, message: Message) -> None:
        if len(self.queue) < self.limit:
            self.queue.append(message)
        else:
            self.close()
            self.overflow()

    async def drain(self, first: "Resumed") -> None:
        try:
            await first
            while self.queue or self.newest is not None:
                await self.sending(self.next())
        except Exception:
            self.close()
        finally:
            self.sender = None

    def next(self) -> Message:
        if self.queue or self.newest is None:
            return self.queue.popleft()
        message, self.newest = self.newest, None
        return message

    async def settled(self) -> None:
        """When everything so far has been sent."""
        if self.sender is not None:
            await asyncio.wait([self.sender])

    def close(self) -> None:
        """Nothing more is sent, and what waits is dropped."""
        self.is_open = False
        self.queue.clear()
        self.newest = None
        if self.sender is not None and self.sender is not asyncio.current_task():
            self.sender.cancel()


def coroutine_of(send: Callable[[Message], Awaitable[None]]) -> Callable[[Message], Coroutine[Any, Any, None]]:
    """granian's answers an awaitable that is no coroutine, and so cannot be stepped."""

    async def sending(message: Message) -> None:
        await send(message)

    return sending


class Resumed:
    """A coroutine that was begun outside of any task, to be awaited to its end in one."""

    def __init__(self, begun: Coroutine[Any, None, None], awaited: Any) -> None:
        self.begun, self.awaited = begun, awaited

    def __await__(self) -> Generator[Any, Any, None]:
        # What it waits for was handed out by its first step; the task that goes on has to wait for that first.
        yield self.awaited
        yield from self.begun.__await__()
