"""The mix of requests: the same for the same seed, popular ones often, own windows never twice."""

from collections import Counter
from urllib.parse import parse_qs, urlsplit

from benchmarks.cache_mix import requests_mixed
from benchmarks.market import DAY_MS, TOP_SYMBOL
from benchmarks.wrk import DIGITS

NOW_MS = 1_795_000_000_000


def test_the_same_seed_gives_the_same_requests_and_another_gives_others() -> None:
    first, again, other = (requests_mixed(500, NOW_MS, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_few_requests_are_made_often_and_some_by_nobody_else() -> None:
    counts = Counter(requests_mixed(5000, NOW_MS))

    assert counts["/api/symbols"] > 300
    assert sum(count for _, count in counts.most_common(100)) > 1500
    assert 100 < sum(count for path, count in counts.items() if DIGITS in path) < 200


def test_windows_lie_in_the_past_and_have_a_start_before_their_end() -> None:
    for path in requests_mixed(2000, NOW_MS):
        query = parse_qs(urlsplit(path.replace(DIGITS, "999999")).query)
        if "start_timestamp" in query:
            start_ms, end_ms = int(query["start_timestamp"][0]), int(query["end_timestamp"][0])
            assert NOW_MS - 366 * DAY_MS < start_ms <= end_ms <= NOW_MS


def test_the_top_symbol_is_asked_for_most() -> None:
    symbols = Counter(parse_qs(urlsplit(path).query).get("symbol", [""])[0] for path in requests_mixed(5000, NOW_MS))

    assert symbols.most_common(2)[0][0] == TOP_SYMBOL
