"""The console's jobs: how far each is, what came of it, and what becomes of those whose worker has died."""

import html
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.callers import Caller
from accounts.models import AuditEntry
from accounts.roles import Role
from console import jobs
from console.jobs import JobFailed, Report, job_active, job_run, job_start, work_for
from console.models import SILENCE, Job
from tests import live
from tests.console.data_pages import signed_in
from tools.servers import free_port

LIST = "/admin/jobs"
ACTOR = Caller("somebody", Role.OPERATOR, "session", "user:1", address="192.0.2.1")
SCRIPT = "<script>alert(1)</script>"
BROKER_AWAY = """
import time
import django; django.setup()
from accounts.audit import SYSTEM
from console.jobs import job_start
began = time.monotonic()
job = job_start("cache.warm", SYSTEM)
print(job.state, job.message, time.monotonic() - began < 5)
"""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of work of these tests' own."""
    monkeypatch.setattr(jobs, "works", dict(jobs.works))

    @work_for("count")
    def count(job: Job, report: Report) -> dict[str, Any]:
        for number in range(1000):
            report(number, 1000, f"{number} counted")
        report(1000, 1000, "all counted")
        return {"amount": 1000, "odd": True, "parts": {"a": 1200}, "lines": ["one", SCRIPT], "nothing": []}

    @work_for("fail")
    def fail(job: Job, report: Report) -> dict[str, Any]:
        raise JobFailed(f"{job.arguments['why']}")

    @work_for("break")
    def broken(job: Job, report: Report) -> dict[str, Any]:
        raise ValueError("a secret")


@pytest.fixture
def viewer() -> Client:
    return signed_in("viewer")


@pytest.fixture
def operator() -> Client:
    return signed_in("operator")


def text_of(client: Client, path: str, status: int = 200) -> str:
    response: Any = client.get(path)
    assert response.status_code == status
    return html.unescape(response.content.decode())


def page_of(job: Job, part: str = "") -> str:
    return f"{LIST}/{job.pk}{part}"


def aged(job: Job, by: timedelta) -> None:
    """As if it were so long ago."""
    for name in ("created_at", "started_at", "told_at"):
        if moment := getattr(job, name):
            Job.objects.filter(pk=job.pk).update(**{name: moment - by})


def test_a_job_is_shown_from_asking_to_its_result(viewer: Client) -> None:
    job = job_start("count", ACTOR, "BTCUSDT", first=1)
    shown = text_of(viewer, page_of(job))
    assert "Celery has not taken it up yet" in shown
    assert f'hx-get="{page_of(job, "/part")}"' in shown
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, done=250, total=1000, message="250 counted")
    shown = text_of(viewer, page_of(job, "/part"))
    assert "<html" not in shown
    assert 'value="25"' in shown
    assert "25 %: 250 counted" in shown
    job_run(job.pk)
    shown = text_of(viewer, page_of(job))
    assert "all counted" in shown
    assert "somebody" in shown
    assert "192.0.2.1" in shown
    assert "1,200  a" in shown
    assert "hx-get" not in shown
    entry = AuditEntry.objects.get(action="count.finish")
    assert (entry.actor, entry.target, entry.amount, entry.outcome) == ("somebody", "BTCUSDT", 1000, "done")


def test_reports_are_written_twice_a_second_at_most_and_the_last_one_is_kept(
    django_assert_max_num_queries: Any,
) -> None:
    job = job_start("count", ACTOR)
    with django_assert_max_num_queries(20):
        job_run(job.pk)
    job.refresh_from_db()
    assert (job.done, job.total, job.message) == (1000, 1000, "all counted")
    assert job.told_at is not None


def test_what_a_job_is_about_is_never_run_by_the_browser(viewer: Client) -> None:
    job = job_start("count", ACTOR, SCRIPT, file_name=SCRIPT)
    job_run(job.pk)
    Job.objects.filter(pk=job.pk).update(message=SCRIPT)
    for path in (LIST, page_of(job), page_of(job, "/progress")):
        assert SCRIPT not in viewer.get(path).content.decode()


def test_a_job_that_fails_says_why_and_nothing_internal(operator: Client) -> None:
    told = job_start("fail", ACTOR, why="The file is empty.")
    untold = job_start("break", ACTOR)
    for job in (told, untold):
        job_run(job.pk)
    assert "The file is empty." in text_of(operator, page_of(told))
    shown = text_of(operator, page_of(untold))
    assert "ValueError; the log says more" in shown
    assert "a secret" not in shown


def test_a_failed_job_can_be_asked_for_again_by_operators(operator: Client, viewer: Client) -> None:
    job = job_start("fail", ACTOR, "x", why="Full.")
    job_run(job.pk)
    assert "Ask again" not in text_of(viewer, page_of(job))
    assert viewer.post(page_of(job, "/again")).status_code == 403
    assert "Ask again" in text_of(operator, page_of(job))
    response: Any = operator.post(page_of(job, "/again"))
    new = Job.objects.latest("pk")
    assert response["Location"] == page_of(new)
    assert (new.kind, new.target, new.arguments, new.actor) == ("fail", "x", {"why": "Full."}, "operator")
    assert new.state == Job.State.WAITING
    assert AuditEntry.objects.get(action="fail.again").details == {"job": new.pk, "instead_of": job.pk}


