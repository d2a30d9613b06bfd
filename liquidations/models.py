"""The outside table of forced orders, and the bars that liqui builds from it."""

from django.conf import settings
from django.db import models

# In MySQL a product has 30 decimal places at the most, and a sum 65 digits.
BAR_DIGITS, BAR_SCALE = 65, 30


class LiquidationOrder(models.Model):
    """A forced order. The table belongs to an outside collector: never migrated, never altered, only read and appended.

    It may lack every key and index and may have further columns, so rows are read with ``.values()`` or plain SQL;
    the trade time is declared primary because Django wants some key, not because it is one.
    """

    symbol = models.CharField(max_length=20)
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=20)
    time_in_force = models.CharField(max_length=5)
    original_quantity = models.DecimalField(max_digits=30, decimal_places=10)
    price = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    average_price = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    order_status = models.CharField(max_length=20)
    order_last_filled_quantity = models.DecimalField(max_digits=30, decimal_places=10)
    order_filled_accumulated_quantity = models.DecimalField(max_digits=30, decimal_places=10)
    order_trade_time = models.BigIntegerField(primary_key=True)

    class Meta:
        managed = False
        db_table = settings.DB_LIQ_TABLENAME

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} at {self.order_trade_time}"


class LiquidationBar(models.Model):
    """Sums over the forced orders of one symbol and side in [open_ms, open_ms + interval_ms).

    ``notional`` is Σ average_price × filled quantity in quote asset, ``quantity`` Σ filled quantity in base asset.
    Orders without a side, an average price or a filled quantity are in no bar. Symbol and side are in upper case.
    """

    # Clustered in the order in which a window is read.
    pk = models.CompositePrimaryKey("symbol", "interval_ms", "open_ms", "side")
    symbol = models.CharField(max_length=64)
    interval_ms = models.IntegerField()
    open_ms = models.BigIntegerField()
    side = models.CharField(max_length=16)
    notional = models.DecimalField(max_digits=BAR_DIGITS, decimal_places=BAR_SCALE)
    quantity = models.DecimalField(max_digits=BAR_DIGITS, decimal_places=BAR_SCALE)
    count = models.BigIntegerField()
    first_event_ms = models.BigIntegerField()
    last_event_ms = models.BigIntegerField()

    class Meta:
        db_table = "liquidation_bars"

    def __str__(self) -> str:
        return f"{self.symbol} {self.side} {self.interval_ms} ms from {self.open_ms}"


class StaleBarDay(models.Model):
    """A symbol's day (UTC) whose bars may differ from the table: read from the table until it has been built again.

    Written in the transaction that changes the rows, removed in the one that builds the bars.
    """

    pk = models.CompositePrimaryKey("symbol", "day_ms")
    symbol = models.CharField(max_length=64)
    day_ms = models.BigIntegerField()

    class Meta:
        db_table = "liquidation_bars_stale"

    def __str__(self) -> str:
        return f"{self.symbol} {self.day_ms}"


class BarProgress(models.Model):
    """One row: bars are complete for all orders traded before ``built_until_ms`` (a whole minute), stale days apart."""

    built_until_ms = models.BigIntegerField()

    class Meta:
        db_table = "liquidation_bars_progress"

    def __str__(self) -> str:
        return f"built until {self.built_until_ms}"
