"""Instruments, as their venues list them."""

from decimal import Decimal

from django.db import models

from marketdata.types import Instrument


class InstrumentRow(models.Model):
    """One instrument. Every column but the name has a default in the database itself, so that a plain
    ``INSERT INTO symbols (symbol, exchange, asset_type, is_active)`` is enough; what it leaves out stays empty.

    ``is_active`` may be switched off by hand, and stays so. Times are ms UTC.
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
    first_seen_ms = models.BigIntegerField(null=True)
    last_seen_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "symbols"
        constraints = [models.UniqueConstraint(fields=["exchange", "symbol"], name="symbols_exchange_symbol")]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol}"

    def to_instrument(self) -> Instrument:
        return Instrument(
            venue=self.exchange,
            symbol=self.symbol,
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            contract_type=self.contract_type,
            status=self.status,
            is_active=self.is_active,
            tick_size=plain(self.tick_size),
            lot_size=plain(self.lot_size),
        )


def plain(step: Decimal | None) -> Decimal | None:
    """The step without the zeros that fill its column."""
    return None if step is None else step.normalize()
