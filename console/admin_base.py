"""Pages over our tables: Django's model pages in unfold's clothes, opened by roles and not by single permissions."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse_lazy
from unfold.admin import ModelAdmin

from accounts.audit import console_actor, record
from accounts.roles import Role, role_of


class RoleAdmin(ModelAdmin):
    """``views``, ``adds``, ``changes`` and ``deletes`` say from which role on; None: nobody. Changes are audited.

    ``section``, ``icon`` and ``order`` place it in the navigation; ``audited_as`` begins the name of the audit action.
    """

    views: Role = Role.VIEWER
    adds: Role | None = None
    changes: Role | None = None
    deletes: Role | None = None
    section, icon, order, audited_as = "", "table", 50, ""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return role_of(request.user) >= self.views

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.adds is not None and role_of(request.user) >= self.adds

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.changes is not None and role_of(request.user) >= self.changes

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.deletes is not None and role_of(request.user) >= self.deletes

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def audit(self, request: HttpRequest, verb: str, target: str, **details: Any) -> None:
        name = self.audited_as or self.model._meta.model_name
        record(console_actor(request), f"{name}.{verb}", target, **details)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.audit(request, "create", str(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.audit(request, "change", str(obj), changes=changes_told(message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self.audit(request, "delete", str(obj))
        return super().log_deletions(request, queryset)


def changes_told(message: Any) -> list[str]:
    """The names of the fields that Django's message says were changed; never their values."""
    parts = message if isinstance(message, list) else []
    return [name for part in parts for name in part.get("changed", {}).get("fields", [])]


def listed_models() -> list[tuple[Any, ...]]:
    """(role, section, order, title, icon, link) of every model page that names a section."""
    found = []
    for model, page in admin.site._registry.items():
        if isinstance(page, RoleAdmin) and page.section:
            meta = model._meta
            link = reverse_lazy(f"admin:{meta.app_label}_{meta.model_name}_changelist")
            title = str(meta.verbose_name_plural)
            found.append((page.views, page.section, page.order, title[:1].upper() + title[1:], page.icon, link))
    return found
