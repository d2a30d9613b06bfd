"""What terminals open decides what is subscribed at the exchange: row D117, through a whole service."""

import pytest

from tests.live import wait_until
from tests.terminal import Market

SYMBOL, STREAM = "DOGEUSDT", "dogeusdt@depth@100ms"
GONE_SECONDS = 10


def carriers(market: Market) -> int:
    """Connections of ours on which the exchange sends the stream."""
    told = market.exchange.get("connections")
    return sum(each["closed_ms"] is None and STREAM in each["streams"] for each in told)


@pytest.mark.contract("D117")
def test_the_first_subscriber_opens_one_stream_upstream_and_the_last_one_closes_it(market: Market) -> None:
    wait_until(lambda: carriers(market) == 0, GONE_SECONDS, "nobody wants what earlier tests have looked at")
    with market.client(f"/orderbook/{SYMBOL}") as first:
        first.next("orderbook_update")
        assert carriers(market) == 1
        # Of another web process, where there are two.
        with market.client(f"/orderbook/{SYMBOL}?limit=50", number=1) as second:
            second.next("orderbook_update")
            assert carriers(market) == 1
        first.next("orderbook_update")
        assert carriers(market) == 1
    wait_until(lambda: carriers(market) == 0, GONE_SECONDS, "the exchange has nobody left who wants the book")
