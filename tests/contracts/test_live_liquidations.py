"""The sockets of liquidations, as the trading terminal's own client uses them."""

import re
import time
from collections.abc import Iterator

import pytest

from marketdata.services import instruments_store
from marketdata.types import Instrument
from tests.live import SOCKET_KINDS, LiveServer, ServerKind, serving, wait_until
from tests.streams.sockets import SYMBOL, Client, announce, client, liquidation, numbers_start, store

Q_KEYS = [
    *("symbol", "side", "quantity", "quantityFormatted", "priceUsdt", "priceUsdtFormatted"),
    *("timestamp", "displayTime", "avgPrice", "baseAsset"),
]
BUCKET_KEYS = [
    *("time", "buy_volume", "sell_volume", "total_volume", "delta_volume", "buy_volume_formatted"),
    *("sell_volume_formatted", "total_volume_formatted", "delta_volume_formatted", "count", "timestamp_ms"),
]
HEARTBEAT_S = 1


@pytest.fixture(scope="module", params=SOCKET_KINDS)
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    return request.param


@pytest.fixture(scope="module")
def server(
    server_kind: ServerKind, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    home = tmp_path_factory.mktemp(f"sockets-{server_kind}")
    with serving(server_kind, home, WS_HEARTBEAT_INTERVAL=str(HEARTBEAT_S), WS_MESSAGES_PER_SECOND="50") as live:
        yield live


@pytest.fixture(autouse=True)
def listed(committed: None) -> None:
    """Two instruments are known, and nothing else."""
    numbers_start()
    instruments = [
        Instrument(
            venue="binance",
            symbol=f"{base}USDT",
            base_asset=base,
            quote_asset="USDT",
            contract_type="PERPETUAL",
            status="TRADING",
            is_active=True,
        )
        for base in ("BTC", "ETH")
    ]
    instruments_store("binance", instruments, 1)


@pytest.mark.contract("D102")
def test_first_message_is_the_newest_fifty_orders_even_if_there_are_none(server: LiveServer) -> None:
    with client(server, f"/liquidations/{SYMBOL}") as socket:
        first = socket.next()
        assert list(first) == ["type", "symbol", "data", "initial", "timestamp"]
        assert (first["type"], first["symbol"], first["data"], first["initial"]) == (
            "liquidation_order",
            SYMBOL,
            [],
            True,
        )
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", first["timestamp"])
    now_ms = time.time_ns() // 1_000_000
    store(*[liquidation(now_ms - n * 1000) for n in range(60)])
    with client(server, f"/liquidations/{SYMBOL}") as socket:
        times = [order["timestamp"] for order in socket.next()["data"]]
    assert times == [now_ms - n * 1000 for n in range(50)]


@pytest.mark.contract("D103")
@pytest.mark.contract("D104")
@pytest.mark.contract("D106")
@pytest.mark.contract("D107")
def test_every_subscriber_gets_each_live_order_once_as_one_object(server: LiveServer) -> None:
    with client(server, f"/liquidations/{SYMBOL}") as first, client(server, f"/liquidations/{SYMBOL}") as second:
        for socket in (first, second):
            assert socket.next()["initial"] is True
        at = time.time_ns() // 1_000_000
        sent = announce(*[liquidation(at + n, quantity="0.5", average_price=f"{9910 + n}.5") for n in range(3)])
        for socket in (first, second):
            frames = socket.orders(3)
            assert [frame["sequence"] for frame in frames] == [order.sequence for order in sent]
            assert list(frames[0]) == ["type", "symbol", "data", "timestamp", "sequence", "previous"]
            assert list(frames[0]["data"]) == Q_KEYS
    shown = frames[0]["data"]
    assert shown["displayTime"] == time.strftime("%H:%M:%S", time.gmtime(at // 1000))
    del shown["displayTime"], shown["timestamp"]
    assert shown == {
        "symbol": SYMBOL,
        "side": "SELL",
        "quantity": "0.5",
        "quantityFormatted": "0.50",
        "priceUsdt": "4955.25",
        "priceUsdtFormatted": "4,955",
        "avgPrice": "9910.5",
        "baseAsset": "BTC",
    }


@pytest.mark.contract("D105")
def test_orders_stored_while_clients_connect_come_exactly_once(server: LiveServer) -> None:
    at = time.time_ns() // 1_000_000
    seen: list[list[int]] = []
    for batch in range(3):
        store(*[liquidation(at + 10 * batch + n) for n in range(5)])
        with client(server, f"/liquidations/{SYMBOL}") as socket:
            announce(*[liquidation(at + 10 * batch + 5 + n) for n in range(5)])
            initial = [order["timestamp"] - at for order in socket.next()["data"]]
            missing = 10 * (batch + 1) - len(initial)
            seen.append(sorted(initial) + [frame["data"]["timestamp"] - at for frame in socket.orders(missing)])
    assert seen == [list(range(10 * (batch + 1))) for batch in range(3)]


@pytest.mark.contract("D108")
@pytest.mark.contract("D111")
def test_with_a_timeframe_the_last_day_and_the_running_bucket_follow(server: LiveServer) -> None:
    now_ms = time.time_ns() // 1_000_000
    store(liquidation(now_ms - 7_200_000, quantity="2", price="100"), liquidation(now_ms, quantity="1", price="100"))
    with client(server, f"/liquidations/{SYMBOL}?timeframe=1h") as socket:
        assert socket.next()["initial"] is True
        volume = socket.next()
    assert list(volume) == ["type", "symbol", "timeframe", "data", "timestamp", "is_update"]
    assert (volume["type"], volume["symbol"], volume["timeframe"], volume["is_update"]) == (
        "liquidation_volume",
        SYMBOL,
        "1h",
        False,
    )
    assert list(volume["data"][0]) == BUCKET_KEYS
    assert [bucket["sell_volume"] for bucket in volume["data"]] == ["200.0", "0.0", "100.0"]
    assert volume["data"][-1]["timestamp_ms"] == now_ms - now_ms % 3_600_000


@pytest.mark.contract("D109")
@pytest.mark.contract("D110")
def test_live_volume_goes_on_from_history_and_several_buckets_are_one_update(server: LiveServer) -> None:
    now_ms = time.time_ns() // 1_000_000
    before = now_ms - 3_600_000
    store(*[liquidation(at, quantity="1", price="100") for at in (before, now_ms)])
    with client(server, f"/liquidations/{SYMBOL}?timeframe=1h&orders=0") as socket:
        assert socket.next()["data"] == []
        assert [bucket["count"] for bucket in socket.next("liquidation_volume")["data"]] == [1, 1]
        announce(*[liquidation(at + 1, quantity="2", price="100") for at in (before, now_ms)])
        update = socket.next()
        while update["type"] == "heartbeat":
            update = socket.next()
    assert (update["type"], update["is_update"]) == ("liquidation_volume", True)
    assert [(bucket["sell_volume"], bucket["count"]) for bucket in update["data"]] == [("300.0", 2), ("300.0", 2)]


@pytest.mark.contract("D112")
def test_heartbeats_come_while_nothing_else_does(server: LiveServer) -> None:
    with client(server, f"/liquidations/{SYMBOL}") as socket:
        socket.next()
        beat = socket.next()
        assert list(beat) == ["type", "symbol", "timestamp"]
        assert (beat["type"], beat["symbol"]) == ("heartbeat", SYMBOL)
        assert socket.next()["type"] == "heartbeat"


@pytest.mark.contract("D113")
@pytest.mark.contract("D114")
def test_unknown_timeframe_is_told_and_ends_the_socket(server: LiveServer, server_kind: ServerKind) -> None:
    with client(server, f"/liquidations/{SYMBOL}?timeframe=2m") as socket:
        assert socket.next()["initial"] is True
        error = socket.next()
        assert list(error) == ["type", "message", "timestamp"]
        assert error["message"] == "Invalid timeframe. Must be one of: 1m, 5m, 15m, 30m, 1h, 4h, 1d"
        assert socket.closed() == (4000, error["message"])


@pytest.mark.contract("D114")
@pytest.mark.contract("D126")
def test_unknown_symbol_is_told_with_suggestions_and_ends_the_socket(
    server: LiveServer, server_kind: ServerKind
) -> None:
    for symbol in ("btcusdt", "BTCUSDX"):
        with client(server, f"/liquidations/{symbol}") as socket:
            error = socket.next()
            assert error["type"] == "error"
            assert error["message"].startswith(f"Invalid symbol: {symbol}. Did you mean: BTCUSDT")
            assert socket.closed() == (4000, error["message"])


@pytest.mark.contract("D116")
@pytest.mark.contract("D119")
def test_pings_are_answered_and_malformed_messages_never_end_the_stream(server: LiveServer) -> None:
    with client(server, f"/liquidations/{SYMBOL}") as socket:
        socket.next()
        for malformed in (
            "{",
            "",
            "[1]",
            "7",
            '"ping"',
            "null",
            "[" * 10_000,
            b"\x00\xff",
            '{"type":{}}',
            "\ud83d\ude00",
        ):
            socket.send(
                malformed.encode("utf-16", "surrogatepass").decode("utf-16")
                if isinstance(malformed, str)
                else malformed
            )
        socket.send({"type": "ping"})
        assert socket.next("pong") == {"type": "pong"}
        sent = announce(liquidation())
        assert socket.orders(1)[0]["sequence"] == sent[0].sequence


@pytest.mark.contract("D118")
def test_nothing_is_left_of_a_client_that_disappears(server: LiveServer) -> None:
    with client(server, f"/liquidations/{SYMBOL}") as stays:
        stays.next()
        open_before = open_sockets(server)
        gone = [client(server, f"/liquidations/{SYMBOL}?timeframe=1m") for _ in range(5)]
        for each in gone:
            socket = each.__enter__()
            socket.next()
            assert open_sockets(server) > open_before
            # As if its machine had crashed: no close frame.
            socket.connection.socket.close()
        wait_until(lambda: open_sockets(server) == open_before, 2, "the sockets that disappeared are forgotten")


def open_sockets(server: LiveServer) -> float:
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("liqui_sockets{"))


@pytest.mark.contract("D125")
def test_test_socket_says_hello_and_repeats(server: LiveServer) -> None:
    with client(server, "/test") as socket:
        assert socket.next() == {
            "type": "connection_test",
            "status": "success",
            "message": "WebSocket connection established successfully",
        }
        socket.send({"a": [1, None]})
        assert socket.next() == {"type": "echo", "original": {"a": [1, None]}, "timestamp": "test"}
        socket.send("{")
        assert socket.next() == {"type": "error", "message": "Invalid JSON received"}
        socket.send("[1]")
        assert socket.next()["original"] == [1]


def test_sockets_are_told_1012_before_the_server_stops(
    server_kind: ServerKind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serving(server_kind, tmp_path_factory.mktemp("stopping")) as stopping:
        sockets = [client(stopping, path) for path in ("/liquidations", "/test", f"/liquidations/{SYMBOL}")]
        clients: list[Client] = [socket.__enter__() for socket in sockets]
        for each in clients:
            each.next()
        stopping.process.terminate()
        assert [each.closed()[0] for each in clients] == [1012] * 3
        for socket in sockets:
            socket.__exit__(None, None, None)
