from django.apps import AppConfig

from cachemgmt.registry import namespace_register, symbols_register, warmer_register
from marketdata.udf.marks import marks_register


class LiquidationsConfig(AppConfig):
    name = "liquidations"
    verbose_name = "Liquidations"

    def ready(self) -> None:
        from liquidations.caching import BUCKETS, ORDERS, SYMBOL_LISTS, SYMBOLS, about_symbol, warm_requests
        from liquidations.marks import liquidation_marks

        for namespace in (BUCKETS, ORDERS, SYMBOLS):
            namespace_register(namespace)
        symbols_register(about_symbol, SYMBOL_LISTS)
        warmer_register(warm_requests)
        marks_register(liquidation_marks)
