"""Binance's frames: the recorded ones, every way to wrap them, and 5 000 that are broken."""

import gzip
import json
import os
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.errors import VenuePayloadError
from marketdata.types import BookTicker, Candle, DepthDelta, Kline, Liquidation, Side, Trade
from marketdata.venues.binance.payloads import Event
from marketdata.venues.binance.wire import CommandReply, carries_data, decode, reply_of

NOW = 1_790_000_000_000
MUTATIONS = 100_000 if os.environ.get("LIQUI_SOAK") else 5_000


def force_order(**changes: Any) -> dict[str, Any]:
    order = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.115", "p": "26142.12", "ap": "26245.10",
        "X": "FILLED", "l": "0.015", "z": "0.115", "T": 1695714031881, "ps": "BTCUSDT", "st": 1,
    }  # fmt: skip
    return {"e": "forceOrder", "E": 1695714031883, "o": {**order, **changes}}


def agg_trade(**changes: Any) -> dict[str, Any]:
    trade = {"e": "aggTrade", "E": 1626992741575, "a": 16599292, "s": "CTKUSDT", "p": "1.01100", "q": "10",
             "nq": "10", "f": 23961322, "l": 23961322, "T": 1626992741421, "m": False}  # fmt: skip
    return {**trade, **changes}


def depth_update(**changes: Any) -> dict[str, Any]:
    update = {"e": "depthUpdate", "E": 1626992741037, "T": 1626992741024, "s": "SUSHIUSDT", "U": 600859599090,
              "u": 600859600917, "pu": 600859598061, "b": [["7.5040", "813"], ["7.6090", "0"]],
              "a": [["7.6150", "1563"]]}  # fmt: skip
    return {**update, **changes}


def kline(**changes: Any) -> dict[str, Any]:
    row = {"t": 1626992700000, "T": 1626992759999, "s": "AKROUSDT", "i": "1m", "f": 27931328, "L": 27931348,
           "o": "0.01731", "c": "0.01732", "h": "0.01733", "l": "0.01730", "v": "156058", "n": 21, "x": False,
           "q": "2702.20770", "V": "68508", "Q": "1186.71720", "B": "0"}  # fmt: skip
    return {"e": "kline", "E": 1626992742139, "s": "AKROUSDT", "k": {**row, **changes}}


def single_trade(**changes: Any) -> dict[str, Any]:
    trade = {"e": "trade", "E": 1721347022956, "T": 1721347022955, "s": "BTCUSDT", "t": 5182005737, "p": "63943.90",
             "q": "0.003", "X": "MARKET", "m": True}  # fmt: skip
    return {**trade, **changes}


def book_ticker(**changes: Any) -> dict[str, Any]:
    ticker = {"e": "bookTicker", "u": 4984028370881, "s": "BTCUSDT", "b": "63943.90", "B": "46.371", "a": "63944.00",
              "A": "0", "T": 1721347022506, "E": 1721347022507}  # fmt: skip
    return {**ticker, **changes}


