"""Routes of market data below /api/v1/, without trailing slashes."""

from django.urls import path

from marketdata.rest.views import CandlesView, OrderBookView, TradesView
from marketdata.udf import views as udf

urlpatterns = [
    path("orderbook/<str:symbol>", OrderBookView.as_view()),
    path("trades/<str:symbol>", TradesView.as_view()),
    path("candles/<str:symbol>", CandlesView.as_view()),
    path("udf/config", udf.ConfigView.as_view()),
    path("udf/symbols", udf.SymbolView.as_view()),
    path("udf/symbol_info", udf.GroupView.as_view()),
    path("udf/search", udf.SearchView.as_view()),
    path("udf/history", udf.HistoryView.as_view()),
    path("udf/marks", udf.MarksView.as_view()),
    path("udf/time", udf.TimeView.as_view()),
]
