"""Sending to one socket without ever waiting for it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Send = Callable[[dict[str, Any]], Any]


class Outgoing:
    """A socket's frames on their way out.

    As long as the server takes a frame at once it is sent in the caller's own step, which costs no task and no queue.
    When the server would wait (the client reads too slowly) later frames are queued behind it, ``limit`` at the most;
    one more and ``overflow`` is called, once, and everything is forgotten.
    """

    def __init__(self, send: Send, limit: int, overflow: Callable[[], None]) -> None:
        self.send, self.limit, self.overflow = send, limit, overflow
        self.queue: deque[str] = deque()
        self.sender: asyncio.Task[None] | None = None
        self.is_open = True

    def put(self, text: str) -> None:
        if not self.is_open:
            return
        if self.sender is None:
            self.send_now(text)
        elif len(self.queue) < self.limit:
            self.queue.append(text)
        else:
            self.close()
            self.overflow()

    def send_now(self, text: str) -> None:
        sending = self.sending(text)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        except Exception:
            # The client has left; the server says so to the consumer as well.
            self.close()
            return
        self.sender = asyncio.create_task(self.drain(Resumed(sending, awaited)))

    async def sending(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})

    async def drain(self, first: "Resumed") -> None:
        try:
            await first
            while self.queue:
                await self.sending(self.queue.popleft())
        except Exception:
            self.close()
        finally:
            self.sender = None

    async def settled(self) -> None:
        """When everything so far has been sent."""
        if self.sender is not None:
            await asyncio.wait([self.sender])

    def close(self) -> None:
        """Nothing more is sent, and what waits is dropped."""
        self.is_open = False
        self.queue.clear()
        if self.sender is not None and self.sender is not asyncio.current_task():
            self.sender.cancel()


class Resumed:
    """A coroutine that was begun outside of any task, to be awaited to its end in one."""

    def __init__(self, begun: Coroutine[Any, None, None], awaited: Any) -> None:
        self.begun, self.awaited = begun, awaited

    def __await__(self) -> Generator[Any, Any, None]:
        # What it waits for was handed out by its first step; the task that goes on has to wait for that first.
        yield self.awaited
        yield from self.begun.__await__()
