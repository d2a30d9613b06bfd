"""When a book's keeper asks the venue, which answers what the test wants. `test_market` has a real one."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from marketdata.errors import VenueRateLimited, VenueUnavailable
from marketdata.types import DepthDelta, DepthSnapshot
from streams.collecting import asking, books
from streams.collecting.asking import Asker
from streams.collecting.books import BookKeeper
from streams.collecting.tallies import Tallies
from streams.market_messages import FeedMessage, FeedState
from tests.backend import sqlite_only
from tests.streams.simulator.running import until

pytestmark = sqlite_only("a book uses no database")

LEVELS = [(Decimal(1), Decimal(1))], [(Decimal(2), Decimal(1))]


def snapshot(id: int) -> DepthSnapshot:
    bids, asks = LEVELS
    return DepthSnapshot(venue="binance", symbol="BTCUSDT", last_update_id=id, bids=bids, asks=asks, event_ms=id)


def delta(id: int, previous_id: int) -> DepthDelta:
    return DepthDelta(
        venue="binance",
        symbol="BTCUSDT",
        first_id=previous_id + 1,
        final_id=id,
        previous_final_id=previous_id,
        bids=[],
        asks=[],
        event_ms=id,
    )


class Venue(Asker):
    """Answers with what is next in ``answers``, and notes the time of each question."""

    def __init__(self, *answers: DepthSnapshot | Exception) -> None:
        self.haste = 1.0
        self.answers = list(answers)
        self.asked_s: list[float] = []

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        self.asked_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Told:
    """What was posted."""

    def __init__(self) -> None:
        self.messages: list[FeedMessage] = []

    def post(self, feed: Any, message: FeedMessage) -> None:
        self.messages.append(message)

    def state(self, feed: Any, reason: str) -> None:
        self.post(feed, FeedState(kind=feed.kind, symbol=feed.symbol, reason=reason))

    @property
    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self.messages]


def keeper_of(venue: Venue) -> tuple[BookKeeper, Any, list[str]]:
    told, renewed = Told(), []
    post: Any = told
    return BookKeeper("BTCUSDT", post, venue, Tallies(), lambda: renewed.append("renewed")), told, renewed


def test_a_book_on_its_way_says_nothing_and_once_lost_says_why() -> None:
    async def scenario() -> None:
        keeper, told, _ = keeper_of(Venue(snapshot(10)))
        keeper.answer()
        assert told.messages == []
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.take(delta(11, 10))
        keeper.take(delta(14, 13))
        assert told.kinds == ["DepthSnapshot", "DepthDelta", "FeedState"]
        assert told.messages[-1].reason.endswith("expected 11, received 13")
        keeper.close()

    asyncio.run(scenario())


def test_what_was_refused_once_makes_the_next_rebuild_no_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES_S", (0.05, 0.1, 0.2, 60.0))
    away = VenueUnavailable("away")

    async def scenario() -> None:
        keeper, _, _ = keeper_of(Venue(away, away, away, snapshot(10), snapshot(20)))
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.take(delta(14, 13))
        async with asyncio.timeout(2):
            await until(lambda: keeper.is_live)
        keeper.close()

    asyncio.run(scenario())


def test_snapshots_are_asked_for_with_growing_pauses_and_not_before_the_venue_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "PAUSES_S", (0.1, 0.2))

    async def scenario() -> None:
        away, limited = VenueUnavailable("away"), VenueRateLimited("too many", 0.5)
        venue = Venue(away, away, limited, snapshot(10))
        keeper, told, _ = keeper_of(venue)
        keeper.gained()
        await until(lambda: keeper.is_live)
        pauses = [round(after - before, 1) for before, after in zip(venue.asked_s, venue.asked_s[1:], strict=False)]
        assert pauses == [0.1, 0.2, 0.5]
        # A reason is told once.
        assert told.kinds == ["FeedState", "FeedState", "DepthSnapshot"]

    asyncio.run(scenario())


def test_a_book_that_breaks_again_at_once_waits_before_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES_S", (0.3,))

    async def scenario() -> None:
        venue = Venue(snapshot(10))
        keeper, _, _ = keeper_of(venue)
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.take(delta(14, 13))
        await until(lambda: len(venue.asked_s) == 2)
        assert venue.asked_s[1] - venue.asked_s[0] >= 0.3
        keeper.close()

    asyncio.run(scenario())


def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "SILENCE_S", 0.0)
    monkeypatch.setattr(books, "IN_FLIGHT_S", 0.05)


def test_a_quiet_book_that_is_the_venues_is_left_alone_for_longer_and_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        keeper, told, renewed = keeper_of(Venue(snapshot(10)))
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.silence_s = 1.0
        assert keeper.is_silent(keeper.heard_s + 1.1)
        keeper.compare()
        await until(lambda: not keeper.is_comparing)
        assert (keeper.silence_s, renewed, told.kinds) == (2.0, [], ["DepthSnapshot"])
        assert not keeper.is_silent(keeper.heard_s + 1.1)

    silent(monkeypatch)
    asyncio.run(scenario())


def test_a_book_that_has_moved_on_unheard_is_replaced_and_its_connection_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        keeper, told, renewed = keeper_of(Venue(snapshot(10), snapshot(20)))
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.compare()
        await until(lambda: not keeper.is_comparing)
        assert renewed == ["renewed"]
        assert [each.last_update_id for each in told.messages] == [10, 20]

    silent(monkeypatch)
    asyncio.run(scenario())


def test_an_update_that_was_only_slower_than_the_snapshot_renews_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        keeper, told, renewed = keeper_of(Venue(snapshot(10), snapshot(11)))
        keeper.gained()
        await until(lambda: keeper.is_live)
        keeper.compare()
        await asyncio.sleep(0.01)
        keeper.take(delta(11, 10))
        await until(lambda: not keeper.is_comparing)
        assert (renewed, told.kinds) == ([], ["DepthSnapshot", "DepthDelta"])

    silent(monkeypatch)
    asyncio.run(scenario())


def test_a_venue_that_cannot_be_asked_about_a_quiet_book_is_left_alone_for_as_long_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        keeper, _, _ = keeper_of(Venue(snapshot(10), VenueRateLimited("too many", 0.3)))
        keeper.gained()
        await until(lambda: keeper.is_live)
        began_s = asyncio.get_running_loop().time()
        keeper.compare()
        await until(lambda: not keeper.is_comparing)
        assert asyncio.get_running_loop().time() - began_s >= 0.3
        assert keeper.is_silent(keeper.heard_s + 1.0)

    silent(monkeypatch)
    monkeypatch.setattr(asking, "PAUSES_S", (0.1,))
    asyncio.run(scenario())
