"""GET /api/liquidation-orders/stream: the contract's rows D033 to D039 that need no server of their own.

What happens when a client leaves or a database dies is proved over real sockets, in tests/e2e.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from database import streaming
from liquidations import exporting
from liquidations.services import orders_write
from tests.backend import server_only
from tests.bulk import rows_fill
from tests.contracts.test_orders import KEYS
from tests.factories import DAY, T0, order

PATH = "/api/liquidation-orders/stream"
BAD_FORMAT = "Invalid timestamp format. Use Unix milliseconds or ISO format"

Ask = Callable[..., Any]
Write = Callable[..., Any]


def window(**changes: object) -> dict[str, object]:
    return {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY, **changes}


def rows_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


@pytest.fixture(autouse=True)
def every_slot_is_given_back() -> Iterator[None]:
    """Whatever became of a stream, the next one may be opened."""
    slots, free = exporting.slots, exporting.slots._value
    yield
    assert slots._value == free


@pytest.mark.contract("D033")
def test_the_stream_is_an_attachment_of_json_lines_newest_first(write: Write, ask: Ask) -> None:
    write([order(T0 + at) for at in (2, 0, 1)] + [order(T0, symbol="ETHUSDT"), order(T0 - 1), order(T0 + DAY + 1)])
    response = ask(PATH, **window(symbol="btcusdt"))
    content = response.getvalue()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == (
        f'attachment; filename="liquidation_orders_btcusdt_{T0}_{T0 + DAY}.jsonl"'
    )
    rows = rows_of(content)
    assert [row["order_trade_time"] for row in rows] == [T0 + 2, T0 + 1, T0]
    assert all(list(row) == KEYS for row in rows)
    # The separators of Python's json.dumps, a line feed after every row.
    assert content.decode() == "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.contract("D033")
@pytest.mark.parametrize("batch_size", [1, 3, 5000])
def test_equal_milliseconds_are_streamed_whole_and_in_the_order_of_the_pages(
    write: Write, ask: Ask, batch_size: int
) -> None:
    write(
        [
            order(T0 + at, quantity=str(number))
            for at, many in ((1, 4), (2, 130), (3, 1))
            for number in range(1, many + 1)
        ]
    )
    streamed = rows_of(ask(PATH, **window(batch_size=batch_size)).getvalue())
    assert streamed == ask("/api/liquidation-orders", **window(page_size=1000)).json()["data"]
    assert len(streamed) == 135


@pytest.mark.contract("D034")
@pytest.mark.parametrize("symbol", ["NONE", "", "BTCUSDT"])
def test_a_stream_without_rows_is_200_with_an_empty_body(write: Write, ask: Ask, symbol: str) -> None:
    write([order(T0 - 1)])
    response = ask(PATH, **window(symbol=symbol))
    assert (response.status_code, response.getvalue()) == (200, b"")
    assert response.headers["Content-Type"] == "application/x-ndjson"


@pytest.mark.contract("D035")
@pytest.mark.parametrize("size", [1, 5000])
def test_batch_sizes_from_1_to_5000_are_accepted(write: Write, ask: Ask, size: int) -> None:
    write([order(T0 + at) for at in range(3)])
    assert len(rows_of(ask(PATH, **window(batch_size=size)).getvalue())) == 3


@pytest.mark.contract("D035")
def test_batches_have_1000_rows_unless_asked_otherwise(write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_fill(1500)
    sizes: list[int] = []
    fetch = streaming.RowStream.fetch

    def fetch_noted(self: streaming.RowStream, size: int) -> Any:
        sizes.append(size)
        return fetch(self, size)

    monkeypatch.setattr(streaming.RowStream, "fetch", fetch_noted)
    ask(PATH, **window()).getvalue()
    assert set(sizes[1:]) == {1000}
    sizes.clear()
    ask(PATH, **window(batch_size=77)).getvalue()
    # The first batch is smaller, so that the first byte is early.
    assert (sizes[0], set(sizes[1:])) == (exporting.FIRST_ROWS, {77})


@pytest.mark.contract("D035")
@pytest.mark.parametrize(
    ("size", "kind", "context"),
    [
        ("0", "greater_than", {"gt": 0}),
        ("5001", "less_than_equal", {"le": 5000}),
        ("x", "int_parsing", None),
        ("", "int_parsing", None),
    ],
)
def test_a_batch_size_out_of_bounds_is_unprocessable(
    db: None, ask: Ask, size: str, kind: str, context: dict[str, int] | None
) -> None:
    response = ask(PATH, **window(batch_size=size))
    [item] = response.json()["detail"]
    assert response.status_code == 422
    assert (item["type"], item["loc"], item["input"], item.get("ctx")) == (
        kind,
        ["query", "batch_size"],
        size,
        context,
    )


@pytest.mark.contract("D016")
@pytest.mark.parametrize("name", ["symbol", "start_timestamp", "end_timestamp"])
def test_a_missing_parameter_is_named_in_a_list(db: None, ask: Ask, name: str) -> None:
    parameters = window()
    del parameters[name]
    response = ask(PATH, **parameters)
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/json")
    assert response.json()["detail"][0]["loc"] == ["query", name]


@pytest.mark.contract("D036")
def test_a_stream_of_any_length_is_one_select(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    rows_fill(12_345)
    statements: list[str] = []
    for_driver = streaming.for_driver
    monkeypatch.setattr(streaming, "for_driver", lambda sql: statements.append(sql) or for_driver(sql))
    response = ask(PATH, **window(batch_size=100))
    # Django's own connection has no part in it once the first byte is ready, until the audit log is told.
    with django_assert_num_queries(1) as queries:
        content = response.getvalue()
    assert "audit_log" in queries[0]["sql"]
    assert content.count(b"\n") == 12_345
    assert len(statements) == 1
    assert "OFFSET" not in statements[0]


@pytest.mark.slow
@pytest.mark.contract("D036")
def test_ten_times_the_rows_take_about_ten_times_as_long(write: Write, ask: Ask) -> None:
    rows_fill(100_000)

    def seconds(count: int) -> float:
        began = time.perf_counter()
        streamed = ask(PATH, **window(end_timestamp=T0 + (count - 1) * 1000))
        assert sum(chunk.count(b"\n") for chunk in streamed) == count
        return time.perf_counter() - began

    seconds(10_000)
    few, many = min(seconds(10_000) for _ in range(3)), min(seconds(100_000) for _ in range(2))
    # Pages by OFFSET would be far beyond: each reads all those before it.
    assert many < 25 * few


@pytest.mark.contract("D037")
def test_rows_inserted_during_a_stream_neither_repeat_nor_hide_any(write: Write, ask: Ask) -> None:
    rows_fill(3000)
    chunks = iter(ask(PATH, **window(batch_size=100)))
    first = next(chunks)
    # Newer than all, among those still to come, in the very milliseconds of others, and older than all.
    writer = threading.Thread(
        target=write_elsewhere,
        args=([order(T0 + at, quantity="7") for at in (2_999_500, 1_500_500, 1_000_000, 2_999_000, 0)],),
    )
    writer.start()
    writer.join()
    rows = rows_of(first + b"".join(chunks))
    assert [row["order_trade_time"] for row in rows] == [T0 + 1000 * at for at in reversed(range(3000))]
    assert len(rows_of(ask(PATH, **window()).getvalue())) == 3005


def write_elsewhere(orders: list[Any]) -> None:
    orders_write(orders)
    connection.close()


@pytest.mark.contract("D038")
def test_a_database_that_fails_before_the_first_byte_is_503(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([order()])

    def fails(seconds: int) -> None:
        raise OperationalError(2003, "Can't connect to server on '10.0.0.1' (111)")

    monkeypatch.setattr(streaming, "open_connection", fails)
    response = ask(PATH, **window())
    assert (response.status_code, response.json()) == (503, {"detail": "Database service unavailable"})
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.contract("D038")
def test_a_database_that_fails_later_is_a_last_line_without_internals(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_fill(1000)
    fetch, calls = streaming.RowStream.fetch, []

    def fetch_three_times(self: streaming.RowStream, size: int) -> Any:
        calls.append(size)
        if len(calls) > 3:
            raise OperationalError(2013, "Lost connection to server 'db.internal' during query")
        return fetch(self, size)

    monkeypatch.setattr(streaming.RowStream, "fetch", fetch_three_times)
    response = ask(PATH, **window(batch_size=100))
    *rows, last = rows_of(response.getvalue())
    assert response.status_code == 200
    assert last == {"error": "Streaming error: Database service unavailable"}
    # What was sent before it is right, from the newest on.
    assert [row["order_trade_time"] for row in rows] == [T0 + 1000 * (999 - at) for at in range(len(rows))]
    assert rows


@pytest.mark.contract("D038")
@server_only("SQLite has no connections that somebody else could end")
def test_a_connection_that_is_killed_midway_is_a_last_line_without_internals(write: Write, ask: Ask) -> None:
    rows_fill(100_000)
    chunks = iter(ask(PATH, **window(batch_size=100)))
    first = next(chunks)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() "
            "AND info LIKE %s",
            ["%ORDER BY order_trade_time DESC%"],
        )
        [(victim,)] = cursor.fetchall()
        cursor.execute(f"KILL {victim}")
    rest = b"".join(chunks)
    *rows, last = rows_of(first + rest)
    assert last == {"error": "Streaming error: Database service unavailable"}
    assert 0 < len(rows) < 100_000


@pytest.mark.contract("D038")
def test_a_stream_beyond_its_time_limit_ends_with_a_line_that_says_so(write: Write, ask: Ask, settings: Any) -> None:
    settings.STREAM_TIMEOUT_SECONDS = 1
    rows_fill(100_000)
    chunks = iter(ask(PATH, **window(batch_size=100)))
    content = next(chunks)
    time.sleep(1.1)
    content += b"".join(chunks)
    assert rows_of(content)[-1] == {"error": "Streaming error: Query timeout after 1 seconds"}


@pytest.mark.contract("D039")
@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"start_timestamp": -1}, "Timestamps must be non-negative"),
        ({"start_timestamp": -2, "end_timestamp": -1}, "Timestamps must be non-negative"),
        ({"start_timestamp": "x"}, BAD_FORMAT),
        ({"end_timestamp": ""}, BAD_FORMAT),
        ({"start_timestamp": T0 + DAY + 1}, "start_timestamp must be before end_timestamp"),
    ],
)
def test_windows_that_make_no_sense_are_refused_before_the_stream(
    db: None, ask: Ask, changes: dict[str, object], detail: str
) -> None:
    response = ask(PATH, **window(**changes))
    assert (response.status_code, response.json()) == (400, {"detail": detail})


@pytest.mark.contract("D039")
@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("币安人生USDT", "filename*=utf-8''liquidation_orders_%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT_{window}.jsonl"),
        ('x"; filename=evil.exe', 'filename="liquidation_orders_x_; filename=evil.exe_{window}.jsonl"'),
        ("a\r\nSet-Cookie: b", 'filename="liquidation_orders_a__Set-Cookie: b_{window}.jsonl"'),
        ("../../etc/passwd", 'filename="liquidation_orders_.._.._etc_passwd_{window}.jsonl"'),
        ("a\\b", 'filename="liquidation_orders_a_b_{window}.jsonl"'),
        ("\x00\x1f\x7f", 'filename="liquidation_orders_____{window}.jsonl"'),
        ("", 'filename="liquidation_orders__{window}.jsonl"'),
    ],
)
def test_the_file_name_is_quoted_whatever_the_symbol_is(db: None, ask: Ask, symbol: str, name: str) -> None:
    response = ask(PATH, **window(symbol=symbol))
    assert (response.status_code, response.getvalue()) == (200, b"")
    expected = f"attachment; {name.format(window=f'{T0}_{T0 + DAY}')}"
    assert response.headers["Content-Disposition"] == expected


@pytest.mark.contract("D039")
def test_a_symbol_in_any_alphabet_is_streamed(write: Write, ask: Ask) -> None:
    write([order(symbol="币安人生USDT")])
    content = ask(PATH, **window(symbol="币安人生usdt")).getvalue()
    assert '"symbol": "币安人生USDT"' in content.decode()


def test_numbers_string_streams_exact_decimals_in_text(write: Write, ask: Ask) -> None:
    write([order(average_price="94809.6", price=None)])
    [row] = rows_of(ask(PATH, **window(numbers="string")).getvalue())
    assert (row["average_price"], row["price"], row["original_quantity"]) == ("94809.6", None, "0.5")


def test_a_stream_too_many_is_refused_with_a_time_to_come_back(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_fill(1000)
    monkeypatch.setattr(exporting, "slots", threading.BoundedSemaphore(1))
    held = ask(PATH, **window())
    refused = ask(PATH, **window())
    assert (refused.status_code, refused.json()) == (503, {"detail": "Too many streams are open"})
    assert int(refused.headers["Retry-After"]) > 0
    held.close()
    assert ask(PATH, **window()).getvalue().count(b"\n") == 1000
