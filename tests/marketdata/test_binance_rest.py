"""The REST client against a real server: what it understands, what it refuses, and in what words."""

import gzip
import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from marketdata.clock import clock_ms
from marketdata.errors import (
    LiquiError,
    UnknownSymbol,
    VenueBlocked,
    VenuePayloadError,
    VenueRateLimited,
    VenueUnavailable,
)
from marketdata.types import Candle, Side, Ticker, Trade
from marketdata.venues.binance import rest as rest_module
from marketdata.venues.binance.limits import Limits
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
    with BinanceREST(exchange.url, Limits(clock)) as client:
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
    assert [(each.price_precision, each.quantity_precision) for each in (bitcoin, meme, quarter)] == [
        (1, 3),
        (None, 0),
        (None, None),
    ]
    assert (bitcoin.tick_size, bitcoin.lot_size, bitcoin.is_active) == (Decimal("0.1"), Decimal("0.001"), True)
    assert (meme.symbol, meme.tick_size, meme.lot_size, meme.is_active) == ("币安人生USDT", None, 10, False)
    assert (quarter.exchange_form, quarter.ui_name) == ("BTC/USDT:USDT-251226", "BTC/USDT")
    assert bitcoin.exchange_form == "BTC/USDT:USDT"


DEPTH = b'{"lastUpdateId":7,"E":1626992741264,"T":1626992741261,"bids":[["7.6110","6"]],"asks":[["7.6120","0.5"]]}'


def test_a_book_is_asked_for_in_a_depth_that_the_venue_offers(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.body = DEPTH
    book = rest.depth("SUSHIUSDT")
    assert (book.symbol, book.last_update_id, book.event_ms) == ("SUSHIUSDT", 7, 1626992741261)
    assert (book.bids, book.asks) == ([(Decimal("7.6110"), 6)], [(Decimal("7.6120"), Decimal("0.5"))])
    for limit in (1, 5, 6, 50, 51, 101, 501, 1000, 5000):
        rest.depth("SUSHIUSDT", limit)
    asked = [path.partition("limit=")[2] for path in exchange.asked]
    assert asked == ["1000", "5", "5", "10", "50", "100", "500", "1000", "1000", "1000"]
    assert exchange.asked[0] == "/fapi/v1/depth?symbol=SUSHIUSDT&limit=1000"


def test_recorded_books_are_understood_to_the_last_level(
    exchange: Exchange, rest: BinanceREST, recordings: Path
) -> None:
    lines = gzip.decompress((recordings / "wsraw_multi_2021-07-22.http.txt.gz").read_bytes()).splitlines()
    bodies = [line.partition(b": ")[2] for line in lines if b" -> " in line]
    depths = []
    for exchange.body in bodies:
        book = rest.depth("X")
        message = json.loads(exchange.body)
        for levels, side in ((book.bids, "bids"), (book.asks, "asks")):
            assert [[str(price), str(quantity)] for price, quantity in levels] == message[side]
        depths.append(len(book.bids))
    assert depths == [1000, 609, 400, 485]


def kline_row(open_ms: int, **changes: Any) -> list[Any]:
    row = {"o": "1.5", "h": "3", "l": "1.25", "c": "2.0", "v": "10", "end": open_ms + 59_999, "q": "17.5", "n": 3,
           "V": "4", "Q": "7.25", "ignore": "0"}  # fmt: skip
    return [open_ms, *(row | changes).values()]


def test_klines_are_candles_and_the_clock_of_the_venue_says_which_are_closed(
    exchange: Exchange, rest: BinanceREST
) -> None:
    opens = [1_735_689_600_000, 1_735_689_660_000, 1_735_689_720_000]
    exchange.body = json.dumps([kline_row(opens[0]), kline_row(opens[1], n=0), kline_row(opens[2])]).encode()
    exchange.date = "Wed, 01 Jan 2025 00:02:00 GMT"
    first, second, third = rest.klines("币安人生USDT", "1m", start_ms=opens[0], end_ms=opens[2], limit=3)
    assert unquote(exchange.asked[0]) == (
        f"/fapi/v1/klines?symbol=币安人生USDT&interval=1m&limit=3&startTime={opens[0]}&endTime={opens[2]}"
    )
    assert first == Candle(
        venue="binance",
        symbol="币安人生USDT",
        timeframe="1m",
        open_ms=opens[0],
        open=Decimal("1.5"),
        high=Decimal(3),
        low=Decimal("1.25"),
        close=Decimal("2.0"),
        volume=Decimal(10),
        quote_volume=Decimal("17.5"),
        taker_buy_volume=Decimal(4),
        taker_buy_quote_volume=Decimal("7.25"),
        trade_count=3,
    )
    assert [candle.is_closed for candle in (first, second, third)] == [True, True, False]
    assert [candle.is_empty for candle in (first, second, third)] == [False, True, False]
    # A millisecond is not in the venue's date: what ends in that very second is still running.
    exchange.date = "Wed, 01 Jan 2025 00:01:59 GMT"
    assert [candle.is_closed for candle in rest.klines("BTCUSDT", "1m")] == [True, False, False]


@pytest.mark.parametrize("date", ["soon", "Wed, 99 Jan 2025 00:00:00 GMT"])
def test_without_a_date_our_own_clock_says_which_candles_are_closed(
    exchange: Exchange, rest: BinanceREST, date: str
) -> None:
    now_ms = clock_ms()
    exchange.body = json.dumps([kline_row(now_ms - 120_000), kline_row(now_ms + 60_000)]).encode()
    exchange.date = date
    assert [candle.is_closed for candle in rest.klines("BTCUSDT", "1m")] == [True, False]


def test_no_more_is_asked_for_than_the_venue_gives(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.body = b"[]"
    assert rest.klines("BTCUSDT", "1M", limit=9999) == rest.agg_trades("BTCUSDT", limit=9999) == []
    assert exchange.asked == [
        "/fapi/v1/klines?symbol=BTCUSDT&interval=1M&limit=1500",
        "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1000",
    ]


def test_aggregate_trades_are_trades_of_the_symbol_that_was_asked_for(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.body = (
        b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27783,"T":1498793709153,"m":true,"M":true}]'
    )
    before_ms = clock_ms()
    [trade] = rest.agg_trades("BTCUSDT", from_id=26129, start_ms=5, end_ms=6)
    assert exchange.asked == ["/fapi/v1/aggTrades?symbol=BTCUSDT&limit=500&fromId=26129&startTime=5&endTime=6"]
    assert before_ms <= trade.received_ms <= clock_ms()
    assert trade == Trade(
        venue="binance",
        symbol="BTCUSDT",
        id=26129,
        price=Decimal("0.01633102"),
        quantity=Decimal("4.70443515"),
        taker_side=Side.SELL,
        event_ms=1498793709153,
        received_ms=trade.received_ms,
        first_trade_id=27781,
        last_trade_id=27783,
    )


def test_tickers_are_every_symbols_last_price_and_volume(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.trades(BTCUSDT=("63943.90", "12590000000.5"), DEADUSDT=("0.0000", "0"))
    assert rest.tickers() == [
        Ticker(symbol="BTCUSDT", last_price=Decimal("63943.90"), quote_volume=Decimal("12590000000.5")),
        Ticker(symbol="DEADUSDT", last_price=Decimal(0), quote_volume=Decimal(0)),
    ]


def test_a_symbol_that_the_venue_does_not_know_is_an_error_of_its_own(exchange: Exchange, rest: BinanceREST) -> None:
    exchange.status, exchange.body = 400, b'{"code":-1121,"msg":"Invalid symbol."}'
    for ask in (rest.depth, rest.agg_trades, partial(rest.klines, timeframe="1m")):
        with pytest.raises(UnknownSymbol, match=r"\Abinance: 127\.0\.0\.1:\d+ does not know the symbol NOPEUSDT\Z"):
            ask("NOPEUSDT")


@pytest.mark.parametrize("body", [b'{"code":-1130,"msg":"x"}', b"", b"<html>", b'{"code":"-1121"}', b"[" * 9999])
def test_other_refused_requests_are_payload_errors(exchange: Exchange, rest: BinanceREST, body: bytes) -> None:
    exchange.status, exchange.body = 400, body
    with pytest.raises(VenuePayloadError) as caught:
        rest.depth("BTCUSDT")
    assert type(caught.value) is VenuePayloadError


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'[{"a":1}]', b"[[1]]", b'[["x"]]', DEPTH.replace(b"7.6110", b"NaN"), DEPTH.replace(b":7,", b":-7,")],
)
def test_market_data_of_another_shape_are_payload_errors(exchange: Exchange, rest: BinanceREST, body: bytes) -> None:
    exchange.body = body
    for ask in (rest.depth, rest.agg_trades, partial(rest.klines, timeframe="1m"), lambda _: rest.tickers()):
        with pytest.raises(VenuePayloadError, match="cannot be understood"):
            ask("BTCUSDT")


