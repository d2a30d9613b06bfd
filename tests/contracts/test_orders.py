"""GET /api/liquidation-orders: the contract's rows D023 to D032 and D065."""

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.contracts.conftest import InsertRows
from tests.factories import DAY, HOUR, T0, order

PATH = "/api/liquidation-orders"
KEYS = [
    "symbol",
    "side",
    "order_type",
    "time_in_force",
    "original_quantity",
    "price",
    "average_price",
    "order_status",
    "order_last_filled_quantity",
    "order_filled_accumulated_quantity",
    "order_trade_time",
]
NUMBERS = [key for key in KEYS if key.endswith(("quantity", "price"))]
NOT_FOUND = "No liquidation orders found for the given criteria"
TOGETHER = "Both start_timestamp and end_timestamp must be provided together"
NOT_BOTH = "Cannot provide both timestamp range and limit"
EITHER = "Either provide both timestamps or a limit parameter"
BAD_FORMAT = "Invalid timestamp format. Use Unix milliseconds or ISO format"
NEGATIVE = "Timestamps must be non-negative"
START_AFTER_END = "start_timestamp must be before end_timestamp"

Ask = Callable[..., Any]
Write = Callable[..., Any]


def in_window(**changes: object) -> dict[str, object]:
    return {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY, **changes}


def times(rows: list[dict[str, Any]]) -> list[int]:
    return [row["order_trade_time"] for row in rows]


def pages(ask: Ask, page_size: int) -> Iterator[dict[str, Any]]:
    """Every page of the window as a client walks them: on while ``has_more`` says so."""
    page, has_more = 1, True
    while has_more:
        response = ask(PATH, **in_window(page=page, page_size=page_size))
        assert response.status_code == 200, response.content
        yield response.json()
        page, has_more = page + 1, response.json()["pagination"]["has_more"]


@pytest.mark.contract("D023")
def test_limit_gives_a_bare_array_newest_first_with_eleven_keys_in_order(write: Write, ask: Ask) -> None:
    write([order(T0 + at) for at in (5, 3, 9, 1)] + [order(T0 + 99, symbol="ETHUSDT")])
    response = ask(PATH, symbol="btcusdt", limit=3)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    rows = response.json()
    assert isinstance(rows, list)
    assert times(rows) == [T0 + 9, T0 + 5, T0 + 3]
    assert all(list(row) == KEYS for row in rows)
    assert response.content.startswith(
        b'[{"symbol":"BTCUSDT","side":"sell","order_type":"LIMIT","time_in_force":"IOC","original_quantity":0.5,'
        b'"price":42000.5,"average_price":42010.1,"order_status":"FILLED","order_last_filled_quantity":0.25,'
        b'"order_filled_accumulated_quantity":0.5,"order_trade_time":1704067200009},{'
    )


@pytest.mark.contract("D023")
def test_which_orders_of_one_millisecond_are_cut_off_is_always_the_same(write: Write, ask: Ask) -> None:
    orders = [order(T0, quantity=str(number)) for number in range(1, 31)] + [order(T0 + 1, quantity="99")]
    random.Random(1).shuffle(orders)
    write(orders)
    whole = ask(PATH, symbol="BTCUSDT", limit=1000).json()
    assert len(whole) == 31
    for limit in (1, 2, 7, 30, 31):
        assert ask(PATH, symbol="BTCUSDT", limit=limit).json() == whole[:limit]


@pytest.mark.contract("D024")
def test_limits_1_and_1000_are_accepted(write: Write, ask: Ask) -> None:
    write([order(T0 + at) for at in range(1001)])
    assert [len(ask(PATH, symbol="BTCUSDT", limit=limit).json()) for limit in (1, 1000)] == [1, 1000]


UNREADABLE_INTEGER = ("int_parsing", "Input should be a valid integer, unable to parse string as an integer", None)


def too_small(bound: int) -> tuple[str, str, dict[str, int]]:
    return "greater_than", f"Input should be greater than {bound}", {"gt": bound}


def too_large(bound: int) -> tuple[str, str, dict[str, int]]:
    return "less_than_equal", f"Input should be less than or equal to {bound}", {"le": bound}


@pytest.mark.contract("D024")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", too_small(0)),
        ("-1", too_small(0)),
        ("1001", too_large(1000)),
        ("9" * 40, too_large(1000)),
        ("abc", UNREADABLE_INTEGER),
        ("", UNREADABLE_INTEGER),
        ("1.5", UNREADABLE_INTEGER),
        ("\u0665", UNREADABLE_INTEGER),
        ("1\x00", UNREADABLE_INTEGER),
    ],
)
def test_a_limit_out_of_bounds_is_unprocessable(db: None, ask: Ask, text: str, expected: tuple[Any, ...]) -> None:
    response = ask(PATH, symbol="BTCUSDT", limit=text)
    kind, message, context = expected
    item = {"type": kind, "loc": ["query", "limit"], "msg": message, "input": text}
    assert response.status_code == 422
    assert response.json() == {"detail": [item | ({"ctx": context} if context else {})]}


