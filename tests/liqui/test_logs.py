"""No log shows a socket's key, whichever web server writes the line."""

import logging

import pytest

from liqui.settings.logs import TokensHidden


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ('%s - "WebSocket %s" 403', ("a", "/ws?token=secret"), 'a - "WebSocket /ws?token=***" 403'),
        ("GET /ws?x=1&token=secret&y=2 HTTP/1.1", (), "GET /ws?x=1&token=***&y=2 HTTP/1.1"),
        ("/ws?token=secret&token=secret", (), "/ws?token=***&token=***"),
        ("'/ws?token=secret'", (), "'/ws?token=***'"),
        ("csrftoken=kept %d", (5,), "csrftoken=kept 5"),
    ],
)
def test_the_token_of_an_address_is_hidden(message: str, arguments: tuple[object, ...], shown: str) -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, message, arguments, None)
    assert TokensHidden().filter(record)
    assert record.getMessage() == shown
