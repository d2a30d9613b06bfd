"""The REST client against a real server: what it understands, what it refuses, and in what words."""

import socket
import ssl
from collections.abc import Iterator
from decimal import Decimal
from threading import Thread
from typing import Any

import httpx
import pytest

from marketdata.errors import LiquiError, VenueBlocked, VenuePayloadError, VenueRateLimited, VenueUnavailable
from marketdata.venues.binance import rest as rest_module
from marketdata.venues.binance.refusals import reason
from marketdata.venues.binance.rest import BinanceREST
from tests.marketdata.conftest import Exchange, listed
from tools.servers import free_port


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rest(exchange: Exchange, clock: Clock) -> Iterator[BinanceREST]:
    with BinanceREST(exchange.url, clock) as client:
        yield client


def fault_of(url: str) -> LiquiError:
    with BinanceREST(url) as client, pytest.raises(LiquiError) as caught:
        client.instruments()
    return caught.value


def test_instruments_are_what_the_venue_lists(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.lists(
        listed("BTCUSDT", tick="0.10", lot="0.001"),
        listed("币安人生USDT", status="SETTLING", tick="0", lot="10"),
        listed("BTCUSDT_251226", "BTC", contractType="CURRENT_QUARTER", filters=[]),
    )
    bitcoin, meme, quarter = rest.instruments()
    assert exchange.asked == ["/fapi/v1/exchangeInfo"]
    assert (bitcoin.tick_size, bitcoin.lot_size, bitcoin.is_active) == (Decimal("0.1"), Decimal("0.001"), True)
    assert (meme.symbol, meme.tick_size, meme.lot_size, meme.is_active) == ("币安人生USDT", None, 10, False)
    assert (quarter.exchange_form, quarter.ui_name) == ("BTC/USDT:USDT-251226", "BTC/USDT")
    assert bitcoin.exchange_form == "BTC/USDT:USDT"


def test_the_mark_of_a_simulated_exchange_is_reported(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.lists(listed("BTCUSDT"))
    rest.instruments()
    assert not rest.is_simulated
    exchange.headers = {"X-Liqui-Simulated": "1"}
    rest.instruments()
    assert rest.is_simulated


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (429, VenueRateLimited, "too many requests, wait 60 s"),
        (418, VenueRateLimited, "this address is banned for too many requests, wait 120 s"),
        (451, VenueBlocked, "does not serve this country or network"),
        (403, VenueBlocked, "firewall"),
        (500, VenueUnavailable, "trouble of its own"),
        (503, VenueUnavailable, "trouble of its own"),
        (404, VenuePayloadError, "does not know this request"),
    ],
)
def test_each_refusal_has_its_kind_and_says_host_and_status(
    exchange: Exchange, rest: BinanceREST, status: int, kind: type[LiquiError], words: str
) -> None:
    exchange.status = status
    with pytest.raises(kind) as caught:
        rest.instruments()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"binance: {exchange.url.removeprefix('http://')} answered {status}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("status", [418, 429])
def test_nothing_is_asked_before_the_time_that_the_venue_named_is_over(
    exchange: Exchange, rest: BinanceREST, clock: Clock, status: int
) -> None:
    exchange.status, exchange.headers = status, {"Retry-After": "7"}
    for _ in range(3):
        with pytest.raises(VenueRateLimited) as caught:
            rest.instruments()
        assert caught.value.retry_after_s == 7
    assert len(exchange.asked) == 1
    exchange.status = 200
    exchange.lists(listed("BTCUSDT"))
    clock.now += 7.1
    assert len(rest.instruments()) == 1


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_strange_retry_after_still_means_to_wait(exchange: Exchange, rest: BinanceREST, retry_after: str) -> None:
    exchange.status, exchange.headers = 429, {"Retry-After": retry_after}
    with pytest.raises(VenueRateLimited) as caught:
        rest.instruments()
    assert 60 <= caught.value.retry_after_s <= 3 * 86_400


def test_the_client_pauses_before_the_weight_of_a_minute_is_used_up(
    exchange: Exchange, rest: BinanceREST, clock: Clock
) -> None:
    exchange.lists(listed("BTCUSDT"), limit=6000)
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1900"}
    rest.instruments()
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "4799"}
    rest.instruments()
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "4800"}
    rest.instruments()
    with pytest.raises(VenueRateLimited, match="allows no requests now, wait 60 s"):
        rest.instruments()
    assert len(exchange.asked) == 3
    clock.now += 60
    rest.instruments()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"serverTime":1}', b'{"serverTime":1,"symbols":[{"symbol":1}]}', b"[" * 10_000]
)
def test_an_answer_of_another_shape_is_a_payload_error(exchange: Exchange, rest: BinanceREST, body: bytes) -> None:
    exchange.body = body
    with pytest.raises(VenuePayloadError, match="exchangeInfo cannot be understood"):
        rest.instruments()


def test_a_list_without_symbols_is_not_believed(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.lists()
    with pytest.raises(VenuePayloadError, match="lists no symbols"):
        rest.instruments()


def test_a_refused_connection_says_so() -> None:
    port = free_port()
    fault = fault_of(f"http://127.0.0.1:{port}")
    assert type(fault) is VenueUnavailable
    assert str(fault) == (
        f"binance: 127.0.0.1:{port}: connection refused: nothing listens there, or a firewall is in between"
    )


def test_a_silent_server_is_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "TIMEOUTS", httpx.Timeout(0.2, connect=5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fault = fault_of(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert str(fault).endswith("no answer in time")


def test_a_name_without_an_address_hints_at_a_missing_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fault = fault_of("https://fapi.binance.com")
    assert str(fault).startswith(
        "binance: fapi.binance.com: its name cannot be resolved, there is probably no internet"
    )


def test_a_server_without_tls_is_told_from_a_certificate_that_is_not_trusted(exchange: Exchange) -> None:
    assert "no TLS connection can be made" in str(fault_of(exchange.url.replace("http:", "https:")))
    untrusted = ssl.SSLCertVerificationError(1, "x")
    untrusted.verify_message = "self-signed certificate"
    assert reason(untrusted) == "its certificate is not trusted (self-signed certificate)"


def test_a_cut_connection_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

        thread = Thread(target=hang_up)
        thread.start()
        fault = fault_of(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert type(fault) is VenueUnavailable
    assert "disconnected" in str(fault) or "cut" in str(fault)