LIQUIDATION = Liquidation(
    venue="binance",
    symbol="BTCUSDT",
    side=Side.SELL,
    order_type="LIMIT",
    time_in_force="IOC",
    status="FILLED",
    original_quantity=Decimal("0.115"),
    price=Decimal("26142.12"),
    average_price=Decimal("26245.10"),
    last_filled_quantity=Decimal("0.015"),
    filled_quantity=Decimal("0.115"),
    event_ms=1695714031881,
    sent_ms=1695714031883,
    received_ms=NOW,
)
TRADE = Trade(
    venue="binance",
    symbol="CTKUSDT",
    id=16599292,
    price=Decimal("1.01100"),
    quantity=Decimal(10),
    taker_side=Side.BUY,
    event_ms=1626992741421,
    received_ms=NOW,
    first_trade_id=23961322,
    last_trade_id=23961322,
)
DELTA = DepthDelta(
    venue="binance",
    symbol="SUSHIUSDT",
    first_id=600859599090,
    final_id=600859600917,
    previous_final_id=600859598061,
    bids=[(Decimal("7.5040"), Decimal(813)), (Decimal("7.6090"), Decimal(0))],
    asks=[(Decimal("7.6150"), Decimal(1563))],
    event_ms=1626992741024,
)
KLINE = Kline(
    candle=Candle(
        venue="binance",
        symbol="AKROUSDT",
        timeframe="1m",
        open_ms=1626992700000,
        open=Decimal("0.01731"),
        high=Decimal("0.01733"),
        low=Decimal("0.01730"),
        close=Decimal("0.01732"),
        volume=Decimal(156058),
        quote_volume=Decimal("2702.20770"),
        taker_buy_volume=Decimal(68508),
        taker_buy_quote_volume=Decimal("1186.71720"),
        trade_count=21,
        is_closed=False,
    ),
    first_trade_id=27931328,
    last_trade_id=27931348,
    event_ms=1626992742139,
)
SINGLE_TRADE = Trade(
    venue="binance",
    symbol="BTCUSDT",
    id=5182005737,
    price=Decimal("63943.90"),
    quantity=Decimal("0.003"),
    taker_side=Side.SELL,
    event_ms=1721347022955,
    received_ms=NOW,
    first_trade_id=5182005737,
    last_trade_id=5182005737,
)
BOOK_TICKER = BookTicker(
    venue="binance",
    symbol="BTCUSDT",
    update_id=4984028370881,
    best_bid=(Decimal("63943.90"), Decimal("46.371")),
    best_ask=(Decimal("63944.00"), Decimal(0)),
    event_ms=1721347022506,
)
EVENTS = [
    (force_order(), LIQUIDATION),
    (agg_trade(), TRADE),
    (depth_update(), DELTA),
    (kline(), KLINE),
    (single_trade(), SINGLE_TRADE),
    (book_ticker(), BOOK_TICKER),
]
WRAPPINGS = {
    "bare": lambda event: event,
    "combined": lambda event: {"stream": "!forceOrder@arr", "data": event},
    "array": lambda event: [event],
    "combined array": lambda event: {"stream": "!forceOrder@arr", "data": [event]},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_events_are_the_same_however_they_are_wrapped(wrapping: str) -> None:
    for event, expected in EVENTS:
        text = json.dumps(WRAPPINGS[wrapping](event))
        for frame in (text, text.encode(), json.dumps(WRAPPINGS[wrapping](event), indent=1)):
            assert decode(frame, NOW) == [expected]
            assert carries_data(frame)


def test_several_events_of_a_frame_stay_in_order() -> None:
    frame = json.dumps([force_order(), agg_trade(), force_order(s="牛来USDT")])
    first, second, third = decode(frame, NOW)
    assert (first, second) == (LIQUIDATION, TRADE)
    assert isinstance(third, Liquidation)
    assert third.symbol == "牛来USDT"


def test_an_average_price_of_zero_is_none_and_a_price_of_zero_is_a_price() -> None:
    for zero in ("0", "0.00000"):
        [event] = decode(json.dumps(force_order(ap=zero, p=zero, X="NEW", z="0")), NOW)
        assert isinstance(event, Liquidation)
        assert (event.average_price, event.price, event.filled_quantity) == (None, 0, 0)


def test_decimals_have_exactly_the_digits_that_were_sent() -> None:
    [event] = decode(json.dumps(force_order(p="12345678901234567890.123456789012345678")), NOW)
    assert isinstance(event, Liquidation)
    assert str(event.price) == "12345678901234567890.123456789012345678"


def test_a_buyer_that_was_resting_means_that_the_taker_sold() -> None:
    [event] = decode(json.dumps(agg_trade(m=True)), NOW)
    assert isinstance(event, Trade)
    assert event.taker_side is Side.SELL


@pytest.mark.parametrize("kind", ["INSURANCE_FUND", "ADL", "NA"])
def test_prints_that_are_not_of_the_market_are_no_trades(kind: str) -> None:
    assert decode(json.dumps(agg_trade(X=kind)), NOW) == []
    assert decode(json.dumps(agg_trade(X="MARKET")), NOW) == [TRADE]
    assert decode(json.dumps(single_trade(X=kind)), NOW) == []


def test_a_print_outside_the_market_may_have_no_price() -> None:
    assert decode(json.dumps(single_trade(X="NA", p="0", q="0")), NOW) == []


def test_a_kline_without_trades_is_empty_and_names_no_trades() -> None:
    [event] = decode(json.dumps(kline(n=0, f=-1, L=-1, v="0", q="0", V="0", Q="0", x=True)), NOW)
    assert isinstance(event, Kline)
    assert (event.first_trade_id, event.last_trade_id) == (-1, -1)
    assert (event.candle.is_empty, event.candle.is_closed) == (True, True)


@pytest.mark.parametrize("interval", ["1m", "3d", "1w", "1M"])
def test_klines_of_every_timeframe_are_understood(interval: str) -> None:
    [event] = decode(json.dumps(kline(i=interval)), NOW)
    assert isinstance(event, Kline)
    assert event.candle.timeframe == interval


def test_an_update_may_change_one_side_alone() -> None:
    [event] = decode(json.dumps(depth_update(b=[])), NOW)
    assert isinstance(event, DepthDelta)
    assert (event.bids, len(event.asks)) == ([], 1)


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        ('{"result":null,"id":7}', CommandReply(id=7)),
        ('{"id":7,"result":["btcusdt@aggTrade"]}', CommandReply(id=7, streams=["btcusdt@aggTrade"])),
        ('{"code":2,"msg":"Invalid request"}', CommandReply(id=None, error="Invalid request (code 2)")),
        ('{"error":{"code":3,"msg":"Invalid JSON"},"id":"a"}', CommandReply(id="a", error="Invalid JSON (code 3)")),
        ('{"error":{"code":3},"id":null}', CommandReply(id=None, error=" (code 3)")),
    ],
)
def test_answers_to_commands_are_told_from_events(frame: str, reply: CommandReply) -> None:
    assert decode(frame, NOW) == [reply]
    assert not carries_data(frame)
    assert reply_of(frame) == reply


