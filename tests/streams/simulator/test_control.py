"""What the exchange can be told to do wrong, and what it tells of itself."""

import asyncio
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from streams.simulator.control import COMMANDS, GARBAGE
from tests.backend import sqlite_only
from tests.streams.simulator.running import START_MS, Running, asked, orders, received, running, until

pytestmark = sqlite_only("the exchange uses no database")

ALL = "!forceOrder@arr"


def test_every_order_that_was_sent_can_be_asked_for_by_connection() -> None:
    async def main() -> None:
        async with running(orders(20), starts="when told") as exchange:
            async with (
                exchange.connect(f"/market/stream?streams={ALL}/btcusdt@forceOrder") as both,
                exchange.connect("/market/ws/ethusdt@forceOrder"),
            ):
                await exchange.tell("resume")
                for _ in range(40):
                    await received(both)
                sent = (await exchange.get("/control/sent?connection=1")).json()
                assert [order["q"] for order in sent["orders"]] == [str(number) for number in range(20)]
                assert sent["orders"][3] == {
                        "number": 4, "symbol": "BTCUSDT", "side": "SELL", "T": START_MS + 3, "q": "3", "p": "80000.00",
                        "ap": "80010.00", "z": "3", "sent_ms": sent["orders"][3]["sent_ms"], "connections": [1],
                    }  # fmt: skip
                assert (await exchange.get("/control/sent?connection=2")).json()["count"] == 0
                page = (await exchange.get("/control/sent?after=5&limit=2")).json()
                assert ([order["number"] for order in page["orders"]], page["next"]) == ([6, 7], 7)
            await until(lambda: not exchange.exchange.connections)
            both_record, other = (await exchange.get("/control/connections")).json()
            assert (both_record["forced_orders"], both_record["frames"], both_record["closed_because"]) == (
                20, 40, "client: 1000",
            )  # fmt: skip
            assert other["streams"] == ["ethusdt@forceOrder"]

    asyncio.run(main())


def test_an_order_can_be_injected() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect(f"/market/ws/{ALL}") as client:
            told = await exchange.tell("inject", s="ETHUSDT", S="BUY", q="2.5", p="2900.10", ap="2899.00")
            message = await received(client)
            assert message == told
            order = message["o"]
            assert (order["s"], order["S"], order["q"], order["z"], order["l"]) == (
                "ETHUSDT",
                "BUY",
                "2.5",
                "2.5",
                "2.5",
            )
            assert (order["T"], order["ps"], order["st"]) == (message["E"], "ETHUSDT", 1)

    asyncio.run(main())


def test_connections_can_be_cut_off_and_closed() -> None:
    async def main() -> None:
        async with running() as exchange:
            clients = [await exchange.connect("/market/ws") for _ in range(3)]
            assert await exchange.tell("drop", connections=[1]) == {"connections": [1]}
            with pytest.raises(ConnectionClosedError, match="no close frame"):
                await received(clients[0])
            await exchange.tell("drop", connections=[2], how="close", code=1011, reason="why not")
            with pytest.raises(ConnectionClosedError, match=r"1011.*why not"):
                await received(clients[1])
            assert await exchange.tell("expire") == {"connections": [3]}
            with pytest.raises(ConnectionClosed, match="1001"):
                await received(clients[2])

    asyncio.run(main())


