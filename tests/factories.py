"""Small makers of test data."""

from decimal import Decimal

from liquidations.types import ForcedOrder

T0 = 1_704_067_200_000  # 2024-01-01T00:00:00Z
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def order(at: int = T0, symbol: str = "BTCUSDT", side: str = "SELL", **fields: object) -> ForcedOrder:
    """A filled forced order at ``at`` (ms); prices and quantities may be given as text."""
    values = {
        "quantity": "0.5",
        "price": "42000.5",
        "average_price": "42010.1",
        "last_filled": "0.25",
        "filled": None,
        **fields,
    }
    decimals = {
        name: None if value is None else Decimal(str(value)) for name, value in values.items() if name != "extra"
    }
    filled = decimals["quantity"] if decimals["filled"] is None else decimals["filled"]
    return ForcedOrder(
        symbol=symbol,
        side=side,
        order_type="LIMIT",
        time_in_force="IOC",
        original_quantity=decimals["quantity"],
        price=decimals["price"],
        average_price=decimals["average_price"],
        order_status="FILLED",
        order_last_filled_quantity=decimals["last_filled"],
        order_filled_accumulated_quantity=filled,
        order_trade_time=at,
    )
