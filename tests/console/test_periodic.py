"""Periodic tasks: their rows, what an administrator may do with them, and a beat that keeps to it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts.models import AuditEntry
from liqui.beat import Scheduler
from liqui.celery import OF_COLLECTED_FEEDS, app
from tests import live
from tests.backend import server_only
from tests.console.data_pages import signed_in, text_of
from tests.live import ROOT, server_environment, wait_until

LIST = "/admin/django_celery_beat/periodictask/"


@pytest.fixture
def administrator(db: None) -> Client:
    return signed_in("administrator")


def new_beat() -> Scheduler:
    """As after a restart of the process."""
    return Scheduler(app=app, Producer=object)


def looked(beat: Scheduler) -> dict[str, Any]:
    """What it would run, had it just looked."""
    beat.look()
    return beat._schedule


# Beat ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_entries_of_the_project_are_in_the_database_and_run() -> None:
    assert looked(new_beat()).keys() == app.conf.beat_schedule.keys()
    bars = PeriodicTask.objects.get(name="build-bars")
    assert (bars.task, str(bars.interval), bars.enabled) == ("liquidations.build_bars", "every minute", True)


@pytest.mark.django_db
def test_an_interval_and_a_switch_survive_restarts() -> None:
    looked(new_beat())
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.filter(name="build-bars").update(interval=hourly)
    PeriodicTask.objects.filter(name="warm-cache").update(enabled=False)
    for _ in range(2):
        schedule = looked(new_beat())
        assert schedule["build-bars"].schedule.run_every == timedelta(hours=1)
        assert "warm-cache" not in schedule
    assert PeriodicTask.objects.count() == len(app.conf.beat_schedule)


@pytest.mark.django_db
def test_what_waits_for_a_worker_expires_with_its_interval() -> None:
    assert looked(new_beat())["build-bars"].options["expires"] == 60
    PeriodicTask.objects.filter(name="build-bars").update(
        interval=IntervalSchedule.objects.create(every=2, period="hours")
    )
    assert looked(new_beat())["build-bars"].options["expires"] == 7200


@pytest.mark.django_db
def test_a_change_is_taken_up_by_a_beat_that_runs(administrator: Client) -> None:
    beat = new_beat()
    assert "warm-cache" in looked(beat)
    act(administrator, "switch_off", "warm-cache")
    assert "warm-cache" not in looked(beat)
    act(administrator, "switch_on", "warm-cache")
    assert "warm-cache" in looked(beat)


@pytest.mark.django_db
def test_a_feeds_own_tasks_rest_while_another_feed_is_served(administrator: Client) -> None:
    every_day = IntervalSchedule.objects.create(every=1, period="days")
    PeriodicTask.objects.create(name="sync-instruments", task="marketdata.sync_instruments", interval=every_day)
    assert "sync-instruments" in OF_COLLECTED_FEEDS
    assert "sync-instruments" not in looked(new_beat())
    assert "belongs to another FEED" in text_of(administrator.get(LIST))


@pytest.mark.django_db
def test_a_task_that_another_version_renamed_is_renamed() -> None:
    looked(new_beat())
    PeriodicTask.objects.filter(name="build-bars").update(task="liquidations.old_name")
    assert looked(new_beat())["build-bars"].task == "liquidations.build_bars"


@pytest.mark.django_db
def test_runs_are_noted_and_change_nothing_else() -> None:
    beat = new_beat()
    entry = looked(beat)["build-bars"]
    PeriodicTask.objects.filter(name="build-bars").update(description="somebody's words")
    beat.reserve(entry)
    beat.look()
    row = PeriodicTask.objects.get(name="build-bars")
    assert (row.total_run_count, row.description) == (1, "somebody's words")
    assert row.last_run_at is not None
    assert timezone.now() - row.last_run_at < timedelta(minutes=1)


@pytest.mark.django_db
def test_beat_goes_on_with_what_it_knows_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise OperationalError(2002, "Can't connect")

    beat = new_beat()
    with monkeypatch.context() as patch:
        patch.setattr("liqui.beat.entries_put", away)
        assert looked(beat) == {}
    assert "build-bars" in looked(beat)
    with monkeypatch.context() as patch:
        patch.setattr("liqui.beat.PeriodicTasks.last_change", away)
        beat.reserve(beat._schedule["build-bars"])
        assert "build-bars" in looked(beat)
        assert beat.tick() >= 0


@contextmanager
def celery_beat(home: Path, **variables: str) -> Iterator[Any]:
    """``celery beat`` as a supervisor runs it; gives what it has logged so far."""
    home.mkdir()
    log = home / "beat.log"
    command = [sys.executable, "-m", "celery", "-A", "liqui", "beat", "--max-interval", "1"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=server_environment(home) | variables, stdout=out, stderr=out)
        try:
            yield lambda: log.read_text()
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_celerys_own_beat_reads_the_database_and_keeps_to_a_switch(tmp_path: Path) -> None:
    every_second = IntervalSchedule.objects.create(every=1, period="seconds")
    for name, enabled in (("build-bars", True), ("count-cache", False)):
        PeriodicTask.objects.create(
            name=name, task=app.conf.beat_schedule[name]["task"], interval=every_second, enabled=enabled
        )
    with celery_beat(tmp_path / "home", DATABASE_URL=live.tests_database_url()) as log:
        wait_until(lambda: runs("build-bars") > 1, 30, "it runs")
        PeriodicTask.objects.get(name="count-cache").delete()
        PeriodicTask.objects.create(name="count-cache", task="cachemgmt.count", interval=every_second)
        wait_until(lambda: runs("count-cache") > 0, 30, "it is taken up")
        assert "Traceback" not in log()


def runs(name: str) -> int:
    return PeriodicTask.objects.filter(name=name).values_list("total_run_count", flat=True).get()


@pytest.mark.slow
@server_only("a private MariaDB")
def test_celerys_beat_starts_without_a_database_and_outlives_one(private_mariadb: Any, tmp_path: Path) -> None:
    import MySQLdb

    with MySQLdb.connect(host=private_mariadb.host, port=private_mariadb.port, user="root") as server:
        server.cursor().execute("CREATE DATABASE IF NOT EXISTS beat CHARACTER SET utf8mb4")
    variables = {"DATABASE_URL": private_mariadb.url("beat")}
    home = tmp_path / "manage"
    home.mkdir()
    private_mariadb.stop()
    with celery_beat(tmp_path / "home", **variables) as log:
        wait_until(lambda: "periodic tasks cannot be read" in log(), 30, "it says so")
        private_mariadb.start()
        migrated = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrated, cwd=ROOT, env=server_environment(home) | variables, check=True)

        def count() -> int:
            with MySQLdb.connect(
                host=private_mariadb.host, port=private_mariadb.port, user="root", db="beat"
            ) as server:
                cursor = server.cursor()
                cursor.execute("SELECT COUNT(*) FROM django_celery_beat_periodictask")
                return cursor.fetchone()[0]

        wait_until(lambda: count() == len(app.conf.beat_schedule), 30, "its entries are there")
        private_mariadb.kill()
        private_mariadb.start()
        assert "Traceback" not in log()


# The pages -------------------------------------------------------------------------------------------------------


def act(client: Client, action: str, *names: str) -> Any:
    """One of the list's actions."""
    ids = list(PeriodicTask.objects.filter(name__in=names).values_list("pk", flat=True))
    return client.post(LIST, {"action": action, "_selected_action": ids}, follow=True)


