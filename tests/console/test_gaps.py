"""The page of gaps: what nobody received, in a window that the operator chooses."""

import csv
from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts.models import AuditEntry
from console.pages import gaps as page_module
from streams.gaps import coverage_write
from tests.console.data_pages import signed_in, text_of

PAGE = "/admin/gaps"
STREAM = "!forceOrder@arr"
START = 1_767_225_600_000  # 2026-01-01
HOUR = 3_600_000
WINDOW = {"start": "2026-01-01T00:00:00", "end": "2026-01-01T12:00:00"}


@pytest.fixture
def viewer(db: None) -> Client:
    return signed_in("viewer")


@pytest.fixture
def ledger(viewer: Client) -> None:
    """Received from 0 to 3 h, 4 h to 9 h, and from ten seconds after that; another stream not at all."""
    spans = [(STREAM, START, START + 3 * HOUR), (STREAM, START + 4 * HOUR, START + 9 * HOUR)]
    spans += [(STREAM, START + 9 * HOUR + 10_000, START + 24 * HOUR), ("<script>", START, START + 1)]
    coverage_write("binance", "one", spans)


def test_without_a_ledger_the_page_says_so(viewer: Client) -> None:
    assert "No collector has written to this database yet" in text_of(viewer.get(PAGE))


@pytest.mark.usefixtures("ledger")
def test_the_gaps_of_a_window_are_listed_with_their_sum(viewer: Client) -> None:
    page = text_of(viewer.get(PAGE, WINDOW | {"stream": STREAM}))
    assert "<dd>2</dd><dt>gaps</dt>" in page
    assert "(1 h)" in page
    assert "8.356 %" in page
    assert page.index("2026-01-01 09:00:00.000") < page.index("2026-01-01 03:00:00.000")


@pytest.mark.usefixtures("ledger")
def test_short_gaps_can_be_left_out(viewer: Client) -> None:
    assert "<dd>1</dd><dt>gaps</dt>" in text_of(viewer.get(PAGE, WINDOW | {"stream": STREAM, "min_s": "10.5"}))


@pytest.mark.usefixtures("ledger")
def test_no_gap_is_said_in_words(viewer: Client) -> None:
    window = {"stream": STREAM, "start": "2026-01-01T00:00", "end": "2026-01-01T02:00"}
    assert "There is no such gap in this time." in text_of(viewer.get(PAGE, window))


@pytest.mark.usefixtures("ledger")
def test_a_gap_that_goes_on_is_marked(viewer: Client) -> None:
    assert "goes on" in text_of(viewer.get(PAGE, {"stream": STREAM}))


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"start": "yesterday"}, "is not a time such as"),
        ({"start": WINDOW["end"], "end": WINDOW["start"]}, "From must be before Until."),
        ({"start": "2020-01-01T00:00", "end": "2026-01-01T00:00"}, "The ledger goes back 400 days"),
        ({"min_s": "-1"}, "greater than or equal to 0"),
        ({"stream": "nothing"}, "Select a valid choice"),
    ],
)
def test_a_window_that_means_nothing_is_refused_in_words(viewer: Client, query: dict[str, str], said: str) -> None:
    response = viewer.get(PAGE, query)
    assert response.status_code == 200
    assert said in text_of(response)


@pytest.mark.usefixtures("ledger")
def test_a_stream_with_a_wild_name_is_shown_as_text(viewer: Client) -> None:
    assert "<script>" not in text_of(viewer.get(PAGE)).split("<form", 1)[1].split("</form>", 1)[0]


@pytest.mark.usefixtures("ledger")
def test_the_csv_has_all_gaps_the_earliest_first_and_is_audited(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "SHOWN", 1)
    assert "The newest 1 of 2" in text_of(viewer.get(PAGE, WINDOW | {"stream": STREAM}))
    response = viewer.get(PAGE, WINDOW | {"stream": STREAM, "format": "csv"})
    assert response["Content-Disposition"] == 'attachment; filename="gaps.csv"'
    rows = list(csv.DictReader(text_of(response).splitlines()))
    assert [(row["start_ms"], row["seconds"]) for row in rows] == [
        (str(START + 3 * HOUR), "3600.0"),
        (str(START + 9 * HOUR), "10.0"),
    ]
    assert rows[0]["start_utc"] == datetime.fromtimestamp(START / 1000 + 10_800, UTC).strftime("%Y-%m-%d %H:%M:%S.000")
    entry = AuditEntry.objects.get(action="gaps.export")
    assert (entry.actor, entry.amount) == ("viewer", 2)
