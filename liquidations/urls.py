"""Routes below /api/, without trailing slashes."""

from rest_framework.routers import Route, SimpleRouter

from liquidations.views import LiquidationOrderViewSet, LiquidationViewSet, SymbolViewSet


class SlashlessRouter(SimpleRouter):
    """Collections only: nothing here is looked up by a key."""

    routes = [
        Route(r"^{prefix}$", {"get": "list"}, name="{basename}-list", detail=False, initkwargs={}),
        Route(r"^{prefix}/stream$", {"get": "stream"}, name="{basename}-stream", detail=False, initkwargs={}),
    ]

    def __init__(self) -> None:
        super().__init__(trailing_slash=False)


router = SlashlessRouter()
router.register("liquidations", LiquidationViewSet, basename="liquidation")
router.register("symbols", SymbolViewSet, basename="symbol")
router.register("liquidation-orders", LiquidationOrderViewSet, basename="liquidation-order")

urlpatterns = router.urls
