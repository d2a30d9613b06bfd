"""The venue's time, by what it sends."""

from streams.collecting.venue_clock import VenueClock


def test_it_goes_on_from_the_newest_event_by_our_seconds() -> None:
    clock = VenueClock()
    assert clock.now_ms(5.0) is None
    clock.see(1_000_000, 10.0)
    assert clock.now_ms(10.0) == 1_000_000
    assert clock.now_ms(12.5) == 1_002_500


def test_an_older_event_changes_nothing_and_a_newer_one_is_the_truth() -> None:
    clock = VenueClock()
    clock.see(1_000_000, 10.0)
    clock.see(999_000, 11.0)
    assert clock.now_ms(11.0) == 1_001_000
    # A market that is played sixty times as fast.
    clock.see(1_060_000, 12.0)
    assert clock.now_ms(12.0) == 1_060_000


def test_time_in_which_nothing_could_be_seen_does_not_count() -> None:
    clock = VenueClock()
    clock.see(1_000_000, 10.0)
    clock.stood_still(70.0)
    assert clock.now_ms(70.5) == 1_000_500
    # What was sent meanwhile is read in its order.
    clock.see(1_003_000, 70.6)
    assert clock.now_ms(70.6) == 1_003_000


def test_one_event_of_a_wrong_date_is_not_believed_and_two_are() -> None:
    clock = VenueClock()
    clock.see(1_000_000, 10.0)
    for moment_s in (11.0, 12.0):
        clock.see(900_000_000, moment_s)
        clock.see(1_000_000, moment_s)
    assert clock.now_ms(12.0) == 1_002_000
    clock.see(900_000_000, 13.0)
    clock.see(900_000_100, 13.1)
    assert clock.now_ms(13.1) == 900_000_100