NOT_UNDERSTOOD = [
    "", "null", "7", "{}", '{"id":1}', '{"result":null}', "[1]", '{"data":null}', '{"data":{}}', '{"stream":"x"}',
    '{"e":"kline"}', '{"stream":"x","data":{"e":"depthUpdate"}}', '{"e":"markPriceUpdate"}',
    '{"e":"forceOrder","E":1}', "[" * 100_000, "\ud800",
    b"\xff", json.dumps(force_order())[:-1], json.dumps([force_order()])[:-1], json.dumps(force_order()) + "x",
    *(
        json.dumps(force_order(**change))
        for change in (
            {"s": ""}, {"s": "BTC USDT"}, {"s": "BTCUSDT\n"}, {"s": None}, {"s": "A" * 65}, {"S": "HOLD"},
            {"q": "NaN"}, {"q": "Infinity"}, {"q": "-1"}, {"q": "1e5"}, {"q": ""}, {"q": "1\n"}, {"q": "١"},
            {"q": 0.115}, {"q": "1" * 26}, {"p": "0." + "1" * 19}, {"ap": None}, {"l": "1_0"}, {"T": 0}, {"T": -5},
            {"T": "1"}, {"T": 253_402_300_800_000}, {"T": 1.5}, {"X": "x y"}, {"o": ["LIMIT"]}, {"f": ""},
        )
    ),
    *(json.dumps(agg_trade(**change)) for change in ({"p": "0"}, {"q": "0.00"}, {"m": 1}, {"a": -1}, {"a": 2**63})),
    *(json.dumps(single_trade(**change)) for change in ({"p": "0"}, {"q": "0.0"}, {"t": -1}, {"p": "-1"}, {"X": ""})),
    *(
        json.dumps(depth_update(**{side: levels}))
        for side in "ba"
        for levels in (
            None, {}, "", [1], [["1"]], [["1", "1", "1"]], [["1", "1"], None], [["0", "1"]], [["0.00", "1"]],
            [["1", "-1"]], [["1", "NaN"]], [["Infinity", "1"]], [["1e5", "1"]], [["1", "1e-7"]], [[1.5, "1"]],
            [["1", 2]], [["1.", "1"]], [[".5", "1"]], [["", "1"]], [["1.2.3", "1"]], [[" 1", "1"]], [["1_0", "1"]],
            [["+1", "1"]], [["1", "١"]], [["1" * 26, "1"]], [["0." + "1" * 19, "1"]], [["1" * 5000, "1"]],
        )
    ),
    *(json.dumps(depth_update(**change)) for change in ({"U": -1}, {"u": 2**63}, {"pu": None}, {"s": ""}, {"T": 0})),
    *(
        json.dumps(kline(**change))
        for change in (
            {"i": "2m"}, {"i": "1s"}, {"i": "1D"}, {"i": ""}, {"o": "0"}, {"c": "NaN"}, {"v": "-1"}, {"x": 0},
            {"t": 0}, {"n": -1}, {"f": -2}, {"L": "1"}, {"Q": None}, {"s": "A B"},
        )
    ),
    *(json.dumps(book_ticker(**change)) for change in ({"b": "0"}, {"a": ""}, {"B": "-1"}, {"A": "x"}, {"u": -1})),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NOT_UNDERSTOOD)))
