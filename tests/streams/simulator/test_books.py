"""The book alone: whatever happens to it, a client that joins by the rules has the same."""

from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulator.books import MAX_STEPS, Book, Diff, Diffs, View
from tests.streams.simulator.local_book import LocalBook
from tests.streams.simulator.running import START_MS

LARGEST_SNAPSHOT = 1000

# What happens: a trade so many ticks from the last one, or changes without one; and whether the stream is sent then.
happenings = st.lists(
    st.tuples(st.integers(-30, 30) | st.integers(-2000, 2000) | st.none(), st.booleans()), min_size=1, max_size=30
)


def book_of(seed: int, ticks: int = 84_000) -> Book:
    return Book(Random(seed), list(range(1, 257)), ticks, START_MS)


def happen(book: Book, ticks: int, step: int | None, now_ms: int) -> int:
    """The last price after it."""
    if step is None:
        book.stir(now_ms)
        return ticks
    ticks = max(ticks + step, 1)
    book.trade(ticks, now_ms, is_sell=book.random.random() < 0.5)
    return ticks


def texts(levels: list[tuple[int, int]]) -> list[list[str]]:
    return [[str(ticks), str(lots)] for ticks, lots in levels]


def snapshot(view: View) -> dict[str, Any]:
    return {"lastUpdateId": view.id, "bids": texts(view.bids), "asks": texts(view.asks)}


def message(diff: Diff) -> dict[str, Any]:
    return {
        "U": diff.first_id, "u": diff.id, "pu": diff.previous_id, "b": texts(diff.bids), "a": texts(diff.asks),
    }  # fmt: skip


@given(st.integers(0, 2**32), st.integers(1, 100_000), happenings, st.data())
def test_who_joins_snapshot_and_diffs_by_the_rules_has_the_same_book_at_every_id(
    seed: int, ticks: int, steps: list[tuple[int | None, bool]], data: st.DataObject
) -> None:
    book = book_of(seed, ticks)
    diffs = Diffs(book)
    asked_at = data.draw(st.integers(0, len(steps) - 1))
    buffered: list[dict[str, Any]] = []
    client: LocalBook | None = None
    for number, (step, is_sent) in enumerate(steps):
        ticks = happen(book, ticks, step, START_MS + number)
        if number == asked_at:
            client = LocalBook(snapshot(book.view()))
        if is_sent or number == len(steps) - 1:
            buffered += [message(diff) for diff in [diffs.next()] if diff]
        if client is not None and buffered:
            for diff in buffered:
                client.take(diff)
            buffered.clear()
            if client.is_joined:
                assert client.id == book.id
                assert client.levels == (texts(book.view().bids), texts(book.view().asks))
    assert client is not None
    assert client.is_joined


@given(st.integers(0, 2**32), st.integers(1, 100_000), happenings)
def test_it_lies_about_the_last_trade_never_crosses_and_is_deep_but_no_deeper_than_a_snapshot(
    seed: int, ticks: int, steps: list[tuple[int | None, bool]]
) -> None:
    book = book_of(seed, ticks)
    for number, (step, _) in enumerate(steps):
        ticks = happen(book, ticks, step, START_MS + number)
        view = book.view()
        best_bid, best_ask = view.bids[0][0], view.asks[0][0]
        assert best_bid < best_ask
        assert best_bid <= ticks <= best_ask
        assert (best_bid, view.bids[0][1], best_ask, view.asks[0][1]) == book.best
        assert all(lots > 0 for _, lots in (*view.bids, *view.asks))
        assert min(500, ticks // 3) <= len(view.bids) <= LARGEST_SNAPSHOT
        assert 500 <= len(view.asks) <= LARGEST_SNAPSHOT
        assert view.bids[-1][0] >= 1


@settings(max_examples=5)
@given(st.integers(0, 2**32), st.integers(50, 500))
def test_it_can_be_looked_at_as_of_its_last_updates(seed: int, count: int) -> None:
    book, ticks = book_of(seed), 84_000
    views: list[View] = []
    for number in range(count):
        ticks = happen(book, ticks, None if number % 3 else 7, START_MS + number)
        views.append(book.view())
    for view in views[-MAX_STEPS::17]:
        assert book.view_at(view.id) == view
    for earlier, later in pairwise(views[-20:]):
        assert book.view_at(later.id - 1) == (earlier if later.id - 1 >= earlier.id else None)
    assert book.view_at(book.id + 1) is None
    assert book.view_at(views[0].id - 1) is None


@given(st.integers(0, 2**32))
def test_every_stream_has_a_chain_of_its_own(seed: int) -> None:
    book = book_of(seed)
    often, seldom = Diffs(book), Diffs(book)
    sent: dict[Diffs, list[Diff]] = {often: [], seldom: []}
    for number in range(20):
        book.stir(START_MS + number)
        for chain, period in ((often, 1), (seldom, 5)):
            if number % period == 0 and (diff := chain.next()):
                sent[chain].append(diff)
    for chain in sent.values():
        assert all(later.previous_id == earlier.id < later.first_id <= later.id for earlier, later in pairwise(chain))
    assert len(sent[often]) == 20
    assert len(sent[seldom]) == 4
    assert often.next() is None
