"""Cached answers are the answers: rows D018 and D019."""

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cachemgmt import hits
from liquidations.table import table_profile_reset
from tests.factories import DAY, HOUR, T0, order

Ask = Callable[..., Any]
Write = Callable[..., Any]

WINDOW = {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY}
LATEST = {"symbol": "BTCUSDT", "limit": 5}
REQUESTS: list[tuple[str, dict[str, object]]] = [
    ("/api/liquidations", {"timeframe": "5m", **WINDOW}),
    ("/api/liquidations", {"timeframe": "1h", "numbers": "string", "fill": "zero", **WINDOW}),
    ("/api/liquidation-orders", WINDOW),
    ("/api/liquidation-orders", LATEST),
    ("/api/symbols", {}),
]


@pytest.fixture
def day(write: Write) -> None:
    write([order(T0 + hour * HOUR + 7, symbol) for hour in range(24) for symbol in ("BTCUSDT", "ÜUSDT")])


@pytest.fixture
def fail(settings: Any) -> Iterator[Callable[[], None]]:
    """From when it is called on, whatever is asked of the table fails."""

    def fail() -> None:
        settings.DB_LIQ_TABLENAME = "no_such_table"
        table_profile_reset()

    yield fail
    table_profile_reset()


@pytest.mark.contract("D018")
@pytest.mark.parametrize("accepted", ["identity", "gzip"])
@pytest.mark.parametrize(("path", "parameters"), REQUESTS)
def test_cold_cached_and_stale_answers_are_equal_to_the_byte(
    day: None, write: Write, ask: Ask, fail: Callable[[], None], path: str, parameters: Any, accepted: str
) -> None:
    def answer() -> Any:
        return ask(path, {"accept-encoding": accepted}, **parameters)

    cold = answer()
    hits.remembered.clear()
    by_view, fast = answer(), answer()
    write([order(T0 + 9, symbol) for symbol in ("BTCUSDT", "NEWUSDT")])
    fail()
    stale = answer()
    assert [reply.headers["X-Cache"] for reply in (cold, by_view, fast, stale)] == ["miss", "hit", "hit", "stale"]
    assert {reply.status_code for reply in (cold, by_view, fast, stale)} == {200}
    assert cold.content == by_view.content == fast.content == stale.content


@pytest.mark.contract("D018")
@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_a_cached_timestamp_is_an_integer(day: None, ask: Ask, accepted: str) -> None:
    for path, parameters, name in (
        ("/api/liquidations", {"timeframe": "1h", **WINDOW}, "timestamp"),
        ("/api/liquidation-orders", LATEST, "order_trade_time"),
    ):
        replies = [ask(path, {"accept-encoding": accepted}, **parameters) for _ in range(2)]
        assert [reply.headers["X-Cache"] for reply in replies] == ["miss", "hit"]
        for reply in replies:
            body = reply.content if accepted == "identity" else zlib.decompress(reply.content, 31)
            assert all(type(row[name]) is int for row in json.loads(body))


@pytest.mark.contract("D019")
@pytest.mark.parametrize(
    ("path", "kept", "changes", "status"),
    [
        ("/api/liquidation-orders", LATEST, WINDOW, 400),  # both ways of asking at once
        ("/api/liquidation-orders", LATEST, {"start_timestamp": T0}, 400),
        ("/api/liquidation-orders", LATEST, {"limit": 0}, 422),
        ("/api/liquidation-orders", WINDOW, LATEST, 400),
        ("/api/liquidation-orders", WINDOW, {"page": 0}, 422),
        ("/api/liquidations", {"timeframe": "1h", **WINDOW}, {"start_timestamp": T0 + 2 * DAY}, 400),
        ("/api/liquidations", {"timeframe": "1h", **WINDOW}, {"timeframe": "1w"}, 400),
        ("/api/liquidations", {"timeframe": "1h", **WINDOW}, {"fill": "yes"}, 422),
    ],
)
def test_a_cached_answer_does_not_change_what_is_refused(
    day: None, ask: Ask, path: str, kept: Any, changes: Any, status: int
) -> None:
    refused = ask(path, **kept | changes)
    assert refused.status_code == status
    for state in ("miss", "hit"):
        assert ask(path, **kept).headers["X-Cache"] == state
    for _ in range(2):
        again = ask(path, **kept | changes)
        assert (again.status_code, again.content) == (status, refused.content)
        assert "X-Cache" not in again.headers
