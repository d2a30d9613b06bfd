"""Repair: holes and marked minutes of what is followed, from the venue's klines."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from marketdata.candles.models import CandleToRepair
from marketdata.candles.queries import candle_gaps, candles_read
from marketdata.candles.repairing import Repair, candles_repair
from marketdata.candles.services import candle_upsert, candles_mark
from marketdata.candles.tasks import repair_candles
from marketdata.errors import VenueUnavailable
from marketdata.timeframes import DAY_MS, MINUTE_MS
from marketdata.types import Candle, CandleSource
from tests.marketdata.candles.exchange import NOW, KlineExchange
from tests.marketdata.candles.making import SYMBOL, VENUE, candle

pytestmark = pytest.mark.django_db

LAST = NOW - NOW % MINUTE_MS - MINUTE_MS  # the last closed minute


def followed(klines: KlineExchange, count: int, *holes: int, symbol: str = SYMBOL) -> list[Candle]:
    """The last ``count`` minutes as built from trades, but for ``holes``; all of them as the venue has them."""
    minutes = klines.candles("1m", LAST - (count - 1) * MINUTE_MS, LAST)
    ours = (each for number, each in enumerate(minutes) if number not in holes)
    candle_upsert([msgspec.structs.replace(each, symbol=symbol, source=CandleSource.TRADES) for each in ours])
    return minutes


def stored() -> list[Candle]:
    return candles_read(VENUE, SYMBOL, "1m", 0, NOW)


def marked() -> list[int]:
    return list(CandleToRepair.objects.order_by("open_ms").values_list("open_ms", flat=True))


def test_holes_are_filled_with_the_venues_candles(klines: KlineExchange) -> None:
    minutes = followed(klines, 100, 5, 6, 50)
    assert candles_repair() == Repair(minutes=3, stored=46)
    assert candle_gaps(VENUE, SYMBOL, "1m", minutes[0].open_ms, LAST) == []
    assert {each.source for each in stored()[5:51]} == {CandleSource.VENUE}, "holes near each other are one request"
    assert len(klines.asked) == 1
    assert candles_repair() == Repair(0, 0)


def test_a_marked_minute_is_replaced_by_the_venues_and_unmarked(klines: KlineExchange) -> None:
    minutes = followed(klines, 10)
    wrong = msgspec.structs.replace(minutes[3], volume=Decimal(77), source=CandleSource.TRADES)
    candle_upsert([wrong])
    candles_mark(VENUE, SYMBOL, [wrong.open_ms])
    repair_candles()
    assert stored()[3] == minutes[3]
    assert marked() == []


def test_a_minute_that_the_venue_has_not_closed_stays_marked(klines: KlineExchange) -> None:
    followed(klines, 10)
    klines.now_ms -= MINUTE_MS
    candles_mark(VENUE, SYMBOL, [LAST - MINUTE_MS, LAST])
    candles_repair()
    assert marked() == [LAST]
    klines.now_ms += MINUTE_MS
    candles_repair()
    assert marked() == []


def test_old_marks_are_repaired_although_nobody_follows_the_symbol(klines: KlineExchange) -> None:
    candles_mark(VENUE, SYMBOL, [LAST - 9 * DAY_MS])
    assert candles_repair() == Repair(1, 1)
    assert marked() == []


def test_what_the_venue_lacks_stays_a_hole_and_is_no_longer_marked(klines: KlineExchange) -> None:
    minutes = followed(klines, 10, 4)
    klines.lacks = {minutes[4].open_ms}
    candles_mark(VENUE, SYMBOL, [minutes[4].open_ms])
    assert candles_repair() == Repair(1, 0)
    assert marked() == []
    klines.asked.clear()
    assert candles_repair() == Repair(0, 0)
    assert klines.asked == [], "it was asked"
    candles_mark(VENUE, SYMBOL, [minutes[4].open_ms])
    klines.lacks = set()
    assert candles_repair() == Repair(1, 1), "a mark is asked for whatever is known"


def test_one_looks_back_a_day_and_only_at_what_is_followed_lately(klines: KlineExchange) -> None:
    followed(klines, 10, 4)
    candle_upsert([candle(LAST - DAY_MS - 5 * MINUTE_MS), candle(LAST - 3 * DAY_MS, symbol="OLDUSDT")])
    candles_repair()
    assert {asked["symbol"] for asked in klines.asked} == {SYMBOL}
    assert len(stored()) == 11


def test_a_symbol_and_a_range_can_be_named(klines: KlineExchange) -> None:
    followed(klines, 10)
    start_ms = LAST - 3 * DAY_MS
    repair_candles(SYMBOL, start_ms, start_ms + 5 * MINUTE_MS)
    assert [each.open_ms for each in stored()[:6]] == [
        *(start_ms + number * MINUTE_MS for number in range(5)),
        LAST - 9 * MINUTE_MS,
    ]


def test_a_long_hole_is_fetched_in_pages(klines: KlineExchange) -> None:
    candle_upsert([candle(LAST - 2100 * MINUTE_MS), candle(LAST)])
    assert candles_repair(look_back_ms=2 * DAY_MS).minutes == 2099
    assert [int(asked["limit"]) for asked in klines.asked] == [1000, 1000, 99]
    assert len(stored()) == 2101


def test_a_venue_that_is_away_leaves_everything_for_later(klines: KlineExchange, capfd: Any) -> None:
    followed(klines, 10, 4)
    candles_mark(VENUE, SYMBOL, [LAST])
    klines.status = 503
    with pytest.raises(VenueUnavailable):
        candles_repair()
    repair_candles()
    assert marked() == [LAST]
    assert len(stored()) == 9


def test_a_symbol_that_the_venue_does_not_know_keeps_nobody_busy(klines: KlineExchange, monkeypatch: Any) -> None:
    candles_mark(VENUE, "GONEUSDT", [LAST])
    followed(klines, 10, 4)
    klines.unknown = {"GONEUSDT"}
    assert candles_repair() == Repair(2, 1)
    assert marked() == []


def test_an_answer_that_is_not_understood_keeps_other_symbols_from_nothing(klines: KlineExchange) -> None:
    candles_mark(VENUE, "AUSDT", [LAST])
    followed(klines, 10, 4)
    klines.garbled = {"AUSDT"}
    assert candles_repair() == Repair(2, 1)
    assert marked() == [LAST]
    klines.garbled = set()
    assert candles_repair() == Repair(1, 1)
    assert marked() == []
