"""Which of Binance's streams is where, and how it is subscribed."""

import json
from itertools import count
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.venues.binance.routes import (
    MAX_STREAMS,
    STREAMS_PER_COMMAND,
    command,
    commands,
    connections,
    route_of,
    stream_name,
    stream_url,
)

BASE = "wss://fstream.binance.com"


@pytest.mark.parametrize(
    ("stream", "route"),
    [
        ("!forceOrder@arr", "market"),
        ("btcusdt@forceOrder", "market"),
        ("btcusdt@aggTrade", "market"),
        ("btcusdt@kline_1m", "market"),
        ("!ticker@arr", "market"),
        ("!markPrice@arr@1s", "market"),
        ("btcusdt@depth@100ms", "public"),
        ("btcusdt@depth20", "public"),
        ("btcusdt@rpiDepth@500ms", "public"),
        ("btcusdt@bookTicker", "public"),
        ("!bookTicker", "public"),
        ("币安人生usdt@depth", "public"),
    ],
)
def test_order_books_are_public_and_all_else_is_market(stream: str, route: str) -> None:
    assert route_of(stream) == route


def test_addresses_are_the_routed_ones_of_2026() -> None:
    assert stream_url(BASE, "market", ["!forceOrder@arr"]) == f"{BASE}/market/stream?streams=!forceOrder@arr"
    assert stream_url(BASE, "public", ["a@depth", "b@depth"]) == f"{BASE}/public/stream?streams=a@depth/b@depth"
    assert stream_url(BASE, "market") == f"{BASE}/market/stream"


def test_symbols_of_any_script_are_percent_encoded() -> None:
    url = stream_url(BASE, "market", [stream_name("币安人生USDT", "aggTrade")])
    assert url.isascii()
    assert unquote(urlsplit(url).query) == "streams=币安人生usdt@aggTrade"


@given(st.lists(st.from_regex(r"\A[a-z]{1,3}@(depth|aggTrade|bookTicker|kline_1m)\Z"), max_size=900))
def test_connections_carry_every_stream_once_on_its_route_and_no_more_than_fit(streams: list[str]) -> None:
    shared = list(connections(streams))
    carried = [stream for _, members in shared for stream in members]
    assert len(carried) == len(set(carried))
    assert set(carried) == set(streams)
    assert all(0 < len(members) <= MAX_STREAMS for _, members in shared)
    assert all(route_of(stream) == route for route, members in shared for stream in members)


def test_commands_are_json_with_their_id() -> None:
    subscribe = json.loads(command("SUBSCRIBE", 3, ["btcusdt@aggTrade"]))
    assert subscribe == {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 3}
    assert json.loads(command("LIST_SUBSCRIPTIONS", 4)) == {"method": "LIST_SUBSCRIPTIONS", "id": 4}


@given(st.integers(0, MAX_STREAMS))
def test_many_streams_are_asked_for_in_frames_of_a_sensible_size_with_ids_of_their_own(number: int) -> None:
    streams = [f"s{n}usdt@aggTrade" for n in range(number)]
    frames = [(id, json.loads(frame)) for id, frame in commands("SUBSCRIBE", streams, count(5))]
    assert [stream for _, frame in frames for stream in frame["params"]] == streams
    assert [(id, frame["id"], frame["method"]) for id, frame in frames] == [
        (id, id, "SUBSCRIBE") for id in range(5, 5 + len(frames))
    ]
    assert all(0 < len(frame["params"]) <= STREAMS_PER_COMMAND for _, frame in frames)
