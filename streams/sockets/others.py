"""The socket that only answers, and the one for addresses that are none."""

from typing import Any

from streams.messages import TEST_GREETING, TEST_REFUSAL, echo_frame
from streams.sockets.base import Fatal, Socket


class TestSocket(Socket):
    """Says hello and repeats what it is told."""

    __test__ = False
    feed = "test"

    async def serve(self) -> None:
        self.put(TEST_GREETING)

    async def answer(self, message: Any) -> None:
        self.put(TEST_REFUSAL if message is None else echo_frame(message))


class UnknownSocket(Socket):
    feed = "unknown"

    async def serve(self) -> None:
        raise Fatal("Not Found")
