"""Minutes that a keeper of candles has repaired. `test_market` has a real exchange."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from marketdata.errors import VenueUnavailable
from streams.collecting import asking
from streams.collecting.asking import Asker
from streams.collecting.candles import CandleKeeper
from streams.collecting.closed_candles import ClosedCandles
from streams.collecting.tallies import Tallies
from tests.backend import sqlite_only

pytestmark = sqlite_only("nothing is stored")


class Away(Asker):
    """A venue that cannot be asked; ``meanwhile`` is what happens then."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.haste, self.meanwhile, self.asked = 1.0, meanwhile, 0

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        self.asked += 1
        self.meanwhile()
        raise VenueUnavailable("away")


def test_a_repair_ends_when_the_venues_last_word_came_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSES_S", (0.01,))
    marked: list[int] = []
    post: Any = None

    async def scenario() -> None:
        venue = Away(lambda: keeper.builder.needs_repair.clear())
        closed = ClosedCandles(lambda candles: None, lambda venue, symbol, minutes: marked.extend(minutes))
        keeper = CandleKeeper("BTCUSDT", post, venue, closed, Tallies())
        keeper.builder.needs_repair.add(60_000)
        await keeper.repairing()
        assert venue.asked == 1
        closed.write()

    asyncio.run(scenario())
    assert marked == []
