"""Whether a connection still receives, and until when it certainly did."""

from streams.collecting.liveness import Liveness
from streams.collecting.times import Times

TIMES = Times(silence_s=300)  # pings every 5 s, pongs within 10


def test_pongs_keep_a_quiet_connection_alive_until_it_has_been_silent_for_too_long() -> None:
    liveness = Liveness(TIMES, 0)
    for second in range(0, 301, 5):
        liveness.pong(second * 1000)
        assert liveness.fault(second * 1000) is None
    liveness.pong(305_000)
    assert liveness.fault(305_000) == "connected, but no data for 305 s"
    # Whether anything was sent meanwhile nobody knows.
    assert liveness.received_until_ms(305_000) == 0


def test_without_pongs_it_is_dead_since_its_last_sign_of_life() -> None:
    liveness = Liveness(TIMES, 0)
    liveness.data(20_000)
    liveness.pong(24_000)
    assert liveness.fault(39_000) is None
    assert liveness.fault(39_001) == "no sign of life for 15 s"
    assert liveness.received_until_ms(39_001) == 24_000


def test_a_connection_that_is_well_has_received_until_it_ends() -> None:
    liveness = Liveness(TIMES, 0)
    liveness.data(20_000)
    assert liveness.received_until_ms(23_000) == 23_000


def test_times_can_be_hastened() -> None:
    hastened = TIMES.hastened(10)
    assert (hastened.silence_s, hastened.ping_s, hastened.pong_s) == (30, 0.5, 1)
