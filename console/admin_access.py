"""Who gets in, and what was done: API keys, users, and the audit log."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, TextFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.audit import console_actor
from accounts.keys import key_create, key_revoke
from accounts.models import ApiKey, AuditEntry
from accounts.roles import GROUPS, Role
from console.admin_base import RoleAdmin
from console.site import render

ROLE_CHOICES = [
    ("", "none: the API alone, not the console"),
    (Role.VIEWER.label, "viewer: sees the console"),
    (Role.OPERATOR.label, "operator: acts on cache, bars, imports and collectors"),
    (Role.ADMINISTRATOR.label, "administrator: also manages users, keys and periodic tasks"),
]
LAST_ADMINISTRATOR = "This is the last active administrator: make another one first."
OUTCOMES = ("done", "refused", "failed")


# API keys ----------------------------------------------------------------------------------------------------------


class ApiKeyForm(forms.ModelForm):
    class Meta:
        model = ApiKey
        fields = ("name", "scope", "owner", "expires_at")

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError(f"{expires_at:%Y-%m-%d %H:%M} UTC is over already.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(RoleAdmin):
    views = adds = Role.ADMINISTRATOR
    section, icon, order = "Access", "key", 10
    form = ApiKeyForm
    list_display = ("name", "prefix", "scope_shown", "owner", "state_shown", "expires_at", "last_used_at", "revoking")
    list_select_related = ("owner",)
    list_per_page = 50
    search_fields = ("name", "prefix")
    ordering = ("-created_at",)
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "scope", "owner", "expires_at")
        return ("name", "prefix", "scope", "owner", "created_at", "expires_at", "last_used_at", "revoked_at")

    @display(description="State", label={"good": "success", "expired": "warning", "revoked": "danger"})
    def state_shown(self, key: ApiKey) -> str:
        return key.state

    @display(description="Scope", ordering="scope")
    def scope_shown(self, key: ApiKey) -> str:
        return key.scope

    @display(description="Revoke")
    def revoking(self, key: ApiKey) -> SafeString | str:
        if key.state != "good":
            return ""
        link = reverse("admin:accounts_apikey_revoke", args=[key.pk])
        return format_html('<a class="text-link" href="{}">Revoke<span class="sr-only"> {}</span></a>', link, key.name)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        # The answer shows the key, whichever button was pressed.
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, buttons | (extra_context or {}))

    def audit(self, request: HttpRequest, verb: str, target: str, **details: Any) -> None:
        """`accounts.keys` tells the log itself."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made, request.new_key = key_create(  # type: ignore[attr-defined]
            obj.name, obj.scope, obj.owner, obj.expires_at, console_actor(request)
        )
        obj.pk, obj.prefix = made.pk, made.prefix

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        """The only time that the key is shown: in the answer itself, which like every page here no browser keeps."""
        text = request.new_key  # type: ignore[attr-defined]
        return render(request, "console/key_created.html", "New API key", key=obj, text=text)

    def get_urls(self) -> list[URLPattern]:
        revoke = path("<int:key_id>/revoke/", self.admin_site.admin_view(self.revoke), name="accounts_apikey_revoke")
        return [revoke, *super().get_urls()]

    def revoke(self, request: HttpRequest, key_id: int) -> HttpResponseBase:
        """Asks first, and does it when the answer comes by POST."""
        if not self.has_add_permission(request):
            raise PermissionDenied(f"This needs the role of {Role.ADMINISTRATOR.label}")
        key = ApiKey.objects.filter(pk=key_id).first()
        if key is None:
            raise Http404("There is no such API key.")
        if request.method != "POST":
            return render(request, "console/key_revoke.html", "Revoke API key", key=key)
        key_revoke(key, console_actor(request))
        messages.success(request, f"{key.name} opens nothing any more.")
        return redirect("admin:accounts_apikey_changelist")


# Users -------------------------------------------------------------------------------------------------------------


def role_field() -> forms.ChoiceField:
    return forms.ChoiceField(choices=ROLE_CHOICES, required=False, widget=UnfoldAdminSelectWidget)


