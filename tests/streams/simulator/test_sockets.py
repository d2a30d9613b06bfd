"""The protocol over real sockets: streams, requests, limits."""

import asyncio

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from streams.simulator import exchange as exchange_module
from streams.simulator.kinds import force_order_event
from streams.simulator.rules import Limits
from tests.backend import sqlite_only
from tests.streams.simulator.running import START_MS, Running, asked, order, orders, received, running, until

pytestmark = sqlite_only("the exchange uses no database")

ALL = "!forceOrder@arr"


async def publish(exchange: Running, *numbers: int, symbol: str = "BTCUSDT") -> None:
    for number in numbers:
        exchange.exchange.publish(force_order_event(START_MS, order(number, symbol)))


def test_raw_and_combined_connections_get_the_same_payload() -> None:
    async def main() -> None:
        async with (
            running() as exchange,
            exchange.connect(f"/market/ws/{ALL}") as raw,
            exchange.connect(f"/market/stream?streams={ALL}") as combined,
        ):
            await publish(exchange, 1)
            payload = await received(raw)
            assert payload["o"]["q"] == "1"
            assert await received(combined) == {"stream": ALL, "data": payload}

    asyncio.run(main())


def test_a_symbols_stream_carries_its_orders_only_whatever_its_letters() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect("/market/stream?streams=币安人生usdt@forceOrder") as client:
            await publish(exchange, 1)
            await publish(exchange, 2, symbol="币安人生USDT")
            message = await received(client)
            assert (message["stream"], message["data"]["o"]["s"]) == ("币安人生usdt@forceOrder", "币安人生USDT")

    asyncio.run(main())


def test_subscriptions_change_while_the_connection_lasts() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect("/market/ws") as client:
            await publish(exchange, 1)
            assert await asked(client, method="SUBSCRIBE", params=[ALL], id=1) == {"result": None, "id": 1}
            await publish(exchange, 2)
            assert (await received(client))["o"]["q"] == "2"
            assert (await asked(client, method="LIST_SUBSCRIPTIONS", id=2))["result"] == [ALL]
            await asked(client, method="UNSUBSCRIBE", params=[ALL], id=3)
            await publish(exchange, 3)
            assert (await asked(client, method="nothing", id=4))["error"]["code"] == 2
            assert exchange.exchange.sent.count == 1

    asyncio.run(main())


def test_a_request_may_come_in_fragments() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect("/market/ws") as client:
            await client.send(['{"method":"LIST_', 'SUBSCRIPTIONS","id":7}'])
            assert await received(client) == {"result": [], "id": 7}

    asyncio.run(main())


@pytest.mark.parametrize("path", [f"/ws/{ALL}", f"/stream?streams={ALL}", f"/public/ws/{ALL}"])
def test_other_routes_connect_and_stay_silent(path: str) -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect(path) as client:
            await publish(exchange, 1)
            assert (await asked(client, method="LIST_SUBSCRIPTIONS", id=1))["result"] == [ALL]
            assert exchange.exchange.sent.count == 0

    asyncio.run(main())


def test_old_addresses_can_be_served_on_demand() -> None:
    async def main() -> None:
        async with running(serves_unrouted=True) as exchange, exchange.connect(f"/ws/{ALL}") as client:
            await publish(exchange, 1)
            assert (await received(client))["o"]["q"] == "1"

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/", "/private/ws", "/market/nothing", "//[/ws"])
def test_other_addresses_are_not_found(path: str) -> None:
    async def main() -> None:
        async with running() as exchange:
            with pytest.raises(InvalidStatus) as refused:
                await exchange.connect(path)
            assert refused.value.response.status_code == 404
            assert refused.value.response.headers["X-Liqui-Simulated"] == "1"

    asyncio.run(main())


def test_handshakes_and_answers_are_marked() -> None:
    async def main() -> None:
        async with running() as exchange, exchange.connect("/market/ws") as client:
            assert client.response is not None
            assert client.response.headers["X-Liqui-Simulated"] == "1"
            for path in ("/fapi/v1/ping", "/fapi/v1/nothing", "/control/state", "/control/nothing"):
                assert (await exchange.get(path)).headers["X-Liqui-Simulated"] == "1"

    asyncio.run(main())


