"""Routes below /api/cache/, without trailing slashes."""

from django.urls import path, re_path

from cachemgmt.views import ClearView, InvalidateSymbolsView, InvalidateSymbolView, StatsView, WarmView

urlpatterns = [
    path("stats", StatsView.as_view(), name="cache-stats"),
    path("clear", ClearView.as_view(), name="cache-clear"),
    # A symbol may hold any character; a slash at the end is a slip, and redirected like everywhere.
    re_path(r"^invalidate/symbol/(?P<symbol>(?s:.*)[^/])\Z", InvalidateSymbolView.as_view(), name="cache-symbol"),
    path("invalidate/symbols", InvalidateSymbolsView.as_view(), name="cache-symbols"),
    path("warm", WarmView.as_view(), name="cache-warm"),
]