def test_a_job_whose_worker_has_died_is_stalled_and_given_up_when_it_is_asked_for_again(operator: Client) -> None:
    job = job_start("count", ACTOR)
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, told_at=timezone.now())
    job.refresh_from_db()
    assert job_active("count") == job
    assert "stalled" not in text_of(operator, page_of(job))
    assert "neither failed nor stalled" in text_of(operator, operator.post(page_of(job, "/again"))["Location"])  # type: ignore[index]
    aged(job, SILENCE)
    assert job_active("count") is None
    shown = text_of(operator, page_of(job))
    assert "Nothing has been heard of it for 5 min" in shown
    assert "has probably died" in shown
    assert "stalled" in text_of(operator, LIST)
    operator.post(page_of(job, "/again"))
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "Given up" in job.message
    job_run(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED


def test_a_job_that_nobody_takes_up_says_what_may_be_missing(operator: Client) -> None:
    job = job_start("count", ACTOR)
    aged(job, SILENCE)
    assert "No Celery worker has taken it up: is one running?" in text_of(operator, page_of(job))


def test_without_a_queue_a_job_fails_at_once_and_says_so(tmp_path: Path) -> None:
    environment = live.server_environment(tmp_path) | {
        "DATABASE_URL": live.tests_database_url(),
        "CELERY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "DJANGO_SETTINGS_MODULE": "liqui.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", BROKER_AWAY], cwd=live.ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "failed Celery's queue cannot be reached. Ask again when it can. True", (
        done.stderr
    )


def test_jobs_are_listed_newest_first_page_by_page_and_by_kind(viewer: Client) -> None:
    assert "Nobody has asked for anything yet" in text_of(viewer, LIST)
    Job.objects.bulk_create(Job(kind="count", target=f"number {number}", actor="a") for number in range(60))
    Job.objects.create(kind="fail", target="the other", actor="a")
    first = text_of(viewer, LIST)
    assert first.index("the other") < first.index("number 59") < first.index("number 11")
    assert "number 10<" not in first
    older = Job.objects.get(target="number 11").pk
    assert f"?before={older}" in first
    assert "number 10" in text_of(viewer, f"{LIST}?before={older}")
    assert "number" not in text_of(viewer, f"{LIST}?kind=fail")
    for before in ("x", "-1", "9" * 30, "²", SCRIPT):
        assert "the other" in text_of(viewer, f"{LIST}?before={before}")


def test_a_job_that_there_never_was_is_not_found(viewer: Client) -> None:
    for part in ("", "/part", "/progress", "/file"):
        assert viewer.get(f"{LIST}/4711{part}").status_code == 404


def test_the_file_that_a_job_has_left_can_be_had(viewer: Client, settings: Any, tmp_path: Path) -> None:
    settings.LIQUI_HOME = tmp_path / "home"
    (settings.LIQUI_HOME / "uploads").mkdir(parents=True)
    (settings.LIQUI_HOME / "uploads" / "abc.rejects.csv").write_text("line,reason\n1,=HYPERLINK()\n")
    job = Job.objects.create(kind="import", actor="a", state="done", result={"file": "uploads/abc.rejects.csv"})
    assert page_of(job, "/file") in text_of(viewer, page_of(job))
    response: Any = viewer.get(page_of(job, "/file"))
    assert b"".join(response.streaming_content).startswith(b"line,reason")
    assert response["Content-Disposition"] == f'attachment; filename="job-{job.pk}.rejects.csv"'


@pytest.mark.parametrize(
    "name", ["../outside.csv", "/etc/hostname", "uploads/none.csv", "uploads", "", "link.csv", None]
)
def test_a_file_outside_the_home_or_one_that_is_gone_is_not_found(
    viewer: Client, settings: Any, tmp_path: Path, name: str | None
) -> None:
    settings.LIQUI_HOME = tmp_path / "home"
    (settings.LIQUI_HOME / "uploads").mkdir(parents=True)
    (tmp_path / "outside.csv").write_text("secret")
    os.symlink(tmp_path / "outside.csv", settings.LIQUI_HOME / "link.csv")
    job = Job.objects.create(kind="import", actor="a", state="done", result={"file": name})
    assert viewer.get(page_of(job, "/file")).status_code == 404


def test_a_link_or_a_foreign_page_asks_for_nothing(operator: Client) -> None:
    job = Job.objects.create(kind="count", actor="a", state="failed")
    assert operator.get(page_of(job, "/again")).status_code == 405
    operator.handler.enforce_csrf_checks = True
    assert operator.post(page_of(job, "/again")).status_code == 403
    assert Job.objects.count() == 1