def test_threads_share_a_client_and_its_limits(exchange: Exchange, rest: BinanceREST, clock: Clock) -> None:
    exchange.body = DEPTH
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: rest.depth("SUSHIUSDT").last_update_id, range(64)))) == 1
        exchange.status, exchange.headers = 429, {"Retry-After": "30"}
        faults = list(pool.map(lambda _: fault_in(rest), range(64)))
    assert all(isinstance(fault, VenueRateLimited) for fault in faults)
    # Those that were under way when the first refusal came, and no others.
    assert len(exchange.asked) <= 64 + 8
    clock.now += 29
    assert isinstance(fault_in(rest), VenueRateLimited)


def test_a_late_answer_does_not_shorten_a_ban(exchange: Exchange, rest: BinanceREST, clock: Clock) -> None:
    exchange.status, exchange.headers = 418, {"Retry-After": "300"}
    fault_in(rest)
    rest.limits.note(httpx.Headers({"X-MBX-USED-WEIGHT-1M": "2399"}))
    clock.now += 299
    assert isinstance(fault_in(rest), VenueRateLimited)
    assert len(exchange.asked) == 1


def fault_in(rest: BinanceREST) -> LiquiError | None:
    try:
        rest.depth("SUSHIUSDT")
    except LiquiError as error:
        return error
    return None


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
    exchange.headers, exchange.date = {"X-MBX-USED-WEIGHT-1M": "4800"}, "Sat, 28 Nov 2026 12:30:15 GMT"
    rest.instruments()
    with pytest.raises(VenueRateLimited, match="allows no requests now, wait 45 s"):
        rest.instruments()
    assert len(exchange.asked) == 3
    clock.now += 45
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
