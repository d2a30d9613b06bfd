"""How fast frames leave."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from marketdata.venues.binance.routes import COMMAND_INTERVAL_S
from streams.collecting.pace import Pace

VENUE_LIMIT = 10  # frames a second, with the pongs, which are answered at once


def test_a_first_frame_is_not_kept_waiting() -> None:
    assert Pace(0.2).wait_s(now=0) == 0


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_whenever_frames_are_wanted_half_of_what_the_venue_takes_in_a_second_is_left_for_pongs(
    pauses_s: list[float],
) -> None:
    pace, now, sent = Pace(COMMAND_INTERVAL_S), 1000.0, []
    for pause_s in pauses_s:
        now += pause_s
        now += pace.wait_s(now)
        pace.sent(now)
        sent.append(now)
    assert all(after - before > COMMAND_INTERVAL_S - 1e-6 for before, after in pairwise(sent))
    assert all(sum(at <= each < at + 0.999 for each in sent) <= VENUE_LIMIT / 2 for at in sent)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_nobody_waits_longer_than_the_interval(sent_at: float, asked_after: float) -> None:
    pace = Pace(0.2)
    pace.sent(sent_at)
    wait_s = pace.wait_s(sent_at + asked_after)
    assert 0 <= wait_s <= 0.2 + 1e-6
    assert (wait_s == 0) or asked_after < 0.2
