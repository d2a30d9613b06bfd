from django.apps import AppConfig

from cachemgmt.registry import namespace_register, symbols_register


class MarketdataConfig(AppConfig):
    name = "marketdata"
    verbose_name = "Market data"

    def ready(self) -> None:
        from marketdata.rest.kept import ORDERBOOK, TRADES
        from marketdata.symbols.caching import SYMBOL_LIST, SYMBOLS, about_symbol

        for namespace in (SYMBOLS, ORDERBOOK, TRADES):
            namespace_register(namespace)
        symbols_register(about_symbol, SYMBOL_LIST)
