"""A connection asks for its streams by paced commands, and counts only from the venue's answer on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from websockets.asyncio.server import ServerConnection, serve

from marketdata.errors import LiquiError
from marketdata.venues.binance.routes import COMMAND_INTERVAL_S, STREAMS_PER_COMMAND
from marketdata.venues.binance.wire import decode
from streams.collecting.session import Session
from streams.collecting.times import Times
from streams.simulator.control import SAMPLE
from tests.backend import sqlite_only
from tests.streams.simulator.running import Running, running, until

pytestmark = sqlite_only("a connection uses no database")

STREAM = "btcusdt@forceOrder"
TIMES = Times(silence_s=300)


class Listener:
    """What a session has handed on, and when the venue had confirmed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def frame(self, frame: bytes, now_ms: int) -> bool:
        self.seen += [type(event).__name__ for event in decode(frame, now_ms)]
        return True

    def confirmed(self) -> None:
        self.seen.append("confirmed")


@asynccontextmanager
async def session_of(port: int, streams: list[str], times: Times = TIMES) -> AsyncIterator[tuple[Session, Listener]]:
    session, listener = await Session.open(f"ws://127.0.0.1:{port}/market/stream", times), Listener()
    running = asyncio.create_task(session.run(listener.frame, streams, listener.confirmed))
    try:
        yield session, listener
    finally:
        await session.close()
        await running


async def outcome(port: int, streams: list[str], times: Times = TIMES) -> LiquiError:
    """What ends a session that is left alone."""
    session, listener = await Session.open(f"ws://127.0.0.1:{port}/market/stream", times), Listener()
    fault = await session.run(listener.frame, streams, listener.confirmed)
    assert "confirmed" not in listener.seen
    return fault


@asynccontextmanager
async def venue(play: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[int]:
    """The port of a server that does this with each client."""
    async with serve(play, "127.0.0.1", 0, compression=None) as server:
        yield server.sockets[0].getsockname()[1]


async def subscribed(exchange: Running) -> list[str]:
    (told,) = (await exchange.get("/control/connections")).json()
    return told["streams"]


def test_streams_are_subscribed_in_paced_frames_and_confirmed_once_all_are_answered() -> None:
    streams = [f"s{number}usdt@aggTrade" for number in range(3 * STREAMS_PER_COMMAND + 1)]
    came: list[tuple[float, int]] = []

    async def play(client: ServerConnection) -> None:
        async for message in client:
            asked = json.loads(message)
            came.append((time.monotonic(), len(asked["params"])))
            await client.send(json.dumps({"result": None, "id": asked["id"]}))

    async def scenario() -> None:
        async with venue(play) as port, session_of(port, streams) as (_, listener):
            await until(lambda: listener.seen == ["confirmed"])

    asyncio.run(scenario())
    assert [count for _, count in came] == [STREAMS_PER_COMMAND] * 3 + [1]
    # As they arrive: what the network adds may differ a little from frame to frame.
    assert all(after - before > 0.8 * COMMAND_INTERVAL_S for (before, _), (after, _) in pairwise(came))


def test_streams_are_added_to_and_taken_from_a_living_connection() -> None:
    async def scenario() -> None:
        async with running() as exchange, session_of(exchange.port, [STREAM]) as (session, listener):
            await until(lambda: listener.seen == ["confirmed"])
            await session.subscribe(["ethusdt@forceOrder", "btcusdt@aggTrade"])
            assert await subscribed(exchange) == [STREAM, "ethusdt@forceOrder", "btcusdt@aggTrade"]
            await session.unsubscribe([STREAM, "btcusdt@aggTrade"])
            assert await subscribed(exchange) == ["ethusdt@forceOrder"]
            await exchange.tell("inject", s="BTCUSDT", S="SELL", q="1", p="80000")
            await exchange.tell("inject", s="ETHUSDT", S="SELL", q="1", p="3000")
            await until(lambda: len(listener.seen) > 1)
            assert listener.seen == ["confirmed", "Liquidation"]

    asyncio.run(scenario())


def test_the_exchange_disconnects_nobody_for_subscribing_to_many_streams() -> None:
    streams = [f"s{number}usdt@aggTrade" for number in range(600)]

    async def scenario() -> None:
        async with running() as exchange, session_of(exchange.port, streams) as (_, listener):
            await until(lambda: listener.seen == ["confirmed"])
            assert await subscribed(exchange) == streams

    asyncio.run(scenario())


def test_data_that_come_before_the_answer_are_handed_on() -> None:
    frame = SAMPLE.decode()

    async def play(client: ServerConnection) -> None:
        asked = json.loads(await client.recv())
        await client.send(frame)
        await client.send(json.dumps({"result": None, "id": asked["id"]}))
        await client.wait_closed()

    async def scenario() -> None:
        async with venue(play) as port, session_of(port, [STREAM]) as (_, listener):
            await until(lambda: len(listener.seen) == 2)
            assert listener.seen == ["Liquidation", "confirmed"]

    asyncio.run(scenario())


def test_a_refusal_ends_the_attempt_with_code_and_message() -> None:
    async def play(client: ServerConnection) -> None:
        asked = json.loads(await client.recv())
        await client.send(json.dumps({"error": {"code": 2, "msg": "Invalid request: no"}, "id": asked["id"]}))
        await client.wait_closed()

    async def scenario() -> None:
        async with venue(play) as port:
            fault = await outcome(port, [STREAM])
            assert str(fault) == f"binance: 127.0.0.1:{port} refused SUBSCRIBE: Invalid request: no (code 2)"

    asyncio.run(scenario())


def test_silence_and_answers_to_others_end_the_attempt_after_a_while() -> None:
    async def play(client: ServerConnection) -> None:
        asked = json.loads(await client.recv())
        await client.send(json.dumps({"result": None, "id": asked["id"] + 1}))
        await client.send(json.dumps({"result": None, "id": str(asked["id"])}))
        await client.wait_closed()

    async def scenario() -> None:
        async with venue(play) as port:
            fault = await outcome(port, [STREAM], Times(silence_s=300, answer_s=0.2))
            assert str(fault) == f"binance: 127.0.0.1:{port}: no answer to SUBSCRIBE within 0.2 s"

    asyncio.run(scenario())


def test_a_connection_that_ends_before_the_answer_is_told_as_such() -> None:
    async def play(client: ServerConnection) -> None:
        await client.recv()
        await client.close(1008, "Too many requests")

    async def scenario() -> None:
        async with venue(play) as port:
            assert "1008" in str(await outcome(port, [STREAM]))

    asyncio.run(scenario())
