"""Importing by upload: streamed to LIQUI_HOME, imported as a job, told in clear words, removed after a day."""

import csv
import gzip
import html
import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import AuditEntry
from console.models import Job
from console.tasks import run_job
from console.uploads import MEGABYTE, uploads_folder, uploads_remove
from liquidations.models import LiquidationOrder
from liquidations.schema import COLUMNS
from tests.console.data_pages import signed_in, text_of
from tests.factories import T0

pytestmark = pytest.mark.django_db

PAGE, UPLOAD = "/admin/import", "/admin/import/upload"
HEADER = ",".join(COLUMNS)


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.LIQUI_HOME = tmp_path
    return tmp_path


def rows(count: int, *more: str) -> bytes:
    lines = [f"BTCUSDT,SELL,LIMIT,IOC,{number + 1},100,99,FILLED,1,1,{T0 + number}" for number in range(count)]
    return "\n".join([HEADER, *lines, *more, ""]).encode()


def upload(content: bytes, name: str = "orders.csv", role: str = "operator", **fields: str) -> Any:
    file = SimpleUploadedFile(name, content)
    return signed_in(role).post(UPLOAD, {"file": file, "format": "", "symbol": "", "contract_size": "", **fields})


def imported(content: bytes, name: str = "orders.csv", **fields: str) -> Job:
    """The job of an upload, after its worker."""
    response = upload(content, name, **fields)
    assert response.status_code == 302, text_of(response)
    job = Job.objects.latest("pk")
    assert response["Location"] == f"/admin/jobs/{job.pk}"
    run_job(job.pk)
    job.refresh_from_db()
    return job


def test_an_uploaded_file_is_imported_and_audited() -> None:
    job = imported(rows(5000))
    assert (job.state, job.message) == ("done", "5,000 orders stored.")
    assert (job.percent, job.result["amount"], job.result["file"]) == (100, 5000, "")
    assert LiquidationOrder.objects.count() == 5000
    entries = (
        AuditEntry.objects.filter(action__startswith="import.").order_by("pk").values_list("action", "target", "amount")
    )
    assert list(entries) == [("import.start", "orders.csv", None), ("import.finish", "orders.csv", 5000)]


def test_the_same_file_twice_inserts_nothing_and_says_so() -> None:
    imported(rows(10))
    job = imported(rows(10))
    assert job.message == "Nothing new: all 10 orders were stored already."
    assert LiquidationOrder.objects.count() == 10


def test_a_packed_file_is_unpacked() -> None:
    assert imported(gzip.compress(rows(3)), "orders.csv.gz").result["inserted"] == 3


def test_a_recording_is_recognised(recordings: Path) -> None:
    job = imported((recordings / "liq_btcusdt_2024-12-04_ist.csv").read_bytes(), "a.csv")
    assert job.state == "done", job.message
    assert job.result["inserted"] > 0