async def flood(client: ClientConnection) -> None:
    for number in range(10_000):
        await asked(client, method="LIST_SUBSCRIPTIONS", id=number)


def test_more_than_ten_messages_a_second_close_the_connection() -> None:
    async def main() -> None:
        async with running(limits=Limits(messages_per_second=3)) as exchange, exchange.connect("/market/ws") as client:
            with pytest.raises(ConnectionClosedError, match=r"1008.*Too many requests"):
                await flood(client)

    asyncio.run(main())


def test_too_many_streams_in_the_address_close_the_connection() -> None:
    async def main() -> None:
        async with running(limits=Limits(streams=2)) as exchange:
            client = await exchange.connect("/market/stream?streams=a@x/b@x/c@x")
            with pytest.raises(ConnectionClosedError, match="1008"):
                await received(client)

    asyncio.run(main())


def test_who_answers_pings_stays() -> None:
    async def main() -> None:
        limits = Limits(ping_s=0.15, pong_s=5)
        async with running(limits=limits) as exchange, exchange.connect("/market/ws") as client:
            record = exchange.exchange.records[1]
            await until(lambda: record.messages >= 4)
            assert await asked(client, method="LIST_SUBSCRIPTIONS", id=1) == {"result": [], "id": 1}

    asyncio.run(main())


def test_who_does_not_answer_pings_is_disconnected() -> None:
    async def main() -> None:
        async with running(limits=Limits(ping_s=0.05, pong_s=0.3)) as exchange:
            reader, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
            writer.write(
                b"GET /market/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            await until(lambda: exchange.exchange.records[1].closed_because == "1008 Pong timeout")
            writer.close()

    asyncio.run(main())


def test_a_connection_ends_after_its_life() -> None:
    async def main() -> None:
        async with running(limits=Limits(life_s=0.2)) as exchange, exchange.connect("/market/ws") as client:
            with pytest.raises(ConnectionClosedOK, match="1001"):
                await received(client)

    asyncio.run(main())


def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "PATIENT_BACKLOG", 1 << 16)

    async def main() -> None:
        path = f"/market/ws/{ALL}"
        async with running() as exchange, exchange.connect(path) as quick, exchange.connect(path, max_queue=1):
            slow = exchange.exchange.records[2]
            while slow.closed_because is None:
                await publish(exchange, *range(500))
                for _ in range(500):
                    await received(quick)
            assert slow.closed_because == "too slow"
            assert exchange.exchange.records[1].closed_because is None

    asyncio.run(main())


def test_what_the_readers_do_not_read_is_not_made() -> None:
    async def main() -> None:
        count = 200_000
        path = f"/market/ws/{ALL}"
        async with running(orders(count), speed=0) as exchange, exchange.connect(path, max_queue=4) as client:
            await until(lambda: exchange.exchange.events > 0)
            await asyncio.sleep(0.5)
            assert exchange.exchange.events < count
            assert [int((await received(client))["o"]["q"]) for _ in range(2000)] == list(range(2000))

    asyncio.run(main())


def test_rest_answers_as_binance_does() -> None:
    async def main() -> None:
        async with running(limits=Limits(weight_per_minute=1_000_000), symbols=30) as exchange:
            ping = await exchange.get("/fapi/v1/ping")
            assert (ping.json(), ping.headers["X-MBX-USED-WEIGHT-1M"].isdigit()) == ({}, True)
            assert (await exchange.get("/fapi/v1/time")).json()["serverTime"] >= START_MS
            info = (await exchange.get("/fapi/v1/exchangeInfo?x=1")).json()
            assert len(info["symbols"]) == 30
            missing = await exchange.get("/fapi/v1/klines")
            assert (missing.status_code, missing.json()["code"]) == (404, -5000)

    asyncio.run(main())


def test_too_many_requests_are_refused_and_then_banned() -> None:
    async def main() -> None:
        async with running(limits=Limits(weight_per_minute=0, refusals_before_ban=2)) as exchange:
            answers = [await exchange.get("/fapi/v1/ping") for _ in range(8)]
            statuses = [answer.status_code for answer in answers]
            # A minute may end in between, and the refusals of the next one are counted anew.
            assert statuses[-1] == 418
            assert statuses[0] == 429
            for answer in answers:
                assert int(answer.headers["Retry-After"]) > 0
                assert answer.json()["code"] == -1003

    asyncio.run(main())
