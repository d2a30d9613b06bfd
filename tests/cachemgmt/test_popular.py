"""Learning which requests are made most often: cheap, bounded, and of no consequence when it fails."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from cachemgmt import popular as learning
from cachemgmt.popular import MAX_CHARACTERS, MAX_COUNTED, Popularity, popular, popularity
from cachemgmt.stores import store
from tests.cache import cache_empty
from tests.factories import T0, order
from tests.live import wait_until

Ask = Callable[..., Any]
Write = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_empty()
    monkeypatch.setattr(popularity, "counts", {})
    monkeypatch.setattr(popularity, "next_flush", time.monotonic() + 3600)


def test_answered_requests_are_counted_made_or_kept(write: Write, client: Any) -> None:
    write([order(T0)])
    for _ in range(3):
        assert client.get("/api/liquidation-orders?symbol=BTCUSDT&limit=5").status_code == 200
    assert client.get("/api/symbols").status_code == 200
    assert popularity.counts == {("/api/liquidation-orders", "symbol=BTCUSDT&limit=5"): 3, ("/api/symbols", ""): 1}


def test_requests_that_are_refused_or_find_nothing_are_not_counted(write: Write, client: Any) -> None:
    for _ in range(2):
        assert client.get("/api/liquidation-orders?symbol=BTCUSDT&limit=0").status_code == 422
        assert client.get("/api/liquidation-orders?symbol=BTCUSDT").status_code == 400
        assert client.get("/api/liquidation-orders?symbol=NONE&limit=5").status_code == 404
    assert popularity.counts == {}


def test_the_most_frequent_come_first_and_what_was_asked_once_not_at_all() -> None:
    counted = Popularity()
    for path, query, count in [("/a", "x=1", 2), ("/b", "", 5), ("/a", "y=?&z", 3), ("/a", "once", 1)]:
        for _ in range(count):
            counted.count(path, query)
    counted.flush()
    assert popular(10) == [("/b", ""), ("/a", "y=?&z"), ("/a", "x=1")]
    assert popular(1) == [("/b", "")]


def test_counts_of_several_processes_add_up() -> None:
    for _ in range(2):
        one = Popularity()
        one.count("/a", "")
        one.flush()
        one.flush()
    assert store().learned(5) == [("/a?", 2)]


def test_the_store_is_told_once_in_a_while_and_not_by_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Popularity()
    counted.count("/a", "")
    assert store().learned(5) == []
    monkeypatch.setattr(counted, "next_flush", time.monotonic() - 1)
    counted.count("/a", "")
    assert counted.next_flush > time.monotonic()
    wait_until(lambda: store().learned(5) == [("/a?", 2)], 10, "the store has learned")


def test_nobody_fills_memory_with_requests() -> None:
    counted = Popularity()
    for number in range(MAX_COUNTED + 100):
        counted.count("/a", str(number))
    counted.count("/a", "1")
    counted.count("/b", "x" * (MAX_CHARACTERS + 1))
    assert len(counted.counts) == MAX_COUNTED
    assert counted.counts["/a", "1"] == 2


def test_counting_costs_next_to_nothing() -> None:
    counted = Popularity()
    began = time.perf_counter()
    for _ in range(10_000):
        counted.count("/api/liquidation-orders", "symbol=BTCUSDT&limit=5")
    # 0.3 µs each here; the limit is for busy machines.
    assert (time.perf_counter() - began) / 10_000 < 50e-6
    assert learning.FLUSH_S >= 30
