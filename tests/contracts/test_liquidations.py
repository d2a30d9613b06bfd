"""GET /api/liquidations: the contract's rows D001 to D017, and what we add to them."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from django.db import connection

from tests.backend import server_only
from tests.factories import DAY, HOUR, MINUTE, T0, order

PATH = "/api/liquidations"
BAD_TIMESTAMPS = (
    "start_timestamp and end_timestamp must be valid Unix timestamps in miliseconds or datetime strings in ISO format"
)
NEGATIVE = "start_timestamp and end_timestamp must be non-negative integers"
START_AFTER_END = "start_timestamp must be before end_timestamp"
BAD_TIMEFRAME = "timeframe must be a positive whole number followed by m, h or d, such as 5m, 1h or 1d"
NO_DATA = "No data found for the given parameters"

Ask = Callable[..., Any]
Write = Callable[..., Any]


def window(**changes: object) -> dict[str, object]:
    """Parameters of one day in hours, with ``changes``."""
    return {
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "start_timestamp": T0,
        "end_timestamp": T0 + DAY,
        **changes,
    }


def sums(response: Any) -> list[tuple[int, str, float]]:
    assert response.status_code == 200, response.content
    return [(row["timestamp"], row["side"], row["cumulated_usd_size"]) for row in response.json()]


@pytest.mark.contract("D001")
def test_four_parameters_give_an_array_of_objects_with_four_keys_in_order(write: Write, ask: Ask) -> None:
    write([order(average_price="42010.1", quantity="0.5")])
    response = ask(PATH, **window())
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    # Compact, and nothing more than the promised keys.
    assert response.content == (
        b'[{"timestamp":1704067200000,"timestamp_iso":"2024-01-01T00:00:00+00:00",'
        b'"side":"sell","cumulated_usd_size":21005.05}]'
    )


@pytest.mark.contract("D002")
def test_orders_at_start_and_at_end_are_both_counted(write: Write, ask: Ask) -> None:
    end = T0 + HOUR
    write([order(at) for at in (T0 - 1, T0, end, end + 1)])
    assert [row[0] for row in sums(ask(PATH, **window(end_timestamp=end)))] == [T0, end]


@pytest.mark.contract("D003")
def test_buckets_begin_at_the_start_even_when_it_is_unaligned(write: Write, ask: Ask) -> None:
    start = T0 + 123
    write([order(T0 + minutes * MINUTE) for minutes in range(1, 600, 7)])
    found = sums(ask(PATH, **window(start_timestamp=start)))
    assert len(found) == 10
    assert {timestamp % HOUR for timestamp, *_ in found} == {start % HOUR}
    assert found[0][0] == start


@pytest.mark.contract("D004")
def test_buckets_and_sides_without_orders_have_no_row(write: Write, ask: Ask) -> None:
    write([order(T0, side="SELL"), order(T0 + 3 * HOUR, side="BUY")])
    found = [row[:2] for row in sums(ask(PATH, **window()))]
    assert found == [(T0, "sell"), (T0 + 3 * HOUR, "buy")]


@pytest.mark.contract("D004")
def test_a_bucket_of_orders_without_an_average_price_has_no_row_and_adds_nothing(write: Write, ask: Ask) -> None:
    write([order(T0, average_price=None), order(T0 + HOUR), order(T0 + HOUR + 1, average_price=None)])
    assert sums(ask(PATH, **window())) == [(T0 + HOUR, "sell", 21005.05)]


@pytest.mark.contract("D005")
def test_the_sum_is_average_price_times_filled_quantity_and_no_other_column(write: Write, ask: Ask) -> None:
    write(
        [
            order(T0, price="1", average_price="100.5", quantity="7", filled="2", last_filled="0.1"),
            order(T0 + 1, price="1", average_price="99.25", quantity="7", filled="4", last_filled="0.1"),
        ]
    )
    assert sums(ask(PATH, **window())) == [(T0, "sell", 598.0)]


@pytest.mark.contract("D006")
@pytest.mark.parametrize("offset", [0, 123, 999])
def test_timestamp_iso_is_the_timestamp_in_utc(write: Write, ask: Ask, offset: int) -> None:
    write([order(T0 + HOUR)])
    row = ask(PATH, **window(start_timestamp=T0 + offset)).json()[0]
    iso = datetime.fromisoformat(row["timestamp_iso"])
    assert row["timestamp_iso"] == datetime.fromtimestamp(row["timestamp"] / 1000, UTC).isoformat()
    assert row["timestamp_iso"].endswith("+00:00")
    assert round(iso.timestamp() * 1000) == row["timestamp"]
    assert ("." in row["timestamp_iso"]) == bool(offset)


@pytest.mark.contract("D007")
def test_rows_are_sorted_by_time_and_then_by_side(write: Write, ask: Ask) -> None:
    times = [T0 + hours * HOUR for hours in (7, 2, 9, 0, 5)]
    write([order(at, side=side) for at in times for side in ("SELL", "BUY")])
    found = [row[:2] for row in sums(ask(PATH, **window()))]
    assert found == [(at, side) for at in sorted(times) for side in ("buy", "sell")]


@pytest.mark.contract("D008")
def test_the_case_of_the_symbol_makes_no_difference(write: Write, ask: Ask) -> None:
    write([order(), order(T0 + 1, symbol="BTCUSD")])
    bodies = {ask(PATH, **window(symbol=symbol)).content for symbol in ("btcusdt", "BtcUsdt", "BTCUSDT")}
    assert len(bodies) == 1
    assert json.loads(bodies.pop())[0]["cumulated_usd_size"] == 21005.05


@pytest.mark.contract("D008")
def test_a_symbol_may_be_written_in_any_alphabet(write: Write, ask: Ask) -> None:
    write([order(symbol="币安人生USDT"), order(symbol="币安USDT", quantity="9")])
    assert sums(ask(PATH, **window(symbol="币安人生usdt"))) == [(T0, "sell", 21005.05)]


@pytest.mark.contract("D009")
@pytest.mark.parametrize(
    "start",
    [
        "1704067200000",
        " +1_704_067_200_000 ",
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00+00:00",
        "2024-01-01T05:30:00+05:30",
        "2023-12-31T19:00:00.000-05:00",
        "2024-01-01",
        "20240101T000000Z",
        "2024-01-01 00:00",
        # A "+" that was not percent-encoded arrives as a blank.
        "2024-01-01T05:30:00 05:30",
    ],
)
def test_every_way_to_write_an_instant_gives_the_same_answer(write: Write, ask: Ask, start: str) -> None:
    write([order(T0 - 1), order(T0), order(T0 + HOUR)])
    expected = ask(PATH, **window())
    answer = ask(PATH, **window(start_timestamp=start, end_timestamp="2024-01-02T00:00:00Z"))
    assert answer.content == expected.content


@pytest.mark.contract("D009")
def test_digits_are_milliseconds_and_not_a_date(write: Write, ask: Ask) -> None:
    write([order(20_210_101)])
    assert sums(ask(PATH, **window(start_timestamp="20210101", end_timestamp="20210102"))) == [
        (20_210_101, "sell", 21005.05)
    ]


@pytest.mark.contract("D010")
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_time_without_an_offset_is_utc_whatever_zone_the_process_has(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    write([order(T0)])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert time.timezone != 0
        found = sums(ask(PATH, **window(start_timestamp="2024-01-01T00:00:00", end_timestamp="2024-01-01T00:00:00")))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == [(T0, "sell", 21005.05)]


@pytest.mark.contract("D011")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.5",
        "yesterday",
        "2024-13-01",
        "12:00",
        "1e3",
        "0x10",
        "253402300800000",
        pytest.param("9" * 5000, id="endless"),
        "\x00",
    ],
)
@pytest.mark.parametrize("name", ["start_timestamp", "end_timestamp"])
def test_an_unreadable_timestamp_is_refused_in_the_original_words(db: None, ask: Ask, name: str, text: str) -> None:
    response = ask(PATH, **window(**{name: text}))
    assert (response.status_code, response.json()) == (400, {"detail": BAD_TIMESTAMPS})


@pytest.mark.contract("D012")
@pytest.mark.parametrize(("start", "end"), [(-1, 5), (-5, -1), (5, -1), ("1969-12-31", T0)])
def test_a_negative_timestamp_is_refused_in_the_original_words(db: None, ask: Ask, start: object, end: object) -> None:
    response = ask(PATH, **window(start_timestamp=start, end_timestamp=end))
    assert (response.status_code, response.json()) == (400, {"detail": NEGATIVE})


@pytest.mark.contract("D013")
def test_start_after_end_is_refused_but_an_instant_is_a_window(write: Write, ask: Ask) -> None:
    write([order(T0)])
    response = ask(PATH, **window(start_timestamp=T0 + 1, end_timestamp=T0))
    assert (response.status_code, response.json()) == (400, {"detail": START_AFTER_END})
    assert ask(PATH, **window(start_timestamp=T0, end_timestamp=T0)).status_code == 200
    assert ask(PATH, **window(start_timestamp=T0 + 1, end_timestamp=T0 + 1)).status_code == 404


@pytest.mark.contract("D014")
@pytest.mark.parametrize(
    "timeframe",
    [
        "1w",
        "30s",
        "x",
        "",
        "0m",
        "-5m",
        "1.5h",
        " 5m",
        "5 m",
        "m",
        "5",
        "+5m",
        "1_0m",
        "\u0665m",
        pytest.param("9" * 400 + "d", id="endless"),
        "\x00",
    ],
)
def test_a_bad_timeframe_is_a_bad_request(db: None, ask: Ask, timeframe: str) -> None:
    response = ask(PATH, **window(timeframe=timeframe))
    assert (response.status_code, response.json()) == (400, {"detail": BAD_TIMEFRAME})


@pytest.mark.contract("D015")
@pytest.mark.parametrize(
    ("timeframe", "length"),
    [("5m", 5 * MINUTE), ("15M", 15 * MINUTE), ("7h", 7 * HOUR), ("3D", 3 * DAY), ("45m", 45 * MINUTE), ("1M", MINUTE)],
)
def test_any_count_of_minutes_hours_and_days_is_a_timeframe(
    write: Write, ask: Ask, timeframe: str, length: int
) -> None:
    write([order(T0 + k * length + edge) for k in range(3) for edge in (0, length - 1)])
    found = sums(ask(PATH, **window(timeframe=timeframe, end_timestamp=T0 + 9 * DAY)))
    assert found == [(T0 + k * length, "sell", 42010.1) for k in range(3)]


@pytest.mark.contract("D016")
@pytest.mark.parametrize("name", ["symbol", "timeframe", "start_timestamp", "end_timestamp"])
def test_a_missing_parameter_is_named_in_a_list(db: None, ask: Ask, name: str) -> None:
    parameters = window()
    del parameters[name]
    response = ask(PATH, **parameters)
    assert response.status_code == 422
    assert response.json() == {
        "detail": [{"type": "missing", "loc": ["query", name], "msg": "Field required", "input": None}]
    }


@pytest.mark.contract("D016")
def test_all_missing_parameters_are_named_in_order(db: None, ask: Ask) -> None:
    detail = ask(PATH).json()["detail"]
    assert [item["loc"][1] for item in detail] == ["symbol", "timeframe", "start_timestamp", "end_timestamp"]


@pytest.mark.contract("D017")
@pytest.mark.parametrize(
    "symbol", ["ETHUSDT", "", pytest.param("x" * 10_000, id="endless"), "BTCUSDT'--", "%", "_______", "\x00", "😀"]
)
def test_no_data_is_404_in_the_original_words(write: Write, ask: Ask, symbol: str) -> None:
    write([order()])
    response = ask(PATH, **window(symbol=symbol))
    assert (response.status_code, response.json()) == (404, {"detail": NO_DATA})


@pytest.mark.contract("D011")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"start_timestamp": "x", "timeframe": "x", "end_timestamp": -1}, BAD_TIMESTAMPS),
        ({"start_timestamp": -1, "end_timestamp": -2, "timeframe": "x"}, BAD_TIMEFRAME),
        ({"start_timestamp": -1, "end_timestamp": -2}, NEGATIVE),
        ({"start_timestamp": 9, "end_timestamp": 8, "symbol": "NONE"}, START_AFTER_END),
    ],
)
def test_the_first_fault_in_the_contracts_order_is_the_one_named(
    db: None, ask: Ask, changes: dict[str, object], expected: str
) -> None:
    assert ask(PATH, **window(**changes)).json() == {"detail": expected}


# Additions, which change nothing for those who do not ask for them.


def test_anchor_epoch_begins_buckets_at_multiples_of_the_timeframe(write: Write, ask: Ask) -> None:
    write([order(T0 + 10 * MINUTE), order(T0 + 50 * MINUTE), order(T0 + 70 * MINUTE)])
    asked = window(start_timestamp=T0 + 5 * MINUTE, end_timestamp=T0 + 65 * MINUTE, anchor="epoch")
    assert sums(ask(PATH, **asked)) == [(T0, "sell", 42010.1)]
    assert [row[0] for row in sums(ask(PATH, **asked | {"anchor": "start"}))] == [T0 + 5 * MINUTE]


def test_numbers_string_gives_exact_decimals_in_text(write: Write, ask: Ask) -> None:
    write([order(T0, average_price="0.1", quantity="3"), order(T0 + 1, average_price="0.2", quantity="3")])
    text = ask(PATH, **window(numbers="string")).json()[0]["cumulated_usd_size"]
    assert isinstance(text, str)
    if connection.vendor == "sqlite":
        assert Decimal(text) == pytest.approx(Decimal("0.9"))
    else:
        assert text == "0.9"


@server_only("SQLite's decimals are floating")
def test_numbers_string_loses_no_digit_of_a_sum(write: Write, ask: Ask) -> None:
    price, quantity = "12345678901234567890.1234567891", "98765432109876543210.9876543211"
    write(
        [order(T0, average_price=price, quantity=quantity), order(T0 + 1, average_price="3", quantity="0.0000000007")]
    )
    with localcontext(prec=100):
        exact = Decimal(price) * Decimal(quantity) + Decimal("0.0000000021")
    assert ask(PATH, **window(numbers="string")).json()[0]["cumulated_usd_size"] == format(exact, "f")


def test_fill_zero_gives_every_bucket_both_sides(write: Write, ask: Ask) -> None:
    write([order(T0 + HOUR, side="SELL")])
    found = sums(ask(PATH, **window(end_timestamp=T0 + 2 * HOUR, fill="zero")))
    assert found == [
        (T0 + hours * HOUR, side, 21005.05 if (hours, side) == (1, "sell") else 0.0)
        for hours in range(3)
        for side in ("buy", "sell")
    ]


def test_fill_zero_keeps_the_epoch_anchor_and_exact_numbers(write: Write, ask: Ask) -> None:
    write([order(T0 + 10 * MINUTE)])
    asked = window(start_timestamp=T0 + MINUTE, end_timestamp=T0 + HOUR, fill="zero", anchor="epoch", numbers="string")
    rows = ask(PATH, **asked).json()
    assert [(row["timestamp"], row["side"]) for row in rows] == [
        (T0 + hours * HOUR, side) for hours in range(2) for side in ("buy", "sell")
    ]
    assert [row["cumulated_usd_size"] for row in rows if row["timestamp"] > T0] == ["0", "0"]


def test_fill_zero_still_says_404_where_there_is_nothing_at_all(db: None, ask: Ask) -> None:
    response = ask(PATH, **window(fill="zero"))
    assert (response.status_code, response.json()) == (404, {"detail": NO_DATA})


def test_fill_zero_refuses_more_buckets_than_memory_should_hold(write: Write, ask: Ask) -> None:
    write([order()])
    response = ask(PATH, **window(fill="zero", timeframe="1m", start_timestamp=0, end_timestamp="9999-12-31"))
    assert response.status_code == 400
    assert response.json() == {"detail": "fill=zero is limited to 50000 buckets; use a longer timeframe"}


@pytest.mark.parametrize("name", ["anchor", "numbers", "fill"])
@pytest.mark.parametrize("value", ["", "Zero", "x", "\x00"])
def test_an_addition_with_an_unknown_word_is_unprocessable(db: None, ask: Ask, name: str, value: str) -> None:
    response = ask(PATH, **window(**{name: value}))
    assert response.status_code == 422
    [item] = response.json()["detail"]
    assert (item["type"], item["loc"], item["input"]) == ("enum", ["query", name], value)


def test_the_additions_change_nothing_for_those_who_do_not_ask(write: Write, ask: Ask) -> None:
    write([order(T0 + hours * HOUR) for hours in range(5)])
    plain = ask(PATH, **window(start_timestamp=T0 + 1))
    spelled_out = ask(PATH, **window(start_timestamp=T0 + 1, anchor="start", numbers="float", fill="none"))
    assert plain.content == spelled_out.content
    assert plain.headers["Content-Type"] == spelled_out.headers["Content-Type"]
