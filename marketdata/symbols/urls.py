"""Routes below /api/v1/, without trailing slashes."""

from django.urls import path

from marketdata.symbols.views import RefreshView, SymbolStatsView, SymbolsView

urlpatterns = [
    path("symbols", SymbolsView.as_view()),
    path("refresh-symbols", RefreshView.as_view()),
    path("symbol-cache-stats", SymbolStatsView.as_view()),
]