class UserForm(forms.ModelForm):
    role = role_field()

    class Meta:
        model = User
        fields = ("username", "email", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = role_of_row(self.instance)
        self.fields["role"].initial = role.label if role >= Role.VIEWER else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        stays = cleaned.get("is_active") and cleaned.get("role") == Role.ADMINISTRATOR.label
        if not stays and is_last_administrator(self.instance):
            raise forms.ValidationError(LAST_ADMINISTRATOR)
        return cleaned


class NewUserForm(UserCreationForm):
    role = role_field()
    # Everybody has a password: keys are for programs.
    usable_password = None


class PasswordForm(AdminPasswordChangeForm):
    usable_password = None


def is_last_administrator(user: User) -> bool:
    """Called in a transaction: until it ends nobody else's answer can become wrong by ours."""
    candidates = Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR.label)
    keys = set(User.objects.filter(candidates).values_list("pk", flat=True))
    list(User.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk"))
    # Only now: who was before us may have changed it while we waited.
    remaining = set(User.objects.filter(candidates, is_active=True).values_list("pk", flat=True))
    return remaining == {user.pk}


def role_of_row(user: User) -> Role:
    """The role that the rows give, active or not."""
    if user.pk is None:
        return Role.ANYBODY
    if user.is_superuser:
        return Role.ADMINISTRATOR
    return max((GROUPS[group.name] for group in user.groups.all() if group.name in GROUPS), default=Role.USER)


def role_give(user: User, label: str) -> None:
    user.groups.remove(*Group.objects.filter(name__in=GROUPS))
    if label:
        user.groups.add(Group.objects.get(name=label))
    if user.is_superuser and label != Role.ADMINISTRATOR.label:
        user.is_superuser = False
        user.save(update_fields=["is_superuser"])


admin.site.unregister(User)


@admin.register(User)
class UsersAdmin(RoleAdmin, UserAdmin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Users are deactivated and never deleted: the audit log speaks of them."""

    views = adds = changes = Role.ADMINISTRATOR
    section, icon, order, audited_as = "Access", "group", 20, "user"
    form, add_form, change_password_form = UserForm, NewUserForm, PasswordForm
    fieldsets = (
        (None, {"fields": ("username", "email", "role", "is_active", "password_link", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "role", "password1", "password2")}),)
    readonly_fields = ("password_link", "last_login", "date_joined")
    filter_horizontal = ()
    list_display = ("username", "email", "role_shown", "is_active", "last_login")
    list_filter = ("is_active",)
    list_per_page = 50
    search_fields = ("username", "email")
    show_facets = admin.ShowFacets.NEVER
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @display(description="Role", label={"administrator": "danger", "operator": "warning", "viewer": "info"})
    def role_shown(self, user: User) -> str:
        role = role_of_row(user)
        return role.label if role >= Role.VIEWER else "none"

    @display(description="Password")
    def password_link(self, user: User) -> SafeString:
        link = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a class="text-link" href="{}">Set a new password</a>', link)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        user, label = form.instance, form.cleaned_data["role"]
        if "role" in form.changed_data:
            role_give(user, label)
            self.audit(request, "role", str(user), role=label or "none")
        if change and "is_active" in form.changed_data:
            self.audit(request, "activate" if user.is_active else "deactivate", str(user))


# The audit log -----------------------------------------------------------------------------------------------------


class ActorFilter(TextFilter):
    """Exact, so that an index serves it."""

    title, parameter_name = "who", "actor"

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(actor=self.value()) if self.value() else queryset


class ActionFilter(DropdownFilter):
    title, parameter_name = "action", "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        actions = AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()
        return [(action, action) for action in actions]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class OutcomeFilter(DropdownFilter):
    title, parameter_name = "outcome", "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(outcome, outcome) for outcome in OUTCOMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class TimeFilter(RangeDateTimeFilter):
    """In UTC. A day alone is meant as a whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "time (UTC)"

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        earliest, latest = self.time(request, "from", "00:00:00"), self.time(request, "to", "23:59:59.999999")
        queryset = queryset if earliest is None else queryset.filter(at__gte=earliest)
        return queryset if latest is None else queryset.filter(at__lte=latest)

    def time(self, request: HttpRequest, end: str, default: str) -> datetime | None:
        date, time = (self.used_parameters.get(f"at_{end}_{part}") for part in (0, 1))
        if not date:
            return None
        text = f"{date} {time or default}"
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        except ValueError:
            messages.error(request, f"{text!r} is not a time such as 2026-11-21 14:00:00.")
            return None


@admin.register(AuditEntry)
class AuditAdmin(RoleAdmin):
    """Read only, and read from its newest end: nothing counts the whole."""

    section, icon, order = "Access", "history", 30
    list_display = ("at_shown", "actor", "kind", "action", "target", "amount", "outcome_shown", "address")
    list_filter = (ActorFilter, ActionFilter, OutcomeFilter, ("at", TimeFilter))
    list_filter_submit = True
    list_per_page = 50
    # From its beginning, so that an index serves it.
    search_fields = ("^target",)
    search_help_text = "What it was about begins with …"
    ordering = ("-at", "-id")
    sortable_by = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None

    @display(description="When (UTC)")
    def at_shown(self, entry: AuditEntry) -> str:
        return f"{entry.at:%Y-%m-%d %H:%M:%S}"

    @display(description="Outcome", label={"done": "success", "refused": "warning", "failed": "danger"})
    def outcome_shown(self, entry: AuditEntry) -> str:
        return entry.outcome
