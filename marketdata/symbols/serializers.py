"""What the answers look like, for the OpenAPI schema."""

from rest_framework import serializers

from api.shapes import Shape


class PriceFormatShape(Shape):
    type = serializers.ChoiceField(choices=["price"])
    precision = serializers.IntegerField(min_value=0, max_value=8)
    minMove = serializers.FloatField()


class SymbolShape(Shape):
    id = serializers.CharField(help_text="As in paths and in every other answer.")
    symbol = serializers.CharField(help_text="BTC/USDT:USDT")
    baseAsset = serializers.CharField()
    quoteAsset = serializers.CharField()
    uiName = serializers.CharField()
    volume24h = serializers.FloatField(allow_null=True, help_text="Of the last 24 hours, in quote asset.")
    volume24hFormatted = serializers.CharField(allow_blank=True)
    pricePrecision = serializers.IntegerField(allow_null=True, help_text="Decimal places of the price step.")
    priceFormat = PriceFormatShape()
    roundingOptions = serializers.ListField(child=serializers.FloatField(), max_length=7)
    defaultRounding = serializers.FloatField()


class SymbolStatsShape(Shape):
    initialized = serializers.BooleanField()
    symbol_count = serializers.IntegerField()
    exchange_symbol_count = serializers.IntegerField()
    markets_loaded = serializers.BooleanField(help_text="The venue, or somebody by hand, has filled the table.")
    ticker_cache_loaded = serializers.BooleanField()
    ticker_cache_age_seconds = serializers.FloatField(allow_null=True)
    ticker_cache_ttl_seconds = serializers.IntegerField()
    origin = serializers.ChoiceField(
        choices=["table", "builtin", "none"],
        help_text="`builtin`: the venue could not be asked, and never has been; a short list stands in.",
    )
    enabled_count = serializers.IntegerField()
    listed_at_ms = serializers.IntegerField(allow_null=True, help_text="When the venue was last asked what it lists.")


class SymbolCacheShape(Shape):
    status = serializers.CharField(help_text="`success`.")
    cache_stats = SymbolStatsShape()


class SymbolsRefreshedShape(Shape):
    status = serializers.CharField(help_text="`success`.")
    message = serializers.CharField()
    cache_stats = SymbolStatsShape()
