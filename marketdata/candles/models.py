"""The candles that are kept, and the notes on which of them wait to be rolled up or repaired."""

from typing import Any

from django.db import models

SYMBOL_LENGTH, VENUE_LENGTH, TIMEFRAME_LENGTH = 64, 32, 3
# Prices as instruments have their ticks; quantities of a coin of a billionth of a cent, over a month.
PRICE: dict[str, Any] = {"max_digits": 30, "decimal_places": 15}
AMOUNT: dict[str, Any] = {"max_digits": 40, "decimal_places": 15}


class CandleRow(models.Model):
    """Prices and volumes of [open_ms, open_ms + one timeframe), ms UTC; ``source`` says where they come from.

    ``precedence`` says what may replace it, see `marketdata.candles.upserting`; written by that alone.
    """

    # Clustered in the order in which a chart is read.
    pk = models.CompositePrimaryKey("venue", "symbol", "timeframe", "open_ms")
    venue = models.CharField(max_length=VENUE_LENGTH)
    symbol = models.CharField(max_length=SYMBOL_LENGTH)
    timeframe = models.CharField(max_length=TIMEFRAME_LENGTH)
    open_ms = models.BigIntegerField()
    open = models.DecimalField(**PRICE)
    high = models.DecimalField(**PRICE)
    low = models.DecimalField(**PRICE)
    close = models.DecimalField(**PRICE)
    volume = models.DecimalField(**AMOUNT)
    quote_volume = models.DecimalField(**AMOUNT, null=True)
    taker_buy_volume = models.DecimalField(**AMOUNT, null=True)
    taker_buy_quote_volume = models.DecimalField(**AMOUNT, null=True)
    trade_count = models.BigIntegerField(null=True)
    is_closed = models.BooleanField()
    is_empty = models.BooleanField()
    source = models.CharField(max_length=8)
    precedence = models.SmallIntegerField()

    class Meta:
        db_table = "candles"

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe} at {self.open_ms}"


class StaleCandles(models.Model):
    """A stretch of a symbol in which candles of a timeframe (1m: an hour, 1h and 1d: a day) have changed since the
    longer ones were rolled up from them.

    Written in the transaction that changes the candles, removed in the one that rolls them up.
    """

    pk = models.CompositePrimaryKey("venue", "symbol", "timeframe", "open_ms")
    venue = models.CharField(max_length=VENUE_LENGTH)
    symbol = models.CharField(max_length=SYMBOL_LENGTH)
    timeframe = models.CharField(max_length=TIMEFRAME_LENGTH)
    open_ms = models.BigIntegerField()

    class Meta:
        db_table = "candles_stale"

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe} from {self.open_ms}"


class CandleToRepair(models.Model):
    """A minute whose candle lacks trades, or is missing, until the venue's own is in its place."""

    pk = models.CompositePrimaryKey("venue", "symbol", "open_ms")
    venue = models.CharField(max_length=VENUE_LENGTH)
    symbol = models.CharField(max_length=SYMBOL_LENGTH)
    open_ms = models.BigIntegerField()

    class Meta:
        db_table = "candles_to_repair"

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.open_ms}"
