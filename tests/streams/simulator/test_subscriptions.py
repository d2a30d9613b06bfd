"""Addresses of connections, and the requests that are sent over them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.kinds import route_of
from streams.simulator.subscriptions import Subscriptions, Target, target_of


def subscriptions(limit: int = 1024) -> Subscriptions:
    return Subscriptions(limit, lambda _: None, lambda _: None)


def answer(to: Subscriptions, **request: Any) -> Any:
    return json.loads(to.answer(json.dumps(request).encode()))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/market/ws/!forceOrder@arr", Target("market", False, ("!forceOrder@arr",))),
        ("/market/ws/btcusdt@aggTrade/b@x", Target("market", False, ("btcusdt@aggTrade", "b@x"))),
        ("/market/ws", Target("market", False, ())),
        ("/market/ws/", Target("market", False, ())),
        ("/market/stream?streams=a@x/b@x", Target("market", True, ("a@x", "b@x"))),
        ("/market/stream", Target("market", True, ())),
        ("/public/stream?streams=btcusdt@depth", Target("public", True, ("btcusdt@depth",))),
        ("/market/ws/%E5%B8%81usdt@forceOrder", Target("market", False, ("币usdt@forceOrder",))),
        ("/market/stream?streams=%E5%B8%81usdt%40forceOrder", Target("market", True, ("币usdt@forceOrder",))),
        ("/ws/btcusdt@aggTrade", Target(None, False, ("btcusdt@aggTrade",))),
        ("/stream?streams=btcusdt@aggTrade", Target(None, True, ("btcusdt@aggTrade",))),
        ("/private/ws", None),
        ("/market", None),
        ("/market/stream/a@x", None),
        ("/", None),
    ],
)  # fmt: skip
def test_the_address_says_route_mode_and_streams(path: str, target: Target | None) -> None:
    assert target_of(path) == target


@pytest.mark.parametrize(
    ("stream", "route"),
    [
        ("!forceOrder@arr", "market"),
        ("btcusdt@forceOrder", "market"),
        ("btcusdt@aggTrade", "market"),
        ("btcusdt@markPrice@1s", "market"),
        ("btcusdt@kline_1m", "market"),
        ("btcusdt@depth@100ms", "public"),
        ("btcusdt@depth20", "public"),
        ("btcusdt@bookTicker", "public"),
        ("!bookTicker", "public"),
        ("btcusdt@trade", "public"),
    ],
)
def test_books_go_by_the_public_route_and_all_else_by_market(stream: str, route: str) -> None:
    assert route_of(stream) == route


def test_subscribing_unsubscribing_and_listing() -> None:
    mine = subscriptions()
    assert answer(mine, method="SUBSCRIBE", params=["a@x", "b@x", "a@x"], id=1) == {"result": None, "id": 1}
    assert answer(mine, method="LIST_SUBSCRIPTIONS", id=2) == {"result": ["a@x", "b@x"], "id": 2}
    assert answer(mine, method="UNSUBSCRIBE", params=["a@x", "never@x"], id="abc") == {"result": None, "id": "abc"}
    assert answer(mine, method="LIST_SUBSCRIPTIONS", id=3)["result"] == ["b@x"]


def test_changes_are_told_once() -> None:
    changes: list[str] = []
    mine = Subscriptions(9, lambda stream: changes.append(f"+{stream}"), lambda stream: changes.append(f"-{stream}"))
    mine.add(["a", "b", "a"])
    mine.add(["b"])
    mine.remove(["a", "a"])
    assert changes == ["+a", "+b", "-a"]


def test_more_streams_than_allowed_are_refused_and_none_is_added() -> None:
    mine = subscriptions(limit=2)
    refused = answer(mine, method="SUBSCRIBE", params=["a", "b", "c"], id=1)
    assert (refused["error"]["code"], refused["id"]) == (2, 1)
    assert answer(mine, method="LIST_SUBSCRIPTIONS", id=2)["result"] == []


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (b"{", 3, "Invalid JSON"),
        (b"\xff", 3, "Invalid JSON"),
        (b"[1]", 2, "missing field `method`"),
        (b'{"id":1}', 2, "missing field `method`"),
        (b'{"method":"SUBSCRIBE","params":["a"]}', 2, "request ID must be an unsigned integer"),
        (b'{"method":"SUBSCRIBE","params":["a"],"id":-1}', 2, "request ID must be an unsigned integer"),
        (b'{"method":"SUBSCRIBE","params":["a"],"id":true}', 2, "request ID must be an unsigned integer"),
        (b'{"method":"SUBSCRIBE","params":"a","id":1}', 2, "params"),
        (b'{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "params"),
        (b'{"method":"subscribe","params":["a"],"id":1}', 2, "unknown variant `subscribe`"),
    ],
)
def test_what_cannot_be_understood_is_answered_with_its_error(request_: bytes, code: int, words: str) -> None:
    error = json.loads(subscriptions().answer(request_))["error"]
    assert error["code"] == code
    assert words in error["msg"]


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["method", "params", "id"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_a_client_sends_is_answered(message: bytes) -> None:
    assert json.loads(subscriptions().answer(message)).keys() & {"result", "error"}
