"""What a collector takes for wanted, of what web processes have said."""

from dataclasses import dataclass
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from streams.demand import LINGER_S, DemandLedger
from streams.market_messages import FORGOTTEN_S, Demand, Feed, FeedKind

BOOK, TRADES = Feed(FeedKind.BOOK, "BTCUSDT"), Feed(FeedKind.TRADES, "BTCUSDT")
FEEDS = [BOOK, TRADES, Feed(FeedKind.CANDLES, "ETHUSDT")]


def said(process: str, *feeds: Feed) -> Demand:
    return Demand(process=process, feeds=list(feeds))


def test_a_feed_is_wanted_as_long_as_its_process_repeats_it() -> None:
    ledger = DemandLedger()
    assert ledger.wanted(0) == set()
    for now_s in range(0, 60, 2):
        ledger.take(said("one", BOOK), now_s)
        assert ledger.wanted(now_s + 1.9) == {BOOK}


def test_whoever_leaves_is_remembered_for_a_moment() -> None:
    ledger = DemandLedger()
    ledger.take(said("one", BOOK, TRADES), 0)
    ledger.take(said("one", TRADES), 3)
    assert ledger.wanted(3 + LINGER_S - 0.01) == {BOOK, TRADES}
    assert ledger.wanted(3 + LINGER_S) == {TRADES}
    ledger.take(said("one"), 4)
    assert ledger.wanted(4) == {TRADES}
    assert ledger.wanted(4 + LINGER_S) == set()


def test_whoever_dies_is_forgotten_within_ten_seconds_of_its_last_word() -> None:
    ledger = DemandLedger()
    ledger.take(said("one", BOOK), 100)
    assert ledger.wanted(100 + FORGOTTEN_S) == {BOOK}
    assert ledger.wanted(109.99) == set()
    assert FORGOTTEN_S + LINGER_S < 10


def test_a_feed_stays_while_another_process_wants_it() -> None:
    ledger = DemandLedger()
    ledger.take(said("one", BOOK), 0)
    ledger.take(said("two", BOOK), 1)
    ledger.take(said("one"), 2)
    assert ledger.wanted(1 + FORGOTTEN_S - 0.01) == {BOOK}
    assert ledger.wanted(1 + FORGOTTEN_S + LINGER_S) == set()


def test_whoever_was_not_heard_for_want_of_listening_is_not_forgotten() -> None:
    ledger = DemandLedger()
    ledger.take(said("one", BOOK), 0)
    ledger.take(said("two", TRADES), 1)
    ledger.excuse(60)
    # Their words are heard one after the other.
    ledger.take(said("one", BOOK), 60)
    assert ledger.wanted(60) == {BOOK, TRADES}
    assert ledger.wanted(60 + FORGOTTEN_S + LINGER_S) == set()


@dataclass(frozen=True)
class Word:
    process: str
    feeds: frozenset[Feed]
    said_s: float


@st.composite
def histories(draw: st.DrawFn) -> list[Word]:
    pauses = draw(st.lists(st.floats(0, 10), max_size=20))
    return [
        Word(draw(st.sampled_from("abc")), frozenset(draw(st.sets(st.sampled_from(FEEDS)))), said_s)
        for said_s in accumulate(pauses)
    ]


def wanted_by_definition(words: list[Word], now_s: float) -> set[Feed]:
    """A word holds until its process says another, or is forgotten; what it names lingers from then on."""
    found: set[Feed] = set()
    for number, word in enumerate(words):
        later = [other.said_s for other in words[number + 1 :] if other.process == word.process]
        if now_s < min([word.said_s + FORGOTTEN_S, *later]) + LINGER_S:
            found |= word.feeds
    return found


@given(histories(), st.lists(st.floats(0, 30), max_size=5))
def test_what_is_wanted_depends_on_what_was_said_and_not_on_who_asked_when(
    words: list[Word], glances: list[float]
) -> None:
    asked, silent = DemandLedger(), DemandLedger()
    end_s = words[-1].said_s if words else 0.0
    for word in words:
        demand = said(word.process, *word.feeds)
        asked.take(demand, word.said_s)
        asked.wanted(word.said_s)
        silent.take(demand, word.said_s)
    for after_s in sorted(glances):
        now_s = end_s + after_s
        assert asked.wanted(now_s) == wanted_by_definition(words, now_s)
    for after_s in sorted(glances)[-1:]:
        assert silent.wanted(end_s + after_s) == wanted_by_definition(words, end_s + after_s)
