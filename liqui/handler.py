"""Django's ASGI handler with a fixed pool of threads, each of which keeps its database connection.

Django's own starts a thread for each request, and with it a connection: 200 requests at once were MySQL's error 1040,
and every request paid for connecting. Here at most MAX_CONNECTIONS requests run at once, the others wait their turn,
and each runs in one hop, signals, middleware and view together: everything but sockets and streams is synchronous.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.signals import request_started
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import set_script_prefix

from liqui.errors import json_response

# Probes are answered however many slow queries are running, by threads of their own.
PROBES = frozenset({"/health", "/metrics", "/api/metrics"})
PROBE_THREADS = 2


class PooledHandler(ASGIHandler):
    """Answers HTTP requests in the threads of two pools: one for probes, one for everything else."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        # Synchronous middleware around a synchronous view: the asynchronous kind would hop threads for each layer.
        self.load_middleware(is_async=False)
        self.requests = ThreadPoolExecutor(settings.MAX_CONNECTIONS, thread_name_prefix="request")
        self.probes = ThreadPoolExecutor(PROBE_THREADS, thread_name_prefix="probe")
        self.static_path = urlsplit(settings.STATIC_URL).path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if refusal is not None:
                await self.send_response(in_json(refusal), send)
            elif request is not None:
                await self.answer_unless_left(request, scope, receive, send)

    async def answer_unless_left(self, request: HttpRequest, scope: Any, receive: Any, send: Any) -> None:
        """Answers; when the client leaves, a request that still waits is dropped and a stream is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(self.listen_for_disconnect(receive))
                await self.answer(request, scope, send)
                listener.cancel()
        except* RequestAborted:
            pass

    async def answer(self, request: HttpRequest, scope: Any, send: Any) -> None:
        is_probe = request.path in PROBES or request.path.startswith(self.static_path)
        pool = self.probes if is_probe else self.requests
        # A copy of the context, as `sync_to_async` makes one: log fields of one request must not reach another's.
        context = copy_context()
        response = await asyncio.get_running_loop().run_in_executor(
            pool, lambda: context.run(self.respond, request, scope)
        )
        try:
            await self.send_response(response, send)
        finally:
            if response.streaming:
                response.close()

    def respond(self, request: HttpRequest, scope: Any) -> Any:
        """The response, made in a thread of a pool, where the signals find this thread's connections too."""
        request_started.send(sender=self.__class__, scope=scope)
        response: Any = self.get_response(request)
        response._handler_class = self.__class__
        if not response.streaming:
            response.close()
        elif not response.is_async:
            # A file. It is read whole either way, but here not while every other request waits.
            response.streaming_content = replayed(list(response.streaming_content))
        return response

    def close(self) -> None:
        """Takes no more requests; those that are running end by themselves."""
        for pool in (self.requests, self.probes):
            pool.shutdown(wait=False, cancel_futures=True)


async def replayed(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def in_json(refusal: HttpResponseBase) -> HttpResponse:
    """Django's answer to what it could not make a request of."""
    text = {400: "Bad Request", 413: "Payload Too Large"}[refusal.status_code]
    return json_response({"detail": text}, refusal.status_code)
