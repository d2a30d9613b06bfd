"""Every path of the service. The last pattern takes what no other one does."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path, resolve
from django.urls.exceptions import Resolver404
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.views.decorators.csrf import csrf_exempt
from django_prometheus.exports import ExportToDjangoView
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularJSONAPIView,
    SpectacularRedocView,
    SpectacularSwaggerView,
)

from liqui import errors
from liqui.health import HealthView
from liqui.index import index
from streams.views import GapsView


@csrf_exempt
def unknown_path(request: HttpRequest) -> HttpResponse:
    """404 in the namespace's shape; 307 where only the slash at the end is wrong, as the original's framework does."""
    other = request.path_info[:-1] if request.path_info.endswith("/") else f"{request.path_info}/"
    if not is_known(other):
        return errors.not_found(request)
    query = request.META.get("QUERY_STRING", "")
    location = escape_uri_path(other) + (f"?{iri_to_uri(query)}" if query else "")
    return HttpResponse(status=307, headers={"Location": location})


def is_known(path_info: str) -> bool:
    try:
        return resolve(path_info).func is not unknown_path
    except Resolver404:
        return False


metrics = errors.get_only(ExportToDjangoView)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", index, name="index"),
    path("health", HealthView.as_view(), name="health"),
    path("metrics", metrics, name="metrics"),
    path("api/metrics", metrics),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("openapi.json", SpectacularJSONAPIView.as_view(renderer_classes=[OpenApiJsonRenderer2]), name="openapi"),
    path("docs", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("redoc", SpectacularRedocView.as_view(url_name="openapi", template_name="liqui/redoc.html"), name="redoc"),
    path("api/", include("liquidations.urls")),
    path("api/v1/auth/", include("accounts.urls")),
    path("api/v1/gaps", GapsView.as_view(), name="gaps"),
    path("api/cache/", include("cachemgmt.urls")),
    path("api/v1/", include("liquidations.urls_v1")),
    path("api/v1/", include("marketdata.symbols.urls")),
    path("api/v1/", include("marketdata.urls_v1")),
    path("admin/", admin.site.urls),
    # A view and not only handler404, which DEBUG replaces with a page in HTML.
    re_path("", unknown_path),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error