def test_a_cut_off_client_gets_a_tcp_reset() -> None:
    async def main() -> None:
        async with running() as exchange:
            reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
            writer.write(
                b"GET /market/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            await exchange.tell("drop")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    asyncio.run(main())


def test_a_stalled_connection_answers_but_sends_no_data() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect(f"/market/ws/{ALL}") as client:
            await exchange.tell("stall", seconds=0.3)
            await exchange.tell("inject", s="BTCUSDT", S="SELL", q="1", p="1")
            assert (await asked(client, method="LIST_SUBSCRIPTIONS", id=1))["result"] == [ALL]
            await until(lambda: not exchange.exchange.connections[1].is_silent)
            await exchange.tell("inject", s="BTCUSDT", S="SELL", q="2", p="1")
            assert (await received(client))["o"]["q"] == "2"
            assert [order.q for order in exchange.exchange.sent.page().orders] == ["2"]

    asyncio.run(main())


def test_garbage_of_every_kind_is_sent() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect("/market/ws") as client:
            kinds = [kind for kind in GARBAGE if kind != "not_utf8"]
            await exchange.tell("garbage", kinds=kinds)
            for kind in kinds:
                message = await client.recv()
                assert (message if isinstance(message, bytes) else message.encode()) == GARBAGE[kind]
            await exchange.tell("garbage", kinds=["not_utf8"])
            with pytest.raises(ConnectionClosedError, match="1007"):
                await client.recv()

    asyncio.run(main())


def test_frames_are_repeated_in_their_order() -> None:
    async def main() -> None:
        async with running(orders(5)) as exchange, exchange.connect(f"/market/ws/{ALL}", max_queue=None) as client:
            for number in range(3):
                await exchange.tell("inject", s="BTCUSDT", S="SELL", q=str(number + 1), p="1")
            await exchange.tell("repeat", frames=2)
            quantities = [(await received(client))["o"]["q"] for _ in range(5)]
            assert quantities == ["1", "2", "3", "2", "3"]
            assert exchange.exchange.sent.count == 3

    asyncio.run(main())


@pytest.mark.parametrize(("status", "code"), [(418, -1003), (429, -1003), (451, 0), (503, -1008)])
def test_rest_can_be_made_to_fail_for_a_time(status: int, code: int) -> None:
    async def main() -> None:
        async with running() as exchange:
            assert (await exchange.tell("rest", status=status, seconds=30))["rest_fault"] == status
            answer = await exchange.get("/fapi/v1/exchangeInfo")
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert ("Retry-After" in answer.headers) == (status in (418, 429))
            await exchange.tell("rest", status=status, seconds=0)
            assert (await exchange.get("/fapi/v1/exchangeInfo")).status_code == 200

    asyncio.run(main())


def test_handshakes_can_be_refused_for_a_time() -> None:
    async def main() -> None:
        async with running() as exchange:
            await exchange.tell("handshakes", status=503, seconds=30)
            with pytest.raises(InvalidStatus) as refused:
                await exchange.connect("/market/ws")
            assert refused.value.response.status_code == 503
            await exchange.tell("handshakes", status=503, seconds=0)
            async with exchange.connect("/market/ws"):
                pass

    asyncio.run(main())


def test_the_market_can_be_paused() -> None:
    async def main() -> None:
        async with running() as exchange:
            paused_ms = (await exchange.tell("pause"))["now_ms"]
            await asyncio.sleep(0.05)
            assert (await exchange.get("/fapi/v1/time")).json()["serverTime"] == paused_ms
            assert (await exchange.tell("resume"))["is_running"]
            await until(lambda: exchange.exchange.clock.now_ms() > paused_ms)

    asyncio.run(main())


async def refused(exchange: Running, command: str, body: Any) -> str:
    answer = await exchange.http.post(f"/control/{command}", json=body)
    assert answer.status_code == 400
    return answer.json()["detail"]


def test_commands_that_mean_nothing_are_refused_in_words() -> None:
    async def main() -> None:
        async with running() as exchange:
            assert "how" in await refused(exchange, "drop", {"how": "gently"})
            assert "connections: 7" in await refused(exchange, "drop", {"connections": [7]})
            assert "kinds: nice" in await refused(exchange, "garbage", {"kinds": ["nice"]})
            assert "seconds" in await refused(exchange, "stall", {})
            assert "unknown" in await refused(exchange, "pause", {"why": 1})
            assert "object" in await refused(exchange, "inject", [1])
            unknown = await exchange.get("/control/nothing")
            assert unknown.status_code == 404
            assert all(command in unknown.json()["detail"] for command in COMMANDS)

    asyncio.run(main())
