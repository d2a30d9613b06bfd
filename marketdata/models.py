"""Instruments, as their venues list them."""

from decimal import Decimal

from django.db import models

from marketdata.names import assets_guessed
from marketdata.types import Instrument


class InstrumentRow(models.Model):
    """One instrument. Every column but the name has a default in the database itself, so that a plain
    ``INSERT INTO symbols (symbol, exchange, asset_type, is_active)`` is enough; what it leaves out stays empty.

    ``is_active`` may be switched off by hand, and stays so: ``is_switched_off`` is what the sync remembers of that
    while the venue itself does not trade the instrument. ``exchange_form`` is for those who read the table:
    BTC/USDT:USDT.
    ``last_price`` and ``volume_24h`` (in quote asset) are the venue's at ``volume_at_ms``. Times are ms UTC.
    """

    symbol = models.CharField(max_length=64)
    exchange = models.CharField(max_length=32, db_default="binance")
    asset_type = models.CharField(max_length=16, db_default="CRYPTO")
    base_asset = models.CharField(max_length=32, db_default="")
    quote_asset = models.CharField(max_length=32, db_default="")
    status = models.CharField(max_length=32, db_default="")
    contract_type = models.CharField(max_length=32, db_default="")
    tick_size = models.DecimalField(max_digits=30, decimal_places=15, null=True)
    lot_size = models.DecimalField(max_digits=30, decimal_places=15, null=True)
    is_active = models.BooleanField(db_default=True)
    is_switched_off = models.BooleanField(db_default=False)
    first_seen_ms = models.BigIntegerField(null=True)
    last_seen_ms = models.BigIntegerField(null=True)
    exchange_form = models.CharField(max_length=128, db_default="")
    price_precision = models.SmallIntegerField(null=True)
    quantity_precision = models.SmallIntegerField(null=True)
    # One digit more than the venue may send: SQLite makes 1e25 of 25 nines, and could not read it again.
    last_price = models.DecimalField(max_digits=44, decimal_places=18, null=True)
    volume_24h = models.DecimalField(max_digits=36, decimal_places=10, null=True)
    volume_at_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "symbols"
        constraints = [models.UniqueConstraint(fields=["exchange", "symbol"], name="symbols_exchange_symbol")]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol}"

    def to_instrument(self) -> Instrument:
        guessed = assets_guessed(self.symbol)
        return Instrument(
            venue=self.exchange,
            symbol=self.symbol,
            base_asset=self.base_asset or guessed[0],
            quote_asset=self.quote_asset or guessed[1],
            contract_type=self.contract_type,
            status=self.status,
            is_active=self.is_active,
            tick_size=plain(self.tick_size),
            lot_size=plain(self.lot_size),
            price_precision=self.price_precision,
            quantity_precision=self.quantity_precision,
        )


def plain(step: Decimal | None) -> Decimal | None:
    """The step without the zeros that fill its column."""
    return None if step is None else step.normalize()


from marketdata.candles import models as candle_models  # noqa: E402, F401  # Django looks for models here alone