def test_what_cannot_be_understood_is_a_payload_error_in_one_line(number: int) -> None:
    with pytest.raises(VenuePayloadError, match=r"\Abinance: a frame that cannot be understood: ") as caught:
        decode(NOT_UNDERSTOOD[number], NOW)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 2000


def test_an_error_names_the_key_and_quotes_the_frame() -> None:
    with pytest.raises(VenuePayloadError, match=r"\$\.o\.q.*BTCUSDT"):
        decode(json.dumps(force_order(q="NaN")), NOW)


def test_frames_of_streams_that_are_not_decoded_still_prove_that_the_venue_is_well() -> None:
    assert carries_data('{"stream":"btcusdt@depth","data":{"e":"depthUpdate"}}')
    assert carries_data('{"e":"kline"}')
    assert reply_of('{"e":"kline"}') is reply_of('{"stream":"x","data":{}}') is None
    for frame in ("", "7", "{}", "x", '{"code":2,"msg":"no"}', b"\xff"):
        assert not carries_data(frame)


# Recordings -------------------------------------------------------------------------------------------------------


def test_recorded_forced_orders_of_every_year_decode(recordings: Path) -> None:
    frames = (recordings / "forceorder_frames_2021_2026.jsonl").read_bytes().splitlines()
    for frame in frames:
        [event] = decode(frame, NOW)
        message = json.loads(frame)
        order = message.get("data", message)["o"]
        assert isinstance(event, Liquidation)
        assert (event.symbol, event.side, str(event.price)) == (order["s"], order["S"], order["p"])
        assert (event.event_ms, str(event.average_price)) == (order["T"], order["ap"])
    assert len(frames) == 7


def count_recorded(lines: Iterator[bytes]) -> dict[str, int]:
    """How many events of each kind the frames hold, each compared with what it says; what is no trade counts apart."""
    counts: dict[str, int] = {}
    for frame in lines:
        message = json.loads(frame)["data"]
        events = decode(frame, NOW)
        for event in events:
            assert_as_recorded(event, message)
        kind = type(events[0]).__name__ if events else f"no {message['e']}"
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def assert_as_recorded(event: Any, message: dict[str, Any]) -> None:
    match event:
        case DepthDelta():
            assert (event.first_id, event.final_id, event.previous_final_id) == tuple(
                message[k] for k in ("U", "u", "pu")
            )
            for side, levels in (("b", event.bids), ("a", event.asks)):
                assert [[str(price), str(quantity)] for price, quantity in levels] == message[side]
        case BookTicker():
            found = [*event.best_bid, *event.best_ask, event.update_id]
            assert [str(value) for value in found] == [str(message[key]) for key in "bBaAu"]
        case Trade():
            assert (str(event.price), str(event.quantity), event.event_ms) == tuple(message[key] for key in "pqT")
            assert event.id == message["a" if message["e"] == "aggTrade" else "t"]
            assert (event.taker_side is Side.SELL) == message["m"]
        case Kline():
            candle, row = event.candle, message["k"]
            values = [candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume]
            assert [str(value) for value in values] == [row[key] for key in "ohlcvq"]
            assert (candle.open_ms, candle.trade_count, candle.is_closed) == (row["t"], row["n"], row["x"])
        case _:
            raise AssertionError(event)


