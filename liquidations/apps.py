from django.apps import AppConfig

from cachemgmt.registry import namespace_register, warmer_register


class LiquidationsConfig(AppConfig):
    name = "liquidations"
    verbose_name = "Liquidations"

    def ready(self) -> None:
        from liquidations.caching import BUCKETS, ORDERS, SYMBOLS, warm_requests

        for namespace in (BUCKETS, ORDERS, SYMBOLS):
            namespace_register(namespace)
        warmer_register(warm_requests)