@pytest.mark.contract("D025")
def test_limit_ignores_the_page(write: Write, ask: Ask) -> None:
    write([order(T0 + at) for at in range(5)])
    plain = ask(PATH, symbol="BTCUSDT", limit=3).content
    assert ask(PATH, symbol="BTCUSDT", limit=3, page=7, page_size=1).content == plain


@pytest.mark.contract("D026")
def test_a_window_gives_an_envelope_with_data_and_pagination(write: Write, ask: Ask) -> None:
    write([order(at) for at in (T0 - 1, T0, T0 + HOUR, T0 + DAY, T0 + DAY + 1)])
    response = ask(PATH, **in_window(page_size=2))
    body = response.json()
    assert response.headers["Content-Type"] == "application/json"
    assert list(body) == ["data", "pagination"]
    assert times(body["data"]) == [T0 + DAY, T0 + HOUR]
    assert list(body["data"][0]) == KEYS
    assert list(body["pagination"].items()) == [
        ("page", 1),
        ("page_size", 2),
        ("total_returned", 2),
        ("has_more", True),
    ]
    assert response.content.endswith(b'"pagination":{"page":1,"page_size":2,"total_returned":2,"has_more":true}}')


@pytest.mark.contract("D027")
def test_a_window_begins_with_page_1_of_100(write: Write, ask: Ask) -> None:
    write([order(T0 + at) for at in range(101)])
    body = ask(PATH, **in_window()).json()
    assert body["pagination"] == {"page": 1, "page_size": 100, "total_returned": 100, "has_more": True}
    assert len(ask(PATH, **in_window(page_size=1)).json()["data"]) == 1
    assert len(ask(PATH, **in_window(page_size=1000)).json()["data"]) == 101


@pytest.mark.contract("D027")
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("page", "0", too_small(0)),
        ("page", "x", UNREADABLE_INTEGER),
        ("page_size", "0", too_small(0)),
        ("page_size", "1001", too_large(1000)),
    ],
)
def test_a_page_out_of_bounds_is_unprocessable(
    db: None, ask: Ask, name: str, text: str, expected: tuple[Any, ...]
) -> None:
    response = ask(PATH, **in_window(**{name: text}))
    [item] = response.json()["detail"]
    assert response.status_code == 422
    assert (item["type"], item["msg"], item.get("ctx"), item["loc"]) == (*expected, ["query", name])


@pytest.mark.contract("D028")
@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        ({"start_timestamp": T0}, TOGETHER),
        ({"end_timestamp": "x"}, TOGETHER),
        ({"start_timestamp": T0, "limit": 5}, TOGETHER),
        ({"start_timestamp": T0, "end_timestamp": T0 + 1, "limit": 5}, NOT_BOTH),
        ({"start_timestamp": "x", "end_timestamp": -1, "limit": 5}, NOT_BOTH),
        ({}, EITHER),
        ({"page": 2}, EITHER),
        ({"start_timestamp": "x", "end_timestamp": -1}, BAD_FORMAT),
        ({"start_timestamp": "", "end_timestamp": ""}, BAD_FORMAT),
        ({"start_timestamp": -1, "end_timestamp": -2}, NEGATIVE),
        ({"start_timestamp": T0 + 1, "end_timestamp": T0}, START_AFTER_END),
    ],
)
def test_the_first_fault_in_the_contracts_order_is_the_one_named(
    db: None, ask: Ask, parameters: dict[str, object], detail: str
) -> None:
    response = ask(PATH, symbol="BTCUSDT", **parameters)
    assert (response.status_code, response.json()) == (400, {"detail": detail})


@pytest.mark.contract("D028")
def test_what_cannot_be_read_comes_before_what_makes_no_sense(db: None, ask: Ask) -> None:
    response = ask(PATH, start_timestamp=T0, limit="x")
    assert response.status_code == 422
    assert [(item["loc"][1], item["type"]) for item in response.json()["detail"]] == [
        ("symbol", "missing"),
        ("limit", "int_parsing"),
    ]


@pytest.mark.contract("D029")
def test_numeric_fields_are_numbers_or_null(write: Write, ask: Ask) -> None:
    write([order(T0, price=None, average_price="42", quantity="0.00000001"), order(T0 + 1, average_price=None)])
    newer, older = ask(PATH, **in_window()).json()["data"]
    assert older["price"] is None
    assert newer["average_price"] is None
    for row in (newer, older):
        assert all(row[key] is None or type(row[key]) is float for key in NUMBERS)
        assert type(row["order_trade_time"]) is int
    assert (older["average_price"], older["original_quantity"]) == (42.0, 1e-08)


def test_numbers_string_gives_exact_decimals_in_text(write: Write, ask: Ask) -> None:
    write([order(T0, price=None, average_price="94809.6", quantity="0.00000013", last_filled="7")])
    for row in (
        ask(PATH, **in_window(numbers="string")).json()["data"][0],
        ask(PATH, symbol="BTCUSDT", limit=1, numbers="string").json()[0],
    ):
        assert row["average_price"] == "94809.6"
        assert row["original_quantity"] == "0.00000013"
        assert row["order_last_filled_quantity"] == "7"
        assert row["order_trade_time"] == T0


