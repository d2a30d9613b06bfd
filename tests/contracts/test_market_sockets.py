"""The sockets of order books, trades and candles against the whole service, as the terminal's own client uses them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.live import wait_until
from tests.streams.sockets import Client
from tests.terminal import Market

SYMBOL = "BTCUSDT"
BOOK_KEYS = [
    *("type", "symbol", "bids", "asks", "timestamp", "rounding", "rounding_options", "market_depth_info"),
    *("aggregated", "time_formatted"),
]
LEVEL_KEYS = ["price", "amount", "cumulative", "price_formatted", "amount_formatted", "cumulative_formatted"]
TRADE_KEYS = [
    *("id", "price", "amount", "side", "timestamp", "price_formatted", "amount_formatted", "time_formatted"),
]
CANDLE_KEYS = ["timestamp", "time", "open", "high", "low", "close", "volume"]
PATHS = [f"/orderbook/{SYMBOL}", f"/trades/{SYMBOL}", f"/candles/{SYMBOL}/1m"]
MINUTE_MS = 60_000
# The last one is a number, and wider than any price.
BAD_PARAMETERS: list[dict[str, Any]] = [
    {"limit": -1, "rounding": 0},
    {"limit": "many"},
    {"rounding": True},
    {"limit": 10**9},
    {"rounding": 1e11},
]


def steps_of(levels: list[dict[str, Any]]) -> list[float]:
    return [later["price"] - earlier["price"] for earlier, later in pairwise(levels)]


@pytest.mark.contract("D087")
@pytest.mark.contract("D088")
@pytest.mark.contract("D090")
@pytest.mark.contract("D094")
@pytest.mark.parametrize("path", [f"/orderbook/{SYMBOL}?", f"/orderbook?symbol={SYMBOL}&"])
def test_an_order_book_has_all_keys_best_prices_in_the_middle_and_sums_from_there(market: Market, path: str) -> None:
    with market.client(f"{path}limit=10&rounding=1") as socket:
        book = socket.next("orderbook_update")
    assert list(book) == BOOK_KEYS
    assert (book["symbol"], book["rounding"], book["aggregated"]) == (SYMBOL, 1.0, True)
    assert book["rounding_options"][:3] == [0.1, 1.0, 10.0]
    bids, asks = book["bids"], book["asks"]
    assert all(list(level) == LEVEL_KEYS for level in (*bids, *asks))
    assert (len(bids), len(asks)) == (10, 10)
    assert all(step < 0 for step in steps_of(bids) + steps_of(asks))
    assert asks[-1]["price"] >= bids[0]["price"]
    assert bids[0]["cumulative"] == bids[0]["amount"]
    assert asks[-1]["cumulative"] == asks[-1]["amount"]
    for sums in ([level["cumulative"] for level in bids], [level["cumulative"] for level in reversed(asks)]):
        assert sums == sorted(sums)
    depth = book["market_depth_info"]
    assert depth["requested_levels"] == depth["actual_levels"] == 10
    assert {"insufficient_levels", "message", "has_insufficient_raw_data", "min_required_raw_data"} <= set(depth)
    assert abs(book["timestamp"] - time.time() * 1000) < 60_000


@pytest.mark.contract("D091")
@pytest.mark.contract("D092")
def test_parameters_are_changed_at_once_and_bad_ones_change_nothing(market: Market) -> None:
    with market.client(f"/orderbook/{SYMBOL}?limit=5&rounding=0.1") as socket:
        assert len(socket.next("orderbook_update")["bids"]) == 5
        socket.send({"type": "update_params", "limit": 20, "rounding": 2})
        assert socket.next("params_updated") == {
            "type": "params_updated",
            "limit": 20,
            "rounding": 2,
            "success": True,
        }
        book = socket.next()
        assert (book["type"], len(book["bids"]), book["rounding"]) == ("orderbook_update", 20, 2.0)
        for bad in (
            {"limit": -1, "rounding": 0},
            {"limit": "many"},
            {"rounding": True},
            {"limit": 10**9},
            {"rounding": 1e11},
        ):
            socket.send({"type": "update_params", **bad})
            assert socket.next("error")["message"].startswith("Error processing message: ")
            book = socket.next("orderbook_update")
            assert (len(book["bids"]), book["rounding"]) == (20, 2.0)
        socket.send({"type": "update_params", "limit": None, "rounding": 1})
        assert socket.next("params_updated")["success"] is True
        assert len(socket.next("orderbook_update")["bids"]) == 20


@pytest.mark.contract("D091")
def test_limits_are_clamped_and_senseless_ones_refused_in_the_handshake(market: Market) -> None:
    with market.client(f"/orderbook/{SYMBOL}?limit=5000&rounding=0.1") as socket:
        assert socket.next("orderbook_update")["market_depth_info"]["requested_levels"] == 1000
    for query in ("limit=4", "limit=5001", "limit=many", "rounding=0", "rounding=-1", "rounding=nan"):
        with pytest.raises(InvalidStatus) as refusal, market.client(f"/orderbook/{SYMBOL}?{query}"):
            pass
        assert refusal.value.response.status_code == 403, query
    for width in ("299", "3001", "wide"):
        with pytest.raises(InvalidStatus) as refusal, market.client(f"/candles/{SYMBOL}/1m?container_width={width}"):
            pass
        assert refusal.value.response.status_code == 403, width


@pytest.mark.contract("D091")
def test_parameters_may_be_changed_before_the_book_is_open(market: Market) -> None:
    for symbol in ("LTCUSDT", "SOLUSDT", "XRPUSDT"):
        with market.client(f"/orderbook/{symbol}?limit=20") as socket:
            socket.send({"type": "update_params", "limit": 50})
            assert socket.next("params_updated")["limit"] == 50
            assert socket.next("orderbook_update")["market_depth_info"]["requested_levels"] == 50


@pytest.mark.contract("D093")
def test_low_priced_symbols_are_shown_at_their_own_tick_and_no_level_is_free(market: Market) -> None:
    listed = market.get("/api/v1/symbols").json()
    finest = min(listed, key=lambda each: each["priceFormat"]["minMove"])
    tick = finest["priceFormat"]["minMove"]
    assert tick <= 1e-6
    with market.client(f"/orderbook/{finest['id']}?limit=20&rounding={tick * 10:.10f}") as socket:
        book = socket.next("orderbook_update")
    assert book["rounding"] == pytest.approx(tick * 10)
    assert min(level["price"] for level in book["bids"]) > 0
    assert len({level["price"] for level in book["bids"]}) == len(book["bids"]) > 1


@pytest.mark.contract("D095")
def test_connections_with_other_parameters_share_one_upstream_subscription(market: Market) -> None:
    wanted = [(5, 0.1), (10, 0.5), (50, 0.01), (10, 0.5)]
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(market.client(f"/orderbook/ETHUSDT?limit={limit}&rounding={rounding}", number))
            for number, (limit, rounding) in enumerate(wanted)
        ]
        for _ in range(3):
            for socket, (limit, rounding) in zip(sockets, wanted, strict=True):
                book = socket.next("orderbook_update")
                assert (len(book["bids"]), book["rounding"]) == (limit, rounding)
        open_ones = [each for each in market.exchange.get("connections") if each["closed_ms"] is None]
        followed = [stream for each in open_ones for stream in each["streams"] if stream.startswith("ethusdt@depth")]
        assert len(followed) == 1


def test_a_connection_gets_no_more_than_ten_books_a_second(market: Market) -> None:
    with market.client(f"/orderbook/{SYMBOL}?limit=5&rounding=1") as socket:
        socket.next("orderbook_update")
        began, count = time.monotonic(), 0
        while time.monotonic() - began < 2:
            socket.next("orderbook_update")
            count += 1
    assert 5 <= count <= 22


@pytest.mark.contract("D096")
@pytest.mark.contract("D097")
@pytest.mark.parametrize("name", ["container_width", "limit"])
@pytest.mark.parametrize(("width", "count"), [(300, 200), (800, 400), (1500, 750), (3000, 1000)])
def test_a_chart_gets_as_many_candles_as_it_is_wide(market: Market, name: str, width: int, count: int) -> None:
    with market.client(f"/candles/{SYMBOL}/1m?{name}={width}") as socket:
        assert socket.next("historical_candles")["count"] == count


@pytest.mark.contract("D098")
@pytest.mark.parametrize("path", [f"/candles/{SYMBOL}/5m", f"/candles/{SYMBOL}?timeframe=5m"])
def test_candles_begin_with_their_history(market: Market, path: str) -> None:
    with market.client(path) as socket:
        history = socket.next()
    assert list(history) == ["type", "symbol", "timeframe", "data", "count", "time_range", "symbolData"]
    assert (history["type"], history["symbol"], history["timeframe"]) == ("historical_candles", SYMBOL, "5m")
    data = history["data"]
    assert history["count"] == len(data) == 400
    assert all(list(candle) == CANDLE_KEYS for candle in data)
    assert all(candle["timestamp"] == candle["time"] * 1000 for candle in data)
    assert {later["timestamp"] - earlier["timestamp"] for earlier, later in pairwise(data)} == {5 * MINUTE_MS}
    assert history["symbolData"] == {"priceFormat": {"type": "price", "precision": 1, "minMove": 0.1}}
    shown = history["time_range"]
    assert list(shown) == ["start_ms", "end_ms", "start", "end"]
    assert (shown["start_ms"], shown["end_ms"]) == (data[0]["timestamp"], data[-1]["timestamp"])


@pytest.mark.contract("D099")
@pytest.mark.parametrize("timeframe", ["1m", "1h", "1w", "1M"])
def test_the_running_candle_goes_on_from_the_history(market: Market, timeframe: str) -> None:
    with market.client(f"/candles/{SYMBOL}/{timeframe}") as socket:
        last = socket.next("historical_candles")["data"][-1]
        updates = [socket.next("candle_update") for _ in range(4)]
    for update in updates:
        assert list(update) == ["type", "symbol", "timeframe", *CANDLE_KEYS, "stream_timestamp"]
        assert update["timestamp"] == update["time"] * 1000 >= last["timestamp"]
        assert 0 < update["low"] <= min(update["open"], update["close"])
        assert update["high"] >= max(update["open"], update["close"])
        if update["timestamp"] == last["timestamp"]:
            assert update["open"] == last["open"]
            assert update["volume"] >= last["volume"] * 0.999999
            assert update["high"] >= last["high"]
            assert update["low"] <= last["low"]


@pytest.mark.contract("D100")
@pytest.mark.contract("D101")
@pytest.mark.parametrize("path", [f"/trades/{SYMBOL}", f"/trades?symbol={SYMBOL}"])
def test_trades_come_as_whole_lists_newest_first_and_none_twice(market: Market, path: str) -> None:
    with market.client(path) as socket:
        frames = [socket.next("trades_update") for _ in range(4)]
    assert [frame["initial"] for frame in frames] == [True, False, False, False]
    for frame in frames:
        assert list(frame) == ["type", "symbol", "trades", "initial", "timestamp"]
        assert len(frame["trades"]) == 100
        ids = [int(trade["id"]) for trade in frame["trades"]]
        # The venue numbers them one by one: none is missing either.
        assert ids == list(range(ids[0], ids[0] - 100, -1))
        for trade in frame["trades"]:
            assert list(trade) == TRADE_KEYS
            assert trade["side"] in ("buy", "sell")
    newest = [int(frame["trades"][0]["id"]) for frame in frames]
    assert newest == sorted(newest)


@pytest.mark.contract("D101")
def test_a_delta_socket_sends_new_trades_alone_and_misses_none(market: Market) -> None:
    with market.client(f"/trades/{SYMBOL}?mode=delta") as socket:
        seen = [int(trade["id"]) for trade in reversed(socket.next("trades_update")["trades"])]
        while len(seen) < 130:
            frame = socket.next("trades_update")
            assert frame["initial"] is False
            seen += [int(trade["id"]) for trade in reversed(frame["trades"])]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    with market.client(f"/trades/{SYMBOL}?mode=whole") as socket:
        assert socket.closed() == (4000, "Invalid mode 'whole'. Valid options: list, delta")


@pytest.mark.contract("D115")
@pytest.mark.contract("D119")
@pytest.mark.parametrize("path", PATHS)
def test_a_ping_is_answered_and_what_means_nothing_ends_no_stream(market: Market, path: str) -> None:
    with market.client(path) as socket:
        first = socket.next()
        for message in ("[1]", "7", '"text"', "null", "{", b"\x00\xff", {"type": "nothing"}, {"type": ["ping"]}):
            socket.send(message)
        socket.send({"type": "ping"})
        assert socket.next("pong") == {"type": "pong"}
        assert socket.next(first["type"].replace("historical_candles", "candle_update"))


@pytest.mark.contract("D114")
@pytest.mark.contract("D126")
@pytest.mark.parametrize("path", ["/orderbook/", "/trades/", "/candles/"])
def test_an_unknown_symbol_is_told_with_suggestions_and_ends_the_socket(market: Market, path: str) -> None:
    tail = "/1m" if path == "/candles/" else ""
    with market.client(f"{path}btcusdt{tail}") as socket:
        error = socket.next()
        assert list(error) == ["type", "message"]
        assert error["message"].startswith("Symbol btcusdt not found. Did you mean: BTCUSDT")
        assert socket.closed() == (4000, error["message"])


@pytest.mark.contract("D114")
def test_an_unknown_timeframe_ends_the_socket(market: Market) -> None:
    text = "Invalid timeframe. Valid options: 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, 1w, 1M"
    for path in (f"/candles/{SYMBOL}/1H", f"/candles/{SYMBOL}"):
        with market.client(path) as socket:
            assert socket.next()["message"] == text
            assert socket.closed() == (4000, text)


@pytest.mark.contract("D117")
@pytest.mark.contract("D118")
def test_the_first_subscriber_opens_the_upstream_and_the_last_closes_it(market: Market) -> None:
    symbol, stream = "ADAUSDT", "adausdt@depth@100ms"
    assert stream not in market.upstream()
    with market.client(f"/orderbook/{symbol}") as first:
        first.next("orderbook_update")
        assert stream in market.upstream()
        with market.client(f"/orderbook/{symbol}", 1) as second:
            began = time.monotonic()
            second.next("orderbook_update")
            # The second has its snapshot at once, in whatever process it is.
            assert time.monotonic() - began < 2
        first.next("orderbook_update")
        first.connection.socket.close()
    wait_until(lambda: stream not in market.upstream(), 10, "nobody wants it any more")


@pytest.mark.contract("D120")
@pytest.mark.contract("D123")
def test_a_terminal_opens_its_sockets_in_two_processes_and_all_agree(market: Market) -> None:
    """Candle close, last trade and the book around it are of one market, for any symbol, without any key."""
    for symbol in (SYMBOL, "SOLUSDT", "DOGEUSDT"):
        with terminal(market, symbol, 0) as left, terminal(market, symbol, 1) as right:
            for sockets in (left, right):
                is_consistent(sockets)


@pytest.fixture
def symbols(market: Market) -> list[str]:
    return [each["id"] for each in market.get("/api/v1/symbols").json()]


class Terminal(ExitStack):
    """The four sockets that a terminal has open."""

    def __init__(self, market: Market, symbol: str, number: int) -> None:
        super().__init__()
        paths = {
            "book": f"/orderbook/{symbol}?limit=10&rounding=0.0000001",
            "trades": f"/trades/{symbol}",
            "candles": f"/candles/{symbol}/1m",
            "liquidations": f"/liquidations/{symbol}?timeframe=1m",
        }
        self.sockets: dict[str, Client] = {
            name: self.enter_context(market.client(path, number)) for name, path in paths.items()
        }


def terminal(market: Market, symbol: str, number: int) -> Terminal:
    return Terminal(market, symbol, number)


def is_consistent(terminal: Terminal) -> None:
    """Within the moment that the sockets are read one after the other, in which the market may move a little."""
    sockets = terminal.sockets
    sockets["candles"].next("historical_candles")
    close = sockets["candles"].next("candle_update", 40)["close"]
    trades = sockets["trades"].next("trades_update")["trades"]
    book = sockets["book"].next("orderbook_update")
    assert sockets["liquidations"].next("liquidation_order")["initial"] is True
    recent = [trade["price"] for trade in trades]
    slack = 0.005 * close
    assert min(recent) - slack <= close <= max(recent) + slack
    assert book["bids"][0]["price"] - slack <= recent[0] <= book["asks"][-1]["price"] + slack


@pytest.mark.contract("D108")
@pytest.mark.contract("D111")
def test_liquidation_volume_covers_the_time_of_the_candles(market: Market) -> None:
    with market.client(f"/candles/{SYMBOL}/5m?limit=3000") as candles:
        shown = candles.next("historical_candles")["time_range"]
        with market.client(f"/liquidations/{SYMBOL}?timeframe=5m") as liquidations:
            volume = liquidations.next("liquidation_volume", 40)
    assert volume["is_update"] is False
    times = [bucket["timestamp_ms"] for bucket in volume["data"]]
    assert shown["start_ms"] <= times[0]
    # The running candle's are among them, or are to come.
    assert times[-1] <= shown["end_ms"] + 5 * MINUTE_MS


def books(socket: Client, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        yield socket.next("orderbook_update")


@pytest.mark.contract("D089")
def test_prices_are_exact_multiples_of_the_rounding(market: Market) -> None:
    with market.client(f"/orderbook/{SYMBOL}?limit=50&rounding=0.3") as socket:
        for book in books(socket, 5):
            for level in (*book["bids"], *book["asks"]):
                assert Decimal(str(level["price"])) % Decimal("0.3") == 0
