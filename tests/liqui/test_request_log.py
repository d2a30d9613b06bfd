"""Each request has an id and one line in the log."""

import logging

import pytest
from django.test import Client


@pytest.mark.parametrize("sent", ["abc-123", "0af7651916cd43dd8448eb211c80319c", "a/b+c=:1"])
def test_a_sane_request_id_is_taken_over(client: Client, sent: str) -> None:
    assert client.get("/", headers={"x-request-id": sent})["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "é", "a\x1b[31m", "<script>"])
def test_any_other_request_id_is_replaced(client: Client, sent: str) -> None:
    made = client.get("/", headers={"x-request-id": sent})["X-Request-ID"]
    assert made != sent
    assert len(made) == 32


def finished(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "liqui.request"]


def test_a_request_is_one_line_with_its_status_and_its_id(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    request_id = client.get("/nothing")["X-Request-ID"]
    (record,) = caplog.records
    fields = record.msg
    assert isinstance(fields, dict)
    assert (fields["method"], fields["path"], fields["status"]) == ("GET", "/nothing", 404)
    assert fields["request_id"] == request_id
    assert fields["ms"] >= 0


def test_probes_are_not_logged_at_the_usual_level(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/metrics")
    assert finished(caplog) == []


def test_a_path_cannot_put_control_characters_into_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/%1b[31m%0aforged")
    (record,) = finished(caplog)
    assert record.msg["path"] == "/%1B%5B31m%0Aforged"  # type: ignore[index]
