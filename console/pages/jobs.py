"""Jobs: the long work that people have asked for, how far it is and what came of it."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.jobs import job_again
from console.models import Job
from console.registry import Page
from console.site import render
from console.texts import span

PAGE = 50
LOOKS = {"waiting": "is-off", "running": "is-warning", "done": "is-good", "failed": "is-bad", "stalled": "is-bad"}
# These are shown in a way of their own, or, like the name of an uploaded file, mean nothing to anybody.
SHOWN_ELSEWHERE = ("amount", "file")


@require_safe
def jobs(request: HttpRequest) -> HttpResponseBase:
    found, kind = Job.objects.order_by("-pk"), request.GET.get("kind", "")
    if kind:
        found = found.filter(kind=kind)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    shown = list(found[: PAGE + 1])
    context = {
        "jobs": map(job_texts, shown[:PAGE]),
        "older": shown[PAGE - 1].pk if len(shown) > PAGE else None,
        "kind": kind,
        "is_moving": any(not (job.is_over or job.is_stalled) for job in shown),
    }
    return render(request, "console/jobs.html", "Jobs", **context)


@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponseBase:
    return render_job(request, "console/job.html", pk)


@require_safe
def job_part(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The part of the job's page that refreshes itself."""
    return render_job(request, "console/job_part.html", pk)


@require_safe
def job_progress(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The progress alone, for other pages."""
    return render_job(request, "console/job_progress.html", pk)


def render_job(request: HttpRequest, template: str, pk: int) -> HttpResponseBase:
    found = get_object_or_404(Job, pk=pk)
    return render(request, template, f"Job {pk}", **job_texts(found), as_of=timezone.now())


def job_texts(job: Job) -> dict[str, Any]:
    state = "stalled" if job.is_stalled else job.state
    ended = job.finished_at or timezone.now()
    return {
        "job": job,
        "state": state,
        "look": LOOKS[state],
        "took": span((ended - job.started_at).total_seconds()) if job.started_at else "",
        "silent": span((timezone.now() - (job.told_at or job.created_at)).total_seconds()),
        "arguments": {
            name: told(value)
            for name, value in job.arguments.items()
            if name not in SHOWN_ELSEWHERE and value not in ("", None)
        },
        "result": {name: told(value) for name, value in job.result.items() if name not in SHOWN_ELSEWHERE},
        "has_file": bool(job.result.get("file")),
        "may_be_asked_again": state in ("stalled", "failed"),
    }


def told(value: Any) -> str:
    """A value of a job's arguments or result; what has parts is one line for each."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return "\n".join(map(told, value)) or "none"
        case dict():
            return "\n".join(f"{told(of_it)}  {name}" for name, of_it in value.items()) or "none"
        case str():
            return value
    return json.dumps(value)


@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponseBase:
    old = get_object_or_404(Job, pk=pk)
    if not job_texts(old)["may_be_asked_again"]:
        messages.error(request, "This job has neither failed nor stalled.")
        return redirect("admin:console-job", pk)
    actor = console_actor(request)
    new = job_again(old, actor)
    record(actor, f"{new.kind}.again", new.target, job=new.pk, instead_of=old.pk)
    return redirect("admin:console-job", new.pk)


@require_safe
def job_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The file that the work has left, a reject file say."""
    found = get_object_or_404(Job, pk=pk)
    home = settings.LIQUI_HOME.resolve()
    path = (home / str(found.result.get("file") or "")).resolve()
    if not path.is_relative_to(home) or not path.is_file():
        raise Http404(f"job {pk} has left no file, or it has been removed")
    return FileResponse(open(path, "rb"), as_attachment=True, filename=f"job-{pk}{''.join(Path(path.name).suffixes)}")


pages = [
    Page("jobs", "console-jobs", jobs, title="Jobs", section="Service", icon="pending_actions", order=20),
    Page("jobs/<int:pk>", "console-job", job),
    Page("jobs/<int:pk>/part", "console-job-part", job_part),
    Page("jobs/<int:pk>/progress", "console-job-progress", job_progress),
    Page("jobs/<int:pk>/again", "console-job-again", again, Role.OPERATOR),
    Page("jobs/<int:pk>/file", "console-job-file", job_file),
]
