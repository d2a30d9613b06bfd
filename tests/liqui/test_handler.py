"""The ASGI handler: requests in a bounded number of threads, probes past the queue, whoever has left is dropped."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from liqui.handler import PooledHandler

# Django looks after this thread's connections when a response is closed.
pytestmark = pytest.mark.django_db

running = 0
most_running = 0
guard = threading.Lock()
stream_ended = threading.Event()


def slow(request: HttpRequest) -> HttpResponse:
    global running, most_running
    with guard:
        running += 1
        most_running = max(most_running, running)
    time.sleep(0.05)
    with guard:
        running -= 1
    return HttpResponse(threading.current_thread().name)


async def endless() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"row\n"
            await asyncio.sleep(0.01)
    finally:
        stream_ended.set()


urlpatterns = [
    path("slow", slow),
    path("health", lambda request: HttpResponse(b"ok")),
    path("file", lambda request: StreamingHttpResponse(iter([b"a", b"b"]), content_type="image/png")),
    path("stream", lambda request: StreamingHttpResponse(endless(), content_type="application/x-ndjson")),
]


@pytest.fixture
def handler(settings: Any) -> Iterator[PooledHandler]:
    settings.ROOT_URLCONF = __name__
    settings.MAX_CONNECTIONS = 3
    handler = PooledHandler()
    yield handler
    handler.close()


class Client:
    """One request to an ASGI application; leaves after ``parts`` messages of the answer's body, if told so."""

    def __init__(self, path: str, parts: int | None = None, query: bytes = b"") -> None:
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query,
            "headers": [(b"host", b"x"), (b"accept-encoding", b"gzip")],
        }
        self.parts = parts
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.asked = False

    async def receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if self.parts is not None and len(self.sent) > self.parts:
            self.left.set()

    async def ask(self, handler: PooledHandler) -> "Client":
        await asyncio.wait_for(handler(self.scope, self.receive, self.send), timeout=10)
        return self

    @property
    def status(self) -> int:
        return self.sent[0]["status"]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_no_more_requests_run_at_once_than_connections_are_allowed(handler: PooledHandler) -> None:
    async def scenario() -> None:
        clients = await asyncio.gather(*(Client("/slow").ask(handler) for _ in range(30)))
        assert {client.status for client in clients} == {200}

    global most_running
    most_running = 0
    run(scenario)
    assert most_running == 3


def test_a_probe_does_not_wait_behind_other_requests(handler: PooledHandler) -> None:
    async def scenario() -> None:
        crowd = asyncio.gather(*(Client("/slow").ask(handler) for _ in range(30)))
        await asyncio.sleep(0.02)
        assert (await Client("/health").ask(handler)).status == 200
        assert not crowd.done()
        await crowd

    run(scenario)


def test_a_stream_ends_when_its_client_leaves(handler: PooledHandler) -> None:
    async def scenario() -> None:
        client = await Client("/stream", parts=3).ask(handler)
        assert (b"Content-Encoding", b"gzip") in client.sent[0]["headers"]

    stream_ended.clear()
    run(scenario)
    assert stream_ended.wait(1)


@pytest.mark.filterwarnings("error")
def test_a_file_is_read_in_the_requests_own_thread(handler: PooledHandler) -> None:
    async def scenario() -> None:
        client = await Client("/file").ask(handler)
        assert b"".join(message.get("body", b"") for message in client.sent) == b"ab"

    run(scenario)


def test_a_request_that_waits_is_dropped_when_its_client_leaves(handler: PooledHandler) -> None:
    async def scenario() -> None:
        crowd = [asyncio.create_task(Client("/slow").ask(handler)) for _ in range(12)]
        impatient = Client("/slow")
        waiting = asyncio.create_task(impatient.ask(handler))
        await asyncio.sleep(0.02)
        impatient.left.set()
        await waiting
        assert not impatient.sent
        assert not all(task.done() for task in crowd)
        await asyncio.gather(*crowd)

    run(scenario)


def test_a_query_that_is_not_text_is_a_400_in_json(handler: PooledHandler) -> None:
    async def scenario() -> None:
        client = await Client("/slow", query=b"\xff\xfe").ask(handler)
        assert (client.status, client.sent[1]["body"]) == (400, b'{"detail":"Bad Request"}')

    run(scenario)
