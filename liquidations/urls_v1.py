"""Routes below /api/v1/, without trailing slashes."""

from django.urls import path

from liquidations.volume_views import LiquidationVolumeView

urlpatterns = [path("liquidation-volume/<str:symbol>/<str:timeframe>", LiquidationVolumeView.as_view())]
