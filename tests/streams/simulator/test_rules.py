"""Limits of messages and of request weights, with moments instead of a clock."""

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.rules import MAX_BAN_S, Limits, MessageRate, RequestWeights

MIDNIGHT_S = 1_795_046_400


@given(st.lists(st.floats(0, 0.5), max_size=60))
def test_the_eleventh_message_within_a_second_is_one_too_many(pauses_s: list[float]) -> None:
    rate, moments, now_s = MessageRate(10), [], 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        moments.append(now_s)
        within_a_second = sum(1 for moment in moments if now_s - moment < 1)
        assert rate.exceeded(now_s) == (within_a_second > 10)


def test_weights_add_up_per_address_and_begin_anew_each_minute() -> None:
    weights = RequestWeights(per_minute=10, refusals_before_ban=5)
    assert [weights.take("a", 4, MIDNIGHT_S).used_weight for _ in range(2)] == [4, 8]
    assert weights.take("b", 1, MIDNIGHT_S).used_weight == 1
    assert weights.take("a", 4, MIDNIGHT_S + 60).used_weight == 4


def test_beyond_the_limit_the_answer_is_429_until_the_minute_ends() -> None:
    weights = RequestWeights(per_minute=1, refusals_before_ban=5)
    assert weights.take("a", 1, MIDNIGHT_S + 10).status == 200
    refused = weights.take("a", 1, MIDNIGHT_S + 10)
    assert (refused.status, refused.retry_after_s) == (429, 50)
    assert weights.take("a", 1, MIDNIGHT_S + 60).status == 200


def test_who_goes_on_after_429_is_banned_for_longer_each_time() -> None:
    weights, now_s, bans = RequestWeights(per_minute=1, refusals_before_ban=2), float(MIDNIGHT_S), []
    for _ in range(14):
        assert [weights.take("a", 1, now_s).status for _ in range(4)] == [200, 429, 429, 418]
        ban = weights.take("a", 1, now_s)
        assert ban.status == 418
        bans.append(ban.retry_after_s)
        now_s = (now_s + ban.retry_after_s) // 60 * 60 + 60
    assert bans[:3] == [120, 240, 480]
    assert bans[-1] == MAX_BAN_S


def test_hastening_leaves_what_a_client_may_do() -> None:
    limits = Limits().hastened(60)
    assert (limits.ping_s, limits.pong_s, limits.life_s) == (3, 10, 1440)
    assert (limits.messages_per_second, limits.streams) == (10, 1024)