@pytest.mark.contract("D030")
@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_walking_the_pages_over_equal_milliseconds_meets_every_order_once(
    write: Write, ask: Ask, page_size: int
) -> None:
    # A burst in one millisecond, longer than most pages, between others; and copies that differ in nothing but side.
    orders = [
        order(T0 + at, quantity=str(number))
        for at, many in ((1, 5), (2, 120), (3, 25))
        for number in range(1, many + 1)
    ] + [order(T0 + 2, side="BUY", quantity=str(number)) for number in range(1, 4)]
    random.Random(2).shuffle(orders)
    write(orders)
    walked = [row for body in pages(ask, page_size) for row in body["data"]]
    assert len(walked) == len(orders)
    assert {json.dumps(row) for row in walked} == {
        json.dumps(row) for row in ask(PATH, **in_window(page_size=1000)).json()["data"]
    }
    assert times(walked) == sorted(times(walked), reverse=True)


@pytest.mark.contract("D030")
def test_orders_that_are_equal_in_every_column_are_each_met(insert_outside: InsertRows, ask: Ask) -> None:
    insert_outside([("BTCUSDT", "buy", None, None, 1, 1, 1, None, 1, 1, T0)] * 5)
    assert [len(body["data"]) for body in pages(ask, 2)] == [2, 2, 1]


@pytest.mark.contract("D031")
@pytest.mark.parametrize("step", [0, 1])
def test_has_more_is_false_on_an_exactly_full_last_page(write: Write, ask: Ask, step: int) -> None:
    write([order(T0 + number * step, quantity=str(number)) for number in range(1, 11)])
    assert [body["pagination"]["has_more"] for body in pages(ask, 5)] == [True, False]
    assert [body["pagination"]["has_more"] for body in pages(ask, 10)] == [False]
    assert [body["pagination"]["total_returned"] for body in pages(ask, 4)] == [4, 4, 2]


@pytest.mark.contract("D032")
@pytest.mark.parametrize("page", [2, 3, 10**6, 10**18, 10**30])
def test_a_page_past_the_end_is_404_in_the_original_words(write: Write, ask: Ask, page: int) -> None:
    write([order()])
    response = ask(PATH, **in_window(page=page))
    assert (response.status_code, response.json()) == (404, {"detail": NOT_FOUND})


@pytest.mark.contract("D032")
def test_an_unknown_symbol_is_404_in_both_modes(write: Write, ask: Ask) -> None:
    write([order()])
    for response in (ask(PATH, symbol="NONE", limit=5), ask(PATH, **in_window(symbol="NONE"))):
        assert (response.status_code, response.json()) == (404, {"detail": NOT_FOUND})


@pytest.mark.contract("D065")
def test_limit_mode_shows_no_null_in_the_fields_that_its_clients_calculate_with(
    insert_outside: InsertRows, ask: Ask
) -> None:
    complete = ("BTCUSDT", "Buy", "LIMIT", "IOC", 1, "9.5", "9.25", "FILLED", 1, "2", T0)

    def without(at: int, *names: str) -> tuple[Any, ...]:
        row = dict(zip(KEYS, complete, strict=True)) | dict.fromkeys(names) | {"order_trade_time": T0 + at}
        return tuple(row[key] if key not in names else None for key in KEYS)

    insert_outside(
        [
            complete,
            without(1, "average_price"),
            without(2, "average_price", "price"),
            without(3, "order_filled_accumulated_quantity"),
            without(4, "side"),
            without(5, "order_trade_time"),
            without(6, "price", "original_quantity", "order_type", "order_status"),
        ]
    )
    rows = ask(PATH, symbol="BTCUSDT", limit=5).json()
    # The order price stands in for a missing average; what still has a null is left out and takes up no place.
    assert [(row["order_trade_time"] - T0, row["average_price"]) for row in rows] == [(6, 9.25), (1, 9.5), (0, 9.25)]
    assert {row["side"] for row in rows} == {"buy"}
    assert len(ask(PATH, symbol="BTCUSDT", limit=1).json()) == 1
    # A window shows the table as it is.
    window = ask(PATH, **in_window()).json()["data"]
    assert times(window) == [T0 + at for at in (6, 4, 3, 2, 1, 0)]
    assert window[1]["side"] is None
    assert window[4]["average_price"] is None


@pytest.mark.contract("D065")
def test_limit_mode_of_orders_that_all_lack_a_price_is_404(insert_outside: InsertRows, ask: Ask) -> None:
    insert_outside([("BTCUSDT", "buy", None, None, 1, None, None, None, 1, 1, T0)])
    assert ask(PATH, symbol="BTCUSDT", limit=5).status_code == 404
    assert Decimal(ask(PATH, **in_window()).json()["data"][0]["order_filled_accumulated_quantity"]) == 1