def changed(client: Client, task: PeriodicTask, **fields: Any) -> Any:
    form = {"enabled": "on", "interval": task.interval_id or "", "crontab": "", "args": "[]", "kwargs": "{}", **fields}
    return client.post(f"{LIST}{task.pk}/change/", form)


@pytest.fixture
def bars(db: None) -> PeriodicTask:
    looked(new_beat())
    return PeriodicTask.objects.get(name="build-bars")


def test_an_administrator_changes_an_interval_and_is_audited(administrator: Client, bars: PeriodicTask) -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    response = changed(administrator, bars, interval=hourly.pk)
    assert response.status_code == 302, text_of(response)
    bars.refresh_from_db()
    assert (bars.interval, bars.task, bars.name) == (hourly, "liquidations.build_bars", "build-bars")
    entry = AuditEntry.objects.get(action="periodic_task.change")
    assert (entry.actor, entry.details["changes"]) == ("administrator", ["Interval Schedule"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"interval": ""}, "Choose an interval or a crontab"),
        ({"args": "{"}, "is not JSON such as"),
        ({"args": "{}"}, "is not JSON such as"),
        ({"kwargs": "[1]"}, "is not JSON such as"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_named(
    administrator: Client, bars: PeriodicTask, fields: dict[str, str], said: str
) -> None:
    assert said in text_of(changed(administrator, bars, **fields))


def test_a_task_is_never_on_two_schedules(administrator: Client, bars: PeriodicTask) -> None:
    crontab = CrontabSchedule.objects.create(minute="0")
    assert "one of the two" in text_of(changed(administrator, bars, crontab=crontab.pk))
    assert changed(administrator, bars, interval="", crontab=crontab.pk).status_code == 302
    assert looked(new_beat())["build-bars"].schedule.minute == {0}


def test_a_new_task_is_one_that_workers_know(administrator: Client) -> None:
    interval = IntervalSchedule.objects.create(every=5, period="minutes")
    form = {"name": "mine", "task": "cachemgmt.count", "interval": interval.pk, "args": "[]", "kwargs": "{}"}
    assert "Select a valid choice" in text_of(administrator.post(f"{LIST}add/", form | {"task": "os.system"}))
    assert administrator.post(f"{LIST}add/", form).status_code == 302
    mine = PeriodicTask.objects.get(name="mine")
    assert administrator.post(f"{LIST}{mine.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not PeriodicTask.objects.filter(name="mine").exists()


def test_what_liqui_needs_cannot_be_removed(administrator: Client, bars: PeriodicTask) -> None:
    assert administrator.post(f"{LIST}{bars.pk}/delete/", {"post": "yes"}).status_code == 403
    act(administrator, "delete_selected", "build-bars")
    assert bars.interval is not None
    interval = f"/admin/django_celery_beat/intervalschedule/{bars.interval_id}/"
    assert administrator.post(f"{interval}delete/", {"post": "yes"}).status_code == 403
    assert PeriodicTask.objects.filter(name="build-bars").exists()


def test_tasks_are_switched_and_run_now(
    administrator: Client, bars: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(app, "send_task", lambda *arguments: sent.append(arguments))
    assert "Switched off: build-bars, warm-cache." in text_of(
        act(administrator, "switch_off", "build-bars", "warm-cache")
    )
    assert "Asked for: build-bars." in text_of(act(administrator, "run_now", "build-bars"))
    assert sent == [("liquidations.build_bars", [], {})]
    actions = AuditEntry.objects.order_by("pk").values_list("action", "target")
    assert [one for one in actions if one[0].startswith("periodic")] == [
        ("periodic_task.switch_off", "build-bars"),
        ("periodic_task.switch_off", "warm-cache"),
        ("periodic_task.run", "build-bars"),
    ]


@pytest.mark.parametrize("model", ["periodictask", "intervalschedule", "crontabschedule"])
def test_the_pages_are_for_administrators(administrator: Client, bars: PeriodicTask, model: str) -> None:
    CrontabSchedule.objects.create()
    for path in (f"/admin/django_celery_beat/{model}/", f"/admin/django_celery_beat/{model}/add/"):
        assert administrator.get(path).status_code == 200
        assert signed_in("operator").get(path).status_code == 403
    assert administrator.get(f"{LIST}{bars.pk}/change/").status_code == 200


@pytest.mark.parametrize("model", ["solarschedule", "clockedschedule"])
def test_other_kinds_of_schedules_are_not_offered(administrator: Client, model: str) -> None:
    assert administrator.get(f"/admin/django_celery_beat/{model}/").status_code == 404
