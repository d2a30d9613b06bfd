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
from marketdata.types import Liquidation, Side, Trade
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
WRAPPINGS = {
    "bare": lambda event: event,
    "combined": lambda event: {"stream": "!forceOrder@arr", "data": event},
    "array": lambda event: [event],
    "combined array": lambda event: {"stream": "!forceOrder@arr", "data": [event]},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_events_are_the_same_however_they_are_wrapped(wrapping: str) -> None:
    for event, expected in ((force_order(), LIQUIDATION), (agg_trade(), TRADE)):
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
    '{"e":"kline"}', '{"stream":"x","data":{"e":"depthUpdate"}}', '{"e":"forceOrder","E":1}', "[" * 100_000, "\ud800",
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


def test_recorded_aggregate_trades_decode_and_other_streams_are_refused(recordings: Path) -> None:
    trades = refused = 0
    lines = gzip.decompress((recordings / "wsraw_multi_2021-07-22.ws.txt.gz").read_bytes()).splitlines()
    for line in lines:
        _, separator, frame = line.partition(b": ")
        if not separator or b"<->" in line:
            continue
        if b'"e":"aggTrade"' in frame:
            [event] = decode(frame, NOW)
            assert isinstance(event, Trade)
            assert str(event.quantity) == json.loads(frame)["data"]["q"]
            trades += 1
        else:
            with pytest.raises(VenuePayloadError):
                decode(frame, NOW)
            assert carries_data(frame)
            refused += 1
    assert (trades, refused) == (91, 764 + 613 + 67)


# Broken frames ----------------------------------------------------------------------------------------------------


def is_sound(event: Liquidation | Trade | CommandReply) -> bool:
    if isinstance(event, CommandReply):
        return True
    numbers = [value for name in event.__struct_fields__ if isinstance(value := getattr(event, name), Decimal)]
    return bool(event.symbol) and all(0 <= number < 10**25 for number in numbers) and 0 < event.event_ms < 10**15


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
        for event in (force_order(), force_order(s="牛来USDT"), agg_trade())
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


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["forceOrder", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*"eEoasSpqTmXflz", "data", "id", "ap", "result", "error", "code"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_gives_events_or_a_payload_error(value: Any) -> None:
    understood(json.dumps(value))


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_and_any_text_give_events_or_a_payload_error(frame: bytes | str) -> None:
    understood(frame)
