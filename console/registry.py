"""The console's own pages: what there is, who may see it, and where it stands in the navigation."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from accounts.roles import Role

View = Callable[..., HttpResponseBase]
SECTIONS = ("Overview", "Data", "Service", "Access")


@dataclass(frozen=True)
class Page:
    """``route`` as in `django.urls.path`, below /admin/; ``icon`` is the name of a Material symbol.

    A page with an empty ``title`` is not in the navigation: it is a part of another one, or an action.
    """

    route: str
    name: str
    view: View
    role: Role = Role.VIEWER
    title: str = ""
    section: str = ""
    icon: str = ""
    order: int = 50


def pages() -> list[Page]:
    """Those of all modules in `console.pages`."""
    package: Any = import_module("console.pages")
    modules = [import_module(f"console.pages.{module.name}") for module in iter_modules(package.__path__)]
    return [page for module in modules for page in getattr(module, "pages", ())]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's sidebar: what this person may see, section by section."""
    from django.urls import reverse_lazy

    from accounts.roles import role_of
    from console.admin_base import listed_models

    role = role_of(request.user)
    items = [
        (page.section, page.order, page.title, page.icon, reverse_lazy(f"admin:{page.name}"))
        for page in pages()
        if page.title and role >= page.role
    ]
    items += [tuple(item) for needed, *item in listed_models() if role >= needed]
    items.append(("Overview", 99, "API docs", "menu_book", reverse_lazy("docs")))
    return [
        {
            "title": section,
            "items": [
                {"title": title, "icon": icon, "link": link}
                for _, _, title, icon, link in sorted(item for item in items if item[0] == section)
            ],
        }
        for section in SECTIONS
        if any(item[0] == section for item in items)
    ]
