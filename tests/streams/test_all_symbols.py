"""The socket of all symbols: filters, resuming, and who may connect."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streams.models import OutboxOrder
from tests.live import LiveServer, serving
from tests.streams.sockets import announce, client, liquidation, numbers_start, store


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving("asgi", tmp_path_factory.mktemp("all-symbols"), CORS_ORIGINS="https://a.example") as live:
        yield live


@pytest.fixture(autouse=True)
def first(committed: None) -> int:
    """The number before the first order of the test."""
    return numbers_start()


def test_filters_of_the_query_and_of_messages_decide_what_comes(server: LiveServer) -> None:
    small, large = liquidation(quantity="1", price="10"), liquidation(symbol="ETHUSDT", quantity="1", price="1000")
    with client(server, "/liquidations?min_usd=500&side=sell") as socket:
        feed = socket.next()
        assert (feed["type"], feed["feed"], feed["simulated"]) == ("feed", "none", False)
        announce(small, large)
        assert socket.orders(1)[0]["symbol"] == "ETHUSDT"
        socket.send({"type": "filter", "min_usd": None, "symbols": ["btcusdt"]})
        answer = socket.next("filter")
        assert (answer["min_usd"], answer["side"], answer["symbols"]) == (None, "SELL", ["BTCUSDT"])
        socket.send({"type": "filter", "side": "up"})
        assert socket.next("error")["message"] == "side must be BUY or SELL"
        socket.send(f'{{"type":"filter","min_usd":{"9" * 400}}}')
        assert socket.next("error")["message"] == "min_usd must be a number from 0 on"
        announce(liquidation(symbol="ETHUSDT"), liquidation(side="BUY"), liquidation(quantity="3"))
        assert socket.orders(1)[0]["data"]["quantity"] == "3"


def test_resuming_misses_nothing_and_repeats_nothing(server: LiveServer, first: int) -> None:
    at = liquidation().event_ms
    store(*[liquidation(at + n) for n in range(30)])
    with client(server, f"/liquidations?since={first + 10}") as socket:
        announce(*[liquidation(at + 30 + n) for n in range(5)])
        feed = socket.next()
        assert (feed["resumed_from"], feed["complete"]) == (first + 10, True)
        frames = socket.orders(25)
    assert [frame["sequence"] for frame in frames] == list(range(first + 11, first + 36))
    assert all(frame["previous"] == frame["sequence"] - 1 for frame in frames)


def test_resuming_from_more_than_an_hour_ago_is_said_to_be_incomplete(server: LiveServer, first: int) -> None:
    at = liquidation().event_ms
    store(*[liquidation(at + n) for n in range(4)])
    OutboxOrder.objects.filter(sequence__lte=first + 2).update(stored_ms=at - 2 * 3_600_000)
    with client(server, f"/liquidations?since={first}") as socket:
        feed = socket.next()
        assert (feed["resumed_from"], feed["complete"]) == (first + 2, False)
        assert feed["message"] == f"Orders before sequence {first + 3} were stored more than an hour ago"
        assert [frame["sequence"] for frame in socket.orders(2)] == [first + 3, first + 4]


def test_pages_of_other_origins_are_refused(server: LiveServer) -> None:
    own = f"http://127.0.0.1:{server.port}"
    for allowed in (own, "https://a.example"):
        with client(server, "/liquidations", origin=allowed) as socket:
            assert socket.next()["type"] == "feed"
    for other in ("https://b.example", "null", "foo", "http://["):
        with pytest.raises(InvalidStatus) as refused, client(server, "/liquidations", origin=other):
            pass
        assert refused.value.response.status_code == 403, other


def test_a_client_that_talks_too_much_is_told_so(server: LiveServer) -> None:
    with client(server, "/liquidations") as socket:
        # The server may have closed it before the last ones.
        with suppress(ConnectionClosed):
            for _ in range(45):
                socket.send("{}")
        assert socket.closed() == (4000, "Too many messages: 20 a second are allowed")