def test_recorded_streams_of_four_symbols_decode(recordings: Path) -> None:
    lines = gzip.decompress((recordings / "wsraw_multi_2021-07-22.ws.txt.gz").read_bytes()).splitlines()
    frames = (line.partition(b": ")[2] for line in lines[1:])
    assert count_recorded(frames) == {"DepthDelta": 764, "BookTicker": 613, "Trade": 91, "Kline": 67}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("day", "deltas", "tickers", "trades", "others", "mark_prices"),
    [
        ("20230404", 4322, 6765, 2197, 0, 99),
        ("20230405", 11788, 37440, 10737, 1, 415),
        ("20240718", 3326, 7113, 974, 0, 0),
        ("20240719", 5696, 45147, 9727, 0, 0),
    ],
)
def test_recorded_streams_of_bitcoin_decode(
    recordings: Path, day: str, deltas: int, tickers: int, trades: int, others: int, mark_prices: int
) -> None:
    lines = gzip.decompress((recordings / f"wsraw_btcusdt_{day}.txt.gz").read_bytes()).splitlines()
    frames = [frame for _, _, frame in (line.partition(b" ") for line in lines) if b'"stream"' in frame[:10]]
    unknown = [frame for frame in frames if b'"e":"markPriceUpdate"' in frame]
    for frame in unknown:
        with pytest.raises(VenuePayloadError):
            decode(frame, NOW)
        assert carries_data(frame)
    counts = count_recorded(frame for frame in frames if b'"e":"markPriceUpdate"' not in frame)
    assert len(unknown) == mark_prices
    # A print of the insurance fund is no trade.
    expected = {"DepthDelta": deltas, "BookTicker": tickers, "Trade": trades, "no trade": others}
    assert counts == {kind: count for kind, count in expected.items() if count}


# Broken frames ----------------------------------------------------------------------------------------------------


def is_sound(event: Event | CommandReply) -> bool:
    if isinstance(event, CommandReply):
        return True
    if isinstance(event, Kline):
        return are_sound(event.candle) and event.candle.open_ms > 0
    levels = [*event.bids, *event.asks] if isinstance(event, DepthDelta) else []
    levels += [event.best_bid, event.best_ask] if isinstance(event, BookTicker) else []
    return are_sound(event) and all(0 < price < 10**25 and 0 <= quantity < 10**25 for price, quantity in levels)


def are_sound(event: Any) -> bool:
    numbers = [value for name in event.__struct_fields__ if isinstance(value := getattr(event, name), Decimal)]
    return bool(event.symbol) and all(0 <= number < 10**25 for number in numbers)


def understood(frame: bytes | str) -> bool:
    """Whether a frame decodes; anything but sound events or a `VenuePayloadError` fails the test."""
    try:
        events = decode(frame, NOW)
    except VenuePayloadError:
        return False
    assert all(map(is_sound, events)), frame
    return True


def mutated(seed: int) -> Iterator[bytes]:
    """Frames with a few bytes changed, cut, doubled, or replaced by a piece of another."""
    chance = random.Random(seed)
    originals = [
        json.dumps(wrap(event), ensure_ascii=False).encode()
        for wrap in WRAPPINGS.values()
        for event in (force_order(s="牛来USDT"), *(event for event, _ in EVENTS))
    ] + [b'{"result":null,"id":1}', b'{"error":{"code":2,"msg":"x"},"id":3}']
    pieces = [b"null", b"NaN", b"-1", b"1e999", b'"', b"{", b"[", b"\x00", b"\xff", b"9" * 400, b'"e":', b"\\ud800"]
    for _ in range(MUTATIONS):
        frame = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(len(frame) + 1)
            end = min(len(frame), start + chance.choice((0, 1, 1, 2, 8, 1000)))
            other = chance.choice(originals)
            cut = chance.randrange(len(other))
            frame[start:end] = chance.choice(
                (
                    b"",
                    bytes([chance.randrange(256)]),
                    chance.choice(pieces),
                    other[cut : cut + 12],
                    bytes(frame[start:end]) * 2,
                )
            )
        yield bytes(frame)


@pytest.mark.slow
def test_mutated_frames_give_events_or_payload_errors_and_nothing_else() -> None:
    outcomes = [understood(frame) for frame in mutated(seed=2026)]
    # Both happen often, or the mutations would prove little.
    assert len(outcomes) == MUTATIONS
    assert 0.02 * MUTATIONS < sum(outcomes) < 0.9 * MUTATIONS


KEYS = [*"eEoasSpqTmXflzbBAkUuti", "pu", "data", "id", "ap", "result", "error", "code"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["forceOrder", "depthUpdate", "kline", "trade", "bookTicker", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*"eEoasSpqTmXflzbBAkUuti", "pu", "data", "id", "ap", "result", "error", "code"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_gives_events_or_a_payload_error(value: Any) -> None:
    understood(json.dumps(value))


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_and_any_text_give_events_or_a_payload_error(frame: bytes | str) -> None:
    understood(frame)
