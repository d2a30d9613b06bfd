"""The site: who gets in, and which pages there are."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

from accounts.roles import Role, role_of
from console.registry import Page, pages


class ConsoleSite(UnfoldAdminSite):
    """Django's admin for those with a role; each page checks the role that it needs itself."""

    def has_permission(self, request: HttpRequest) -> bool:
        return role_of(request.user) >= Role.VIEWER

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        response: Any = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if wait_s := getattr(form, "retry_after_s", None):
            response.status_code, response["Retry-After"] = 429, str(wait_s)
        return response

    def extra_urls(self) -> list[URLPattern]:
        return [path(page.route, self.admin_view(self.guarded(page)), name=page.name) for page in pages() if page.route]

    def guarded(self, page: Page) -> Callable[..., HttpResponseBase]:
        @wraps(page.view)
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if role_of(request.user) < page.role:
                raise PermissionDenied(f"This needs the role of {page.role.label}")
            return page.view(request, *args, **kwargs)

        return view

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's list of an app's tables; what there is stands in the navigation."""
        return redirect("admin:index")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from console.pages.dashboard import dashboard

        return dashboard(request)


def render(request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
    """A page of the console in its frame; ``template`` extends console/page.html, or is a part for htmx."""
    from django.contrib import admin

    role = role_of(request.user)
    given = {**admin.site.each_context(request), "title": title, "role": role, "Role": Role}
    given |= {"may_operate": role >= Role.OPERATOR, "may_administer": role >= Role.ADMINISTRATOR}
    return TemplateResponse(request, template, given | context)
