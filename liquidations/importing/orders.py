"""The fields of a row, in the order of `ForcedOrder`, made into an order.

There is one way for rows that a venue sent, and one for rows that some table held already.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from liquidations.importing.outcomes import ContractsRejected, Rejected
from liquidations.importing.values import (
    Spellings,
    code_or_none,
    decimal_or_none,
    is_coin_margined,
    required_decimal,
    restore_quote,
    side_of,
    stored_symbol,
    trade_time_ms,
    venue_symbol,
)
from liquidations.types import ForcedOrder

# The scale of the contract's columns. Division has no natural end, and an order must convert to the same digits always.
QUANTITY_STEP = Decimal("1E-10")

Fields = Sequence[Any]  # text, int or None each
OrderMaker = Callable[[Fields], ForcedOrder]  # raises Rejected


def venue_orders(quote: str | None = None, contract_size_usd: Decimal | None = None) -> OrderMaker:
    """For rows as a venue sent them. ``quote`` restores short symbols; ``contract_size_usd`` is one COIN-M contract."""
    codes = Spellings(code_or_none)

    def symbol_rule(text: Any) -> str:
        symbol = venue_symbol(text)
        symbol = restore_quote(symbol, quote) if quote else symbol
        if contract_size_usd is None and is_coin_margined(symbol):
            raise ContractsRejected("quantity: contracts (COIN-M), give --contract-size")
        return symbol

    symbols = Spellings(symbol_rule)

    def order_of(fields: Fields) -> ForcedOrder:
        symbol, side, order_type, time_in_force, quantity, price, average, status, last, filled, time = fields
        order = ForcedOrder(
            symbols[symbol],
            side_of(side),
            codes[order_type],
            codes[time_in_force],
            required_decimal(quantity, "quantity"),
            decimal_or_none(price, "price"),
            # Binance sends "ap":"0" for an order of which nothing is filled: that is no average, and it would count as
            # a fill of no value. A price of 0 stays: it is part of the order's identity.
            decimal_or_none(average, "average price") or None,
            codes[status],
            decimal_or_none(last, "last filled quantity"),
            decimal_or_none(filled, "filled quantity"),
            trade_time_ms(time),
        )
        if contract_size_usd is not None and is_coin_margined(order.symbol):
            return in_base_asset(order, contract_size_usd)
        return order

    return order_of


def stored_orders() -> OrderMaker:
    """For rows that a table held: taken as they are, also an average price of 0."""
    codes, symbols = Spellings(code_or_none), Spellings(stored_symbol)

    def order_of(fields: Fields) -> ForcedOrder:
        symbol, side, order_type, time_in_force, quantity, price, average, status, last, filled, time = fields
        return ForcedOrder(
            symbols[symbol],
            side_of(side),
            codes[order_type],
            codes[time_in_force],
            required_decimal(quantity, "quantity"),
            decimal_or_none(price, "price"),
            decimal_or_none(average, "average price"),
            codes[status],
            decimal_or_none(last, "last filled quantity"),
            decimal_or_none(filled, "filled quantity"),
            trade_time_ms(time),
        )

    return order_of


def in_base_asset(order: ForcedOrder, contract_size_usd: Decimal) -> ForcedOrder:
    """The order with contracts converted: contracts * size / price.

    The original quantity always goes by the order's price: it is part of the identity, and must not change when
    another sighting knows an average price. What was filled goes by the average price where that is known.
    """
    if not order.price:
        raise Rejected("price: missing, so contracts cannot be converted")
    fill_price = order.average_price or order.price

    def base(contracts: Decimal | None, price: Decimal) -> Decimal | None:
        return None if contracts is None else (contracts * contract_size_usd / price).quantize(QUANTITY_STEP)

    try:
        return order._replace(
            original_quantity=base(order.original_quantity, order.price),
            order_last_filled_quantity=base(order.order_last_filled_quantity, fill_price),
            order_filled_accumulated_quantity=base(order.order_filled_accumulated_quantity, fill_price),
        )
    except ArithmeticError:
        raise Rejected("quantity: too large to convert") from None
