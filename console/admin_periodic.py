"""Periodic tasks: what Celery's beat asks for and how often, for administrators to change."""

from typing import Any

import celery
from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.text import format_lazy
from django_celery_beat import admin as replaced  # noqa: F401 - it registers what is replaced here
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from kombu.utils.json import loads
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.audit import console_actor, record
from accounts.roles import Role
from console.admin_base import RoleAdmin
from console.texts import UNKNOWN, span

app: Any = celery.current_app

for model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    admin.site.unregister(model)


def own_entries() -> set[str]:
    """The names of the tasks that liqui itself needs: they can be changed and switched off, but not removed."""
    return {*app.conf.beat_schedule, *app.conf.beat_entries_of_other_feeds}


def task_choices() -> list[tuple[str, str]]:
    # A web process has loaded those alone that it sends itself.
    app.loader.import_default_modules()
    names = sorted(name for name in app.tasks if not name.startswith("celery."))
    return [("", "choose one"), *((name, name) for name in names)]


class TaskForm(forms.ModelForm):
    task = forms.ChoiceField(choices=task_choices, widget=UnfoldAdminSelectWidget)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("interval")) == bool(cleaned.get("crontab")):
            raise forms.ValidationError("Choose an interval or a crontab, one of the two.")
        return cleaned

    def clean_args(self) -> str:
        return json_checked(self.cleaned_data["args"], list, '["BTCUSDT"]')

    def clean_kwargs(self) -> str:
        return json_checked(self.cleaned_data["kwargs"], dict, '{"symbol": "BTCUSDT"}')

    def validate_unique(self) -> None:
        # The model's own words would be about kinds of schedules that nobody sees here.
        if not self.errors:
            super().validate_unique()


def json_checked(text: str, kind: type, example: str) -> str:
    try:
        value = loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise forms.ValidationError(f"{text!r} is not JSON such as {example}.")
    return text


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(RoleAdmin):
    views = adds = changes = deletes = Role.ADMINISTRATOR
    section, icon, order, audited_as = "Service", "schedule", 40, "periodic_task"
    form = TaskForm
    list_display = ("name", "task", "every", "enabled", "ran", "total_run_count", "rests")
    list_filter = ("enabled",)
    search_fields = ("name", "task")
    ordering = ("name",)
    list_select_related = ("interval", "crontab")
    actions = ("switch_on", "switch_off", "run_now")
    readonly_fields = ("last_run_at", "total_run_count")
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        (
            "When",
            {
                "fields": ("interval", "crontab", "start_time", "one_off", "last_run_at", "total_run_count"),
                "description": format_lazy(
                    'Either an interval or a crontab. Beat takes a change up within seconds. See all <a href="{}" '
                    'class="text-link">intervals</a> and <a href="{}" class="text-link">crontabs</a>.',
                    reverse_lazy("admin:django_celery_beat_intervalschedule_changelist"),
                    reverse_lazy("admin:django_celery_beat_crontabschedule_changelist"),
                ),
            },
        ),
        ("Arguments", {"fields": ("args", "kwargs"), "classes": ("collapse",)}),
    )

    @admin.display(description="When")
    def every(self, task: PeriodicTask) -> str:
        if task.interval is not None:
            return f"every {span(task.interval.schedule.run_every.total_seconds())}"
        return str(task.crontab or UNKNOWN)

    @admin.display(description="Last run (UTC)", ordering="last_run_at")
    def ran(self, task: PeriodicTask) -> str:
        return f"{task.last_run_at:%Y-%m-%d %H:%M:%S}" if task.last_run_at else "–"

    @admin.display(description="Note")
    def rests(self, task: PeriodicTask) -> str:
        rests = task.name in app.conf.beat_entries_of_other_feeds
        return "rests: it belongs to another FEED" if rests else ""

    def get_readonly_fields(self, request: HttpRequest, obj: PeriodicTask | None = None) -> Any:
        own = obj is not None and obj.name in own_entries()
        return (*self.readonly_fields, "name", "task") if own else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: PeriodicTask | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.name not in own_entries())

    def get_actions(self, request: HttpRequest) -> Any:
        # One at a time, on its page, where what liqui needs itself cannot be removed.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, tasks: Any) -> None:
        self.switch(request, tasks, on=True)

    @admin.action(description="Switch off")
    def switch_off(self, request: HttpRequest, tasks: Any) -> None:
        self.switch(request, tasks, on=False)

    def switch(self, request: HttpRequest, tasks: Any, *, on: bool) -> None:
        names = sorted(tasks.exclude(enabled=on).values_list("name", flat=True))
        # Without a last run: what is switched on again does not run at once.
        tasks.filter(name__in=names).update(enabled=on, last_run_at=None)
        PeriodicTasks.update_changed()
        for name in names:
            self.audit(request, "switch_on" if on else "switch_off", name)
        self.message_user(
            request, f"Switched {'on' if on else 'off'}: {', '.join(names) or 'none that was not already'}."
        )

    @admin.action(description="Run now")
    def run_now(self, request: HttpRequest, tasks: Any) -> None:
        for task in tasks:
            app.send_task(task.task, loads(task.args or "[]"), loads(task.kwargs or "{}"))
            record(console_actor(request), "periodic_task.run", task.name)
        self.message_user(request, f"Asked for: {', '.join(sorted(task.name for task in tasks))}.", messages.SUCCESS)


@admin.register(IntervalSchedule)
class IntervalAdmin(RoleAdmin):
    views = adds = changes = deletes = Role.ADMINISTRATOR
    audited_as = "interval"
    list_display = ("__str__", "used_by")

    @admin.display(description="Used by")
    def used_by(self, schedule: IntervalSchedule) -> str:
        return names_of(schedule)

    def has_delete_permission(self, request: HttpRequest, obj: IntervalSchedule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and is_unused(obj)


@admin.register(CrontabSchedule)
class CrontabAdmin(RoleAdmin):
    views = adds = changes = deletes = Role.ADMINISTRATOR
    audited_as = "crontab"
    list_display = ("human_readable", "used_by")
    readonly_fields = ("human_readable",)

    @admin.display(description="Used by")
    def used_by(self, schedule: CrontabSchedule) -> str:
        return names_of(schedule)

    def has_delete_permission(self, request: HttpRequest, obj: CrontabSchedule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and is_unused(obj)


def names_of(schedule: IntervalSchedule | CrontabSchedule) -> str:
    return ", ".join(schedule.periodictask_set.order_by("name").values_list("name", flat=True)) or "–"  # type: ignore[union-attr]


def is_unused(schedule: IntervalSchedule | CrontabSchedule | None) -> bool:
    """A schedule takes its tasks with it when it is removed, so it may go when it has none."""
    return schedule is None or not schedule.periodictask_set.exists()  # type: ignore[union-attr]
