"""The last imports and exports, whoever asked for them and however: those at work, then what the audit log knows."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from accounts.models import AuditEntry
from console.models import Job

# By name: the log may be long, and is looked through by one index.
ACTIONS = ("import.finish", "import.run", "orders.export", "gaps.export")
JOB_KIND = "import"


@dataclass(frozen=True, slots=True)
class Transfer:
    """``state`` is a job's or an audit entry's: waiting, running, done, refused, failed."""

    what: str
    state: str
    amount: int | None
    actor: str
    at: datetime
    link: str = ""


def last(count: int) -> list[Transfer]:
    """The newest first; those at work before all others."""
    at_work = Job.objects.filter(kind=JOB_KIND, state__in=(Job.State.WAITING, Job.State.RUNNING)).order_by("-id")
    entries = [
        entry for action in ACTIONS for entry in AuditEntry.objects.filter(action=action).order_by("-id")[:count]
    ]
    entries.sort(key=lambda entry: entry.pk, reverse=True)
    return [*map(of_job, at_work[:count]), *map(of_entry, entries)][:count]


def of_job(job: Job) -> Transfer:
    return Transfer(f"import of {job.target}", job.state, None, job.actor, job.created_at, job_link(job))


def of_entry(entry: AuditEntry) -> Transfer:
    thing, _, verb = entry.action.partition(".")
    what = f"{thing} {verb}" if verb == "export" else "import"
    return Transfer(
        f"{what}: {entry.target}" if entry.target else what, entry.outcome, entry.amount, entry.actor, entry.at
    )


def job_link(job: Job) -> str:
    return reverse("admin:console-job", args=[job.pk])
