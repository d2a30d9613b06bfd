"""Whatever bytes a client sends as parameters: an answer that it can read, and never a 500. Rows D014 and D039."""

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.factories import DAY, T0, order

Write = Callable[..., Any]

ENDPOINTS = {
    "/api/liquidations": {"symbol": "BTCUSDT", "timeframe": "1h", "start_timestamp": T0, "end_timestamp": T0 + DAY},
    "/api/liquidation-orders": {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY},
    "/api/liquidation-orders/stream": {"symbol": "BTCUSDT", "start_timestamp": T0, "end_timestamp": T0 + DAY},
    "/api/symbols": {},
    "/health": {},
    "/": {},
}
NAMES = [
    *("symbol", "timeframe", "start_timestamp", "end_timestamp", "limit", "page", "page_size", "batch_size"),
    *("anchor", "numbers", "fill", "format", ""),
]
NASTY = [
    b"",
    b"\x00",
    b"BTCUSDT\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # a lone surrogate
    b"\xf0\x9f\x98\x80",
    "币安人生USDT".encode(),
    b"%",
    b"%s %(x)s {0} ${x}",
    b"'",
    b"';DROP TABLE binance_liqs;--",
    b"\\",
    b'"',
    b"a\r\nX-Injected: 1",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"9" * 4300,
    b"9" * 5000,
    b"253402300799999",
    b"253402300800000",
    b"9999-12-31T23:59:59.999999Z",
    b"9999-12-31T23:59:59-23:59",
    b"0001-01-01T00:00:00+23:59",
    b"10000-01-01",
    b"2024-01-01T00:00:00 05:30",
    b"2024-W01-1",
    b"1e309",
    b"nan",
    b"0m",
    b"999999999999d",
    b"1m",
    b"1",
    b"1000",
    b"x" * 10_000,
    "\u212a\u0130\u00df\ufb03".encode(),  # letters that change their number when their case changes
]

CLIENT = Client(raise_request_exception=False)
values = (
    st.sampled_from(NASTY)
    | st.binary(max_size=30)
    | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | (st.integers().map(lambda number: str(number).encode()))
)
changes = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


def query_of(parameters: dict[str, Any]) -> str:
    return "&".join(
        f"{name}={quote_from_bytes(value if isinstance(value, bytes) else str(value).encode())}"
        for name, value in parameters.items()
    )


def assert_answered(path: str, query: str) -> None:
    response: Any = CLIENT.get(path, QUERY_STRING=query)
    body = response.getvalue()
    assert response.status_code in (200, 400, 404, 422), (response.status_code, body, query)
    assert "X-Injected" not in response.headers
    if response.headers["Content-Type"] == "application/json":
        answer = json.loads(body)
        assert response.status_code == 200 or list(answer) == ["detail"]


@pytest.fixture
def rows(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    write([order(T0), order(T0 + 1, symbol="币安人生USDT"), order(T0 + 2, side="BUY", price=None)])


@pytest.mark.contract("D014")
@pytest.mark.contract("D039")
@pytest.mark.parametrize("path", ENDPOINTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(changed=changes, removed=st.sets(st.sampled_from(NAMES), max_size=2))
def test_any_parameters_are_answered_without_a_server_error(
    rows: None, path: str, changed: dict[str, bytes], removed: set[str]
) -> None:
    kept = {name: value for name, value in ENDPOINTS[path].items() if name not in removed}
    assert_answered(path, query_of(kept | changed))


@pytest.mark.contract("D039")
@pytest.mark.parametrize("path", ENDPOINTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(raw=st.binary(max_size=60))
@example(b"symbol=%&start_timestamp=%ZZ&end_timestamp=%u0041")
@example(b"&&==&symbol&symbol=a;b=c")
@example(b"symbol[]=x&symbol=y&symbol=z")
@example(b"a=" * 2000)
@example(b"a&" * 2000)
def test_any_query_string_is_answered_without_a_server_error(rows: None, path: str, raw: bytes) -> None:
    # As a server hands it on: every byte as one character.
    assert_answered(path, raw.decode("latin-1"))


@pytest.mark.contract("D014")
@pytest.mark.parametrize("name", [name for name in NAMES if name])
@pytest.mark.parametrize("path", list(ENDPOINTS)[:3])
def test_every_nasty_value_in_every_parameter(rows: None, path: str, name: str) -> None:
    for value in NASTY:
        assert_answered(path, query_of({**ENDPOINTS[path], name: value}))
        # The mode without a window, too.
        if path == "/api/liquidation-orders":
            assert_answered(path, query_of({"symbol": "BTCUSDT", "limit": 5, name: value}))


@pytest.mark.parametrize("path", ["/%00", "/api/%ff", "/api/liquidations%0a", "/%e5%b8%81", "/api//symbols", "/.."])
def test_any_path_is_answered_without_a_server_error(db: None, path: str) -> None:
    response: Any = CLIENT.get(path)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
