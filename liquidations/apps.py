from django.apps import AppConfig


class LiquidationsConfig(AppConfig):
    name = "liquidations"
    verbose_name = "Liquidations"
