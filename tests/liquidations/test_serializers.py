"""Parameters are read in the contract's order and become the values that queries take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequest, UnprocessableParameters
from liquidations.serializers import MAX_BUCKETS_FILLED, BucketParameters, OrdersParameters, StreamParameters
from tests.factories import DAY, HOUR, MINUTE, T0

WINDOW = {"symbol": "BTCUSDT", "start_timestamp": str(T0), "end_timestamp": str(T0 + DAY)}
BUCKETS = {**WINDOW, "timeframe": "1h"}


def test_bucket_parameters_have_their_values_in_milliseconds_and_defaults() -> None:
    asked = BucketParameters.validated(BUCKETS)
    assert asked["symbol"] == "BTCUSDT"
    assert (asked["start_ms"], asked["end_ms"], asked["timeframe_ms"]) == (T0, T0 + DAY, HOUR)
    assert (asked["anchor"], asked["numbers"], asked["fill"]) == ("start", "float", "none")


def test_a_symbol_is_taken_as_it_was_sent() -> None:
    for symbol in ("", " ", "btcusdt ", "\x00", "币安人生USDT", "\ud800"):
        assert StreamParameters.validated({**WINDOW, "symbol": symbol})["symbol"] == symbol


def test_orders_have_either_a_limit_or_a_window() -> None:
    assert OrdersParameters.validated({"symbol": "X", "limit": "7"})["limit"] == 7
    asked = OrdersParameters.validated(WINDOW)
    assert (asked["start_ms"], asked["end_ms"], asked["page"], asked["page_size"]) == (T0, T0 + DAY, 1, 100)
    assert "limit" not in asked


@given(st.integers(1, 10**6), st.integers(0, 10**14), st.integers(0, 10**14), st.sampled_from(["start", "epoch"]))
def test_fill_zero_is_refused_before_it_could_make_too_many_buckets(
    minutes: int, start: int, length: int, anchor: str
) -> None:
    sent = {
        "symbol": "X",
        "timeframe": f"{minutes}m",
        "start_timestamp": str(start),
        "end_timestamp": str(start + length),
        "anchor": anchor,
    }
    first = start if anchor == "start" else start - start % (minutes * MINUTE)
    buckets = (start + length - first) // (minutes * MINUTE) + 1
    try:
        BucketParameters.validated(sent | {"fill": "zero"})
    except BadRequest:
        assert buckets > MAX_BUCKETS_FILLED - 2
    else:
        assert buckets <= MAX_BUCKETS_FILLED
    BucketParameters.validated(sent | {"fill": "none"})


@pytest.mark.parametrize("parameters", [BucketParameters, OrdersParameters, StreamParameters])
def test_every_faulty_parameter_is_named_at_once(parameters: type[BucketParameters]) -> None:
    with pytest.raises(UnprocessableParameters) as caught:
        parameters.validated({"numbers": "roman", "fill": "one", "page": "x", "batch_size": "x", "limit": "0"})
    named = {error["loc"][1] for error in caught.value.errors}
    declared = set(parameters().fields)
    assert named == declared & {
        *("symbol", "numbers", "fill", "page", "batch_size", "limit", "timeframe"),
        *(() if parameters is OrdersParameters else ("start_timestamp", "end_timestamp")),
    }