def test_rejected_lines_are_in_a_file_to_download_in_which_nothing_is_a_formula() -> None:
    job = imported(rows(2, "=cmd|' /C calc'!A0,SELL", "BTCUSDT,UP,LIMIT,IOC,1,1,1,FILLED,1,1,1704067200000"))
    assert "2 orders stored. 2 lines were rejected." in job.message
    response = signed_in("viewer").get(f"/admin/jobs/{job.pk}/file")
    found = list(csv.DictReader(io.StringIO(text_of(response))))
    assert [row["line"] for row in found] == ["4", "5"]
    assert found[0]["text"].startswith("'=cmd")
    assert found[0]["file"] == "orders.csv"


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"%PDF-1.7 \x00\x01 nothing of ours", "report.pdf", "its format is not recognised"),
        (b"\x1f\x8bnot really packed", "orders.gz", "cannot be read"),
        (b"time,side,original_quantity\n1704067200000,SELL,1\n", "x.csv", "give the symbol"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_why(content: bytes, name: str, reason: str) -> None:
    job = imported(content, name)
    assert job.state == "failed"
    assert job.message.startswith("This file cannot be imported: ")
    assert reason in job.message
    assert "--" not in job.message


def test_the_symbol_of_the_form_is_that_of_a_file_without_one() -> None:
    job = imported(b"time,side,original_quantity\n1704067200000,SELL,1\n", "x.csv", symbol="ethusdt")
    assert job.state == "done", job.message
    assert LiquidationOrder.objects.values_list("symbol", flat=True).get() == "ETHUSDT"


def test_a_file_that_is_not_there_for_the_worker_is_told_as_such(home: Path) -> None:
    upload(rows(1))
    for path in uploads_folder().iterdir():
        path.unlink()
    job = Job.objects.latest("pk")
    run_job(job.pk)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "another LIQUI_HOME" in job.message
    assert str(home) not in job.message


def test_a_job_cannot_name_a_file_elsewhere(home: Path) -> None:
    (home / "secret_key").write_text("secret")
    upload(rows(1))
    job = Job.objects.latest("pk")
    job.arguments["file"] = "../secret_key"
    job.save()
    run_job(job.pk)
    job.refresh_from_db()
    assert job.state == "failed"


def test_a_file_that_is_too_large_is_refused_and_not_kept(settings: Any) -> None:
    settings.UPLOAD_MAX_MB = 1
    response = upload(b"x" * (MEGABYTE + 1))
    assert response.status_code == 200
    assert "larger than 1 MB (UPLOAD_MAX_MB)" in text_of(response)
    assert list(uploads_folder().iterdir()) == []
    assert not Job.objects.exists()


def test_no_file_and_an_empty_one_are_named() -> None:
    assert "This field is required" in text_of(signed_in("operator").post(UPLOAD, {}))
    assert "empty" in text_of(upload(b""))


def test_the_name_of_a_file_is_text_and_never_a_path(home: Path) -> None:
    name = '<script>alert("1")</script>.csv'
    job = imported(rows(1), name)
    assert all(len(path.name) == 32 for path in uploads_folder().iterdir())
    for page in (PAGE, f"/admin/jobs/{job.pk}"):
        shown = text_of(signed_in("viewer").get(page))
        assert "<script>alert(" not in shown
        assert html.escape(job.target) in shown
    imported(rows(1), "../../../etc/passwd")
    assert {path.parent for path in home.rglob("*") if path.is_file()} == {uploads_folder()}


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_uploads_are_for_us_alone() -> None:
    upload(rows(1))
    (path,) = uploads_folder().iterdir()
    assert (path.stat().st_mode & 0o777, uploads_folder().stat().st_mode & 0o777) == (0o600, 0o700)


def test_uploads_are_removed_after_a_day() -> None:
    uploads_remove()
    upload(rows(1))
    upload(rows(2))
    old, young = uploads_folder().iterdir()
    os.utime(old, (time.time() - 86_500,) * 2)
    uploads_remove()
    assert list(uploads_folder().iterdir()) == [young]


def test_uploading_needs_an_operator_a_token_and_a_post() -> None:
    assert upload(rows(1), role="viewer").status_code == 403
    assert signed_in("operator").get(UPLOAD).status_code == 405
    strict = Client(enforce_csrf_checks=True, cookies=signed_in("operator").cookies)  # type: ignore[arg-type]
    strict.cookies = signed_in("operator").cookies
    assert strict.post(UPLOAD, {"file": SimpleUploadedFile("a.csv", rows(1))}).status_code == 403
    assert Client().post(UPLOAD, {"file": SimpleUploadedFile("a.csv", rows(1))}).status_code == 302
    assert not Job.objects.exists()


def test_a_viewer_sees_what_was_imported_and_no_form() -> None:
    imported(rows(7))
    page = text_of(signed_in("viewer").get(PAGE))
    assert "7 orders stored." in page
    assert 'type="file"' not in page


@pytest.mark.django_db(transaction=True)
def test_a_large_upload_takes_no_memory_to_speak_of(committed: None) -> None:
    """What is read at once is a piece, however large the file."""
    import tracemalloc

    content = SimpleUploadedFile("large.csv", b"x" * (30 * MEGABYTE))
    client = signed_in("operator")
    tracemalloc.start()
    client.post(UPLOAD, {"file": content, "format": "recorder"})
    # The test's client makes the request's body of it: that is the one copy.
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 30 * MEGABYTE
